"""Stamps are those that astropy cuts from each band by its own WCS, calibrated."""

import subprocess
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from photoz_models.stamp_rule import StampRule
from photoz_run.errors import BadDataError
from photoz_run.flags import bit
from photoz_run.survey.catalogues import read_sources
from photoz_run.survey.coadds import PixelPolicy, open_coadds
from photoz_run.survey.discovery import find_tiles
from photoz_run.survey.dmag import tile_dmag
from photoz_run.survey.sky_grid import SkyGrid
from photoz_run.survey.stamps import cut_batch
from support.programs import needs
from support.tiles import (
    DMAG,
    SEEING,
    SHAPES,
    Tile,
    change_rows,
    make_tile,
    read_image,
    reference_stamps,
    set_cards,
    set_pixels,
    strip_wcs,
)

RULE = StampRule(
    image_bands=("u", "g", "r", "i"),
    magnitude_bands=("u", "g", "r", "i", "Z", "Y", "J", "H", "Ks"),
    stamp_size=36,
    pixel_scale=0.2,
    dmag_applied=True,
    extinction_corrected=True,
)
FAR = 1000
POLICY = PixelPolicy(71, True, "quarantine", "quarantine")


def with_rule(**changes) -> StampRule:
    return RULE.model_copy(update=changes)


@contextmanager
def opened(tile: Tile, rule: StampRule = RULE, policy: PixelPolicy = POLICY):
    """The tile's coadds with its sources, brought to the order of the tile's truth."""
    ref = find_tiles([tile.folder])[tile.name]
    with open_coadds(ref, rule, policy) as coadds:
        sources = read_sources(ref, rule, coadds.i_images, 0.0, "all")
        place = {name: n for n, name in enumerate(sources.id_N)}
        yield coadds, sources.take(np.array([place[name] for name in tile.id_N]))


def stamps_of(tile: Tile, rule: StampRule = RULE, policy: PixelPolicy = POLICY):
    with opened(tile, rule, policy) as (coadds, sources):
        return cut_batch(coadds, sources, rule, policy)


def flagged(stamps, name: str) -> np.ndarray:
    return (stamps.flags_N & bit(name)) != 0


def assert_stamps(found, expected_NCHW):
    np.testing.assert_array_equal(np.isnan(found.flux_NCHW), np.isnan(expected_NCHW))
    np.testing.assert_allclose(found.flux_NCHW, expected_NCHW, rtol=3e-6)


@pytest.mark.parametrize(
    ("wcs", "rotation", "name"),
    [
        ("CD", 0.0, "KIDS_180.0_-0.5"),
        ("CD", 33.0, "KIDS_180.0_-0.5"),
        ("PC", -120.0, "KIDS_13.5_-28.2"),
        ("PC", 0.0, "KIDS_0.0_-31.2"),
        ("SIP", 0.0, "KIDS_0.0_-31.2"),
        ("SIP", 75.0, "KIDS_180.0_-0.5"),
        ("TPV", 10.0, "KIDS_359.9_-35.1"),
    ],
)
@pytest.mark.parametrize("release", ["DR4.0", "DR5.0"])
def test_stamps_are_cut_in_each_bands_own_wcs(tmp_path, wcs, rotation, name, release):
    tile = make_tile(tmp_path, name, release, wcs=wcs, rotation=rotation)
    found = stamps_of(tile)
    assert_stamps(found, reference_stamps(tile))
    assert flagged(found, "EDGE").sum() >= 4


def test_stamps_by_the_second_rule_are_shifted_by_one_pixel(tmp_path):
    tile = make_tile(tmp_path)
    ours, theirs = (
        stamps_of(tile, with_rule(centring=rule)).flux_NCHW
        for rule in ("ceil(x - size/2)", "floor(x - size/2)")
    )
    np.testing.assert_array_equal(theirs[:, :, 1:, 1:], ours[:, :, :-1, :-1])
    assert not np.array_equal(theirs, ours, equal_nan=True)


def test_the_distortions_of_these_tiles_matter(tmp_path):
    for wcs in ("SIP", "TPV"):
        tile = make_tile(tmp_path / wcs, wcs=wcs)
        header = read_image(tile.image("r"))[1]
        x_N, y_N = WCS(header).all_world2pix(tile.ra_N, tile.dec_N, 0)
        for key in ("CTYPE1", "CTYPE2"):
            header[key] = header[key][:8]
        for key in [key for key in header if key.startswith(("A_", "B_", "PV"))]:
            del header[key]
        plain_x_N, plain_y_N = WCS(header).all_world2pix(tile.ra_N, tile.dec_N, 0)
        assert np.hypot(x_N - plain_x_N, y_N - plain_y_N).max() > 0.5


