"""The FITS file of a release: it has the rows, the columns and the statements that it must have."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tomli_w
from astropy.io import fits
from numpy.typing import NDArray

from photoz_run.catalogue.arrow_fields import fixed_width, is_text, longest_text
from photoz_run.catalogue.fits_cards import add_remarks, printable
from photoz_run.catalogue.fits_columns import FitsColumn, fits_columns, text_widths
from photoz_run.catalogue.fits_stream import primary_header, table_header
from photoz_run.catalogue.table import dictionary_schema
from photoz_run.release.distributions import quantile_matrix
from photoz_run.release.proof.check import Check, as_many, proven, verdict
from photoz_run.release.proof.compare import Difference, Values, arrow_values, differing
from photoz_run.release.proof.fits_sums import FitsSums
from photoz_run.release.proof.judge import Beside, Judge
from photoz_run.release.proof.opened import Opened, same_build
from photoz_run.release.provenance import (
    ReleaseProvenance,
    remark_lines,
    text_lines,
    without_none,
)
from photoz_run.release.record import release_cards

KEYWORDS = ("TTYPE", "TFORM", "TUNIT", "TUCD", "TCOMM", "TNULL", "TDISP", "TSCAL", "TZERO", "TDIM")
"""All that a FITS header may say of a column."""
ROWS = 1 << 14
"""Records compared at once: they fit into the cache of a core, column by column."""
HDUS = ["PRIMARY", "PHOTOZ", "PROVENANCE", "TEXTS"]
UNCOMPARED = re.compile(rf"CHECKSUM|DATASUM|({'|'.join(KEYWORDS)})\d+")
"""Cards that are looked at elsewhere: the sums, and what is said of columns."""


class FitsJudge(Judge):
    """Proves the FITS file."""

    def statements(self) -> Iterator[Check]:
        """Its cards and its extensions."""
        yield from proven(
            "provenance in FITS", lambda: [check_fits_statements(self.path, self.opened)]
        )

    def columns(self) -> Iterator[Check]:
        """The cards of its columns."""
        yield from proven(
            "columns of FITS", lambda: [check_fits_columns(self.path, self.opened.fields)]
        )

    def copies(self, stack: ExitStack) -> Iterator[Beside]:
        """Its rows."""
        yield Beside("FITS = Parquet", self._copy)

    def _copy(self) -> "FitsCopy":
        sums = self.opened.fits_sums[self.path.name]
        return FitsCopy(FitsStream(self.path, "PHOTOZ", sums))


class FitsStream:
    """The records of a FITS table as they lie in the file, from its bytes in ``content``.

    No library decides what is missing in them.
    """

    def __init__(self, path: Path, table: str, content: FitsSums) -> None:
        with fits.open(path) as hdus:
            hdu = hdus[table]
            header = hdu.header
            self.dtype = np.dtype(hdu.columns.dtype).newbyteorder(">")
            start = hdu.fileinfo()["datLoc"]
        if self.dtype.itemsize != header["NAXIS1"]:
            raise ValueError(
                f"rows of {header['NAXIS1']} bytes, but columns of {self.dtype.itemsize}"
            )
        numbers = range(1, header["TFIELDS"] + 1)
        self.nulls = {header[f"TTYPE{k}"]: header.get(f"TNULL{k}") for k in numbers}
        self.rows = int(header["NAXIS2"])
        self._left = self.rows
        self._content = content
        self._content.read(start)

    def take(self, number: int) -> NDArray[Any]:
        """The next ``number`` records, fewer at the end."""
        number = min(number, self._left)
        self._left -= number
        return np.frombuffer(self._content.read(number * self.dtype.itemsize), self.dtype)


class FitsCopy:
    """The rows of the FITS table beside those of Parquet."""

    def __init__(self, stream: FitsStream) -> None:
        self._stream = stream
        self._difference = Difference()
        self._seen = 0
        self._expected = np.zeros(ROWS, stream.dtype)

    def compare(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Compare the next records."""
        columns = self._as_stored(batch)
        for start in range(0, len(batch), ROWS):
            part = batch.slice(start, ROWS)
            records = self._stream.take(len(part))
            if not self._stored_alike(records, columns, start):
                self._compare(records, part.slice(0, len(records)))
            self._seen += len(part)

    def _as_stored(self, batch: pa.Table) -> dict[str, NDArray[Any] | None]:
        columns = {}
        for name in batch.column_names:
            dtype, null = self._stream.dtype[name], self._stream.nulls[name]
            columns[name] = as_stored(batch[name], dtype, null)
        return columns

    def _stored_alike(
        self, records: NDArray[Any], columns: Mapping[str, NDArray[Any] | None], start: int
    ) -> bool:
        """Whether records are bit by bit what is expected; others are compared in full."""
        expected = self._expected[: len(records)]
        for name, values in columns.items():
            if values is None:
                return False
            expected[name] = values[start : start + len(records)]
        return bool(np.array_equal(expected.view("u1"), records.view("u1")))

    def _compare(self, records: NDArray[Any], part: pa.Table) -> None:
        """Compare every column by the meaning of what is stored."""
        for name in part.column_names:
            here = stored_values(records[name], self._stream.nulls[name])
            there = arrow_values(part[name], records.dtype[name].itemsize)
            self._difference.note(name, differing(here, there), self._seen)

    def checks(self) -> Iterator[Check]:
        """Rows and values."""
        yield as_many("rows of FITS", self._stream.rows, self._seen)
        problems = self._difference.problems()
        yield verdict("FITS = Parquet", problems, f"{self._seen:,} rows, value by value")


