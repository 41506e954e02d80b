"""The coadds of one tile: opened together, checked, and cut into calibrated stamps."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.io.fits import VerifyError
from astropy.wcs import WCS, FITSFixedWarning, WcsError
from astropy.wcs.utils import proj_plane_pixel_scales
from numpy.typing import NDArray

from photoz_models.robust import SMAD_FACTOR
from photoz_models.stamp_rule import StampRule
from photoz_run import flags
from photoz_run.errors import BadDataError, context
from photoz_run.records import BandFiles, Sources, Stamps, TileRef
from photoz_run.science.cutouts import stamp_start
from photoz_run.science.photometry import calibrate
from photoz_run.survey.data_release import I_EPOCH_IMAGES
from photoz_run.survey.images import Image, image_header, open_image

CATALOGUE_DMAG_KEYS = ("DMAG_{BAND}", "DMAG_{band}", "DMAG_{band}_1")
"""Where DMAG may stand in a catalogue's primary header, if the coadd's own header lacks it."""

OFF_IMAGE = -(10**6)
"""Pixel coordinate given to positions that the WCS cannot project, far from any image."""

SCALE_TOLERANCE = 0.01
"""Largest relative difference between the pixel scale of a coadd and the model's."""


@dataclass(frozen=True)
class PixelPolicy:
    """Which pixels are not used: those with any of ``bad_bits`` in the msk image, and those of zero weight."""

    bad_bits: int
    use_weights: bool
    missing_band: str
    missing_dmag: str
    scratch: Path | None = None


@dataclass(frozen=True)
class Coadd:
    """One opened coadd with its weight and flag images (``None`` if not there or not wanted)."""

    sci: Image
    wei: Image | None
    msk: Image | None
    wcs: WCS
    dmag: float


@dataclass(frozen=True)
class TileCoadds:
    """The coadds of a tile by image band of the model: no coadd, one, or two to be averaged."""

    bands: Mapping[str, Mapping[str, Coadd]]
    """Band of the model -> image as named in the files (i or i2) -> coadd."""
    i_substituted: bool

    @property
    def images(self) -> dict[str, Coadd]:
        """Every opened coadd, by its image's name in the files."""
        return {name: coadd for epochs in self.bands.values() for name, coadd in epochs.items()}

    @property
    def dmag(self) -> dict[str, float]:
        """DMAG of every opened image, by its name in the files."""
        return {name: coadd.dmag for name, coadd in self.images.items()}

    @property
    def seeing(self) -> dict[str, float]:
        """PSF_FWHM (arcsec; ESO's keyword for the spatial resolution) of every image whose header has it."""
        found = {name: coadd.sci.header.get("PSF_FWHM") for name, coadd in self.images.items()}
        return {
            name: float(value)
            for name, value in found.items()
            if isinstance(value, int | float) and value > 0
        }

    def seeing_of(self, bands: Sequence[str]) -> NDArray[np.float32]:
        """Seeing (arcsec) in these bands of the model, averaged where epochs are; NaN where it is not known."""
        known = self.seeing
        of_bands = [
            [known.get(name, np.nan) for name in self.bands.get(band, {})] or [np.nan]
            for band in bands
        ]
        return np.array([np.mean(epochs) for epochs in of_bands], np.float32)

    @property
    def footprint(self) -> tuple[tuple[float, float], ...]:
        """Outer corners (RA and Dec, deg) of the r coadd, on which sources are detected; else of the first there is."""
        if not self.images:
            return ()
        coadd = self.images.get("r") or next(iter(self.images.values()))
        height, width = coadd.sci.shape_YX
        corners_42 = coadd.wcs.calc_footprint(center=False, axes=(width, height))
        return tuple((round(float(ra), 7), round(float(dec), 7)) for ra, dec in corners_42)

    @property
    def i_images(self) -> tuple[str, ...]:
        """The i images used (i, i2 or both): their GAaP magnitudes go with these stamps."""
        return tuple(self.bands.get("i", {})) or ("i",)

    def count_outside(self, sources: Sources) -> int:
        """How many sources lie on none of the coadds; none if there is no coadd."""
        inside = [_on_image(coadd, sources) for coadd in self.images.values()]
        return int((~np.any(inside, axis=0)).sum()) if inside else 0


