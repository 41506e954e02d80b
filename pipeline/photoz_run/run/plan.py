"""What a run will do: which tiles, from which files, with which model; before anything starts."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from photoz_models.contract import ModelContract
from photoz_models.documents import Record
from photoz_models.stamp_rule import StampRule
from photoz_run import schema
from photoz_run.catalogue.table import QUANTILES
from photoz_run.config import RunConfig
from photoz_run.errors import BadDataError, ConfigError, PhotozError
from photoz_run.records import Sources, TileRef
from photoz_run.science.selection import names_in
from photoz_run.survey.catalogues import (
    DERIVED,
    check_names,
    check_selection,
    column_names,
    magnitude_suffixes,
    read_sources,
)
from photoz_run.survey.data_release import I_EPOCH_IMAGES
from photoz_run.survey.discovery import expand_tiles, find_tiles, is_simulated
from photoz_run.survey.dmag import tile_dmag
from photoz_run.survey.magnitudes import join_magnitudes, open_magnitudes
from photoz_run.tables.names import split_name
from photoz_run.tile import magnitude_table, open_tile

COLUMN_NAMES = {*schema.BY_NAME, QUANTILES}
READERS = 16
"""Tiles looked at at once in a dry run; most of it is waiting for storage."""
TRIED = 10
"""Catalogues without a column, or with other types, after which the setting is to blame."""


@dataclass(frozen=True)
class TilePlan(Record):
    """One tile of a dry run."""

    tile: str
    lacks: tuple[str, ...]
    """Files that it has not."""
    bytes: int
    """To be read: the catalogue, and of the images what the reading plans name."""
    rows: int | None
    """To be written; ``None`` where that cannot be told."""
    problem: str = ""
    """Why a run would refuse the tile, as far as headers and catalogue tell."""
    ways: tuple[str, ...] = ()
    """How its images would be read: pages, rows, strips, stream."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Matched, unmatched and ambiguous magnitudes."""


@dataclass(frozen=True)
class FetchPlan(Record):
    """What a dry run says of fetching."""

    bytes: int
    bytes_per_second: float | None
    """As files came in a short trial; ``None`` if none came."""
    seconds: float | None
    window: int
    """Bytes with which no worker waits for room: a tile for each, and one on its way."""
    largest: int
    """Bytes of the largest tile: the least that a window can be."""


@dataclass(frozen=True)
class DryRun(Record):
    """What ``photoz-run --dry-run --json`` says."""

    tiles: tuple[TilePlan, ...]
    job_script: str | None
    """Script of a worker job, if workers are jobs."""
    fetching: FetchPlan | None = None


Say = Callable[[str], None]


def find_run_tiles(config: RunConfig, say: Say = lambda _: None) -> dict[str, TileRef]:
    """The tiles of a run by name, in order of name; `ConfigError` if a name or a folder is wrong.

    ``say`` is told which of several deliveries of a file is read.
    """
    known = find_tiles(config.data, config.data_release, say)
    return {tile: known[tile] for tile in expand_tiles(config.tiles, known)}


def simulated_model_warning(tiles: Mapping[str, TileRef], contract: ModelContract) -> str:
    """What to say before real tiles are measured by a model of simulations; "" if they are not.

    The header of the first tile decides; a tile that cannot be read counts as real.
    """
    if not contract.training.simulated or not tiles:
        return ""
    try:
        if is_simulated(next(iter(tiles.values()))):
            return ""
    except PhotozError:
        pass
    return (
        f"the model {contract.name} {contract.version} was trained on simulations: the redshifts of"
        " these tiles are not for science"
    )


def check_tiles(tiles: Mapping[str, TileRef], config: RunConfig) -> None:
    """Refuse settings with which every tile would fail, before any is started.

    Raises
    ------
    ConfigError
        With the first such setting.
    """
    names_in(config.select)
    for name in config.keep:
        if name in COLUMN_NAMES or config.keep.count(name) > 1:
            raise ConfigError(
                f"keep {name}: the output has this column already; keep each other column once"
            )
    if config.magnitudes is not None and not split_name(config.magnitudes)[0].exists():
        raise ConfigError(f"magnitudes {config.magnitudes}: file not found")
    if all(ref.catalogue is None for ref in tiles.values()):
        raise ConfigError(
            f"none of the {len(tiles)} tiles has a catalogue (..._cat.fits) in the data folders"
        )
    _check_columns([ref.catalogue for ref in tiles.values() if ref.catalogue], config)


