"""Each rule of the rows and each part of the proof, one thing wrong at a time in made-up rows."""

from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photoz_models.contract import QUANTILE_LEVELS
from photoz_run.flags import bit
from photoz_run.release.accounting import unmeasured
from photoz_run.release.identity import id_numbers
from photoz_run.release.proof import identity
from photoz_run.release.proof.area import SourcesInArea, covered
from photoz_run.release.proof.hats import ArrowStream
from photoz_run.release.proof.hats_margin import MarginCopy
from photoz_run.release.proof.identity import Identities, repeated
from photoz_run.release.proof.parquet import RowProof, check_tiles, indices
from photoz_run.release.proof.rules import RowLimits
from photoz_run.release.provenance import TileFacts
from photoz_run.release.rows import INDEX
from support.made_up_runs import names_by_place, tile_rows

N = 60
TILE = "KIDS_10.0_0.0"
LIMITS = RowLimits(0.0, 1.0, 15, QUANTILE_LEVELS)
EVERYWHERE = np.array([[0, 12 << 58]], np.uint64)
LOST = 7


def good_rows(n: int = N) -> pa.Table:
    """Rows of a release: Gaussian redshifts with quantiles, one row without, in order."""
    rng = np.random.default_rng(3)
    ra_N, dec_N = rng.uniform(9.5, 10.5, n), rng.uniform(-0.5, 0.5, n)
    z_N, width_N = rng.uniform(0.1, 0.6, n), rng.uniform(0.01, 0.03, n)
    quantiles_NQ = (z_N[:, None] + width_N[:, None] * (np.array(QUANTILE_LEVELS) - 0.5)).astype(
        np.float32
    )
    at = {
        level: quantiles_NQ[:, QUANTILE_LEVELS.index(level)] for level in (0.025, 0.16, 0.84, 0.975)
    }
    flag_N = np.zeros(n, np.int32)
    flag_N[LOST] = bit("NO_REDSHIFT")
    table = tile_rows(
        TILE,
        names_by_place(ra_N, dec_N),
        ra_N,
        dec_N,
        PHOTOZ_FLAG=flag_N,
        Z_PHOT=z_N.astype(np.float32),
        Z_PHOT_LO95=at[0.025],
        Z_PHOT_LO68=at[0.16],
        Z_PHOT_HI68=at[0.84],
        Z_PHOT_HI95=at[0.975],
        Z_PHOT_ERR=(at[0.84] - at[0.16]) / 2,
        Z_DOMAIN=rng.uniform(0, 0.9, n).astype(np.float32),
    )
    lists = [
        [None] * len(QUANTILE_LEVELS) if k == LOST else row.tolist()
        for k, row in enumerate(quantiles_NQ)
    ]
    table = table.append_column(
        "Z_QUANTILES", pa.array(lists, pa.list_(pa.float32(), len(QUANTILE_LEVELS)))
    )
    return table.take(pa.array(np.argsort(indices(table))))


def prove(table: pa.Table, covered_R2=EVERYWHERE, batch: int = 16) -> dict[str, str]:
    """The checks of rows that fail."""
    proof, area = RowProof(LIMITS, Identities(len(table))), SourcesInArea(covered_R2)
    batches = [table.slice(start, batch) for start in range(0, len(table), batch)]
    for batch_rows in batches:
        proof.add(batch_rows, indices(batch_rows))
        area.compare(batch_rows, indices(batch_rows))
    checks = [*proof.checks(dict(proof.flags), batches), *area.checks()]
    return {check.name: check.detail for check in checks if not check.passed}


def measured(table: pa.Table) -> int:
    """A row with a redshift, not the first one."""
    return [k for k, z in enumerate(table["Z_PHOT"].to_pylist()) if z is not None][20]


def lost(table: pa.Table) -> int:
    return table["Z_PHOT"].to_pylist().index(None)


def changed(table: pa.Table, row: int, **values) -> pa.Table:
    """The table with other values in one row; null is allowed everywhere, as a forger has it."""
    fields = pa.schema([field.with_nullable(True) for field in table.schema])
    rows = table.to_pylist()
    rows[row] |= values
    return pa.Table.from_pylist(rows, schema=fields)


