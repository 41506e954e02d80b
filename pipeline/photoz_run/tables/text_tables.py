"""Tables in text: CSV with any usual separator, columns between blanks, and ECSV, plain or gzip."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv as pacsv

from photoz_run.tables.inference import TYPES, as_kind, joint_kind, kind_of
from photoz_run.tables.refusals import explained, wrong_content
from photoz_run.tables.streams import open_bytes
from photoz_run.tables.table import Range, Table
from photoz_run.tables.text_comments import without_comments
from photoz_run.tables.text_layout import BLANKS, Layout, layout_of

MEND = "mend that row"
BLOCK = 1 << 24
"""Bytes that are read at once."""


def open_text(path: Path) -> list[Table]:
    """The table of a CSV file, or of one with columns between blanks."""
    with explained(path, "text table"):
        return [TextTable(path, layout_of(path))]


class TextTable(Table):
    """Rows of text; the values of the whole file say what a column holds, unless ``fields`` do."""

    container = "text table"

    def __init__(
        self, path: Path, layout: Layout, fields: Mapping[str, pa.Field] | None = None
    ) -> None:
        super().__init__(path)
        self._layout = layout
        self._fields = dict(fields or {})
        self._rows: int | None = None

    def __len__(self) -> int:
        if self._rows is None:
            self._infer(self._layout.names[:1])
        assert self._rows is not None
        return self._rows

    def stored_names(self) -> Sequence[str]:
        """The names in the header."""
        return self._layout.names

    def stored_field(self, name: str) -> pa.Field:
        """Its type by all of its values, or as the header declares it."""
        if name not in self._fields:
            self._infer([name])
        return self._fields[name]

    def stored_parts(
        self, names: Sequence[str], rows: int, within: Range | None
    ) -> Iterator[pa.Table]:
        """A block of the file at a time, every column in its type."""
        unknown = [name for name in names if name not in self._fields]
        if unknown:
            self._infer(unknown)
        for part in self._texts(names):
            yield pa.table({name: self._values(name, part[name]) for name in names})

    def _values(self, name: str, texts: pa.ChunkedArray) -> pa.ChunkedArray:
        kind = self._fields[name].type
        try:
            return as_kind(texts, kind)
        except pa.ArrowInvalid as error:
            reason = str(error).splitlines()[0]
            raise wrong_content(self.where, name, f"text ({reason})", str(kind)) from error

    def _infer(self, names: Sequence[str]) -> None:
        kinds = {name: "null" for name in names}
        self._rows = 0
        for part in self._texts(names):
            self._rows += len(part)
            for name in names:
                if kinds[name] != "text":
                    kinds[name] = joint_kind([kinds[name], kind_of(part[name])])
        for name, kind in kinds.items():
            self._fields.setdefault(name, pa.field(name, TYPES[kind]))

    def _texts(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Columns as they are spelled, a block of the file at a time."""
        columns = {str(self._layout.names.index(name)): name for name in names}
        with explained(self.path, self.container, MEND), open_bytes(self.path) as stream:
            for _ in range(self._layout.skipped):
                stream.readline()
            blocks = self._blocks(stream, list(columns))
            for block in blocks:
                yield block.rename_columns([columns[key] for key in block.column_names])

    def _blocks(self, stream: IO[bytes], keys: list[str]) -> Iterator[pa.Table]:
        if self._layout.separator != BLANKS:
            for batch in self._parsed(_Stream(self._rows_of(stream)), keys):
                yield pa.Table.from_batches([batch])
            return
        for lines in self._rows_of(stream):
            single = one_blank(lines)
            if single.strip():
                yield self._parsed(pa.BufferReader(single), keys).read_all()

    def _rows_of(self, stream: IO[bytes]) -> Iterator[bytes]:
        for lines in _whole_lines(stream):
            yield without_comments(lines, self._layout, self.where)

    def _parsed(self, source: object, keys: list[str]) -> pacsv.CSVStreamingReader:
        numbered = [str(k) for k in range(len(self._layout.names))]
        try:
            return pacsv.open_csv(
                source,
                pacsv.ReadOptions(
                    column_names=numbered, block_size=BLOCK, encoding=self._layout.encoding
                ),
                pacsv.ParseOptions(
                    delimiter=self._layout.separator,
                    newlines_in_values=self._layout.separator != BLANKS,
                ),
                pacsv.ConvertOptions(
                    column_types={key: pa.string() for key in numbered},
                    include_columns=keys,
                    strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV" not in str(error):
                raise
            nothing = pa.schema([(key, pa.string()) for key in keys])
            return pa.RecordBatchReader.from_batches(nothing, [])


class _Stream(io.RawIOBase):
    """Parts of a text as one stream."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, 0 bytes at the end."""
        while not self._left:
            lines = next(self._parts, None)
            if lines is None:
                return 0
            self._left = memoryview(lines)
        number = min(len(buffer), len(self._left))
        buffer[:number], self._left = self._left[:number], self._left[number:]
        return number


def one_blank(lines: bytes) -> bytes:
    """Lines whose columns lie between any number of blanks, with one blank between them."""
    text = b"\n".join(line.strip() for line in lines.splitlines()) + b"\n"
    if b'"' not in text:
        return re.sub(rb"[ \t]+", b" ", text)
    return re.sub(rb'("[^"\n]*")|[ \t]+', lambda found: found[1] or b" ", text)


def _whole_lines(stream: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(BLOCK):
        lines, newline, last = (rest + block).rpartition(b"\n")
        rest = last
        yield lines + newline
    yield rest
