"""What a HATS collection says of itself; hats writes all of it."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from photoz_run import schema
from photoz_run.release.cells import MAP_ORDER, Cells
from photoz_run.release.record import (
    ReleaseRecord,
    extension_name,
    hats_properties,
    margin_name,
    prefixed,
)
from photoz_run.release.rows import INDEX
from photoz_run.release.sky import ORDER


def partition_schema(part: Path, record: ReleaseRecord) -> pa.Schema:
    """The columns and the provenance that every partition has, from a Parquet file of the release.

    The VOTable of VOParquet is left out: a partition has one column more than it describes.
    """
    fields = [pa.field(INDEX, pa.int64()), *pq.read_schema(part)]
    return pa.schema(fields, metadata=prefixed(record.texts()))


class Description:
    """Writes what describes the collection in ``folder`` and the tables in it.

    Parameters
    ----------
    folder
        The collection.
    record
        What it says of the release.
    fields
        Columns and provenance of its partitions.
    """

    def __init__(self, folder: Path, record: ReleaseRecord, fields: pa.Schema) -> None:
        self._folder = folder
        self._record = record
        self._fields = fields
        self._margins: list[str] = []

    def catalogue(self, cells: Cells, count_K: NDArray[np.int64], most: int) -> None:
        """Describe the catalogue.

        Parameters
        ----------
        cells
            Its partitions.
        count_K
            Its rows in cells of `MAP_ORDER`.
        most
            Rows that a partition may have, if it can be divided.
        """
        from hats.io.paths import get_point_map_file_pointer, get_skymap_file_pointer
        from hats.io.skymap import write_skymap

        folder = self._folder / self._record.name
        write_skymap(histogram=count_K, catalog_dir=folder)
        shutil.copyfile(get_skymap_file_pointer(folder), get_point_map_file_pointer(folder))
        self._table(
            folder,
            cells,
            catalog_type="object",
            hats_cols_sort=schema.with_ucd("meta.id;meta.main").name,
            hats_max_rows=max(most, int(count_K.max())),
            skymap_order=MAP_ORDER,
            hats_order=_finest(cells),
        )

    def margin(self, cells: Cells, beside: Cells, width: float) -> None:
        """Describe the margin cache of the partitions ``cells``; it has rows for ``beside``."""
        name = margin_name(self._record.name)
        self._margins.append(name)
        self._table(
            self._folder / name,
            beside,
            catalog_type="margin",
            primary_catalog=self._record.name,
            margin_threshold=width,
            hats_order=_finest(beside if len(beside.cell_C) else cells),
        )

    def collection(self) -> None:
        """Describe the collection."""
        from hats.catalog import CollectionProperties

        properties = CollectionProperties(
            name=self._folder.name,
            hats_primary_table_url=self._record.name,
            all_margins=self._margins or None,
            default_margin=self._margins[0] if self._margins else None,
            **self._provenance(self._folder),
        )
        properties.to_properties_file(self._folder)

    def extension(self, primary: str, column: str) -> None:
        """Say of which catalogue of others this collection holds further columns.

        Parameters
        ----------
        primary
            URL or path of a HATS catalogue.
        column
            Its column of the ID.
        """
        from hats.catalog import ExtensionProperties

        properties = ExtensionProperties(
            name=extension_name(self._record.name),
            primary_catalog=primary,
            primary_column=column,
            join_catalog=".",
            join_column=schema.with_ucd("meta.id;meta.main").name,
            extension_join_style="left",
            shares_primary_coordinates=True,
            **self._provenance(self._folder),
        )
        properties.to_properties_file(self._folder)

    def _table(self, folder: Path, cells: Cells, **about: Any) -> None:
        """Write the metadata and the properties of one table with the partitions ``cells``."""
        from hats.catalog import PartitionInfo, TableProperties
        from hats.pixel_math import HealpixPixel

        places = zip(cells.order_C.tolist(), cells.cell_C.tolist(), strict=True)
        pixels = PartitionInfo.from_healpix([HealpixPixel(*place) for place in places])
        pixels.write_to_file(catalog_path=folder)
        properties = TableProperties(
            catalog_name=folder.name,
            total_rows=self._metadata(folder, cells),
            ra_column=schema.with_ucd("pos.eq.ra;meta.main").name,
            dec_column=schema.with_ucd("pos.eq.dec;meta.main").name,
            healpix_column=INDEX,
            healpix_order=ORDER,
            moc_sky_fraction=f"{pixels.calculate_fractional_coverage():0.5f}",
            **about,
            **self._provenance(folder),
        )
        properties.to_properties_file(folder)

    def _metadata(self, folder: Path, cells: Cells) -> int:
        """Write ``_metadata`` and ``_common_metadata``; how many rows the partitions have."""
        from hats.io.parquet_metadata import write_parquet_metadata

        if len(cells.cell_C):
            return int(write_parquet_metadata(folder))
        for name in ("_metadata", "_common_metadata"):
            pq.write_metadata(self._fields, folder / "dataset" / name)
        return 0

    def _provenance(self, folder: Path) -> dict[str, Any]:
        """Where the table comes from, and when: the release's date, and none of today."""
        from hats.catalog import TableProperties

        properties = TableProperties.new_provenance_dict(
            folder, builder=self._record.program, **hats_properties(self._record)
        )
        return {**properties, "hats_creation_date": f"{self._record.date[:16]}UTC"}


def _finest(cells: Cells) -> int:
    """The order of the smallest cell."""
    return int(cells.order_C.max())
