"""The redshift distributions of a release: those of the quantiles of Parquet."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run.catalogue.table import QUANTILES
from photoz_run.errors import ConfigError
from photoz_run.release.distributions import (
    KIND,
    POINT_ESTIMATE,
    density_steps,
    moved_apart,
    quantile_levels,
    quantile_matrix,
)
from photoz_run.release.proof.check import Check, as_many, proven, verdict
from photoz_run.release.proof.compare import Difference, arrow_values
from photoz_run.release.proof.judge import Beside, Judge
from photoz_run.release.record import ReleaseRecord

ALWAYS = ("release_name", "model_digest", "run_digest")
"""Texts that no file may lack; HDF5 leaves out texts that are too long for it."""
COUNTS = ("levels", "rows_of_catalogue", "without_redshift", "moved")
"""Attributes beside the texts."""
RAIL_POINT_ESTIMATE = "ancil/zmode"
"""The point estimate under the name that RAIL looks for."""
DATASETS = (
    *("data/xvals", "data/yvals", "ancil/ID", "ancil/ROW"),
    *(f"ancil/{POINT_ESTIMATE}", RAIL_POINT_ESTIMATE),
)
"""With one entry for each distribution."""
GROUPS = ("meta", "data", "ancil")
META = ("meta/pdf_name", "meta/pdf_version")


class PdfJudge(Judge):
    """Proves the PDFs."""

    def require(self) -> None:
        """Refuse if h5py is not installed."""
        if find_spec("h5py") is None:
            raise ConfigError(
                "this release has PDFs: install photoz-run with the extra 'pdf' to verify it"
            )

    def statements(self) -> Iterator[Check]:
        """Its attributes."""
        yield from proven(
            "provenance in the PDFs", lambda: [check_pdf_statements(self.path, self.opened.record)]
        )

    def copies(self, stack: ExitStack) -> Iterator[Beside]:
        """Its distributions."""
        fields, ends = self.opened.fields, self.opened.provenance.model.redshift_range
        yield Beside(
            "PDFs = Parquet", lambda: stack.enter_context(closing(PdfCopy(self.path, fields, ends)))
        )


class PdfCopy:
    """The distributions beside the quantiles of Parquet."""

    def __init__(self, path: Path, fields: pa.Schema, ends: tuple[float, float] | None) -> None:
        import h5py

        self._file = h5py.File(path)
        self._ends = ends
        kind = self._file["meta/pdf_name"][0].decode()
        if kind != KIND:
            raise ValueError(f"they are of the kind {kind!r}, not {KIND!r}: make the release again")
        self._levels_Q = np.array(quantile_levels(fields))
        self._difference = Difference()
        self._seen = self._taken = self._moved = 0

    def compare(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Compare the distributions of the next rows."""
        quantiles_NQ = quantile_matrix(batch[QUANTILES])
        known_N = np.flatnonzero(np.isfinite(quantiles_NQ).all(axis=1))
        rows = batch.take(pa.array(known_N))
        apart_NQ, moved_N = moved_apart(quantiles_NQ[known_N], self._levels_Q)
        x_NK, density_NK = density_steps(apart_NQ, self._levels_Q, self._ends)
        expected = {
            "data/xvals": x_NK,
            "data/yvals": density_NK,
            "ancil/ID": arrow_values(rows["ID"], self._file["ancil/ID"].dtype.itemsize)[0],
            "ancil/ROW": self._seen + known_N,
            f"ancil/{POINT_ESTIMATE}": rows[POINT_ESTIMATE].to_numpy(),
            RAIL_POINT_ESTIMATE: rows[POINT_ESTIMATE].to_numpy(),
        }
        for name, values in expected.items():
            here = self._file[name][self._taken : self._taken + len(known_N)]
            differs = here != values[: len(here)]
            differs_N = differs.any(axis=1) if differs.ndim > 1 else differs
            self._difference.note(name, differs_N, self._taken)
        self._taken += len(known_N)
        self._seen += len(batch)
        self._moved += int(moved_N.sum())

    def checks(self) -> Iterator[Check]:
        """Levels, rows and values."""
        problems = [*self._other_counts(), *self._difference.problems()]
        if not np.array_equal(self._file.attrs["levels"], self._levels_Q):
            problems.insert(0, "the levels are others")
        lengths = [len(self._file[name]) for name in DATASETS]
        worst = max(lengths, key=lambda length: abs(length - self._taken))
        yield as_many("rows of the PDFs", worst, self._taken)
        yield verdict(
            "PDFs = Parquet",
            problems,
            f"{self._taken:,} distributions, of every row with a redshift",
        )

    def _other_counts(self) -> Iterator[str]:
        """Attributes that count other rows than were seen."""
        counts = {
            "rows_of_catalogue": self._seen,
            "without_redshift": self._seen - self._taken,
            "moved": self._moved,
        }
        for name, number in counts.items():
            stated = self._file.attrs.get(name)
            if stated != number:
                yield f"{name} is {stated}, not {number:,}"

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def check_pdf_statements(path: Path, record: ReleaseRecord) -> Check:
    """Compare the attributes of the PDFs with the provenance."""
    import h5py

    with h5py.File(path) as file:
        attributes = {key: file.attrs[key] for key in file.attrs}
        present = set(_places(file))
        version = list(file["meta/pdf_version"])
    texts = record.texts()
    problems = [
        f"{key} is {attributes[key]!r}"
        for key, text in texts.items()
        if key in attributes and attributes[key] != text
    ]
    problems += [f"{key} is missing" for key in ALWAYS if key not in attributes]
    strange = [key for key in attributes if key not in texts and key not in COUNTS]
    problems += [f"{key} is no attribute of a release" for key in strange]
    expected = {*GROUPS, *META, *DATASETS}
    problems += [f"{name} does not belong there" for name in sorted(present - expected)]
    problems += [f"{name} is missing" for name in sorted(expected - present)]
    if version != [0]:
        problems.append(f"pdf_version is {version}, not [0]")
    return verdict("provenance in the PDFs", problems, "as in provenance.json")


def _places(group: Any, above: str = "") -> Iterator[str]:
    """All groups and datasets of an HDF5 file, and what else it has: attributes below the root."""
    for name, item in group.items():
        yield f"{above}{name}"
        yield from (f"{above}{name}@{key}" for key in item.attrs)
        if hasattr(item, "items"):
            yield from _places(item, f"{above}{name}/")
