"""Spec-z find their galaxies: one pair per galaxy, losses counted, wrong positions explained."""

from pathlib import Path

import numpy as np
import pytest

from photoz_run.errors import BadDataError, ConfigError
from photoz_run.validation.catalogue import read_catalogue
from photoz_run.validation.pairs import pair
from photoz_run.validation.settings import SpecSettings, ValidationSettings
from photoz_run.validation.specz import read_specz
from support.validation import gama, survey, write_fits, write_parquet

SETTINGS = ValidationSettings()


def paired(tmp_path, columns, *tables, radius=1.0, minimum=0.05, settings=SETTINGS):
    catalogue, _ = read_catalogue(write_parquet(tmp_path / "cat.parquet", columns), settings)
    files = [
        SpecSettings(file=write_fits(tmp_path / f"spec{k}.fits", table))
        for k, table in enumerate(tables)
    ]
    return pair(catalogue, read_specz(files), radius, minimum)


def take(table, rows):
    return {name: value[rows] for name, value in table.items()}


def both(a, b):
    return {name: np.concatenate([a[name], b[name]]) for name in a}


def test_every_galaxy_gets_its_own_redshift(tmp_path):
    columns, z = survey(800)
    order = np.random.default_rng(1).permutation(800)
    pairs = paired(tmp_path, columns, take(gama(columns, z), order))
    assert len(pairs) == pairs.counts.matched == pairs.counts.in_footprint == 800
    truth = dict(zip(columns["ID"], z, strict=True))
    expected = [truth[source] for source in pairs.columns["ID"]]
    np.testing.assert_allclose(pairs.columns["Z_SPEC"], expected, rtol=1e-6)
    assert np.all(pairs.columns["SEPARATION"] < 1)


def test_spec_z_outside_the_footprint_are_counted_apart(tmp_path):
    columns, z = survey(500)
    table = gama(columns, z)
    elsewhere = take(table, slice(0, 300)) | {"RAcen": table["RAcen"][:300] + 60}
    counts = paired(tmp_path, columns, both(table, elsewhere)).counts
    assert (counts.specz, counts.in_footprint, counts.matched) == (800, 500, 500)


def test_offsets_beyond_the_radius_do_not_match(tmp_path):
    columns, z = survey(300)
    table = gama(columns, z, scatter_arcsec=0.01)
    table["Deccen"][:100] += 1.2 / 3600
    counts = paired(tmp_path, columns, table).counts
    assert (counts.matched, counts.in_footprint) == (200, 300)


def test_two_sources_within_the_radius_are_ambiguous_and_the_nearest_is_taken(tmp_path):
    columns, z = survey(200)
    near = take(columns, slice(0, 50))
    near = near | {
        "DECJ2000": near["DECJ2000"] + 0.8 / 3600,
        "ID": np.char.add(near["ID"].astype(str), "b"),
    }
    pairs = paired(tmp_path, both(columns, near), gama(columns, z, scatter_arcsec=0.02))
    assert pairs.counts.ambiguous == 50
    assert set(pairs.columns["ID"]) == set(columns["ID"])


def test_repeated_spec_z_count_once_and_disagreeing_ones_not_at_all(tmp_path):
    columns, z = survey(400)
    table = gama(columns, z)
    again = take(table, slice(0, 100))
    wrong = take(table, slice(100, 130)) | {"Z": table["Z"][100:130] + 0.1}
    counts = paired(tmp_path, columns, both(both(table, again), wrong)).counts
    assert (counts.matched, counts.pairs) == (530, 370)
    assert (counts.duplicates, counts.conflicting) == (100, 60)
    assert counts.matched == counts.pairs + counts.duplicates + counts.conflicting


def test_the_first_table_has_priority(tmp_path):
    columns, z = survey(300)
    gama_table = take(gama(columns, z), slice(0, 200))
    slightly_off = gama(columns, z + 0.0005, scatter_arcsec=0.0)
    sdss = {
        "PLUG_RA": slightly_off["RAcen"],
        "PLUG_DEC": slightly_off["Deccen"],
        "Z": slightly_off["Z"],
    }
    sdss["ZWARNING"] = np.zeros(300, np.int32)
    pairs = paired(tmp_path, columns, gama_table, sdss)
    assert pairs.counts.duplicates == 200
    assert np.bincount(pairs.columns["SPEC_SOURCE"]).tolist() == [200, 100]


def test_missing_photo_z_are_counted(tmp_path):
    columns, z = survey(300)
    columns["Z_PHOT"][:30] = np.nan
    counts = paired(tmp_path, columns, gama(columns, z)).counts
    assert counts.without_photoz == 30
    assert counts.completeness == pytest.approx(0.9)


def test_no_pair_with_a_photo_z_is_left(tmp_path):
    columns, z = survey(300)
    columns["Z_PHOT"][1:] = np.nan
    with pytest.raises(
        BadDataError,
        match=r"no pair is left: of 299 matched spec-z 0 contradict.*299 of 299 sources",
    ):
        paired(tmp_path, columns, take(gama(columns, z), slice(1, None)))


