"""Which tiles lie in the data folders, and which of them the user meant."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from photoz_run.errors import ConfigError
from photoz_run.survey.discovery import expand_tiles, find_tiles

KNOWN = ["KIDS_0.0_-31.2", "KIDS_180.0_-0.5", "KIDS_181.0_-0.5", "KIDS_181.0_0.5"]


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def dr5(tile: str, *rest: str) -> list[str]:
    return [f"KiDS_DR5.0_{tile}_{part}" for part in rest]


def test_a_tile_is_put_together_from_its_files(tmp_path):
    names = dr5(
        "180.0_-0.5", "r_sci.fits", "r_wei.fits", "i_sci.fits.fz", "i2_sci.fits", "i2_msk.fits.gz"
    )
    touch(tmp_path / "deep" / "er", *names, *dr5("180.0_-0.5", "ugri1i2ZYJHKs_cat.fits"))
    ref = find_tiles([tmp_path])["KIDS_180.0_-0.5"]
    assert ref.data_release == "DR5"
    assert ref.catalogue.name == "KiDS_DR5.0_180.0_-0.5_ugri1i2ZYJHKs_cat.fits"
    assert list(ref.images) == ["r", "i", "i2"]
    assert ref.images["r"].wei.name.endswith("r_wei.fits")
    assert ref.images["r"].msk is None
    assert ref.images["i"].sci.suffix == ".fz"
    assert ref.images["i2"].msk.suffix == ".gz"
    assert len(ref.paths()) == 6


def test_a_file_under_a_linked_folder_is_found(tmp_path):
    touch(tmp_path / "disk", *dr5("180.0_-0.5", "r_sci.fits"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "disk")
    assert list(find_tiles([tmp_path / "data"])) == ["KIDS_180.0_-0.5"]


def test_the_reissued_catalogue_is_preferred_and_the_coadds_stay(tmp_path):
    old = [f"KiDS_DR4.0_180.0_-0.5_{part}" for part in ("r_sci.fits", "ugriZYJHKs_cat.fits")]
    touch(
        tmp_path,
        *old,
        "KiDS_DR4.1_180.0_-0.5_ugriZYJHKs_cat.fits",
        "KiDS_DR4.1_180.0_-0.5_ugriZYJHKs_msk.fits",
    )
    for release in (None, "DR4", "DR4.1"):
        ref = find_tiles([tmp_path], release)["KIDS_180.0_-0.5"]
        assert ref.catalogue.name.startswith("KiDS_DR4.1")
        assert ref.images["r"].sci.name.startswith("KiDS_DR4.0")
    assert find_tiles([tmp_path], "DR4.0")["KIDS_180.0_-0.5"].catalogue.name.startswith(
        "KiDS_DR4.0"
    )


def test_plain_before_packed_before_gzipped(tmp_path):
    names = dr5(
        "180.0_-0.5",
        "r_sci.fits.gz",
        "g_sci.fits.gz",
        "g_sci.fits.fz",
        "u_sci.fits.fz",
        "u_sci.fits",
    )
    images = find_tiles([touch(tmp_path, *names)])["KIDS_180.0_-0.5"].images
    assert [images[band].sci.suffix for band in "ugr"] == [".fits", ".fz", ".gz"]


def test_the_folder_named_first_wins(tmp_path):
    first = touch(tmp_path / "b", *dr5("180.0_-0.5", "r_sci.fits"))
    second = touch(tmp_path / "a", *dr5("180.0_-0.5", "r_sci.fits", "g_sci.fits"))
    images = find_tiles([first, second])["KIDS_180.0_-0.5"].images
    assert images["r"].sci.parent == first
    assert images["g"].sci.parent == second


def test_the_release_wide_catalogue_and_the_detection_image_are_no_tile(tmp_path):
    touch(
        tmp_path,
        "KiDS_DR5.0_ugri1i2ZYJHKs_cat.fits",
        "notes.txt",
        *dr5("180.0_-0.5", "r_det_sci.fits"),
    )
    with pytest.raises(ConfigError, match="no KiDS file"):
        find_tiles([tmp_path])
    touch(tmp_path, *dr5("180.0_-0.5", "u_sci.fits"))
    ref = find_tiles([tmp_path])["KIDS_180.0_-0.5"]
    assert ref.catalogue is None
    assert list(ref.images) == ["u"]


def test_two_releases_need_a_word_and_then_only_that_one_is_seen(tmp_path):
    touch(tmp_path, *dr5("180.0_-0.5", "r_sci.fits"), "KiDS_DR4.0_9.0_-31.2_r_sci.fits")
    with pytest.raises(ConfigError, match="DR4 and DR5; say which with --data-release"):
        find_tiles([tmp_path])
    assert list(find_tiles([tmp_path], "DR5")) == ["KIDS_180.0_-0.5"]
    assert list(find_tiles([tmp_path], "DR4")) == ["KIDS_9.0_-31.2"]
    with pytest.raises(ConfigError, match=r"DR4\.1"):
        find_tiles([touch(tmp_path / "only", *dr5("1.0_1.0", "r_sci.fits"))], "DR4.1")


def test_files_of_older_releases_do_not_disturb(tmp_path):
    touch(tmp_path, *dr5("180.0_-0.5", "r_sci.fits"), "KiDS_DR3.1_180.0_-0.5_r_sci.fits")
    assert list(find_tiles([tmp_path])) == ["KIDS_180.0_-0.5"]


@pytest.mark.parametrize("release", ["DR9", "5", "dr5", ""])
def test_an_unknown_release_is_refused(tmp_path, release):
    touch(tmp_path, *dr5("180.0_-0.5", "r_sci.fits"), "KiDS_DR4.0_9.0_-31.2_r_sci.fits")
    with pytest.raises(ConfigError, match="release"):
        find_tiles([tmp_path], release)


def test_folders_that_are_not_there_or_empty_are_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match=f"{tmp_path}/nowhere does not exist"):
        find_tiles([tmp_path / "nowhere"])
    with pytest.raises(ConfigError, match=f"no KiDS file .* below {tmp_path}"):
        find_tiles([tmp_path])


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        (["all"], KNOWN),
        (["KIDS_181.0_0.5", "KIDS_0.0_-31.2"], ["KIDS_0.0_-31.2", "KIDS_181.0_0.5"]),
        (["KIDS_18*"], KNOWN[1:]),
        (["KIDS_18?.0_-0.5"], KNOWN[1:3]),
        (["KIDS_*_[0-9]*"], ["KIDS_181.0_0.5"]),
        (["KIDS_180p0_m0p5"], ["KIDS_180.0_-0.5"]),
        (["KIDS_181.0_0.5,kids_0.0_-31.2"], ["KIDS_0.0_-31.2", "KIDS_181.0_0.5"]),
        (["KIDS_18*", "KIDS_181.0_0.5"], KNOWN[1:]),
        (["all", "KIDS_0*"], KNOWN),
    ],
)
def test_names_globs_and_all(specs, expected):
    assert expand_tiles(specs, reversed(KNOWN)) == expected


def test_a_list_may_hold_comments_blank_lines_globs_and_both_spellings(tmp_path):
    list_file = tmp_path / "tiles.txt"
    list_file.write_text("# first field\nKIDS_180p0_m0p5  # good seeing\n\nKIDS_181*\n")
    assert expand_tiles([f"@{list_file}"], KNOWN) == KNOWN[1:]


@pytest.mark.parametrize(
    ("specs", "complaint"),
    [
        (["KIDS_181.0_1.5"], r"KIDS_181\.0_1\.5 has no file .*did you mean .*KIDS_181\.0_0\.5"),
        (["KIDS_180.0_-0.5", "KIDS_180p0_m0p5"], "KIDS_180.0_-0.5 is named twice"),
        (["KIDS_9*"], r"no tile matches 'KIDS_9\*'; there are 4 tiles"),
        (["kids"], "'kids' is not a tile name"),
        (["@nowhere.txt"], "tile list nowhere.txt cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_refused(specs, complaint):
    with pytest.raises(ConfigError, match=complaint):
        expand_tiles(specs, KNOWN)


def test_a_tile_twice_in_a_list_and_an_empty_list_are_refused(tmp_path):
    list_file = tmp_path / "tiles.txt"
    list_file.write_text("KIDS_181.0_0.5\nKIDS_181.0_0.5\n")
    with pytest.raises(ConfigError, match="named twice"):
        expand_tiles([f"@{list_file}"], KNOWN)
    list_file.write_text("# nothing yet\n\n")
    with pytest.raises(ConfigError, match="names no tile"):
        expand_tiles([f"@{list_file}"], KNOWN)


def make_catalogue(path: Path, date: str | None, dmag: float = 0.0) -> Path:
    """A catalogue of one row, written at ``date``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([])])
    hdus[0].header["DMAG_R"] = dmag
    if date:
        hdus[0].header["DATE"] = date
    hdus.writeto(path)
    return path


