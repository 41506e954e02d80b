"""`--attach`: columns of another table come to the sources they belong to, and to no other."""

import hashlib
from dataclasses import asdict

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from photoz_run.errors import BadDataError, ConfigError, PhotozError
from photoz_run.release.attach import attach
from photoz_run.release.lookup import SkyLookup
from photoz_run.science.matching import match_positions

TAKEN = ("ID", "RAJ2000", "DECJ2000", "Z_PHOT", "MASK")
N = 12
ORDER = np.array([7, 3, 0, 9, 1, 5, 2, 8, 4, 4, 11])
"""The sources of the other table: 6 and 10 are not in it, 4 is there twice, 9 has no redshift."""
WANTED = ("zphot_ANNz2", "n_epoch", "masked", "field")


def sources() -> pa.Table:
    """Some rows of a release around RA = 0."""
    return pa.table(
        {
            "ID": [f"KiDSDR5 J{k:06d}" for k in range(N)],
            "RAJ2000": np.linspace(-0.5, 0.5, N) % 360,
            "DECJ2000": np.linspace(-31.3, -30.9, N),
        }
    )


def other() -> dict[str, np.ndarray]:
    """Another table, a third of an arcsecond off; source 4 has a second row, 11 is too far away."""
    rows = sources()
    off = np.array([0.3] * 9 + [0.7, 1.1]) / 3600
    return {
        "ID": np.array(rows["ID"].to_pylist())[ORDER],
        "RAJ2000": rows["RAJ2000"].to_numpy()[ORDER],
        "DECJ2000": rows["DECJ2000"].to_numpy()[ORDER] + off,
        "zphot_ANNz2": np.where(ORDER == 9, np.nan, 0.01 * ORDER + (np.arange(11) == 9)).astype(
            np.float32
        ),
        "n_epoch": ORDER.astype(np.int16),
        "masked": ORDER % 2 == 0,
        "field": np.array([f"G{k}" for k in ORDER]),
    }


def write_parquet(path, table):
    about = {
        "unit": "",
        "ucd": "src.redshift.phot",
        "description": "ANNz2 redshift",
        "levels": "none of ours",
    }
    fields = pa.table(table).schema
    fields = fields.set(
        fields.get_field_index("zphot_ANNz2"), pa.field("zphot_ANNz2", pa.float32(), True, about)
    )
    pq.write_table(pa.table(table, schema=fields), path)
    return path


def write_fits(path, table):
    fitsio.write(path, np.rec.fromarrays(list(table.values()), names=list(table)), clobber=True)
    with fits.open(path, mode="update") as hdus:
        number = list(table).index("zphot_ANNz2") + 1
        hdus[1].header[f"TUCD{number}"], hdus[1].header[f"TCOMM{number}"] = (
            "src.redshift.phot",
            "ANNz2 redshift",
        )
    return path


@pytest.fixture(params=["annz2.parquet", "annz2.fits", "annz2"])
def path(request, tmp_path):
    """The other table as a Parquet file, a FITS file, and a folder of two Parquet files."""
    path = tmp_path / request.param
    if path.suffix:
        return {".parquet": write_parquet, ".fits": write_fits}[path.suffix](path, other())
    path.mkdir()
    for k, rows in enumerate((slice(0, 5), slice(5, None))):
        write_parquet(
            path / f"part-{k}.parquet", {name: values[rows] for name, values in other().items()}
        )
    return path


def expected(by: str) -> list[int | None]:
    """The row of the other table that belongs to each source; of 4 the first and nearest."""
    far = (11,) if by == "position" else ()
    return [None if k in (6, 10, *far) else int(np.flatnonzero(k == ORDER)[0]) for k in range(N)]


@pytest.mark.parametrize("by", ["id", "position"])
def test_every_source_gets_its_own_row_and_the_others_null(path, by):
    table = other()
    joined = attach(path, by, WANTED, TAKEN).add("KIDS_0.0_-31.2", sources())
    assert joined.column_names == ["ID", "RAJ2000", "DECJ2000", *WANTED]
    for name in WANTED:
        for value, row in zip(joined[name].to_pylist(), expected(by), strict=True):
            truth = None if row is None else table[name][row].item()
            assert value == (None if truth is None or truth != truth else truth), name


