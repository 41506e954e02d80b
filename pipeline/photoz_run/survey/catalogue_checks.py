"""What a catalogue says of itself is checked on all of its rows, before a selection drops any.

A contradiction of rows and positions refuses the catalogue; what may be meant is a remark in the
tile's outcome. docs/bad-input.md has the table.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_run.errors import BadDataError
from photoz_run.science.photometry import MISSING_MAGNITUDE
from photoz_run.survey.data_release import DataRelease

KIDS_ID = re.compile(r"J(\d\d)(\d\d)(\d\d\.\d+)([+-])(\d\d)(\d\d)(\d\d\.\d+)$")
"""The position in an ID of KiDS: KiDSDR5 J083727.019+025147.11."""
ID_ERROR = 1.0
"""arcsec that an ID may differ from its position; its last digits are 0.015 and 0.01 arcsec."""
ID_SHARE = 0.01
"""Share of the IDs that may differ more: an astrometry that was mended later moves a few."""
IDS_LOOKED_AT = 5000
"""IDs whose positions are read, spread over the rows: a share of 0.01 is 50 of them."""
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
    """Right ascension and declination (deg) that IDs of KiDS name, shape (N, 2), NaN in others."""
    position_N2 = np.full((len(id_N), 2), np.nan)
    for n, name in enumerate(id_N.tolist()):
        if found := KIDS_ID.search(name):
            hours, minutes, seconds, sign, degrees, arcmin, arcsec = found.groups()
            ra = 15 * (int(hours) + int(minutes) / 60 + float(seconds) / 3600)
            dec = int(degrees) + int(arcmin) / 60 + float(arcsec) / 3600
            position_N2[n] = ra, -dec if sign == "-" else dec
    return position_N2


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
    spread = slice(None, None, max(1, len(id_N) // IDS_LOOKED_AT))
    id_N, ra_N, dec_N = id_N[spread], ra_N[spread], dec_N[spread]
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
    with np.errstate(invalid="ignore"):
        if not (np.abs(magnitude_N) < MISSING_MAGNITUDE).any():
            return f"MAG_GAAP_{suffix} has no magnitude in any row"
    return ""
