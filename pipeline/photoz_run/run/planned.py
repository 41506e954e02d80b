"""A run before it starts: checked, with its model, its tiles and every input file.

places.jsonl   in the run directory: the files afar, one tile a line, for a driver that has no
               network itself
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from photoz_models.bundle import Bundle, read_bundle
from photoz_models.documents import Record, document_text, no_collection, parse_document
from photoz_models.errors import DocumentError
from photoz_run.afar.listing import AfarSurvey, RemoteFile
from photoz_run.afar.store import Facts
from photoz_run.config import RunConfig, model_path
from photoz_run.errors import ConfigError
from photoz_run.records import TileOutcome, TileRef
from photoz_run.run.finding import find_survey, look, narrowed
from photoz_run.run.gpus import provider_here
from photoz_run.run.ledger import RunDirectory, write_pieces
from photoz_run.run.manifest import RunManifest, make_manifest
from photoz_run.run.plan import check_magnitudes, check_tiles
from photoz_run.run.tried import tried

PLACES = "places.jsonl"
Say = Callable[[str], None]


@dataclass(frozen=True)
class FileAfar(Record):
    """A file afar as it was when the run was planned."""

    url: str
    """Without secrets: whoever fetches lists the files again."""
    facts: Facts


@dataclass(frozen=True)
class TilePlaces(Record):
    """A tile, and which of its files lie afar."""

    ref: TileRef
    afar: Mapping[str, FileAfar]
    """By name."""


@dataclass(frozen=True)
class PlannedRun:
    """A run that can start."""

    config: RunConfig
    survey: AfarSurvey
    """Its tiles in order of name."""
    model_file: Path
    model: Bundle
    manifest: RunManifest

    def settled(self, tiles: Mapping[str, TileRef], say: Say) -> dict[str, TileOutcome]:
        """The outcomes of ``tiles`` that can be trusted, as `RunDirectory.settled` has it."""
        directory = RunDirectory(self.config.out)
        return directory.settled(tiles, self.manifest.run_digest, say, partial(look, self.survey))


def plan_run(config: RunConfig, say: Say, compute: bool = True) -> PlannedRun:
    """Check a run, and look at its files; no tile is opened.

    ``compute``: False if this process computes no redshift.

    Raises
    ------
    ConfigError, BundleError
        If something cannot be used.
    InterruptedRunError
        If an archive does not answer.
    """
    remembered = config.places_afar and config.afar.fetchers == 0
    survey = read_places(config) if remembered else find_survey(config, say)
    check_tiles(survey.tiles, config)
    path = model_path(config.model)
    model = (
        tried(path, provider_here(config), config.allow_fallback) if compute else read_bundle(path)
    )
    check_magnitudes(survey.tiles, config, model.contract)
    if not remembered:
        survey = narrowed(survey, config, model.contract)
    manifest = make_manifest(config, survey.tiles, model, partial(look, survey))
    return PlannedRun(config, survey, path, model, manifest)


def write_places(config: RunConfig, survey: AfarSurvey) -> None:
    """Write which files lie afar, for drivers without a network; no more than a tile at once."""

    def line(ref: TileRef) -> str:
        afar = {file.path.name: FileAfar(file.shown, file.facts) for file in survey.files_of(ref)}
        return document_text(TilePlaces(ref, afar), indent=None)

    write_pieces(config.out / PLACES, map(line, survey.tiles.values()))


@no_collection()
def read_places(config: RunConfig) -> AfarSurvey:
    """The files afar as ``photoz fetch`` has found them.

    Raises
    ------
    ConfigError
        If it has not begun yet.
    """
    path = config.out / PLACES
    try:
        with path.open("rb") as file:
            tiles = [parse_document(TilePlaces, line, str(path)) for line in file]
    except FileNotFoundError as error:
        raise ConfigError(
            f"{config.out} does not tell yet which files lie afar: start photoz fetch"
            f" {config.out} first, where there is a network, or set fetchers"
        ) from error
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {error.strerror}") from error
    remote = {}
    for tile in tiles:
        for place in tile.ref.paths():
            if (afar := tile.afar.get(place.name)) is not None:
                remote[place] = RemoteFile(afar.url, place, afar.facts)
    return AfarSurvey({tile.ref.tile: tile.ref for tile in tiles}, remote)
