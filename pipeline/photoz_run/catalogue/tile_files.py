"""Writing the files of one tile: under another name, synced, read again, renamed.

A file under its final name is therefore whole.
"""

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits

from photoz_run.catalogue.fits_table import write_fits
from photoz_run.catalogue.on_disk import beside_name, sync_and_digest, sync_folder
from photoz_run.errors import OutputError, TransientError

PROVENANCE_KEY = b"photoz-run"


def write_tile(
    table: pa.Table, folder: Path, tile: str, formats: Sequence[str], provenance: Mapping[str, str]
) -> dict[str, str]:
    """Write ``table`` as ``folder/TILE.FORMAT``; the sha256 of each file by its name.

    Raises
    ------
    OutputError
        If the folder cannot be written or the disk is full.
    TransientError
        If the file read back is not the table that was written.

    After an error no new file is there: they get their names when all of them are whole.
    """
    writers: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
        "parquet": (
            lambda path: _write_parquet(table, path, provenance),
            lambda path: _check_parquet(table, path),
        ),
        "fits": (
            lambda path: write_fits(table, path, provenance),
            lambda path: _check_fits(table, path),
        ),
    }
    paths = [folder / f"{tile}.{name}" for name in ("parquet", "fits") if name in formats]
    digests = {}
    try:
        for path in paths:
            write, check = writers[path.suffix[1:]]
            digests[path.name] = _write_beside(path, write, check)
        _rename(paths)
    finally:
        for path in paths:
            _discard(beside_name(path))
    return digests


def _rename(paths: Sequence[Path]) -> None:
    """Give whole files their names: all of them, or none."""
    renamed: list[Path] = []
    try:
        for path in paths:
            with _explained(path):
                os.replace(beside_name(path), path)
                renamed.append(path)
                sync_folder(path.parent)
    except OutputError:
        for path in renamed:
            _discard(path)
        raise


def _write_beside(path: Path, write: Callable[[Path], None], check: Callable[[Path], None]) -> str:
    """Write a file beside ``path``, sync it and check it; its sha256."""
    beside = beside_name(path)
    with _explained(path):
        write(beside)
        digest = sync_and_digest(beside)
        check(beside)
    return digest


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """A refusal of the disk becomes an `OutputError`."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = (
            "free space and start the same command again"
            if full
            else "check the folder and its permissions"
        )
        reason = os.strerror(error.errno) if error.errno else error
        raise OutputError(f"{path}: cannot be written ({reason}); {remedy}") from error


def _discard(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _write_parquet(table: pa.Table, path: Path, provenance: Mapping[str, str]) -> None:
    metadata = {PROVENANCE_KEY.decode() + "." + key: value for key, value in provenance.items()}
    described = table.replace_schema_metadata(metadata)
    pq.write_table(described, path, compression="zstd", write_page_checksum=True)


def _check_parquet(table: pa.Table, path: Path) -> None:
    if not pq.read_table(path, page_checksum_verification=True).equals(table):
        raise TransientError(f"{path}: what was read back is not what was written")


def _check_fits(table: pa.Table, path: Path) -> None:
    with fits.open(path, checksum=True, memmap=False) as hdus:
        rows = hdus[1].data
        same = len(rows) == table.num_rows and rows.names == table.column_names
        same = same and np.array_equal(
            rows["Z_PHOT"], table["Z_PHOT"].fill_null(np.nan).to_numpy(), equal_nan=True
        )
    if not same:
        raise TransientError(f"{path}: what was read back is not what was written")
