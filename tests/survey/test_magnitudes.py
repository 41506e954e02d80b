"""External magnitudes: each source gets its own row, and what did not match is said."""

from dataclasses import replace

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn, Table

from photoz_run.errors import BadDataError
from photoz_run.flags import bit
from photoz_run.records import Sources
from photoz_run.survey.magnitudes import MagnitudeTable, join_magnitudes
from photoz_run.tables.keys import Names

BANDS = ("g", "r")
SUFFIXES = {"g": ("g",), "r": ("r",)}
ARCSEC = 1 / 3600
N = 12


def sources() -> Sources:
    dec_N = -31.0 + np.arange(N) * 30 * ARCSEC
    return Sources(
        id_N=np.array([f"KiDSDR5 J{k:03d}" for k in range(N)]),
        ra_N=np.where(np.arange(N) % 2, 359.9999, 0.0001),
        dec_N=dec_N,
        magnitudes_NB=np.full((N, 2), np.nan, np.float32),
        extinction_NC=np.zeros((N, 4), np.float32),
        flags_N=np.full(N, bit("MAG_G_MISSING"), np.int32),
    )


def table_of(rows: dict) -> np.ndarray:
    names = list(rows)
    kinds = {"U": "S30", "f": "f8", "i": "i4"}
    out = np.zeros(
        len(rows[names[0]]), [(name, kinds[np.asarray(rows[name]).dtype.kind]) for name in names]
    )
    for name in names:
        out[name] = rows[name]
    return out


def write_fits(path, rows):
    fitsio.write(path, table_of(rows), clobber=True)
    return path


def write_parquet(path, rows):
    pq.write_table(
        pa.table({name: np.asarray(values).tolist() for name, values in rows.items()}), path
    )
    return path


def write_dataset(path, rows):
    folder = path.with_suffix("")
    folder.mkdir()
    half = len(rows["ID"]) // 2
    for number, part in enumerate((slice(None, half), slice(half, None))):
        write_parquet(
            folder / f"{number}.parquet", {name: values[part] for name, values in rows.items()}
        )
    return folder


@pytest.fixture(
    params=[
        (write_fits, "mags.fits"),
        (write_parquet, "mags.parquet"),
        (write_dataset, "mags.parquet"),
    ]
)
def write(request, tmp_path):
    writer, name = request.param
    return lambda rows: writer(tmp_path / name, rows)


def good_rows() -> dict:
    """The sources in another order, with other rows before, between and after."""
    own = sources()
    order = np.random.default_rng(3).permutation(N)
    far = np.arange(3)
    return {
        "ID": np.append(own.id_N[order], ["elsewhere 1", "elsewhere 2", "elsewhere 3"]),
        "RAJ2000": np.append(own.ra_N[order], 180.0 + far),
        "DECJ2000": np.append(own.dec_N[order] + 0.3 * ARCSEC, [-31.0, -80.0, 45.0]),
        "MAG_GAAP_g": np.append(18.0 + order, far),
        "MAG_GAAP_r": np.append(17.5 + order, far),
        "FLAG_GAAP_g": np.zeros(N + 3, int),
        "FLAG_GAAP_r": np.zeros(N + 3, int),
    }


def join(path, by="position", radius=1.0):
    return join_magnitudes(sources(), MagnitudeTable(path, by, radius), SUFFIXES, BANDS)


@pytest.mark.parametrize("by", ["position", "id"])
def test_each_source_gets_its_own_row(write, by):
    joined, counts = join(write(good_rows()), by)
    np.testing.assert_array_equal(joined.magnitudes_NB[:, 0], 18.0 + np.arange(N))
    np.testing.assert_array_equal(joined.magnitudes_NB[:, 1], 17.5 + np.arange(N))
    assert not joined.flags_N.any()
    assert counts == {"magnitudes_matched": N, "magnitudes_unmatched": 0, "magnitudes_ambiguous": 0}
    np.testing.assert_array_equal(joined.id_N, sources().id_N)


@pytest.mark.parametrize("by", ["position", "id"])
def test_sources_without_row_are_flagged_and_counted(write, by):
    rows = {name: values[:8] for name, values in good_rows().items()}
    joined, counts = join(write(rows), by)
    missing_N = np.isnan(joined.magnitudes_NB).all(axis=1)
    assert missing_N.sum() == 4
    assert set(sources().id_N[missing_N]) == set(sources().id_N) - set(rows["ID"])
    expected = bit("MAG_UNMATCHED") | bit("MAG_G_MISSING") | bit("MAG_R_MISSING")
    np.testing.assert_array_equal(joined.flags_N, np.where(missing_N, expected, 0))
    assert counts == {"magnitudes_matched": 8, "magnitudes_unmatched": 4, "magnitudes_ambiguous": 0}


