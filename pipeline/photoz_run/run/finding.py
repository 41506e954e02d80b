"""The files of a run's tiles, here and afar: no more of them than its model and settings read."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from photoz_models.stamp_rule import StampRule
from photoz_run.afar.listing import AfarSurvey, find_afar, looked_at
from photoz_run.afar.store import Facts
from photoz_run.catalogue.provenance import LOOKERS, InputFile
from photoz_run.config import RunConfig
from photoz_run.errors import ConfigError
from photoz_run.records import BandFiles, TileRef
from photoz_run.run.fetchers import size_of
from photoz_run.run.plan import find_run_tiles
from photoz_run.run.window import Window
from photoz_run.survey.coadds import images_of
from photoz_run.survey.discovery import expand_tiles


def find_survey(config: RunConfig, say: Callable[[str], None] = lambda _: None) -> AfarSurvey:
    """The tiles of a run in order of name, with those of their files that lie afar.

    Raises
    ------
    ConfigError
        If a name, a folder or an address is wrong, or files lie afar and there is no window.
    """
    if not config.places_afar:
        return AfarSurvey(find_run_tiles(config, say), {})
    if config.afar.window is None:
        raise ConfigError(
            f"{config.places_afar[0]}: tiles from afar need room here:"
            " give --window SIZE and --scratch-shared DIR"
        )
    survey = find_afar(config.data, Window(config).folder, config.data_release, say)
    names = expand_tiles(config.tiles, survey.tiles)
    return AfarSurvey({tile: survey.tiles[tile] for tile in names}, survey.remote)


def narrowed(survey: AfarSurvey, config: RunConfig, rule: StampRule) -> AfarSurvey:
    """The survey with the files that are read, and what their servers tell of them.

    Raises
    ------
    ConfigError
        If a tile is larger than the window, or a server refuses or does not tell a size.
    """
    if not survey.remote:
        return survey
    refs = {tile: _needed(ref, config, rule) for tile, ref in survey.tiles.items()}
    known = looked_at(AfarSurvey(refs, survey.remote), refs)
    window = Window(config)
    for tile, ref in known.tiles.items():
        size = size_of(known, ref)
        if not window.holds(size):
            raise ConfigError(
                f"--window {config.afar.window} has no room for {tile}: its files have"
                f" {size / 1e9:,.3g} GB"
            )
        for file in known.files_of(ref):
            if file.bytes < 0 and file.facts != Facts() and window.room.bytes:
                raise ConfigError(
                    f"{file.shown}: its server does not tell its size; give --window as a number"
                    " of tiles"
                )
    return known


def look(survey: AfarSurvey, tiles: Mapping[str, TileRef]) -> Mapping[str, tuple[InputFile, ...]]:
    """The input files of each tile; many are looked at at once."""
    with ThreadPoolExecutor(LOOKERS) as pool:
        inputs = pool.map(survey.inputs_of, tiles.values())
        return dict(zip(tiles, inputs, strict=True))


def _needed(ref: TileRef, config: RunConfig, rule: StampRule) -> TileRef:
    """A tile with what is read of it: the images of the model, and r, which tells DMAG."""
    names = {name for band in rule.image_bands for name in images_of(ref, band, rule.i_epoch)}
    images = {
        name: BandFiles(
            files.sci,
            files.wei if config.use_weights and name in names else None,
            files.msk if config.bad_pixel_bits and name in names else None,
        )
        for name, files in ref.images.items()
        if name in names or name == "r"
    }
    return replace(ref, images=images)
