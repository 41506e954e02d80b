"""The products of a release, each written from the merged rows: Parquet first, the others from it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from photoz_run import schema
from photoz_run.catalogue.moc import covered_area, square_degrees, write_moc
from photoz_run.catalogue.pdf import POINT_ESTIMATE, PdfWriter, quantile_levels
from photoz_run.catalogue.release_fits import write_release_fits
from photoz_run.catalogue.release_parquet import write_release_parquet
from photoz_run.catalogue.release_record import ReleaseRecord
from photoz_run.release.merge import BATCH, Split, Tally, Tick, in_order
from photoz_run.release.progress import Progress

Clients: TypeAlias = Callable[[int], AbstractContextManager[Any]]
"""Opens a Dask client of so many workers; hats-import needs one."""
WORKERS = 2
"""Processes of hats-import: each holds a partition while it sorts it, and the release is to fit into 4 GiB."""


@dataclass
class Products:
    """The files of a release in ``folder``, and what they are; ``parts`` are those of the Parquet data set."""

    folder: Path
    scratch: Path
    record: ReleaseRecord
    progress: Progress
    parts: list[Path] = field(default_factory=list)
    rows: int = 0
    listed: list[dict[str, Any]] = field(default_factory=list)

    def path(self, ending: str, rows: int | None, what: str) -> Path:
        """The place of a product, which is entered in the list."""
        name = f"{self.record.name}{ending}"
        self.listed.append({"path": name, "rows": rows, "what": what})
        return self.folder / name


def write_parquet(products: Products, parted: Split, tally: Tally) -> None:
    """Sort the rows and write them; every other catalogue is made from these files."""
    with products.progress.step("rows sorted", parted.rows) as tick:
        folder = products.path(".parquet", parted.rows, "the catalogue, in parts")
        rows = in_order(parted, tally, tick)
        products.parts = write_release_parquet(
            folder, parted.fields, rows, products.record, parted.widths
        )
    products.rows = sum(pq.read_metadata(part).num_rows for part in products.parts)


def write_fits(products: Products, parted: Split, extensions: Mapping[str, pa.Table]) -> None:
    """Write one FITS table, with ``extensions`` behind it."""
    path = products.path(".fits", products.rows, "the catalogue as one table")
    with products.progress.step("rows into FITS", products.rows) as tick:
        rows = batches(products.parts, tick)
        write_release_fits(
            path, parted.fields, products.rows, rows, products.record, extensions, parted.widths
        )


def write_hats_collection(products: Products, margin: float | None, clients: Clients) -> None:
    """Write the HATS collection, with a margin cache of ``margin`` arcsec if that is given."""
    from photoz_run.catalogue.hats import write_hats

    folder = products.path("_hats", products.rows, "the catalogue in HATS partitions, for LSDB")
    scratch = products.scratch / "hats"
    scratch.mkdir()
    with products.progress.step("rows into HATS", products.rows), clients(WORKERS) as client:
        write_hats(folder, products.parts, products.rows, products.record, margin, scratch, client)


def write_pdf(products: Products, fields: pa.Schema) -> None:
    """Write the redshift distributions, for qp."""
    columns = [schema.with_ucd("meta.id;meta.main").name, POINT_ESTIMATE, schema.QUANTILES.name]
    width = int(schema.BY_NAME[columns[0]].dtype[1:])
    path = products.path("_pdf.hdf5", None, "redshift distributions as a qp ensemble")
    with (
        products.progress.step("distributions", products.rows) as tick,
        PdfWriter(path, quantile_levels(fields), width, products.record.texts()) as writer,
    ):
        for batch in batches(products.parts, tick, columns):
            writer.append(batch)
    products.listed[-1]["rows"] = writer.written


def write_area(products: Products, footprints: Sequence[Sequence[Sequence[float]]]) -> float:
    """Write the MOC of the area that the coadds cover; its size in square degrees."""
    area = covered_area(footprints)
    write_moc(
        area,
        products.path("_moc.fits", None, "the area that the coadds cover, a MOC"),
        products.record,
    )
    return square_degrees(area)


def batches(
    parts: Sequence[Path], tick: Tick, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """The rows of Parquet files, in order, some thousands at a time."""
    for part in parts:
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(BATCH, columns=columns):
                yield pa.Table.from_batches([batch])
                tick(len(batch))
