"""Labelled galaxies as an imperfect survey would have seen them: arrays in, arrays out.

Errors are drawn for each tile and band alike, as those of a coadd are.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from photoz_models.examples import Examples
from photoz_models.inputs import sky_noise
from photoz_run.training.readings import shifted

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Spoiling:
    """One way to spoil a set, and what the table calls it."""

    words: str
    change: Callable[[Examples], Examples]


def per_coadd(examples: Examples, seed: int) -> Floats:
    """A standard normal number for each tile and image band, shape (N, C)."""
    tiles, row_N = np.unique(examples.tile_N, return_inverse=True)
    n_bands = len(examples.facts.rule.image_bands)
    normal_TC = np.random.default_rng(seed).standard_normal((len(tiles), n_bands))
    return np.asarray(normal_TC[row_N], np.float32)


def with_wrong_seeing(examples: Examples, rms: float) -> Examples:
    """``PSF_FWHM`` off by this share."""
    bands = examples.facts.rule.image_bands
    columns = [bands.index(band) for band in examples.facts.rule.seeing_bands]
    factor_NS = 1 + rms * per_coadd(examples, 1)[:, columns]
    return _with_seeing(examples, examples.seeing_NS * factor_NS)


def with_scaled_seeing(examples: Examples, factor: float) -> Examples:
    """Every ``PSF_FWHM`` multiplied by the same factor."""
    return _with_seeing(examples, examples.seeing_NS * np.float32(factor))


def without_seeing(examples: Examples) -> Examples:
    """No ``PSF_FWHM`` in any header."""
    return with_scaled_seeing(examples, np.nan)


def with_wrong_dmag(examples: Examples, error: float) -> Examples:
    """``DMAG`` too large or too small by ``error``, as a coin falls."""
    sign_NC = np.sign(per_coadd(examples, 2))
    factor_NC11 = (10 ** (-0.4 * error * sign_NC))[:, :, None, None]
    return replace(examples, stamps_NCHW=examples.stamps_NCHW * factor_NC11.astype(np.float32))


def with_sky(examples: Examples, sigmas: float) -> Examples:
    """So many times the noise of a pixel left of the sky, or taken off too much."""
    sky_C = sigmas * sky_noise(examples.stamps_NCHW)
    sky_NC11 = (sky_C * np.sign(per_coadd(examples, 3)))[:, :, None, None]
    return replace(examples, stamps_NCHW=examples.stamps_NCHW + sky_NC11.astype(np.float32))


def with_wrong_positions(examples: Examples, arcsec: float) -> Examples:
    """Positions of a tile off by ``arcsec`` in a direction of its own.

    Stamps start at whole pixels, and sources lie anywhere in one: a shift by a part of a pixel
    moves that part of the stamps by a pixel.
    """
    dice = np.random.default_rng(4)
    tiles, row_N = np.unique(examples.tile_N, return_inverse=True)
    angle_N = dice.uniform(0, 2 * np.pi, len(tiles))[row_N]
    pixels = arcsec / examples.facts.rule.pixel_scale
    place_N2 = dice.random((len(examples), 2))
    shift_N2 = pixels * np.stack([np.cos(angle_N), np.sin(angle_N)], axis=1)
    move_N2 = np.floor(place_N2 + shift_N2).astype(int)
    stamps_NCHW = np.array(examples.stamps_NCHW)
    for down, right in np.unique(move_N2, axis=0):
        rows_N = np.all(move_N2 == (down, right), axis=1)
        stamps_NCHW[rows_N] = shifted(stamps_NCHW[rows_N], int(down), int(right))
    return replace(examples, stamps_NCHW=stamps_NCHW)


def without_band(examples: Examples, band: str) -> Examples:
    """A coadd that does not exist: neither pixels nor seeing."""
    rule = examples.facts.rule
    stamps_NCHW, table_NT = np.array(examples.stamps_NCHW), np.array(examples.table_NT)
    stamps_NCHW[:, rule.image_bands.index(band)] = np.nan
    table_NT[:, rule.seeing_columns(band)] = np.nan
    return replace(examples, stamps_NCHW=stamps_NCHW, table_NT=table_NT)


def without_magnitude(examples: Examples, band: str) -> Examples:
    """A magnitude that the catalogue lacks."""
    table_NT = np.array(examples.table_NT)
    table_NT[:, examples.facts.rule.magnitude_bands.index(band)] = np.nan
    return replace(examples, table_NT=table_NT)


def _with_seeing(examples: Examples, seeing_NS: Floats) -> Examples:
    table_NT = np.array(examples.table_NT)
    first = len(examples.facts.rule.magnitude_bands)
    table_NT[:, first : first + seeing_NS.shape[1]] = seeing_NS
    return replace(examples, table_NT=table_NT)
