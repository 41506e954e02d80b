"""A HATS catalogue gives its partitions, and a collection its catalogue: each row once."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from photoz_run.errors import BadDataError
from photoz_run.tables.opening import open_table

ROWS = pa.table({"ID": ["a", "b", "c"], "RA": [1.0, 2.0, 3.0]})


def catalogue(folder, kind="object", rows=ROWS):
    """Partitions of order 1 with the files that HATS asks for."""
    place = folder / "dataset" / "Norder=1" / "Dir=0"
    place.mkdir(parents=True)
    for pixel in range(len(rows)):
        pq.write_table(rows.slice(pixel, 1), place / f"Npix={pixel}.parquet")
    pq.write_metadata(rows.schema, folder / "dataset" / "_metadata")
    pq.write_table(rows, folder / "dataset" / "data_thumbnail.parquet")
    pq.write_table(rows, folder / "data_thumbnail.parquet")
    (folder / "hats.properties").write_text(f"#HATS\ndataproduct_type={kind}\nhats_nrows=3\n")
    return folder


def test_the_thumbnail_repeats_rows(tmp_path):
    table = open_table(catalogue(tmp_path / "cat"))
    assert len(table) == 3
    assert table.read(["ID"])["ID"].to_pylist() == ["a", "b", "c"]


def test_partitions_may_be_folders(tmp_path):
    place = catalogue(tmp_path / "cat") / "dataset" / "Norder=1" / "Dir=0"
    file = place / "Npix=0.parquet"
    (place / "Npix=0").mkdir()
    file.rename(place / "Npix=0" / "part0.parquet")
    assert len(open_table(tmp_path / "cat")) == 3


def test_a_collection_is_its_catalogue(tmp_path):
    catalogue(tmp_path / "cat")
    catalogue(tmp_path / "margin", "margin")
    (tmp_path / "collection.properties").write_text(
        "obs_collection=x\nhats_primary_table_url=cat\nall_margins=margin\n"
    )
    assert len(open_table(tmp_path)) == 3


@pytest.mark.parametrize("kind", ["margin", "index", "association"])
def test_what_repeats_the_rows_of_a_catalogue_is_refused(tmp_path, kind):
    with pytest.raises(BadDataError, match=f"the {kind} of a HATS catalogue.*name the catalogue"):
        open_table(catalogue(tmp_path / kind, kind))


def test_partitions_that_are_listed_and_not_there_are_missed(tmp_path):
    folder = catalogue(tmp_path / "cat")
    (folder / "partition_info.csv").write_text("Norder,Npix\n1,0\n1,1\n1,2\n")
    assert len(open_table(folder)) == 3
    (folder / "dataset" / "Norder=1" / "Dir=0" / "Npix=2.parquet").unlink()
    with pytest.raises(BadDataError, match=r"1 of its 3 partitions are missing.*Norder=1, Npix=2"):
        open_table(folder)
