"""The files are those of the survey: names, layout, columns, formats, headers."""

import subprocess

import numpy as np
import pytest
from astropy.io import fits

from photoz_run.simulation import catalogue
from photoz_run.survey.data_release import DR4, DR5, find_data_release
from photoz_run.survey.discovery import find_tiles
from photoz_run.survey.names import parse_file_name
from support.programs import needs
from support.simulation import write_tile


def test_the_survey_part_of_the_program_finds_every_file(small_dr5):
    tiles = find_tiles([small_dr5.folder])
    ref = tiles[small_dr5.made.tile]
    assert set(ref.images) == {"u", "g", "r", "i", "i2"}
    assert all(files.wei and files.msk for files in ref.images.values())
    assert ref.catalogue == small_dr5.catalogue
    assert all(parse_file_name(path) for path in small_dr5.folder.iterdir())


def test_images_of_a_band_share_grid_and_bands_do_not(small_dr5):
    shapes = set()
    for band in ("u", "g", "r", "i", "i2"):
        headers = [
            fits.getheader(small_dr5.image(band, product)) for product in ("sci", "wei", "msk")
        ]
        assert [h["BITPIX"] for h in headers] == [-32, -32, 8]
        for key in ("NAXIS1", "NAXIS2", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CTYPE1"):
            assert len({h[key] for h in headers}) == 1
        shapes.add((headers[0]["NAXIS1"], headers[0]["NAXIS2"]))
        assert "DMAG" in headers[0]
        assert "DATE" not in headers[0]
    assert len(shapes) == 5


def test_fitsverify_finds_nothing_wrong(small_dr5, tile_dr4):
    needs("fitsverify")
    for folder in (small_dr5.folder, tile_dr4.folder):
        files = sorted(str(path) for path in folder.iterdir())
        result = subprocess.run(
            ["fitsverify", "-q", *files], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stdout
        assert result.stdout.count("verification OK") == len(files)


def test_dr4_has_the_real_columns_and_formats(tile_dr4):
    with fits.open(tile_dr4.catalogue) as hdus:
        formats = {column.name: column.format for column in hdus[1].columns}
    for name, form in catalogue.dr4_columns():
        ours = formats[name] if formats[name].endswith("A") else f"1{formats[name]}"
        assert ours == form or (name in ("THELI_NAME", "KIDS_TILE") and ours == "15A")
    assert set(formats) - dict(catalogue.dr4_columns()).keys() == {"CLASS_STAR", "SG_FLAG"}


def test_dr5_has_two_sets_of_i_columns_and_one_extinction(small_dr5):
    names = small_dr5.table.names
    for quantity in ("MAG", "MAGERR", "FLUX", "FLUXERR", "FLAG"):
        assert {f"{quantity}_GAAP_i1", f"{quantity}_GAAP_i2"} <= set(names)
        assert f"{quantity}_GAAP_i" not in names
    assert "EXTINCTION_i" in names
    assert not {"EXTINCTION_i1", "EXTINCTION_i2"} & set(names)
    both = np.abs(small_dr5.table["MAG_GAAP_i1"]) < 90
    both &= np.abs(small_dr5.table["MAG_GAAP_i2"]) < 90
    difference = (small_dr5.table["MAG_GAAP_i1"] - small_dr5.table["MAG_GAAP_i2"])[both]
    assert 0 < np.abs(np.median(difference)) < 0.1


@pytest.mark.parametrize("written", ["small_dr5", "tile_dr4"])
def test_catalogue_header_and_coadds_agree_on_dmag(written, request):
    tile = request.getfixturevalue(written)
    header = fits.getheader(tile.catalogue)
    for band in find_data_release(tile.settings.data_release).image_bands:
        assert header[f"DMAG_{band.upper()}"] == fits.getheader(tile.image(band, "sci"))["DMAG"]


def test_identifiers_say_release_and_position(small_dr5, tile_dr4):
    for tile, release in ((small_dr5, "KiDSDR5 J"), (tile_dr4, "KiDSDR4 J")):
        table = tile.table
        assert all(name.startswith(release) for name in table["ID"])
        assert len(set(table["ID"])) == len(table)
        hours, minutes, seconds = (
            np.array([float(n[k : k + w]) for n in table["ID"]])
            for k, w in ((9, 2), (11, 2), (13, 6))
        )
        offset = ((hours + minutes / 60 + seconds / 3600) * 15 - table["RAJ2000"] + 180) % 360 - 180
        assert np.abs(offset).max() * 3600 < 0.02


def test_a_tile_across_ra_0_has_sources_on_both_sides(small_dr5):
    ra = small_dr5.table["RAJ2000"]
    assert small_dr5.made.tile == "KIDS_0.0_-31.2"
    assert ((ra >= 0) & (ra < 360)).all()
    assert (ra < 1).sum() > 10
    assert (ra > 359).sum() > 10


def test_weights_are_the_inverse_variance_of_the_pixels(tile_dr4):
    sci, wei = (fits.getdata(tile_dr4.image("u", product)) for product in ("sci", "wei"))
    covered = wei > 0
    normalised = sci[covered] * np.sqrt(wei[covered])
    spread = 1.4826 * np.median(np.abs(normalised - np.median(normalised)))
    assert 0.97 < spread < 1.06
    levels = np.unique(wei[covered])
    assert len(levels) > 1
    assert levels.max() / levels.min() > 1.2


def test_pixels_without_data_have_no_weight_and_bad_columns_are_flagged(tile_dr4):
    seen_bad = 0
    for band in "ugri":
        sci, wei, msk = (
            fits.getdata(tile_dr4.image(band, product)) for product in ("sci", "wei", "msk")
        )
        assert (wei[(msk & 64) > 0] == 0).all()
        assert (sci[wei == 0][np.flatnonzero((msk[wei == 0] & 64) == 0)] == 0).all()
        seen_bad += int(((msk & 64) > 0).sum())
    assert seen_bad > 400


def test_saturated_stars_are_flagged_and_have_halos(tmp_path):
    tile = write_tile(tmp_path, 2, size=2000, density=1, data_release="DR4.0", seed=1)
    sci, msk = (fits.getdata(tile.image("r", product)) for product in ("sci", "msk"))
    saturated = (msk & 2) > 0
    assert saturated.sum() > 20
    assert sci[saturated].min() >= 0.99 * sci.max()
    halo = (msk & 8) > 0
    assert halo[saturated].mean() > 0.5
    assert 0.001 < halo.mean() < 0.1
    table = tile.table
    x, y = (np.round(table[name] - 1).astype(int) for name in ("Xpos", "Ypos"))
    in_halo = halo[y, x]
    assert in_halo.sum() > 3
    faint_halo = 1 << DR4.mask_bits.index("halo faint")
    agreed = in_halo == ((table["MASK"] & faint_halo) > 0)
    assert agreed.mean() > 0.995


def test_missing_magnitudes_come_as_in_the_survey(tile_dr4):
    table = tile_dr4.table
    dark = table["MAG_GAAP_u"] == 99
    failed = table["MAG_GAAP_u"] == -99
    assert 0.1 < dark.mean() < 0.5
    assert (table["FLAG_GAAP_u"][dark] == 0).all()
    assert np.isfinite(table["MAGERR_GAAP_u"][dark]).all()
    assert ((table["FLAG_GAAP_u"] == 1) == failed).all()
    failures = sum((table[f"MAG_GAAP_{band}"] == -99).sum() for band in DR4.magnitude_suffixes)
    assert failures > 5


def test_a_strip_without_near_infrared_is_masked_in_the_bits_of_the_release(tmp_path):
    for release, facts in (("DR4.0", DR4), ("DR5.0", DR5)):
        strips = []
        for index in range(5):
            tile = write_tile(
                tmp_path / f"{release}-{index}",
                index,
                size=300,
                density=1,
                data_release=release,
                products=(),
            )
            table = tile.table
            strip = (table["MASK"] & (1 << facts.mask_bits.index("J data"))) > 0
            strips.append(strip.any())
            assert (table["MAG_GAAP_J"][strip] == -99).all()
            assert (table["FLAG_GAAP_Ks"][strip] == 1).all()
        assert 0 < sum(strips) < 5


def test_the_trail_lies_where_the_mask_says(tmp_path):
    """Along the sources masked by hand runs a bright line; across it there is sky."""
    tiles = (
        write_tile(
            tmp_path / str(seed),
            0,
            size=2000,
            density=1,
            data_release="DR4.0",
            seed=seed,
            products=(),
        )
        for seed in range(1, 30)
    )
    masked = (
        tile
        for tile in tiles
        if (tile.table["MASK"] & MANUAL).any() and (tile.table["MASK"] & MANUAL > 0).sum() > 4
    )
    seed = next(masked).settings.seed
    tile = write_tile(
        tmp_path, 0, size=2000, density=1, data_release="DR4.0", seed=seed, products=("sci",)
    )
    manual = (tile.table["MASK"] & MANUAL) > 0
    x, y = tile.table["Xpos"][manual] - 1, tile.table["Ypos"][manual] - 1
    slope, intercept = np.polyfit(x, y, 1)
    sci = fits.getdata(tile.image("r", "sci"))
    columns = np.arange(100, 1900)
    rows = np.round(slope * columns + intercept).astype(int)
    inside = (rows > 60) & (rows < 1960)
    along, beside = (
        np.median(
            [sci[rows[inside] + shift + k, columns[inside]] for k in range(-12, 13)], axis=1
        ).max()
        for shift in (0, 40)
    )
    assert along > 3 * np.abs(beside)


MANUAL = 1 << DR4.mask_bits.index("manual")