def test_good_rows_break_no_rule():
    assert prove(good_rows()) == {}
    assert prove(good_rows().drop_columns(["Z_QUANTILES"])) == {}


LEVELS = len(QUANTILE_LEVELS)
BROKEN = {
    "a null ID": ("measured", {"KIDS_TILE": None}, "nulls", "KIDS_TILE is null"),
    "a null flag": ("measured", {"PHOTOZ_FLAG": None}, "nulls", "PHOTOZ_FLAG is null"),
    "NaN": ("measured", {"MAG_AUTO_CALIB": np.nan}, "nulls", "MAG_AUTO_CALIB is NaN, not null"),
    "no redshift, no flag": (
        "measured",
        {"Z_PHOT": None},
        "nulls",
        "Z_PHOT is null without NO_REDSHIFT",
    ),
    "a redshift and the flag": (
        "measured",
        {"PHOTOZ_FLAG": 1 << 18},
        "nulls",
        "Z_PHOT is null without NO_REDSHIFT",
    ),
    "half an interval": (
        "measured",
        {"Z_PHOT_HI68": None},
        "nulls",
        "Z_PHOT_LO68 or Z_PHOT_HI68 is null alone",
    ),
    "half a wide interval": (
        "measured",
        {"Z_PHOT_LO95": None},
        "nulls",
        "Z_PHOT_LO95 or Z_PHOT_HI95 is null alone",
    ),
    "an interval of nothing": (
        "lost",
        {"Z_PHOT_LO95": 0.1, "Z_PHOT_HI95": 0.2},
        "nulls",
        "is there without Z_PHOT",
    ),
    "a domain of nothing": ("lost", {"Z_DOMAIN": 0.1}, "nulls", "Z_DOMAIN is there without Z_PHOT"),
    "quantiles of nothing": (
        "lost",
        {"Z_QUANTILES": [0.1] * LEVELS},
        "nulls",
        "Z_QUANTILES is there without Z_PHOT",
    ),
    "right ascension": ("measured", {"RAJ2000": 360.5}, "ranges", "RAJ2000 is not in 0..360"),
    "declination": ("measured", {"DECJ2000": -91.0}, "ranges", "DECJ2000 is not in -90..90"),
    "a redshift too high": ("measured", {"Z_PHOT": 1.01}, "ranges", "Z_PHOT is not in 0..1"),
    "a redshift too low": ("measured", {"Z_PHOT": -0.01}, "ranges", "Z_PHOT is not in 0..1"),
    "68% outside 95%": (
        "measured",
        {"Z_PHOT_LO95": 0.9},
        "ranges",
        "Z_PHOT_LO95 is above Z_PHOT_LO68",
    ),
    "an interval upside down": (
        "measured",
        {"Z_PHOT_LO68": 0.9},
        "ranges",
        "Z_PHOT_LO68 is above Z_PHOT_HI68",
    ),
    "another error": (
        "measured",
        {"Z_PHOT_ERR": 0.5},
        "ranges",
        "Z_PHOT_ERR is not half of the 68% interval",
    ),
    "a negative distance": ("measured", {"Z_DOMAIN": -0.1}, "ranges", "Z_DOMAIN is negative"),
    "quantiles that fall": (
        "measured",
        {"Z_QUANTILES": [0.9] + [0.1] * (LEVELS - 1)},
        "ranges",
        "Z_QUANTILES fall",
    ),
    "other quantiles": (
        "measured",
        {"Z_QUANTILES": [0.9] * LEVELS},
        "ranges",
        "is not the quantile at 0.16",
    ),
    "an unknown flag": (
        "measured",
        {"PHOTOZ_FLAG": 1 << 22},
        "flags",
        "PHOTOZ_FLAG has an unknown bit",
    ),
    "the sign bit": (
        "measured",
        {"PHOTOZ_FLAG": -(2**31)},
        "flags",
        "PHOTOZ_FLAG has an unknown bit",
    ),
    "a user's flag": (
        "measured",
        {"PHOTOZ_FLAG": 1 << 24},
        "flags",
        "PHOTOZ_FLAG has an unknown bit",
    ),
    "an unknown mask": ("measured", {"MASK": 1 << 15}, "flags", "MASK has a bit beyond 14"),
    "a limit not flagged": ("measured", {"Z_PHOT": 1.0}, "flags", "Z_LIMIT contradicts the value"),
    "a limit flagged": (
        "measured",
        {"PHOTOZ_FLAG": 1 << 17},
        "flags",
        "Z_LIMIT contradicts the value",
    ),
    "an extrapolation": (
        "measured",
        {"Z_DOMAIN": 1.1},
        "flags",
        "OUT_OF_DOMAIN contradicts the value",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_each_rule_finds_the_row_that_breaks_it(case):
    where, values, check, words = BROKEN[case]
    table = good_rows()
    row = {"measured": measured, "lost": lost}[where](table)
    found = prove(changed(table, row, **values))
    assert words in found[check]
    assert f"in 1 rows, the first is {table['ID'][row].as_py()!r}" in found[check]


@pytest.mark.parametrize("batch", [1, 16, N])
def test_rows_out_of_order_are_found_also_between_batches(batch):
    table = good_rows()
    order = np.arange(N)
    order[[15, 16]] = order[[16, 15]]
    assert list(prove(table.take(pa.array(order)), batch=batch)) == ["order of rows"]


def test_rows_at_one_place_stand_in_the_order_of_their_ids():
    table = good_rows().slice(0, 2)
    ra, dec = table["RAJ2000"][0].as_py(), table["DECJ2000"][0].as_py()
    for names, fails in ((("a", "b"), []), (("b", "a"), ["order of rows"])):
        rows = [
            row | {"ID": name, "RAJ2000": ra, "DECJ2000": dec}
            for row, name in zip(table.to_pylist(), names, strict=True)
        ]
        for batch in (1, 2):
            assert (
                list(prove(pa.Table.from_pylist(rows, schema=table.schema), batch=batch)) == fails
            )


def test_sources_off_the_area_need_a_flag_that_explains_it():
    table = good_rows()
    index_N = indices(table)
    hole = np.array([[0, index_N[30]], [index_N[30] + 1, 12 << 58]], np.uint64)
    row = table["ID"][30].as_py()
    assert f"in 1 rows, the first is {row!r}" in prove(table, hole)["area"]
    flag = table["PHOTOZ_FLAG"][30].as_py() | int(bit("EDGE"))
    assert prove(changed(table, 30, PHOTOZ_FLAG=flag), hole) == {}
    assert "in 60 rows" in prove(table, np.empty((0, 2), np.uint64))["area"]


def test_a_range_includes_its_start_and_not_its_end():
    ranges = np.array([[5, 7], [10, 11]], np.uint64)
    assert covered(np.array([4, 5, 6, 7, 9, 10, 11]), ranges).tolist() == [
        False,
        True,
        True,
        False,
        False,
        True,
        False,
    ]


def tile_facts(tile: str, released: int) -> TileFacts:
    account = replace(unmeasured(tile, "DONE", released), released=released)
    return TileFacts(**asdict(account), inputs=(), inputs_digest="", tile_file_sha256="")


def test_rows_of_a_tile_must_be_as_many_as_were_released():
    tiles = [tile_facts("A", 3), tile_facts("B", 0), tile_facts("C", 2)]
    assert check_tiles({"A": 3, "C": 2}, tiles).passed
    assert check_tiles({"A": 3, "C": 1}, tiles).detail == "C has 1 rows, not 2"
    assert check_tiles({"A": 3}, tiles).detail == "C has 0 rows, not 2"
    assert check_tiles({"A": 3, "C": 2, "D": 1}, tiles).detail == "D is not in provenance.json"


def test_equal_numbers_of_different_ids_are_no_repetition(monkeypatch):
    """If the numbers were bad, the IDs themselves would still decide."""
    table = good_rows()
    monkeypatch.setattr(identity, "id_numbers", lambda ids: np.zeros(len(ids), np.uint64))
    assert prove(table) == {}
    twice = changed(table, 40, ID=table["ID"][3].as_py())
    assert prove(twice)["IDs"] == f"{table['ID'][3].as_py()!r} stands more than once"


@given(
    st.lists(st.text("KiDSDR5 J0123456789+-.", max_size=30), min_size=2, max_size=30, unique=True)
)
def test_different_ids_have_different_numbers(names):
    number_N = id_numbers(pa.chunked_array([names]))
    assert len(np.unique(number_N)) == len(names)
    np.testing.assert_array_equal(number_N, id_numbers(pa.chunked_array([names[:1], names[1:]])))


def test_repetitions_are_found_wherever_they_stand():
    ids = pa.table({"ID": [f"{k:05d}" for k in range(5000)] + ["00017", "04999", "00017"]})
    found = Identities(len(ids))
    for start in range(0, len(ids), 700):
        found.add(ids["ID"].slice(start, 700))
    batches = (ids.slice(start, 900) for start in range(0, len(ids), 900))
    assert sorted(repeated(batches, found.suspects())) == ["00017", "04999"]


def test_an_id_longer_than_any_may_be_is_refused():
    with pytest.raises(ValueError, match="more than 32 characters"):
        Identities(1).add(pa.chunked_array([["x" * 33]]))


@given(st.lists(st.integers(0, 9), max_size=8), st.lists(st.integers(1, 7), max_size=12))
def test_rows_can_be_taken_in_any_number_from_tables_of_any_size(sizes, wanted):
    table = pa.table({"row": np.arange(sum(sizes))})
    starts = np.cumsum([0, *sizes])
    stream = ArrowStream(
        table.slice(start, size) for start, size in zip(starts, sizes, strict=False)
    )
    taken = [part for number in wanted if (part := stream.take(number)) is not None]
    rows = pa.concat_tables(taken)["row"].to_pylist() if taken else []
    assert rows == list(range(min(sum(wanted), len(table))))
    assert all(len(part) <= number for part, number in zip(taken, wanted, strict=False))
    assert stream.rest() == len(table) - len(rows)


@pytest.fixture
def margin(tmp_path):
    """A margin cache of 6 rows, in a cell far away."""
    table = good_rows()
    rows = table.append_column(INDEX, pa.array(indices(table))).take(
        pa.array([3, 9, 10, 30, 31, 59])
    )
    folder = tmp_path / "dataset" / "Norder=2" / "Dir=0"
    folder.mkdir(parents=True)
    pq.write_table(rows, folder / "Npix=1.parquet")
    (tmp_path / "properties").write_text("#HATS catalog\nhats_nrows=6\n")
    return tmp_path


def margin_failures(folder, table: pa.Table) -> dict[str, str]:
    copy = MarginCopy(folder)
    for start in range(0, len(table), 16):
        part = table.slice(start, 16)
        copy.compare(part, indices(part))
    return {check.name: check.detail for check in copy.checks() if not check.passed}


def test_a_margin_cache_holds_rows_of_the_catalogue(margin):
    table = good_rows()
    assert margin_failures(margin, table) == {}
    row = margin / "dataset" / "Norder=2" / "Dir=0" / "Npix=1.parquet"
    spoiled = margin_failures(margin, changed(table, 30, Z_PHOT=0.25))
    assert spoiled == {"margin cache = Parquet": "Z_PHOT differs in 1 rows"}
    gone = margin_failures(margin, table.slice(0, 59))
    assert gone == {"margin cache = Parquet": "1 rows do not stand in Parquet"}
    own = int(indices(table)[0]) >> 54
    row.rename(row.with_name(f"Npix={own}.parquet"))
    assert (
        "lie in the cell that they should lie beside"
        in margin_failures(margin, table)["margin cache = Parquet"]
    )
    (margin / "properties").write_text("hats_nrows=7\n")
    assert margin_failures(margin, table)["rows of the margin cache"] == "6, not 7"