@pytest.mark.parametrize("compression", [".fz", ".gz"])
def test_compressed_tiles_give_the_same_stamps(tmp_path, dr4_tile, compression):
    packed = make_tile(tmp_path, data_release="DR4.0", compression=compression)
    one, other = stamps_of(dr4_tile), stamps_of(packed)
    np.testing.assert_array_equal(one.flux_NCHW, other.flux_NCHW)
    np.testing.assert_array_equal(one.flags_N, other.flags_N)


def test_painted_sources_come_out_with_their_calibrated_magnitudes(tmp_path):
    tile = make_tile(tmp_path, number=12)
    stamps = stamps_of(tile, policy=replace(POLICY, bad_bits=0))
    for c, suffix in enumerate(("u", "g", "r", "i1")):
        flux_N = stamps.flux_NCHW[:, c, 9:27, 9:27].sum(axis=(1, 2), dtype=np.float64)
        with np.errstate(invalid="ignore"):
            difference_N = np.abs(-2.5 * np.log10(flux_N) - tile.magnitudes[suffix])
        assert (difference_N < 0.03).sum() >= 5


@pytest.mark.parametrize("dmag_applied", [True, False])
@pytest.mark.parametrize("extinction_corrected", [True, False])
def test_pixels_carry_dmag_and_extinction_as_the_model_demands(
    dr5_tile, dmag_applied, extinction_corrected
):
    rule = with_rule(dmag_applied=dmag_applied, extinction_corrected=extinction_corrected)
    found = stamps_of(dr5_tile, rule).flux_NCHW
    raw_NCHW = reference_stamps(dr5_tile, calibrated=False)
    for c, band in enumerate(RULE.image_bands):
        factor = np.ones(len(found))
        if dmag_applied:
            factor *= 10 ** (-DMAG[band] / 2.5)
        if extinction_corrected:
            factor *= 10 ** (dr5_tile.extinction[band].astype(float) / 2.5)
        np.testing.assert_allclose(found[:, c], raw_NCHW[:, c] * factor[:, None, None], rtol=3e-6)


def test_flags_say_what_happened_to_the_pixels(dr5_tile):
    found = stamps_of(dr5_tile)
    bands = RULE.image_bands
    edge_N, bad_N, masked_N, centre_N = (np.zeros(40, bool) for _ in range(4))
    for band in bands:
        pixels_YX, header = read_image(dr5_tile.image(band))
        weight_YX = read_image(dr5_tile.image(band, "wei"))[0]
        mask_YX = read_image(dr5_tile.image(band, "msk"))[0]
        unusable_YX = ~np.isfinite(pixels_YX) | (weight_YX == 0)
        x_N, y_N = WCS(header).all_world2pix(dr5_tile.ra_N, dr5_tile.dec_N, 0)
        x0_N, y0_N = np.ceil(x_N - 18).astype(int), np.ceil(y_N - 18).astype(int)
        height, width = SHAPES[band]
        edge_N |= (x0_N < 0) | (y0_N < 0) | (x0_N + 36 > width) | (y0_N + 36 > height)
        for n, (x0, y0) in enumerate(zip(x0_N, y0_N, strict=True)):
            stamp = np.s_[max(0, y0) : y0 + 36, max(0, x0) : x0 + 36]
            bad_N[n] |= unusable_YX[stamp].any()
            masked_N[n] |= ((mask_YX[stamp] & 71) != 0).any()
            centre = np.s_[y0 + 16 : y0 + 20, x0 + 16 : x0 + 20]
            whole = unusable_YX[centre].shape == (4, 4)
            centre_N[n] |= (
                not whole or unusable_YX[centre].any() or ((mask_YX[centre] & 71) != 0).any()
            )
    for name, expected_N in (
        ("EDGE", edge_N),
        ("BAD_PIXELS", bad_N),
        ("MASKED_PIXELS", masked_N),
        ("CENTRE_BAD", centre_N),
    ):
        assert expected_N.any(), name
        assert not expected_N.all(), name
        np.testing.assert_array_equal(flagged(found, name), expected_N, name)
    assert not flagged(found, "NO_COVERAGE").any()
    assert not flagged(found, "I_EPOCH_SUBSTITUTED").any()


