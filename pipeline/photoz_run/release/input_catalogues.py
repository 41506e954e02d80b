"""The catalogues that a run has measured, unchanged since; those from afar are fetched anew."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from photoz_run.afar.fetching import Portion, fetch
from photoz_run.afar.listing import AfarSurvey, find_afar, looked_at
from photoz_run.afar.transfer import Manners
from photoz_run.errors import ConfigError
from photoz_run.run.manifest import RunManifest


@dataclass(frozen=True)
class InputCatalogues:
    """The catalogue of each tile, here or afar."""

    survey: AfarSurvey
    """With the catalogues as the only files of its tiles."""
    manners: Manners
    """Towards their servers."""
    scratch: Path | None
    """Folder for one that is fetched; ``None`` for that of temporary files."""

    @contextmanager
    def opened(self, tile: str) -> Iterator[Path]:
        """The catalogue of a tile; a fetched one is deleted after the block.

        Raises
        ------
        BadDataError
            If it cannot be fetched, or is not the one of its checksum.
        TransientError
            If its server fails again and again.
        """
        path = self.survey.tiles[tile].catalogue
        assert path is not None
        file = self.survey.remote.get(path)
        if file is None:
            yield path
            return
        with TemporaryDirectory(dir=self.scratch) as folder:
            here = replace(file, path=Path(folder, path.name))
            fetch(Portion(here), self.manners)
            yield here.path


def input_catalogues(
    manifest: RunManifest, tiles: Sequence[str], scratch: Path | None
) -> InputCatalogues:
    """Find the catalogues of ``tiles`` by the settings of their run.

    Raises
    ------
    ConfigError
        If one is not found, or has changed since it was measured.
    InterruptedRunError
        If a server does not answer.
    """
    config = manifest.config
    known = find_afar(config.data, Path(), config.data_release)
    refs = {
        tile: replace(known.tiles[tile], images={})
        for tile in tiles
        if tile in known.tiles and known.tiles[tile].catalogue is not None
    }
    lost = sorted(set(tiles) - set(refs))
    if lost:
        places = ", ".join(map(str, config.data))
        raise ConfigError(
            f"--keep: {len(lost)} of {len(tiles)} tiles have no catalogue in {places} now, the"
            f" first is {lost[0]}; put it back, or leave --keep out"
        )
    survey = looked_at(AfarSurvey(refs, known.remote), refs)
    for tile in refs:
        _refuse_changed(survey, tile, manifest)
    rate = config.afar.fetch_rate
    return InputCatalogues(survey, Manners(rate * 1e6 if rate else None), scratch)


def _refuse_changed(survey: AfarSurvey, tile: str, manifest: RunManifest) -> None:
    recorded = {file.name: file for file in manifest.inputs[tile]}
    ref = survey.tiles[tile]
    (file,) = survey.inputs_of(ref)
    if file != recorded.get(file.name):
        places = [remote.shown for remote in survey.files_of(ref)] or ref.paths()
        raise ConfigError(
            f"{places[0]}: the catalogue of {tile} has changed since it was measured (another"
            " name, size or time); restore it, or measure the tile again"
        )
