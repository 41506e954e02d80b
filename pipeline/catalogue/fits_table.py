"""An Arrow table as a FITS binary table: units, UCDs and comments from the fields, provenance in cards."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from astropy.io import fits

from pipeline import schema
from pipeline.flags import FLAGS, USER_BITS

LONGEST = 67
"""Characters of a text that fits into one card; a longer one would need CONTINUE."""

CARDS = {
    "PROGRAM": ("program", "program that wrote this file"),
    "PROCSOFT": ("version", "its version"),
    "TILE": ("tile", "tile whose pixels were used"),
    "RELEASE": ("release", "release of the input"),
    "PZMODEL": ("model", "photo-z model"),
    "PZMODVER": ("model_version", "its version"),
    "PZTRAIN": ("model_training", "training set of the model"),
    "PZSIMUL": ("simulated_training", "trained on simulations?"),
}
DIGESTS = {
    "PZMODSHA": "model_digest",
    "PZCFGSHA": "config_digest",
    "PZRUNSHA": "run_digest",
    "PZINPSHA": "inputs_digest",
}


def write_fits(table: pa.Table, path: Path, provenance: Mapping[str, str]) -> None:
    """Write ``table`` to ``path``; the same table and provenance give the same bytes."""
    columns = [_column(table.column(field.name), field) for field in table.schema]
    hdu = fits.BinTableHDU.from_columns(columns, name="PHOTOZ")
    for number, field in enumerate(table.schema, start=1):
        about = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        if "ucd" in about:
            hdu.header[f"TUCD{number}"] = about["ucd"]
        hdu.header[f"TCOMM{number}"] = about.get("description", "")
        if "levels" in about:
            hdu.header.add_comment(f"{field.name} levels: {about['levels']}")
    _add_provenance(hdu.header, provenance)
    _add_flags(hdu.header)
    hdus = fits.HDUList([fits.PrimaryHDU(), hdu])
    for one in hdus:
        one.add_checksum(when="of the HDU as written")
    hdus.writeto(path, overwrite=True)


def _column(values: pa.ChunkedArray, field: pa.Field) -> fits.Column:
    unit = (field.metadata or {}).get(b"unit", b"").decode() or None
    if pa.types.is_string(field.type):
        texts = values.to_pylist()
        width = max([1, *(len(text or "") for text in texts)])
        if field.name in schema.BY_NAME:
            width = int(schema.BY_NAME[field.name].dtype[1:])
        return fits.Column(
            field.name, f"{width}A", unit=unit, array=np.array([text or "" for text in texts], f"U{width}")
        )
    if pa.types.is_fixed_size_list(field.type):
        rows = [row if row is not None else [np.nan] * field.type.list_size for row in values.to_pylist()]
        array = np.array(rows, np.float32).reshape(-1, field.type.list_size)
        return fits.Column(field.name, f"{field.type.list_size}E", unit=unit, array=array)
    kind = np.dtype(field.type.to_pandas_dtype())
    code = {"f4": "E", "f8": "D", "i2": "I", "i4": "J", "i8": "K", "u1": "B", "b1": "L"}[kind.str[1:]]
    if kind.kind == "f":
        return fits.Column(field.name, code, unit=unit, array=values.fill_null(np.nan).to_numpy())
    null = _integer_null(kind) if field.nullable and kind.kind == "i" else None
    array = values.to_numpy() if null is None else values.fill_null(null).to_numpy()
    return fits.Column(field.name, code, unit=unit, null=null, array=array)


def _integer_null(kind: np.dtype[Any]) -> int:
    return schema.TNULL if kind == np.int32 else int(np.iinfo(kind).min)


def _add_provenance(header: fits.Header, provenance: Mapping[str, str]) -> None:
    for card, (key, comment) in CARDS.items():
        text = provenance[key][:LONGEST]
        value: Any = text == "True" if text in ("True", "False") else text
        header[card] = (value, comment) if len(text) + len(comment) < LONGEST - 3 else value
    for card, key in DIGESTS.items():
        header[card] = provenance[key]
    header.add_history(f"packages {provenance['packages']}")
    for file in json.loads(provenance["inputs"]):
        header.add_history(f"input {file['name']} {file['bytes']} bytes")


def _add_flags(header: fits.Header) -> None:
    for flag in FLAGS:
        header.add_comment(f"PHOTOZ_FLAG bit {flag.bit} {flag.name}: {flag.description}")
    header.add_comment(f"PHOTOZ_FLAG bits {USER_BITS[0]}-{USER_BITS[-1]}: never set here, for the user")
