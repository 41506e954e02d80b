"""The Parquet files that are the rows of a folder; of a HATS catalogue, its partitions alone.

A HATS catalogue (IVOA note HATS 1.0) also holds a thumbnail, and a collection margins and indexes:
all of them repeat rows. Other folders may keep a column in their names, ``survey=KiDS``, as Hive,
Spark, Dask and pyarrow do.
"""

import csv
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from photoz_run.errors import BadDataError
from photoz_run.tables.parquet import ParquetTable
from photoz_run.tables.partitions import partitioned
from photoz_run.tables.refusals import explained
from photoz_run.tables.streams import first_bytes, is_gzip
from photoz_run.tables.table import StackedTable, Table

SUFFIXES = (".parquet", ".pq", ".parq")
MAGIC = b"PAR1"
HIDDEN = ("_", ".")
PROPERTIES = ("hats.properties", "properties")
PIXEL = re.compile(r"Norder=(\d+)/(?:Dir=\d+/)?Npix=(\d+)")
COLLECTION = "collection.properties"
ROWS_OF_THEIR_OWN = ("object", "source", "")
VERSIONED = {
    "_delta_log": "a Delta table",
    "metadata/*.metadata.json": "an Iceberg table",
    ".hoodie": "a Hudi table",
}
"""What lies in the folder of a table that keeps rows of its earlier versions beside the current."""


def open_folder(folder: Path) -> list[Table]:
    """The table that the Parquet files of a folder make.

    Raises
    ------
    BadDataError
        If there is none, or it is a part of a HATS collection that repeats rows of its catalogue.
    """
    with explained(folder, "folder"):
        files = parquet_files(folder)
    if not files:
        raise BadDataError(f"{folder}: a folder without Parquet files; name a table in it")
    return [StackedTable(folder, partitioned(folder, [ParquetTable(file) for file in files]))]


def parquet_files(folder: Path) -> list[Path]:
    """The files that hold the rows of a folder, each row once."""
    refuse_versions(folder)
    if (folder / COLLECTION).is_file():
        primary = _properties(folder / COLLECTION).get("hats_primary_table_url", "")
        if not primary or not (folder / primary).is_dir():
            raise BadDataError(f"{folder}: {COLLECTION} names no catalogue that is there")
        return parquet_files(folder / primary)
    if properties := next((folder / n for n in PROPERTIES if (folder / n).is_file()), None):
        return _hats_files(folder, _properties(properties))
    if (folder / "dataset").is_dir() and any((folder / "dataset").glob("Norder=*")):
        return _data_files(folder / "dataset")
    return _data_files(folder)


def refuse_versions(folder: Path) -> None:
    """Refuse a folder whose files are not all rows of the table: `BadDataError`."""
    for mark, what in VERSIONED.items():
        if any(folder.glob(mark)):
            raise BadDataError(
                f"{folder}: {what}, whose files hold rows of earlier versions, too; write its"
                " current rows as Parquet"
            )


def _hats_files(folder: Path, properties: dict[str, str]) -> list[Path]:
    kind = properties.get("dataproduct_type", "")
    if kind not in ROWS_OF_THEIR_OWN:
        raise BadDataError(
            f"{folder}: the {kind} of a HATS catalogue, which repeats its rows; name the catalogue"
        )
    root = folder / "dataset" if (folder / "dataset").is_dir() else folder
    files = [file for file in _data_files(root) if PIXEL.search(file.as_posix())]
    _refuse_lost(folder, files)
    return files


def _refuse_lost(folder: Path, files: Sequence[Path]) -> None:
    """Refuse a HATS catalogue that lacks partitions of its own list: `BadDataError`."""
    listing = folder / "partition_info.csv"
    if not listing.is_file():
        return
    with listing.open(newline="", encoding="utf-8") as stream:
        listed = {(row["Norder"], row["Npix"]) for row in csv.DictReader(stream)}
    there = {found.groups() for file in files if (found := PIXEL.search(file.as_posix()))}
    if lost := sorted(listed - there):
        raise BadDataError(
            f"{folder}: {len(lost)} of its {len(listed)} partitions are missing, the first is"
            f" Norder={lost[0][0]}, Npix={lost[0][1]}; copy it again"
        )


def _data_files(folder: Path) -> list[Path]:
    """Parquet files at any depth, without hidden ones and those that writers put beside rows."""
    files = list(_visible_files(folder))
    called_so = [file for file in files if file.suffix.lower() in SUFFIXES]
    others = [file for file in files if file.suffix.lower() not in SUFFIXES and _is_parquet(file)]
    if packed := next(filter(is_gzip, others), None):
        raise BadDataError(f"{packed}: Parquet packed with gzip; unpack it")
    if called_so and others:
        raise BadDataError(
            f"{others[0]}: Parquet that is not called so beside files that are; rename it to"
            f" {others[0].name}.parquet if it holds rows of the table, else take it out"
        )
    return called_so or others


def _visible_files(folder: Path) -> Iterator[Path]:
    """Files at any depth, in order, also those that links lead to."""
    for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        folders[:] = [
            name
            for name in sorted(folders)
            if not _is_hidden(name) and not _leads_back(Path(place).absolute() / name)
        ]
        for name in sorted(files):
            if not _is_hidden(name) and (Path(place) / name).is_file():
                yield Path(place) / name


def _leads_back(folder: Path) -> bool:
    """Whether a folder is a link to one that it lies in."""
    return folder.is_symlink() and any(folder.samefile(above) for above in folder.parents)


def _refuse(error: OSError) -> None:
    """A folder that cannot be looked into may hold rows."""
    raise error


def _is_hidden(name: str) -> bool:
    """What writers leave beside rows; a folder ``_month=3`` holds some."""
    return name.startswith(HIDDEN) and "=" not in name


def _is_parquet(file: Path) -> bool:
    return first_bytes(file, len(MAGIC)) == MAGIC


def _properties(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith(("#", "!")))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}
