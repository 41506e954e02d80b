"""One logical table, and how each library writes it: what every reader must give back."""

import csv
import gzip
import io
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fitsio
import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from support.programs import needs

ROWS = 7
BIG = 1237648720693755918
"""An ID of SDSS: beyond what a float64 holds."""
EXPECTED = {
    "ID": ["G1", "G2 b", None, "G4", "G5", "G6", "Gé7"],
    "RA": [180.1, 180.2, 180.3, 0.1, 359.9, 12.5, 180.7],
    "Z": [0.1, None, 0.3, 0.4, 0.5, 0.6, 0.7],
    "z": [19.5, 20.5, 21.5, 18.5, None, 20.0, 20.25],
    "BIG": [BIG, BIG + 1, None, BIG + 3, -1, 0, BIG + 6],
    "MASK": [4, 28672, 1, None, 0, -1, 2],
    "SHORT": [1, 2, 3, 4, 5, None, 7],
    "OK": [True, False, None, True, False, True, True],
}
TYPES = {
    "ID": pa.string(),
    "RA": pa.float64(),
    "Z": pa.float64(),
    "z": pa.float32(),
    "BIG": pa.int64(),
    "MASK": pa.int32(),
    "SHORT": pa.int16(),
    "OK": pa.bool_(),
}
ASCII = [name for name in EXPECTED if name != "ID"]


def arrow() -> pa.Table:
    """The table in Arrow."""
    return pa.table({name: pa.array(EXPECTED[name], TYPES[name]) for name in EXPECTED})


def astropy_table() -> Table:
    """The table as astropy masks it."""
    columns = {}
    for name, values in EXPECTED.items():
        missing = [value is None for value in values]
        below = {"ID": "", "OK": True}.get(name, 77)
        filled = [below if value is None else value for value in values]
        kind = "U8" if name == "ID" else TYPES[name].to_pandas_dtype()
        columns[name] = MaskedColumn(np.array(filled, kind), mask=missing)
    return Table(columns)


@dataclass(frozen=True)
class Writer:
    """A way to write the table; in the columns ``lost`` this library or format loses a value."""

    name: str
    file: str
    write: Callable[[Path], object]
    lost: tuple[str, ...] = ()


def by_hand_fits(path: Path, gz: bool = False) -> None:
    """With TNULL where it occurs in no row, padded texts and undefined logicals."""
    null = {"BIG": -(2**63), "MASK": -(2**31), "SHORT": -(2**15)}
    form = {"RA": "D", "Z": "D", "z": "E", "BIG": "K", "MASK": "J", "SHORT": "I"}
    columns = [
        fits.Column("ID", "9A", array=[(v or "").encode("utf8").ljust(8) for v in EXPECTED["ID"]])
    ]
    for name, letter in form.items():
        missing = null.get(name, np.nan)
        values = [missing if v is None else v for v in EXPECTED[name]]
        columns.append(fits.Column(name, letter, null=null.get(name), array=np.array(values)))
    columns.append(
        fits.Column("OK", "B", array=[{True: 84, False: 70, None: 0}[v] for v in EXPECTED["OK"]])
    )
    fits.BinTableHDU.from_columns(columns).writeto(path, overwrite=True)
    content = path.read_bytes().replace(b"TFORM8  = 'B       '", b"TFORM8  = 'L       '")
    path.write_bytes(gzip.compress(content) if gz else content)


def ascii_fits(path: Path) -> None:
    """A FITS ASCII table with blank numbers."""
    columns = {"ID": "A9", "RA": "D20.10", "Z": "E12.4", "BIG": "I20", "MASK": "I8", "SHORT": "I6"}
    widths = {name: int(form[1:].split(".")[0]) for name, form in columns.items()}
    rows = b""
    for row in range(ROWS):
        for name, width in widths.items():
            value = EXPECTED[name][row]
            text = "" if value is None else str(value)
            cell = text.encode("latin-1")
            rows += cell.ljust(width) if name == "ID" else cell.rjust(width)
    start, cards = 1, []
    for number, (name, form) in enumerate(columns.items(), 1):
        cards += [f"TTYPE{number:<3}= '{name:<8}'", f"TBCOL{number:<3}= {start:>20}"]
        cards += [f"TFORM{number:<3}= '{form:<8}'"]
        start += widths[name]
    head = [
        "XTENSION= 'TABLE   '",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
    ]
    head += [f"NAXIS1  = {sum(widths.values()):>20}", f"NAXIS2  = {ROWS:>20}"]
    head += ["PCOUNT  =                    0", "GCOUNT  =                    1"]
    head += [f"TFIELDS = {len(columns):>20}", *cards, "END"]
    primary = [
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =                    0",
    ]
    blocks = [_cards([*primary, "END"]), _cards(head), rows + b" " * (-len(rows) % 2880)]
    path.write_bytes(b"".join(blocks))


