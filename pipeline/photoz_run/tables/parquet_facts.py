"""Units and coordinate systems that a Parquet file states at once, as astropy and TOPCAT do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from photoz_run.tables.plain_yaml import read_yaml
from photoz_run.tables.systems import Systems, of_xml, of_yaml

ASTROPY = b"table_meta_yaml"
VOPARQUET = b"IVOA.VOTable-Parquet.content"
"""A VOTable without rows (IVOA note VOParquet 1.0)."""


@dataclass(frozen=True)
class FileFacts:
    """What the metadata of a file say of its columns."""

    units: Mapping[str, str] = field(default_factory=dict)
    """Those of the columns that have one."""
    systems: Systems = field(default_factory=Systems)


def file_facts(metadata: Mapping[bytes, bytes]) -> FileFacts:
    """Units and systems by the metadata of a file.

    Raises
    ------
    ValueError
        If they are neither YAML nor XML.
    """
    votable, yaml = metadata.get(VOPARQUET), metadata.get(ASTROPY)
    first = _of_yaml(yaml) if yaml else FileFacts()
    second = _of_votable(votable) if votable else FileFacts()
    return FileFacts({**second.units, **first.units}, first.systems.or_else(second.systems))


def _of_votable(content: bytes) -> FileFacts:
    try:
        document = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise ValueError(f"{VOPARQUET.decode()}: {error}") from error
    fields = [one for one in document.iter() if one.tag.rpartition("}")[2] == "FIELD"]
    units = {one.get("name", ""): one.get("unit", "") for one in fields if one.get("unit")}
    return FileFacts(units, of_xml(document))


def _of_yaml(content: bytes) -> FileFacts:
    try:
        said = read_yaml(content)
    except ValueError as error:
        raise ValueError(f"{ASTROPY.decode()}: {error}") from error
    columns: list[dict[str, Any]] = (said or {}).get("datatype") or []
    units = {one["name"]: str(one["unit"]) for one in columns if one.get("unit")}
    return FileFacts(units, of_yaml(said))
