"""From labelled galaxies to a sealed bundle."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from photoz_models.contract import QUANTILE_LEVELS, ModelContract
from photoz_models.examples import Examples, Split, split_examples
from photoz_models.export import Label, SealedNetwork, export, seal
from photoz_models.network import ARCHITECTURES, Architecture, PhotozNetwork
from photoz_models.smoothing import smooth_redshifts
from photoz_models.stamp_rule import column_names
from photoz_models.training import Epoch, evaluate, train
from photoz_run.errors import ConfigError, writing
from photoz_run.training.comparison import measure
from photoz_run.training.settings import Recipe
from photoz_run.version import program_commit


class Report(Protocol):
    """Who is told how training goes on; networks are numbered from 1."""

    def epoch(self, network: int, epoch: Epoch) -> None:
        """After each epoch."""

    def batch(self, network: int, share: float) -> None:
        """After each batch, with the share of the epoch that is done."""


@dataclass(frozen=True)
class Trained:
    """A written bundle: its contract, and the training history of each network."""

    contract: ModelContract
    histories: list[list[Epoch]]


def make_bundle(
    examples: Examples, recipe: Recipe, out: Path, checkpoints: Path | None, report: Report
) -> Trained:
    """Train, calibrate, test and seal; write the bundle ``out``.

    Networks of an ensemble differ by their seeds. Training goes on from checkpoints in the folder
    ``checkpoints`` and writes them there.

    Raises
    ------
    ConfigError
        If there is no such network.
    TrainingError, BundleError
        If the set or a checkpoint cannot be used, or graph and networks differ.
    """
    architecture = choose_architecture(recipe.network, examples)
    out.parent.mkdir(parents=True, exist_ok=True)
    settings = recipe.settings
    split = split_examples(examples, settings.seed, recipe.split)
    if recipe.smooth_redshifts:
        split = smoothed(split, examples, settings.seed)
    # Asked for before training: the code on disk may be another one when it ends.
    label = Label(
        out.stem,
        recipe.version,
        datetime.now(UTC).date().isoformat(),
        program_commit(),
        settings.seed,
        recipe.split,
        recipe.licence,
    )
    with writing(checkpoints or out):
        networks, histories = _members(architecture, examples, split, recipe, checkpoints, report)
    sealed = seal(networks, examples, split)
    metrics = _test(sealed, examples, split)
    return Trained(export(sealed, examples, split, label, metrics, out), histories)


def choose_architecture(name: str, examples: Examples) -> Architecture:
    """The architecture called ``name``, for the stamps of this set.

    Without a name it is ``hybrid``, or ``magnitudes`` for a set without stamps. ``magnitudes``
    takes all magnitudes of the set. Networks on stamps, but for the published one,
    are told what the set knows of the seeing.

    Raises
    ------
    ConfigError
        If there is no such network, or it reads stamps that the set has not.
    """
    rule = examples.facts.rule
    name = name or ("hybrid" if rule.image_bands else "magnitudes")
    if name == "magnitudes":
        return replace(ARCHITECTURES["magnitudes9"], name=name, columns=rule.magnitude_bands)
    if name not in ARCHITECTURES:
        raise ConfigError(
            f"network {name!r} is none of {', '.join((*ARCHITECTURES, 'magnitudes'))}"
        )
    architecture = replace(ARCHITECTURES[name], stamp_size=examples.stamps_NCHW.shape[2])
    if architecture.image_bands and not rule.image_bands:
        raise ConfigError(f"network {name} reads stamps, and the set has none: take magnitudes")
    if architecture.published:
        return architecture
    known = tuple(band for band in architecture.image_bands if band in rule.seeing_bands)
    return replace(architecture, columns=column_names(architecture.columns, known))


def smoothed(split: Split, examples: Examples, seed: int) -> Split:
    """The same split with the peaks of the training part's redshift distribution thinned out."""
    return replace(
        split, train_N=split.train_N[smooth_redshifts(examples.z_N[split.train_N], seed)]
    )


def plot_losses(histories: Sequence[Sequence[Epoch]], path: Path) -> None:
    """Draw training and validation loss and validation SMAD against the epoch."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    losses, scatter = figure.subplots(1, 2)
    for history in histories:
        epochs = [line.epoch for line in history]
        losses.plot(epochs, [line.train_loss for line in history], color="0.6", lw=1.2)
        losses.plot(epochs, [line.validation_loss for line in history], color="C0", lw=1.2)
        scatter.plot(epochs, [line.validation_smad for line in history], color="C0", lw=1.2)
    losses.set(xlabel="epoch", ylabel="loss")
    losses.legend(losses.lines[:2], ["training (with gaps put in)", "validation"], frameon=False)
    scatter.set(xlabel="epoch", ylabel="validation SMAD of dz/(1+z)")
    # The first epochs are far above; what matters lies near the end.
    for axes in (losses, scatter):
        lowest = min(float(np.min(line.get_ydata())) for line in axes.lines)
        highest = max(float(np.max(line.get_ydata())) for line in axes.lines)
        axes.set_ylim(0.95 * lowest, min(1.05 * highest, 1.7 * lowest))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.savefig(path, dpi=120)


def _members(
    architecture: Architecture,
    examples: Examples,
    split: Split,
    recipe: Recipe,
    checkpoints: Path | None,
    report: Report,
) -> tuple[list[PhotozNetwork], list[list[Epoch]]]:
    networks, histories = [], []
    for member in range(1, recipe.ensemble + 1):
        settings = recipe.settings.model_copy(update={"seed": recipe.settings.seed + member - 1})
        checkpoint = None
        if checkpoints is not None:
            checkpoints.mkdir(parents=True, exist_ok=True)
            checkpoint = checkpoints / f"{architecture.name}-{settings.seed}.pt"
        reports = partial(report.epoch, member), partial(report.batch, member)
        network, history = train(architecture, examples, split, settings, checkpoint, *reports)
        networks.append(network)
        histories.append(history)
    return networks, histories


def _test(sealed: SealedNetwork, examples: Examples, split: Split) -> dict[str, float]:
    architecture = sealed.architecture
    in_bands = examples.narrowed(architecture.image_bands, architecture.columns)
    outputs = evaluate(sealed, in_bands, split.test_N)
    rows_N = split.test_N
    return measure(
        outputs, np.array(examples.z_N[rows_N]), examples.tile_N[rows_N], QUANTILE_LEVELS
    )
