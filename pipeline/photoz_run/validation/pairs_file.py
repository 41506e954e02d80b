"""``pairs.parquet``: galaxies with photo-z and spec-z, for a recalibration and for own figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from photoz_models.whole_files import written_whole
from photoz_run.catalogue.stated import KEY
from photoz_run.catalogue.table import QUANTILES, quantile_array, quantile_field
from photoz_run.validation.pairs import Pairs
from photoz_run.validation.subject import Subject

NAME = "pairs.parquet"


def write_pairs(pairs: Pairs, subject: Subject, path: Path) -> None:
    """Write every column of the pairs; missing values are null.

    The metadata of the file say which model gave the photo-z, as those of a release do.
    """
    fields, arrays = [], []
    for name, values in pairs.columns.items():
        if name == QUANTILES and values.shape[-1] == len(pairs.levels_Q):
            fields.append(quantile_field(pairs.levels_Q.tolist()))
            arrays.append(quantile_array(values.astype(np.float32)))
        elif values.ndim == 1:
            arrays.append(_array(values))
            fields.append(pa.field(name, arrays[-1].type))
    facts = {
        "model": subject.model,
        "model_version": subject.model_version,
        "model_digest": subject.model_digest,
        "model_training": subject.model_training,
        "simulated_training": str(subject.simulated_training),
        "run_digest": subject.run_digest,
    }
    metadata = {KEY + name: text for name, text in facts.items() if text}
    with written_whole(path) as beside:
        table = pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata))
        pq.write_table(table, beside, compression="zstd")


def _array(values: NDArray[Any]) -> pa.Array:
    data, missing = np.ma.getdata(values), np.ma.getmaskarray(values)
    if data.dtype.kind in "OU":
        return pa.array(data.tolist(), pa.string())
    if data.dtype.kind == "f":
        missing = missing | np.isnan(data)
    return pa.array(data, mask=missing)