@pytest.mark.parametrize("by", ["id", "position"])
def test_matches_are_counted_over_all_tiles(path, by):
    attachment = attach(path, by, ["n_epoch"], TAKEN)
    attachment.add("KIDS_0.0_-31.2", sources().slice(0, 6))
    attachment.add("KIDS_1.0_-31.2", sources().slice(6))
    matched = 10 if by == "id" else 9
    assert attachment.counts == {"matched": matched, "unmatched": N - matched, "ambiguous": 1}


def test_the_provenance_names_files_columns_and_counts(path):
    attachment = attach(path, "position", ["zphot_ANNz2=Z_ANNZ2"], TAKEN)
    attachment.add("KIDS_0.0_-31.2", sources())
    facts = asdict(attachment.facts())
    files = [path] if path.is_file() else sorted(path.iterdir())
    assert [file["name"] for file in facts["files"]] == [file.name for file in files]
    for found, file in zip(facts["files"], files, strict=True):
        assert found["bytes"] == file.stat().st_size
        assert found["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (facts["by"], facts["radius_arcsec"], facts["columns"]) == (
        "position",
        1.0,
        {"zphot_ANNz2": "Z_ANNZ2"},
    )
    assert (facts["matched"], facts["unmatched"], facts["ambiguous"]) == (9, 3, 1)


def test_fields_carry_what_the_table_says_of_them(path):
    attachment = attach(path, "id", ["zphot_ANNz2=Z_ANNZ2", "n_epoch"], TAKEN)
    joined = attachment.add("KIDS_0.0_-31.2", sources())
    about = {b"ucd": b"src.redshift.phot", b"description": b"ANNz2 redshift"}
    found = {key: value for key, value in joined.field("Z_ANNZ2").metadata.items() if value}
    assert found == about
    assert joined.field("n_epoch").metadata == {b"description": f"n_epoch of {path.name}".encode()}
    assert list(joined.schema)[-2:] == attachment.fields
    assert all(field.nullable for field in attachment.fields)


def test_without_columns_all_but_the_key_are_attached(path):
    attachment = attach(path, "position", [], [name for name in TAKEN if name != "ID"])
    assert [field.name for field in attachment.fields] == ["ID", *WANTED]
    assert [field.name for field in attach(path, "id", [], ["ID", "Z_PHOT"]).fields] == [
        "RAJ2000",
        "DECJ2000",
        *WANTED,
    ]


def test_what_pandas_or_astropy_would_round_or_misread_is_written_otherwise(tmp_path):
    """Integers beyond 2^53 become text, truth values 0 and 1: both can be missing."""
    big = 2**60 + np.arange(11)
    table = pa.table({"ID": other()["ID"], "BIG": big, "SMALL": np.arange(11), "OK": ORDER > 3})
    pq.write_table(table, tmp_path / "a.parquet")
    one = attach(tmp_path / "a.parquet", "id", [], TAKEN)
    assert [field.type for field in one.fields] == [pa.string(), pa.int64(), pa.int8()]
    joined = one.add("", sources())
    assert joined["BIG"].to_pylist()[6:8] == [None, str(big[0])]
    assert joined["SMALL"].to_pylist()[6:8] == [None, 0]
    assert joined["OK"].to_pylist()[6:8] == [None, 1]


def test_a_join_that_finds_next_to_nothing_is_refused(tmp_path):
    table = other() | {"ID": np.array([f"X{k}" for k in range(11)])}
    one = attach(write_parquet(tmp_path / "a.parquet", table), "id", ["n_epoch"], TAKEN)
    one.add("", sources())
    with pytest.raises(ConfigError, match=r"0 of 12 sources have a row by id; are its ID those"):
        one.check_matched()


