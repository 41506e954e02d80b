"""Draw sums of Gaussians into an image, each only as far out as it can be seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photoz_run.simulation.geometry import PIXEL_SCALE
from photoz_run.simulation.mixtures import PSF_SIGMA_FWHM, PSF_WEIGHT, Mixtures
from photoz_run.simulation.rows import join, take

Floats = NDArray[np.float64]
Image = NDArray[np.float32]

PIXEL_VARIANCE = 1.0 / 12.0
"""Second moment of a square pixel (pixel^2)."""
WIDE = 2.0
"""A Gaussian wider than this many FWHM sees only the second moment of the seeing."""
PSF_RMS_FWHM = float(np.sqrt(np.sum(PSF_WEIGHT * PSF_SIGMA_FWHM**2)))
HALF_SIZES = np.unique(np.round(5 * 1.3 ** np.arange(24)).astype(np.intp))
ELEMENTS = 1 << 18
"""Pixels evaluated at once: 1 MB of float32 stays in the cache."""


@dataclass(frozen=True)
class Blobs:
    """Gaussians in pixels: owning object (ascending), centre of the object, covariance, flux."""

    owner_M: NDArray[np.intp]
    x_M: Floats
    y_M: Floats
    xx_M: Floats
    xy_M: Floats
    yy_M: Floats
    flux_M: Floats

    @property
    def area_M(self) -> Floats:
        """2 pi times the product of the dispersions: flux over peak."""
        determinant_M = self.xx_M * self.yy_M - self.xy_M**2
        return np.asarray(2 * np.pi * np.sqrt(determinant_M))


def blobs(
    x_N: Floats,
    y_N: Floats,
    angle_N: Floats,
    major_NG: Floats,
    minor_NG: Floats,
    flux_NG: Floats,
    fwhm: float,
    elongation: float = 0.0,
) -> Blobs:
    """Concentric Gaussians (variances in arcsec^2), seen through the seeing and the pixel.

    ``fwhm`` is that of the seeing (arcsec); ``elongation`` leaves its area. ``angle_N`` is the
    position angle of the major axis, east of north; east is to the left.
    """
    bright_NG = flux_NG > 0
    narrow_NG = minor_NG < (WIDE * fwhm) ** 2
    shrunk = elongation / (1 + elongation)
    parts = []
    for chosen_NG, sigma_P, weight_P in (
        (narrow_NG & bright_NG, PSF_SIGMA_FWHM, PSF_WEIGHT),
        (~narrow_NG & bright_NG, np.array([PSF_RMS_FWHM]), np.array([1.0])),
    ):
        each, column = np.nonzero(chosen_NG)
        seeing_P = (sigma_P * fwhm) ** 2
        major = (major_NG[each, column][:, None] + seeing_P) / PIXEL_SCALE**2 + PIXEL_VARIANCE
        minor = (minor_NG[each, column][:, None] + seeing_P) / PIXEL_SCALE**2 + PIXEL_VARIANCE
        sin = np.sin(angle_N[each])[:, None]
        cos = np.cos(angle_N[each])[:, None]
        owner_M = np.repeat(each, len(weight_P))
        spread_M = np.tile(seeing_P / PIXEL_SCALE**2, len(each))
        parts.append(
            Blobs(
                owner_M=owner_M,
                x_M=x_N[owner_M],
                y_M=y_N[owner_M],
                xx_M=(major * sin**2 + minor * cos**2).ravel() + elongation * spread_M,
                xy_M=((minor - major) * sin * cos).ravel(),
                yy_M=(major * cos**2 + minor * sin**2).ravel() - shrunk * spread_M,
                flux_M=(flux_NG[each, column][:, None] * weight_P).ravel(),
            )
        )
    both = join(parts)
    return take(both, np.argsort(both.owner_M, kind="stable"))


def mixture_blobs(
    mixtures: Mixtures,
    band: int,
    x_N: Floats,
    y_N: Floats,
    fwhm: float,
    elongation: float = 0.0,
) -> tuple[Blobs, Blobs]:
    """The concentric part of galaxies, and their clumps, in one band's pixels."""
    body = blobs(
        x_N,
        y_N,
        mixtures.angle_N,
        mixtures.major_NG,
        mixtures.minor_NG,
        mixtures.flux_BNG[band],
        fwhm,
        elongation,
    )
    flux_NK = mixtures.clump_flux_BNK[band]
    n, k = np.nonzero(flux_NK)
    along, across = mixtures.offset_NK2[n, k].T / PIXEL_SCALE
    sin, cos = np.sin(mixtures.angle_N[n]), np.cos(mixtures.angle_N[n])
    variance = mixtures.clump_variance_NK[n, k][:, None]
    clumps = blobs(
        x_N[n] - along * sin + across * cos,
        y_N[n] + along * cos + across * sin,
        np.zeros(len(n)),
        variance,
        variance,
        flux_NK[n, k][:, None],
        fwhm,
        elongation,
    )
    return body, clumps


