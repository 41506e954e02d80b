"""The magnitudes of any table, band by band: which columns hold them, which values are missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run.errors import BadDataError
from photoz_run.science.photometry import known_magnitudes, mean_magnitude, valid_magnitudes
from photoz_run.survey.catalogues import set_flags
from photoz_run.survey.data_release import DR5, I_EPOCH_IMAGES
from photoz_run.tables.arrays import integers, reals
from photoz_run.tables.refusals import there_are
from photoz_run.tables.table import Table
from photoz_run.tables.units import refuse_other_than_magnitudes

MAGNITUDE, FLAG = "MAG_GAAP_", "FLAG_GAAP_"
BRIGHTEST, FAINTEST = 5.0, 40.0
"""The median of a column of galaxies' magnitudes lies between them; fluxes and colours do not."""


@dataclass(frozen=True)
class BandColumns:
    """The columns of a table that hold its magnitudes."""

    of_band: Mapping[str, tuple[str, ...]]
    """By band; two where two epochs are averaged in flux."""
    flags: Mapping[str, str]
    """The column that tells which values of a magnitude column are no good, where there is one."""

    @property
    def names(self) -> list[str]:
        """All that must be read."""
        magnitudes = [name for names in self.of_band.values() for name in names]
        return list(dict.fromkeys([*magnitudes, *self.flags.values()]))

    def __str__(self) -> str:
        parts = (f"{band}={'+'.join(names)}" for band, names in self.of_band.items())
        return ", ".join(parts)


def find_band_columns(
    table: Table, bands: Sequence[str], i_epoch: str, named: Mapping[str, str]
) -> BandColumns:
    """The columns of ``bands``: those ``named``, or KiDS's own MAG_GAAP_x.

    Other names are not guessed: a column z may be a magnitude or a redshift.

    Parameters
    ----------
    i_epoch
        Which epoch of i is wanted (`photoz_models.stamp_rule.StampRule`), where there are two.
    named
        Column by band.

    Raises
    ------
    BadDataError
        If a band has no column, a name is that of none, or a column has another unit.
    """
    if strange := [band for band in named if band not in bands]:
        raise BadDataError(
            f"--bands names {', '.join(strange)}; the network reads {', '.join(bands)}"
        )
    table.require(list(named.values()))
    of_band = {
        band: (named[band],) if band in named else _gaap(table, band, i_epoch) for band in bands
    }
    if missing := [band for band, names in of_band.items() if not names]:
        columns = [f"{MAGNITUDE}{band}" for band in missing]
        raise BadDataError(
            f"{table.where}: no column of magnitudes is known for {', '.join(missing)}; name them,"
            f" --bands {','.join(f'{band}=COLUMN' for band in missing)};"
            f" {there_are(columns, table.names)}"
        )
    flags = {}
    found = [name for names in of_band.values() for name in names]
    refuse_other_than_magnitudes(table, found)
    for name in found:
        flag = name.replace(MAGNITUDE, FLAG, 1)
        if name.startswith(MAGNITUDE) and not table.missing([flag]):
            flags[name] = flag
    return BandColumns(of_band, flags)


def band_magnitudes(where: str, rows: pa.Table, columns: BandColumns) -> NDArray[np.float32]:
    """Magnitudes [N, B]; NaN where missing: null, a code such as 99, or FLAG_GAAP set.

    Raises
    ------
    BadDataError
        If a column does not hold numbers, or numbers that are no magnitudes.
    """
    magnitudes_NB = np.empty((len(rows), len(columns.of_band)), np.float32)
    for b, names in enumerate(columns.of_band.values()):
        epochs = [_magnitudes(where, rows, name, columns.flags.get(name)) for name in names]
        magnitudes_NB[:, b] = epochs[0] if len(epochs) == 1 else mean_magnitude(*epochs)
    return magnitudes_NB


def _gaap(table: Table, band: str, i_epoch: str) -> tuple[str, ...]:
    """The KiDS columns of a band that the table has; empty if it does not tell."""
    own = f"{MAGNITUDE}{band}"
    if not table.missing([own]):
        return (own,)
    if band != "i" or i_epoch == "better":
        # Which epoch is the better one, the coadds of a tile say.
        return ()
    suffixes = (DR5.magnitude_suffix("i", image) for image in I_EPOCH_IMAGES[i_epoch])
    names = tuple(f"{MAGNITUDE}{suffix}" for suffix in suffixes)
    return () if table.missing(names) else names


def _magnitudes(where: str, rows: pa.Table, name: str, flag: str | None) -> NDArray[np.float32]:
    value_N = reals(where, rows, name)
    _refuse_others(where, name, value_N)
    flag_N = np.zeros(len(rows), np.int32) if flag is None else integers(where, rows, flag)
    return valid_magnitudes(value_N, set_flags(flag_N))


def _refuse_others(where: str, name: str, value_N: NDArray[np.floating]) -> None:
    """Refuse fluxes, colours and redshifts: `BadDataError` with the median."""
    present = value_N[np.isfinite(value_N)]
    usable = present[np.isfinite(known_magnitudes(present))]
    if len(usable):
        middle = float(np.median(usable))
        strange = not BRIGHTEST < middle < FAINTEST
    else:
        # Nothing but codes is a band that was not observed.
        middle = float(np.median(present)) if len(present) else 0.0
        strange = len(np.unique(present)) > 2
    if strange:
        raise BadDataError(
            f"{where}: column {name} holds no magnitudes: their median is {middle:.4g}"
        )
