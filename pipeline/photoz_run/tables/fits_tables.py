"""Tables of a FITS file: binary and ASCII, plain or packed with gzip."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run.checksum import data_differ, header_differs
from photoz_run.errors import BadDataError
from photoz_run.reading import BLOCK, data_bytes, whole_number
from photoz_run.tables import fits_ascii, fits_columns
from photoz_run.tables.fits_columns import Place
from photoz_run.tables.fits_hdus import Hdu, read_hdus
from photoz_run.tables.fits_systems import systems_of
from photoz_run.tables.names import told_apart
from photoz_run.tables.refusals import explained, wrong_content
from photoz_run.tables.streams import is_gzip, open_bytes, read_bytes
from photoz_run.tables.systems import Stated, Systems
from photoz_run.tables.table import Range, Table

READ = 1 << 24
"""Bytes of rows that are read at once."""


def open_fits(path: Path) -> list[Table]:
    """Every table of a FITS file.

    Raises
    ------
    BadDataError
        If it holds images only, or cannot be read.
    """
    with explained(path, "FITS file"):
        primary, *others = read_hdus(path)
        hdus = [hdu for hdu in others if hdu.is_table]
        names = told_apart([hdu.name for hdu in hdus], [hdu.number for hdu in hdus])
    if not hdus:
        raise BadDataError(f"{path}: a FITS file without a table: it holds images only")
    return [FitsTable(path, hdu, name, primary) for hdu, name in zip(hdus, names, strict=True)]


class FitsTable(Table):
    """One table of a FITS file."""

    container = "FITS table"

    def __init__(self, path: Path, hdu: Hdu, name: str, primary: Hdu) -> None:
        super().__init__(path, name)
        self._primary = primary
        self.hdu = hdu
        self._columns: Any = fits_ascii if hdu.is_ascii else fits_columns
        with explained(path, "FITS file"):
            self._width = whole_number(hdu.outline, "NAXIS1")
            self._rows = whole_number(hdu.outline, "NAXIS2")

    @cached_property
    def places(self) -> list[Any]:
        """Where its columns lie; read when they are asked for, as most of the header is."""
        with explained(self.path, "FITS file"):
            places: list[Any] = self._columns.places_of(self.hdu.header)
        return places

    def __len__(self) -> int:
        return self._rows

    def stored_names(self) -> Sequence[str]:
        """TTYPE of each column."""
        return [place.name for place in self.places]

    def stored_field(self, name: str) -> pa.Field:
        """Its type and TUNIT, TUCD, TCOMM; an ASCII table is read for the type of its columns."""
        return self._column(name).field

    def stated_system(self, name: str) -> Stated:
        """By a SkyCoord of astropy, by its cards, or by those of a primary HDU without image."""
        return self._systems.of(name)

    @cached_property
    def _systems(self) -> Systems:
        with explained(self.path, "FITS file"):
            return systems_of(self.path, self.hdu, self._primary)

    def stored_parts(
        self, names: Sequence[str], rows: int, within: Range | None
    ) -> Iterator[pa.Table]:
        """Rows from the file, by blocks of `READ` bytes."""
        columns = [self._column(name) for name in names]
        for bytes_NW in self._row_bytes(rows):
            yield pa.table([self._decoded(one, bytes_NW) for one in columns], names=list(names))

    def _decoded(self, column: Any, bytes_NW: NDArray[np.uint8]) -> pa.Array:
        content = bytes_NW[:, column.start : column.start + column.width]
        try:
            return self._columns.decode(column, content)
        except pa.ArrowInvalid as error:
            # Fortran writes asterisks for a number that is too wide.
            reason = str(error).splitlines()[0]
            raise wrong_content(self.where, column.name, f"text ({reason})", "a number") from error

    def check_length(self) -> None:
        """Refuse a file that has not all of its rows: `BadDataError`.

        The length of one that is packed with gzip is not known before it is read.
        """
        size = self.path.stat().st_size
        if self._width and not is_gzip(self.path):
            whole = max(0, size - self.hdu.start) // self._width
            if whole < self._rows:
                raise self._truncated(whole)

    @property
    def odd_bytes(self) -> int:
        """By how many bytes the file is longer than whole FITS blocks; 0 for a packed one."""
        return 0 if is_gzip(self.path) else self.path.stat().st_size % BLOCK

    def check_sums(self) -> list[str]:
        """Compare the file with its CHECKSUM and DATASUM, where it has them.

        Returns
        -------
        list
            A remark for every header that was changed.

        Raises
        ------
        BadDataError
            If the rows are others than those DATASUM was made of.
        """
        remarks = []
        with explained(self.path, "FITS file"), open_bytes(self.path) as stream:
            for hdu in read_hdus(self.path):
                if header_differs(hdu.content):
                    remarks.append(
                        f"{self.path.name}: the header of HDU {hdu.number} was changed after its"
                        " CHECKSUM was written"
                    )
                if hdu.number != self.hdu.number:
                    continue
                stream.seek(hdu.start)
                size = -(-data_bytes(hdu.outline) // BLOCK) * BLOCK
                if data_differ(hdu.content, stream, size):
                    raise BadDataError(
                        f"{self.where}: its rows are not those of its DATASUM: damaged, copy it"
                        " again; if they were changed on purpose, write DATASUM anew"
                    )
        return remarks

    def _column(self, name: str) -> Any:
        self._refuse_one_row()
        place = next(place for place in self.places if place.name == name)
        with explained(self.path, "FITS file"):
            column = self._columns.column_at(self.hdu.header, place)
        if place.start + place.width > self._width:
            raise BadDataError(
                f"{self.where}: column {name} ends in byte {place.start + place.width:,} of rows of"
                f" {self._width:,}; its header is damaged, copy it again"
            )
        if column.refused:
            raise wrong_content(self.where, name, column.refused, "one value a row")
        return column

    def _row_bytes(self, rows: int) -> Iterator[NDArray[np.uint8]]:
        if not self._rows or not self._width:
            return
        step = max(1, min(rows, READ // self._width))
        with explained(self.path, "FITS file"), open_bytes(self.path) as stream:
            stream.seek(self.hdu.start)
            for first in range(0, self._rows, step):
                number = min(step, self._rows - first)
                content = read_bytes(stream, number * self._width)
                if len(content) < number * self._width:
                    raise self._truncated(first + len(content) // self._width)
                yield np.frombuffer(content, np.uint8).reshape(number, self._width)

    def _truncated(self, row: int) -> BadDataError:
        return BadDataError(
            f"{self.where}: it ends in row {row + 1:,} of {self._rows:,}: truncated, copy it again"
        )

    def _refuse_one_row(self) -> None:
        """Refuse tables whose only row holds a whole table: they are no rows for anybody else."""
        if self.hdu.outline.get("ZTABLE", False):
            raise BadDataError(
                f"{self.where}: a table that fpack has packed; unpack it with funpack"
            )
        if self._rows != 1:
            return
        numbers = [
            place for place in self.places if isinstance(place, Place) and place.letter != "A"
        ]
        if numbers and all(place.repeat > 1 for place in numbers):
            raise BadDataError(
                f"{self.where}: its one row holds whole columns (colfits); convert it with"
                " stilts tcopy IN.fits OUT.fits ofmt=fits"
            )
