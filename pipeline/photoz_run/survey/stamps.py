"""Stamps of sources out of the coadds of a tile, calibrated, with what is known of their pixels."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from photoz_models.stamp_rule import StampRule
from photoz_run import flags
from photoz_run.images.image import Corners, Image
from photoz_run.records import Sources, Stamps
from photoz_run.science.photometry import calibration
from photoz_run.survey.coadds import Coadd, Located, PixelPolicy, TileCoadds, stamp_corners

BRIGHTEST_PIXEL = 1e-4
"""Maggies: a star of magnitude 10 in a single pixel. What is brighter is damage, as 1E26 is."""

Cut = tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int32]]
"""Flux, coverage, and flags of the stamps of one coadd."""


def cut_batch(
    coadds: TileCoadds,
    sources: Sources,
    rule: StampRule,
    policy: PixelPolicy,
    located: Located | None = None,
) -> Stamps:
    """Stamps of the sources in every image band, calibrated as the model demands, with flags.

    ``located``: where they lie on each coadd, if that is known already.
    """
    n, size = len(sources), rule.stamp_size
    flux_NCHW = np.empty((n, len(rule.image_bands), size, size), np.float32)
    covered_NCHW = np.zeros(flux_NCHW.shape, bool)
    flags_N = np.zeros(n, np.int32)
    cuts = _cut_coadds(coadds, sources, rule, policy, located or coadds.locate(sources))
    for c, band in enumerate(rule.image_bands):
        epochs = [cuts[name] for name in coadds.bands[band]]
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
    for band, seeing in zip(rule.seeing_bands, seeing_S, strict=True):
        # A band without a coadd has its own flag.
        if np.isnan(seeing) and coadds.bands[band]:
            flags_N |= flags.bit("SEEING_UNKNOWN")
    return Stamps(flux_NCHW, covered_NCHW, flags_N, seeing_S)


def _cut_coadds(
    coadds: TileCoadds,
    sources: Sources,
    rule: StampRule,
    policy: PixelPolicy,
    located: Located,
) -> dict[str, Cut]:
    """The stamps of each coadd, by image; compressed coadds are cut side by side."""
    jobs: dict[str, Callable[[], Cut]] = {}
    for c, band in enumerate(rule.image_bands):
        extinction_N = sources.extinction_NC[:, c] if rule.extinction_corrected else None
        for name, coadd in coadds.bands[band].items():
            corners = stamp_corners(located[name], rule)
            jobs[name] = partial(_cut_coadd, coadd, corners, rule, policy, extinction_N)
    if coadds.workers is None:
        return {name: job() for name, job in jobs.items()}
    running = {name: coadds.workers.submit(job) for name, job in jobs.items()}
    return {name: future.result() for name, future in running.items()}


def _cut_coadd(
    coadd: Coadd,
    corners: Corners,
    rule: StampRule,
    policy: PixelPolicy,
    extinction_N: NDArray[np.float32] | None,
) -> Cut:
    # Cut for this batch alone: it is changed in place, as fresh memory costs more than arithmetic.
    values_NHW, covered_NHW = coadd.sci.stamps(corners, rule.stamp_size)
    flux_NHW = values_NHW.astype(np.float32, copy=False)
    usable_NHW = _measured(flux_NHW, coadd.sci.zero_is_a_value)
    if coadd.wei is not None:
        usable_NHW &= _weighted(coadd.wei, corners, rule.stamp_size)
    masked_NHW = None
    if coadd.msk is not None:
        bits_NHW, _ = coadd.msk.stamps(corners, rule.stamp_size)
        if bits_NHW.dtype.kind == "f":
            usable_NHW &= np.isfinite(bits_NHW)
            bits_NHW = np.nan_to_num(bits_NHW).astype(np.int32)
        masked_NHW = (bits_NHW & (policy.bad_bits & np.iinfo(bits_NHW.dtype).max)) != 0
    flags_N = flags.mark(np.any(covered_NHW > usable_NHW, axis=(1, 2)), "BAD_PIXELS")
    if masked_NHW is not None:
        flags_N |= flags.mark(np.any(masked_NHW, axis=(1, 2)), "MASKED_PIXELS")
        usable_NHW &= ~masked_NHW
    factor = calibration(coadd.dmag.value if rule.dmag_applied else 0.0, extinction_N)
    flux_NHW *= factor.reshape(-1, 1, 1)
    flux_NHW[~(usable_NHW & covered_NHW)] = np.nan
    return flux_NHW, covered_NHW, flags_N


def _measured(flux_NHW: NDArray[np.float32], zero_is_a_value: bool) -> NDArray[np.bool_]:
    """Pixels that may be measured: finite, possible, and not zero where that is no value."""
    size_NHW = np.abs(flux_NHW)
    measured_NHW: NDArray[np.bool_] = size_NHW < BRIGHTEST_PIXEL
    if np.count_nonzero(measured_NHW) < measured_NHW.size / 2:
        # An image that is bright all over has another scale, which the zero-point check sees.
        finite_NHW = np.isfinite(flux_NHW)
        if np.count_nonzero(finite_NHW > measured_NHW) >= flux_NHW.size / 2:
            measured_NHW = finite_NHW
    if not zero_is_a_value:
        # No measured pixel of a floating-point coadd is exactly zero: it was never written.
        measured_NHW &= size_NHW > 0
    return measured_NHW


def _weighted(weights: Image, corners: Corners, size: int) -> NDArray[np.bool_]:
    """Pixels whose weight is positive, and more than packing with loss may make of zero."""
    weights_NHW, _ = weights.stamps(corners, size)
    usable_NHW: NDArray[np.bool_] = weights_NHW > weights.doubt(corners[0], size)
    return usable_NHW


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