def test_an_id_measured_twice_is_one_galaxy(tmp_path):
    columns, z = survey(300)
    twice = both(columns, take(columns, slice(0, 40)))
    counts = paired(tmp_path, twice, gama(columns, z)).counts
    assert (counts.pairs, counts.ambiguous) == (300, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: {"RAcen": np.radians(t["RAcen"]), "Deccen": np.radians(t["Deccen"])},
            "spec-z table are in radians",
        ),
        (lambda t: {"RAcen": t["RAcen"] / 15}, "spec-z table have right ascension in hours"),
        (
            lambda t: {"RAcen": t["Deccen"], "Deccen": t["RAcen"]},
            "spec-z table have RA and Dec swapped",
        ),
        (lambda t: {"RAcen": t["RAcen"] + 90}, "cover the same sky"),
        (lambda t: {"Deccen": t["Deccen"] + 5 / 3600}, "only 0 of 300 spec-z inside the footprint"),
    ],
)
def test_wrong_positions_are_explained(tmp_path, change, message):
    columns, z = survey(300)
    table = gama(columns, z)
    with pytest.raises(BadDataError, match=message):
        paired(tmp_path, columns, table | change(table))


def test_a_catalogue_in_radians_is_explained(tmp_path):
    columns, z = survey(300)
    radians = columns | {name: np.radians(columns[name]) for name in ("RAJ2000", "DECJ2000")}
    with pytest.raises(BadDataError, match="catalogue are in radians"):
        paired(tmp_path, radians, gama(columns, z))


def test_too_small_a_match_fraction_is_refused(tmp_path):
    columns, z = survey(400)
    table = gama(columns, z)
    table["Deccen"][8:] += 10 / 3600
    with pytest.raises(BadDataError, match="only 8 of 400 spec-z inside the footprint"):
        paired(tmp_path, columns, table)
    assert paired(tmp_path, columns, table, minimum=0.0).counts.matched == 8


def test_quality_cuts_of_gama(tmp_path):
    columns, z = survey(300)
    table = gama(columns, z)
    table["NQ"][:20], table["uberclass"][20:50], table["SC"][50:60], table["Z"][60:65] = 2, 2, 3, -9
    file = write_fits(tmp_path / "gama.fits", table)
    sample = read_specz([SpecSettings(file=file)])
    assert sample.counts == {"GAMA": {"rows": 300, "poor": 60, "unusable": 5, "used": 235}}
    assert len(read_specz([SpecSettings(file=file, quality="")])) == 295
    assert len(read_specz([SpecSettings(file=file, quality="NQ > 1 and uberclass < 3")])) == 295


@pytest.mark.parametrize(
    ("names", "source"),
    [
        (("RA", "DEC", "Z", "NQ"), "GAMA"),
        (("TARGET_RA", "TARGET_DEC", "Z", "ZWARN", "DELTACHI2"), "DESI"),
        (("PLUG_RA", "PLUG_DEC", "Z", "ZWARNING"), "SDSS"),
        (("RA", "Dec", "z", "qual"), "2dFLenS"),
        (("ra", "dec", "z"), "spec-z"),
    ],
)
def test_tables_are_recognised_by_their_columns(tmp_path, names, source):
    values = {"NQ": 4, "ZWARN": 0, "DELTACHI2": 99.0, "ZWARNING": 0, "qual": 4}
    columns = {name: np.full(3, values.get(name, 0.3)) for name in names}
    sample = read_specz([SpecSettings(file=write_parquet(tmp_path / "t.parquet", columns))])
    assert (sample.sources, len(sample)) == ((source,), 3)


def test_columns_can_be_named(tmp_path):
    file = write_parquet(
        tmp_path / "t.parquet", {"x": np.ones(3), "y": np.ones(3), "redshift": np.full(3, 0.2)}
    )
    settings = SpecSettings(file=file, name="mine", ra="x", dec="y", z="redshift")
    assert read_specz([settings]).sources == ("mine",)
    with pytest.raises(ConfigError, match=r"not recognised.*it has x, y, redshift"):
        read_specz([SpecSettings(file=file)])
    with pytest.raises(ConfigError, match=r"no column zz; it has x, y, redshift"):
        read_specz([settings.model_copy(update={"z": "zz"})])


def test_tables_without_a_usable_redshift(tmp_path):
    columns, z = survey(20)
    table = gama(columns, z) | {"NQ": np.ones(20, np.int32)}
    file = write_fits(tmp_path / "gama.fits", table)
    with pytest.raises(
        BadDataError,
        match=r"gama.fits: none of its 20 rows has a usable redshift \(20 fail the cut",
    ):
        read_specz([SpecSettings(file=file)])
    with pytest.raises(ConfigError, match="give --specz"):
        read_specz([])


def test_two_tables_of_one_survey_keep_their_names_apart(tmp_path):
    columns, z = survey(20)
    file = write_fits(tmp_path / "gama.fits", gama(columns, z))
    assert read_specz([SpecSettings(file=Path(file))] * 2).sources == ("GAMA", "GAMA 2")
