"""``photoz release --attach``: columns of another table, joined to the sources by ID or position.

While the release is merged, memory holds the key and the columns asked for, nothing else.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from photoz_run.catalogue.arrow_fields import code_and_size, is_text
from photoz_run.catalogue.on_disk import file_digest
from photoz_run.errors import BadDataError, ConfigError, context
from photoz_run.release.lookup import IdLookup, SkyLookup
from photoz_run.release.passthrough import refuse_taken
from photoz_run.release.provenance import AttachedFacts, AttachedFile
from photoz_run.survey.columns import described
from photoz_run.tables.keys import (
    RECOGNISED,
    Names,
    id_column,
    id_columns,
    id_texts,
    position_columns,
    position_pair,
    positions,
)
from photoz_run.tables.opening import open_table
from photoz_run.tables.systems import refuse_other_systems
from photoz_run.tables.table import Table

By: TypeAlias = Literal["id", "position"]
RADIUS = 1.0
"""arcsec: less than five pixels of OmegaCAM, far below the distance of neighbours with r < 20."""
LEAST_MATCHED = 0.05
"""Share of the sources that must have a row: less is no join but a mistake."""
EXACT = 2**53
"""Integers up to this are whole as float64."""
EXAMPLES = 5
"""Columns named in a message."""


@dataclass
class Attachment:
    """The columns of a table, in the order of the lookup; ``counts`` grow with every `add`."""

    path: Path
    files: Sequence[Path]
    """Those that hold its rows."""
    by: By
    key: Sequence[str]
    """Its columns that were compared."""
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
        return AttachedFacts(
            files=tuple(
                AttachedFile(file.name, file.stat().st_size, file_digest(file))
                for file in self.files
            ),
            by=self.by,
            radius_arcsec=RADIUS if self.by == "position" else None,
            columns=dict(self.names),
            matched=self.counts["matched"],
            unmatched=self.counts["unmatched"],
            ambiguous=self.counts["ambiguous"],
            key=tuple(self.key),
        )

    def check_matched(self) -> None:
        """Refuse a join that found next to nothing: `ConfigError` says what it may be."""
        matched = self.counts["matched"]
        total = matched + self.counts["unmatched"]
        if not total or matched > LEAST_MATCHED * total:
            return
        cause = (
            f"are its {self.key[0]} those of the catalogue?"
            if self.by == "id"
            else f"are {self.key[0]} and {self.key[1]} degrees (J2000), does it cover the survey?"
        )
        raise ConfigError(
            f"--attach {self.path}: {matched:,} of {total:,} sources have a row by {self.by};"
            f" {cause}"
        )


def attach(
    path: Path,
    by: By,
    columns: Sequence[str],
    taken: Sequence[str],
    named: Names = RECOGNISED,
) -> Attachment:
    """Read a table of any kind for joining.

    Parameters
    ----------
    path
        The table.
    by
        ``id`` or ``position`` (right ascension and declination, deg), within `RADIUS`.
    columns
        What to attach: ``NAME``, or ``NAME=NEW`` to call it NEW; if empty, all but the key.
    taken
        Columns that the release has already.
    named
        Columns of the key; "" where they are to be recognised.

    Raises
    ------
    ConfigError
        If a column is not there, has a type that a catalogue does not have, or a name that the
        release has already.
    BadDataError
        If the table cannot be read.
    """
    if not path.exists() and "#" not in path.name:
        raise ConfigError(f"--attach {path}: file not found")
    asked = _renamed(columns)

    def will_do(table: Table) -> bool:
        found = id_columns(table, named) if by == "id" else position_pair(table, named)
        return bool(found) and not table.missing(list(asked))

    table = open_table(path, will_do)
    table.require(list(asked))
    key = _key(table, by, named)
    renamed = asked or {name: name for name in table.names if name not in key}
    refuse_taken("--attach", list(renamed.values()), taken, _remedy(renamed, taken))
    # The files of a release say that their coordinates are ICRS.
    places = position_pair(table, named) or ()
    refuse_other_systems(table, [name for name in places if name in renamed])
    fields = [
        described(one, path.name).with_name(renamed[one.name])
        for one in table.single(list(renamed))
    ]
    rows = table.read([*key, *renamed])
    fields = [_long_as_text(one, rows[name]) for one, name in zip(fields, renamed, strict=True)]
    for one in fields:
        if not is_text(one.type):
            with context(f"--attach {path}"):
                code_and_size(one)
    lookup: IdLookup | SkyLookup
    if by == "id":
        lookup, order_M = IdLookup.of(id_texts(table.where, rows, key[0]))
    else:
        ra_M, dec_M = positions(table, rows, key)
        lookup, order_M = SkyLookup.of(ra_M, dec_M, RADIUS)
    order = pa.array(order_M)
    values = [rows[name].take(order) for name in renamed]
    return Attachment(path, table.files(), by, key, renamed, lookup, fields, values)


def _long_as_text(field: pa.Field, values: pa.ChunkedArray) -> pa.Field:
    """Integers beyond 2^53 as text: beside a missing one pandas and astropy would round them."""
    if field.type == pa.uint64():
        # FITS has no such integers; those that are not long fit int64.
        return _long_as_text(field.with_type(pa.int64()), values)
    if field.type != pa.int64() or not len(values.drop_null()):
        return field
    extremes = pc.min_max(values).as_py()
    if max(abs(extremes["min"]), abs(extremes["max"])) <= EXACT:
        return field
    return field.with_type(pa.string())


def _key(table: Table, by: By, named: Names) -> list[str]:
    """The columns that are compared; the other way to join is told where they are not there."""
    try:
        return [id_column(table, named)] if by == "id" else list(position_columns(table, named))
    except BadDataError as error:
        other = "position" if by == "id" else "id"
        raise ConfigError(
            f"--attach {error}; or join it by {other} (--attach-by {other})"
        ) from error


def _renamed(columns: Sequence[str]) -> dict[str, str]:
    """The columns asked for, and what each is to be called."""
    return {name: new or name for name, _, new in (column.partition("=") for column in columns)}


def _remedy(renamed: dict[str, str], taken: Sequence[str]) -> str:
    present = {name.lower() for name in taken}
    free = [name for name in renamed.values() if name.lower() not in present]
    other = f" {' '.join(free[:5])}{' ...' if len(free) > 5 else ''}" if free else ""
    return f"name those you want, --attach-columns{other}, and give another name with NAME=NEW"
