"""Names of KiDS files and tiles, as they are on disk and in catalogues."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photoz_run.errors import ConfigError
from photoz_run.survey.names import (
    FileName,
    canonical_tile_name,
    catalogue_name,
    image_name,
    parse_file_name,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("KiDS_DR5.0_180.0_-0.5_r_sci.fits", FileName("DR5.0", "KIDS_180.0_-0.5", "sci", "r")),
        ("KiDS_DR5.0_180.0_-0.5_i2_wei.fits.fz", FileName("DR5.0", "KIDS_180.0_-0.5", "wei", "i2")),
        ("KiDS_DR4.0_0.0_-31.2_u_msk.fits.gz", FileName("DR4.0", "KIDS_0.0_-31.2", "msk", "u")),
        ("KiDS_DR4.1_129.0_0.5_ugriZYJHKs_cat.fits", FileName("DR4.1", "KIDS_129.0_0.5", "cat")),
        (
            "KiDS_DR5.0_180.0_-0.5_g_sci.fits.fz.gz",
            FileName("DR5.0", "KIDS_180.0_-0.5", "sci", "g"),
        ),
        ("KiDS_DR5.0_180.0_-0.5_g_sci.fits.bz2", FileName("DR5.0", "KIDS_180.0_-0.5", "sci", "g")),
        ("KiDS_DR5.0_180.0_-0.5_g_sci (1).fits", FileName("DR5.0", "KIDS_180.0_-0.5", "sci", "g")),
        ("KiDS_DR5.0_180.0_-0.5_g_sci.fits.1", FileName("DR5.0", "KIDS_180.0_-0.5", "sci", "g")),
        (
            "KiDS_DR5.0_13.5_-28.2_ugri1i2ZYJHKs_cat.fits",
            FileName("DR5.0", "KIDS_13.5_-28.2", "cat"),
        ),
    ],
)
def test_a_file_name_says_release_tile_product_and_band(name, expected):
    assert parse_file_name(Path("/data") / name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "KiDS_DR4.0_ugriZYJHKs_cat.fits",
        "KiDS_DR4.0_180.0_-0.5_r_det_sci.fits",
        "KiDS_DR4.0_180.0_-0.5_r_det_wei.fits",
        "KiDS_DR4.0_180.0_-0.5_ugriZYJHKs_msk.fits",
        "KiDS_DR5.0_180.0_-0.5_ugri1i2ZYJHKs_msk.fits",
        "KiDS_DR3.1_180.0_-0.5_r_sci.fits",
        "KiDS_DR5.0_180.0_-0.5_r_sci.fits.part",
        "KiDS_DR5.0_180.0_-0.5_r_sci.png",
        "KiDS_DR5.0_180_-0.5_r_sci.fits",
        "kids_dr5.0_180.0_-0.5_r_sci.fits",
        "README",
    ],
)
def test_other_files_are_not_ours(name):
    assert parse_file_name(Path(name)) is None


@pytest.mark.parametrize(
    ("written", "tile"),
    [
        ("KIDS_180.0_-0.5", "KIDS_180.0_-0.5"),
        ("KIDS_13p5_m28p2", "KIDS_13.5_-28.2"),
        ("KIDS_129p0_0p5", "KIDS_129.0_0.5"),
        ("KIDS_180.0_-0.5  ", "KIDS_180.0_-0.5"),
        ("  KIDS_0p0_m31p2 ", "KIDS_0.0_-31.2"),
        ("kids_180.0_-0.5", "KIDS_180.0_-0.5"),
        ("KiDS_180p0_m0p5", "KIDS_180.0_-0.5"),
        ("180.0_-0.5", "KIDS_180.0_-0.5"),
        ("KIDS_180_0", "KIDS_180.0_0.0"),
        ("KIDS_180.0_+0.5", "KIDS_180.0_0.5"),
        ("KIDS_13p5_28.2", "KIDS_13.5_28.2"),
        ("KiDS_DR5.0_180.0_-0.5", "KIDS_180.0_-0.5"),
        ("KiDS_DR5.0_180.0_-0.5_r_sci.fits.fz", "KIDS_180.0_-0.5"),
    ],
)
def test_both_spellings_and_blanks_mean_the_same_tile(written, tile):
    assert canonical_tile_name(written) == tile


@pytest.mark.parametrize(
    "written", ["", "KIDS_", "KIDS_180.0", "KIDS_180.00_-0.5", "KIDS_1x0_0.5", "all"]
)
def test_what_is_no_tile_name_is_refused_with_an_example(written):
    with pytest.raises(ConfigError, match=r"KIDS_180\.0_-0\.5 or KIDS_13p5_m28p2"):
        canonical_tile_name(written)


@given(
    ra=st.integers(0, 3599),
    dec=st.integers(-400, 400),
    band=st.sampled_from(["u", "g", "r", "i", "i2"]),
)
def test_names_made_are_names_read(ra, dec, band):
    tile = f"KIDS_{ra / 10:.1f}_{dec / 10:.1f}"
    for product in ("sci", "wei", "msk"):
        for compression in ("", ".fz", ".gz"):
            made = image_name("DR5.0", tile, band, product, compression)
            assert parse_file_name(Path(made)) == FileName("DR5.0", tile, product, band)
    assert parse_file_name(Path(catalogue_name("DR4.1", tile, "ugriZYJHKs"))) == FileName(
        "DR4.1", tile, "cat"
    )
    other = f"KIDS_{ra / 10:.1f}_{dec / 10:.1f}".replace(".", "p").replace("-", "m")
    assert canonical_tile_name(other) == tile
