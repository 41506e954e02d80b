"""Attached columns of a release beside the tables that they were taken from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run.catalogue.on_disk import file_digest
from photoz_run.errors import ConfigError
from photoz_run.release.attach import Attachment, attach
from photoz_run.release.plain import plain_rows
from photoz_run.release.proof.check import Check, verdict
from photoz_run.release.proof.compare import Difference, unequal
from photoz_run.release.provenance import AttachedFacts
from photoz_run.tables.keys import Names
from photoz_run.wording import counted

KEY = ["ID", "RAJ2000", "DECJ2000"]
"""What sources are joined by."""


@dataclass
class TableCopy:
    """The columns of a table, joined anew to the rows of the release."""

    stated: AttachedFacts
    table: Attachment
    difference: Difference = field(default_factory=Difference)
    seen: int = 0

    def compare(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Join the next rows, and compare."""
        joined = plain_rows(self.table.add("", batch.select(KEY)))
        for name in self.stated.columns.values():
            self.difference.note(name, unequal(batch[name], joined[name]), self.seen)
        self.seen += len(batch)

    def checks(self) -> Iterator[Check]:
        """Values, and how many sources have a row."""
        problems = self.difference.problems()
        for name in ("matched", "unmatched", "ambiguous"):
            number, stated = self.table.counts[name], getattr(self.stated, name)
            if number != stated:
                problems.append(f"{number:,} sources are {name}, not {stated:,}")
        good = (
            f"{self.seen:,} rows,"
            f" {counted(len(self.stated.columns), 'column')} of {file_names(self.stated)}"
        )
        yield verdict("attached = table", problems, good)


def table_copies(
    attached: Sequence[AttachedFacts], paths: Sequence[Path], taken: Sequence[str]
) -> Iterator[TableCopy]:
    """The tables among ``paths`` that were attached, each to be compared.

    Parameters
    ----------
    attached
        What the release says that it attached.
    paths
        Tables that the user has.
    taken
        Columns of the release that are not attached.

    Raises
    ------
    ConfigError
        If one of ``paths`` was not attached, by its sha256, or cannot be read.
    """
    for path in paths:
        digests = _digests(path)
        facts = [one for one in attached if {file.sha256 for file in one.files} <= digests]
        if not facts:
            raise ConfigError(
                f"--attached {path}: the release has nothing of a table with this sha256;"
                f" it names {', '.join(map(file_names, attached)) or 'none'}"
            )
        for stated in facts:
            yield TableCopy(stated, _attachment(path, stated, taken))


def not_compared(attached: Sequence[AttachedFacts], copies: Sequence[TableCopy]) -> Iterator[Check]:
    """A check that was not made for each table that nobody gave."""
    compared = [copy.stated for copy in copies]
    for stated in attached:
        if stated not in compared:
            words = f"not compared: give the table with --attached ({file_names(stated)})"
            yield Check("attached = table", None, words)


def file_names(stated: AttachedFacts) -> str:
    """The files of an attached table, the first of them if there are several."""
    first, *more = [file.name for file in stated.files]
    return f"{first} and {len(more)} more" if more else first


def _digests(table: Path) -> set[str]:
    """The sha256 of a file, or of all in a folder; ``#NAME`` names a table in a file."""
    path = table.with_name(table.name.partition("#")[0])
    if not path.exists():
        raise ConfigError(f"--attached {path}: file not found")
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {file_digest(file) for file in files if file.is_file()}


def _attachment(path: Path, stated: AttachedFacts, taken: Sequence[str]) -> Attachment:
    by_id = stated.by == "id"
    names = Names()
    if stated.key:
        names = Names(id=stated.key[0]) if by_id else Names(*stated.key)
    columns = [f"{name}={new}" for name, new in stated.columns.items()]
    return attach(path, stated.by, columns, taken, names)
