"""`photoz train`: survey tiles and spec-z, a kept set, or a simulation, to one sealed bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photoz_models.training_settings import Settings
from photoz_run.cli.bands import HELP
from photoz_run.cli.options import SPECTRA, Shown, checked, from_record
from photoz_run.config import RunConfig, load_config
from photoz_run.places import as_place
from photoz_run.training.settings import Recipe
from photoz_run.validation.settings import SpecSettings
from photoz_run.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from photoz_models.contract import ModelContract


ERRORS = "Errors and gaps put into the galaxies, drawn anew in each epoch"
ERROR_SETTINGS = (
    "seeing_error",
    "dmag_error",
    "sky_error",
    "position_error",
    "extra_noise",
    "lost_magnitudes",
    "lost_band",
)
TRAINED = "How it is trained and sealed"
TILES = "The tiles in --data"
SURVEY = {
    "select": Shown("EXPR", panel=TILES),
    "data_release": Shown("DR", panel=TILES),
}
RECIPE = {
    "network": Shown("NAME", panel=TRAINED),
    "ensemble": Shown("N", panel=TRAINED),
    "split": Shown(panel=TRAINED),
    "smooth_redshifts": Shown(panel=TRAINED),
    "version": Shown(panel=TRAINED),
    "licence": Shown(panel=TRAINED),
}
TRAINING = {
    "epochs": Shown(panel=TRAINED),
    "batch": Shown(panel=TRAINED),
    "learning_rate": Shown(panel=TRAINED),
    "alpha": Shown(panel=TRAINED),
    "patience": Shown(panel=TRAINED),
    "seed": Shown(panel=TRAINED),
    "mixed_precision": Shown(panel=TRAINED, option="--mixed-precision/--no-mixed-precision"),
    **{name: Shown(panel=ERRORS) for name in ERROR_SETTINGS},
}


@from_record(Recipe, RECIPE)
@from_record(Settings, TRAINING)
@from_record(RunConfig, SURVEY)
@from_record(SpecSettings, SPECTRA)
def train(
    out: Annotated[
        Path | None,
        typer.Option(help="The bundle to write, NAME.onnx; without it the set is only kept."),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folders with the survey's files.", metavar="DIR...", parser=as_place),
    ] = None,
    specz: Annotated[
        Path | None,
        typer.Option(help="Table of spec-z of any kind, GAMA's columns or others."),
    ] = None,
    kept_set: Annotated[
        Path | None, typer.Option("--set", help="Train on a set kept earlier instead.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(help="Train on a table of magnitudes and redshifts instead, without stamps."),
    ] = None,
    bands: Annotated[str, typer.Option(help=f"{HELP}.", metavar="BANDS")] = "",
    simulated: Annotated[
        bool,
        typer.Option(
            "--simulated", help="The table's galaxies are no observations: the bundle will say so."
        ),
    ] = False,
    keep_set: Annotated[
        Path | None, typer.Option(help="Keep the training set in this folder.")
    ] = None,
    checkpoints: Annotated[
        Path | None,
        typer.Option(help="Folder for checkpoints; a training found there is taken up again."),
    ] = None,
    loss_plot: Annotated[
        Path | None, typer.Option(help="Draw the loss curves into this PNG.")
    ] = None,
    **chosen: Any,
) -> None:
    """Train a photo-z network on labelled galaxies and seal it into one bundle.

    Examples: photoz train --data /data/KiDS --specz gkvScienceCatv02.fits --out kids.onnx

    photoz train --table mine.csv --bands B=mag_b,V=mag_v --z zspec --out bv.onnx
    """
    from photoz_run.cli.bands import columns_of_bands
    from photoz_run.cli.epochs import EpochLines
    from photoz_run.cli.extras import need

    need("torch", "onnx", extra="train")
    from photoz_models.kept_sets import load_examples, save_examples
    from photoz_models.whole_files import written_whole
    from photoz_run.errors import ConfigError, writing
    from photoz_run.run.interruption import interruptible
    from photoz_run.training.labelled import from_survey, from_table
    from photoz_run.training.recipe import make_bundle, plot_losses

    if simulated and table is None:
        raise ConfigError("--simulated is for --table; tiles and kept sets say it themselves")
    if out is None and keep_set is None:
        raise ConfigError(
            "nothing to make: give --out for a bundle, --keep-set for the training set, or both"
        )
    _refuse_to_overwrite(out, keep_set)
    survey, spectra, of_recipe, of_training = (
        {name: chosen.pop(name) for name in names if name in chosen}
        for names in (SURVEY, SPECTRA, RECIPE, TRAINING)
    )
    settings = checked(Settings, **of_training)
    recipe = checked(Recipe, **of_recipe, settings=settings)
    match (specz, kept_set, table):
        case (None, Path(), None):
            examples = load_examples(kept_set)
        case (None, None, Path()):
            columns = columns_of_bands(bands)
            if not columns or "z" not in spectra:
                raise ConfigError(
                    "--table needs --bands with its magnitude columns, and --z with its redshift"
                    " column"
                )
            labels = SpecSettings(file=table, **spectra)
            examples = from_table(labels, columns, simulated, typer.echo)
        case (Path(), None, None):
            if not data:
                raise ConfigError("no survey: give --data DIR with the tiles that --specz covers")
            tiles = {"tiles": ("all",), "data": tuple(data), "out": Path()}
            config = load_config(None, tiles | survey)
            examples = from_survey(config, SpecSettings(file=specz, **spectra), typer.echo)
        case _:
            raise ConfigError(
                "give one source of galaxies: --data with --specz, or --set, or --table"
            )
    if keep_set is not None:
        with (
            interruptible("the set is not complete, the same command writes it"),
            writing(keep_set),
        ):
            save_examples(examples, keep_set)
    typer.echo(f"{counted(len(examples), 'galaxy', 'galaxies')} of {examples.facts.name}")
    if out is None:
        typer.echo(f"next: photoz train --set {keep_set} --out NAME.onnx")
        return
    _say_where()
    lines = EpochLines(recipe.ensemble, settings.epochs)
    with interruptible(_then(keep_set, checkpoints)), lines.bar, writing(out):
        trained = make_bundle(examples, recipe, out, checkpoints, lines)
    with interruptible(f"the bundle is complete: {out}"):
        if loss_plot is not None:
            with writing(loss_plot), written_whole(loss_plot) as beside:
                plot_losses(trained.histories, beside)
        _print_test(out, trained.contract.test_metrics)
        typer.echo(f"next: {_next_step(out, trained.contract, bands)}")


def _say_where() -> None:
    """Tell what the network is trained on: with a broken driver PyTorch takes the CPU."""
    from photoz_models.training import gpu_here

    gpu, problem = gpu_here()
    typer.echo(f"training on {gpu or 'the CPU'}{f' ({problem})' if problem else ''}")


def _then(keep_set: Path | None, checkpoints: Path | None) -> str:
    """What holds of a training that was interrupted."""
    if keep_set is not None:
        return f"no bundle was written; the set is complete, train on it: --set {keep_set}"
    again = "goes on" if checkpoints else "starts anew"
    return f"no bundle was written, the same command {again}"


def _refuse_to_overwrite(out: Path | None, keep_set: Path | None) -> None:
    """Hours of work lie in a bundle or a kept set: `ConfigError` says what to do."""
    from photoz_models.kept_sets import FACTS_FILE
    from photoz_run.errors import ConfigError

    if out is not None and out.exists():
        raise ConfigError(f"{out}: it is there already; delete it, or choose another --out")
    if keep_set is not None and (keep_set / FACTS_FILE).exists():
        raise ConfigError(
            f"{keep_set}: a set is there already; train on it, --set {keep_set}, or choose another"
            " --keep-set"
        )


def _next_step(out: Path, contract: "ModelContract", bands: str) -> str:
    """The command that uses the bundle."""
    from photoz_run.cli.bands import columns_of_bands

    if contract.image_bands:
        return f"photoz-run --model {out} --tiles all --data DIR --out RUN"
    # Names of KiDS are recognised.
    others = {
        band: column
        for band, column in columns_of_bands(bands).items()
        if column != f"MAG_GAAP_{band}"
    }
    named = ",".join(f"{band}={column}" for band, column in others.items())
    named = f" --bands {named}" if named else ""
    return f"photoz apply {out} TABLE --out FILE.parquet{named}"


def _print_test(out: Path, metrics: "Mapping[str, float]") -> None:
    megabytes = out.stat().st_size / 1e6
    typer.echo(f"{out}: {megabytes:.2f} MB; test part of {metrics['number']:,.0f} galaxies:")
    for name in metrics:
        error = metrics.get(f"{name}_error")
        if error is not None:
            typer.echo(f"  {name:<12}{metrics[name]:9.5f} ± {error:.5f}")
