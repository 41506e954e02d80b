"""``photoz apply``: the redshifts of a table of magnitudes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from photoz_run.cli.bands import HELP
from photoz_run.wording import counted

if TYPE_CHECKING:
    from photoz_models.contract import ModelContract
    from photoz_run.applying.apply import Applied


def apply(
    bundle: Annotated[
        str,
        typer.Argument(
            help="A bundle of magnitudes: FILE.onnx, or a shipped name.", metavar="BUNDLE"
        ),
    ],
    table: Annotated[Path, typer.Argument(help="A table of any kind.", metavar="TABLE")],
    out: Annotated[
        Path, typer.Option(help="The file to write: .parquet or .fits.", metavar="FILE")
    ],
    bands: Annotated[
        str, typer.Option(help=f"{HELP} (default: MAG_GAAP_x).", metavar="BANDS")
    ] = "",
    id: Annotated[
        str, typer.Option(help="Its column of identifiers (default: ID).", metavar="COLUMN")
    ] = "",
    ra: Annotated[
        str, typer.Option(help="Right ascension (default: recognised).", metavar="COLUMN")
    ] = "",
    dec: Annotated[
        str, typer.Option(help="Declination (default: recognised).", metavar="COLUMN")
    ] = "",
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Further columns that come out as they are.", metavar="COLUMN..."),
    ] = None,
    provider: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where the network runs.")
    ] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Give each row of TABLE the redshift of a bundle that reads magnitudes alone.

    Every row comes out, in the order of TABLE, with its identifier and position,
    the redshift, its intervals and quantiles, flags, and the domain distance.

    Examples: photoz apply ninebands.onnx kids.fits --out photoz.parquet

    photoz apply bv.onnx mine.csv --out z.fits --bands B=mag_b,V=mag_v --id NAME

    Exit status: 0 done, 2 wrong usage or a table that cannot be used,
    75 interrupted or the disk is full.
    """
    from time import perf_counter

    from photoz_models.session import PhotozModel
    from photoz_run.applying.apply import apply_bundle
    from photoz_run.applying.columns import Wanted
    from photoz_run.cli.bands import columns_of_bands
    from photoz_run.config import model_path
    from photoz_run.errors import BadDataError, ConfigError, HostError, TransientError
    from photoz_run.progress import StepProgress
    from photoz_run.run.interruption import interruptible
    from photoz_run.tables.keys import Names

    wanted = Wanted(columns_of_bands(bands), Names(ra, dec, id), tuple(keep or ()))
    start = perf_counter()
    with interruptible("nothing was written, start the same command again"):
        # Batches are inferred side by side, each by one thread.
        model = PhotozModel.load(model_path(bundle), provider, threads=1)
        try:
            progress = StepProgress(quiet, "photoz apply")
            applied = apply_bundle(model, table, out, wanted, progress)
        except BadDataError as error:
            # No tile is to blame: the table is the user's to mend.
            raise ConfigError(str(error)) from error
        except TransientError as error:
            raise HostError(f"{error}; start the same command again") from error
    _print(applied, model.contract, out, perf_counter() - start)


def _print(applied: "Applied", contract: "ModelContract", out: Path, seconds: float) -> None:
    from rich.console import Console

    from photoz_run.cli.tables import flag_lines

    Console(highlight=False).print(f"{counted(applied.rows, 'row')} in {seconds:.1f} s")
    Console(highlight=False).print(f"magnitudes: {applied.columns}", soft_wrap=False)
    for line in flag_lines(applied.flags, applied.rows):
        typer.echo(line)
    if contract.training.simulated:
        typer.echo("the model was trained on simulations: not for science")
    typer.echo(f"redshifts: {out}")
