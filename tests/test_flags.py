"""The table of quality bits is whole, and every way to read it says the same."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from photoz_models.stamp_rule import MAGNITUDE_BANDS
from photoz_run.flags import (
    FLAGS,
    NOT_FOR_SCIENCE,
    NOT_FOR_SCIENCE_FLAGS,
    SCIENCE_CUT,
    USER_BITS,
    bit,
    count,
    decode,
    mark,
    remarks,
)
from photoz_run.science.selection import select


def test_bits_are_counted_through_once_and_leave_the_users_alone():
    assert [flag.bit for flag in FLAGS] == list(range(len(FLAGS)))
    assert len({flag.name for flag in FLAGS}) == len(FLAGS)
    assert set(USER_BITS) == set(range(24, 31))
    assert not set(USER_BITS) & {flag.bit for flag in FLAGS}


def test_there_is_a_bit_for_each_missing_magnitude():
    names = {flag.name for flag in FLAGS}
    assert {f"MAG_{band.upper()}_MISSING" for band in MAGNITUDE_BANDS} <= names
    assert len(MAGNITUDE_BANDS) == 9


def test_what_is_marked_is_decoded_and_counted():
    flags_N = mark(np.array([True, False, True]), "EDGE") | mark(
        np.array([False, False, True]), "Z_LIMIT"
    )
    assert flags_N.dtype == np.int32
    assert [decode(value) for value in flags_N] == [["EDGE"], [], ["EDGE", "Z_LIMIT"]]
    assert count(flags_N) == {"EDGE": 2, "Z_LIMIT": 1}
    assert decode(1 << 24 | int(bit("EDGE"))) == ["EDGE", "BIT_24"]
    with pytest.raises(KeyError):
        bit("NO_SUCH_FLAG")


@pytest.mark.parametrize("arguments", [[], ["--markdown"]])
def test_photoz_flags_prints_every_bit(arguments):
    said = photoz("flags", *arguments)
    for flag in FLAGS:
        line = next(line for line in said.splitlines() if f" {flag.name} " in line)
        assert line.lstrip("| ").startswith(str(flag.bit))
        assert str(flag.value) in line
    assert "24-30" in said


def test_one_mask_has_one_name_and_one_value_everywhere():
    expected = sum(int(bit(name)) for name in NOT_FOR_SCIENCE_FLAGS)
    assert expected == NOT_FOR_SCIENCE == 458802
    assert select(SCIENCE_CUT, {"PHOTOZ_FLAG": np.array([0, 1, 4, 2**16])}, 4).tolist() == [
        True,
        True,
        True,
        False,
    ]
    line = next(line for line in photoz("flags").splitlines() if "NOT_FOR_SCIENCE" in line)
    assert str(expected) in line
    top = Path(__file__).parents[1]
    for page in ("README.md", "docs/decisions/science-cut.md"):
        assert str(expected) in (top / page).read_text()


def test_photoz_flags_decodes_a_value():
    assert photoz("flags", str(bit("EDGE") | bit("MAG_KS_MISSING"))).split() == [
        "EDGE",
        "MAG_KS_MISSING",
    ]
    assert photoz("flags", "0").strip() == "no flag is set"


def photoz(*arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("photoz")), *arguments]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env={"COLUMNS": "200"}
    ).stdout


def test_flags_of_most_rows_of_a_tile_are_said_and_missing_magnitudes_are_not():
    counts = {"NO_COVERAGE": 60, "CENTRE_BAD": 51, "OUT_OF_DOMAIN": 50, "MAG_U_MISSING": 90}
    said = ("more than half of the rows have NO_COVERAGE, CENTRE_BAD",)
    assert remarks(counts, 100) == said
    assert remarks({"Z_LIMIT": 50}, 100) == ()
    assert remarks({"Z_LIMIT": 49}, 49) == ()