@contextmanager
def open_coadds(ref: TileRef, rule: StampRule, policy: PixelPolicy) -> Iterator[TileCoadds]:
    """Open what ``rule`` needs of the tile's images; they are closed on leaving.

    Raises
    ------
    BadDataError
        If a coadd is missing (unless the policy flags it), unreadable, without a celestial WCS, of another pixel
        scale, constant, without DMAG (unless the policy takes zero), or of another shape than its weight or flag image.
    """
    with ExitStack() as stack:
        catalogue_header = _catalogue_header(ref)
        names = {band: _images_of(ref, band, rule.i_epoch) for band in rule.image_bands}
        missing = [band for band in names if not names[band]]
        if missing and policy.missing_band == "quarantine":
            raise BadDataError(
                f'the tile has no {", ".join(missing)} coadd; supply it, or set missing_band = "flag" to go on without'
            )
        opened = {
            band: {
                name: _open_coadd(stack, ref.images[name], name, rule, policy, catalogue_header)
                for name in images
            }
            for band, images in names.items()
        }
        if rule.i_epoch == "better" and len(opened.get("i", {})) == 2:
            best = min(opened["i"], key=lambda name: sky_rms(opened["i"][name].sci))
            opened["i"] = {best: opened["i"][best]}
        yield TileCoadds(opened, _i_substituted(opened.get("i", {}), rule.i_epoch))


def cut_batch(coadds: TileCoadds, sources: Sources, rule: StampRule, policy: PixelPolicy) -> Stamps:
    """Stamps of the sources in every image band, calibrated as the model demands, with the flags of their pixels."""
    n, size = len(sources), rule.stamp_size
    flux_NCHW = np.empty((n, len(rule.image_bands), size, size), np.float32)
    covered_NCHW = np.zeros(flux_NCHW.shape, bool)
    flags_N = np.zeros(n, np.int32)
    for c, band in enumerate(rule.image_bands):
        extinction_N = sources.extinction_NC[:, c] if rule.extinction_corrected else None
        epochs = [
            _cut_coadd(one, sources, rule, policy, extinction_N)
            for one in coadds.bands[band].values()
        ]
        if not epochs:
            flags_N |= flags.bit("BAND_MISSING")
        flux_NCHW[:, c] = _mean_of_epochs([flux for flux, _, _ in epochs])
        for _, covered_NHW, band_flags_N in epochs:
            covered_NCHW[:, c] |= covered_NHW
            flags_N |= band_flags_N
    flags_N |= _coverage_flags(flux_NCHW, covered_NCHW)
    if coadds.i_substituted:
        flags_N |= flags.bit("I_EPOCH_SUBSTITUTED")
    seeing_S = coadds.seeing_of(rule.seeing_bands)
    # A band without a coadd has its own flag.
    if any(
        np.isnan(seeing) and coadds.bands[band]
        for band, seeing in zip(rule.seeing_bands, seeing_S, strict=True)
    ):
        flags_N |= flags.bit("SEEING_UNKNOWN")
    return Stamps(flux_NCHW, covered_NCHW, flags_N, seeing_S)


def tile_dmag(ref: TileRef, band: str, policy: PixelPolicy) -> float:
    """DMAG of one band of a tile, from the header of its coadd, else of its catalogue.

    Raises
    ------
    BadDataError
        If neither has it (unless the policy takes zero).
    """
    header = image_header(ref.images[band].sci) if band in ref.images else fits.Header()
    return _dmag(header, _catalogue_header(ref), band, policy)


def sky_rms(image: Image) -> float:
    """Robust noise per pixel from rows spread over the image: the scaled median absolute deviation."""
    values = image.sample()
    values = values[np.isfinite(values) & (values != 0)]
    return (
        float(SMAD_FACTOR * np.median(np.abs(values - np.median(values))))
        if values.size
        else np.inf
    )


