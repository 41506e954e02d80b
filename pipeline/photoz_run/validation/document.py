"""The file for other programs: metrics.json, whose records stand here.

A number that could not be measured is None in a record and null in the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import ClassVar

from photoz_models.documents import Record, document_text, read_document
from photoz_models.whole_files import written_whole
from photoz_run.flags import SCIENCE_CUT
from photoz_run.validation.findings import Finding
from photoz_run.validation.metrics import Estimate, Group
from photoz_run.validation.pairs import PairCounts
from photoz_run.validation.result import ComparedColumn, GateOutcome, Result
from photoz_run.validation.specz import SpecTable
from photoz_run.validation.uncertainty import Distribution, Quality


@dataclass(frozen=True)
class EstimateRecord(Record):
    """A statistic, its 68% interval over ``groups`` (0: none), its error by galaxy alone."""

    value: float | None
    low: float | None
    high: float | None
    by_galaxy: float | None = None
    groups: int = 0


@dataclass(frozen=True)
class CatalogueRecord(Record):
    """What was validated."""

    path: str
    rows: int
    rows_with_repeated_id: int


@dataclass(frozen=True)
class SubjectRecord(Record):
    """The model, the run and the selection behind the catalogue; "" for what is not known."""

    warning: str
    """What must be said before any number; "" if nothing must."""
    model: str
    model_version: str
    model_digest: str
    model_training: str
    simulated_training: bool
    run_digest: str
    run_selection: str
    validated_selection: str


@dataclass(frozen=True)
class SpecTableRecord(Record):
    """The rows of one spec-z table: how many fail its cut, cannot be used, and were used."""

    rows: int
    poor: int
    unusable: int
    used: int
    file: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Right ascension, declination and redshift as the table calls them."""
    quality: str = ""
    """The cut that was made, "" for none."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Rows left out, by reason."""


@dataclass(frozen=True)
class MatchRecord(Record):
    """What became of the spec-z; the words are those of `pairs.PairCounts`."""

    specz: int
    in_footprint: int
    matched: int
    ambiguous: int
    duplicates: int
    conflicting: int
    pairs: int
    without_photoz: int
    completeness: float | None


@dataclass(frozen=True)
class QualityRecord(Record):
    """Errors and distributions of one set of galaxies; a category has no edges."""

    bin: str
    low_edge: float | None
    high_edge: float | None
    n: int
    statistics: dict[str, EstimateRecord]
    ks: float | None
    ks_p: float | None
    cvm: float | None
    cvm_p: float | None


@dataclass(frozen=True)
class DistributionRecord(Record):
    """Quality of the predicted distributions, and which quantiles it was computed from."""

    source: str
    overall: QualityRecord
    bins: dict[str, list[QualityRecord]]


@dataclass(frozen=True)
class SpikeRecord(Record):
    """The most significant excess of one bin of n(z_phot) over its neighbours."""

    z: float | None
    excess: float | None
    significance: float | None


@dataclass(frozen=True)
class RedshiftDistributionRecord(Record):
    """Structure of n(z_phot): its worst spike, and its correlation with the training redshifts."""

    worst_spike: SpikeRecord
    training_correlation: float | None
    training_correlation_error: float | None


@dataclass(frozen=True)
class RepeatabilityRecord(Record):
    """Differences of two measurements of one source; see `overlap.Repeatability`."""

    n: int
    median: float | None
    scatter: float | None
    pull: float | None


@dataclass(frozen=True)
class FindingRecord(Record):
    """One bin that stands out, in numbers and in words."""

    breakdown: str
    label: str
    n: int
    kind: str
    value: float | None
    usual: float | None
    significance: float | None
    sentence: str


@dataclass(frozen=True)
class GateRecord(Record):
    """One limit tested on one set of galaxies."""

    gate: str
    where: str
    value: int | float | None
    limit: str
    passed: bool


