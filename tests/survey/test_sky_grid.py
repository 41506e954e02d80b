"""Positions by the sky: whatever order, frame or distortion a header writes, or a refusal."""

import numpy as np
import pytest
from astropy.coordinates import FK4, SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from photoz_run.errors import BadDataError
from photoz_run.survey.sky_grid import sky_grid
from support.tiles import wcs_header

RNG = np.random.default_rng(3)
RA_N, DEC_N = 180 + RNG.uniform(-0.004, 0.004, 20), -0.5 + RNG.uniform(-0.004, 0.004, 20)


def header(**changes) -> fits.Header:
    cards = fits.Header(wcs_header("r", 180.0, -0.5, "CD", 20.0))
    cards["NAXIS"], cards["NAXIS1"], cards["NAXIS2"] = 2, 208, 206
    for key, value in changes.items():
        cards[key] = value
    return cards


def plain() -> tuple[np.ndarray, np.ndarray]:
    return WCS(header()).all_world2pix(RA_N, DEC_N, 0)


def assert_same_pixels(found, expected=None, atol=1e-6):
    for axis, other in zip(found, plain() if expected is None else expected, strict=True):
        np.testing.assert_allclose(axis, other, atol=atol)


def test_declination_may_be_the_first_axis():
    was = header()
    swapped = header(CTYPE1="DEC--TAN", CTYPE2="RA---TAN", CRVAL1=-0.5, CRVAL2=180.0)
    for axis in (1, 2):
        swapped[f"CD1_{axis}"], swapped[f"CD2_{axis}"] = was[f"CD2_{axis}"], was[f"CD1_{axis}"]
    grid = sky_grid(swapped, 0.2)
    assert_same_pixels(grid.pixels(RA_N, DEC_N))
    corners = np.array(grid.corners((206, 208)))
    np.testing.assert_allclose(corners, sky_grid(was, 0.2).corners((206, 208)), atol=2e-7)


@pytest.mark.parametrize("kind", ["galactic", "FK4"])
def test_other_frames_are_transformed(kind):
    centre = SkyCoord(180.0, -0.5, unit="deg")
    if kind == "galactic":
        there, names = centre.galactic, ("GLON-TAN", "GLAT-TAN")
        changes = {"CRVAL1": there.l.deg, "CRVAL2": there.b.deg, "RADESYS": None}
    else:
        there, names = centre.transform_to(FK4(equinox="B1950")), ("RA---TAN", "DEC--TAN")
        changes = {"CRVAL1": there.ra.deg, "CRVAL2": there.dec.deg, "RADESYS": "FK4"}
    cards = header(CTYPE1=names[0], CTYPE2=names[1], EQUINOX=1950.0, **changes)
    if kind == "galactic":
        del cards["RADESYS"], cards["EQUINOX"]
    grid = sky_grid(cards, 0.2)
    x, y = grid.pixels(np.array([180.0]), np.array([-0.5]))
    np.testing.assert_allclose([x[0] + 1, y[0] + 1], [cards["CRPIX1"], cards["CRPIX2"]], atol=0.02)
    for ra, dec in grid.corners((206, 208)):
        assert abs(ra - 180) < 0.02
        assert abs(dec + 0.5) < 0.02


@pytest.mark.parametrize("frame", [{"RADESYS": "FK5", "EQUINOX": 2000.0}, {"RADESYS": "ICRS"}])
def test_fk5_at_j2000_is_taken_as_catalogues_take_it(frame):
    x_N, y_N = sky_grid(header(**frame), 0.2).pixels(RA_N, DEC_N)
    np.testing.assert_array_equal((x_N, y_N), plain())


@pytest.mark.parametrize("axes", [(1, 2), (2, 1)])
def test_linear_pv_terms_are_a_distortion_and_no_native_pole(axes):
    identity = {f"PV{axis}_{m}": float(m == 1) for axis in axes for m in (0, 1, 2)}
    assert_same_pixels(sky_grid(header(**identity), 0.2).pixels(RA_N, DEC_N))
    shifted = header(**identity | {"PV1_0": 1 / 3600})
    x_N, y_N = sky_grid(shifted, 0.2).pixels(RA_N, DEC_N)
    assert np.hypot(x_N - plain()[0], y_N - plain()[1]) == pytest.approx(np.full(20, 5), rel=0.01)


def test_the_standards_own_pv_angles_stay_what_they_are():
    cards = header(PV1_1=0.0, PV1_2=90.0)
    assert_same_pixels(sky_grid(cards, 0.2).pixels(RA_N, DEC_N))


def test_sip_terms_without_the_suffix_are_refused_where_they_matter():
    bent = header(A_ORDER=2, B_ORDER=2, A_2_0=1.2e-4, B_0_2=-9e-5)
    with pytest.raises(BadDataError, match=r"SIP terms that shift .* without -SIP in CTYPE"):
        sky_grid(bent, 0.2)
    harmless = header(A_ORDER=2, B_ORDER=2, A_2_0=1e-8, B_0_2=0.0)
    assert_same_pixels(sky_grid(harmless, 0.2).pixels(RA_N, DEC_N))


def test_corners_have_right_ascensions_from_0_to_360():
    cards = fits.Header(wcs_header("r", 0.0, -31.2))
    cards["NAXIS"], cards["NAXIS1"], cards["NAXIS2"] = 2, 208, 206
    ra = np.array(sky_grid(cards, 0.2).corners((206, 208)))[:, 0]
    assert ((ra >= 0) & (ra < 360)).all()
    assert ra.min() < 1
    assert ra.max() > 359


@pytest.mark.parametrize("exponent", ["e", "d", "D"])
def test_exponents_of_any_kind_are_read_without_a_word(exponent, recwarn):
    text = header().tostring(padding=False)
    for key in ("CD1_1", "CD2_2"):
        value = header()[key]
        image = f"{key:<8}= {value:>20.12E}".replace("E-", f"{exponent}-").ljust(80)
        start = text.index(f"{key:<8}=")
        text = text[:start] + image + text[start + 80 :]
    grid = sky_grid(fits.Header.fromstring(text), 0.2)
    assert_same_pixels(grid.pixels(RA_N, DEC_N), atol=1e-4)
    assert not recwarn
