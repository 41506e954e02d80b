"""The one door: any table by its content, whatever its file is called."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from photoz_run.errors import BadDataError
from photoz_run.reading import check_no_pipe
from photoz_run.tables.fits_tables import open_fits
from photoz_run.tables.names import split_name
from photoz_run.tables.refusals import explained, no_column
from photoz_run.tables.streams import first_bytes, is_gzip
from photoz_run.tables.table import StackedTable, Table

ECSV = b"# %ECSV "
LOOKED_AT = 4096
"""Bytes at the start of a file that tell what it is."""
Needed: TypeAlias = Sequence[str] | Callable[[Table], bool]
"""Columns that a table must have, or whether a table will do."""


@dataclass(frozen=True)
class Reader:
    """A container: how its content begins, and how its tables are opened."""

    begins: Callable[[bytes], bool]
    open: Callable[[Path], list[Table]]
    packed: bool = True
    """Whether it may be packed with gzip."""


# Libraries are loaded for containers that are met: whoever reads FITS alone saves 15 MB.


def _open_parquet(path: Path) -> list[Table]:
    from photoz_run.tables.parquet import open_parquet

    return open_parquet(path)


def _open_folder(path: Path) -> list[Table]:
    from photoz_run.tables.folders import open_folder

    return open_folder(path)


def _open_ecsv(path: Path) -> list[Table]:
    from photoz_run.tables.ecsv import open_ecsv

    return open_ecsv(path)


def _open_votable(path: Path) -> list[Table]:
    from photoz_run.tables.votable import open_votable

    return open_votable(path)


def _open_text(path: Path) -> list[Table]:
    from photoz_run.tables.text_tables import open_text

    return open_text(path)


def _is_votable(start: bytes) -> bool:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    return text.startswith(b"<") and b"VOTABLE" in text


def _is_text(start: bytes) -> bool:
    return bool(start) and not any(byte < 9 for byte in start) and not start.startswith(b"<")


READERS = (
    Reader(lambda start: start.startswith(b"SIMPLE  ="), open_fits),
    Reader(lambda start: start.startswith(b"PAR1"), _open_parquet, packed=False),
    Reader(lambda start: start.startswith(ECSV), _open_ecsv),
    Reader(_is_votable, _open_votable),
)
"""The containers that are told by how they begin; what is left may be text."""
OTHERS = {
    b"\x89HDF\r\n": "an HDF5 file; convert it, to Parquet for instance",
    b"ARROW1": "an Arrow file; convert it to Parquet",
    b"FEA1": "a Feather file; convert it to Parquet",
    b"PARE": "an encrypted Parquet file; decrypt it",
    b"\x93NUMPY": "an array of numpy without column names; convert it to Parquet",
    b"BZh": "packed with bzip2; unpack it",
    b"\xfd7zXZ": "packed with xz; unpack it",
    b"\x28\xb5\x2f\xfd": "packed with zstd; unpack it",
    b"PK\x03\x04": "a zip archive; unpack it",
    b"SQLite format 3": "an SQLite database; export the table as CSV",
    b"<": "a web page or another XML document, no table; was it downloaded by the right address?",
}


def open_table(path: Path, needed: Needed = ()) -> Table:
    """The table of a file or folder that has the columns needed.

    Parameters
    ----------
    path
        A file, a folder of Parquet files or a HATS catalogue; ``FILE#NAME`` or ``FILE#NUMBER`` is
        one table of several (FITS: EXTNAME or the number of the HDU).
    needed
        Columns it must have, or a test of a table.

    Raises
    ------
    BadDataError
        If there is no such file, table or column, or several tables would do.
    """
    file, chosen = split_name(path)
    tables = open_tables(file)
    if chosen:
        tables = [_named(file, tables, chosen)]
    if not needed:
        return tables[0] if len(tables) == 1 else _only(file, tables)
    fitting = [table for table in tables if _fits(table, needed)]
    if fitting:
        return fitting[0] if len(fitting) == 1 else _only(file, fitting)
    nearest = tables[0] if callable(needed) else min(tables, key=lambda t: len(t.missing(needed)))
    if callable(needed):
        return nearest
    raise no_column(nearest.where, nearest.missing(needed), nearest.names)


def open_tables(path: Path) -> list[Table]:
    """Every table of a file or folder, by content.

    Raises
    ------
    BadDataError
        If it is not there, or holds nothing that is known as a table.
    """
    if path.is_dir():
        return _open_folder(path)
    with explained(path, "table"):
        check_no_pipe(path)
        start = first_bytes(path, LOOKED_AT)
        packed = is_gzip(path)
    if not start:
        raise BadDataError(f"{path}: it is empty")
    reader = next((one for one in READERS if one.begins(start)), None)
    if reader is None and (other := _other(start)):
        raise BadDataError(f"{path}: {other}")
    if reader is None:
        return _open_text(path)
    if packed and not reader.packed:
        raise BadDataError(f"{path}: Parquet packed with gzip; unpack it")
    return reader.open(path)


def open_together(path: Path, files: Iterable[Path]) -> Table:
    """Files of the same layout as one table, called ``path`` in messages."""
    tables = [table for file in files for table in open_tables(file)]
    return StackedTable(path, tables)


def _fits(table: Table, needed: Needed) -> bool:
    return needed(table) if callable(needed) else not table.missing(needed)


def _named(path: Path, tables: Sequence[Table], chosen: str) -> Table:
    for table in tables:
        number = getattr(getattr(table, "hdu", None), "number", None)
        if chosen == table.name or chosen == str(number):
            return table
    raise BadDataError(f"{path}: no table {chosen}; it has {_listed(tables)}")


def _only(path: Path, tables: Sequence[Table]) -> Table:
    """Ask which of several tables is meant."""
    example = f"{path.name}#{tables[0].name}"
    raise BadDataError(
        f"{path}: {len(tables)} tables will do ({_listed(tables)}); name one: {example}"
    )


def _listed(tables: Sequence[Table]) -> str:
    return ", ".join(table.name or "one without a name" for table in tables)


def _other(start: bytes) -> str:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    known = next((what for magic, what in OTHERS.items() if text.startswith(magic)), "")
    if known or _is_text(start):
        return known
    return "not a table of a kind that is known (FITS, Parquet, HATS, CSV, ECSV, VOTable, text)"
