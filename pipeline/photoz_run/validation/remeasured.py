"""All quantiles of some galaxies of a run that kept two intervals: they are measured again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_models.session import PhotozModel
from photoz_run.config import RunConfig, load_config, model_path
from photoz_run.errors import PhotozError
from photoz_run.records import TileRef
from photoz_run.science.statistics import Floats
from photoz_run.tile import open_tile, predict
from photoz_run.validation.tables import Columns

TILES, GALAXIES = 16, 4000
"""So many suffice to judge distributions, and take seconds."""

SAME = 1e-3
"""A redshift that comes back further off than this is another one."""


@dataclass(frozen=True)
class Remeasured:
    """Quantiles of some of the pairs, and where each of these stands among all."""

    row_K: NDArray[np.int64]
    quantiles_KQ: Floats
    levels_Q: Floats
    tiles: int

    @property
    def words(self) -> str:
        """Where the quantiles come from."""
        return (
            f"{len(self.levels_Q)} quantiles of {len(self.row_K):,} galaxies in {self.tiles} tiles,"
            " measured again"
        )


def measure_again(
    run: Path,
    digest: str,
    columns: Columns,
    tiles: Mapping[str, TileRef],
    say: Callable[[str], None],
) -> Remeasured | str:
    """Quantiles of up to `GALAXIES` pairs in up to `TILES` tiles, by the model of the run.

    Parameters
    ----------
    run
        The run directory.
    digest
        sha256 of the model that measured it.
    columns
        The pairs, with ID, KIDS_TILE and Z_PHOT.
    tiles
        Where the inputs of the run lie now.
    say
        Is told before it begins.

    Returns
    -------
    The quantiles, or the reason why there are none.
    """
    rows_of_tile = _sample(columns, tiles)
    if not rows_of_tile:
        return "the inputs of the run are not at hand"
    try:
        config = load_config(run / "run.toml", {})
        model = PhotozModel.load(model_path(config.model), provider="cpu")
    except PhotozError as error:
        return str(error)
    if model.digest != digest:
        return f"{config.model} is not the model that measured the run"
    number = sum(map(len, rows_of_tile.values()))
    say(f"{number:,} galaxies are measured again: the run kept no quantiles (--quantiles)")
    parts = []
    try:
        for tile, row_K in rows_of_tile.items():
            parts.append(_measure(tiles[tile], row_K, columns, model, config))
    except PhotozError as error:
        return str(error)
    row_K = np.concatenate([part[0] for part in parts])
    quantiles_KQ = np.concatenate([part[1] for part in parts])
    z_K = np.concatenate([part[2] for part in parts])
    off_K = np.abs(z_K - columns["Z_PHOT"][row_K]) > SAME
    if off_K.any():
        return f"{int(off_K.sum())} of {len(row_K)} redshifts do not come back: other settings?"
    levels_Q = np.array(model.contract.quantile_levels)
    return Remeasured(row_K, quantiles_KQ, levels_Q, len(parts))


def _sample(columns: Columns, tiles: Mapping[str, TileRef]) -> dict[str, NDArray[np.int64]]:
    """Rows of the pairs in some tiles, spread over all: as many of each tile as there is room."""
    if "KIDS_TILE" not in columns or "ID" not in columns:
        return {}
    usable_N = np.isfinite(columns["Z_PHOT"].astype(np.float64))
    tile_N = columns["KIDS_TILE"].astype(str)
    names = [name for name in np.unique(tile_N[usable_N]).tolist() if name in tiles]
    if not names:
        return {}
    chosen = np.unique(np.linspace(0, len(names) - 1, TILES).round().astype(int))
    share = GALAXIES // len(chosen)
    rows = (np.flatnonzero((tile_N == names[k]) & usable_N)[:share] for k in chosen)
    return {names[k]: row_K for k, row_K in zip(chosen, rows, strict=True)}


def _measure(
    ref: TileRef,
    row_K: NDArray[np.int64],
    columns: Columns,
    model: PhotozModel,
    config: RunConfig,
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    """Rows, quantiles and redshifts of pairs in one tile."""
    with open_tile(ref, model.contract, config) as tile:
        row_of = dict(zip(columns["ID"][row_K].tolist(), row_K.tolist(), strict=True))
        place_K = np.flatnonzero(np.isin(tile.sources.id_N, list(row_of)))
        parts = [predict(model, *batch) for batch in tile.take(place_K).batches()]
        ids = tile.sources.id_N[place_K].tolist()
    quantiles_KQ = np.concatenate([part.quantiles_NQ for part in parts]).astype(np.float64)
    z_K = np.concatenate([part.z_N for part in parts])
    return np.array([row_of[name] for name in ids]), quantiles_KQ, z_K
