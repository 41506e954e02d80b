"""`photoz train`: survey tiles and spec-z, a kept set, or a simulation, to one sealed bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from photoz_models.examples import Examples
    from photoz_models.training import Epoch


def train(
    out: Annotated[
        Path | None,
        typer.Option(help="The bundle to write, NAME.onnx; without it the set is only kept."),
    ] = None,
    data: Annotated[
        list[Path] | None, typer.Option(help="Folders with the survey's files.", metavar="DIR...")
    ] = None,
    specz: Annotated[
        Path | None,
        typer.Option(help="Table of spec-z (Parquet or FITS), GAMA's columns or others."),
    ] = None,
    kept_set: Annotated[
        Path | None, typer.Option("--set", help="Train on a set kept earlier instead.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            help="Train on a table of magnitudes and redshifts instead (network magnitudes)."
        ),
    ] = None,
    bands: Annotated[
        str, typer.Option(help="Its magnitude columns, NAME=COLUMN,... or COLUMN,...")
    ] = "",
    simulated: Annotated[
        bool,
        typer.Option(
            "--simulated", help="The table's galaxies are no observations: the bundle will say so."
        ),
    ] = False,
    keep_set: Annotated[
        Path | None, typer.Option(help="Keep the training set in this folder.")
    ] = None,
    network: Annotated[
        str,
        typer.Option(help="hybrid, images, magnitudes9, magnitudes4; magnitudes: all of the set."),
    ] = "hybrid",
    ensemble: Annotated[int, typer.Option(min=1, help="Networks to average.")] = 1,
    split: Annotated[
        Literal["galaxy", "tile"],
        typer.Option(help="Units of the split into training, validation and test part."),
    ] = "galaxy",
    smooth: Annotated[
        bool,
        typer.Option(
            "--smooth-redshifts", help="Thin out the peaks of the training part's redshifts."
        ),
    ] = False,
    ra: Annotated[str, typer.Option(help="Column of right ascension (default: recognised).")] = "",
    dec: Annotated[str, typer.Option(help="Column of declination (default: recognised).")] = "",
    z: Annotated[str, typer.Option(help="Column of the redshift (default: recognised).")] = "",
    quality: Annotated[
        str | None, typer.Option(help="Rows to trust, like 'NQ > 2' (default: the survey's cut).")
    ] = None,
    select: Annotated[
        str, typer.Option(help="bright, all, or an expression over catalogue columns.")
    ] = "bright",
    data_release: Annotated[
        str | None, typer.Option(help="DR4 or DR5 (default: from the file names).")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs at most.")] = 60,
    batch: Annotated[int, typer.Option(min=1, help="Galaxies in a batch.")] = 128,
    learning_rate: Annotated[
        float, typer.Option(help="Largest learning rate of the cycle.")
    ] = 3e-3,
    alpha: Annotated[
        float, typer.Option(help="The Huber loss is linear beyond this dz/(1+z).")
    ] = 0.02,
    patience: Annotated[
        int, typer.Option(help="Stop after so many epochs without a better validation loss.")
    ] = 15,
    seed: Annotated[int, typer.Option(help="Of split, weights and augmentation.")] = 1,
    mixed_precision: Annotated[
        bool | None,
        typer.Option(help="Images in bfloat16 (default: on a GPU); faster on CPUs with AMX, too."),
    ] = None,
    checkpoints: Annotated[
        Path | None,
        typer.Option(help="Folder for checkpoints; a training found there is taken up again."),
    ] = None,
    version: Annotated[str, typer.Option(help="Version written into the contract.")] = "1",
    loss_plot: Annotated[
        Path | None, typer.Option(help="Draw the loss curves into this PNG.")
    ] = None,
) -> None:
    """Train a photo-z network on labelled galaxies and seal it, with all preprocessing, into one bundle.

    Example: photoz train --data /data/KiDS-DR5 --specz gkvScienceCatv02.fits --keep-set gama-set --out kids.onnx
    """
    from photoz_run.cli.extras import need

    need("torch", "onnx", extra="train")
    from photoz_models.errors import BundleError, TrainingError
    from photoz_models.kept_sets import load_examples, save_examples
    from photoz_models.training import Settings, on_gpu
    from photoz_run.errors import ConfigError
    from photoz_run.training.recipe import Recipe, make_bundle, plot_losses

    if sum(source is not None for source in (specz, kept_set, table)) != 1:
        raise ConfigError("give one source of galaxies: --data with --specz, or --set, or --table")
    if simulated and table is None:
        raise ConfigError("--simulated is for --table; tiles and kept sets say it themselves")
    if out is None and keep_set is None:
        raise ConfigError(
            "nothing to make: give --out for a bundle, --keep-set for the training set, or both"
        )
    settings = Settings(
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        alpha=alpha,
        patience=patience,
        seed=seed,
        mixed_precision=on_gpu() if mixed_precision is None else mixed_precision,
    )
    recipe = Recipe(network, ensemble, split, smooth, settings, version)
    try:
        if kept_set is not None:
            examples = load_examples(kept_set)
        elif table is not None:
            examples = _from_table(table, bands, z, simulated)
        else:
            assert specz is not None
            examples = _from_survey(data or [], data_release, select, specz, (ra, dec, z, quality))
        if keep_set is not None:
            save_examples(examples, keep_set)
        typer.echo(f"{len(examples):,} galaxies of {examples.facts.name}")
        if out is None:
            return
        lines = EpochLines(ensemble, epochs)
        with lines.bar:
            trained = make_bundle(examples, recipe, out, checkpoints, lines)
    except (TrainingError, BundleError) as error:
        raise ConfigError(str(error)) from error
    if loss_plot is not None:
        plot_losses(trained.histories, loss_plot)
    metrics = trained.contract.test_metrics
    typer.echo(
        f"{out}: {out.stat().st_size / 1e6:.2f} MB; test part of {metrics['number']:,.0f} galaxies:"
    )
    for name in (name for name in metrics if f"{name}_error" in metrics):
        typer.echo(f"  {name:<12}{metrics[name]:9.5f} ± {metrics[f'{name}_error']:.5f}")


class EpochLines:
    """One line an epoch, with the time that is left by the pace of this network; on a terminal a bar below them."""

    def __init__(self, networks: int, epochs: int):
        from rich.console import Console
        from rich.progress import Progress

        self.networks, self.epochs, self.network, self.start, self.done = (
            networks,
            epochs,
            0,
            0.0,
            0,
        )
        console = Console()
        self.bar = Progress(console=console, disable=not console.is_terminal, transient=True)
        self.task = self.bar.add_task("", total=1.0)

    def epoch(self, network: int, epoch: "Epoch") -> None:
        """Print the line of ``epoch`` of network number ``network``."""
        from time import monotonic

        if network != self.network:
            self.network, self.start, self.done = network, monotonic(), 0
            self.bar.console.print("network  epoch      loss  validation      SMAD   minutes left")
        pace = (monotonic() - self.start) / self.done / 60 if self.done else None
        left = "-" if pace is None else f"{pace * (self.epochs - epoch.epoch):.1f}"
        self.done += 1
        self.bar.console.print(
            f"{network:3d}/{self.networks:<3d}{epoch.epoch:4d}/{self.epochs:<4d}{epoch.train_loss:9.4f}"
            f"{epoch.validation_loss:12.4f}{epoch.validation_smad:10.5f}{left:>15}",
            highlight=False,
        )

    def batch(self, network: int, share: float) -> None:
        """Move the bar of the epoch."""
        self.bar.update(self.task, completed=share, description=f"network {network}, epoch")


def _from_survey(
    data: list[Path],
    data_release: str | None,
    select: str,
    specz: Path,
    columns: tuple[str, str, str, str | None],
) -> "Examples":
    from photoz_models.examples import SetFacts
    from photoz_models.stamp_rule import IMAGE_BANDS, MAGNITUDE_BANDS
    from photoz_run.config import RunConfig
    from photoz_run.errors import ConfigError
    from photoz_run.survey.discovery import find_tiles
    from photoz_run.training.training_set import (
        Redshifts,
        build_training_set,
        is_simulated,
        join_examples,
        training_rule,
    )
    from photoz_run.validation.settings import SpecSettings
    from photoz_run.validation.specz import read_specz

    if not data:
        raise ConfigError("no survey: give --data DIR with the tiles that --specz covers")
    ra, dec, z, quality = columns
    sample = read_specz([SpecSettings(file=specz, ra=ra, dec=dec, z=z, quality=quality)])
    tiles = list(find_tiles(data, data_release).values())
    rule = training_rule(IMAGE_BANDS, MAGNITUDE_BANDS)
    config = RunConfig(
        tiles=("all",), data=tuple(data), out=Path(), data_release=data_release, select=select
    )
    simulated = any(is_simulated(ref) for ref in tiles)
    facts = SetFacts(f"{', '.join(sample.sources)} x {tiles[0].data_release}", simulated, rule)
    parts = []
    for part, _ in build_training_set(
        tiles, Redshifts(sample.ra_M, sample.dec_M, sample.z_M), config, facts
    ):
        typer.echo(f"{part.tile_N[0]}: {len(part)} galaxies with spec-z")
        parts.append(part)
    return join_examples(facts.name, parts)


def _from_table(table: Path, bands: str, z: str, simulated: bool) -> "Examples":
    import numpy as np

    from photoz_models.examples import Examples, SetFacts
    from photoz_models.stamp_rule import StampRule
    from photoz_run.errors import ConfigError
    from photoz_run.validation.tables import read_columns

    if not bands or not z:
        raise ConfigError(
            "--table needs --bands with its magnitude columns and --z with its redshift column"
        )
    named = dict(
        part.partition("=")[::2] if "=" in part else (part, part) for part in bands.split(",")
    )
    columns = read_columns([table], [*named.values(), z])
    magnitudes_NB = np.stack(
        [columns[column].astype(np.float32) for column in named.values()], axis=1
    )
    number = len(magnitudes_NB)
    rule = StampRule(
        image_bands=(),
        magnitude_bands=tuple(named),
        stamp_size=36,
        pixel_scale=0.2,
        dmag_applied=False,
        extinction_corrected=False,
    )
    facts = SetFacts(table.name, simulated, rule)
    no_stamps = np.zeros((number, 0, 36, 36), np.float32)
    return Examples(
        facts, no_stamps, magnitudes_NB, columns[z].astype(np.float32), np.full(number, table.name)
    )
