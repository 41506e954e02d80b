"""The redshift distributions of a release as a `qp` quantile ensemble in HDF5, written batch by batch.

The file has the three groups that `qp.read` and `qp.iterator` look for: ``meta`` (levels), ``data`` (redshifts at the
levels) and ``ancil`` (what is known of each distribution beside it). Two things are not as in the catalogue, for qp
refuses the whole file otherwise, and both are counted in the attributes of the file:

- A source without redshift has no distribution, and is left out; ``ancil/ROW`` says which row of the catalogue each
  distribution belongs to.
- Quantiles nearer to each other than `LEAST_STEP` are moved apart, outwards from the median, which stays.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run.catalogue.table import QUANTILES
from photoz_run.errors import BadDataError, ConfigError

LEAST_STEP = 1e-4
"""Least difference of neighbouring quantiles. qp draws a parabola through each three: nearer ones make it leave 0..1.
It is far below any photometric error, and only quantiles cut off at the ends of a model's range come so near."""

POINT_ESTIMATE = "Z_PHOT"
RAIL_POINT_ESTIMATE = "zmode"
"""The name under which RAIL's evaluation looks for the point estimate if it is not told another."""

CHUNK_ROWS = 8192
LONGEST_ATTRIBUTE = 32_000
"""Characters of a text that HDF5 takes as an attribute; the names of thousands of missing tiles are longer."""


def quantile_levels(rows: pa.Schema) -> list[float]:
    """The levels of the quantiles that a run wrote, from the metadata of their field.

    Raises
    ------
    ConfigError
        If the run wrote none.
    """
    if QUANTILES not in rows.names:
        raise ConfigError(
            f"the run has no quantiles (column {QUANTILES}), so that no PDFs can be written; measure it again with"
            " --quantiles, or leave --pdf out"
        )
    levels = (rows.field(QUANTILES).metadata or {}).get(b"levels", b"").decode()
    return [float(level) for level in levels.split(",")]


class PdfWriter:
    """Writes distributions to ``path`` as batches of the catalogue come; memory holds one batch.

    Parameters
    ----------
    path
        The file, made new.
    levels
        Probabilities of the quantiles, rising, in (0, 1).
    id_width
        Characters of the longest ID.
    provenance
        Short texts for the attributes of the file.
    """

    def __init__(
        self, path: Path, levels: Sequence[float], id_width: int, provenance: Mapping[str, str]
    ):
        import h5py

        self.rows = 0
        self.written = 0
        self.moved = 0
        self._levels_Q = np.asarray(levels, np.float64)
        self._file = h5py.File(path, "w")
        self._file.attrs.update(
            {key: text for key, text in provenance.items() if len(text) <= LONGEST_ATTRIBUTE}
        )
        self._write_meta()
        self._locs = self._dataset("data/locs", np.float32, (len(levels),))
        self._ancil = {
            "ID": self._dataset("ancil/ID", f"S{id_width}"),
            "ROW": self._dataset("ancil/ROW", np.int64),
            POINT_ESTIMATE: self._dataset(f"ancil/{POINT_ESTIMATE}", np.float32),
        }
        self._file[f"ancil/{RAIL_POINT_ESTIMATE}"] = self._ancil[POINT_ESTIMATE]

    def append(self, batch: pa.Table) -> None:
        """Write the distributions of the next rows of the catalogue: columns ID, Z_PHOT and Z_QUANTILES.

        Raises
        ------
        BadDataError
            If an ID is longer than the file has room for.
        """
        all_NQ = quantile_matrix(batch[QUANTILES])
        known_N = np.flatnonzero(np.isfinite(all_NQ).all(axis=1))
        ids = self._texts(batch["ID"])
        z_N = batch[POINT_ESTIMATE].to_numpy()
        locs_NQ, moved_N = moved_apart(all_NQ[known_N], self._levels_Q)
        self._extend(self._locs, locs_NQ)
        self._extend(self._ancil["ID"], ids[known_N])
        self._extend(self._ancil["ROW"], self.rows + known_N)
        self._extend(self._ancil[POINT_ESTIMATE], z_N[known_N])
        self.rows += batch.num_rows
        self.written += len(known_N)
        self.moved += int(moved_N.sum())

    def close(self) -> None:
        """Write the counts, and close the file."""
        counts = {
            "rows_of_catalogue": self.rows,
            "without_redshift": self.rows - self.written,
            "moved": self.moved,
        }
        self._file.attrs.update(counts)
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write_meta(self) -> None:
        meta = {
            "pdf_name": np.array([b"quant"]),
            "pdf_version": np.array([0]),
            "quants": self._levels_Q[None, :],
            "pdf_constructor_name": np.array([b"piecewise_linear"]),
            "ensure_extent": np.array([True]),
        }
        for name, values in meta.items():
            self._file[f"meta/{name}"] = values

    def _dataset(self, name: str, kind: Any, row: tuple[int, ...] = ()) -> Any:
        return self._file.create_dataset(
            name,
            (0, *row),
            kind,
            maxshape=(None, *row),
            chunks=(CHUNK_ROWS, *row),
            shuffle=True,
            compression="gzip",
            compression_opts=1,
        )

    def _texts(self, ids: pa.ChunkedArray) -> NDArray[np.bytes_]:
        longest = pc.max(pc.utf8_length(ids)).as_py() or 0
        kind = self._ancil["ID"].dtype
        if longest > kind.itemsize:
            raise BadDataError(
                f"an ID has {longest} characters; the column dictionary allows {kind.itemsize}"
            )
        return np.array(ids.to_pylist(), kind)

    def _extend(self, dataset: Any, values: NDArray[Any]) -> None:
        dataset.resize(self.written + len(values), axis=0)
        dataset[self.written :] = values


def quantile_matrix(quantiles: pa.ChunkedArray) -> NDArray[np.float32]:
    """The lists of a column side by side, [N, Q]; NaN where a list is null, or holds nulls."""
    lists = quantiles.combine_chunks()
    width = lists.type.list_size
    values = lists.values.slice(lists.offset * width, len(lists) * width).to_numpy(
        zero_copy_only=False
    )
    matrix_NQ = np.array(values, np.float32).reshape(-1, width)
    matrix_NQ[lists.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return matrix_NQ


def moved_apart(
    quantiles_NQ: NDArray[np.float32], levels_Q: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Quantiles at least `LEAST_STEP` apart, and the rows that had to be changed for it.

    The quantile nearest to the median stays; going outwards, each one too near to the one before is moved on.
    """
    middle = int(np.argmin(np.abs(levels_Q - 0.5)))
    below, above = np.arange(middle + 1), np.arange(len(levels_Q) - middle)
    upper_NQ = _climbing(quantiles_NQ[:, middle:].astype(np.float64), above)
    lower_NQ = -_climbing(-quantiles_NQ[:, middle::-1].astype(np.float64), below)[:, ::-1]
    apart_NQ = np.concatenate([lower_NQ, upper_NQ[:, 1:]], axis=1).astype(np.float32)
    return apart_NQ, (apart_NQ != quantiles_NQ).any(axis=1)


def _climbing(values_NQ: NDArray[np.float64], step_Q: NDArray[np.intp]) -> NDArray[np.float64]:
    """Each value at least `LEAST_STEP` above the one before it, raised where needed."""
    ramp_Q = LEAST_STEP * step_Q
    return np.asarray(np.maximum.accumulate(values_NQ - ramp_Q, axis=1) + ramp_Q)