def _cut_coadd(
    coadd: Coadd,
    sources: Sources,
    rule: StampRule,
    policy: PixelPolicy,
    extinction_N: NDArray[np.float32] | None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int32]]:
    x_N, y_N = pixel_positions(coadd.wcs, sources.ra_N, sources.dec_N)
    corners = stamp_start(y_N, rule.stamp_size), stamp_start(x_N, rule.stamp_size), rule.stamp_size
    values_NHW, covered_NHW = coadd.sci.stamps(*corners)
    flux_NHW = values_NHW.astype(np.float32, copy=False)
    usable_NHW = np.isfinite(flux_NHW)
    if coadd.wei is not None:
        usable_NHW &= coadd.wei.stamps(*corners)[0] > 0
    flags_N = flags.mark(np.any(covered_NHW & ~usable_NHW, axis=(1, 2)), "BAD_PIXELS")
    if coadd.msk is not None:
        masked_NHW = (
            coadd.msk.stamps(*corners)[0].astype(np.int32, copy=False) & policy.bad_bits
        ) != 0
        flags_N |= flags.mark(np.any(masked_NHW, axis=(1, 2)), "MASKED_PIXELS")
        usable_NHW &= ~masked_NHW
    flux_NHW = calibrate(flux_NHW, coadd.dmag if rule.dmag_applied else 0.0, extinction_N)
    flux_NHW[~(usable_NHW & covered_NHW)] = np.nan
    return flux_NHW, covered_NHW, flags_N


