"""A result of a validation as the document that other programs read."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite

from photoz_run.flags import SCIENCE_CUT
from photoz_run.validation.document import (
    BinRecord,
    CatalogueRecord,
    ComparisonRecord,
    DistributionRecord,
    EstimateRecord,
    FindingRecord,
    GateRecord,
    LackingMapRecord,
    LackingRecord,
    MatchRecord,
    Metrics,
    QualityRecord,
    RedshiftDistributionRecord,
    RepeatabilityRecord,
    RepresentativeRecord,
    ScienceRecord,
    SpecTableRecord,
    SpikeRecord,
    SubjectRecord,
    SuspectsRecord,
    TomographicBinRecord,
    TomographyRecord,
)
from photoz_run.validation.findings import Finding
from photoz_run.validation.metrics import Estimate, Group
from photoz_run.validation.pairs import PairCounts
from photoz_run.validation.quality import Quality
from photoz_run.validation.representative import Lacking
from photoz_run.validation.result import ComparedColumn, GateOutcome, Result
from photoz_run.validation.specz import SpecTable
from photoz_run.validation.tomography import Tomography
from photoz_run.validation.uncertainty import Distribution


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
        tomography=_tomography(result.tomography),
        repeatability=_repeatability(result),
        findings=[_finding(finding) for finding in result.findings],
        tiles_to_look_at=SuspectsRecord(
            result.suspects.expected, [_finding(tile) for tile in result.suspects.tiles]
        ),
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
    return ScienceRecord(SCIENCE_CUT, group.n, _estimates(group.estimates), *_weighted(group))


def _weighted(group: Group | Quality) -> tuple[dict[str, EstimateRecord], float | None]:
    return _estimates(group.weighted), measured(group.effective)


def _representative(result: Result) -> RepresentativeRecord | None:
    r = result.representative
    if r is None:
        return None
    effective = {"neighbours": result.overall.effective, "cells": r.effective_by_cells}
    estimates = {"neighbours": result.overall.weighted, "cells": r.by_cells}
    return RepresentativeRecord(
        columns=list(r.likeness.columns),
        pairs=r.pairs,
        without_spectrum=measured(r.lacking),
        effective_number=effective,
        statistics={weights: _estimates(part) for weights, part in estimates.items()},
        map=LackingMapRecord(
            r=[_lacking(part) for part in r.map.magnitudes],
            tile=[_lacking(part) for part in r.map.tiles],
            sources=r.map.sources_TM.tolist(),
            lacking=r.map.lacking_TM.tolist(),
        ),
    )


def _lacking(part: Lacking) -> LackingRecord:
    edges = measured(part.low_edge), measured(part.high_edge)
    return LackingRecord(part.label, *edges, part.sources, measured(part.share))


def measured(value: float) -> float | None:
    """The number, or None where it could not be measured."""
    return value if isfinite(value) else None


def estimate_record(estimate: Estimate) -> EstimateRecord:
    """A value with its errors, as the documents have it."""
    return EstimateRecord(
        value=measured(estimate.value),
        low=measured(estimate.low),
        high=measured(estimate.high),
        by_galaxy=measured(estimate.by_galaxy),
        groups=estimate.groups,
    )


def _estimates(estimates: Mapping[str, Estimate]) -> dict[str, EstimateRecord]:
    return {name: estimate_record(estimate) for name, estimate in estimates.items()}


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
        outside=counts.outside,
        without_source=counts.without_source,
        left_out=counts.left_out,
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
        weighted=_estimates(quality.weighted),
        effective_number=measured(quality.effective),
    )


def _redshift_distribution(result: Result) -> RedshiftDistributionRecord:
    z, excess, significance = result.spikes.worst
    correlation, error = result.imprint
    return RedshiftDistributionRecord(
        worst_spike=SpikeRecord(measured(z), measured(excess), measured(significance)),
        training_correlation=measured(correlation),
        training_correlation_error=measured(error),
    )


def _tomography(nz: Tomography | None) -> TomographyRecord | None:
    if nz is None:
        return None
    bins = []
    for k, part in enumerate(nz.bins):
        record = TomographicBinRecord(
            low_edge=part.low,
            high_edge=part.high,
            sources=part.sources,
            spectra=part.galaxies,
            effective_number=part.effective,
            mean_predicted=estimate_record(part.mean_predicted),
            mean_spectroscopic=estimate_record(part.mean_spectroscopic),
            mean_difference=estimate_record(part.mean_difference),
            width_predicted=estimate_record(part.width_predicted),
            width_spectroscopic=estimate_record(part.width_spectroscopic),
            same_galaxies=estimate_record(part.same_galaxies),
            predicted=nz.predicted_BK[k].tolist(),
            spectroscopic=nz.spectroscopic_BK[k].tolist(),
        )
        bins.append(record)
    return TomographyRecord(nz.assigned, nz.source, nz.weights, nz.grid_G.tolist(), bins)


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
        weighted=_estimates(comparison.group.weighted),
        effective_number=measured(comparison.group.effective),
    )


def _bin(group: Group) -> BinRecord:
    return BinRecord(
        bin=group.label,
        low_edge=measured(group.low_edge),
        high_edge=measured(group.high_edge),
        n=group.n,
        statistics=_estimates(group.estimates),
        weighted=_estimates(group.weighted),
        effective_number=measured(group.effective),
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