@pytest.mark.parametrize("bits", [0, 8, 2, 255])
def test_the_bits_of_bad_pixels_are_a_setting(dr5_tile, bits):
    found = stamps_of(dr5_tile, policy=replace(POLICY, bad_bits=bits))
    assert_stamps(found, reference_stamps(dr5_tile, bits=bits))


def test_weights_can_be_left_aside(dr5_tile):
    found = stamps_of(dr5_tile, policy=replace(POLICY, use_weights=False))
    assert_stamps(found, reference_stamps(dr5_tile, weights=False))


def test_weight_and_flag_images_are_optional(tmp_path):
    tile = make_tile(tmp_path, products=("sci",))
    found = stamps_of(tile)
    assert_stamps(found, reference_stamps(tile))
    assert not flagged(found, "MASKED_PIXELS").any()
    assert flagged(found, "BAD_PIXELS").sum() < 10


@pytest.mark.parametrize("bad_value", [0.0, -1.0, np.nan])
def test_weight_that_is_not_positive_makes_a_pixel_unusable(tmp_path, bad_value):
    tile = make_tile(tmp_path, data_release="DR4.0", products=("sci", "wei"))
    set_pixels(tile.image("g", "wei"), lambda _: bad_value)
    found = stamps_of(tile)
    assert np.isnan(found.flux_NCHW[:, 1]).all()
    assert np.isfinite(found.flux_NCHW[:, 0]).any()
    assert flagged(found, "NO_COVERAGE").all()
    assert flagged(found, "BAD_PIXELS").all()


def test_a_missing_band_quarantines_or_is_flagged(tmp_path):
    tile = make_tile(tmp_path, bands=("u", "r", "i"))
    with pytest.raises(
        BadDataError, match="the tile has no g coadd; supply it, or set missing_band"
    ):
        stamps_of(tile)
    found = stamps_of(tile, policy=replace(POLICY, missing_band="flag"))
    assert flagged(found, "BAND_MISSING").all()
    assert flagged(found, "NO_COVERAGE").all()
    assert np.isnan(found.flux_NCHW[:, 1]).all()
    np.testing.assert_allclose(found.flux_NCHW[:, 2:3], reference_stamps(tile, ("r",)), rtol=3e-6)


@pytest.mark.parametrize(("epoch", "band"), [("first", "i"), ("second", "i2"), ("better", "i2")])
def test_the_contract_says_which_i_is_used(dr5_tile, epoch, band):
    rule = with_rule(i_epoch=epoch)
    found = stamps_of(dr5_tile, rule)
    np.testing.assert_allclose(
        found.flux_NCHW[:, 3:], reference_stamps(dr5_tile, (band,)), rtol=3e-6
    )
    assert not flagged(found, "I_EPOCH_SUBSTITUTED").any()
    with opened(dr5_tile, rule) as (coadds, sources):
        assert coadds.i_images == (band,)
        suffix = {"i": "i1", "i2": "i2"}[band]
        np.testing.assert_allclose(
            sources.magnitudes_NB[:, 3], dr5_tile.magnitudes[suffix], rtol=1e-6
        )


def test_better_is_the_epoch_of_less_sky_noise(tmp_path):
    tile = make_tile(tmp_path)
    noise = np.random.default_rng(0).normal(0, 3e-11, SHAPES["i2"])
    set_pixels(tile.image("i2"), lambda pixels: pixels + noise)
    with opened(tile, with_rule(i_epoch="better")) as (coadds, _):
        assert coadds.i_images == ("i",)


def test_the_mean_of_two_epochs_takes_what_is_usable(dr5_tile):
    rule = with_rule(i_epoch="mean")
    found = stamps_of(dr5_tile, rule).flux_NCHW[:, 3]
    both = reference_stamps(dr5_tile, ("i", "i2"))
    usable = np.isfinite(both)
    expected = np.where(usable, both, 0).sum(axis=1) / np.maximum(usable.sum(axis=1), 1)
    np.testing.assert_allclose(
        found, np.where(usable.any(axis=1), expected, np.nan), rtol=5e-6, atol=1e-17
    )
    assert (usable.sum(axis=1) == 1).any()
    with opened(dr5_tile, rule) as (_, sources):
        flux_N = sum(10 ** (-0.4 * dr5_tile.magnitudes[suffix]) for suffix in ("i1", "i2")) / 2
        np.testing.assert_allclose(sources.magnitudes_NB[:, 3], -2.5 * np.log10(flux_N), atol=1e-4)


