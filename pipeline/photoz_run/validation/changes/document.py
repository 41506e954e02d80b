"""The file of a comparison for other programs: changes.json, whose records stand here."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar

from photoz_models.documents import Record, document_text, read_document
from photoz_models.whole_files import written_whole
from photoz_run.validation.changes.accuracy import Accuracy, Change
from photoz_run.validation.changes.compare import Changes, Compared
from photoz_run.validation.changes.rows import sentences
from photoz_run.validation.document import EstimateRecord, SubjectRecord
from photoz_run.validation.recording import estimate_record, measured


@dataclass(frozen=True)
class SideRecord(Record):
    """One of the two catalogues."""

    path: str
    sources: int
    only: int
    """Sources that the other lacks."""
    only_columns: list[str]
    subject: SubjectRecord


@dataclass(frozen=True)
class ColumnChangeRecord(Record):
    """What changed in a column, A minus B; see `columns.ColumnChange`."""

    name: str
    changed: int
    lost: int
    gained: int
    median: float | None
    smad: float | None
    far: float | None
    far_in_scatter: float | None


@dataclass(frozen=True)
class MoveRecord(Record):
    """How redshifts moved in one set of sources; see `moves.Move`."""

    breakdown: str
    label: str
    n: int
    changed: float | None
    median: float | None
    smad: float | None
    over_scatter: float | None
    beyond: float | None


@dataclass(frozen=True)
class FlagChangeRecord(Record):
    """Sources that have a flag in A alone, in B alone, and in both."""

    name: str
    only_a: int
    only_b: int
    both: int


@dataclass(frozen=True)
class ChangeRecord(Record):
    """A statistic of A and of B on the same galaxies; see `accuracy.Change`."""

    a: float | None
    b: float | None
    a_minus_b: EstimateRecord
    significance: float | None
    verdict: str


@dataclass(frozen=True)
class BinChangeRecord(Record):
    """The changes of one set of galaxies."""

    bin: str
    n: int
    statistics: dict[str, ChangeRecord]


@dataclass(frozen=True)
class AccuracyRecord(Record):
    """Statistics of both catalogues on the same galaxies."""

    n: int
    without_redshift_in_a: int
    without_redshift_in_b: int
    errors_over: str
    statistics: dict[str, ChangeRecord]
    breakdowns: dict[str, list[BinChangeRecord]]


@dataclass(frozen=True)
class ChangesDocument(Record):
    """The content of changes.json."""

    SCHEMA: ClassVar[int] = 1

    schema_version: int
    a: SideRecord
    b: SideRecord
    shared: int
    appeared: int
    vanished: int
    scatter: float | None
    scatter_is: str
    columns: list[ColumnChangeRecord]
    moves: list[MoveRecord]
    flags: list[FlagChangeRecord]
    accuracy: AccuracyRecord | None
    findings: list[str]
    notes: list[str]


def read_changes(path: Path) -> ChangesDocument:
    """Read changes.json; `DocumentError` names what does not fit."""
    return read_document(ChangesDocument, path)


def write_changes(changes: Changes, path: Path) -> None:
    """Write changes.json."""
    document = ChangesDocument(
        schema_version=ChangesDocument.SCHEMA,
        a=_side(changes.a),
        b=_side(changes.b),
        shared=changes.shared,
        appeared=changes.appeared,
        vanished=changes.vanished,
        scatter=measured(changes.scatter),
        scatter_is=changes.scatter_words,
        columns=[ColumnChangeRecord(**_measured(asdict(part))) for part in changes.columns],
        moves=[
            MoveRecord(**_measured(asdict(move)))
            for group in changes.moves.values()
            for move in group
        ],
        flags=[FlagChangeRecord(**asdict(flag)) for flag in changes.flags],
        accuracy=_accuracy(changes.accuracy),
        findings=sentences(changes),
        notes=list(changes.notes),
    )
    with written_whole(path) as beside:
        beside.write_text(document_text(document), encoding="utf-8")


def _side(side: Compared) -> SideRecord:
    subject = SubjectRecord(warning=side.subject.banner, **asdict(side.subject))
    return SideRecord(side.path, side.sources, side.only, list(side.only_columns), subject)


def _measured(values: Mapping[str, Any]) -> dict[str, Any]:
    """None for each number that could not be measured."""
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in values.items()
    }


def _accuracy(accuracy: Accuracy | None) -> AccuracyRecord | None:
    if accuracy is None:
        return None
    breakdowns: dict[str, list[BinChangeRecord]] = {}
    for part in accuracy.bins:
        record = BinChangeRecord(part.label, part.n, _changes(part.changes))
        breakdowns.setdefault(part.breakdown, []).append(record)
    return AccuracyRecord(
        n=accuracy.n,
        without_redshift_in_a=accuracy.without_a,
        without_redshift_in_b=accuracy.without_b,
        errors_over=accuracy.errors_over,
        statistics=_changes(accuracy.overall),
        breakdowns=breakdowns,
    )


def _changes(changes: Sequence[Change]) -> dict[str, ChangeRecord]:
    return {
        change.statistic: ChangeRecord(
            measured(change.a),
            measured(change.b),
            estimate_record(change.difference),
            measured(change.significance),
            change.verdict,
        )
        for change in changes
    }
