"""The coadds of one tile: opened together and checked."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from photoz_models.robust import SMAD_FACTOR
from photoz_models.stamp_rule import StampRule
from photoz_run.errors import BadDataError, context
from photoz_run.images.header import number
from photoz_run.images.image import Corners, Image
from photoz_run.images.mapped import MappedImage
from photoz_run.images.opening import open_image
from photoz_run.images.packed import PackedImage
from photoz_run.images.plan import ReadingPlan, Storage
from photoz_run.images.streamed import StreamedImage
from photoz_run.records import BandFiles, Sources, TileRef
from photoz_run.science.cutouts import stamp_start
from photoz_run.survey.data_release import I_EPOCH_IMAGES
from photoz_run.survey.dmag import Dmag, dmag_cards, find_dmag
from photoz_run.survey.sky_grid import SkyGrid, sky_grid

MOST_TURNED = 10.0
"""Degrees by which the pixel axes of two bands may differ. Coadds of a tile are made alike."""

FEWEST_OUTSIDE = 3
"""Fewer sources than this off one band are flagged; more say that the band shows another field."""


Located = Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Image -> 0-based pixel positions x, y of sources on it."""


@dataclass(frozen=True)
class PixelPolicy:
    """How pixels are read, and which are not used.

    Not used are pixels with any of ``bad_bits`` in the msk image, and those of zero weight.
    """

    bad_bits: int
    use_weights: bool
    missing_band: str
    missing_dmag: str
    scratch: Path | None = None
    storage: Storage = field(default_factory=Storage)
    threads: int = 1


