"""Folders of Parquet as Hive, Spark, Dask and pyarrow write them: every row and column once."""

import gzip

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from photoz_run.errors import BadDataError
from photoz_run.tables.opening import open_table
from photoz_run.validation.tables import open_catalogue

ROWS = pa.table(
    {
        "ID": ["a", "b", "c"],
        "survey": ["KiDS", "Kilo degree/2", None],
        "year": [2012, 2013, 2013],
    }
)


def partitioned(folder):
    names = ["survey", "year"]
    ds.write_dataset(ROWS, folder, format="parquet", partitioning=names, partitioning_flavor="hive")
    return folder


def test_columns_in_the_names_of_folders_are_columns(tmp_path):
    table = open_table(partitioned(tmp_path / "t"))
    assert table.names == ["ID", "survey", "year"]
    rows = table.read(["ID", "survey", "year"]).sort_by("ID").to_pydict()
    assert rows == ROWS.to_pydict()
    assert len(table.read(["year"])) == 3


def test_a_catalogue_to_validate_has_them_too(tmp_path):
    folder = partitioned(tmp_path / "t")
    pq.write_table(ROWS.drop_columns(["survey", "year"]), folder / "survey=VIKING.parquet")
    assert len(open_catalogue(folder)) == 6


def test_the_column_of_a_file_goes_before_that_of_its_folder(tmp_path):
    (tmp_path / "year=0").mkdir()
    pq.write_table(ROWS, tmp_path / "year=0" / "a.parquet")
    assert open_table(tmp_path).read(["year"])["year"].to_pylist() == [2012, 2013, 2013]


def test_order_and_pixel_of_hats_are_no_columns(tmp_path):
    place = tmp_path / "Norder=1" / "Dir=0"
    place.mkdir(parents=True)
    pq.write_table(ROWS, place / "Npix=3.parquet")
    assert open_table(tmp_path).names == ROWS.column_names


@pytest.mark.parametrize("name", ["000000_0", "t.parquet.gzip", "rows.PARQUET"])
def test_parquet_is_known_by_its_content(tmp_path, name):
    pq.write_table(ROWS, tmp_path / name)
    (tmp_path / "README").write_text("three rows")
    assert len(open_table(tmp_path)) == 3


def test_parquet_under_another_name_beside_others_is_asked_for(tmp_path):
    pq.write_table(ROWS, tmp_path / "a.parquet")
    pq.write_table(ROWS, tmp_path / "b.parquet.gzip")
    with pytest.raises(BadDataError, match=r"b\.parquet\.gzip: Parquet that is not called so"):
        open_table(tmp_path)


def test_links_to_folders_are_followed_and_not_for_ever(tmp_path):
    (tmp_path / "far").mkdir()
    pq.write_table(ROWS, tmp_path / "far" / "a.parquet")
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "part").symlink_to(tmp_path / "far")
    (tmp_path / "t" / "part" / "back").symlink_to(tmp_path / "t")
    assert len(open_table(tmp_path / "t")) == 3


def test_what_dask_writes_beside_rows_is_no_row_and_no_column(tmp_path):
    rows = ROWS.append_column("__null_dask_index__", pa.array([0, 1, 2]))
    pq.write_table(rows, tmp_path / "part.0.parquet")
    pq.write_metadata(rows.schema, tmp_path / "_metadata")
    pq.write_metadata(rows.schema, tmp_path / "_common_metadata")
    assert open_table(tmp_path).names == ROWS.column_names


def test_parquet_that_gzip_has_packed_is_not_passed_over(tmp_path):
    pq.write_table(ROWS, tmp_path / "a.parquet")
    packed = gzip.compress((tmp_path / "a.parquet").read_bytes())
    (tmp_path / "b.parquet.gz").write_bytes(packed)
    with pytest.raises(BadDataError, match=r"b\.parquet\.gz: Parquet packed with gzip"):
        open_table(tmp_path)