def pixel_positions(
    wcs: WCS, ra_N: NDArray[np.float64], dec_N: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """0-based pixel positions x, y; far outside any image where the projection has no solution."""
    if len(ra_N) == 0:
        return np.zeros(0), np.zeros(0)
    x_N, y_N = wcs.all_world2pix(ra_N, dec_N, 0, quiet=True)
    return np.nan_to_num(x_N, nan=OFF_IMAGE), np.nan_to_num(y_N, nan=OFF_IMAGE)


def _on_image(coadd: Coadd, sources: Sources) -> NDArray[np.bool_]:
    x_N, y_N = pixel_positions(coadd.wcs, sources.ra_N, sources.dec_N)
    height, width = coadd.sci.shape_YX
    return (x_N > -0.5) & (x_N < width - 0.5) & (y_N > -0.5) & (y_N < height - 0.5)


def _coverage_flags(
    flux_NCHW: NDArray[np.float32], covered_NCHW: NDArray[np.bool_]
) -> NDArray[np.int32]:
    usable_NCHW: NDArray[np.bool_] = np.isfinite(flux_NCHW)
    middle = flux_NCHW.shape[-1] // 2
    centre = slice(middle - 2, middle + 2)
    stamp = (2, 3)
    edge_NC = np.any(covered_NCHW, axis=stamp) & ~np.all(covered_NCHW, axis=stamp)
    empty_NC = ~np.any(usable_NCHW, axis=stamp)
    centre_bad_NC = ~np.all(usable_NCHW[:, :, centre, centre], axis=stamp)
    return (
        flags.mark(np.any(edge_NC, axis=1), "EDGE")
        | flags.mark(np.any(empty_NC, axis=1), "NO_COVERAGE")
        | flags.mark(np.any(centre_bad_NC, axis=1), "CENTRE_BAD")
    )


def _mean_of_epochs(epochs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Mean over the epochs in which a pixel can be used; NaN where there is none."""
    if len(epochs) < 2:
        return epochs[0] if epochs else np.full((1, 1, 1), np.nan, np.float32)
    stack = np.stack(epochs)
    usable = np.isfinite(stack)
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float32] = np.where(usable, stack, 0).sum(axis=0) / usable.sum(axis=0)
    return mean


def _images_of(ref: TileRef, band: str, i_epoch: str) -> list[str]:
    """The images that serve ``band``: for i those of the policy, or whichever epoch there is."""
    if band != "i":
        return [band] if band in ref.images else []
    wanted = [name for name in I_EPOCH_IMAGES[i_epoch] if name in ref.images]
    return wanted or [name for name in ("i", "i2") if name in ref.images]


def _i_substituted(used: Mapping[str, Coadd], i_epoch: str) -> bool:
    wanted = I_EPOCH_IMAGES[i_epoch]
    return bool(used) and (
        set(used).isdisjoint(wanted) if i_epoch == "better" else set(used) != set(wanted)
    )


def _open_coadd(
    stack: ExitStack,
    files: BandFiles,
    band: str,
    rule: StampRule,
    policy: PixelPolicy,
    catalogue_header: fits.Header,
) -> Coadd:
    def opened(path: Path | None) -> Image | None:
        if path is None:
            return None
        image = open_image(path, policy.scratch)
        stack.callback(image.close)
        return image

    sci = opened(files.sci)
    assert sci is not None
    with context(str(sci.path)):
        wcs = celestial_wcs(sci.header, rule.pixel_scale)
        _check_pixels(sci)
        dmag = _dmag(sci.header, catalogue_header, band, policy)
    wei = opened(files.wei) if policy.use_weights else None
    msk = opened(files.msk) if policy.bad_bits else None
    for other in (wei, msk):
        if other is not None and other.shape_YX != sci.shape_YX:
            raise BadDataError(
                f"{other.path}: shape {other.shape_YX} differs from {sci.shape_YX} of {sci.path.name}"
            )
    return Coadd(sci, wei, msk, wcs, dmag)


def celestial_wcs(header: fits.Header, pixel_scale: float) -> WCS:
    """The WCS of an image; refused if it is not celestial or its pixels are not ``pixel_scale`` arcsec wide."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        try:
            wcs = WCS(header, naxis=2)
        except (
            ValueError,
            KeyError,
            TypeError,
            MemoryError,
            RuntimeError,
            VerifyError,
            WcsError,
        ) as error:
            raise BadDataError(
                f"the WCS cannot be read ({str(error).strip().splitlines()[-1]})"
            ) from error
    if not wcs.has_celestial:
        raise BadDataError("the header has no celestial WCS (CTYPE, CRVAL, CD or PC)")
    scales = proj_plane_pixel_scales(wcs) * 3600
    if np.any(np.abs(scales / pixel_scale - 1) > SCALE_TOLERANCE):
        measured = " x ".join(f"{scale:.4f}" for scale in scales)
        raise BadDataError(
            f'pixel scale is {measured}", the model was trained on {pixel_scale}"; use the 0.2" coadds'
        )
    return wcs


def _check_pixels(image: Image) -> None:
    values = image.sample()
    values = values[np.isfinite(values)]
    if values.size == 0:
        raise BadDataError("no finite pixel in the sampled rows; the image is empty")
    if values.min() == values.max():
        raise BadDataError(f"every sampled pixel is {values[0]:g}; the image is constant")


def _dmag(header: fits.Header, catalogue: fits.Header, band: str, policy: PixelPolicy) -> float:
    keys = [key.format(band=band, BAND=band.upper()) for key in CATALOGUE_DMAG_KEYS]
    for source, names in ((header, ["DMAG"]), (catalogue, keys)):
        for name in names:
            value = source.get(name)
            if isinstance(value, int | float) and np.isfinite(value):
                return float(value)
    if policy.missing_dmag == "zero":
        return 0.0
    raise BadDataError(
        f"no DMAG (a number) in the coadd's header and no {keys[0]} in the catalogue's;"
        ' set missing_dmag = "zero" if the pixels are calibrated already'
    )


def _catalogue_header(ref: TileRef) -> fits.Header:
    if ref.catalogue is None:
        return fits.Header()
    try:
        return fits.getheader(ref.catalogue, 0)
    except (OSError, ValueError):
        return fits.Header()