def test_of_several_near_rows_the_nearest_is_taken_and_said(write):
    rows = good_rows()
    k = int(np.flatnonzero(rows["ID"] == sources().id_N[5])[0])
    rows = {name: np.append(values, values[k : k + 1]) for name, values in rows.items()}
    rows["DECJ2000"][-1] = sources().dec_N[5] + 0.1 * ARCSEC
    rows["MAG_GAAP_g"][-1] = 14.0
    rows["ID"][-1] = "another"
    joined, counts = join(write(rows))
    assert joined.magnitudes_NB[5, 0] == 14.0
    assert joined.flags_N[5] == bit("MAG_AMBIGUOUS")
    assert counts == {"magnitudes_matched": N, "magnitudes_unmatched": 0, "magnitudes_ambiguous": 1}


def test_of_several_rows_with_one_id_the_first_is_taken_and_said(write):
    rows = good_rows()
    rows = {name: np.append(values, values[:1]) for name, values in rows.items()}
    rows["MAG_GAAP_g"][-1] = 14.0
    joined, counts = join(write(rows), "id")
    n = int(np.flatnonzero(sources().id_N == rows["ID"][0])[0])
    assert joined.magnitudes_NB[n, 0] == rows["MAG_GAAP_g"][0]
    assert joined.flags_N[n] == bit("MAG_AMBIGUOUS")
    assert counts["magnitudes_ambiguous"] == 1


@pytest.mark.parametrize(("radius", "matched"), [(0.4, N), (5.0, N)])
def test_the_radius_is_in_arcsec_on_the_sky_and_across_ra_zero(write, radius, matched):
    assert join(write(good_rows()), radius=radius)[1]["magnitudes_matched"] == matched


def test_codes_and_flags_are_missing_here_too(write):
    rows = good_rows()
    rows["MAG_GAAP_g"][0], rows["MAG_GAAP_g"][1], rows["FLAG_GAAP_r"][2] = 99, np.nan, 1
    joined, counts = join(write(rows), "id")
    named = {name: n for n, name in enumerate(sources().id_N)}
    missing = {(named[rows["ID"][0]], 0), (named[rows["ID"][1]], 0), (named[rows["ID"][2]], 1)}
    assert {
        tuple(map(int, place)) for place in np.argwhere(np.isnan(joined.magnitudes_NB))
    } == missing
    assert counts["magnitudes_matched"] == N


def test_flags_may_be_absent(write):
    rows = {name: values for name, values in good_rows().items() if not name.startswith("FLAG")}
    assert np.isfinite(join(write(rows))[0].magnitudes_NB).all()


def test_nulls_in_parquet_are_missing(tmp_path):
    rows = {name: list(np.asarray(values).tolist()) for name, values in good_rows().items()}
    rows["MAG_GAAP_g"][0] = None
    pq.write_table(pa.table(rows), tmp_path / "m.parquet")
    joined, _ = join(tmp_path / "m.parquet", "id")
    assert np.isnan(joined.magnitudes_NB[:, 0]).sum() == 1


def test_a_table_of_another_field_is_refused_with_what_it_may_be(write):
    rows = good_rows()
    rows["RAJ2000"] = rows["RAJ2000"] + 40
    rows["ID"] = np.array([f"x{k}" for k in range(len(rows["ID"]))])
    path = write(rows)
    for by, cause in (("position", "degrees"), ("id", "are its ID those of the catalogue")):
        with pytest.raises(BadDataError, match=f"0 of 12 sources .* by {by}; .*{cause}"):
            join(path, by)
    with pytest.raises(BadDataError, match=r"0 of 12 sources.*is 0.2 arcsec enough"):
        join(write_fits(path.with_name("m.fits"), good_rows()), radius=0.2)