def test_sources_whose_id_is_longer_than_any_of_the_table_match_nothing(tmp_path):
    path = write_parquet(tmp_path / "annz2.parquet", other())
    longer = pa.table({"ID": [f"{name}b" for name in sources()["ID"].to_pylist()]})
    attachment = attach(path, "id", ["n_epoch"], TAKEN)
    assert attachment.add("", longer)["n_epoch"].null_count == N


@pytest.mark.parametrize("by", ["id", "position"])
def test_an_empty_table_and_an_empty_tile_are_no_trouble(tmp_path, by):
    empty = {name: values[:0] for name, values in other().items()}
    for path in (
        write_parquet(tmp_path / "a.parquet", empty),
        write_fits(tmp_path / "a.fits", empty),
    ):
        assert attach(path, by, ["n_epoch"], TAKEN).add("", sources())["n_epoch"].null_count == N
    full = write_parquet(tmp_path / "full.parquet", other())
    assert len(attach(full, by, ["n_epoch"], TAKEN).add("", sources().slice(0, 0))) == 0


def test_rows_without_a_position_belong_to_nobody(tmp_path):
    table = other()
    table["RAJ2000"] = np.where(ORDER == 3, np.nan, table["RAJ2000"])
    table["DECJ2000"] = np.where(ORDER == 7, np.nan, table["DECJ2000"])
    joined = attach(
        write_parquet(tmp_path / "a.parquet", table), "position", ["n_epoch"], TAKEN
    ).add("", sources())
    assert [k for k, value in enumerate(joined["n_epoch"].to_pylist()) if value is None] == [
        3,
        6,
        7,
        10,
        11,
    ]


angles = st.one_of(
    st.floats(0, 360, exclude_max=True), st.floats(-0.01, 0.01).map(lambda ra: ra % 360)
)
heights = st.one_of(
    st.floats(-90, 90), st.floats(-0.01, 0.01), st.floats(89.9, 90), st.floats(-90, -89.9)
)
places = st.lists(st.tuples(angles, heights), min_size=1, max_size=12)


@given(table=places, near=places, radius=st.floats(0.5, 60), step=st.floats(-1.2, 1.2))
def test_looking_only_near_the_sources_finds_what_looking_everywhere_finds(
    table, near, radius, step
):
    """Everywhere on the sky, over RA = 0 and the poles; some sources lie near the radius."""
    ra_M, dec_M = np.array(table).T
    beside = [(ra, float(np.clip(dec + step * radius / 3600, -90, 90))) for ra, dec in table]
    ra_N, dec_N = np.array(near + beside).T
    lookup, order_M = SkyLookup.of(ra_M, dec_M, radius)
    found = lookup.find(pa.table({"RAJ2000": ra_N, "DECJ2000": dec_N}))
    expected = match_positions(ra_N, dec_N, ra_M, dec_M, radius)
    np.testing.assert_array_equal(found.candidates_N, expected.candidates_N)
    np.testing.assert_array_equal(found.row_N >= 0, expected.matched_N)
    alone_N = expected.candidates_N == 1
    np.testing.assert_array_equal(order_M[found.row_N[alone_N]], expected.index_N[alone_N])


@pytest.mark.parametrize("dec", [-89.9, -60.0, 0.0, 45.0, 85.0])
@pytest.mark.parametrize("turn", [-360.0, 0.0, 360.0])
def test_a_row_beside_a_lonely_source_is_found_wherever_it_is(dec, turn):
    """Degrees of right ascension are short near the poles, and a table may count them from -180."""
    for inside, side in ((True, 0.99), (False, 1.01)):
        beside = 359.9999 + side / 3600 / np.cos(np.radians(dec))
        lookup, _ = SkyLookup.of(np.array([beside + turn]), np.array([dec]), 1.0)
        found = lookup.find(pa.table({"RAJ2000": [359.9999], "DECJ2000": [dec]}))
        assert (found.row_N[0] == 0) == inside


