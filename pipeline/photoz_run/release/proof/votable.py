"""The VOTable in the metadata of Parquet says what the fields and the release say."""

from collections.abc import Iterator, Mapping
from xml.etree import ElementTree

import pyarrow as pa

from photoz_run import flags, schema
from photoz_run.catalogue.arrow_fields import about, code_and_size, is_text
from photoz_run.release.provenance import ColumnFacts
from photoz_run.release.record import ReleaseRecord

VOTABLE = b"IVOA.VOTable-Parquet"
VOTABLE_KEYS = tuple(f"{VOTABLE.decode()}.{key}" for key in ("version", "content"))
LENGTH = "table::len::"
"""The keys under which astropy looks for the lengths of texts."""
VOTABLE_SAYS = ("unit", "ucd", "description")
"""What the fields of the VOTable and those of Parquet say in the same words."""
FIELD_KEYS = {"ID", "name", "datatype", "arraysize", "unit", "ucd", "ref"}
ELEMENTS = {"VOTABLE", "RESOURCE", "DESCRIPTION", "COOSYS", "TABLE", "FIELD", "INFO"}
DATATYPES = {
    "L": "boolean",
    "B": "unsignedByte",
    "I": "short",
    "J": "int",
    "K": "long",
    "E": "float",
    "D": "double",
}
"""The VOTable type for the letter of a FITS type."""


def wrong_fields(fields: pa.Schema) -> Iterator[str]:
    """What the VOTable in the file's metadata says otherwise than the fields."""
    metadata = fields.metadata or {}
    version = metadata.get(VOTABLE + b".version", b"").decode()
    if version != "1.0":
        yield f"version of VOParquet is {version!r}, not '1.0'"
    root = ElementTree.fromstring(metadata[VOTABLE + b".content"])
    elements = {element.get("name", ""): element for element in root.iterfind(".//{*}FIELD")}
    if list(elements) != fields.names:
        yield "the VOTable has other columns"
    for column in fields:
        if column.name in elements:
            yield from _wrong_element(elements[column.name], ColumnFacts.of(column))
            yield from _wrong_type(elements[column.name], column, metadata)


def _wrong_type(
    element: ElementTree.Element, column: pa.Field, metadata: Mapping[bytes, bytes]
) -> Iterator[str]:
    """Where the VOTable says another type or length than the field, or more than a release does."""
    stated = element.get("datatype"), element.get("arraysize")
    expected: tuple[str, str | None]
    if is_text(column.type):
        length = metadata.get(f"{LENGTH}{column.name}".encode(), b"").decode()
        kind = "char" if column.name in schema.BY_NAME else "unicodeChar"
        expected = kind, f"{max(1, int(length))}*"
    else:
        code, size = code_and_size(column)
        listed = pa.types.is_fixed_size_list(column.type)
        expected = DATATYPES[code], str(size) if listed else None
    if stated != expected:
        yield f"{column.name}: its type is {stated} in the VOTable, not {expected}"
    for key in set(element.keys()) - FIELD_KEYS:
        yield f"{column.name}: {key} is nothing that a release says in the VOTable"


def wrong_infos(fields: pa.Schema, record: ReleaseRecord) -> Iterator[str]:
    """What the VOTable says of the release otherwise than it should."""
    root = ElementTree.fromstring((fields.metadata or {})[VOTABLE + b".content"])
    expected = record.metadata()
    for column in fields:
        levels = about(column).get("levels")
        if levels:
            expected[f"{column.name}.levels"] = levels
    for flag in flags.FLAGS:
        expected[f"PHOTOZ_FLAG.{flag.name}"] = f"bit {flag.bit}: {flag.description}"
    expected["PHOTOZ_FLAG.NOT_FOR_SCIENCE"] = (
        f"{flags.NOT_FOR_SCIENCE}: {flags.NOT_FOR_SCIENCE_WORDS}"
    )
    stated = {info.get("name", ""): info.get("value", "") for info in root.iterfind(".//{*}INFO")}
    for name in sorted({*expected, *stated}):
        if stated.get(name) != expected.get(name):
            yield f"{name} is {stated.get(name)!r} in the VOTable, not {expected.get(name)!r}"
    table = root.find(".//{*}TABLE")
    if table is None or table.get("name") != record.name:
        yield "the table of the VOTable has another name"
    strange = {element.tag.rpartition("}")[2] for element in root.iter()} - ELEMENTS
    for tag in sorted(strange):
        yield f"{tag} is nothing that the VOTable of a release has"


def _wrong_element(element: ElementTree.Element, column: ColumnFacts) -> Iterator[str]:
    for key in VOTABLE_SAYS:
        text = element.get(key, "")
        if key == "description":
            text = element.findtext("{*}DESCRIPTION", "")
        text, expected = _in_one_line(text), _in_one_line(getattr(column, key))
        if text != expected:
            yield f"{column.name}: {key} is {text!r} in the VOTable, not {expected!r}"


def _in_one_line(text: str) -> str:
    """A text as XML means it: a writer may break its lines, and one space is as good as two."""
    return " ".join(text.split())
