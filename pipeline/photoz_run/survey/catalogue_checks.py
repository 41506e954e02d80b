"""What a catalogue says of itself is checked on all of its rows, before a selection drops any.

A contradiction of rows and positions refuses the catalogue; what may be meant is a remark in the
tile's outcome. docs/bad-input.md has the table.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_run.errors import BadDataError
from photoz_run.science.photometry import known_magnitudes
from photoz_run.survey.data_release import DataRelease

UNITS = (10, 1, 10 / 60, 1 / 60, 10 / 3600, 1 / 3600)
"""What the digits of hhmmss or ddmmss are worth, in hours or degrees."""
CODE = np.dtype("U1").itemsize
"""Bytes of a character in an array of texts."""
POINT = len(UNITS)
"""Where the decimal point of the seconds stands."""
ID_ERROR = 1.0
"""arcsec that an ID may differ from its position; its last digits are 0.015 and 0.01 arcsec."""
ID_SHARE = 0.01
"""Share of the IDs that may differ more: an astrometry that was mended later moves a few."""
MANY = 50
"""Rows from which on a column that holds nothing is no accident."""


def check_rows(path: Path, table: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a catalogue whose rows cannot all be sources.

    Raises
    ------
    BadDataError
        If rows have no ID, no position or one at 0, 0, or off the sky; if IDs stand more than once,
        or name other positions than their own.
    """
    id_N, ra_N, dec_N = table["ID"], table["RAJ2000"], table["DECJ2000"]
    if (id_N.view(np.uint32) >= 128).any():
        raise BadDataError(f"{path}: IDs that are not ASCII; the file is damaged, copy it again")
    _check_blank(path, (id_N == "") | ((ra_N == 0) & (dec_N == 0)))
    with np.errstate(invalid="ignore"):
        off_sky = ~((ra_N >= 0) & (ra_N <= 360) & (np.abs(dec_N) <= 90))
    if off_sky.any():
        raise BadDataError(
            f"{path}: {off_sky.sum()} of {len(ra_N)} positions are not on the sky"
            " (RAJ2000, DECJ2000 in deg)"
        )
    names, counts = np.unique(id_N, return_counts=True)
    if (counts > 1).any():
        first = names[counts > 1][0]
        raise BadDataError(
            f"{path}: IDs that stand more than once: {(counts > 1).sum()}, the first is '{first}'"
        )
    _check_ids(path, id_N, ra_N, dec_N)


def check_content(
    table: Mapping[str, NDArray[Any]],
    suffixes: Mapping[str, Sequence[str]],
    facts: DataRelease,
) -> list[str]:
    """What is odd in a catalogue of good rows: a band without a value, bits that mean nothing."""
    remarks = []
    if len(table["ID"]) >= MANY:
        used = [suffix for group in suffixes.values() for suffix in group]
        remarks += [remark for suffix in used if (remark := _empty_band(table, suffix))]
    unknown = int(np.bitwise_or.reduce(np.ma.filled(table["MASK"], 0), initial=0))
    unknown &= ~((1 << len(facts.mask_bits)) - 1)
    if unknown:
        remarks.append(f"MASK has bits that {facts.family} does not know: {unknown:#x}")
    return remarks


def positions_in_ids(id_N: NDArray[np.str_]) -> NDArray[np.float64]:
    """Right ascension and declination (deg) that IDs of KiDS name, shape (N, 2), NaN in others.

    Such an ID ends as KiDSDR5 J083727.019+025147.11 does.
    """
    position_N2 = np.full((len(id_N), 2), np.nan)
    width = id_N.dtype.itemsize // CODE
    code_NK = np.ascontiguousarray(id_N).view(np.uint32).reshape(len(id_N), width)
    j_N, end_N = np.strings.rfind(id_N, "J"), np.strings.str_len(id_N)
    sign_N = np.maximum(np.strings.rfind(id_N, "+"), np.strings.rfind(id_N, "-"))
    # Numbers of as many digits stand in the same columns, where they are read all at once.
    layout_N = np.where((j_N >= 0) & (j_N < sign_N), (j_N * width + sign_N) * width + end_N, -1)
    for layout in np.unique(layout_N[layout_N >= 0]).tolist():
        rows = np.flatnonzero(layout_N == layout)
        j, sign, end = int(j_N[rows[0]]), int(sign_N[rows[0]]), int(end_N[rows[0]])
        ra_R = _sexagesimal(code_NK[rows, j + 1 : sign])
        dec_R = _sexagesimal(code_NK[rows, sign + 1 : end])
        south_R = code_NK[rows, sign] == ord("-")
        position_N2[rows] = np.stack([15 * ra_R, np.where(south_R, -dec_R, dec_R)], 1)
    return position_N2


def _sexagesimal(code_RK: NDArray[np.uint32]) -> NDArray[np.float64]:
    """The value of texts such as 083727.019 in units of the first two digits, NaN of others."""
    if code_RK.shape[1] <= POINT + 1:
        return np.full(len(code_RK), np.nan)
    is_point_R = code_RK[:, POINT] == ord(".")
    digit_RK = np.delete(code_RK, POINT, axis=1).astype(np.float64) - ord("0")
    decimals = 10.0 ** -np.arange(1, digit_RK.shape[1] - POINT + 1) / 3600
    value_R = digit_RK @ np.concatenate([UNITS, decimals])
    are_digits_R = ((digit_RK >= 0) & (digit_RK <= 9)).all(axis=1)
    return np.where(is_point_R & are_digits_R, value_R, np.nan)


def _check_blank(path: Path, blank_N: NDArray[np.bool_]) -> None:
    if blank_N.any():
        raise BadDataError(
            f"{path}: {blank_N.sum()} of {len(blank_N)} rows have no ID or lie at RA = Dec = 0,"
            f" the first is row {int(np.argmax(blank_N)) + 1}; the file has a hole, copy it again"
        )


def _check_ids(
    path: Path, id_N: NDArray[np.str_], ra_N: NDArray[np.float64], dec_N: NDArray[np.float64]
) -> None:
    """Refuse IDs that are out of step with the positions."""
    named_ra, named_dec = positions_in_ids(id_N).T
    d_ra = ((ra_N - named_ra + 180) % 360 - 180) * np.cos(np.radians(dec_N))
    apart_N = 3600 * np.hypot(d_ra, dec_N - named_dec)
    wrong_N = apart_N > ID_ERROR
    told = int(np.isfinite(apart_N).sum())
    if wrong_N.sum() > ID_SHARE * told:
        first = int(np.argmax(wrong_N))
        raise BadDataError(
            f"{path}: {wrong_N.sum()} of {told} IDs name another position than their row has, the"
            f" first is {id_N[first]} at {ra_N[first]:.5f} {dec_N[first]:+.5f}; IDs and rows are"
            " out of step"
        )


def _empty_band(table: Mapping[str, NDArray[Any]], suffix: str) -> str:
    """What leaves a band without any magnitude, "" if nothing does."""
    magnitude_N = table[f"MAG_GAAP_{suffix}"]
    if (np.ma.filled(table[f"FLAG_GAAP_{suffix}"], 1) != 0).all():
        return f"FLAG_GAAP_{suffix} is set in every row"
    if np.isnan(known_magnitudes(magnitude_N)).all():
        return f"MAG_GAAP_{suffix} has no magnitude in any row"
    return ""