def test_stamps_carry_the_seeing_that_the_model_reads(dr5_tile, tmp_path):
    assert stamps_of(dr5_tile).seeing_S.shape == (0,)
    rule = with_rule(seeing_bands=("r", "i"))
    for epoch, seeing in (
        ("first", SEEING["i"]),
        ("second", SEEING["i2"]),
        ("mean", (SEEING["i"] + SEEING["i2"]) / 2),
    ):
        found = stamps_of(dr5_tile, rule.model_copy(update={"i_epoch": epoch}))
        np.testing.assert_array_equal(found.seeing_S, np.array([SEEING["r"], seeing], np.float32))
        assert not flagged(found, "SEEING_UNKNOWN").any()
    expected = np.hstack([np.full((2, 9), 20.0), np.tile(found.seeing_S, (2, 1))])
    np.testing.assert_array_equal(found.beside(np.full((2, 9), 20.0, np.float32)), expected)


@pytest.mark.parametrize("value", [None, 0.0, -1.0, "good", True])
def test_seeing_that_a_header_does_not_tell_is_flagged_where_a_model_reads_it(tmp_path, value):
    tile = make_tile(tmp_path)
    if value is None:
        fits.delval(tile.image("g"), "PSF_FWHM")
    else:
        fits.setval(tile.image("g"), "PSF_FWHM", value=value)
    found = stamps_of(tile, with_rule(seeing_bands=("u", "g")))
    assert found.seeing_S[0] == np.float32(SEEING["u"])
    assert np.isnan(found.seeing_S[1])
    assert flagged(found, "SEEING_UNKNOWN").all()
    assert not flagged(stamps_of(tile, with_rule(seeing_bands=("u",))), "SEEING_UNKNOWN").any()


def test_a_band_without_a_coadd_has_no_seeing_and_its_own_flag(tmp_path):
    tile = make_tile(tmp_path, bands=("u", "r", "i"))
    rule = with_rule(seeing_bands=("g", "r"))
    found = stamps_of(tile, rule, replace(POLICY, missing_band="flag"))
    np.testing.assert_array_equal(found.seeing_S, np.array([np.nan, SEEING["r"]], np.float32))
    assert flagged(found, "BAND_MISSING").all()
    assert not flagged(found, "SEEING_UNKNOWN").any()


@pytest.mark.parametrize(
    ("epoch", "there", "used", "substituted"),
    [
        ("first", "i2", ("i2",), True),
        ("second", "i", ("i",), True),
        ("mean", "i", ("i",), True),
        ("better", "i2", ("i2",), False),
        ("first", "i", ("i",), False),
    ],
)
def test_with_one_epoch_only_that_one_is_used_and_said(tmp_path, epoch, there, used, substituted):
    tile = make_tile(tmp_path, bands=("u", "g", "r", there))
    rule = with_rule(i_epoch=epoch)
    with opened(tile, rule) as (coadds, sources):
        assert coadds.i_images == used
        stamps = cut_batch(coadds, sources, rule, POLICY)
    assert flagged(stamps, "I_EPOCH_SUBSTITUTED").all() == substituted
    np.testing.assert_allclose(stamps.flux_NCHW[:, 3:], reference_stamps(tile, (there,)), rtol=3e-6)


@pytest.mark.parametrize(
    ("epoch", "substituted"), [("first", 0), ("better", 0), ("second", 40), ("mean", 40)]
)
def test_dr4_has_one_i(dr4_tile, epoch, substituted):
    found = stamps_of(dr4_tile, with_rule(i_epoch=epoch))
    np.testing.assert_allclose(
        found.flux_NCHW[:, 3:], reference_stamps(dr4_tile, ("i",)), rtol=3e-6
    )
    assert flagged(found, "I_EPOCH_SUBSTITUTED").sum() == substituted


def spoil_scale(tile):
    set_cards(tile.image("g"), CD1_1=-0.213 / 3600, CD2_2=0.213 / 3600)


def spoil_shape(product):
    def spoil(tile):
        pixels_YX, header = read_image(tile.image("r", product))
        fits.PrimaryHDU(pixels_YX[1:], header).writeto(tile.image("r", product), overwrite=True)

    return spoil


