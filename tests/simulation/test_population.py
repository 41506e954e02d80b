"""The galaxies are those of the bright sample in number, redshift, type, size and difficulty."""

import numpy as np
import pytest
from astropy.io import fits
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from photoz_run.simulation import cosmology, geometry
from photoz_run.survey.data_release import DR4
from support.simulation import write_tile

BANDS = DR4.magnitude_suffixes
DENSITY = 25.0
TILES = 8


def smad(values):
    return 1.4826 * np.median(np.abs(values - np.median(values)))


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The bright sample of some tiles without images: truth, magnitudes, area."""
    folder = tmp_path_factory.mktemp("population")
    parts, area = [], 0.0
    for index in range(TILES):
        tile = write_tile(
            folder, index, products=(), size=3000, density=DENSITY, data_release="DR4.0", seed=11
        )
        table = tile.table
        total = table["MAG_AUTO"] + fits.getval(tile.catalogue, "DMAG_R") - table["EXTINCTION_r"]
        magnitudes = np.stack([table[f"MAG_GAAP_{band}"] for band in BANDS], axis=1)
        bright = (total < 20) & (table["CLASS_STAR"] < 0.5) & (table["SG2DPHOT"] == 0)
        bright &= (np.abs(magnitudes) < 90).all(axis=1) & (tile.truth("kind") == "galaxy")
        columns = (
            "z",
            "red",
            "absolute_r",
            "bulge_fraction",
            "disc_radius",
            "bulge_radius",
            "flux_g",
            "flux_r",
        )
        parts.append(
            {name: tile.truth(name)[bright] for name in columns}
            | {"m": magnitudes[bright], "r": total[bright]}
        )
        area += geometry.catalogue_rectangle(
            geometry.cell_of_tile(index, tile.settings), tile.settings
        ).area
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return joined | {"area": area}


def test_number_redshift_and_types(sample):
    per_degree = len(sample["z"]) / sample["area"] / DENSITY
    assert 950 < per_degree < 1250
    assert 0.22 < sample["z"].mean() < 0.24
    assert 0.40 < sample["red"].mean() < 0.55
    assert np.percentile(sample["z"], 99) < 0.6


def test_red_galaxies_are_red_large_in_bulge_and_bright(sample):
    red = sample["red"]
    g_r = -2.5 * np.log10(sample["flux_g"] / sample["flux_r"])
    assert np.median(g_r[red]) - np.median(g_r[~red]) > 0.3
    assert (
        np.median(sample["bulge_fraction"][red]) > 0.5 > np.median(sample["bulge_fraction"][~red])
    )
    assert np.median(sample["absolute_r"][red]) < np.median(sample["absolute_r"][~red])


def test_disc_sizes_follow_the_published_relation(sample):
    """Shen et al. (2003): late types of M_r = -20.5 (h = 0.7) have a median radius of 3.2 kpc.

    Their scatter in ln R is 0.3.
    """
    chosen = ~sample["red"] & (np.abs(sample["absolute_r"] + 20.5) < 0.25) & (sample["z"] < 0.2)
    kpc = sample["disc_radius"][chosen] * cosmology.kpc_per_arcsec(sample["z"][chosen])
    assert np.median(kpc) == pytest.approx(3.2 * 1.15 * 1.12 * 1.12**-0.75, rel=0.12)
    assert 0.2 < np.std(np.log(kpc)) < 0.5


def test_nine_bands_beat_four_and_red_galaxies_are_easier(sample):
    """A quick fit, the same for both: the published order, for the same reason, colours."""
    z, m, red = sample["z"], sample["m"], sample["red"]
    order = np.random.default_rng(0).permutation(len(z))
    train, test = order[: int(0.7 * len(z))], order[int(0.7 * len(z)) :]
    error = {}
    for count in (4, 9):
        features = np.column_stack([m[:, :count], sample["r"]])
        fit = make_pipeline(
            StandardScaler(),
            PolynomialFeatures(3),
            StandardScaler(),
            RidgeCV(np.geomspace(0.01, 100, 9)),
        )
        fit.fit(features[train], np.log1p(z[train]))
        guess = np.expm1(fit.predict(features[test]))
        error[count] = (guess - z[test]) / (1 + z[test])
    assert smad(error[9]) < 0.92 * smad(error[4])
    assert 0.012 < smad(error[9]) < 0.026
    assert smad(error[9][red[test]]) < smad(error[9][~red[test]])
