"""metrics.parquet: every statistic of every set of galaxies, one a row."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from photoz_models.whole_files import written_whole
from photoz_run.validation.metrics import Estimate, Group
from photoz_run.validation.recording import measured
from photoz_run.validation.result import Result

TABLE_SCHEMA = pa.schema(
    [
        ("breakdown", pa.string()),
        ("bin", pa.string()),
        ("low_edge", pa.float64()),
        ("high_edge", pa.float64()),
        ("method", pa.string()),
        ("n", pa.int64()),
        ("statistic", pa.string()),
        ("value", pa.float64()),
        ("low_68", pa.float64()),
        ("high_68", pa.float64()),
        ("error_by_galaxy", pa.float64()),
        ("groups", pa.int64()),
        ("weights", pa.string()),
    ]
)
"""The columns of metrics.parquet.

``weights`` to the whole catalogue are "neighbours" or "cells"; "" is without.
"""


def write_parquet(result: Result, path: Path) -> None:
    """Write metrics.parquet: one row per set of pairs, weights and statistic."""
    rows: list[dict[str, Any]] = []
    for group in result.groups():
        rows += _rows(group, "", group.estimates)
        rows += _rows(group, "neighbours", group.weighted)
    if result.representative is not None:
        rows += _rows(result.overall, "cells", result.representative.by_cells)
    with written_whole(path) as beside:
        pq.write_table(pa.Table.from_pylist(rows, schema=TABLE_SCHEMA), beside)


def _rows(
    group: Group, weights: str, estimates: Mapping[str, Estimate]
) -> Iterator[dict[str, Any]]:
    for name, estimate in estimates.items():
        yield {
            "breakdown": group.breakdown,
            "bin": group.label,
            "low_edge": measured(group.low_edge),
            "high_edge": measured(group.high_edge),
            "method": group.method,
            "n": group.n,
            "statistic": name,
            "value": measured(estimate.value),
            "low_68": measured(estimate.low),
            "high_68": measured(estimate.high),
            "error_by_galaxy": measured(estimate.by_galaxy),
            "groups": estimate.groups,
            "weights": weights,
        }