REFUSED = {
    "no file": (lambda path: attach(path.with_name("gone.fits"), "id", [], ()), "file not found"),
    "unknown column": (
        lambda path: attach(path, "id", ["zphot"], TAKEN),
        "no column zphot; did you mean zphot_ANNz2? it has ID, RAJ2000, DECJ2000",
    ),
    "taken name": (
        lambda path: attach(path, "position", ["n_epoch=mask", "field"], TAKEN),
        "--attach mask: the release has a column MASK already; name those you want,"
        " --attach-columns field, and give"
        " another name with NAME=NEW",
    ),
    "taken key": (
        lambda path: attach(path, "position", [], TAKEN),
        "the release has a column ID already",
    ),
    "twice": (
        lambda path: attach(path, "id", ["field", "n_epoch=FIELD"], TAKEN),
        "has a column field already",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_attached_is_refused_in_one_line(path, case):
    call, complaint = REFUSED[case]
    with pytest.raises(PhotozError) as told:
        call(path)
    assert complaint in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("by", "lacks", "complaint"),
    [("id", "ID", "--attach-by position"), ("position", "RAJ2000", "--attach-by id")],
)
def test_a_table_without_the_key_is_refused_with_the_other_way(tmp_path, by, lacks, complaint):
    table = {name: values for name, values in other().items() if name != lacks}
    for path in (
        write_parquet(tmp_path / "a.parquet", table),
        write_fits(tmp_path / "a.fits", table),
    ):
        with pytest.raises(ConfigError, match=complaint):
            attach(path, by, ["n_epoch"], TAKEN)


def test_lists_dates_and_positions_in_words_are_refused(tmp_path):
    n = len(ORDER)
    lists = pa.array([[1, 2]] * n)
    days = pa.array(np.zeros(n, "datetime64[s]"))
    pq.write_table(pa.table({**other(), "pdf": lists, "day": days}), tmp_path / "a.parquet")
    for name in ("pdf", "day"):
        complaint = {"pdf": "column pdf holds lists", "day": "column day: FITS has no column type"}
        with pytest.raises(PhotozError, match=complaint[name]):
            attach(tmp_path / "a.parquet", "id", [name], TAKEN)
    hours = other() | {"RAJ2000": np.array(["12:00:00.0"] * n)}
    with pytest.raises(BadDataError, match=r"column RAJ2000 holds text .* a number of degrees"):
        attach(write_parquet(tmp_path / "hours.parquet", hours), "position", ["n_epoch"], TAKEN)


def test_positions_of_another_system_do_not_come_beside_those_of_the_release(tmp_path):
    table = {("RA" if name == "RAJ2000" else name): values for name, values in other().items()}
    table["DEC"] = table.pop("DECJ2000")
    path = write_fits(tmp_path / "a.fits", table)
    fits.setval(path, "RADESYS", value="FK4", ext=1)
    with pytest.raises(BadDataError, match=r"column RA is FK4 by its header"):
        attach(path, "id", ["RA", "n_epoch"], TAKEN)
    assert attach(path, "id", ["n_epoch"], TAKEN).names == {"n_epoch": "n_epoch"}


@pytest.mark.parametrize("name", ["annz2.parquet", "annz2.fits"])
def test_a_damaged_table_is_refused_in_one_line(tmp_path, name):
    path = {".parquet": write_parquet, ".fits": write_fits}[(tmp_path / name).suffix](
        tmp_path / name, other()
    )
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadDataError, match=name) as told:
        attach(path, "id", ["n_epoch"], TAKEN)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("largest", "kind"), [(2**53, pa.int64()), (2**63 + 1, pa.string())])
def test_unsigned_integers_are_integers_or_texts(tmp_path, largest, kind):
    ids = sources()["ID"]
    values = pa.array([None, largest, *range(N - 2)], pa.uint64())
    pq.write_table(pa.table({"ID": ids, "x": values}), tmp_path / "t.parquet")
    attachment = attach(tmp_path / "t.parquet", "id", ["x"], TAKEN)
    assert attachment.fields[0].type == kind
    assert attachment.add("T", sources())["x"].cast(pa.string())[1].as_py() == str(largest)
