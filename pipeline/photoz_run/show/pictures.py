"""Stamps for the eye: every band with its own stretch, unusable pixels marked, and in colour."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from photoz_models.robust import SMAD_FACTOR
from photoz_models.stamp_rule import IMAGE_BANDS, StampRule
from photoz_run.errors import PhotozError
from photoz_run.records import Sources, TileRef
from photoz_run.science.colour import colour_image
from photoz_run.science.cutouts import stamp_start
from photoz_run.survey.coadds import Located, PixelPolicy, TileCoadds, open_coadds
from photoz_run.survey.stamps import cut_batch

SIZE = 60
"""Pixels of a picture on a side: 12 arcsec."""
PIXEL_SCALE = 0.2
MARK = np.array([230, 126, 34], np.uint8)
"""The colour of pixels that the network does not see."""
OFF = np.array([236, 236, 236], np.uint8)
"""The colour of what lies off the coadd."""


@dataclass(frozen=True)
class Picture:
    """A source in C image bands; pixels in maggies as in the coadd, NaN where there is none.

    ``unusable_CHW`` marks pixels on the coadd that the network does not see.
    """

    bands: tuple[str, ...]
    flux_CHW: NDArray[np.float32]
    covered_CHW: NDArray[np.bool_]
    unusable_CHW: NDArray[np.bool_]
    offset_C2: NDArray[np.float64]
    """Where the source lies from the middle of its stamp, x and y in pixels, by half a pixel."""

    def grey(self, band: int, size: int) -> NDArray[np.uint8]:
        """The central ``size`` pixels of a band, [size, size, 3], the first row at the top."""
        middle = slice((SIZE - size) // 2, (SIZE + size) // 2)
        flux_HW = self.flux_CHW[band, middle, middle]
        rgb_HW3 = np.repeat(_stretched(flux_HW)[:, :, None], 3, axis=2)
        unusable_HW = self.unusable_CHW[band, middle, middle]
        rgb_HW3[unusable_HW] = rgb_HW3[unusable_HW] // 2 + MARK // 2
        rgb_HW3[~self.covered_CHW[band, middle, middle]] = OFF
        return np.ascontiguousarray(rgb_HW3[::-1])

    def colour(self) -> NDArray[np.uint8] | None:
        """Red, green and blue of i, r and g, [H, W, 3], north at the top; None without a band."""
        rows = [self.bands.index(band) for band in ("i", "r", "g") if band in self.bands]
        flux_3HW = self.flux_CHW[rows]
        if len(rows) < 3 or not np.isfinite(flux_3HW).any(axis=(1, 2)).all():
            return None
        # Each band has its own grid: without this one side of a galaxy would be red.
        moved = [_moved(self.flux_CHW[c], *self.offset_C2[c]) for c in rows]
        rgb_HW3 = colour_image(np.stack(moved))
        rgb_HW3[~self.covered_CHW[rows].all(axis=0)] = OFF
        return np.ascontiguousarray(rgb_HW3[::-1])


def cut_pictures(
    ref: TileRef, ra_N: NDArray[np.float64], dec_N: NDArray[np.float64], policy: PixelPolicy
) -> list[Picture] | str:
    """A picture of each source of a tile; in words why not, if its coadds cannot be read."""
    rule = StampRule(
        image_bands=IMAGE_BANDS,
        magnitude_bands=(),
        stamp_size=SIZE,
        pixel_scale=PIXEL_SCALE,
        dmag_applied=False,
        extinction_corrected=False,
    )
    n = len(ra_N)
    sources = Sources(
        id_N=np.full(n, ""),
        ra_N=ra_N,
        dec_N=dec_N,
        magnitudes_NB=np.empty((n, 0), np.float32),
        extinction_NC=np.zeros((n, len(IMAGE_BANDS)), np.float32),
        flags_N=np.zeros(n, np.int32),
    )
    # A source is shown in the bands that there are.
    policy = replace(policy, missing_band="flag", missing_dmag="zero")
    try:
        with open_coadds(ref, rule, policy) as coadds:
            located = coadds.locate(sources)
            usable = cut_batch(coadds, sources, rule, policy, located)
            stamps = cut_batch(coadds.pixels_alone(), sources, rule, policy, located)
            offset_NC2 = _offsets(coadds, located, len(sources))
    except PhotozError as error:
        return str(error)
    unusable_NCHW = stamps.covered_NCHW & ~np.isfinite(usable.flux_NCHW)
    rows = zip(stamps.flux_NCHW, stamps.covered_NCHW, unusable_NCHW, offset_NC2, strict=True)
    return [Picture(IMAGE_BANDS, *row) for row in rows]


def _offsets(coadds: TileCoadds, located: Located, number: int) -> NDArray[np.float64]:
    """Offset of N sources from the middle of their stamps in C bands, [N, C, 2]."""
    offset_NC2 = np.zeros((number, len(IMAGE_BANDS), 2))
    for c, band in enumerate(IMAGE_BANDS):
        for name in list(coadds.bands[band])[:1]:
            for axis, position_N in enumerate(located[name]):
                first_N = stamp_start(position_N, SIZE)
                offset_NC2[:, c, axis] = position_N - first_N - (SIZE - 1) / 2
    return offset_NC2


def _moved(flux_HW: NDArray[np.float32], x: float, y: float) -> NDArray[np.float64]:
    """A stamp whose source has been brought to its middle, by linear interpolation."""
    moved_HW = np.nan_to_num(flux_HW.astype(np.float64))
    for axis, shift in ((1, x), (0, y)):
        step, share = int(np.sign(shift)), min(abs(shift), 1.0)
        moved_HW = (1 - share) * moved_HW + share * np.roll(moved_HW, -step, axis)
    return moved_HW


def _stretched(flux_HW: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Grey levels, dark on light: linear in the sky noise, logarithmic in the light."""
    finite = flux_HW[np.isfinite(flux_HW)]
    if not finite.size:
        return np.full(flux_HW.shape, 255, np.uint8)
    sky = np.percentile(finite, 30)
    noise = max(float(SMAD_FACTOR * np.median(np.abs(finite[finite <= sky] - sky))), 1e-30)
    light_HW = np.arcsinh(np.nan_to_num(flux_HW - sky) / (2 * noise))
    low, high = -1.2, max(float(light_HW.max()), 2.0)
    share_HW = np.clip((light_HW - low) / (high - low), 0, 1)
    return np.asarray(255 - 235 * share_HW, np.uint8)
