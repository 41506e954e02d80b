"""What a catalogue says of itself is checked on all of its rows, before a selection drops any."""

from pathlib import Path

import numpy as np
import pytest

from photoz_run.errors import BadDataError
from photoz_run.survey.catalogue_checks import check_content, check_rows, positions_in_ids
from photoz_run.survey.data_release import DR5

N = 120
RA, DEC = np.linspace(129.0, 129.9, N), np.linspace(-0.4, 0.4, N)
PATH = Path("cat.fits")


def sexagesimal(ra, dec):
    hours = ra / 15
    sign, size = ("-" if dec < 0 else "+"), abs(dec)
    parts = [hours, hours * 60 % 60, hours * 3600 % 60]
    degrees = [size, size * 60 % 60, size * 3600 % 60]
    start = f"{int(parts[0]):02d}{int(parts[1]):02d}{int(parts[2] * 1000) / 1000:06.3f}"
    end = f"{int(degrees[0]):02d}{int(degrees[1]):02d}{int(degrees[2] * 100) / 100:05.2f}"
    return f"KiDSDR5 J{start}{sign}{end}"


def table(**changes):
    ids = np.array([sexagesimal(ra, dec) for ra, dec in zip(RA, DEC, strict=True)])
    magnitude = np.full(N, 18.0, np.float32)
    rows = {"ID": ids, "RAJ2000": RA.copy(), "DECJ2000": DEC.copy(), "MASK": np.ma.array([2] * N)}
    rows |= {"MAG_GAAP_r": magnitude, "FLAG_GAAP_r": np.ma.zeros(N, int)}
    return rows | changes


def test_an_id_of_kids_names_its_position():
    position_N2 = positions_in_ids(table()["ID"])
    np.testing.assert_allclose(position_N2[:, 0], RA, atol=1e-5)
    np.testing.assert_allclose(position_N2[:, 1], DEC, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "G123",
        "KIDS_0.0",
        "",
        "J",
        "J083727.019+",
        "J083727.019",
        "J08372x.019+025147.11",
        "J083727x019+025147.11",
        "J083727.019+025147.",
        "J083727.019+025147.11 b",
        "083727.019+025147.11",
    ],
)
def test_another_id_names_no_position(name):
    good = "KiDSDR4 J083727.01+025147.110"
    position_N2 = positions_in_ids(np.array([name, good, "J235959.9-895959.9"]))
    assert np.isnan(position_N2[0]).any()
    np.testing.assert_allclose(position_N2[1], [129.3625417, 2.8630861], atol=1e-7)
    np.testing.assert_allclose(position_N2[2], [359.9995833, -89.9999722], atol=1e-7)


def test_a_few_ids_in_the_middle_that_are_out_of_step_are_seen():
    number = 20_000
    ra, dec = np.linspace(129.0, 129.9, number), np.linspace(-0.4, 0.4, number)
    ids = np.array([sexagesimal(*place) for place in zip(ra, dec, strict=True)])
    ids[700:1_000] = np.roll(ids[700:1_000], 150)
    rows = {"ID": ids, "RAJ2000": ra, "DECJ2000": dec}
    with pytest.raises(BadDataError, match="300 of 20000 IDs name another position"):
        check_rows(PATH, rows)


def test_a_good_catalogue_passes():
    check_rows(PATH, table())
    assert check_content(table(), {"r": ("r",)}, DR5) == []


def test_ids_out_of_step_with_their_rows_are_refused():
    with pytest.raises(BadDataError, match=f"{N} of {N} IDs name another position"):
        check_rows(PATH, table(ID=np.roll(table()["ID"], 1)))


def test_one_position_that_was_mended_later_is_no_matter():
    moved = RA.copy()
    moved[3] += 0.01
    check_rows(PATH, table(RAJ2000=moved))


def test_rows_of_zero_bytes_are_refused():
    for changes in (
        {"ID": np.where(np.arange(N) < 10, "", table()["ID"])},
        {
            "RAJ2000": np.where(np.arange(N) < 10, 0, RA),
            "DECJ2000": np.where(np.arange(N) < 10, 0, DEC),
        },
    ):
        with pytest.raises(
            BadDataError, match=rf"10 of {N} rows have no ID or lie at RA = Dec = 0"
        ):
            check_rows(PATH, table(**changes))


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"FLAG_GAAP_r": np.ma.ones(N, int)}, "FLAG_GAAP_r is set in every row"),
        ({"MAG_GAAP_r": np.full(N, 99.0)}, "MAG_GAAP_r has no magnitude in any row"),
        ({"MASK": np.ma.array([1 << 20] * N)}, "MASK has bits that DR5 does not know: 0x100000"),
    ],
)
def test_a_column_that_holds_nothing_is_said(changes, remark):
    assert check_content(table(**changes), {"r": ("r",)}, DR5) == [remark]