IDS = {
    "text": lambda ids: ids,
    "categories": lambda ids: ids.dictionary_encode(),
    "view": lambda ids: ids.cast(pa.string_view()),
    "long": lambda ids: ids.cast(pa.large_string()),
    "bytes": lambda ids: ids.cast(pa.binary()),
    "padded": lambda ids: pc.utf8_rpad(ids, 32),
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_of_every_type_of_text_are_the_same(tmp_path, kind):
    rows = pa.table({name: np.asarray(values).tolist() for name, values in good_rows().items()})
    changed = rows.set_column(0, "ID", IDS[kind](rows["ID"].combine_chunks()))
    pq.write_table(changed, tmp_path / "m.parquet")
    assert join(tmp_path / "m.parquet", "id")[1]["magnitudes_matched"] == N


def test_columns_of_the_key_may_have_any_name(tmp_path):
    new = {"ID": "name", "RAJ2000": "lon", "DECJ2000": "lat"}
    rows = {new.get(name, name): values for name, values in good_rows().items()}
    table = MagnitudeTable(
        write_fits(tmp_path / "m.fits", rows), "id", 1.0, Names("lon", "lat", "name")
    )
    for by in ("id", "position"):
        counts = join_magnitudes(sources(), replace(table, by=by), SUFFIXES, BANDS)[1]
        assert counts["magnitudes_matched"] == N


def test_sentinel_positions_and_blank_ids_match_nothing(tmp_path):
    rows = good_rows()
    rows["RAJ2000"][:3] = rows["DECJ2000"][:3] = -99.0
    rows["ID"][:3] = ""
    path = write_fits(tmp_path / "m.fits", rows)
    for by in ("id", "position"):
        assert join(path, by)[1]["magnitudes_unmatched"] == 3


@pytest.mark.parametrize(
    ("by", "column"), [("position", "RAJ2000"), ("id", "ID"), ("id", "MAG_GAAP_r")]
)
def test_a_missing_column_is_named(tmp_path, by, column):
    rows = {name: values for name, values in good_rows().items() if name != column}
    for path in (
        write_fits(tmp_path / "m.fits", rows),
        write_parquet(tmp_path / "m.parquet", rows),
    ):
        with pytest.raises(
            BadDataError, match=f"{path}: no (column {column}|position columns).*it has"
        ):
            join(path, by)


@pytest.mark.parametrize("name", ["mags.fits", "mags.parquet"])
def test_what_is_no_table_is_refused(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(BadDataError, match=str(path)):
        join(path)
    path.write_bytes(b"nothing of the kind" * 200)
    with pytest.raises(BadDataError, match=str(path)) as refused:
        join(path)
    assert "\n" not in str(refused.value)


def test_a_table_of_a_part_of_the_survey_is_told_from_a_join_that_is_broken(tmp_path):
    rows = good_rows()
    elsewhere = rows | {"RAJ2000": rows["RAJ2000"] + 40}
    with pytest.raises(BadDataError, match=r"does not cover the tile: none .* within 5' of a"):
        join(write_parquet(tmp_path / "elsewhere.parquet", elsewhere))
    beside = rows | {"DECJ2000": rows["DECJ2000"] + 10 * ARCSEC}
    with pytest.raises(BadDataError, match=r"rows lie near the tile .* is 1 arcsec enough"):
        join(write_parquet(tmp_path / "beside.parquet", beside))


def ascii_table(rows):
    table = Table(rows)
    table["MAG_GAAP_g"] = MaskedColumn(table["MAG_GAAP_g"], mask=table["ID"] == "KiDSDR5 J003")
    return table


@pytest.mark.parametrize("by", ["position", "id"])
@pytest.mark.parametrize("file", ["m.csv", "m.ecsv", "m.vot", "m.fits"])
def test_a_table_of_every_kind_gives_its_magnitudes(tmp_path, file, by):
    form = {"format": "votable"} if file.endswith("vot") else {}
    ascii_table(good_rows()).write(tmp_path / file, **form)
    joined, counts = join(tmp_path / file, by)
    expected = np.where(np.arange(N) == 3, np.nan, 18.0 + np.arange(N))
    np.testing.assert_array_equal(joined.magnitudes_NB[:, 0], expected)
    assert counts["magnitudes_matched"] == N


def test_blank_ids_name_nobody_and_repeated_ones_are_ambiguous(tmp_path):
    rows = good_rows()
    ids = pa.array(rows.pop("ID").tolist())
    ids = pc.if_else(pc.equal(ids, "KiDSDR5 J002"), None, ids)
    ids = pc.if_else(pc.equal(ids, "KiDSDR5 J005"), "  ", ids)
    table = pa.table({"ID": ids, **rows})
    again = table.filter(pc.equal(table["ID"], "KiDSDR5 J007"))
    pq.write_table(pa.concat_tables([table, again]), tmp_path / "m.parquet")
    joined, counts = join(tmp_path / "m.parquet", "id")
    assert counts == {
        "magnitudes_matched": N - 2,
        "magnitudes_unmatched": 2,
        "magnitudes_ambiguous": 1,
    }
    unmatched_N = (joined.flags_N & bit("MAG_UNMATCHED")) != 0
    assert np.flatnonzero(unmatched_N).tolist() == [2, 5]


def test_declinations_in_radians_are_sought_in_radians(tmp_path):
    """The row groups of Parquet are chosen by the declinations that they state."""
    rows = good_rows()
    order = np.argsort(rows["DECJ2000"])
    table = pa.table({name: np.asarray(values)[order].tolist() for name, values in rows.items()})
    for k, field in enumerate(table.schema):
        if field.name in ("RAJ2000", "DECJ2000"):
            values = pa.chunked_array([np.radians(table[k].to_numpy())])
            table = table.set_column(k, field.with_metadata({"unit": "rad"}), values)
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=2)
    joined, counts = join(tmp_path / "t.parquet")
    assert counts["magnitudes_matched"] == N
    np.testing.assert_array_equal(joined.magnitudes_NB[:, 0], 18.0 + np.arange(N))