SPOILED = {
    "scale": (
        spoil_scale,
        r'_g_sci\.fits: pixel scale is 0\.2130 x 0\.2130", the model was trained on 0\.2"',
    ),
    "no wcs": (
        lambda tile: strip_wcs(tile.image("i")),
        r"_i_sci\.fits: the header has no celestial WCS",
    ),
    "galactic": (
        lambda tile: set_cards(tile.image("i"), CTYPE1="FREQ", CTYPE2="STOKES"),
        r"_i_sci\.fits: the WCS cannot be read \([A-Za-z]",
    ),
    "singular": (
        lambda tile: set_cards(tile.image("i"), CD1_1=0.0, CD2_2=0.0, CD1_2=0.0, CD2_1=0.0),
        r"_i_sci\.fits",
    ),
    "text in the matrix": (
        lambda tile: set_cards(tile.image("u"), CD1_1="wide"),
        r"_u_sci\.fits: the WCS",
    ),
    "constant": (
        lambda tile: set_pixels(tile.image("u"), lambda _: 0.0),
        r"_u_sci\.fits: .*is 0; .* constant",
    ),
    "nan": (
        lambda tile: set_pixels(tile.image("u"), lambda _: np.nan),
        r"_u_sci\.fits: no finite pixel",
    ),
    "weight shape": (
        spoil_shape("wei"),
        r"_r_wei\.fits: shape \(205, 208\) differs from \(206, 208\) of .*_r_sci",
    ),
    "flag shape": (spoil_shape("msk"), r"_r_msk\.fits: shape \(205, 208\) differs"),
}


@pytest.mark.parametrize("fault", SPOILED)
def test_a_spoiled_coadd_is_refused_by_name_and_reason(tmp_path, fault):
    spoil, complaint = SPOILED[fault]
    tile = make_tile(tmp_path, data_release="DR4.0")
    spoil(tile)
    with pytest.raises(BadDataError, match=complaint) as refused:
        stamps_of(tile)
    assert "\n" not in str(refused.value)


def test_dmag_stands_in_the_coadd_or_in_the_catalogue_or_is_refused(tmp_path):
    tile = make_tile(tmp_path, data_release="DR4.0")
    before = stamps_of(tile).flux_NCHW
    for band in ("u", "g", "r", "i"):
        set_cards(tile.image(band), DMAG=None)
    np.testing.assert_array_equal(stamps_of(tile).flux_NCHW, before)
    ref = find_tiles([tmp_path])[tile.name]
    assert tile_dmag(ref, "r", "quarantine") == pytest.approx(DMAG["r"])

    set_cards(tile.image("u"), DMAG="unknown")
    np.testing.assert_array_equal(stamps_of(tile).flux_NCHW, before)
    rows = fits.getdata(tile.catalogue, 1)
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(rows)]).writeto(
        tile.catalogue, overwrite=True
    )
    with pytest.raises(
        BadDataError,
        match=r"_u_sci\.fits: no DMAG \(a number\) in the coadd's header and no DMAG_U",
    ):
        stamps_of(tile)
    zero = replace(POLICY, missing_dmag="zero")
    uncorrected = stamps_of(tile, policy=zero).flux_NCHW
    np.testing.assert_allclose(uncorrected[:, 0], before[:, 0] * 10 ** (0.4 * DMAG["u"]), rtol=3e-6)
    assert tile_dmag(ref, "r", "zero") == 0.0


def test_a_source_off_the_coadds_keeps_its_row_and_is_said_to_have_no_pixels(tmp_path):
    tile = make_tile(tmp_path, data_release="DR4.0")

    def move(rows):
        rows["RAJ2000"][:4] = [181.0, 0.0, 179.99, 180.0]
        rows["DECJ2000"][:4] = [-0.5, 0.5, 89.9, -0.53]

    change_rows(tile.catalogue, move)
    with opened(tile) as (coadds, sources):
        found = cut_batch(coadds, sources, RULE, POLICY)
        assert coadds.count_outside(coadds.locate(sources)) == 4
    assert flagged(found, "NO_COVERAGE")[:4].all()
    assert not flagged(found, "NO_COVERAGE")[4:].any()
    assert not flagged(found, "EDGE")[:4].any()
    assert not found.covered_NCHW[:4].any()
    assert np.isnan(found.flux_NCHW[:4]).all()


