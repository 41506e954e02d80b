"""``photoz release --attach``: columns of another table, joined to the sources by ID or position.

While the release is merged, memory holds the key and the columns asked for, nothing else.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from photoz_run.catalogue.arrow_fields import about, code_and_size, is_text
from photoz_run.catalogue.table import further_column
from photoz_run.catalogue.tile_files import file_digest
from photoz_run.errors import BadDataError, ConfigError
from photoz_run.release.lookup import IdLookup, SkyLookup
from photoz_run.release.passthrough import refuse_taken
from photoz_run.release.provenance import AttachedFacts, AttachedFile
from photoz_run.survey.catalogues import column_names, count_rows
from photoz_run.survey.columns import column_facts, read_values
from photoz_run.validation.catalogue import POSITIONS

By: TypeAlias = Literal["id", "position"]
RADIUS = 1.0
"""arcsec: less than five pixels of OmegaCAM, far below the distance of neighbours with r < 20."""
ROWS = 1 << 20
"""Rows of a FITS table that are turned into columns at once."""
EXAMPLES = 5
"""Columns named in a message."""
DESCRIBED = ("unit", "ucd", "description")
"""What is taken over of the description of a column."""


@dataclass
class Attachment:
    """The columns of a table, in the order of the lookup; ``counts`` grow with every `add`."""

    path: Path
    by: By
    names: Mapping[str, str]
    """The columns as the table calls them, and as the release does."""
    lookup: IdLookup | SkyLookup
    fields: list[pa.Field]
    columns: list[pa.ChunkedArray]
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, tile: str, table: pa.Table) -> pa.Table:
        """``table`` with the attached columns at its end, null for sources without a row there.

        Of several rows that belong to a source, the first is taken (by ID), or the nearest (by
        position).
        """
        matches = self.lookup.find(table)
        self.counts.update(matches.counts())
        rows = pa.array(matches.row_N, mask=matches.row_N < 0)
        for column, values in zip(self.fields, self.columns, strict=True):
            table = table.append_column(column, values.take(rows).cast(column.type))
        return table

    def facts(self) -> AttachedFacts:
        """What was attached and how, for the provenance."""
        files = [self.path] if self.path.is_file() else sorted(self.path.rglob("*.parquet"))
        return AttachedFacts(
            files=tuple(
                AttachedFile(file.name, file.stat().st_size, file_digest(file)) for file in files
            ),
            by=self.by,
            radius_arcsec=RADIUS if self.by == "position" else None,
            columns=dict(self.names),
            matched=self.counts["matched"],
            unmatched=self.counts["unmatched"],
            ambiguous=self.counts["ambiguous"],
        )


def attach(path: Path, by: By, columns: Sequence[str], taken: Sequence[str]) -> Attachment:
    """Read a table, Parquet (a file or a folder) or FITS, for joining.

    Parameters
    ----------
    path
        The table.
    by
        ``id`` (its column ID), or ``position`` (its right ascension and declination, deg) within
        `RADIUS`.
    columns
        What to attach: ``NAME``, or ``NAME=NEW`` to call it NEW; if empty, all but the key.
    taken
        Columns that the release has already.

    Raises
    ------
    ConfigError
        If a column is not there, has a type that a catalogue does not have, or a name that the
        release has already.
    BadDataError
        If the table cannot be read.
    """
    source = _ParquetSource(path) if _is_parquet(path) else _FitsSource(path)
    present = source.names()
    key = _key(path, by, present)
    renamed = _renamed(columns) or {name: name for name in present if name not in key}
    _refuse_unknown(path, list(renamed), present)
    refuse_taken("--attach", list(renamed.values()), taken, _remedy(renamed, taken))
    fields = [field.with_name(renamed[field.name]) for field in source.fields(list(renamed))]
    _refuse_unknown_types(fields)
    table = source.read(list(dict.fromkeys([*key, *renamed])))
    lookup, order_M = _lookup(path, table, by, key)
    order = pa.array(order_M)
    values = [table[name].take(order) for name in renamed]
    return Attachment(path, by, renamed, lookup, fields, values)


def _refuse_unknown_types(fields: Sequence[pa.Field]) -> None:
    for column in fields:
        if not is_text(column.type):
            code_and_size(column)


def _lookup(
    path: Path, table: pa.Table, by: By, key: Sequence[str]
) -> tuple[IdLookup | SkyLookup, NDArray[np.intp]]:
    """What finds the rows of ``table``, and the order of rows in which it counts."""
    if by == "id":
        return IdLookup.of(table["ID"])
    ra_M, dec_M = (_degrees(path, table, name) for name in key)
    return SkyLookup.of(ra_M, dec_M, RADIUS)


class _ParquetSource:
    """A Parquet file, or all of a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._data = ds.dataset(path, format="parquet")
        except (OSError, pa.ArrowException) as error:
            raise BadDataError(f"{path}: not a readable Parquet table ({error})") from error

    def names(self) -> list[str]:
        return list(self._data.schema.names)

    def fields(self, names: Sequence[str]) -> list[pa.Field]:
        return [self._field(self._data.schema.field(name)) for name in names]

    def read(self, names: Sequence[str]) -> pa.Table:
        try:
            table = self._data.to_table(columns=list(names))
        except (OSError, pa.ArrowException) as error:
            raise BadDataError(
                f"{self._path}: cannot be read ({error}); it is damaged, copy it again"
            ) from error
        return pa.table({name: _without_nan(_long_text(table[name])) for name in names})

    def _field(self, field: pa.Field) -> pa.Field:
        metadata = {key: value for key, value in about(field).items() if key in DESCRIBED}
        metadata.setdefault("description", f"{field.name} of {self._path.name}")
        kind = pa.string() if is_text(field.type) else field.type
        return pa.field(field.name, kind, True, metadata)