@dataclass(frozen=True)
class ComparisonRecord(Record):
    """Another redshift column on the galaxies that have both redshifts."""

    n: int
    statistics: dict[str, EstimateRecord]
    z_phot_minus_other: dict[str, EstimateRecord]


@dataclass(frozen=True)
class ScienceRecord(Record):
    """The galaxies of the recommended cut."""

    cut: str
    """The expression."""
    n: int
    statistics: dict[str, EstimateRecord]


@dataclass(frozen=True)
class RepresentativeRecord(Record):
    """The pairs weighted to the whole catalogue; see `representative.Representative`."""

    columns: list[str]
    pairs: int
    without_spectrum: float
    effective_number: dict[str, float]
    statistics: dict[str, dict[str, EstimateRecord]]


@dataclass(frozen=True)
class BinRecord(Record):
    """The galaxies of one bin of a breakdown; a category has no edges."""

    bin: str
    low_edge: float | None
    high_edge: float | None
    n: int
    statistics: dict[str, EstimateRecord]


@dataclass(frozen=True)
class Metrics(Record):
    """The content of metrics.json."""

    SCHEMA: ClassVar[int] = 3

    schema_version: int
    subject: SubjectRecord
    catalogue: CatalogueRecord
    specz: dict[str, SpecTableRecord]
    match: MatchRecord
    n: int
    errors_over: str
    """The groups over which errors are taken, in words."""
    statistics: dict[str, EstimateRecord]
    science: ScienceRecord | None
    representative: RepresentativeRecord | None
    distribution: DistributionRecord | None
    nz: RedshiftDistributionRecord
    repeatability: RepeatabilityRecord
    findings: list[FindingRecord]
    notes: list[str]
    gates: list[GateRecord]
    passed: bool
    comparisons: dict[str, ComparisonRecord]
    breakdowns: dict[str, list[BinRecord]]


def read_metrics(path: Path) -> Metrics:
    """Read metrics.json.

    Raises
    ------
    DocumentError
        If the file cannot be read or does not fit; the message names the file and the field.
    """
    return read_document(Metrics, path)


def write_metrics(metrics: Metrics, path: Path) -> None:
    """Write metrics.json."""
    with written_whole(path) as beside:
        beside.write_text(document_text(metrics), encoding="utf-8")


def metrics_of(result: Result, outcomes: Sequence[GateOutcome] = ()) -> Metrics:
    """Gather a result and its gates in one document."""
    return Metrics(
        schema_version=Metrics.SCHEMA,
        subject=SubjectRecord(warning=result.subject.banner, **asdict(result.subject)),
        catalogue=CatalogueRecord(result.catalogue, result.rows, result.repeated),
        specz={name: _spec_table(table) for name, table in result.specz.items()},
        match=_match(result.counts),
        n=result.overall.n,
        errors_over=result.grouping,
        statistics=_estimates(result.overall.estimates),
        science=_science(result),
        representative=_representative(result),
        distribution=_distribution(result.distribution),
        nz=_redshift_distribution(result),
        repeatability=_repeatability(result),
        findings=[_finding(finding) for finding in result.findings],
        notes=list(result.notes),
        gates=[_gate(outcome) for outcome in outcomes],
        passed=all(outcome.passed for outcome in outcomes),
        comparisons={
            comparison.group.label: _comparison(comparison) for comparison in result.comparisons
        },
        breakdowns={
            name: [_bin(group) for group in groups] for name, groups in result.breakdowns.items()
        },
    )


def _science(result: Result) -> ScienceRecord | None:
    group = result.science
    if group is None:
        return None
    return ScienceRecord(SCIENCE_CUT, group.n, _estimates(group.estimates))


def _representative(result: Result) -> RepresentativeRecord | None:
    r = result.representative
    if r is None:
        return None
    labels = [group.label for group in r.weighted]
    return RepresentativeRecord(
        columns=list(r.columns),
        pairs=r.pairs,
        without_spectrum=r.without,
        effective_number=dict(zip(labels, r.effective, strict=True)),
        statistics={group.label: _estimates(group.estimates) for group in r.weighted},
    )


