"""The columns of every product are those of the dictionary, and of the provenance where the dictionary is silent."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits

from photoz_run import schema
from photoz_run.catalogue.arrow_fields import about, is_text
from photoz_run.catalogue.fits_columns import FitsColumn, fits_columns
from photoz_run.catalogue.table import dictionary_schema
from photoz_run.release.merge import INDEX
from photoz_run.release.proof.check import Check, verdict

SAID = ("unit", "ucd", "description")
KEYWORDS = ("TTYPE", "TFORM", "TUNIT", "TUCD", "TCOMM", "TNULL", "TDISP", "TSCAL", "TZERO", "TDIM")
"""All that a FITS header may say of a column."""
VOTABLE = b"IVOA.VOTable-Parquet"


def check_parquet_columns(parts: Sequence[Path], made: Mapping[str, Any]) -> Iterator[Check]:
    """Compare the fields of Parquet files with the dictionary, with the provenance, with one another."""
    fields = pq.read_schema(parts[0])
    names = [column.name for column in schema.COLUMNS]
    problems = (
        []
        if fields.names[: len(names)] == names
        else ["the columns of the dictionary are not the first ones"]
    )
    for expected in [*dictionary_schema("photoz"), *dictionary_schema("on_request")]:
        if expected.name in fields.names:
            problems += _differences(fields.field(expected.name), _described(expected))
    yield verdict(
        "columns of the dictionary", problems, f"{len(names)} columns as the dictionary has them"
    )
    stated = {one["name"]: one for one in made["columns"]}
    problems = (
        [] if list(stated) == fields.names else ["provenance.json has other columns than Parquet"]
    )
    for field in fields:
        problems += _differences(field, stated.get(field.name, {}))
    others = [
        part.name for part in parts if not pq.read_schema(part).equals(fields, check_metadata=True)
    ]
    problems += [f"{name} has other columns or metadata than {parts[0].name}" for name in others]
    yield verdict(
        "columns of Parquet", problems, f"{len(fields)} columns, alike in {len(parts):,} parts"
    )
    yield verdict(
        "VOTable in Parquet", list(_wrong_votable(fields)), "VOParquet 1.0, the same columns"
    )


def check_fits_columns(path: Path, fields: pa.Schema) -> Check:
    """Compare TTYPE, TFORM, TUNIT, TUCD, TCOMM, TNULL and TDISP with the fields of Parquet."""
    header = fits.getheader(path, "PHOTOZ")
    problems: list[str] = []
    if header["TFIELDS"] != len(fields):
        problems.append(f"{header['TFIELDS']} columns, not {len(fields)}")
    for number, column in enumerate(fits_columns(fields, _text_widths(header, fields)), start=1):
        problems += _wrong_cards(header, number, column)
    return verdict("columns of FITS", problems, f"{len(fields)} columns, described alike")


def check_hats_columns(folder: Path, fields: pa.Schema) -> Check:
    """Compare the fields of all files of a HATS collection with those of Parquet; they have the index besides."""
    files = sorted(folder.rglob("*.parquet")) + sorted(folder.rglob("_common_metadata"))
    problems = [] if files else [f"{folder.name} holds no Parquet file"]
    for file in files:
        name, found = file.relative_to(folder).as_posix(), pq.read_schema(file)
        if INDEX not in found.names:
            problems.append(f"{name} has no column {INDEX}")
            continue
        own = pa.schema([field for field in found if field.name != INDEX])
        if not own.equals(fields.remove_metadata(), check_metadata=True):
            problems += [f"{name}: {problem}" for problem in _other_fields(own, fields)]
    return verdict(
        "columns of HATS", problems, f"{len(fields)} columns, alike in {len(files):,} files"
    )


def _other_fields(found: pa.Schema, fields: pa.Schema) -> list[str]:
    if found.names != fields.names:
        return ["other columns than Parquet"]
    return [
        problem
        for field in found
        for problem in _differences(field, _described(fields.field(field.name)))
    ]


def _described(field: pa.Field) -> dict[str, Any]:
    said = about(field)
    return {
        "name": field.name,
        "type": str(field.type),
        "null": field.nullable,
        **{k: said.get(k, "") for k in SAID},
    }


def _differences(found: pa.Field, expected: Mapping[str, Any]) -> list[str]:
    """What a field says otherwise than expected; how long a list is the dictionary leaves open."""
    here = _described(found)
    keys = [key for key in here if not (key == "type" and found.name == schema.QUANTILES.name)]
    wrong = [key for key in keys if here[key] != expected.get(key)]
    return [f"{found.name}: {key} is {here[key]!r}, not {expected.get(key)!r}" for key in wrong]


def _wrong_votable(fields: pa.Schema) -> Iterator[str]:
    """What the VOTable in the file's metadata says otherwise than the fields."""
    version = (fields.metadata or {}).get(VOTABLE + b".version", b"").decode()
    if version != "1.0":
        yield f"version of VOParquet is {version!r}, not '1.0'"
    root = ElementTree.fromstring((fields.metadata or {})[VOTABLE + b".content"])
    found = {one.get("name", ""): one for one in root.iterfind(".//{*}FIELD")}
    if list(found) != fields.names:
        yield "the VOTable has other columns"
    for field in fields:
        for key, expected in _described(field).items():
            if key in SAID and field.name in found:
                one = found[field.name]
                here = (
                    one.findtext("{*}DESCRIPTION", "") if key == "description" else one.get(key, "")
                )
                if here.strip() != expected:
                    yield f"{field.name}: {key} is {here.strip()!r} in the VOTable, not {expected!r}"


def _text_widths(header: fits.Header, fields: pa.Schema) -> dict[str, int]:
    """Characters of the text columns that the dictionary does not know, as the file has them."""
    forms = {
        header.get(f"TTYPE{k}"): str(header.get(f"TFORM{k}"))
        for k in range(1, header["TFIELDS"] + 1)
    }
    return {
        field.name: int(forms.get(field.name, "1A").rstrip("A") or 1)
        for field in fields
        if is_text(field.type)
    }


def _wrong_cards(header: fits.Header, number: int, column: FitsColumn) -> list[str]:
    expected = {keyword: value for keyword, value, _ in column.cards(number)}
    found = {
        f"{key}{number}": header[f"{key}{number}"] for key in KEYWORDS if f"{key}{number}" in header
    }
    return [
        f"{keyword} ({column.field.name}) is {found.get(keyword)!r}, not {expected.get(keyword)!r}"
        for keyword in dict.fromkeys([*expected, *found])
        if found.get(keyword) != expected.get(keyword)
    ]
