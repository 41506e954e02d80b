"""The result of a validation."""

from dataclasses import dataclass, field

from photoz_run.science.redshift_distribution import Spikes
from photoz_run.validation.findings import Finding, Suspects
from photoz_run.validation.metrics import Estimate, Group
from photoz_run.validation.overlap import Repeatability
from photoz_run.validation.pairs import PairCounts
from photoz_run.validation.representative import Representative
from photoz_run.validation.specz import SpecTable
from photoz_run.validation.subject import Subject
from photoz_run.validation.tomography import Tomography
from photoz_run.validation.uncertainty import Distribution


@dataclass(frozen=True)
class GateOutcome:
    """One limit tested on one set of objects. A value that could not be measured does not pass."""

    gate: str
    where: str
    value: float
    limit: str
    passed: bool


@dataclass(frozen=True)
class ComparedColumn:
    """Another redshift column on the same galaxies; ``paired`` is Z_PHOT minus the other."""

    group: Group
    paired: dict[str, Estimate]


@dataclass(frozen=True)
class Result:
    """Everything a validation found."""

    catalogue: str
    rows: int
    repeated: int
    specz: dict[str, SpecTable]
    counts: PairCounts
    overall: Group
    spikes: Spikes = field(repr=False)
    imprint: tuple[float, float]
    """How the fine structure of n(z_phot) correlates with that of the training redshifts.

    The correlation and its error; NaN without training redshifts.
    """
    repeatability: Repeatability
    grouping: str = ""
    """Over which groups errors are taken, in words."""
    subject: Subject = field(default_factory=Subject)
    science: Group | None = None
    """The galaxies of the recommended cut; None if the catalogue has no flags."""
    representative: Representative | None = None
    """The pairs weighted to the whole catalogue; None where magnitudes or pairs are too few."""
    distribution: Distribution | None = None
    tomography: Tomography | None = None
    """n(z) in bins; None where the catalogue has no distributions."""
    comparisons: tuple[ComparedColumn, ...] = ()
    breakdowns: dict[str, tuple[Group, ...]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    suspects: Suspects = field(default_factory=Suspects)
    """Tiles to look at."""
    notes: tuple[str, ...] = ()
    """What was left out, and why."""

    @property
    def errors_over(self) -> str:
        """Over which groups errors are taken, in two words: 8 tiles."""
        return self.grouping.split(",")[0]

    def groups(self) -> list[Group]:
        """Every set of pairs that was measured: all, the comparisons, the bins."""
        bins = [group for groups in self.breakdowns.values() for group in groups]
        science = [self.science] if self.science else []
        return [
            self.overall,
            *science,
            *(comparison.group for comparison in self.comparisons),
            *bins,
        ]
