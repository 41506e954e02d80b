"""The catalogue against the pixels, measured by programs that know nothing of the simulation."""

import subprocess

import numpy as np
import pytest
import sep
from astropy.io import fits
from astropy.wcs import WCS

from photoz_run.simulation import conditions, geometry, photometry, scene
from photoz_run.simulation.settings import SimulationSettings
from support.programs import needs

PARAMETERS = "X_IMAGE\nY_IMAGE\nMAG_AUTO\nFLAGS\n"


def nearest(x, y, table):
    """Row of the detection nearest to each catalogue source, and the distance in pixels."""
    distance = np.hypot(x[None, :] - table["Xpos"][:, None], y[None, :] - table["Ypos"][:, None])
    return distance.argmin(axis=1), distance.min(axis=1)


@pytest.fixture(scope="module")
def extracted(tile_dr4, tmp_path_factory):
    """What source-extractor finds on the r coadd."""
    folder = tmp_path_factory.mktemp("extracted")
    needs("source-extractor")
    (folder / "wanted.param").write_text(PARAMETERS)
    defaults = "/usr/share/source-extractor/default"
    settings = {
        "PARAMETERS_NAME": "wanted.param",
        "FILTER_NAME": f"{defaults}.conv",
        "STARNNW_NAME": f"{defaults}.nnw",
        "CATALOG_NAME": "found.fits",
        "CATALOG_TYPE": "FITS_1.0",
        "MAG_ZEROPOINT": "0",
        "PIXEL_SCALE": "0.2",
        "SEEING_FWHM": "0.7",
        "WEIGHT_TYPE": "MAP_WEIGHT",
        "WEIGHT_IMAGE": str(tile_dr4.image("r", "wei")),
        "BACK_SIZE": "256",
        "DETECT_THRESH": "2",
        "VERBOSE_TYPE": "QUIET",
    }
    command = ["source-extractor", str(tile_dr4.image("r", "sci")), "-c", f"{defaults}.sex"]
    command += [word for key, value in settings.items() for word in (f"-{key}", value)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return fits.getdata(folder / "found.fits", 1)


def test_source_extractor_finds_the_bright_galaxies_with_their_magnitudes(tile_dr4, extracted):
    table = tile_dr4.table
    row, distance = nearest(extracted["X_IMAGE"], extracted["Y_IMAGE"], table)
    bright = (table["MAG_AUTO"] < 20) & (table["SG2DPHOT"] == 0) & (table["MASK"] == 0)
    assert bright.sum() > 150
    assert (distance[bright] < 3).mean() > 0.95
    matched = bright & (distance < 3) & (extracted["FLAGS"][row] == 0)
    difference = extracted["MAG_AUTO"][row][matched] - table["MAG_AUTO"][matched]
    assert abs(np.median(difference)) < 0.05
    assert 1.4826 * np.median(np.abs(difference - np.median(difference))) < 0.06


def test_nearly_every_detection_is_a_catalogue_source(tile_dr4, extracted):
    table = tile_dr4.table
    header = fits.getheader(tile_dr4.image("r", "sci"))
    area = geometry.catalogue_rectangle(
        geometry.cell_of_tile(1, tile_dr4.settings), tile_dr4.settings
    )
    ra, dec = WCS(header).all_pix2world(extracted["X_IMAGE"], extracted["Y_IMAGE"], 1)
    inside = area.contains(ra, dec) & (extracted["FLAGS"] == 0) & (extracted["MAG_AUTO"] < 22)
    distance = np.hypot(
        extracted["X_IMAGE"][:, None] - table["Xpos"], extracted["Y_IMAGE"][:, None] - table["Ypos"]
    ).min(axis=1)
    assert (distance[inside] < 5).mean() > 0.96


@pytest.mark.parametrize("band", ["u", "g", "r", "i"])
def test_pixels_and_gaap_magnitudes_share_zero_point_and_extinction(tile_dr4, band):
    """Bright stars: DMAG and EXTINCTION bring pixels and catalogue to one scale."""
    table = tile_dr4.table
    data = fits.getdata(tile_dr4.image(band, "sci")).astype(np.float32)
    header = fits.getheader(tile_dr4.image(band, "sci"))
    magnitude = table[f"MAG_GAAP_{band}"]
    x, y = WCS(header).all_world2pix(table["RAJ2000"], table["DECJ2000"], 0)
    separation = np.hypot(x[:, None] - x, y[:, None] - y) + 1000 * np.eye(len(x))
    star = (
        (tile_dr4.truth("kind") == "star")
        & (magnitude > 17.2)
        & (magnitude < 21)
        & (table["MASK"] == 0)
    )
    star &= separation.min(axis=1) > 20
    assert star.sum() > 5
    flux, _, _ = sep.sum_circle(data, x[star], y[star], 15.0, subpix=5)
    measured = -2.5 * np.log10(flux) + header["DMAG"] - table[f"EXTINCTION_{band}"][star]
    assert abs(np.median(measured - magnitude[star])) < 0.03


def test_dmag_removes_most_of_the_zero_point_error():
    raw, left = [], []
    for seed in range(60):
        settings = SimulationSettings(seed=seed)
        seen = conditions.observe(settings, geometry.cell_of_tile(0, settings))
        raw += [seen[band].dmag + seen[band].zero_point for band in "gri"]
        left += [seen[band].zero_point for band in "gri"]
    assert np.std(left) < 0.4 * np.std(raw)
    assert 0.04 < np.std(raw) < 0.06


def test_seeing_and_depth_vary_from_tile_to_tile_and_band_to_band():
    observed = [
        conditions.observe(
            SimulationSettings(seed=seed), geometry.cell_of_tile(0, SimulationSettings(seed=seed))
        )
        for seed in range(80)
    ]
    for band, median in (("u", 1.0), ("g", 0.9), ("r", 0.7), ("i", 0.8)):
        seeing = np.array([seen[band].seeing for seen in observed])
        assert np.median(seeing) == pytest.approx(median, rel=0.03)
        assert 0.06 < seeing.std() / median < 0.12
    assert observed[0]["i"] != observed[0]["i2"]


def test_extinction_varies_over_the_sky_and_is_small():
    rng = np.random.default_rng(1)
    ebv = conditions.reddening(rng.uniform(0, 360, 5000), rng.uniform(-35, 5, 5000))
    assert ebv.min() > 0.01
    assert ebv.max() < 0.1
    assert ebv.std() > 0.008


def test_stars_are_bluer_in_r_i_than_red_galaxies_and_follow_a_narrow_locus(tile_dr4):
    table, kind = tile_dr4.table, tile_dr4.truth("kind")
    good = np.all([np.abs(table[f"MAG_GAAP_{band}"]) < 90 for band in "gri"], axis=0) & (
        table["MAG_AUTO"] < 21
    )
    star = good & (kind == "star") & (table["MAG_AUTO"] > 16)
    g_r, r_i = table["MAG_GAAP_g"] - table["MAG_GAAP_r"], table["MAG_GAAP_r"] - table["MAG_GAAP_i"]
    warm = star & (g_r < 1.2)
    fit = np.polyfit(g_r[warm], r_i[warm], 2)
    scatter = r_i[warm] - np.polyval(fit, g_r[warm])
    assert 1.4826 * np.median(np.abs(scatter)) < 0.08
    assert (g_r[star] > 1.25).sum() > 5
    assert r_i[star & (g_r > 1.25)].max() > 0.9


def test_bright_stars_and_galaxies_are_told_apart(tile_dr4):
    table, kind = tile_dr4.table, tile_dr4.truth("kind")
    bright = table["MAG_AUTO"] < 20
    star, galaxy = bright & (kind == "star"), bright & (kind == "galaxy")
    assert (table["CLASS_STAR"][star] > 0.5).mean() > 0.95
    assert (table["CLASS_STAR"][galaxy] < 0.5).mean() > 0.97
    assert (table["SG2DPHOT"][star] == 1).mean() > 0.9
    assert (table["SG2DPHOT"][galaxy] == 0).mean() > 0.98


def test_close_objects_become_one_source_with_the_light_of_both():
    settings = SimulationSettings(size=600, density=100, data_release="DR4.0")
    cell = geometry.cell_of_tile(0, settings)
    everything = scene.make_scene(settings, cell)
    sources = photometry.measure(
        everything, conditions.observe(settings, cell), ("u", "g", "r", "i")
    )
    _, _, distance = photometry.close_pairs(sources.ra_N, sources.dec_N, 10.0)
    assert len(distance) > 10
    assert distance.min() >= photometry.MERGED
    assert len(sources) < len(everything.galaxies) + len(everything.backdrop)


def test_pairs_are_those_of_a_direct_search():
    rng = np.random.default_rng(3)
    ra, dec = (rng.normal(0, 0.004, 300)) % 360, -31.2 + rng.normal(0, 0.004, 300)
    i, j, _ = photometry.close_pairs(ra, dec, 4.0)
    offset = ((ra[:, None] - ra + 180) % 360 - 180) * np.cos(np.radians(31.2))
    direct = np.hypot(offset, dec[:, None] - dec) * 3600 < 4.0
    assert {frozenset(pair) for pair in zip(i.tolist(), j.tolist(), strict=True)} == {
        frozenset(pair) for pair in zip(*np.nonzero(np.triu(direct, 1)), strict=True)
    }
