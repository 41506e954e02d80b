"""The HATS collection beside the one that hats-import makes from the same rows."""

import logging
from pathlib import Path

import lsdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from hats.io.file_io import read_fits_image
from hats.io.validation import is_valid_collection
from hats_import.catalog.file_readers.parquet import ParquetPyarrowReader
from hats_import.collection import CollectionArguments
from hats_import.collection import run as import_collection

from photoz_run.errors import ConfigError
from photoz_run.progress import StepProgress
from photoz_run.release.assemble import make_release
from photoz_run.release.options import ReleaseOptions
from photoz_run.release.products import hats, parquet
from photoz_run.release.proof.hats_partitions import read_properties
from support.made_up_runs import MadeUpRun, names_by_place, tile_rows
from support.photoz import photoz
from support.runs import thread_client

PLACES = {"KIDS_0.0_0.0": (0, 0), "KIDS_45.0_41.8": (45, 41.8), "KIDS_90.0_81.0": (90, 81)}
"""A meridian, a corner of three base cells of HEALPix, and a pole."""
ROWS, MOST, MARGIN = 300, 60, 600.0
OWN = {"hats_builder", "hats_estsize", "hats_creation_date"}
"""Properties that tell who made the collection, and when."""


def places(ra: float, dec: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions within some 8 deg of a place."""
    rng = np.random.default_rng(seed)
    dec_N = dec + rng.uniform(-8, 8, ROWS)
    return (ra + rng.uniform(-8, 8, ROWS) / np.cos(np.radians(dec_N))) % 360, dec_N


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> MadeUpRun:
    run = MadeUpRun(tmp_path_factory.mktemp("places") / "run", list(PLACES))
    for seed, (tile, (ra, dec)) in enumerate(PLACES.items()):
        ra_N, dec_N = places(ra, dec, seed)
        rows = tile_rows(tile, names_by_place(ra_N, dec_N), ra_N, dec_N, seed=seed)
        run.add(tile, rows)
    return run


def released(run: MadeUpRun, out: Path) -> Path:
    """The collection of a release."""
    options = ReleaseOptions("sim", formats=("fits", "parquet", "hats"), margin=MARGIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hats, "PARTITION_ROWS", MOST)
        patch.setenv("SOURCE_DATE_EPOCH", "1790000000")
        make_release(run.path, out, options, StepProgress(quiet=True))
    return out / "sim_hats"


@pytest.fixture(scope="module")
def ours(run, tmp_path_factory) -> Path:
    return released(run, tmp_path_factory.mktemp("ours") / "out")


@pytest.fixture(scope="module")
def theirs(ours, tmp_path_factory) -> Path:
    """What hats-import makes of the Parquet files."""
    folder = tmp_path_factory.mktemp("theirs")
    common = ours / "sim" / "dataset" / "_common_metadata"
    fields = pq.read_schema(common)
    pq.write_metadata(fields.remove(0), folder / "fields.parquet")
    properties = read_properties(ours / "collection.properties")
    stated = {key: properties[key] for key in properties if key.startswith("photoz_")}
    stated |= {key: properties[key] for key in ("obs_title", "hats_cols_default")}
    arguments = CollectionArguments(
        output_path=folder,
        output_artifact_name="sim_hats",
        tmp_dir=folder / "scratch",
        addl_hats_properties=stated,
        progress_bar=False,
    ).catalog(
        output_artifact_name="sim",
        input_file_list=[ours.parent / "sim.parquet"],
        file_reader=ParquetPyarrowReader(),
        ra_column="RAJ2000",
        dec_column="DECJ2000",
        sort_columns="ID",
        use_schema_file=folder / "fields.parquet",
        pixel_threshold=MOST,
    )
    arguments.add_margin(
        output_artifact_name="sim_margin", margin_threshold=MARGIN, is_default=True
    )
    with thread_client(None, None) as client:
        import_collection(arguments, client)
    return folder / "sim_hats"


def partitions(table: Path) -> list[str]:
    return sorted(path.relative_to(table).as_posix() for path in table.rglob("Npix=*.parquet"))


def test_every_partition_has_the_rows_that_hats_import_gives_it(ours, theirs):
    names = partitions(ours / "sim")
    assert names == partitions(theirs / "sim")
    assert len(names) > len(PLACES) * ROWS / MOST
    for name in names:
        written = pq.read_table(ours / "sim" / name, partitioning=None)
        expected = pq.read_table(theirs / "sim" / name, partitioning=None)
        assert written.schema.equals(expected.schema, check_metadata=True)
        assert written.equals(expected)


def test_the_margin_has_the_rows_that_hats_import_gives_it(ours, theirs):
    names = partitions(ours / "sim_margin")
    assert names == partitions(theirs / "sim_margin")
    in_order = [("_healpix_29", "ascending"), ("ID", "ascending")]
    rows = 0
    for name in names:
        written = pq.read_table(ours / "sim_margin" / name, partitioning=None)
        # Those of hats-import are in the order of the files they come from.
        expected = pq.read_table(theirs / "sim_margin" / name, partitioning=None).sort_by(in_order)
        assert written.schema.equals(expected.schema, check_metadata=True)
        assert written.equals(expected)
        rows += len(written)
    assert rows > ROWS / 3


@pytest.mark.parametrize("table", ["sim", "sim_margin"])
def test_a_table_is_described_as_hats_import_describes_it(ours, theirs, table):
    for name in ("partition_info.csv", "dataset/_common_metadata"):
        assert (ours / table / name).read_bytes() == (theirs / table / name).read_bytes()
    described = [
        pq.read_metadata(folder / table / "dataset/_metadata") for folder in (ours, theirs)
    ]
    assert described[0].num_rows == described[1].num_rows
    groups = [
        [file.row_group(k).column(0).file_path for k in range(file.num_row_groups)]
        for file in described
    ]
    assert groups[0] == groups[1]
    for name in ("properties", "hats.properties"):
        stored, expected = (read_properties(folder / table / name) for folder in (ours, theirs))
        assert stored.keys() == expected.keys()
        assert {key for key in stored if stored[key] != expected[key]} <= {
            *OWN,
            # hats-import writes the place at which the catalogue was made.
            *(["hats_primary_table_url"] if table == "sim_margin" else []),
        }
    assert read_properties(ours / "sim_margin" / "properties")["hats_primary_table_url"] == "sim"


def test_the_collection_and_the_maps_are_those_of_hats_import(ours, theirs):
    stored, expected = (read_properties(f / "collection.properties") for f in (ours, theirs))
    assert {key for key in expected if stored[key] != expected[key]} <= OWN
    assert stored.keys() == expected.keys()
    for name in ("skymap.fits", "point_map.fits"):
        np.testing.assert_array_equal(
            *(read_fits_image(folder / "sim" / name) for folder in (ours, theirs))
        )


def test_strict_validation_accepts_it_without_a_remark(ours, caplog):
    with caplog.at_level(logging.WARNING):
        assert is_valid_collection(ours, strict=True)
    assert not caplog.records


def test_lsdb_matches_across_the_borders_of_partitions(ours):
    """Every source is matched with its like in a catalogue of other partitions."""
    rows = pq.read_table(ours.parent / "sim.parquet")
    moved = {
        "ra": rows["RAJ2000"].to_numpy(),
        "dec": rows["DECJ2000"].to_numpy() - 200 / 3600,
        "like": rows["ID"].to_pylist(),
    }
    other = lsdb.from_dataframe(
        pd.DataFrame(moved), ra_column="ra", dec_column="dec", lowest_order=2, highest_order=2
    )
    catalogue = lsdb.open_catalog(ours)
    near = {"radius_arcsec": 201, "n_neighbors": 20, "suffixes": ("", "_sim")}
    matched = other.crossmatch(catalogue, **near).compute()
    assert {*rows["ID"].to_pylist()} == {*matched["like"][matched["like"] == matched["ID_sim"]]}


def test_lsdb_searches_a_cone_across_partitions(ours):
    rows = pq.read_table(ours.parent / "sim.parquet")
    near = lsdb.open_catalog(ours).cone_search(45.0, 41.8, 7200).compute()
    place = SkyCoord(rows["RAJ2000"].to_numpy(), rows["DECJ2000"].to_numpy(), unit="deg")
    inside_N = place.separation(SkyCoord(45, 41.8, unit="deg")).deg < 2
    assert sorted(near["ID"]) == sorted(rows["ID"].to_numpy()[inside_N])
    assert len(near) > 10


def test_the_same_run_gives_the_same_files(run, ours, tmp_path):
    again = released(run, tmp_path / "again")
    sums = [(folder.parent / "SHA256SUMS").read_text() for folder in (ours, again)]
    assert sums[0] == sums[1]
    assert sums[0].count("sim_hats/") > len(partitions(ours / "sim"))


def test_the_release_proves_itself(ours):
    assert photoz("verify", ours.parent) == 0


def test_a_margin_wider_than_the_partitions_is_refused(run, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(hats, "PARTITION_ROWS", 1)
        patch.setattr(parquet, "in_order", None)  # nothing was written before it is refused
        options = ReleaseOptions("sim", formats=("parquet", "hats"), margin=MARGIN)
        with pytest.raises(ConfigError, match=r"--margin 600: too wide .* give at most \d+$"):
            make_release(run.path, tmp_path / "out", options, StepProgress(quiet=True))
    assert not (tmp_path / "out").exists()
