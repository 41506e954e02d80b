"""The file for other programs: metrics.json, whose records stand here.

A number that could not be measured is None in a record and null in the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from photoz_models.documents import Record, document_text, read_document
from photoz_models.whole_files import written_whole


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
    outside: int
    without_source: int
    left_out: int


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
    weighted: dict[str, EstimateRecord] = field(default_factory=dict)
    """Weighted to the whole catalogue; empty where that cannot be had."""
    effective_number: float | None = None


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
class SuspectsRecord(Record):
    """Tiles to look at, and how many entries chance makes; see `findings.suspects`."""

    expected_by_chance: float
    tiles: list[FindingRecord]


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
    weighted: dict[str, EstimateRecord] = field(default_factory=dict)
    effective_number: float | None = None


@dataclass(frozen=True)
class ScienceRecord(Record):
    """The galaxies of the recommended cut."""

    cut: str
    """The expression."""
    n: int
    statistics: dict[str, EstimateRecord]
    weighted: dict[str, EstimateRecord] = field(default_factory=dict)
    effective_number: float | None = None


@dataclass(frozen=True)
class LackingRecord(Record):
    """Sources of one bin, and the share of them that no spectrum is like."""

    bin: str
    low_edge: float | None
    high_edge: float | None
    sources: int
    share: float | None


@dataclass(frozen=True)
class LackingMapRecord(Record):
    """Sources that no spectrum is like, by magnitude and tile; see `representative.LackingMap`."""

    r: list[LackingRecord]
    tile: list[LackingRecord]
    sources: list[list[int]]
    """Of each tile, in each bin of magnitude."""
    lacking: list[list[int]]
    """Those of them that no spectrum is like."""


@dataclass(frozen=True)
class RepresentativeRecord(Record):
    """The pairs weighted to the whole catalogue, by nearest "neighbours" and by "cells" of a map.

    See `representative.Representative`.
    """

    columns: list[str]
    pairs: int
    without_spectrum: float | None
    effective_number: dict[str, float]
    statistics: dict[str, dict[str, EstimateRecord]]
    map: LackingMapRecord


@dataclass(frozen=True)
class BinRecord(Record):
    """The galaxies of one bin of a breakdown; a category has no edges."""

    bin: str
    low_edge: float | None
    high_edge: float | None
    n: int
    statistics: dict[str, EstimateRecord]
    weighted: dict[str, EstimateRecord] = field(default_factory=dict)
    """Weighted to the whole catalogue; empty where that cannot be had."""
    effective_number: float | None = None


@dataclass(frozen=True)
class TomographicBinRecord(Record):
    """One tomographic bin; see `tomography.TomographicBin`. Densities lie between cell edges."""

    low_edge: float
    high_edge: float
    sources: int
    spectra: int
    effective_number: float
    mean_predicted: EstimateRecord
    mean_spectroscopic: EstimateRecord
    mean_difference: EstimateRecord
    width_predicted: EstimateRecord
    width_spectroscopic: EstimateRecord
    same_galaxies: EstimateRecord
    predicted: list[float]
    spectroscopic: list[float]


@dataclass(frozen=True)
class TomographyRecord(Record):
    """n(z) in tomographic bins."""

    assigned: str
    source: str
    weights: str
    cell_edges: list[float]
    bins: list[TomographicBinRecord]


@dataclass(frozen=True)
class Metrics(Record):
    """The content of metrics.json."""

    SCHEMA: ClassVar[int] = 4

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
    tomography: TomographyRecord | None
    repeatability: RepeatabilityRecord
    findings: list[FindingRecord]
    tiles_to_look_at: SuspectsRecord
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
