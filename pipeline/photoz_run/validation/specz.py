"""Spectroscopic redshifts: recognising a survey's table and selecting its reliable rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_run.errors import BadDataError, ConfigError, context
from photoz_run.science.selection import names_in, select
from photoz_run.validation.settings import SpecSettings
from photoz_run.validation.tables import Columns, column_names, read_columns


@dataclass(frozen=True)
class Preset:
    """How one survey names its columns, and its usual cut on quality."""

    name: str
    ra: str
    dec: str
    z: str
    quality: str


PRESETS = (
    Preset("GAMA", "RAcen", "Deccen", "Z", "uberclass == 1 and NQ > 2 and SC > 3"),
    Preset("GAMA", "RA", "DEC", "Z", "NQ > 2"),
    Preset("DESI", "TARGET_RA", "TARGET_DEC", "Z", "ZWARN == 0 and DELTACHI2 > 40"),
    Preset("SDSS", "PLUG_RA", "PLUG_DEC", "Z", "ZWARNING == 0"),
    Preset("SDSS", "ra", "dec", "z", "zWarning == 0"),
    Preset("2dFLenS", "RA", "Dec", "z", "qual > 2"),
    Preset("2dFLenS", "R.A.", "Dec.", "z", "qual > 2"),
    Preset("spec-z", "RA", "DEC", "Z", ""),
    Preset("spec-z", "RAJ2000", "DECJ2000", "Z_SPEC", ""),
    Preset("spec-z", "ra", "dec", "z", ""),
)
"""Tried in order; the first one whose columns all exist, those of its cut too, is taken."""


@dataclass(frozen=True)
class SpecSample:
    """Reliable spectroscopic redshifts of one or several tables, in order of priority.

    ``source_M`` indexes ``sources``. The counts are by source: ``rows`` in the table, ``poor``
    that fail the cut on quality, ``unusable`` without finite position and redshift.
    """

    ra_M: NDArray[np.float64]
    dec_M: NDArray[np.float64]
    z_M: NDArray[np.float64]
    source_M: NDArray[np.int64]
    sources: tuple[str, ...]
    counts: dict[str, dict[str, int]]

    def __len__(self) -> int:
        return len(self.z_M)


def read_specz(tables: Sequence[SpecSettings]) -> SpecSample:
    """Read and select spec-z tables; earlier tables have priority where several hold one galaxy.

    Raises
    ------
    ConfigError
        If columns are missing or not recognised; the message says which exist.
    BadDataError
        If a table has no usable redshift at all.
    """
    if not tables:
        raise ConfigError("no spec-z table: give --specz FILE")
    parts: list[dict[str, NDArray[np.float64]]] = []
    names: list[str] = []
    counts: dict[str, dict[str, int]] = {}
    for table in tables:
        preset = _resolve(table)
        name = _unique(preset.name, names)
        with context(str(table.file)):
            part, counts[name] = _read_one(table.file, preset)
        parts.append(part)
        names.append(name)
    lengths = [len(part["z"]) for part in parts]
    return SpecSample(
        ra_M=np.concatenate([part["ra"] for part in parts]),
        dec_M=np.concatenate([part["dec"] for part in parts]),
        z_M=np.concatenate([part["z"] for part in parts]),
        source_M=np.repeat(np.arange(len(parts)), lengths),
        sources=tuple(names),
        counts=counts,
    )


def _resolve(table: SpecSettings) -> Preset:
    """The columns to read: those named, the rest as in the first preset that fits."""
    present = column_names(table.file)
    named = Preset(table.name, table.ra, table.dec, table.z, table.quality or "")
    known = next((preset for preset in PRESETS if _fits(preset, named, present)), None)
    if known is None and not (table.ra and table.dec and table.z):
        raise ConfigError(
            f"{table.file}: position and redshift columns not recognised; name them in"
            f" a [[specz]] table (ra, dec, z, quality); it has {', '.join(present)}"
        )
    known = known or Preset("", "", "", "", "")
    quality = known.quality if table.quality is None else table.quality
    resolved = Preset(
        table.name or known.name or Path(table.file).stem,
        table.ra or known.ra,
        table.dec or known.dec,
        table.z or known.z,
        quality,
    )
    missing = [name for name in _columns(resolved) if name not in present]
    if missing:
        raise ConfigError(f"{table.file}: no column {missing[0]!r}; it has {', '.join(present)}")
    return resolved


def _fits(preset: Preset, named: Preset, present: Sequence[str]) -> bool:
    """Whether a preset agrees with the names given and its columns exist."""
    agrees = all(
        given in ("", own)
        for given, own in zip(
            (named.ra, named.dec, named.z), (preset.ra, preset.dec, preset.z), strict=True
        )
    )
    return agrees and all(name in present for name in _columns(preset))


def _columns(preset: Preset) -> list[str]:
    return [preset.ra, preset.dec, preset.z, *(names_in(preset.quality) if preset.quality else [])]


def _read_one(path: Path, preset: Preset) -> tuple[dict[str, NDArray[np.float64]], dict[str, int]]:
    columns = read_columns([path], _columns(preset))
    n = len(columns[preset.z])
    good = select(preset.quality, columns, n) if preset.quality else np.ones(n, bool)
    values = {
        key: _floats(columns, name)
        for key, name in (("ra", preset.ra), ("dec", preset.dec), ("z", preset.z))
    }
    # Surveys write -9, -1 or 0 where a redshift failed; stars lie within 0.001 of 0.
    usable = np.isfinite(values["ra"]) & np.isfinite(values["dec"]) & (values["z"] > 0.001)
    keep = good & usable
    if not keep.any():
        raise BadDataError(
            f"none of its {n} rows has a usable redshift ({int(np.sum(~good))} fail the cut "
            f"{preset.quality or 'none'!r}, {int(np.sum(~usable))} lack a position or a redshift"
            " above 0.001)"
        )
    counts = {
        "rows": n,
        "poor": int(np.sum(~good)),
        "unusable": int(np.sum(good & ~usable)),
        "used": int(np.sum(keep)),
    }
    return {key: value[keep] for key, value in values.items()}, counts


def _floats(columns: Columns, name: str) -> NDArray[np.float64]:
    values: NDArray[Any] = columns[name]
    if values.dtype.kind not in "fiu":
        raise BadDataError(f"column {name!r} is not numeric")
    return values.astype(np.float64)


def _unique(name: str, taken: Sequence[str]) -> str:
    """The name, numbered where two tables have the same."""
    if name not in taken:
        return name
    return next(f"{name} {k}" for k in range(2, len(taken) + 2) if f"{name} {k}" not in taken)
