"""The FITS file of a release: it has the rows, the columns and the statements that it must have."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tomli_w
from astropy.io import fits
from numpy.typing import NDArray

from photoz_run.catalogue.arrow_fields import is_text
from photoz_run.catalogue.fits_cards import add_remarks, printable
from photoz_run.catalogue.fits_columns import FitsColumn, fits_columns
from photoz_run.release.proof.check import Check, counted, proven, verdict
from photoz_run.release.proof.compare import Difference, Values, arrow_values, differing
from photoz_run.release.proof.judge import Beside, Judge
from photoz_run.release.provenance import ReleaseProvenance, text_lines, without_none
from photoz_run.release.record import CARDS, ReleaseRecord, release_cards

KEYWORDS = ("TTYPE", "TFORM", "TUNIT", "TUCD", "TCOMM", "TNULL", "TDISP", "TSCAL", "TZERO", "TDIM")
"""All that a FITS header may say of a column."""
HDUS = ["PRIMARY", "PHOTOZ", "PROVENANCE", "TEXTS"]
KNOWN_KEYWORDS = re.compile(
    r"|SIMPLE|XTENSION|BITPIX|NAXIS[12]?|EXTEND|PCOUNT|GCOUNT|TFIELDS|EXTNAME|CHECKSUM|DATASUM"
    r"|COMMENT|HISTORY|OBJECT|RADESYS|PROCSOFT|NTILES|(N?QUAR|N?MISS)\d*"
    rf"|{'|'.join(CARDS)}|({'|'.join(KEYWORDS)})\d+"
)
"""All keywords of a FITS file of a release."""
TEXTS = ("TILE", "RELEASE", "STATUS", "FILE", "INPUTS_DIGEST", "TILE_FILE_SHA256", "REASON")
"""Columns of the table of input files that hold texts; BYTES follows."""


class FitsJudge(Judge):
    """Proves the FITS file."""

    def statements(self) -> Iterator[Check]:
        """Its cards and its extensions."""
        record, provenance = self.opened.record, self.opened.provenance
        yield from proven(
            "provenance in FITS",
            lambda: [check_fits_statements(self.path, record, provenance, self.opened.fields)],
        )

    def columns(self) -> Iterator[Check]:
        """The cards of its columns."""
        yield from proven(
            "columns of FITS", lambda: [check_fits_columns(self.path, self.opened.fields)]
        )

    def copies(self, stack: ExitStack) -> Iterator[Beside]:
        """Its rows."""
        yield Beside("FITS = Parquet", lambda: stack.enter_context(closing(FitsCopy(self.path))))


class FitsStream:
    """The records of a FITS table as they lie in the file.

    No library decides what is missing in them.
    """

    def __init__(self, path: Path, table: str) -> None:
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
        self._file = path.open("rb")
        self._file.seek(start)

    def take(self, number: int) -> NDArray[Any]:
        """The next ``number`` records, fewer at the end."""
        number = min(number, self._left)
        self._left -= number
        return np.fromfile(self._file, self.dtype, number)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class FitsCopy:
    """The rows of the FITS table beside those of Parquet."""

    def __init__(self, path: Path) -> None:
        self._stream = FitsStream(path, "PHOTOZ")
        self._difference = Difference()
        self._seen = 0

    def compare(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Compare the next records."""
        records = self._stream.take(len(batch))
        part = batch.slice(0, len(records))
        for name in batch.column_names:
            here = stored_values(records[name], self._stream.nulls[name])
            there = arrow_values(part[name], records.dtype[name].itemsize)
            self._difference.note(name, differing(here, there), self._seen)
        self._seen += len(batch)

    def checks(self) -> Iterator[Check]:
        """Rows and values."""
        yield counted("rows of FITS", self._stream.rows, self._seen)
        problems = self._difference.problems()
        yield verdict("FITS = Parquet", problems, f"{self._seen:,} rows, value by value")

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def stored_values(stored: NDArray[Any], null: int | None) -> Values:
    """A FITS column by the standard: NaN, TNULL and a logical of 0 are null; texts are never."""
    kind = stored.dtype.kind
    if kind == "f":
        return stored, np.isnan(stored)
    if kind == "i" and stored.dtype.itemsize == 1:
        return stored == ord("T"), stored == 0
    return stored, np.zeros(stored.shape, bool) if null is None else stored == null