CATALOGUE = "KiDS_DR5.0_180.0_-0.5_ugri1i2ZYJHKs_cat.fits"


def test_of_two_deliveries_of_a_file_the_one_written_last_is_read_and_said(tmp_path):
    old = make_catalogue(tmp_path / "a" / CATALOGUE, "2023-01-05T00:00:00")
    new = make_catalogue(tmp_path / "b" / CATALOGUE, "2024-06-01T00:00:00")
    told: list[str] = []
    ref = find_tiles([tmp_path], say=told.append)["KIDS_180.0_-0.5"]
    assert ref.catalogue == new
    assert told == [
        f"{new} (2024-06-01T00:00:00) is read, not {old} (2023-01-05T00:00:00), which differs"
    ]


def test_a_second_copy_of_a_file_is_nothing_to_speak_of(tmp_path):
    make_catalogue(tmp_path / CATALOGUE, "2023-01-05T00:00:00")
    copy = tmp_path / CATALOGUE.replace(".fits", " (1).fits")
    copy.write_bytes((tmp_path / CATALOGUE).read_bytes())
    told: list[str] = []
    assert find_tiles([tmp_path], say=told.append)["KIDS_180.0_-0.5"].catalogue is not None
    assert told == []


def test_the_folder_named_first_wins_over_a_newer_file_and_that_is_said(tmp_path):
    first = make_catalogue(tmp_path / "a" / CATALOGUE, "2023-01-05T00:00:00")
    make_catalogue(tmp_path / "b" / CATALOGUE, "2024-06-01T00:00:00", 0.5)
    told: list[str] = []
    tiles = find_tiles([tmp_path / "a", tmp_path / "b"], say=told.append)
    assert tiles["KIDS_180.0_-0.5"].catalogue == first
    assert len(told) == 1


@pytest.mark.parametrize("extension", [0, 1])
@pytest.mark.parametrize("ending", [".fits", ".fits.gz"])
def test_files_of_esos_archive_are_known_by_their_headers(tmp_path, extension, ending):
    original = "KiDS_DR5.0_180.0_-0.5_r_sci.fits"
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.eye(4, dtype=np.float32))])
    hdus[extension].header["ORIGFILE"] = original
    path = tmp_path / f"ADP.2024-12-13T18:08:20.003{ending}"
    hdus.writeto(path)
    (tmp_path / "ADP.2024-12-13T18:08:20.004.fits").write_bytes(b"damaged")
    hdus[extension].header["ORIGFILE"] = "OMEGACAM.2014.fits"
    hdus.writeto(tmp_path / "ADP.2024-12-13T18:08:20.005.fits")
    tiles = find_tiles([tmp_path])
    assert list(tiles) == ["KIDS_180.0_-0.5"]
    assert tiles["KIDS_180.0_-0.5"].images["r"].sci == path