def check_magnitudes(tiles: Mapping[str, TileRef], config: RunConfig, rule: StampRule) -> None:
    """Refuse a table of magnitudes that no tile can use; `ConfigError` says why.

    The first tile that finds its magnitudes there settles it.
    """
    if config.magnitudes is None:
        return
    problem = ""
    for ref in tiles.values():
        suffixes = magnitude_suffixes(ref.data_release, rule.magnitude_bands, ["i"])
        try:
            open_magnitudes(magnitude_table(config), suffixes)
        except BadDataError as error:
            raise ConfigError(f"magnitudes {error}") from error
        try:
            _, counts = _sources(ref, config, rule)
        except ConfigError:
            raise
        except PhotozError as error:
            # A tile may be bad for itself; what the table lacks is said if no tile is good.
            problem = problem or (str(error) if str(config.magnitudes) in str(error) else "")
            continue
        if counts:
            return
    if problem:
        raise ConfigError(f"magnitudes {problem}")


def _check_columns(catalogues: Sequence[Path], config: RunConfig) -> None:
    """Refuse a ``select`` or ``keep`` that none of the first readable catalogues can serve.

    One that cannot may be bad for itself.
    """
    problems: list[ConfigError] = []
    for path in catalogues:
        try:
            _check_catalogue(path, config)
        except ConfigError as error:
            problems.append(error)
        except PhotozError:
            continue
        else:
            return
        if len(problems) == TRIED:
            break
    if problems:
        raise problems[0]


def _check_catalogue(path: Path, config: RunConfig) -> None:
    """Refuse a column that a catalogue lacks, or an expression over columns of other types."""
    present = column_names(path)
    # What is computed here can be selected by; the output has it without being kept.
    check_names(path, "select", names_in(config.select), [*present, *DERIVED])
    check_names(path, "keep", config.keep, present)
    check_selection(path, config.select)


def dry_run(
    tiles: Mapping[str, TileRef], config: RunConfig, contract: ModelContract
) -> list[TilePlan]:
    """What a run would do, tile by tile; reads catalogues and headers, no pixel."""
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda ref: _plan_tile(ref, config, contract), tiles.values()))


def _plan_tile(ref: TileRef, config: RunConfig, contract: ModelContract) -> TilePlan:
    lacks = files_lacking(ref, contract)
    try:
        return _plan_good_tile(ref, config, contract, lacks)
    except ConfigError:
        raise
    except PhotozError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - the border of a tile: its plan is not the others'
        problem = f"{type(error).__name__}: {error}"
    return TilePlan(ref.tile, lacks, 0, _count_selected(ref, config, contract), problem)


def _plan_good_tile(
    ref: TileRef, config: RunConfig, contract: ModelContract, lacks: tuple[str, ...]
) -> TilePlan:
    with open_tile(ref, contract, config, look=False) as tile:
        read = sum(plan.bytes for plan in tile.plans.values())
        ways = sorted({plan.way for plan in tile.plans.values() if plan.bytes})
        if ref.catalogue is not None:
            read += ref.catalogue.stat().st_size
        return TilePlan(ref.tile, lacks, read, len(tile.sources), "", tuple(ways), tile.counts)


def _count_selected(ref: TileRef, config: RunConfig, contract: ModelContract) -> int | None:
    """Rows that are selected in a tile whose images cannot be used."""
    try:
        sources, _ = _sources(ref, config, contract)
    except PhotozError:
        return None
    return len(sources)


def _sources(ref: TileRef, config: RunConfig, rule: StampRule) -> tuple[Sources, Mapping[str, int]]:
    """The selected sources of a tile, and how many find their magnitudes in an external table."""
    i_images = [name for name in _wanted("i", rule) if name in ref.images] or ["i"]
    dmag_r = tile_dmag(ref, "r", config.missing_dmag)
    external = config.magnitudes is not None
    sources = read_sources(ref, rule, i_images, dmag_r, config.select, config.keep, not external)
    if not external or not len(sources):
        return sources, {}
    suffixes = magnitude_suffixes(ref.data_release, rule.magnitude_bands, i_images)
    return join_magnitudes(sources, magnitude_table(config), suffixes, rule.magnitude_bands)


def files_lacking(ref: TileRef, contract: StampRule) -> tuple[str, ...]:
    """The files that a tile has not: its catalogue, and images by name and product."""
    lacks = [] if ref.catalogue else ["catalogue"]
    for band in contract.image_bands:
        for name in _wanted(band, contract):
            lacks += _lacking_products(ref, name)
    return tuple(lacks)


def _lacking_products(ref: TileRef, name: str) -> list[str]:
    files = ref.images.get(name)
    if files is None:
        # DR4 has one epoch of i: the absence of a second is no lack.
        return [] if name == "i2" and ref.data_release == "DR4" else [f"{name} sci"]
    products = {"wei": files.wei, "msk": files.msk}
    return [f"{name} {product}" for product, path in products.items() if path is None]


def _wanted(band: str, contract: StampRule) -> tuple[str, ...]:
    """Names of the images that the model reads in a band."""
    return I_EPOCH_IMAGES[contract.i_epoch] if band == "i" else (band,)
