"""Gates: the limits a catalogue must hold to be released."""

import math
from collections.abc import Iterator

from photoz_run.errors import ConfigError
from photoz_run.validation.metrics import Group
from photoz_run.validation.result import GateOutcome, Result
from photoz_run.validation.settings import Gates, Limits


def evaluate(result: Result, gates: Gates) -> list[GateOutcome]:
    """Test every limit that is set: overall, then bin by bin.

    Raises
    ------
    ConfigError
        If a limit is set for a breakdown that does not exist for this catalogue.
    """
    outcomes = [*_limits(gates, result.overall, "all objects"), *_catalogue(result, gates)]
    for name, limits in gates.per_bin.items():
        if name not in result.breakdowns:
            raise ConfigError(
                f"gates.per_bin.{name}: no such breakdown of this catalogue;"
                f" there are {', '.join(result.breakdowns)}"
            )
        large = [group for group in result.breakdowns[name] if group.n >= gates.bin_pairs_min]
        for group in large:
            outcomes += _limits(limits, group, f"{name}: {group.label}")
        if not large:
            outcomes.append(_untested(name, gates.bin_pairs_min))
    return outcomes


def _untested(name: str, pairs: int) -> GateOutcome:
    """A breakdown whose limits could not be tested on any bin."""
    return GateOutcome(
        f"per_bin.{name}", f"no bin of {pairs} objects", math.nan, f">= {pairs}", passed=False
    )


def _limits(limits: Limits, group: Group, where: str) -> Iterator[GateOutcome]:
    """The limits of one set of objects that are set."""
    for gate, limit, statistic in (
        ("smad_max", limits.smad_max, "smad"),
        ("bias_max", limits.bias_max, "bias"),
        ("outlier_max", limits.outlier_max, "outliers_015"),
    ):
        if limit is not None:
            value = group[statistic].value
            yield GateOutcome(gate, where, value, f"<= {limit:g}", abs(value) <= limit)
    for gate, span in (
        ("coverage_68", limits.coverage_68),
        ("coverage_95", limits.coverage_95),
    ):
        if span is not None:
            low, high = span
            value = group[gate].value if gate in group.estimates else math.nan
            yield GateOutcome(gate, where, value, f"{low:g} to {high:g}", low <= value <= high)


def _catalogue(result: Result, gates: Gates) -> Iterator[GateOutcome]:
    """The limits of the catalogue as a whole that are set."""
    least = gates.completeness_min
    if least is not None:
        value = result.counts.completeness
        yield GateOutcome("completeness_min", "all objects", value, f">= {least:g}", value >= least)
    fewest = gates.pairs_min
    if fewest is not None:
        n = result.overall.n
        yield GateOutcome("pairs_min", "all objects", n, f">= {fewest}", n >= fewest)
    if gates.spike_max is not None:
        z, _, significance = result.spikes.worst
        where = "n(z_phot)" if math.isnan(z) else f"n(z_phot) at z = {z:.3f}"
        # No bin with enough objects means that there is no spike to be seen.
        passed = math.isnan(significance) or significance <= gates.spike_max
        yield GateOutcome("spike_max", where, significance, f"<= {gates.spike_max:g}", passed)
