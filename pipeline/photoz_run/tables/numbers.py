"""Numbers between numpy and arrow. Where pandas is installed, their own ways import it: 40 MB."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def arrow_numbers(values_N: NDArray[Any], missing_N: NDArray[np.bool_] | None = None) -> pa.Array:
    """An array of arrow with the same numbers, null where they are missing."""
    valid = None
    if missing_N is not None:
        valid = pa.py_buffer(np.packbits(~missing_N, bitorder="little"))
    buffers = [valid, pa.py_buffer(np.ascontiguousarray(values_N))]
    return pa.Array.from_buffers(pa.from_numpy_dtype(values_N.dtype), len(values_N), buffers)


def numpy_numbers(values: pa.ChunkedArray) -> NDArray[Any]:
    """An array of numpy with the same numbers, none of which is null."""
    parts = [np.from_dlpack(chunk) for chunk in values.chunks if len(chunk)]
    return np.concatenate(parts) if parts else np.zeros(0, values.type.to_pandas_dtype())