def _cards(cards: list[str]) -> bytes:
    text = "".join(card.ljust(80) for card in cards).encode()
    return text + b" " * (-len(text) % 2880)


def scaled_fits(path: Path) -> None:
    """Z as scaled integers with TNULL between other columns, big-endian as ever."""
    stored = [-1 if v is None else round((v - 0.25) / 1e-6) for v in EXPECTED["Z"]]
    columns = [
        fits.Column("RA", "D", array=np.array(EXPECTED["RA"])),
        fits.Column("Z", "J", array=np.array(stored), null=-1),
        fits.Column("MASK", "J", null=99, array=[99 if v is None else v for v in EXPECTED["MASK"]]),
    ]
    hdu = fits.BinTableHDU.from_columns(columns)
    hdu.header["TSCAL2"], hdu.header["TZERO2"] = 1e-6, 0.25
    hdu.writeto(path, overwrite=True)


def fitsio_fits(path: Path) -> None:
    """fitsio writes no nulls: only columns that have none, and NaN."""
    rows = np.zeros(ROWS, [("RA", "f8"), ("Z", "f8")])
    rows["RA"] = EXPECTED["RA"]
    rows["Z"] = [np.nan if v is None else v for v in EXPECTED["Z"]]
    fitsio.write(str(path), rows, clobber=True)


def commented(path: Path, between: str = " ", gz: bool = False) -> None:
    """A header with #, columns aligned by blanks, as 2dFLenS and TOPCAT write."""
    names = list(EXPECTED)
    cells = [[_cell(EXPECTED[name][row]) for name in names] for row in range(ROWS)]
    lines = ["# made by hand", "# " + between.join(names)]
    lines += [between.join(cell.rjust(12) for cell in row) for row in cells]
    content = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(content) if gz else content)


def _cell(value: object) -> str:
    if value is None:
        return '""'
    return f'"{value}"' if isinstance(value, str) and " " in value else str(value)


