"""What changes when the network is not told something: its redshift, and its domain distance.

Axes: K inputs that are left out, C image bands, T columns of the table, H W pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photoz_models.golden import Outputs
from photoz_models.session import PhotozModel
from photoz_models.stamp_rule import StampRule
from photoz_run.science.intervals import quantile_at


@dataclass(frozen=True)
class InputGroup:
    """Channels of the stamps and columns of the table that are left out together."""

    channels: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()


@dataclass(frozen=True)
class Without:
    """The redshift of a galaxy without one input; NaN where the network gives none."""

    name: str
    z: float
    low68: float
    high68: float
    domain: float


def bands_and_seeing(rule: StampRule) -> dict[str, InputGroup]:
    """All that a model is told of each band, and the seeing of all of them."""
    bands = dict.fromkeys([*rule.image_bands, *rule.magnitude_bands])
    groups = {
        band: InputGroup(
            tuple(c for c, name in enumerate(rule.image_bands) if name == band),
            tuple(t for t, name in enumerate(rule.magnitude_bands) if name == band),
        )
        for band in bands
    }
    first, last = len(rule.magnitude_bands), len(rule.table_columns)
    return groups | ({"seeing": InputGroup((), tuple(range(first, last)))} if last > first else {})


def single_inputs(rule: StampRule) -> dict[str, InputGroup]:
    """Each stamp and each column of the table alone."""
    stamps = {f"{band} stamp": InputGroup((c,)) for c, band in enumerate(rule.image_bands)}
    magnitudes = {
        f"{band} magnitude": InputGroup((), (t,)) for t, band in enumerate(rule.magnitude_bands)
    }
    first = len(rule.magnitude_bands)
    seeing = {
        f"{band} seeing": InputGroup((), (first + s,)) for s, band in enumerate(rule.seeing_bands)
    }
    return magnitudes | stamps | seeing


def measure_without(
    bundle: PhotozModel,
    flux_CHW: NDArray[np.float32],
    table_T: NDArray[np.float32],
    groups: Mapping[str, InputGroup],
) -> tuple[Outputs, list[Without]]:
    """One galaxy as it is, and without each of ``groups`` that it has, in one batch.

    A group of which the galaxy has nothing, or besides which it has nothing, is passed over.

    Returns
    -------
    tuple
        What the network says of the galaxy, a batch of one, and its redshifts without the groups.
    """
    names, fluxes, tables = [], [flux_CHW], [table_T]
    for name, group in groups.items():
        flux, table = flux_CHW.copy(), table_T.copy()
        flux[list(group.channels)] = np.nan
        table[list(group.columns)] = np.nan
        known = _known(flux, table)
        if 0 < known < _known(flux_CHW, table_T):
            names.append(name)
            fluxes.append(flux)
            tables.append(table)
    z_K, quantiles_KQ, domain_K = bundle.predict(np.stack(fluxes), np.stack(tables))
    own = z_K[:1].copy(), quantiles_KQ[:1].copy(), domain_K[:1].copy()
    levels_Q = np.asarray(bundle.contract.quantile_levels)
    low_K, high_K = (quantile_at(level, levels_Q, quantiles_KQ) for level in (0.16, 0.84))
    columns = (column[1:].tolist() for column in (z_K, low_K, high_K, domain_K))
    return own, [Without(*row) for row in zip(names, *columns, strict=True)]


def oddest(domain: float, without: list[Without]) -> Without | None:
    """The input without which the galaxy lies nearest to the training set's centre.

    None if the distance is not known, or falls without none of them.
    """
    nearer = [one for one in without if one.domain < domain]
    return min(nearer, key=lambda one: one.domain, default=None)


def _known(flux_CHW: NDArray[np.float32], table_T: NDArray[np.float32]) -> int:
    """Stamps and columns that tell anything."""
    stamps = np.isfinite(flux_CHW).any(axis=(1, 2)) if flux_CHW.size else np.zeros(0, bool)
    return int(stamps.sum() + np.isfinite(table_T).sum())