def stored_values(stored: NDArray[Any], null: int | None) -> Values:
    """A FITS column by the standard: NaN, TNULL and a logical of 0 are null; texts are never."""
    kind = stored.dtype.kind
    if kind == "f":
        return stored, np.isnan(stored)
    if kind == "i" and stored.dtype.itemsize == 1:
        return stored == ord("T"), stored == 0
    return stored, np.zeros(stored.shape, bool) if null is None else stored == null


def as_stored(
    column: pa.ChunkedArray, dtype: np.dtype[Any], null: int | None
) -> NDArray[Any] | None:
    """A column as FITS stores it, so that bytes can be compared; ``None`` if it cannot.

    Zeros fill up texts; NaN, TNULL and a logical of 0 stand for nulls. Other bytes may mean the
    same, and a number that equals TNULL would be null in FITS alone.
    """
    if dtype.kind == "S":
        fits_in = longest_text(column) <= dtype.itemsize
        return fixed_width(column, dtype.itemsize) if fits_in else None
    if pa.types.is_boolean(column.type):
        true, false = (pa.scalar(ord(letter), pa.int8()) for letter in "TF")
        values = pc.fill_null(pc.if_else(column, true, false), 0).to_numpy()
    elif pa.types.is_fixed_size_list(column.type):
        values = quantile_matrix(column)
    elif pa.types.is_integer(column.type):
        # Small integers are stored wider, so that a number is left for null.
        wide = column.cast(pa.from_numpy_dtype(dtype.newbyteorder("=")))
        if null is not None and pc.any(pc.equal(wide, null)).as_py():
            return None
        values = (wide.fill_null(null) if wide.null_count else wide).to_numpy()
    else:
        values = column.to_numpy()
    alike = values.dtype == dtype.base.newbyteorder("=") and values.shape[1:] == dtype.shape
    return values if alike else None


def check_fits_statements(path: Path, opened: Opened) -> Check:
    """Compare the cards, comments and extensions of FITS with the provenance, card by card."""
    record, provenance, fields = opened.record, opened.provenance, opened.fields
    cards = release_cards(record)
    inputs, texts = _expected_inputs(provenance), _expected_texts(provenance)
    # Another build may word its comments otherwise.
    worded = same_build(provenance)
    problems = []
    with fits.open(path) as hdus:
        names = [hdu.name for hdu in hdus]
        if names != HDUS:
            problems.append(f"the HDUs are {', '.join(names)}")
        rows = hdus["PHOTOZ"].header["NAXIS2"]
        columns = fits_columns(fields, _text_widths(hdus["PHOTOZ"].header, fields))
        catalogue = table_header("PHOTOZ", columns, rows)
        catalogue.extend(cards)
        add_remarks(catalogue, fields)
        expected = [primary_header(cards), catalogue, _header(inputs), _header(texts)]
        for name, header in zip(HDUS, expected, strict=True):
            problems += _other_cards(name, hdus[name].header, header, worded)
        problems += _wrong_rows(hdus["PROVENANCE"].data, inputs)
        problems += _wrong_rows(hdus["TEXTS"].data, texts)
    return verdict("provenance in FITS", problems, "as in provenance.json, with every input file")


def _header(table: pa.Table) -> fits.Header:
    """The header of an extension that holds this table."""
    name = str(table.schema.metadata[b"name"].decode())
    return table_header(name, fits_columns(table.schema, text_widths([table])), len(table))


def _other_cards(name: str, here: fits.Header, there: fits.Header, worded: bool) -> list[str]:
    """The cards of an HDU that are not those expected; its sums are added up elsewhere."""
    stored, expected = (
        _cards(here, worded),
        _cards(fits.Header.fromstring(there.tostring()), worded),
    )
    problems = []
    for card in (*(stored - expected), *(expected - stored)):
        words = "stands in" if card in stored else "is missing in"
        problems.append(f"{card[0] or 'a blank card'} = {card[1]!r} {words} HDU {name}")
    if not problems and list(stored.elements()) != list(expected.elements()):
        problems.append(f"the cards of HDU {name} are in another order")
    return problems