@pytest.mark.parametrize("kind", ["CD", "SIP", "TPV"])
def test_no_place_far_off_is_projected_onto_the_image(tmp_path, kind):
    tile = make_tile(tmp_path, data_release="DR4.0", wcs=kind)
    rng = np.random.default_rng(4)
    ra_N, dec_N = rng.uniform(0, 360, 500), np.degrees(np.arcsin(rng.uniform(-1, 1, 500)))
    near_ra_N, near_dec_N = 180 + rng.uniform(-3, 3, 500), -0.5 + rng.uniform(-3, 3, 500)
    ra_N, dec_N = np.append(ra_N, near_ra_N), np.append(dec_N, near_dec_N)
    far_N = np.hypot((ra_N - 180) * np.cos(np.radians(dec_N)), dec_N + 0.5) > 0.02
    wcs = WCS(read_image(tile.image("r"))[1])
    x_N, y_N = SkyGrid(wcs).pixels(ra_N[far_N], dec_N[far_N])
    assert np.isfinite(x_N).all()
    inside_N = (np.abs(x_N - 100) < 150) & (np.abs(y_N - 100) < 150)
    assert not inside_N.any()


@pytest.mark.parametrize(("x", "y"), [(-3, 100), (FAR, 100), (100, -3), (100, FAR), (100, 100)])
def test_a_source_counts_as_outside_just_beyond_every_edge(tmp_path, x, y):
    tile = make_tile(tmp_path, data_release="DR4.0", number=5)
    height, width = SHAPES["r"]
    place = (width + 2 if x == FAR else x, height + 2 if y == FAR else y)
    ra, dec = WCS(read_image(tile.image("r"))[1]).all_pix2world(*place, 0)

    def move(rows):
        rows["RAJ2000"][0], rows["DECJ2000"][0] = ra, dec

    change_rows(tile.catalogue, move)
    rule = with_rule(image_bands=("r",))
    with opened(tile, rule) as (coadds, sources):
        assert coadds.count_outside(coadds.locate(sources)) == (0 if (x, y) == (100, 100) else 1)


@pytest.mark.parametrize("wcs", ["CD", "SIP", "TPV"])
@pytest.mark.parametrize("compression", ["", ".fz"])
def test_the_footprint_is_the_outer_corners_of_the_r_coadd(tmp_path, wcs, compression):
    tile = make_tile(tmp_path, wcs=wcs, compression=compression)
    height, width = SHAPES["r"]
    _, header = read_image(tile.image("r"))
    corners = WCS(header).all_pix2world(
        [0.5, 0.5, width + 0.5, width + 0.5], [0.5, height + 0.5, height + 0.5, 0.5], 1
    )
    with opened(tile) as (coadds, _):
        np.testing.assert_allclose(coadds.footprint, np.transpose(corners), atol=1e-7)


def test_without_an_r_coadd_the_footprint_is_that_of_the_first_image(tmp_path):
    tile = make_tile(tmp_path, bands=("g",))
    policy = replace(POLICY, missing_band="flag")
    with opened(tile, policy=policy) as (coadds, _):
        assert np.shape(coadds.footprint) == (4, 2)
    tile.image("g").unlink()
    with opened(tile, policy=policy) as (coadds, _):
        assert coadds.footprint == ()


def test_exact_zeros_of_a_float_coadd_are_no_measurement(tmp_path):
    tile = make_tile(tmp_path, data_release="DR4.0")
    before = stamps_of(tile)

    def hole(pixels):
        pixels.reshape(-1)[8_000:12_096] = 0
        return pixels

    set_pixels(tile.image("g"), hole)
    found = stamps_of(tile)
    holes = np.isnan(found.flux_NCHW) & ~np.isnan(before.flux_NCHW)
    assert holes[:, 1].any()
    assert not holes[:, [0, 2, 3]].any()
    assert flagged(found, "BAD_PIXELS")[holes.any(axis=(1, 2, 3))].all()
    kept = ~np.isnan(found.flux_NCHW)
    np.testing.assert_array_equal(found.flux_NCHW[kept], before.flux_NCHW[kept])
    assert not (found.flux_NCHW[:, 1] == 0).any()


