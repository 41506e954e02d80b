"""Where on an image a position of the sky lies: WCS headers, with their known traps."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.coordinates import ICRS, SkyCoord
from astropy.io import fits
from astropy.io.fits import VerifyError
from astropy.wcs import WCS, FITSFixedWarning, WcsError
from astropy.wcs.utils import proj_plane_pixel_scales, wcs_to_celestial_frame
from numpy.typing import NDArray

from photoz_run.errors import BadDataError
from photoz_run.images.header import card_value, number

MOST_AXES = 9
"""Of a WCS; an image has two, or a few more with one value each."""

WCS_CARDS = (
    *("NAXIS", "WCS", "CTYPE", "CUNIT", "CRPIX", "CRVAL", "CD", "CROTA"),
    *("PC", "PV", "PS", "A_", "B_", "AP_", "BP_", "LONPOLE", "LATPOLE"),
    *("RADESYS", "RADECSYS", "EQUINOX", "EPOCH", "DATE-", "MJD-"),
)
"""How the keys begin of which a celestial WCS is made."""

OFF_IMAGE = -(10**6)
"""Pixel coordinate given to positions that the WCS cannot project, far from any image."""

SCALE_TOLERANCE = 0.01
"""Largest relative difference between the pixel scale of a coadd and the model's."""

FRAME_TOLERANCE = 0.03
"""Arcsec. Frames nearer to ICRS (FK5 at J2000: 0.023) are taken for it, as catalogues do."""

SIP_TOLERANCE = 0.1
"""Pixels by which distortion terms may matter of which it is not clear whether they apply."""


REFERENCE = ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2")
"""Cards without which a coadd would lie somewhere else."""

WORDS = ("CTYPE", "CUNIT")
"""Cards of a WCS that hold text."""

UNREADABLE = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError),
    *(RuntimeError, VerifyError, WcsError),
)
"""What wcslib and astropy raise for headers that make no sense."""