def add(image_HW: Image, shapes: Blobs, tolerance: float, faintest: float) -> None:
    """Add ``shapes`` to ``image_HW`` in place, centres in 0-based pixels.

    Each Gaussian ends where it falls below ``faintest`` (flux per pixel). It ends further out if
    more than the share ``tolerance`` of its object's flux would be lost.
    """
    if len(shapes.owner_M) == 0:
        return
    total_M = np.bincount(shapes.owner_M, weights=shapes.flux_M)[shapes.owner_M]
    area_M = shapes.area_M
    with np.errstate(divide="ignore", invalid="ignore"):
        level_M = np.minimum(faintest, tolerance * total_M / area_M)
        reach_M = np.sqrt(np.maximum(2 * np.log(shapes.flux_M / area_M / level_M), 0.0))
    widest_M = np.sqrt(np.maximum(shapes.xx_M, shapes.yy_M))
    half_M = np.ceil(reach_M * widest_M).astype(np.intp)
    half_M = np.minimum(half_M, HALF_SIZES[-1])
    height, width = image_HW.shape
    seen_M = reach_M > 0
    seen_M &= (shapes.x_M > -half_M) & (shapes.x_M < width + half_M)
    seen_M &= (shapes.y_M > -half_M) & (shapes.y_M < height + half_M)
    size_M = np.searchsorted(HALF_SIZES, half_M)
    for size in np.unique(size_M[seen_M]):
        _add_boxes(image_HW, take(shapes, seen_M & (size_M == size)), int(HALF_SIZES[size]))


def _add_boxes(image_HW: Image, shapes: Blobs, half: int) -> None:
    """Evaluate Gaussians on boxes of one size, sum those of one object, and add the sums."""
    step = max(1, ELEMENTS // (2 * half + 1) ** 2)
    for start in range(0, len(shapes.owner_M), step):
        part = take(shapes, slice(start, start + step))
        first_J = np.flatnonzero(np.diff(part.owner_M, prepend=-1))
        left_J = np.floor(part.x_M[first_J] + 0.5).astype(np.intp) - half
        bottom_J = np.floor(part.y_M[first_J] + 0.5).astype(np.intp) - half
        boxes_MHW = _gaussian_boxes(part, half)
        alone = len(first_J) == len(boxes_MHW)
        sums_JHW = boxes_MHW if alone else np.add.reduceat(boxes_MHW, first_J, axis=0)
        for box_HW, x0, y0 in zip(sums_JHW, left_J.tolist(), bottom_J.tolist(), strict=True):
            paste(image_HW, box_HW, x0, y0)


def _gaussian_boxes(part: Blobs, half: int) -> Image:
    """Each Gaussian on a box of pixels: the exponential of its logarithm, summed term by term."""
    determinant_M = part.xx_M * part.yy_M - part.xy_M**2
    inverse_xx_M1 = (part.yy_M / determinant_M)[:, None]
    inverse_yy_M1 = (part.xx_M / determinant_M)[:, None]
    inverse_xy_M1 = (part.xy_M / determinant_M)[:, None]
    log_peak_M1 = np.log(part.flux_M / part.area_M)[:, None]

    axis_S = np.arange(-half, half + 1)
    x_shift_M1 = (np.floor(part.x_M + 0.5) - part.x_M)[:, None]
    y_shift_M1 = (np.floor(part.y_M + 0.5) - part.y_M)[:, None]
    dx_MW = (axis_S + x_shift_M1).astype(np.float32)
    dy_MH = (axis_S + y_shift_M1).astype(np.float32)

    along_x_MW = (log_peak_M1 - 0.5 * inverse_xx_M1 * dx_MW**2).astype(np.float32)
    along_y_MH = (-0.5 * inverse_yy_M1 * dy_MH**2).astype(np.float32)
    mixed_MW = (inverse_xy_M1 * dx_MW).astype(np.float32)
    boxes_MHW: Image = dy_MH[:, :, None] * mixed_MW[:, None, :]
    boxes_MHW += along_x_MW[:, None, :]
    boxes_MHW += along_y_MH[:, :, None]
    return np.exp(boxes_MHW, out=boxes_MHW)


def paste(image_HW: Image, box_HW: Image, x0: int, y0: int) -> None:
    """Add a box to the image, its first pixel at column ``x0``, row ``y0``.

    What lies outside the image is lost.
    """
    height, width = image_HW.shape
    box_height, box_width = box_HW.shape
    bottom, top = max(y0, 0), min(y0 + box_height, height)
    left, right = max(x0, 0), min(x0 + box_width, width)
    if bottom < top and left < right:
        image_HW[bottom:top, left:right] += box_HW[bottom - y0 : top - y0, left - x0 : right - x0]
