"""The file that ``photoz apply`` writes: Parquet, or FITS made of it, in bounded memory."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from photoz_models.whole_files import written_whole
from photoz_run.catalogue.fits_cards import add_remarks, printable, provenance_cards
from photoz_run.catalogue.fits_columns import fits_columns, text_widths
from photoz_run.catalogue.fits_stream import primary_header, records, table_header, write_hdu
from photoz_run.catalogue.tile_files import PROVENANCE_KEY
from photoz_run.errors import ConfigError, TransientError, writing
from photoz_run.progress import Tick

FORMATS = (".parquet", ".fits")
CARDS = {
    "PROGRAM": ("program", "program that wrote this file"),
    "PROCSOFT": ("version", "its version"),
    "COMMIT": ("commit", "its git commit"),
    "TABLE": ("table", "table of the magnitudes"),
    "PZMODEL": ("model", "photo-z model"),
    "PZMODVER": ("model_version", "its version"),
    "PZTRAIN": ("model_training", "training set of the model"),
    "PZSIMUL": ("simulated_training", "trained on simulations?"),
    "PZMODSHA": ("model_digest", ""),
}


@dataclass(frozen=True)
class Rows:
    """What is written: blocks of rows, their schema, and where they come from."""

    arrow: pa.Schema
    blocks: Iterable[pa.Table]
    provenance: Mapping[str, str]


def check_out(out: Path) -> None:
    """Refuse a file that is there, or of a kind that is not written: `ConfigError`."""
    if out.suffix not in FORMATS:
        raise ConfigError(f"{out}: --out ends in {' or '.join(FORMATS)}")
    if out.exists():
        raise ConfigError(f"{out}: it is there already; delete it, or choose another --out")
    if not out.parent.is_dir():
        raise ConfigError(f"{out}: there is no folder {out.parent}")


def write(rows: Rows, out: Path, tick: Tick) -> int:
    """Write ``rows`` as ``out`` and read them again; how many there are.

    Raises
    ------
    ConfigError
        If FITS cannot hold a column.
    TransientError
        If not all rows come back.
    OutputError
        If the disk refuses.
    """
    as_fits = out.suffix == ".fits"
    if as_fits:
        fits_columns(rows.arrow, {})
    with writing(out), written_whole(out) as beside:
        parquet = beside.with_suffix(".rows.parquet") if as_fits else beside
        try:
            number, widths = _write_parquet(rows, parquet, tick)
            if sum(len(block) for block in _blocks(parquet)) != number:
                raise TransientError(f"{out}: what was read back is not what was written")
            if as_fits:
                _write_fits(rows, _blocks(parquet), number, widths, beside)
        finally:
            if as_fits:
                with suppress(OSError):
                    parquet.unlink()
    return number


def _write_parquet(rows: Rows, path: Path, tick: Tick) -> tuple[int, dict[str, int]]:
    """Write the blocks as row groups; their rows, and the longest text of each text column."""
    key = PROVENANCE_KEY.decode()
    arrow = rows.arrow.with_metadata({f"{key}.{k}": v for k, v in rows.provenance.items()})
    number, widths = 0, dict[str, int]()
    # Floats and names hardly ever repeat: a dictionary of them costs time and saves nothing.
    repeating = [field.name for field in rows.arrow if pa.types.is_integer(field.type)]
    options = {"compression": "zstd", "write_page_checksum": True, "use_dictionary": repeating}
    with pq.ParquetWriter(path, arrow, **options) as writer:
        for block in rows.blocks:
            writer.write_table(block.replace_schema_metadata(arrow.metadata))
            for name, width in text_widths([block]).items():
                widths[name] = max(width, widths.get(name, 0))
            number += len(block)
            tick(len(block))
    return number, widths


def _write_fits(
    rows: Rows, blocks: Iterator[pa.Table], number: int, widths: Mapping[str, int], path: Path
) -> None:
    columns = fits_columns(rows.arrow, widths)
    header = table_header("PHOTOZ", columns, number)
    header.extend(provenance_cards(rows.provenance, CARDS))
    header.add_history(f"packages {printable(rows.provenance['packages'])}")
    header.add_history(f"magnitudes {printable(rows.provenance['columns'])}")
    add_remarks(header, rows.arrow)
    with path.open("wb") as file:
        write_hdu(file, primary_header([]))
        write_hdu(file, header, records(blocks, columns, number))


def _blocks(path: Path) -> Iterator[pa.Table]:
    """The row groups of a file; each page is compared with its checksum."""
    file = pq.ParquetFile(path, page_checksum_verification=True)
    for group in range(file.num_row_groups):
        yield file.read_row_group(group)
