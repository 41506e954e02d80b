"""The columns of an Arrow table as a VOTable without data, which VOParquet puts into a Parquet file."""

from io import BytesIO

import pyarrow as pa

from pipeline import schema
from pipeline.catalogue.release_record import ReleaseRecord

DATATYPES = {
    pa.bool_(): "boolean",
    pa.uint8(): "unsignedByte",
    pa.int8(): "short",
    pa.int16(): "short",
    pa.uint16(): "int",
    pa.int32(): "int",
    pa.uint32(): "long",
    pa.int64(): "long",
    pa.float16(): "float",
    pa.float32(): "float",
    pa.float64(): "double",
}


def data_less_votable(arrow: pa.Schema, record: ReleaseRecord) -> str:
    """The XML of a VOTable 1.4 that describes the columns of ``arrow`` and holds no rows."""
    from astropy.io.votable.tree import Info, Resource, TableElement, VOTableFile

    votable = VOTableFile(version="1.4")
    resource = Resource(name=record.name, type="results")
    votable.resources.append(resource)
    table = TableElement(votable, name=record.name)
    resource.tables.append(table)
    for key, value in record.texts().items():
        table.infos.append(Info(name=key, value=value))
    table.fields.extend(_field(votable, field) for field in arrow)
    xml = BytesIO()
    votable.to_xml(xml)
    return xml.getvalue().decode()


def _field(votable: object, field: pa.Field) -> object:
    from astropy.io.votable.tree import Field

    about = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    kind, arraysize = _datatype(field)
    made = Field(
        votable, name=field.name, datatype=kind, arraysize=arraysize, unit=about.get("unit"), ucd=about.get("ucd")
    )
    made.description = about.get("description")
    return made


def _datatype(field: pa.Field) -> tuple[str, str | None]:
    if field.name in schema.BY_NAME and schema.BY_NAME[field.name].dtype.startswith("U"):
        return "char", f"{schema.BY_NAME[field.name].dtype[1:]}*"
    if pa.types.is_fixed_size_list(field.type):
        return DATATYPES[field.type.value_type], str(field.type.list_size)
    return (DATATYPES[field.type], None) if field.type in DATATYPES else ("unicodeChar", "*")
