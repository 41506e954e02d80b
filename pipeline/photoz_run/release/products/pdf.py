"""The redshift distributions of a release as a `qp` ensemble in HDF5, written in batches.

A density is constant between two quantiles, so that the quantiles are those of the catalogue and
the integral is one; qp's own quantile ensemble keeps neither (docs/decisions/distributions.md).
The file has the three groups that `qp.read` and `qp.iterator` look for: ``meta`` (kind), ``data``
(redshifts and densities) and ``ancil`` (what else is known of each distribution). Two things are
not as in the catalogue. Attributes of the file count both:

- A source without a redshift has no distribution, and is left out. ``ancil/ROW`` says to which row
  of the catalogue each distribution belongs.
- Quantiles nearer to each other than `LEAST_STEP` are moved apart, outwards from the median, which
  stays.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run import schema
from photoz_run.catalogue.arrow_fields import fixed_width, longest_text
from photoz_run.errors import BadDataError
from photoz_run.release.distributions import (
    KIND,
    POINT_ESTIMATE,
    density_steps,
    moved_apart,
    quantile_levels,
    quantile_matrix,
)
from photoz_run.release.draft import Draft, Writer
from photoz_run.release.options import ReleaseOptions

QUANTILES = schema.QUANTILES.name
RAIL_POINT_ESTIMATE = "zmode"
"""The name under which RAIL's evaluation looks for the point estimate if it is not told another."""
CHUNK_ROWS = 8192
LONGEST_ATTRIBUTE = 32_000
"""Characters of a text that HDF5 takes as an attribute; a list of thousands of tiles is longer."""


def write(draft: Draft, path: Path) -> int:
    """Write the distributions; how many there are."""
    name = schema.with_ucd("meta.id;meta.main").name
    levels = quantile_levels(draft.buckets.fields)
    texts, ends = draft.record.texts(), draft.run.manifest.redshift_range
    width = schema.BY_NAME[name].length
    with (
        draft.progress.step("distributions", draft.rows) as tick,
        closing(PdfWriter(path, levels, width, texts, ends)) as writer,
    ):
        for batch in draft.batches(tick, [name, POINT_ESTIMATE, QUANTILES]):
            writer.append(batch)
    return writer.written


def _wanted(options: ReleaseOptions) -> bool:
    return options.pdf


WRITER = Writer("_pdf.hdf5", "redshift distributions as a qp ensemble", write, wanted=_wanted)


class PdfWriter:
    """Writes distributions as batches of the catalogue come; memory holds one batch.

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
    ends
        The model's range of redshift, in which the distributions end; ``None`` if unknown.
    """

    def __init__(
        self,
        path: Path,
        levels: Sequence[float],
        id_width: int,
        provenance: Mapping[str, str],
        ends: tuple[float, float] | None = None,
    ):
        import h5py

        self.rows = 0
        self.written = 0
        self.moved = 0
        self._levels_Q, self._ends = np.asarray(levels, np.float64), ends
        self._file = h5py.File(path, "w")
        self._file.attrs.update(
            {key: text for key, text in provenance.items() if len(text) <= LONGEST_ATTRIBUTE}
        )
        self._file.attrs["levels"] = self._levels_Q
        self._write_meta()
        numbers = 2 * len(levels) + 2
        self._x = self._dataset("data/xvals", np.float64, (numbers,))
        self._density = self._dataset("data/yvals", np.float64, (numbers,))
        self._ancil = {
            "ID": self._dataset("ancil/ID", f"S{id_width}"),
            "ROW": self._dataset("ancil/ROW", np.int64),
            POINT_ESTIMATE: self._dataset(f"ancil/{POINT_ESTIMATE}", np.float32),
        }
        self._file[f"ancil/{RAIL_POINT_ESTIMATE}"] = self._ancil[POINT_ESTIMATE]

    def append(self, batch: pa.Table) -> None:
        """Write the distributions of the next rows: columns ID, Z_PHOT and Z_QUANTILES.

        Raises
        ------
        BadDataError
            If an ID is longer than the file has room for.
        """
        all_NQ = quantile_matrix(batch[QUANTILES])
        known_N = np.flatnonzero(np.isfinite(all_NQ).all(axis=1))
        id_N = self._ids(batch["ID"])
        z_N = batch[POINT_ESTIMATE].to_numpy()
        apart_NQ, moved_N = moved_apart(all_NQ[known_N], self._levels_Q)
        x_NK, density_NK = density_steps(apart_NQ, self._levels_Q, self._ends)
        self._extend(self._x, x_NK)
        self._extend(self._density, density_NK)
        self._extend(self._ancil["ID"], id_N[known_N])
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

    def _write_meta(self) -> None:
        meta = {
            "pdf_name": np.array([KIND.encode()]),
            "pdf_version": np.array([0]),
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

    def _ids(self, ids: pa.ChunkedArray) -> NDArray[np.bytes_]:
        longest, width = longest_text(ids), self._ancil["ID"].dtype.itemsize
        if longest > width:
            raise BadDataError(
                f"an ID has {longest} characters; the column dictionary allows {width}"
            )
        return fixed_width(ids, width)

    def _extend(self, dataset: Any, values: NDArray[Any]) -> None:
        dataset.resize(self.written + len(values), axis=0)
        dataset[self.written :] = values