class _FitsSource:
    """The first table of a FITS file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        return column_names(self._path)

    def fields(self, names: Sequence[str]) -> list[pa.Field]:
        facts = column_facts(self._path, names, self._path.name)
        return [further_column(column, np.zeros(0, column.dtype))[0] for column in facts.values()]

    def read(self, names: Sequence[str]) -> pa.Table:
        facts = column_facts(self._path, names)
        return pa.concat_tables([pa.table(part) for part in self._parts(facts)])

    def _parts(self, facts: dict[str, Any]) -> Iterator[dict[str, pa.Array]]:
        # A table without rows has one part without rows.
        for start in range(0, max(1, count_rows(self._path)), ROWS):
            values = read_values(self._path, list(facts), start, start + ROWS)
            part = {}
            for name, column in facts.items():
                _, array = further_column(column, values[name])
                part[name] = _long_text(array)
            yield part


def _is_parquet(path: Path) -> bool:
    if not path.exists():
        raise ConfigError(f"--attach {path}: file not found")
    return path.is_dir() or path.suffix in (".parquet", ".pq")


def _key(path: Path, by: By, present: Sequence[str]) -> list[str]:
    if by == "id":
        if "ID" not in present:
            raise ConfigError(
                f"--attach {path}: no column ID; join it by position (--attach-by position)"
            )
        return ["ID"]
    for pair in POSITIONS:
        if all(name in present for name in pair):
            return list(pair)
    known = ", ".join("/".join(pair) for pair in POSITIONS)
    raise ConfigError(
        f"--attach {path}: no position columns ({known}); join it by ID (--attach-by id)"
    )


def _renamed(columns: Sequence[str]) -> dict[str, str]:
    """The columns asked for, and what each is to be called."""
    pairs = [column.partition("=") for column in columns]
    return {name: new or name for name, _, new in pairs}


def _refuse_unknown(path: Path, names: Sequence[str], present: Sequence[str]) -> None:
    for name in names:
        if name not in present:
            raise ConfigError(f"--attach {path}: no column {name!r}; it has {', '.join(present)}")


def _remedy(renamed: dict[str, str], taken: Sequence[str]) -> str:
    present = {name.lower() for name in taken}
    free = [name for name in renamed.values() if name.lower() not in present]
    more = ["..."] if len(free) > EXAMPLES else []
    words = ["--attach-columns", *free[:EXAMPLES], *more]
    return f"name those you want, {' '.join(words)}, and give another name with NAME=NEW"


def _degrees(path: Path, table: pa.Table, name: str) -> Any:
    values = table[name]
    if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
        raise ConfigError(
            f"--attach {path}: column {name} is no position in degrees, it is {values.type}"
        )
    return values.cast(pa.float64()).to_numpy()


def _long_text(values: Any) -> Any:
    """Texts with long offsets, because those of a table may fill more than 2 GB; else unchanged."""
    return values.cast(pa.large_string()) if is_text(values.type) else values


def _without_nan(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_floating(values.type):
        return values
    return pc.if_else(pc.is_nan(values), None, values)
