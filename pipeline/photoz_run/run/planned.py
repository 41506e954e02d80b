"""A run before it starts: checked, with its model, its tiles and every input file.

places.json   in the run directory: the files afar, for a driver that has no network itself
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from photoz_models.documents import Record, read_document
from photoz_models.errors import DocumentError
from photoz_models.session import PhotozModel
from photoz_run.afar.listing import AfarSurvey, RemoteFile
from photoz_run.afar.store import Facts
from photoz_run.config import RunConfig, model_path
from photoz_run.errors import ConfigError
from photoz_run.records import TileOutcome, TileRef
from photoz_run.run.finding import find_survey, look, narrowed
from photoz_run.run.ledger import RunDirectory, write_document
from photoz_run.run.manifest import RunManifest, make_manifest
from photoz_run.run.plan import check_magnitudes, check_tiles

PLACES = "places.json"
Say = Callable[[str], None]


@dataclass(frozen=True)
class FileAfar(Record):
    """A file afar as it was when the run was planned."""

    url: str
    """Without secrets: whoever fetches lists the files again."""
    facts: Facts


@dataclass(frozen=True)
class Places(Record):
    """The tiles of a run, and which of their files lie afar."""

    tiles: Mapping[str, TileRef]
    afar: Mapping[str, FileAfar]
    """By place in the window."""


@dataclass(frozen=True)
class PlannedRun:
    """A run that can start."""

    config: RunConfig
    survey: AfarSurvey
    """Its tiles in order of name."""
    model_file: Path
    model: PhotozModel
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
    provider = config.provider if compute else "cpu"
    model = PhotozModel.load(path, provider, config.allow_fallback, verify=compute)
    check_magnitudes(survey.tiles, config, model.contract)
    if not remembered:
        survey = narrowed(survey, config, model.contract)
    manifest = make_manifest(config, survey.tiles, model, partial(look, survey))
    return PlannedRun(config, survey, path, model, manifest)


def write_places(config: RunConfig, survey: AfarSurvey) -> None:
    """Write which files lie afar, for drivers without a network."""
    afar = {str(path): FileAfar(file.shown, file.facts) for path, file in survey.remote.items()}
    write_document(config.out / PLACES, Places(survey.tiles, afar))


def read_places(config: RunConfig) -> AfarSurvey:
    """The files afar as ``photoz fetch`` has found them.

    Raises
    ------
    ConfigError
        If it has not begun yet.
    """
    try:
        places = read_document(Places, config.out / PLACES)
    except DocumentError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise ConfigError(
            f"{config.out} does not tell yet which files lie afar: start photoz fetch"
            f" {config.out} first, where there is a network, or set fetchers"
        ) from error
    remote = {
        Path(path): RemoteFile(file.url, Path(path), file.facts)
        for path, file in places.afar.items()
    }
    return AfarSurvey(places.tiles, remote)