def measured(value: float) -> float | None:
    """The number, or None where it could not be measured."""
    return value if isfinite(value) else None


def _estimate(estimate: Estimate) -> EstimateRecord:
    return EstimateRecord(
        value=measured(estimate.value),
        low=measured(estimate.low),
        high=measured(estimate.high),
        by_galaxy=measured(estimate.by_galaxy),
        groups=estimate.groups,
    )


def _estimates(estimates: Mapping[str, Estimate]) -> dict[str, EstimateRecord]:
    return {name: _estimate(estimate) for name, estimate in estimates.items()}


def _match(counts: PairCounts) -> MatchRecord:
    return MatchRecord(
        specz=counts.specz,
        in_footprint=counts.in_footprint,
        matched=counts.matched,
        ambiguous=counts.ambiguous,
        duplicates=counts.duplicates,
        conflicting=counts.conflicting,
        pairs=counts.pairs,
        without_photoz=counts.without_photoz,
        completeness=measured(counts.completeness),
    )


def _distribution(distribution: Distribution | None) -> DistributionRecord | None:
    if distribution is None:
        return None
    return DistributionRecord(
        source=distribution.source,
        overall=_quality(distribution.overall),
        bins={name: [*map(_quality, groups)] for name, groups in distribution.bins.items()},
    )


def _quality(quality: Quality) -> QualityRecord:
    tests = {name: measured(value) for name, value in asdict(quality.uniformity).items()}
    return QualityRecord(
        bin=quality.label,
        low_edge=measured(quality.low_edge),
        high_edge=measured(quality.high_edge),
        n=quality.n,
        statistics=_estimates(quality.estimates),
        **tests,
    )


def _redshift_distribution(result: Result) -> RedshiftDistributionRecord:
    z, excess, significance = result.spikes.worst
    correlation, error = result.imprint
    return RedshiftDistributionRecord(
        worst_spike=SpikeRecord(measured(z), measured(excess), measured(significance)),
        training_correlation=measured(correlation),
        training_correlation_error=measured(error),
    )


def _repeatability(result: Result) -> RepeatabilityRecord:
    repeatability = result.repeatability
    return RepeatabilityRecord(
        n=repeatability.n,
        median=measured(repeatability.median),
        scatter=measured(repeatability.scatter),
        pull=measured(repeatability.pull),
    )


def _finding(finding: Finding) -> FindingRecord:
    return FindingRecord(
        breakdown=finding.breakdown,
        label=finding.label,
        n=finding.n,
        kind=finding.kind,
        value=measured(finding.value),
        usual=measured(finding.usual),
        significance=measured(finding.significance),
        sentence=finding.sentence(),
    )


def _gate(outcome: GateOutcome) -> GateRecord:
    return GateRecord(
        gate=outcome.gate,
        where=outcome.where,
        value=measured(outcome.value),
        limit=outcome.limit,
        passed=outcome.passed,
    )


def _comparison(comparison: ComparedColumn) -> ComparisonRecord:
    return ComparisonRecord(
        n=comparison.group.n,
        statistics=_estimates(comparison.group.estimates),
        z_phot_minus_other=_estimates(comparison.paired),
    )


def _bin(group: Group) -> BinRecord:
    return BinRecord(
        bin=group.label,
        low_edge=measured(group.low_edge),
        high_edge=measured(group.high_edge),
        n=group.n,
        statistics=_estimates(group.estimates),
    )


def _spec_table(table: SpecTable) -> SpecTableRecord:
    columns = table.columns
    return SpecTableRecord(
        **table.counts,
        file=table.file,
        columns={"ra": columns.ra, "dec": columns.dec, "z": columns.z},
        quality=columns.quality,
        dropped=table.dropped,
    )
