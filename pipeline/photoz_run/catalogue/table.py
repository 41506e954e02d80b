"""The output table in memory: an Arrow table whose fields carry the column dictionary."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run import schema
from photoz_run.records import Prediction, Sources
from photoz_run.schema import Column
from photoz_run.science.intervals import quantile_at

QUANTILES = schema.QUANTILES.name
ARROW_TYPES = {
    "b1": pa.bool_(),
    "i2": pa.int16(),
    "i4": pa.int32(),
    "i8": pa.int64(),
    "f4": pa.float32(),
    "f8": pa.float64(),
}


def tile_table(
    tile: str,
    sources: Sources,
    prediction: Prediction,
    levels: Sequence[float],
    keep: Sequence[pa.Field],
    quantiles: bool,
) -> pa.Table:
    """The output rows of a tile; missing values are nulls, never NaN.

    Parameters
    ----------
    tile
        Its name.
    sources
        N sources.
    prediction
        What the network says of them.
    levels
        Levels of the Q quantiles.
    keep
        Fields of the catalogue's columns that follow those of the dictionary.
    quantiles
        Whether all quantiles follow as the last column.
    """
    values: dict[str, NDArray[Any]] = {
        "ID": sources.id_N,
        "RAJ2000": sources.ra_N,
        "DECJ2000": sources.dec_N,
        "KIDS_TILE": np.full(len(sources), tile),
        "MAG_AUTO_CALIB": sources.columns["MAG_AUTO_CALIB"],
        **redshift_columns(prediction, levels),
        "MASK": sources.columns["MASK"],
    }
    fields = list(dictionary_schema("photoz"))
    arrays = [
        as_array(values[column.name], field.type)
        for column, field in zip(schema.COLUMNS, fields, strict=True)
    ]
    for field in keep:
        arrays.append(as_array(sources.columns[field.name], field.type))
        fields.append(field)
    if quantiles:
        arrays.append(quantile_array(prediction.quantiles_NQ))
        fields.append(quantile_field(levels))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def redshift_columns(prediction: Prediction, levels: Sequence[float]) -> dict[str, NDArray[Any]]:
    """Columns of the dictionary that a prediction fills, by name; NaN where missing."""
    levels_Q = np.asarray(levels)
    lo68, hi68, lo95, hi95 = (
        quantile_at(p, levels_Q, prediction.quantiles_NQ) for p in (0.16, 0.84, 0.025, 0.975)
    )
    return {
        "Z_PHOT": prediction.z_N,
        "Z_PHOT_ERR": (hi68 - lo68) / 2,
        "Z_PHOT_LO68": lo68,
        "Z_PHOT_HI68": hi68,
        "Z_PHOT_LO95": lo95,
        "Z_PHOT_HI95": hi95,
        "Z_DOMAIN": prediction.domain_distance_N,
        "PHOTOZ_FLAG": prediction.flags_N,
    }


def quantile_field(levels: Sequence[float]) -> pa.Field:
    """The field of all quantiles; its metadata names their levels."""
    about = {**_about(schema.QUANTILES), "levels": ",".join(f"{level:g}" for level in levels)}
    return pa.field(QUANTILES, pa.list_(pa.float32(), len(levels)), True, about)


def dictionary_schema(table: str) -> pa.Schema:
    """The Arrow schema of a table of the dictionary (``photoz``, ``provenance``, ``texts``)."""
    fields = []
    for column in schema.TABLES[table]:
        kind = ARROW_TYPES.get(column.dtype, pa.string())
        fields.append(pa.field(column.name, kind, column.null, _about(column)))
    return pa.schema(fields)


def _about(column: Column) -> dict[str, str]:
    """What an Arrow field says of its column; what is empty is left out."""
    about = {"unit": column.unit, "ucd": column.ucd, "description": column.description}
    return {key: value for key, value in about.items() if value}


def as_array(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """NaN and, in a masked array, what is masked become null; a text without a value is ""."""
    data_N, mask_N = np.ma.getdata(values), np.ma.getmaskarray(values)
    if data_N.dtype.kind == "U":
        return pa.array(data_N.tolist(), pa.string())
    if data_N.dtype.kind == "f":
        mask_N = mask_N | np.isnan(data_N)
    return pa.array(data_N, mask=mask_N).cast(kind)


def quantile_array(quantiles_NQ: NDArray[np.float32]) -> pa.Array:
    """All quantiles [N, Q] as lists; a row with a NaN is null."""
    n, q = quantiles_NQ.shape
    if not n:
        return pa.array([], pa.list_(pa.float32(), q))
    flat = pa.array(np.ascontiguousarray(quantiles_NQ).ravel())
    null_N = np.isnan(quantiles_NQ).any(axis=1)
    return pa.FixedSizeListArray.from_arrays(flat, q, mask=pa.array(null_N))
