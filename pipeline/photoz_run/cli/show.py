"""``photoz show``: what is known of a galaxy, and why it has its redshift."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from photoz_run.places import as_place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from photoz_run.show.holdings import Holdings
    from photoz_run.show.sights import Sight
    from photoz_run.validation.specz import SpecSample

    Writer: TypeAlias = Callable[[Sequence[Sight], Holdings, Path], None]

FORMATS = (".html", ".png", ".pdf")


def show(
    target: Annotated[
        list[str],
        typer.Argument(
            help="RA and DEC (deg), an ID, or a table of targets.", metavar="RA DEC | ID | FILE"
        ),
    ],
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folders with the survey's files.", metavar="DIR...", parser=as_place),
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Run directory.", metavar="DIR")] = None,
    release: Annotated[Path | None, typer.Option(help="Release.", metavar="DIR")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="With --data alone: a bundle or the name of a shipped one (default: hybrid-sim).",
            metavar="MODEL",
        ),
    ] = None,
    select: Annotated[
        str,
        typer.Option(
            help="With --data alone: the sample it is said to be in or not.", metavar="EXPR"
        ),
    ] = "bright",
    specz: Annotated[
        list[Path] | None, typer.Option(help="Tables of spec-z.", metavar="FILE...")
    ] = None,
    radius: Annotated[
        float,
        typer.Option(help="How far a source may lie from a position.", min=0.01, metavar="ARCSEC"),
    ] = 3.0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="FILE.html for a page, FILE.png or FILE.pdf for a figure.", metavar="FILE"
        ),
    ] = None,
) -> None:
    """Show a galaxy: redshift, distribution, stamps, magnitudes, and what its redshift hangs on.

    It is measured from the survey's files (--data), or looked up in a run or a release and
    measured again if their files are at hand. Exit code 2 if nothing is there.

    Examples: photoz show 180.0140 -0.5655 --run my-run

    photoz show targets.csv --data /data/KiDS-DR5 --out targets.html
    """
    from rich.console import Console
    from rich.progress import Progress

    from photoz_run.errors import ConfigError
    from photoz_run.run.interruption import interruptible
    from photoz_run.show.holdings import open_holdings
    from photoz_run.show.sights import look
    from photoz_run.show.targets import parse_targets
    from photoz_run.show.terminal import print_sights

    targets = parse_targets(target)
    write = _writer(out, len(targets))
    holdings = open_holdings(data or (), run, release, model, select)
    spectra = _specz(specz or ())
    console = Console(highlight=False)
    with (
        interruptible("nothing was written"),
        Progress(console=console, disable=not console.is_terminal, transient=True) as progress,
    ):
        task = progress.add_task("galaxies", total=len(targets))
        sights = look(targets, holdings, spectra, radius, lambda n: progress.advance(task, n))
    if not any(sight.galaxy for sight in sights):
        more = f" (and {len(sights) - 1} more targets)" if len(sights) > 1 else ""
        raise ConfigError(f"{sights[0].target.words}: {sights[0].problem}{more}")
    print_sights(sights, holdings, console)
    if out is not None and write is not None:
        write(sights, holdings, out)
        console.print(f"  {out}", soft_wrap=True)


def _writer(out: Path | None, number: int) -> "Writer | None":
    """What writes a file of this kind; refused before anything is measured."""
    from photoz_run.errors import ConfigError

    if out is None:
        return None
    if out.suffix not in FORMATS:
        raise ConfigError(f"--out {out}: give a name that ends in {', '.join(FORMATS)}")
    if out.suffix == ".png" and number > 1:
        raise ConfigError(f"--out {out}: {number} targets make no picture; give .html or .pdf")
    if not out.absolute().parent.is_dir():
        raise ConfigError(f"--out {out}: the folder does not exist")
    if out.suffix == ".html":
        from photoz_run.show.page import write_page

        return write_page
    from photoz_run.show.figure import write_figures

    return write_figures


def _specz(files: "Sequence[Path]") -> "SpecSample | None":
    from photoz_run.errors import BadDataError, ConfigError
    from photoz_run.validation.settings import SpecSettings
    from photoz_run.validation.specz import read_specz

    if not files:
        return None
    try:
        return read_specz([SpecSettings(file=path) for path in files])
    except BadDataError as error:
        raise ConfigError(str(error)) from error