def by_csv(path: Path, separator: str = ",", gz: bool = False) -> None:
    """Python's csv module: empty cells for what is missing."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator)
    writer.writerow(EXPECTED)
    writer.writerows(zip(*EXPECTED.values(), strict=True))
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if gz else content)


def stilts(path: Path, form: str) -> None:
    """Converted by stilts from the FITS table made by hand; it reads texts as ASCII."""
    needs("stilts")
    source = path.with_name("for-stilts.fits")
    by_hand_fits(source)
    source.write_bytes(source.read_bytes().replace("é".encode(), b"e "))
    command = ["stilts", "tcopy", f"in={source}", "ifmt=fits", f"out={path}", f"ofmt={form}"]
    subprocess.run(command, check=True, capture_output=True)


def parquet_folder(path: Path) -> None:
    """Two files, one below a folder, and what writers put beside the rows."""
    rows = arrow()
    (path / "part").mkdir(parents=True)
    pq.write_table(rows.slice(0, 3), path / "a.parquet")
    pq.write_table(rows.slice(3), path / "part" / "b.parquet")
    pq.write_metadata(rows.schema, path / "_metadata")
    (path / "_SUCCESS").write_text("")


def viewed(path: Path) -> None:
    rows = arrow()
    texts = rows["ID"].cast(pa.string_view())
    pq.write_table(rows.set_column(0, "ID", texts), path)


def padded(path: Path) -> None:
    rows = arrow()
    texts = pa.array([None if v is None else v.ljust(20) for v in EXPECTED["ID"]])
    pq.write_table(rows.set_column(0, "ID", texts), path)


def _with_id(change: Callable[[pa.ChunkedArray], pa.ChunkedArray]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        rows = arrow()
        pq.write_table(rows.set_column(0, "ID", change(rows["ID"])), path)

    return write


def _pandas(dtype_backend: bool) -> pandas.DataFrame:
    frame = arrow().to_pandas(types_mapper=pandas.ArrowDtype if dtype_backend else None)
    return frame[frame.RA >= 0]


# What a library loses is measured in docs/formats.md.
WRITERS = [
    Writer("fits by hand", "t.fits", by_hand_fits),
    Writer("fits.gz by hand, called .fits", "t.fits", lambda p: by_hand_fits(p, gz=True)),
    Writer("ascii fits", "t.fits", ascii_fits, ("z", "OK")),
    Writer("scaled fits", "t.fits", scaled_fits, ("ID", "z", "BIG", "SHORT", "OK")),
    Writer("fits by fitsio", "t.fits", fitsio_fits, ("ID", "z", "BIG", "MASK", "SHORT", "OK")),
    Writer("fits by astropy", "t.fits", lambda p: _ascii_id().write(p), ("ID", "OK")),
    Writer("parquet by pyarrow", "t.parquet", lambda p: pq.write_table(arrow(), p)),
    Writer("parquet, categories", "t.parquet", _with_id(lambda ids: ids.dictionary_encode())),
    Writer("parquet, large_string", "t.parquet", _with_id(lambda ids: ids.cast(pa.large_string()))),
    Writer("parquet, bytes", "t.parquet", _with_id(lambda ids: ids.cast(pa.binary()))),
    Writer("parquet, string_view", "t.parquet", viewed),
    Writer("parquet, padded", "t.parquet", padded),
    Writer("parquet, folder", "t[1] $(x)+ y", parquet_folder),
    Writer("parquet by astropy", "t.parquet", lambda p: astropy_table().write(p)),
    Writer("parquet by pandas, arrow", "t.parquet", lambda p: _pandas(True).to_parquet(p)),
    Writer("parquet by pandas", "t.parquet", lambda p: _pandas(False).to_parquet(p), ("BIG",)),
    Writer("parquet by polars", "t.parquet", lambda p: _polars().write_parquet(p)),
    Writer("csv by hand", "t.csv", by_csv),
    Writer("csv.gz", "t.csv", lambda p: by_csv(p, gz=True)),
    Writer("tsv", "t.txt", lambda p: by_csv(p, "\t")),
    Writer("csv with semicolons", "t.txt", lambda p: by_csv(p, ";")),
    Writer("csv by pandas", "t.csv", lambda p: _pandas(True).to_csv(p, index=False)),
    Writer("csv by polars", "t.csv", lambda p: _polars().write_csv(p)),
    Writer("csv by astropy", "t.csv", lambda p: astropy_table().write(p)),
    Writer("ecsv by astropy", "t.ecsv", lambda p: astropy_table().write(p)),
    Writer(
        "votable by astropy", "t.vot", lambda p: _ascii_id().write(p, format="votable"), ("ID",)
    ),
    Writer("columns between blanks", "t.dat", commented),
    Writer("columns between blanks, gz", "t.dat", lambda p: commented(p, gz=True)),
    Writer(
        "commented header by astropy",
        "t.dat",
        lambda p: astropy_table().write(p, format="ascii.commented_header"),
    ),
]
STILTS = [
    Writer("fits by stilts", "t.fits", lambda p: stilts(p, "fits"), ("ID",)),
    Writer("votable by stilts", "t.vot", lambda p: stilts(p, "votable"), ("ID",)),
    Writer(
        "binary2 votable by stilts", "t.vot", lambda p: stilts(p, "votable-binary2-inline"), ("ID",)
    ),
    Writer("csv by stilts", "t.csv", lambda p: stilts(p, "csv"), ("ID",)),
    Writer("ascii by stilts", "t.txt", lambda p: stilts(p, "ascii"), ("ID",)),
]
"""The ID with an accent is lost: stilts 3.4.7 reads texts of FITS as ASCII."""


def _ascii_id() -> Table:
    table = astropy_table()
    table["ID"] = [value.replace("é", "e") for value in table["ID"].filled("")]
    return table


def _polars() -> polars.DataFrame:
    return polars.from_arrow(arrow())
