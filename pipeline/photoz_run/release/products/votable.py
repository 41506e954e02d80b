"""The columns of a release as a VOTable without data, for the metadata of its Parquet files.

VOParquet asks for it.
"""

import warnings
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING

import pyarrow as pa

from photoz_run import schema
from photoz_run.catalogue.arrow_fields import about, code_and_size, is_text
from photoz_run.flags import FLAGS, NOT_FOR_SCIENCE, NOT_FOR_SCIENCE_WORDS
from photoz_run.release.record import ReleaseRecord

if TYPE_CHECKING:
    from astropy.io.votable.tree import Field, Info, VOTableFile

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
FRAME = "icrs"


def votable_without_data(arrow: pa.Schema, record: ReleaseRecord, widths: Mapping[str, int]) -> str:
    """The XML of a VOTable 1.4 with a FIELD for each column, the provenance, and no rows.

    A unit or UCD that VOTable does not know is left out; it stands in the field's metadata.

    Parameters
    ----------
    arrow
        The columns.
    record
        What the release says of itself.
    widths
        Characters of the texts that have no length in the dictionary.

    Raises
    ------
    ConfigError
        If a column has a type that VOTable and FITS do not have.
    """
    from astropy.io.votable.tree import CooSys, Resource, TableElement, VOTableFile

    votable = VOTableFile(version="1.4")
    resource = Resource(type="results")
    resource.description = schema.DESCRIPTIONS["photoz"]
    resource.coordinate_systems.append(CooSys(ID=FRAME, system="ICRS"))
    table = TableElement(votable, ID="catalogue", name=record.name)
    table.infos.extend(_infos(arrow, record))
    resource.tables.append(table)
    votable.resources.append(resource)
    xml = BytesIO()
    # Units of columns taken over may be old or unusual; that is nothing to warn of here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table.fields.extend(_field(votable, field, widths) for field in arrow)
        votable.to_xml(xml)
    return xml.getvalue().decode()


def _infos(arrow: pa.Schema, record: ReleaseRecord) -> "list[Info]":
    from astropy.io.votable.tree import Info

    texts = record.metadata()
    for field in arrow:
        levels = about(field).get("levels")
        if levels:
            texts[f"{field.name}.levels"] = levels
    for flag in FLAGS:
        texts[f"PHOTOZ_FLAG.{flag.name}"] = f"bit {flag.bit}: {flag.description}"
    texts["PHOTOZ_FLAG.NOT_FOR_SCIENCE"] = f"{NOT_FOR_SCIENCE}: {NOT_FOR_SCIENCE_WORDS}"
    return [Info(name=name, value=text) for name, text in texts.items()]


def _field(votable: "VOTableFile", field: pa.Field, widths: Mapping[str, int]) -> "Field":
    from astropy.io.votable.tree import Field

    metadata = about(field)
    ucd = metadata.get("ucd", "")
    datatype, arraysize = _type(field, widths)
    element = Field(
        votable,
        name=field.name,
        datatype=datatype,
        arraysize=arraysize,
        unit=_unit(metadata.get("unit", "")),
        ucd=_ucd(ucd),
        ref=FRAME if ucd.startswith("pos.eq") else None,
    )
    element.description = metadata.get("description")
    return element


def _unit(text: str) -> str | None:
    """A unit as VOTable writes it (``W.Hz**-1.m**-2`` for ``W/m2/Hz``), ``None`` for no unit."""
    from astropy import units

    try:
        return str(units.Unit(text).to_string("vounit")) if text else None
    except ValueError:
        return None


def _ucd(text: str) -> str | None:
    """A UCD, ``None`` for what is none by its form."""
    from astropy.io.votable.ucd import check_ucd

    return text if text and check_ucd(text, has_colon=True) else None


def _type(field: pa.Field, widths: Mapping[str, int]) -> tuple[str, str | None]:
    if not is_text(field.type):
        code, size = code_and_size(field)
        return DATATYPES[code], str(size) if pa.types.is_fixed_size_list(field.type) else None
    known = schema.BY_NAME.get(field.name)
    if known:
        return "char", f"{known.length}*"
    return "unicodeChar", f"{max(1, widths.get(field.name, 0))}*"
