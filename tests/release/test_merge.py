"""Merging made-up tiles: every source once, in HEALPix order, the same bytes, all counted."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from hats.pixel_math import compute_spatial_index
from hypothesis import given
from hypothesis import strategies as st

from photoz_run.errors import ConfigError
from photoz_run.flags import bit
from photoz_run.progress import StepProgress
from photoz_run.records import Status
from photoz_run.release import duplicates, merge
from photoz_run.release import rows as rows_module
from photoz_run.release.assemble import make_release
from photoz_run.release.duplicates import DEFECTS, centre_of, separation
from photoz_run.release.options import ReleaseOptions
from photoz_run.release.sky import ORDER, count_cells, healpix_index, range_of, range_starts
from support.made_up_runs import EXCLUDED, MadeUpRun, names_by_place, square, strip, tile_rows

BLIND = int(bit("NO_REDSHIFT"))


def released(run: MadeUpRun, out, **options):
    """Release a run without HATS; what provenance.json says, and the rows."""
    make_release(
        run.path,
        out,
        ReleaseOptions(**{"name": "made-up", **options}),
        StepProgress(quiet=True),
    )
    provenance = json.loads((out / "provenance.json").read_text())
    return provenance, pq.read_table(out / f"{provenance['name']}.parquet")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> MadeUpRun:
    return strip(tmp_path_factory.mktemp("strip") / "run", tiles=4, rows=500, overlap=0.2)


@pytest.fixture(scope="module")
def done(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("release") / "out"
    return out, *released(run, out)


def tile_tables(run: MadeUpRun) -> dict[str, pa.Table]:
    return {path.stem: pq.read_table(path) for path in sorted(run.path.glob("tiles/*/*.parquet"))}


def test_every_source_is_there_once_with_the_row_that_the_rule_chooses(run, done):
    _, _, rows = done
    best = {}
    for tile, table in tile_tables(run).items():
        centre = centre_of(square(float(tile.split("_")[1]), 0.0, 0.6))
        far_N = separation(table["RAJ2000"].to_numpy(), table["DECJ2000"].to_numpy(), *centre)
        for row, far in zip(table.to_pylist(), far_N, strict=True):
            key = (
                row["Z_PHOT"] is None,
                (row["PHOTOZ_FLAG"] & DEFECTS).bit_count(),
                round(far, 3),
                tile,
            )
            best[row["ID"]] = min(
                best.get(row["ID"], (key, row)), (key, row), key=lambda pair: pair[0]
            )
    assert len(rows) == len(best)
    assert sum(len(table) for table in tile_tables(run).values()) > len(best) + 100
    assert {row["ID"]: row for row in rows.to_pylist()} == {
        name: row for name, (_, row) in best.items()
    }


def test_rows_are_sorted_as_hats_sorts_them(done):
    out, _, rows = done
    index_N = compute_spatial_index(rows["RAJ2000"].to_numpy(), rows["DECJ2000"].to_numpy())
    assert np.all(np.diff(index_N) >= 0)
    with fits.open(out / "made-up.fits") as hdus:
        assert hdus["PHOTOZ"].data["ID"].tolist() == rows["ID"].to_pylist()
        np.testing.assert_array_equal(hdus["PHOTOZ"].data["Z_PHOT"], rows["Z_PHOT"].to_numpy())


def test_sources_at_one_place_are_sorted_by_id(tmp_path):
    run = MadeUpRun(tmp_path / "run", ["KIDS_10.0_0.0", "KIDS_9.0_0.0"])
    for tile, ids in (("KIDS_10.0_0.0", ["b", "d", "a"]), ("KIDS_9.0_0.0", ["c", "0"])):
        run.add(tile, tile_rows(tile, ids, np.full(len(ids), 9.5), np.zeros(len(ids))))
    _, rows = released(run, tmp_path / "out")
    assert rows["ID"].to_pylist() == ["0", "a", "b", "c", "d"]


def test_the_same_run_gives_the_same_bytes_however_it_is_cut_up(run, done, tmp_path, monkeypatch):
    out, _, _ = done
    monkeypatch.setattr(merge, "RANGE_BYTES", 20_000)
    monkeypatch.setattr(rows_module, "BATCH", 77)
    monkeypatch.setattr(duplicates, "CLAIMS_AT_ONCE", 100)
    released(run, tmp_path / "out")
    part = "made-up.parquet"
    assert (tmp_path / "out" / part).read_bytes() == (out / part).read_bytes()


def test_with_a_given_date_every_file_is_the_same(run, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    for name in ("first", "second"):
        provenance, _ = released(run, tmp_path / name)
    assert provenance["date"] == "2026-09-21T14:13:20"
    sums = [(tmp_path / name / "SHA256SUMS").read_text() for name in ("first", "second")]
    assert sums[0] == sums[1]


def test_every_row_is_accounted_for_tile_by_tile(run, done):
    _, provenance, rows = done
    tables = tile_tables(run)
    kept = dict(zip(*np.unique(rows["KIDS_TILE"].to_pylist(), return_counts=True), strict=True))
    assert [account["tile"] for account in provenance["tiles"]] == sorted(tables)
    for account in provenance["tiles"]:
        assert (
            account["catalogue"]
            == account["excluded"]
            + account["measured"]
            + account["flagged"]
            + account["quarantined"]
        )
        assert (
            account["measured"] + account["flagged"]
            == account["released"] + account["duplicates"]
            == len(tables[account["tile"]])
        )
        assert (account["excluded"], account["released"]) == (EXCLUDED, kept[account["tile"]])
    sums = provenance["accounting"]
    assert sums["catalogue"] == sum(len(table) + EXCLUDED for table in tables.values())
    assert sums["duplicates"] == provenance["duplicates"]["rows_left_out"] > 100
    assert (
        provenance["duplicates"]["sources"] == sums["duplicates"]
    )  # no source lies in three tiles


def test_rows_without_redshift_are_released_and_counted(tmp_path):
    tile, n = "KIDS_10.0_0.0", 20
    flag_N = np.where(np.arange(n) % 4 == 0, BLIND, 0).astype(np.int32)
    run = MadeUpRun(tmp_path / "run", [tile])
    ra_N = np.linspace(9.6, 10.4, n)
    run.add(
        tile, tile_rows(tile, names_by_place(ra_N, ra_N * 0), ra_N, ra_N * 0, PHOTOZ_FLAG=flag_N)
    )
    provenance, rows = released(run, tmp_path / "out")
    assert (provenance["accounting"]["measured"], provenance["accounting"]["flagged"]) == (15, 5)
    assert rows["Z_PHOT"].null_count == 5
    assert provenance["flags"] == {"NO_REDSHIFT": 5}


def spoiled(tmp_path, flag: int = 0, **record) -> MadeUpRun:
    """A run of one tile whose record says something else than its file."""
    tile = "KIDS_10.0_0.0"
    run = MadeUpRun(tmp_path / "run", [tile])
    table = tile_rows(tile, ["a", "b", "c"], np.array([9.9, 10.0, 10.1]), np.zeros(3))
    if flag:
        table = table.set_column(
            table.column_names.index("PHOTOZ_FLAG"), "PHOTOZ_FLAG", pa.array([flag] * 3, pa.int32())
        )
    outcome = run.add(tile, table)
    fields = {
        "files": outcome.files,
        "catalogue_rows": 10,
        "rows_in": 3,
        "rows_out": 3,
        "flag_counts": {},
    }
    run.record(tile, Status.DONE, **{**fields, **record})
    return run


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            {"catalogue_rows": 2},
            r"KIDS_10.0_0.0: its rows do not add up \(catalogue 2, excluded -1",
        ),
        ({"catalogue_rows": None}, r"KIDS_10.0_0.0: its record lacks the rows of its catalogue"),
        ({"rows_in": 4}, r"its file has 3 rows, 0 without a redshift; its record says 4 and 0"),
        (
            {"flag_counts": {"NO_REDSHIFT": 1}},
            r"its file has 3 rows, 0 without a redshift; its record says 3 and 1",
        ),
        ({"flag": BLIND}, r"rows have a redshift and NO_REDSHIFT, or neither"),
    ],
)
def test_a_sum_that_does_not_close_is_an_error(tmp_path, record, message):
    with pytest.raises(ConfigError, match=message):
        released(spoiled(tmp_path, **record), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tiles_with_other_columns_are_refused(tmp_path):
    run = MadeUpRun(tmp_path / "run", ["KIDS_10.0_0.0", "KIDS_11.0_0.0"])
    for k, tile in enumerate(run.manifest.tiles):
        table = tile_rows(tile, [f"s{k}"], np.array([10.0 + k]), np.zeros(1))
        kept = pa.array([1], pa.int16() if k else pa.int32())
        run.add(tile, table.append_column("FLAG_KEPT", kept))
    with pytest.raises(
        ConfigError,
        match=r"KIDS_11.0_0.0: column FLAG_KEPT is int16 here and int32 in the first tile",
    ):
        released(run, tmp_path / "out")


@given(
    st.lists(st.tuples(st.floats(0, 360, exclude_max=True), st.floats(-90, 90)), min_size=1),
    st.integers(1, 30),
)
def test_ranges_of_the_sky_hold_every_source_in_order(places, most):
    index_N = np.sort(healpix_index(*np.array(places, np.float64).T))
    count_C = count_cells(index_N)
    start_R = range_starts(count_C, most)
    number_N = range_of(index_N, start_R)
    assert start_R[0] == 0
    assert np.all(index_N >= 0)
    assert np.all(index_N < 12 * 4**ORDER)
    assert np.all(np.diff(number_N) >= 0)
    for number, held in zip(*np.unique(number_N, return_counts=True), strict=True):
        assert held <= max(most, count_C.max())
        assert start_R[number] <= index_N[number_N == number].min()
