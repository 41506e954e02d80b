"""Labelled galaxies whose redshift can be learnt from colour and, better, from colour and size."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from photoz_models.examples import Examples, SetFacts
from photoz_models.stamp_rule import StampRule

BANDS = ("u", "g", "r", "i", "Z", "Y", "J", "H", "Ks")


def toy_examples(number: int, seed: int = 0, size: int = 12, tiles: int = 20) -> Examples:
    """Round Gaussians; z = 0.1 + 0.1 colour + 0.1 width, which are both uniform."""
    dice = np.random.default_rng(seed)
    colour_N, width_N, r_N = dice.random(number), dice.random(number), dice.uniform(18, 20, number)
    magnitudes_NB = (
        r_N[:, None]
        + colour_N[:, None] * (2 - np.arange(9)) * 0.3
        + dice.normal(0, 0.01, (number, 9))
    )
    offset = np.arange(size) - (size - 1) / 2
    radius2_HW = offset[:, None] ** 2 + offset**2
    variance_N = (1.0 + 2.0 * width_N) ** 2
    profile_NHW = np.exp(-radius2_HW / (2 * variance_N[:, None, None])) / (
        2 * np.pi * variance_N[:, None, None]
    )
    flux_NC = 10 ** (-0.4 * magnitudes_NB[:, :4])
    stamps_NCHW = flux_NC[:, :, None, None] * profile_NHW[:, None] + dice.normal(
        0, 3e-12, (number, 4, size, size)
    )
    rule = StampRule(
        image_bands=BANDS[:4],
        magnitude_bands=BANDS,
        stamp_size=size,
        pixel_scale=0.2,
        dmag_applied=True,
        extinction_corrected=True,
    )
    tile_N = np.array([f"tile{k}" for k in dice.integers(tiles, size=number)])
    z_N = 0.1 + 0.1 * colour_N + 0.1 * width_N
    return Examples(
        SetFacts("toy", True, rule),
        stamps_NCHW.astype(np.float32),
        magnitudes_NB.astype(np.float32),
        z_N.astype(np.float32),
        tile_N,
    )


def with_seeing(
    examples: Examples, bands: tuple[str, ...], seeing_NS: NDArray[np.float32]
) -> Examples:
    """The same galaxies in a set that knows the seeing of these bands."""
    rule = examples.facts.rule.model_copy(update={"seeing_bands": bands})
    table_NT = np.hstack([examples.magnitudes_NB, seeing_NS])
    return replace(examples, facts=replace(examples.facts, rule=rule), table_NT=table_NT)
