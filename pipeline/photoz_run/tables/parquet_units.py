"""Units that a Parquet file states for all of its columns at once, as astropy and TOPCAT do."""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import yaml

ASTROPY = b"table_meta_yaml"
VOPARQUET = b"IVOA.VOTable-Parquet.content"
"""A VOTable without rows (IVOA note VOParquet 1.0)."""


def file_units(metadata: Mapping[bytes, bytes]) -> dict[str, str]:
    """The unit of each column that has one, by the metadata of a file.

    Raises
    ------
    ValueError
        If they are neither YAML nor XML.
    """
    units: dict[str, str] = {}
    if content := metadata.get(VOPARQUET):
        units |= _of_votable(content)
    if content := metadata.get(ASTROPY):
        units |= _of_yaml(content)
    return units


def _of_votable(content: bytes) -> dict[str, str]:
    try:
        elements = list(ElementTree.fromstring(content).iter())
    except ElementTree.ParseError as error:
        raise ValueError(f"{VOPARQUET.decode()}: {error}") from error
    fields = [one for one in elements if one.tag.rpartition("}")[2] == "FIELD"]
    return {one.get("name", ""): one.get("unit", "") for one in fields if one.get("unit")}


class _PlainLoader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML whose objects of Python are left out."""


_PlainLoader.add_multi_constructor("", lambda *_: None)


def _of_yaml(content: bytes) -> dict[str, str]:
    try:
        said = yaml.load(content, _PlainLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"{ASTROPY.decode()}: {str(error).splitlines()[0]}") from error
    columns: list[dict[str, Any]] = (said or {}).get("datatype") or []
    return {one["name"]: str(one["unit"]) for one in columns if one.get("unit")}
