"""A FITS file is read once: whoever reads it, in whatever pieces, its sums are the same."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from photoz_run.release.proof.fits_sums import PIECE, READ, FitsSums


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """A file with sums of astropy's, larger than what is summed up at once."""
    rng = np.random.default_rng(1)
    path = tmp_path_factory.mktemp("sums") / "table.fits"
    rows = np.zeros(2 * READ // 11, [("A", ">f8"), ("B", "S3")])
    rows["A"], rows["B"] = rng.random(len(rows)), b"abc"
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU(rows), fits.ImageHDU(rng.random((7, 7)))]
    fits.HDUList(hdus).writeto(path, checksum=True)
    return path


def summed(path: Path, sizes=()) -> tuple[str, list[str]]:
    """Its sha256 and its problems, after reads of these sizes."""
    sums = FitsSums(path, lambda more: None)
    content = path.read_bytes()
    place = 0
    for size in sizes:
        assert sums.read(size) == content[place : place + size]
        place += size
    digest, problems = sums.sha256(), sums.problems()
    sums.close()
    return digest, problems


@pytest.mark.parametrize(
    "sizes", [(), (1, 2, 3, 5), (PIECE + 1, 7), (PIECE, PIECE), (10 * PIECE,), (READ + 1, READ)]
)
def test_the_sums_do_not_depend_on_how_much_was_read_at_a_time(file, sizes):
    assert summed(file, sizes) == (hashlib.sha256(file.read_bytes()).hexdigest(), [])


def changed(file: Path, place: int, value: bytes) -> Path:
    """A copy with other bytes at one place."""
    content = bytearray(file.read_bytes())
    content[place : place + len(value)] = value
    copy = file.with_name("changed.fits")
    copy.write_bytes(content)
    return copy


def test_a_changed_byte_is_told_with_its_hdu(file):
    with fits.open(file) as hdus:
        places = [hdu.fileinfo() for hdu in hdus]
    data = changed(file, places[1]["datLoc"] + PIECE + 5, b"\x55")
    assert summed(data)[1] == ["HDU 1: its data do not add up to DATASUM"]
    header = changed(file, places[2]["datLoc"] - 2, b"x")
    assert summed(header)[1] == ["HDU 2: its header does not add up to CHECKSUM"]


def test_sums_that_are_no_numbers_are_wrong(file):
    place = file.read_bytes().index(b"DATASUM = '", 2880)
    (problem,) = summed(changed(file, place + 11, b"x"))[1]
    assert problem.startswith("HDU 1: its data")


def test_files_that_are_cut_longer_or_no_fits_have_a_sha256_and_a_problem(file):
    copy = file.with_name("other.fits")
    content = file.read_bytes()
    for changed_content, words in (
        (content[:-1], "ends too early"),
        (content + b"abc", "3 bytes behind its last HDU"),
        (b"no FITS", "cannot be read"),
    ):
        copy.write_bytes(changed_content)
        digest, problems = summed(copy)
        assert digest == hashlib.sha256(changed_content).hexdigest()
        (problem,) = problems
        assert words in problem