def check_fits_statements(
    path: Path, record: ReleaseRecord, provenance: ReleaseProvenance, arrow: pa.Schema
) -> Check:
    """Compare the cards, comments and extensions of FITS with the provenance."""
    problems = []
    remarks = fits.Header()
    add_remarks(remarks, arrow)
    with fits.open(path) as hdus:
        names = [hdu.name for hdu in hdus]
        if names != HDUS:
            problems.append(f"the HDUs are {', '.join(names)}")
        for number in (0, 1):
            header = hdus[number].header
            for keyword, value, _ in release_cards(record):
                if header.get(keyword) != value:
                    problems.append(
                        f"{keyword} of HDU {number} is {header.get(keyword)!r}, not {value!r}"
                    )
        problems += _wrong_remarks(hdus[0].header, fits.Header())
        problems += _wrong_remarks(hdus["PHOTOZ"].header, remarks)
        problems += _wrong_inputs(hdus["PROVENANCE"].data, provenance)
        problems += _wrong_texts(hdus["TEXTS"].data, provenance)
    return verdict("provenance in FITS", problems, "as in provenance.json, with every input file")


def _wrong_remarks(header: fits.Header, expected: fits.Header) -> list[str]:
    """Comments, history and keywords that no release writes."""
    problems = []
    for keyword in ("COMMENT", "HISTORY", ""):
        if list(header.get(keyword, [])) != list(expected.get(keyword, [])):
            problems.append(f"the cards {keyword or 'without a keyword'} of a header are others")
    strange = [key for key in header if not KNOWN_KEYWORDS.fullmatch(key)]
    problems += [f"{keyword} is no card of a release" for keyword in strange]
    return problems


def _wrong_inputs(rows: Any, provenance: ReleaseProvenance) -> list[str]:
    """Where the table of input files is not that of provenance.json."""
    expected = list(_expected_inputs(provenance))
    stored = list(zip(*(rows[name].tolist() for name in (*TEXTS, "BYTES")), strict=True))
    if len(stored) != len(expected):
        return [f"{len(stored):,} input files, not {len(expected):,}"]
    problems = []
    for here, (texts, size) in zip(stored, expected, strict=True):
        same_texts = here[:-1] == tuple(printable(text).rstrip() for text in texts)
        # The size of a file that was not there is -1 in provenance.json, and null here.
        same_size = size < 0 or here[-1] == size
        if not (same_texts and same_size):
            problems.append(f"the input file {texts[3]} of {texts[0]} is described otherwise")
    return problems


def _expected_inputs(provenance: ReleaseProvenance) -> Iterator[tuple[tuple[str, ...], int]]:
    """What provenance.json says of each input file: the columns `TEXTS`, and its size."""
    data_releases = ",".join(provenance.input_releases)
    reasons = {missing.tile: missing.reason for missing in provenance.missing}
    for tile in provenance.tiles:
        for file in tile.inputs:
            texts = (
                tile.tile,
                data_releases,
                tile.status,
                file.name,
                tile.inputs_digest,
                tile.tile_file_sha256,
                reasons.get(tile.tile, ""),
            )
            yield texts, file.bytes


def _wrong_texts(rows: Any, provenance: ReleaseProvenance) -> list[str]:
    """Where the texts of FITS are not what provenance.json says."""
    lines: dict[str, list[str]] = {}
    for name, line in zip(rows["NAME"].tolist(), rows["TEXT"].tolist(), strict=True):
        lines.setdefault(name, []).append(line)
    problems = []
    configuration = tomli_w.dumps(without_none(provenance.run.config)).splitlines()
    if lines["configuration"] != [printable(line) for line in configuration]:
        problems.append("the configuration in FITS is another one")
    if lines["accounting"] != text_lines(provenance.accounting):
        problems.append("the accounting in FITS is another one")
    return problems


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
        stored, stated = header.get(keyword), expected.get(keyword)
        if stored != stated:
            problems.append(f"{keyword} ({name}) is {stored!r}, not {stated!r}")
    return problems
