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
                f"gates.per_bin.{name}: no such breakdown of this catalogue; there are {', '.join(result.breakdowns)}"
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
    for gate, statistic in (
        ("smad_max", "smad"),
        ("bias_max", "bias"),
        ("outlier_max", "outliers_015"),
    ):
        limit = getattr(limits, gate)
        if limit is not None:
            value = group[statistic].value
            yield GateOutcome(gate, where, value, f"<= {limit:g}", abs(value) <= limit)
    for gate in ("coverage_68", "coverage_95"):
        span = getattr(limits, gate)
        if span is not None:
            value = group.estimates[gate].value if gate in group.estimates else math.nan
            yield GateOutcome(
                gate, where, value, f"{span[0]:g} to {span[1]:g}", span[0] <= value <= span[1]
            )


def _catalogue(result: Result, gates: Gates) -> Iterator[GateOutcome]:
    if gates.completeness_min is not None:
        value = result.counts.completeness
        passed = value >= gates.completeness_min
        yield GateOutcome(
            "completeness_min", "all objects", value, f">= {gates.completeness_min:g}", passed
        )
    if gates.pairs_min is not None:
        n = result.overall.n
        yield GateOutcome(
            "pairs_min", "all objects", n, f">= {gates.pairs_min}", n >= gates.pairs_min
        )
    if gates.spike_max is not None:
        z, _, significance = result.spikes.worst
        where = "n(z_phot)" if math.isnan(z) else f"n(z_phot) at z = {z:.3f}"
        # No bin with enough objects means that there is no spike to be seen.
        passed = math.isnan(significance) or significance <= gates.spike_max
        yield GateOutcome("spike_max", where, significance, f"<= {gates.spike_max:g}", passed)
