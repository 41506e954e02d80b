"""Where to look: a survey's files, a run, or a release; and what is at hand of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photoz_models.session import PhotozModel
from photoz_run.config import BUNDLED_MODEL, RunConfig, load_config
from photoz_run.errors import ConfigError, PhotozError
from photoz_run.facade.redshifts import load_bundle
from photoz_run.facade.survey import Survey, open_survey
from photoz_run.science.selection import names_in
from photoz_run.tables.table import Table
from photoz_run.validation.tables import open_catalogue


@dataclass(frozen=True)
class Holdings:
    """A survey, or a run or a release with what is at hand of the files it was made from."""

    words: str
    """``survey survey``, ``run my-run``."""
    model: str
    simulated: bool
    """Whether the model was trained on simulations."""
    config: RunConfig
    survey: Survey | None
    bundle: PhotozModel | None
    catalogue: Table | None = None
    """The rows of the run or the release."""
    notes: tuple[str, ...] = ()
    """What cannot be shown, and why."""


@dataclass(frozen=True)
class Origin:
    """What a run or a release says of its making."""

    words: str
    config: RunConfig
    model: str
    digest: str
    simulated: bool
    catalogue: Table


def open_holdings(
    data: Sequence[Path], run: Path | None, release: Path | None, model: str | None, select: str
) -> Holdings:
    """Open where the user says.

    Raises
    ------
    ConfigError
        If that is nothing or too much, or there is nothing to look at.
    """
    if run is not None and release is not None:
        raise ConfigError("give --run or --release, not both")
    if run is None and release is None:
        if not data:
            raise ConfigError("say where to look: --data DIR, --run RUN or --release DIR")
        return _survey(data, model or BUNDLED_MODEL, select)
    if model:
        raise ConfigError("--model goes with --data alone: a run or a release has its own")
    origin = _run(run) if run is not None else _release(Path(release or ""))
    return _with_files(origin, data)


def _survey(data: Sequence[Path], model: str, select: str) -> Holdings:
    names_in(select)  # refuses what is no expression
    # A source is shown with what there is of it.
    chosen = {"tiles": ("all",), "data": tuple(data), "out": Path(), "model": model}
    config = load_config(None, chosen | {"select": select, "missing_band": "flag"})
    survey, bundle = open_survey(*data), load_bundle(model)
    contract = bundle.contract
    name = f"{contract.name} {contract.version}"
    words = f"survey {', '.join(str(folder) for folder in data)}"
    return Holdings(words, name, contract.training.simulated, config, survey, bundle)


def _run(path: Path) -> Origin:
    from photoz_run.run.ledger import RunDirectory

    manifest = RunDirectory(path).read_manifest()
    model = f"{manifest.model} {manifest.model_version}"
    return Origin(
        f"run {path}",
        manifest.config,
        model,
        manifest.model_digest,
        manifest.simulated_training,
        open_catalogue(path),
    )


def _release(path: Path) -> Origin:
    from photoz_run.release.folder import PROVENANCE
    from photoz_run.release.provenance import read_provenance

    if not (path / PROVENANCE).is_file():
        raise ConfigError(f"{path} is not a release: it has no {PROVENANCE}")
    facts = read_provenance(path)
    settings: Mapping[str, Any] = facts.run.config
    known = {name: value for name, value in settings.items() if name in RunConfig.model_fields}
    return Origin(
        f"release {path}",
        load_config(None, dict(known)),
        f"{facts.model.name} {facts.model.version}",
        facts.model.digest,
        facts.model.simulated_training,
        open_catalogue(path),
    )


def _with_files(origin: Origin, data: Sequence[Path]) -> Holdings:
    """The survey's files and the bundle of a run or a release, where they are at hand."""
    notes = []
    survey = bundle = None
    try:
        survey = open_survey(*(data or origin.config.data), data_release=origin.config.data_release)
    except PhotozError as error:
        if data:
            raise
        notes.append(f"no stamps and magnitudes: {error}; name the folder, --data DIR")
    try:
        loaded = load_bundle(origin.config.model)
        bundle = loaded if loaded.digest == origin.digest else None
        problem = "" if bundle else f"{origin.config.model} has changed since"
    except PhotozError as error:
        problem = str(error)
    if problem:
        notes.append(f"nothing is measured anew: {problem}")
    return Holdings(
        origin.words,
        origin.model,
        origin.simulated,
        origin.config,
        survey,
        bundle,
        origin.catalogue,
        tuple(notes),
    )