@dataclass(frozen=True)
class SkyGrid:
    """The pixels of an image on the sky; ``frame`` is ``None`` where its coordinates are ICRS."""

    wcs: WCS
    frame: Any = None

    def pixels(
        self, ra_N: NDArray[np.float64], dec_N: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """0-based pixel positions x, y of ICRS positions (deg).

        Far outside any image where the projection has no solution.
        """
        if len(ra_N) == 0:
            return np.zeros(0), np.zeros(0)
        longitude_N, latitude_N = ra_N, dec_N
        if self.frame is not None:
            there = SkyCoord(ra_N, dec_N, unit="deg", frame=ICRS()).transform_to(self.frame)
            longitude_N, latitude_N = there.spherical.lon.deg, there.spherical.lat.deg
        # The header says which axis is which; declination may come first.
        world = [longitude_N, latitude_N] if self.wcs.wcs.lng == 0 else [latitude_N, longitude_N]
        x_N, y_N = self.wcs.all_world2pix(*world, 0, quiet=True)
        return np.nan_to_num(x_N, nan=OFF_IMAGE), np.nan_to_num(y_N, nan=OFF_IMAGE)

    def corners(self, shape_YX: tuple[int, int]) -> tuple[tuple[float, float], ...]:
        """RA and Dec (ICRS, deg) of the outer corners of an image."""
        height, width = shape_YX
        corners_42 = self.wcs.calc_footprint(center=False, axes=(width, height))
        longitude, latitude = corners_42[:, self.wcs.wcs.lng], corners_42[:, self.wcs.wcs.lat]
        if self.frame is not None:
            here = SkyCoord(longitude, latitude, unit="deg", frame=self.frame).icrs
            longitude, latitude = here.ra.deg, here.dec.deg
        places = zip(longitude % 360, latitude, strict=True)
        return tuple((round(float(ra), 7), round(float(dec), 7)) for ra, dec in places)


def sky_grid(header: fits.Header, pixel_scale: float) -> SkyGrid:
    """The grid of an image with pixels of ``pixel_scale`` arcsec.

    Raises
    ------
    BadDataError
        If the header has no celestial WCS, one that cannot be read or that programs read
        differently, or pixels of another size.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        if (number(header, "WCSAXES") or 0) > MOST_AXES:
            # wcslib would ask for as much memory as this number says.
            raise _unreadable(ValueError(f"WCSAXES is {header['WCSAXES']}"))
        try:
            wcs = WCS(_with_distortion_named(_as_wcslib_reads(header)), naxis=2)
            wcs.wcs.set()
        except UNREADABLE as error:
            raise _unreadable(error) from error
    lacking = [key for key in REFERENCE if number(header, key) is None]
    if wcs.has_celestial and lacking:
        raise BadDataError(
            f"the WCS has no {', '.join(lacking)} (a number), which would count as 0"
        )
    if not wcs.has_celestial:
        raise BadDataError("the header has no celestial WCS (CTYPE, CRVAL, CD or PC)")
    scales = proj_plane_pixel_scales(wcs) * 3600
    if not np.all(np.abs(scales / pixel_scale - 1) <= SCALE_TOLERANCE):
        measured = " x ".join(f"{scale:.4f}" for scale in scales)
        raise BadDataError(
            f'pixel scale is {measured}", the model was trained on {pixel_scale}"; use the 0.2"'
            " coadds"
        )
    try:
        _settle_sip(wcs, header)
    except UNREADABLE as error:
        raise _unreadable(error) from error
    return SkyGrid(wcs, _frame(wcs))


def _as_wcslib_reads(header: fits.Header) -> fits.Header:
    """The WCS cards of a header with plain numbers: wcslib stops at the d of 5.5d-05."""
    plain = fits.Header()
    for key in dict.fromkeys(header):
        if not key.startswith(WCS_CARDS):
            continue
        value = card_value(header, key)
        if isinstance(value, str) and (told := number(header, key)) is not None:
            value = told
        if key.startswith(WORDS) and isinstance(value, int | float):
            raise ValueError(f"{key} is {value}, where a word is expected")
        if isinstance(value, str | int | float):
            plain[key] = value
    return plain


def _with_distortion_named(header: fits.Header) -> fits.Header:
    """The header with TPV, or TAN-SIP, for TAN where it has the cards of such a distortion.

    SCAMP and the survey's pipelines write PV1_0 ... with CTYPE TAN. wcslib sees a distortion only
    if an index of 5 or more is there; linear terms it takes for the native pole, 90 degrees off.
    """
    axes = {axis: str(header.get(f"CTYPE{axis}", "")).rstrip() for axis in (1, 2)}
    if not all(name.endswith("-TAN") for name in axes.values()):
        return header
    if "A_ORDER" in header:
        return _with_types(header, {axis: f"{name}-SIP" for axis, name in axes.items()})
    longitude = 2 if axes[2].startswith(("RA", "GLON")) else 1
    other = any(f"PV{3 - longitude}_{m}" in header for m in range(40))
    linear = number(header, f"PV{longitude}_1")
    # The standard's own PVi_1 and PVi_2 of the longitude are angles: 0 and 90 degrees for TAN.
    if not other and (linear is None or abs(linear - 1) > 0.5):
        return header
    return _with_types(header, {axis: f"{name[:-3]}TPV" for axis, name in axes.items()})


def _with_types(header: fits.Header, names: Mapping[int, str]) -> fits.Header:
    changed = header.copy()
    for axis, name in names.items():
        changed[f"CTYPE{axis}"] = name
    return changed


def _settle_sip(wcs: WCS, header: fits.Header) -> None:
    """SIP terms without -SIP in CTYPE: astropy applies them, SWarp and SExtractor do not."""
    if wcs.sip is None or "SIP" in str(header.get("CTYPE1", "")):
        return
    height, width = header.get("NAXIS2", 1), header.get("NAXIS1", 1)
    y, x = (np.ravel(axis) for axis in np.mgrid[0 : height - 1 : 5j, 0 : width - 1 : 5j])
    focus_x, focus_y = wcs.sip_pix2foc(x, y, 0)
    x0, y0 = wcs.wcs.crpix
    shift = float(np.hypot(focus_x - (x - x0), focus_y - (y - y0)).max())
    if shift > SIP_TOLERANCE:
        raise BadDataError(
            f"SIP terms that shift positions by {shift:.1f} pixels without -SIP in CTYPE: programs"
            " differ in whether they apply; write TAN-SIP, or remove A_ORDER and B_ORDER"
        )
    wcs.sip = None
    wcs.wcs.ctype = [str(header[f"CTYPE{axis}"]) for axis in (1, 2)]


def _frame(wcs: WCS) -> Any:
    try:
        frame = wcs_to_celestial_frame(wcs)
        if isinstance(frame, ICRS):
            return None
        centre = wcs.wcs.crval[[wcs.wcs.lng, wcs.wcs.lat]]
        here = SkyCoord(*centre, unit="deg", frame=frame).icrs
    except UNREADABLE as error:
        raise _unreadable(error) from error
    as_numbers = SkyCoord(*centre, unit="deg", frame=ICRS())
    return frame if here.separation(as_numbers).arcsec > FRAME_TOLERANCE else None


def _unreadable(error: Exception) -> BadDataError:
    lines = str(error).strip().splitlines()
    return BadDataError(f"the WCS cannot be read ({lines[-1] if lines else type(error).__name__})")