def test_blank_pixels_of_a_flag_image_are_bad(tmp_path):
    tile = make_tile(tmp_path, data_release="DR4.0")
    set_pixels(tile.image("g", "msk"), lambda _: 0)
    set_cards(tile.image("g", "msk"), BLANK=0)
    found = stamps_of(tile)
    assert np.isnan(found.flux_NCHW[:, 1]).all()
    assert flagged(found, "BAD_PIXELS").all()


@pytest.mark.parametrize("method", [-1, 1, 2])
def test_weights_packed_with_loss_have_the_same_gaps(tmp_path, method):
    tile = make_tile(tmp_path, data_release="DR4.0", products=("sci", "wei"))
    rng = np.random.default_rng(6)

    def gaps(weights):
        weights *= 1 + 0.02 * rng.standard_normal(weights.shape)
        weights[:, 40:52] = 0
        weights[30:60] = 0
        return weights

    set_pixels(tile.image("r", "wei"), gaps)
    before = stamps_of(tile)
    pixels_YX, header = read_image(tile.image("r", "wei"))
    packed = fits.CompImageHDU(
        pixels_YX,
        header,
        compression_type="RICE_1",
        quantize_level=4,
        quantize_method=method,
        dither_seed=1,
    )
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(tile.image("r", "wei"), overwrite=True)
    found = stamps_of(tile)
    np.testing.assert_array_equal(np.isnan(found.flux_NCHW), np.isnan(before.flux_NCHW))
    np.testing.assert_array_equal(found.flags_N, before.flags_N)


def test_a_coadd_packed_with_loss_tells_its_step(tmp_path):
    tile = make_tile(tmp_path, data_release="DR4.0")
    pixels_YX, header = read_image(tile.image("r"))
    for level in (4, 16):
        packed = fits.CompImageHDU(
            pixels_YX, header, compression_type="RICE_1", quantize_level=level, quantize_method=1
        )
        fits.HDUList([fits.PrimaryHDU(), packed]).writeto(tile.image("r"), overwrite=True)
        with opened(tile) as (coadds, _):
            assert set(coadds.quantisation) == {"r"}
            assert coadds.quantisation["r"] == pytest.approx(1 / level, rel=0.4)


def rounded(path, *options) -> None:
    """What is left of an image that was packed by fpack and unpacked by funpack."""
    subprocess.run(["fpack", *options, "-D", "-Y", str(path)], check=True)
    subprocess.run(["funpack", "-D", f"{path}.fz"], check=True)


@pytest.mark.parametrize("again", [False, True])
def test_zero_weights_that_packing_made_positive_count_as_zero_when_unpacked(tmp_path, again):
    needs("fpack")
    tile = make_tile(tmp_path, data_release="DR4.0", products=("sci", "wei"))

    def gaps(weights):
        weights *= 1 + 0.02 * np.random.default_rng(6).standard_normal(weights.shape)
        weights[:, 40:52] = 0
        return weights

    set_pixels(tile.image("r", "wei"), gaps)
    before = stamps_of(tile)
    rounded(tile.image("r", "wei"))
    weights_YX, _ = read_image(tile.image("r", "wei"))
    assert (weights_YX[:, 40:52] > 0).mean() > 0.4
    if again:
        rounded(tile.image("r", "wei"), "-g", "-q", "0")
    found = stamps_of(tile)
    np.testing.assert_array_equal(np.isnan(found.flux_NCHW), np.isnan(before.flux_NCHW))
    np.testing.assert_array_equal(found.flags_N, before.flags_N)


@pytest.mark.parametrize("unpack", [False, True])
def test_pixels_that_were_rounded_to_zero_are_values(tmp_path, unpack):
    """Without dither one pixel of ten is exactly zero at fpack's default."""
    needs("fpack")
    tile = make_tile(tmp_path, data_release="DR4.0")
    before = stamps_of(tile)
    subprocess.run(["fpack", "-q0", "4", "-D", "-Y", str(tile.image("r"))], check=True)
    packed = tile.image("r").with_name(f"{tile.image('r').name}.fz")
    if unpack:
        subprocess.run(["funpack", "-D", str(packed)], check=True)
    else:
        packed.rename(tile.image("r"))
    found = stamps_of(tile)
    np.testing.assert_array_equal(np.isnan(found.flux_NCHW), np.isnan(before.flux_NCHW))
    np.testing.assert_array_equal(found.flags_N, before.flags_N)
    with opened(tile) as (coadds, _):
        assert coadds.quantisation["r"] == pytest.approx(1 / 4, rel=0.4)