@dataclass(frozen=True)
class Coadd:
    """One opened coadd with its weight and flag images (``None`` if not there or not wanted)."""

    sci: Image
    wei: Image | None
    msk: Image | None
    grid: SkyGrid
    dmag: Dmag

    @property
    def files(self) -> tuple[Image, ...]:
        """The images that were opened, coadd first."""
        return tuple(image for image in (self.sci, self.wei, self.msk) if image is not None)

    def holds(self, x_N: NDArray[np.float64], y_N: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which pixel positions lie on the coadd."""
        height, width = self.sci.shape_YX
        return (x_N > -0.5) & (x_N < width - 0.5) & (y_N > -0.5) & (y_N < height - 0.5)


@dataclass(frozen=True)
class TileCoadds:
    """The coadds of a tile by image band of the model: no coadd, one, or two to be averaged."""

    bands: Mapping[str, Mapping[str, Coadd]]
    """Band of the model -> image as named in the files (i or i2) -> coadd."""
    i_substituted: bool
    workers: Executor | None = None
    """Threads that cut several compressed coadds at once; ``None`` where that gains nothing."""

    @property
    def images(self) -> dict[str, Coadd]:
        """Every opened coadd, by its image's name in the files."""
        return {name: coadd for epochs in self.bands.values() for name, coadd in epochs.items()}

    @property
    def dmag_cards(self) -> dict[str, str]:
        """The card that told DMAG, by image."""
        return {name: coadd.dmag.card for name, coadd in self.images.items()}

    @cached_property
    def seeing(self) -> dict[str, float]:
        """PSF_FWHM (arcsec; ESO's keyword for spatial resolution) of images that tell it."""
        told = {name: number(coadd.sci.header, "PSF_FWHM") for name, coadd in self.images.items()}
        return {name: value for name, value in told.items() if value is not None and value > 0}

    def seeing_of(self, bands: Sequence[str]) -> NDArray[np.float32]:
        """Seeing (arcsec) in these bands of the model.

        Averaged where epochs are; NaN where it is not known.
        """
        known = self.seeing
        of_bands = [
            [known.get(name, np.nan) for name in self.bands.get(band, {})] or [np.nan]
            for band in bands
        ]
        return np.array([np.mean(epochs) for epochs in of_bands], np.float32)

    @property
    def quantisation(self) -> dict[str, float]:
        """Of coadds packed with loss: the step in which their pixels were rounded, in sky noise.

        Of those that were unpacked since, the step that fpack aimed at.
        """
        steps = {}
        for name, coadd in self.images.items():
            sci = coadd.sci
            if isinstance(sci, PackedImage):
                if sci.packing.lossy:
                    steps[name] = round(float(np.median(sci.packing.step_T)) / sky_rms(sci), 3)
            elif sci.rounding is not None:
                steps[name] = round(sci.rounding.step(sky_rms(sci)), 3)
        return steps

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is odd in the files, though they can be used; complete after the last stamp."""
        remarks = []
        for coadd in self.images.values():
            for image in coadd.files:
                name = image.path.name
                if image.header_differs:
                    remarks.append(f"{name}: the header was changed after its CHECKSUM was written")
                if image.odd_bytes:
                    remarks.append(
                        f"{name}: {image.odd_bytes} bytes longer than whole FITS blocks; bytes are"
                        " missing, or too many"
                    )
        return tuple(remarks)

    @property
    def bytes_read(self) -> int:
        """Bytes that were asked of the files so far."""
        return sum(image.bytes_read for coadd in self.images.values() for image in coadd.files)

    @property
    def footprint(self) -> tuple[tuple[float, float], ...]:
        """Outer corners (RA and Dec, deg) of the r coadd, on which sources are detected.

        Without r those of the first coadd there is.
        """
        if not self.images:
            return ()
        return self._detection.grid.corners(self._detection.sci.shape_YX)

    @property
    def _detection(self) -> Coadd:
        """The r coadd, on which sources are detected, or the first there is."""
        return self.images.get("r") or next(iter(self.images.values()))

    @property
    def i_images(self) -> tuple[str, ...]:
        """The i images used (i, i2 or both): their GAaP magnitudes go with these stamps."""
        return tuple(self.bands.get("i", {})) or ("i",)

    def pixels_alone(self) -> "TileCoadds":
        """The same coadds without their weight and flag images."""
        bands = {
            band: {name: replace(coadd, wei=None, msk=None) for name, coadd in epochs.items()}
            for band, epochs in self.bands.items()
        }
        return replace(self, bands=bands)

    def locate(self, sources: Sources) -> Located:
        """Where the sources lie on each coadd."""
        return {
            name: coadd.grid.pixels(sources.ra_N, sources.dec_N)
            for name, coadd in self.images.items()
        }

    def count_outside(self, located: Located) -> int:
        """How many sources lie on none of the coadds; none if there is no coadd."""
        inside = [coadd.holds(*located[name]) for name, coadd in self.images.items()]
        return int((~np.any(inside, axis=0)).sum()) if inside else 0

    def check_every_band(self, located: Located, largest_share: float) -> None:
        """Refuse a coadd that shows another field than the sources'.

        Raises
        ------
        BadDataError
            If more than ``largest_share`` of the sources lie off one coadd.
        """
        for name, coadd in self.images.items():
            on_coadd_N = coadd.holds(*located[name])
            outside = int((~on_coadd_N).sum())
            if outside >= FEWEST_OUTSIDE and outside > largest_share * len(on_coadd_N):
                raise BadDataError(
                    f"{coadd.sci.path}: {outside} of {len(on_coadd_N)} sources lie off this coadd;"
                    " its WCS is wrong, or it is that of another field"
                )

    def check_axes(self) -> None:
        """Refuse a coadd whose pixel axes are turned or mirrored against those of r.

        Its sources are where its WCS says, but its stamps lie otherwise than those of other bands.

        Raises
        ------
        BadDataError
            If an axis points elsewhere by more than `MOST_TURNED` degrees.
        """
        if not self.images:
            return
        ra_K, dec_K = np.transpose(self.footprint)
        own_22 = _edges(self._detection, ra_K, dec_K)
        for coadd in self.images.values():
            cosine_2 = np.sum(own_22 * _edges(coadd, ra_K, dec_K), axis=-1)
            if np.any(cosine_2 < np.cos(np.radians(MOST_TURNED))):
                raise BadDataError(
                    f"{coadd.sci.path}: its pixel axes are turned or mirrored against those of"
                    f" {self._detection.sci.path.name}; resample both to the same grid"
                )

    def plan(self, located: Located, rule: StampRule, storage: Storage) -> dict[str, ReadingPlan]:
        """Settle how every file is read for stamps of these sources; the plans by name of file."""
        plans = {}
        for name, coadd in self.images.items():
            corners = stamp_corners(located[name], rule)
            for image in coadd.files:
                plans[image.path.name] = image.plan(corners, rule.stamp_size, storage)
        return plans

    def announce(self, located: Located, rule: StampRule) -> None:
        """Say which stamps are cut next, so that storage can begin with them."""
        for name, coadd in self.images.items():
            corners = stamp_corners(located[name], rule)
            for image in coadd.files:
                image.announce(corners, rule.stamp_size)

    def finish(self) -> None:
        """All stamps are cut: check what could not be checked before.

        Raises
        ------
        BadDataError
            If a file that was read as a stream turns out to be damaged.
        """
        for coadd in self.images.values():
            for image in coadd.files:
                image.finish()


@contextmanager
def open_coadds(
    ref: TileRef, rule: StampRule, policy: PixelPolicy, look: bool = True
) -> Iterator[TileCoadds]:
    """Open what ``rule`` needs of the tile's images; they are closed on leaving.

    Parameters
    ----------
    look
        False to read headers alone: no pixel is looked at.

    Raises
    ------
    BadDataError
        If a coadd is missing (unless the policy flags it), unreadable, without a celestial WCS, of
        another pixel scale, constant, without DMAG (unless the policy takes zero), or of another
        shape than its weight or flag image.
    """
    with ExitStack() as stack:
        cards = dmag_cards(ref.catalogue)
        names = {band: images_of(ref, band, rule.i_epoch) for band in rule.image_bands}
        missing = [band for band in names if not names[band]]
        if missing and policy.missing_band == "quarantine":
            raise BadDataError(
                f"the tile has no {', '.join(missing)} coadd; supply it, or set"
                ' missing_band = "flag" to go on without'
            )
        opened = {
            band: {
                name: _open_coadd(stack, ref.images[name], name, rule, policy, cards, look)
                for name in images
            }
            for band, images in names.items()
        }
        if look and rule.i_epoch == "better" and len(opened.get("i", {})) == 2:
            best = min(opened["i"], key=lambda name: sky_rms(opened["i"][name].sci))
            opened["i"] = {best: opened["i"][best]}
        coadds = [coadd for epochs in opened.values() for coadd in epochs.values()]
        compressed = any(
            not isinstance(image, MappedImage) for coadd in coadds for image in coadd.files
        )
        workers = None
        if compressed and policy.threads > 1:
            workers = stack.enter_context(ThreadPoolExecutor(len(coadds), "cut"))
        yield TileCoadds(opened, _i_substituted(opened.get("i", {}), rule.i_epoch), workers)


def stamp_corners(
    position_2N: tuple[NDArray[np.float64], NDArray[np.float64]], rule: StampRule
) -> Corners:
    """First row and column of the stamp around each position x, y."""
    x_N, y_N = position_2N
    size, centring = rule.stamp_size, rule.centring
    return stamp_start(y_N, size, centring), stamp_start(x_N, size, centring)


def sky_rms(image: Image) -> float:
    """Robust noise per pixel: the scaled median absolute deviation of some rows."""
    values = image.sample
    values = values[np.isfinite(values) & (values != 0)]
    return (
        float(SMAD_FACTOR * np.median(np.abs(values - np.median(values))))
        if values.size
        else np.inf
    )


def images_of(ref: TileRef, band: str, i_epoch: str) -> list[str]:
    """The images that serve ``band``: for i those of the policy, or whichever epoch there is."""
    if band != "i":
        return [band] if band in ref.images else []
    wanted = [name for name in I_EPOCH_IMAGES[i_epoch] if name in ref.images]
    return wanted or [name for name in ("i", "i2") if name in ref.images]


def _edges(
    coadd: Coadd, ra_K: NDArray[np.float64], dec_K: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Directions on a coadd of the left and the lower edge of a field with these corners [2, 2].

    NaN where the coadd shows no such field.
    """
    place_K2 = np.transpose(coadd.grid.pixels(ra_K, dec_K))
    edge_22 = place_K2[[1, 3]] - place_K2[0]
    with np.errstate(invalid="ignore"):
        direction_22: NDArray[np.float64] = edge_22 / np.hypot(*edge_22.T)[:, None]
    return direction_22


def _i_substituted(used: Mapping[str, Coadd], i_epoch: str) -> bool:
    wanted = I_EPOCH_IMAGES[i_epoch]
    return bool(used) and (
        set(used).isdisjoint(wanted) if i_epoch == "better" else set(used) != set(wanted)
    )


def _open_coadd(
    stack: ExitStack,
    files: BandFiles,
    name: str,
    rule: StampRule,
    policy: PixelPolicy,
    cards: fits.Header,
    look: bool,
) -> Coadd:
    def opened(path: Path | None) -> Image | None:
        if path is None:
            return None
        image = open_image(path, policy.scratch, policy.threads)
        stack.callback(image.close)
        return image

    sci = opened(files.sci)
    assert sci is not None
    with context(str(sci.path)):
        grid = sky_grid(sci.header, rule.pixel_scale)
        # A stream is looked at as it passes.
        if look and not isinstance(sci, StreamedImage):
            _check_pixels(sci)
        dmag = find_dmag(sci.header, cards, name, policy.missing_dmag)
    wei = opened(files.wei) if policy.use_weights else None
    msk = opened(files.msk) if policy.bad_bits else None
    for other in (wei, msk):
        if other is not None and other.shape_YX != sci.shape_YX:
            raise BadDataError(
                f"{other.path}: shape {other.shape_YX} differs from {sci.shape_YX} of"
                f" {sci.path.name}"
            )
    return Coadd(sci, wei, msk, grid, dmag)


def _check_pixels(image: Image) -> None:
    values = image.sample
    values = values[np.isfinite(values)]
    if values.size == 0:
        raise BadDataError("no finite pixel in the sampled rows; the image is empty")
    if values.min() == values.max():
        raise BadDataError(f"every sampled pixel is {values[0]:g}; the image is constant")