def _cards(header: fits.Header, worded: bool) -> Counter[tuple[Any, ...]]:
    """The cards of a header, with their comments if these are to be compared."""
    cards = [tuple(card) if worded else tuple(card)[:2] for card in header.cards]
    return Counter(card for card in cards if not UNCOMPARED.fullmatch(card[0]))


def _wrong_rows(rows: Any, expected: pa.Table) -> list[str]:
    """Where the rows of an extension are not those expected."""
    if len(rows) != len(expected):
        return [f"{len(rows):,} rows in an extension, not {len(expected):,}"]
    problems = []
    for column in fits_columns(expected.schema, text_widths([expected])):
        name = column.field.name
        values = column.values(expected[name])
        if column.code == "A":
            # FITS tells no text from the same with blanks at its end.
            values = np.char.rstrip(values)
            stored = np.char.rstrip(np.asarray(rows[name]).astype("S"))
        else:
            stored = np.asarray(rows[name])
        differs_N = stored != values
        if differs_N.any():
            first = expected.slice(int(np.argmax(differs_N)), 1).to_pylist()[0]
            problems.append(f"{name} of {' '.join(map(str, first.values()))[:60]!r} is another")
    return problems


def _expected_inputs(provenance: ReleaseProvenance) -> pa.Table:
    """The table of input files that provenance.json asks for."""
    reasons = {missing.tile: missing.reason for missing in provenance.missing}
    rows = []
    for tile in provenance.tiles:
        for file in tile.inputs:
            row = {
                "TILE": tile.tile,
                "RELEASE": ",".join(provenance.input_releases),
                "STATUS": tile.status,
                "FILE": file.name,
                "BYTES": file.bytes if file.bytes >= 0 else None,
                "INPUTS_DIGEST": tile.inputs_digest,
                "TILE_FILE_SHA256": tile.tile_file_sha256,
                "REASON": reasons.get(tile.tile, ""),
            }
            rows.append({name: _shown(value) for name, value in row.items()})
    fields = dictionary_schema("provenance").with_metadata({"name": "PROVENANCE"})
    return pa.Table.from_pylist(rows, schema=fields)


def _expected_texts(provenance: ReleaseProvenance) -> pa.Table:
    """The settings and sums in full that provenance.json asks for."""
    packages = [line for text in provenance.run.packages for line in text.split(", ")]
    texts = {
        "configuration": tomli_w.dumps(without_none(provenance.run.config)).splitlines(),
        "packages": packages,
        "duplicates": provenance.duplicates.rule.split("; "),
        "accounting": text_lines(provenance.accounting),
        "remarks": remark_lines(provenance.tiles),
    }
    rows = [
        {"NAME": name, "LINE": number, "TEXT": printable(line)}
        for name, lines in texts.items()
        for number, line in enumerate(lines, start=1)
    ]
    fields = dictionary_schema("texts").with_metadata({"name": "TEXTS"})
    return pa.Table.from_pylist(rows, schema=fields)


def _shown(value: str | int | None) -> str | int | None:
    return printable(value) if isinstance(value, str) else value


def check_fits_columns(path: Path, fields: pa.Schema) -> Check:
    """Compare all that the header says of the columns with the fields of Parquet."""
    header = fits.getheader(path, "PHOTOZ")
    problems: list[str] = []
    if header["TFIELDS"] != len(fields):
        problems.append(f"{header['TFIELDS']} columns, not {len(fields)}")
    for number, column in enumerate(fits_columns(fields, _text_widths(header, fields)), start=1):
        problems += _wrong_cards(header, number, column)
    return verdict("columns of FITS", problems, f"{len(fields)} columns, described alike")


def _text_widths(header: fits.Header, fields: pa.Schema) -> dict[str, int]:
    """Characters of the text columns, as the file has them."""
    numbers = range(1, header["TFIELDS"] + 1)
    forms = {header.get(f"TTYPE{k}"): str(header.get(f"TFORM{k}")) for k in numbers}
    widths = {}
    for field in fields:
        if is_text(field.type):
            form = forms.get(field.name, "1A")
            widths[field.name] = int(form.rstrip("A") or 1)
    return widths


def _wrong_cards(header: fits.Header, number: int, column: FitsColumn) -> list[str]:
    expected = {keyword: value for keyword, value, _ in column.cards(number)}
    name = column.field.name
    problems = []
    for key in KEYWORDS:
        keyword = f"{key}{number}"
        stored, stated = header.get(keyword, ""), expected.get(keyword, "")
        if stored != stated:
            problems.append(f"{keyword} ({name}) is {stored!r}, not {stated!r}")
    return problems
