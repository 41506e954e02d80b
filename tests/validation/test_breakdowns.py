"""Each bin holds the galaxies it says, and its statistics are those of these galaxies alone."""

import numpy as np
import pytest

from photoz_run import flags
from photoz_run.errors import ConfigError
from photoz_run.science.resampling import resample
from photoz_run.science.statistics import normalised_residual, smad
from photoz_run.validation.breakdowns import break_down, number_bins
from photoz_run.validation.catalogue import read_catalogue
from photoz_run.validation.grouping import group_pairs
from photoz_run.validation.metrics import group_of
from photoz_run.validation.metrics import sample as sample_of
from photoz_run.validation.overlap import repeatability
from photoz_run.validation.pairs import pair
from photoz_run.validation.settings import SpecSettings, ValidationSettings
from photoz_run.validation.specz import read_specz
from support.validation import gama, survey, write_fits, write_parquet


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("breakdowns")
    columns, z = survey(2000)
    catalogue, _ = read_catalogue(
        write_parquet(folder / "cat.parquet", columns), ValidationSettings()
    )
    tables = [
        write_fits(folder / f"s{k}.fits", part) for k, part in enumerate(_halves(gama(columns, z)))
    ]
    specz = read_specz([SpecSettings(file=file) for file in tables])
    return pair(catalogue, specz, 1.0).columns, specz


def _halves(table):
    half = len(table["Z"]) // 2
    return [
        {name: value[part] for name, value in table.items()}
        for part in (slice(0, half), slice(half, None))
    ]


def broken_down(columns, specz, settings=None):
    pairs = sample_of(columns, resample(group_pairs(columns).group_N))
    overall = group_of("all", "all", pairs)
    return break_down(columns, pairs, overall, specz, settings or ValidationSettings())


def groups(sample, **settings):
    return broken_down(*sample, ValidationSettings(**settings))[0]


def test_every_breakdown_is_there(sample):
    groups, notes = broken_down(*sample)
    expected = {
        "r",
        "z_phot",
        "z_spec",
        "g_r",
        "colour",
        "colour_r",
        "flag",
        "mask",
        "hemisphere",
        "source",
        "tile",
    }
    assert set(groups) == expected
    assert notes == [
        "no breakdown by seeing: the catalogue lacks PSF_FWHM or PSF_FWHM_r or FWHM_IMAGE_r"
    ]


def test_bins_hold_every_galaxy_once(sample):
    for name, bins in groups(sample).items():
        if name != "flag":
            assert sum(group.n for group in bins) == 2000, name


def test_equal_number_bins_are_equal(sample):
    for name in ("r", "z_phot", "z_spec", "g_r"):
        counts = [group.n for group in groups(sample, bins=5)[name]]
        assert len(counts) == 5
        assert max(counts) - min(counts) <= 2


def test_fixed_edges(sample):
    bins = groups(sample, edges={"r": (17.0, 18.0, 19.5, 20.0)})["r"]
    r = sample[0]["MAG_AUTO_CALIB"]
    assert [group.n for group in bins] == [
        int(np.sum((r >= a) & (r < b))) for a, b in ((17, 18), (18, 19.5), (19.5, 20))
    ]
    with pytest.raises(ConfigError, match=r"edges.tile: no such breakdown"):
        groups(sample, edges={"tile": (0.0, 1.0)})


@pytest.mark.parametrize(
    ("name", "label", "mask"),
    [
        ("colour", "red", lambda c: c["MAG_GAAP_g"] - c["MAG_GAAP_r"] > 0.65 + 2.3 * c["Z_PHOT"]),
        ("mask", "MASK > 0", lambda c: c["MASK"] > 0),
        ("flag", "EDGE", lambda c: (c["PHOTOZ_FLAG"] & flags.bit("EDGE")) != 0),
        ("flag", "none", lambda c: c["PHOTOZ_FLAG"] == 0),
        ("hemisphere", "KiDS-S", lambda c: c["DEC"] < -20),
        ("tile", "KIDS_181.0_-0.5", lambda c: c["KIDS_TILE"] == "KIDS_181.0_-0.5"),
        ("source", "GAMA 2", lambda c: c["SPEC_SOURCE"] == 1),
    ],
)
def test_a_bin_is_measured_on_its_galaxies(sample, name, label, mask):
    columns = sample[0]
    rows = mask(columns)
    (group,) = [group for group in groups(sample)[name] if group.label == label]
    x = normalised_residual(columns["Z_PHOT"][rows], columns["Z_SPEC"][rows])
    assert group.n == rows.sum()
    assert group["smad"].value == pytest.approx(float(smad(x)))
    assert group["smad"].low < group["smad"].value < group["smad"].high


def test_missing_columns_leave_breakdowns_out_with_a_note(sample):
    poor = {name: sample[0][name] for name in ("RA", "DEC", "Z_PHOT", "Z_SPEC", "SPEC_SOURCE")}
    groups, notes = broken_down(poor, sample[1])
    assert set(groups) == {"z_phot", "z_spec", "hemisphere", "source"}
    assert "no breakdown by colour class: the catalogue lacks MAG_GAAP_g, MAG_GAAP_r" in notes
    assert "no breakdown by r magnitude: the catalogue lacks MAG_AUTO_CALIB" in notes


def test_missing_values_are_in_no_bin():
    x = np.array([1.0, np.nan, 2.0, 3.0])
    bins = number_bins({"r": x}, "r", 3, None)
    assert sorted(np.concatenate([part.rows for part in bins])) == [0, 2, 3]
    assert number_bins({"r": np.array([np.nan])}, "r", 3, None) == "r is null everywhere"
    assert number_bins({"r": np.ones(5)}, "r", 3, None) == "r has one value only"


def test_tiles_have_the_errors_of_their_number_of_galaxies(sample):
    pairs = sample_of(sample[0], resample(group_pairs(sample[0]).group_N, replicates=1000))
    overall = group_of("all", "all", pairs)
    bins = break_down(sample[0], pairs, overall, sample[1], ValidationSettings())[0]["tile"]
    for tile in bins:
        bias = tile["mean_normdz"]
        assert bias.groups == 1
        expected = tile["sd_normdz"].value / np.sqrt(tile.n)
        assert bias.error == pytest.approx(expected, rel=0.15)


def test_categories_are_compared_with_all_others(sample):
    red, blue = groups(sample)["colour"]
    for name, difference in red.contrasts.items():
        assert difference.value == pytest.approx(-blue.contrasts[name].value, abs=1e-9)
    shift = red["median_normdz"].value - blue["median_normdz"].value
    assert red.contrasts["median_normdz"].value == pytest.approx(shift, abs=2e-4)
    assert groups(sample)["r"][0].contrasts == {}


def test_repeatability():
    """Two measurements of each source with error 0.01 (1 + z), and intervals that say 0.02."""
    rng = np.random.default_rng(1)
    z = np.repeat(rng.uniform(0.1, 0.4, 3000), 2)
    measured = z + 0.01 * (1 + z) * rng.standard_normal(6000)
    ids = np.repeat([f"J{k}" for k in range(3000)], 2)
    half = 0.02 * (1 + z)
    order = rng.permutation(6000)
    columns = {
        "ID": ids,
        "Z_PHOT": measured,
        "Z_PHOT_LO68": measured - half,
        "Z_PHOT_HI68": measured + half,
    }
    result = repeatability({name: value[order] for name, value in columns.items()})
    assert result.n == 3000
    assert result.scatter == pytest.approx(0.01, rel=0.1)
    assert result.pull == pytest.approx(0.5, rel=0.1)
    assert repeatability({}).n == 0
