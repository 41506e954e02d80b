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
    """Gaussians in pixels: the object they belong to (ascending), centre (one per object), covariance, flux."""

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
        return np.asarray(2 * np.pi * np.sqrt(self.xx_M * self.yy_M - self.xy_M**2))


def blobs(
    x_N: Floats,
    y_N: Floats,
    angle_N: Floats,
    major_NG: Floats,
    minor_NG: Floats,
    flux_NG: Floats,
    fwhm: float,
) -> Blobs:
    """Concentric Gaussians (variances in arcsec^2) seen through seeing of ``fwhm`` arcsec and the pixel.

    ``angle_N`` is the position angle of the major axis, east of north; east is to the left.
    """
    narrow_NG = minor_NG < (WIDE * fwhm) ** 2
    parts = []
    for chosen_NG, sigma_P, weight_P in (
        (narrow_NG & (flux_NG > 0), PSF_SIGMA_FWHM, PSF_WEIGHT),
        (~narrow_NG & (flux_NG > 0), np.array([PSF_RMS_FWHM]), np.array([1.0])),
    ):
        each, column = np.nonzero(chosen_NG)
        seeing_P = (sigma_P * fwhm) ** 2
        major = (major_NG[each, column][:, None] + seeing_P) / PIXEL_SCALE**2 + PIXEL_VARIANCE
        minor = (minor_NG[each, column][:, None] + seeing_P) / PIXEL_SCALE**2 + PIXEL_VARIANCE
        sin, cos = np.sin(angle_N[each])[:, None], np.cos(angle_N[each])[:, None]
        owner_M = np.repeat(each, len(weight_P))
        parts.append(
            Blobs(
                owner_M=owner_M,
                x_M=x_N[owner_M],
                y_M=y_N[owner_M],
                xx_M=(major * sin**2 + minor * cos**2).ravel(),
                xy_M=((minor - major) * sin * cos).ravel(),
                yy_M=(major * cos**2 + minor * sin**2).ravel(),
                flux_M=(flux_NG[each, column][:, None] * weight_P).ravel(),
            )
        )
    both = join(parts)
    return take(both, np.argsort(both.owner_M, kind="stable"))


def mixture_blobs(
    mixtures: Mixtures, band: int, x_N: Floats, y_N: Floats, fwhm: float
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
    )
    n, k = np.nonzero(mixtures.clump_flux_BNK[band])
    along, across = mixtures.offset_NK2[n, k].T / PIXEL_SCALE
    sin, cos = np.sin(mixtures.angle_N[n]), np.cos(mixtures.angle_N[n])
    variance = mixtures.clump_variance_NK[n, k][:, None]
    clumps = blobs(
        x_N[n] - along * sin + across * cos,
        y_N[n] + along * cos + across * sin,
        np.zeros(len(n)),
        variance,
        variance,
        mixtures.clump_flux_BNK[band][n, k][:, None],
        fwhm,
    )
    return body, clumps


def add(image_HW: Image, shapes: Blobs, tolerance: float, faintest: float) -> None:
    """Add ``shapes`` to ``image_HW`` in place, centres in 0-based pixels.

    Each Gaussian ends where it falls below ``faintest`` (flux per pixel), and further out if more than the share
    ``tolerance`` of its object's flux would be lost.
    """
    if len(shapes.owner_M) == 0:
        return
    total_M = np.bincount(shapes.owner_M, weights=shapes.flux_M)[shapes.owner_M]
    area_M = shapes.area_M
    with np.errstate(divide="ignore", invalid="ignore"):
        level_M = np.minimum(faintest, tolerance * total_M / area_M)
        reach_M = np.sqrt(np.maximum(2 * np.log(shapes.flux_M / area_M / level_M), 0.0))
    half_M = np.ceil(reach_M * np.sqrt(np.maximum(shapes.xx_M, shapes.yy_M))).astype(np.intp)
    half_M = np.minimum(half_M, HALF_SIZES[-1])
    height, width = image_HW.shape
    seen_M = (reach_M > 0) & (shapes.x_M > -half_M) & (shapes.x_M < width + half_M)
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
        sums_JHW = (
            boxes_MHW
            if len(first_J) == len(boxes_MHW)
            else np.add.reduceat(boxes_MHW, first_J, axis=0)
        )
        for box_HW, x0, y0 in zip(sums_JHW, left_J.tolist(), bottom_J.tolist(), strict=True):
            paste(image_HW, box_HW, x0, y0)


def _gaussian_boxes(part: Blobs, half: int) -> Image:
    determinant = part.xx_M * part.yy_M - part.xy_M**2
    axis = np.arange(-half, half + 1)
    dx = (axis + (np.floor(part.x_M + 0.5) - part.x_M)[:, None]).astype(np.float32)
    dy = (axis + (np.floor(part.y_M + 0.5) - part.y_M)[:, None]).astype(np.float32)
    log_peak = np.log(part.flux_M / part.area_M)
    along_x = (log_peak[:, None] - 0.5 * (part.yy_M / determinant)[:, None] * dx**2).astype(
        np.float32
    )
    along_y = (-0.5 * (part.xx_M / determinant)[:, None] * dy**2).astype(np.float32)
    mixed = ((part.xy_M / determinant)[:, None] * dx).astype(np.float32)
    boxes: Image = dy[:, :, None] * mixed[:, None, :]
    boxes += along_x[:, None, :]
    boxes += along_y[:, :, None]
    return np.exp(boxes, out=boxes)


def paste(image_HW: Image, box_HW: Image, x0: int, y0: int) -> None:
    """Add a box to the image with its first pixel at column ``x0``, row ``y0``; what lies outside is lost."""
    height, width = image_HW.shape
    bottom, top = max(y0, 0), min(y0 + box_HW.shape[0], height)
    left, right = max(x0, 0), min(x0 + box_HW.shape[1], width)
    if bottom < top and left < right:
        image_HW[bottom:top, left:right] += box_HW[bottom - y0 : top - y0, left - x0 : right - x0]
