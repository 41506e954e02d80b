"""`photoz train`: survey tiles and spec-z, a kept set, or a simulation, to one sealed bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from photoz_models.training_settings import Settings
from photoz_run.cli.bands import HELP
from photoz_run.cli.options import Shown, from_record
from photoz_run.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from photoz_models.contract import ModelContract


TRAINING = {
    "epochs": Shown(),
    "batch": Shown(),
    "learning_rate": Shown(),
    "alpha": Shown(),
    "patience": Shown(),
    "seed": Shown(),
}


@from_record(Settings, TRAINING)
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
    network: Annotated[
        str,
        typer.Option(
            help="hybrid, hybrid-z, images, magnitudes9, magnitudes4; magnitudes: all of the set"
            " (default: hybrid; magnitudes for a set without stamps)."
        ),
    ] = "",
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
    mixed_precision: Annotated[
        bool | None,
        typer.Option(help="Images in bfloat16 (default: on a GPU); faster on CPUs with AMX, too."),
    ] = None,
    checkpoints: Annotated[
        Path | None,
        typer.Option(help="Folder for checkpoints; a training found there is taken up again."),
    ] = None,
    version: Annotated[str, typer.Option(help="Version written into the contract.")] = "1",
    licence: Annotated[
        str, typer.Option(help="Licence of the bundle, like CC-BY-4.0; written into the contract.")
    ] = "not stated",
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
    from photoz_models.training import on_gpu
    from photoz_models.whole_files import written_whole
    from photoz_run.errors import ConfigError, writing
    from photoz_run.run.interruption import interruptible
    from photoz_run.training.labelled import from_survey, from_table
    from photoz_run.training.recipe import Recipe, make_bundle, plot_losses
    from photoz_run.validation.settings import SpecSettings

    if simulated and table is None:
        raise ConfigError("--simulated is for --table; tiles and kept sets say it themselves")
    if out is None and keep_set is None:
        raise ConfigError(
            "nothing to make: give --out for a bundle, --keep-set for the training set, or both"
        )
    _refuse_to_overwrite(out, keep_set)
    mixed = on_gpu() if mixed_precision is None else mixed_precision
    settings = Settings(mixed_precision=mixed, **chosen)
    recipe = Recipe(network, ensemble, split, smooth, settings, version, licence)
    match (specz, kept_set, table):
        case (None, Path(), None):
            examples = load_examples(kept_set)
        case (None, None, Path()):
            columns = columns_of_bands(bands)
            if not columns or not z:
                raise ConfigError(
                    "--table needs --bands with its magnitude columns, and --z with its redshift"
                    " column"
                )
            examples = from_table(table, columns, z, quality, simulated, typer.echo)
        case (Path(), None, None):
            if not data:
                raise ConfigError("no survey: give --data DIR with the tiles that --specz covers")
            spectra = SpecSettings(file=specz, ra=ra, dec=dec, z=z, quality=quality)
            examples = from_survey(data, data_release, select, spectra, typer.echo)
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
    lines = EpochLines(ensemble, settings.epochs)
    again = "goes on" if checkpoints else "starts anew"
    with interruptible(f"no bundle was written, the same command {again}"), lines.bar, writing(out):
        trained = make_bundle(examples, recipe, out, checkpoints, lines)
    with interruptible(f"the bundle is complete: {out}"):
        if loss_plot is not None:
            with writing(loss_plot), written_whole(loss_plot) as beside:
                plot_losses(trained.histories, beside)
        _print_test(out, trained.contract.test_metrics)
        typer.echo(f"next: {_next_step(out, trained.contract, bands)}")


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
