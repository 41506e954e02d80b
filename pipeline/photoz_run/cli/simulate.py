"""`photoz simulate`: a simulated survey in the KiDS file layout."""

from pathlib import Path
from typing import Annotated

import typer

from photoz_run.wording import counted

AGAIN = "the survey is not complete, the same command begins it anew"


def simulate(
    out: Annotated[
        Path,
        typer.Argument(
            help="Directory of the survey; new, empty, or left by an interrupted simulation.",
            metavar="OUT",
        ),
    ],
    tiles: Annotated[int, typer.Option(help="How many tiles.")] = 8,
    size: Annotated[int, typer.Option(help="Side of a coadd in pixels of 0.2 arcsec.")] = 2500,
    density: Annotated[
        float, typer.Option(help="Number of galaxies with r < 20.5 relative to the real sky.")
    ] = 20.0,
    data_release: Annotated[
        str, typer.Option(help="File layout: DR4.0, DR4.1 or DR5.0.")
    ] = "DR5.0",
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    full_size: Annotated[
        bool, typer.Option("--full-size", help="Real tiles: 18600 pixels, real density.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(help="Tiles made at the same time; the free cores by default.")
    ] = None,
    stamps: Annotated[
        bool,
        typer.Option("--stamps", help="Keep labelled stamps only: a set for `photoz train --set`."),
    ] = False,
) -> None:
    """Write simulated tiles into OUT, in the KiDS layout, with truth and spec-z.

    A tile of the default size holds about 400 galaxies with r < 20. With --full-size a tile takes
    13 GB of disk and each job 4 GB of memory.
    """
    import os

    from rich.console import Console
    from rich.progress import Progress

    from photoz_run.run.interruption import interruptible
    from photoz_run.simulation.settings import FULL_SIZE, SimulationSettings
    from photoz_run.simulation.survey import check, simulate_survey

    if full_size:
        size, density = FULL_SIZE, 1.0
    settings = SimulationSettings(size=size, density=density, data_release=data_release, seed=seed)
    jobs = len(os.sched_getaffinity(0)) if jobs is None else jobs
    check(settings, tiles, out, jobs)
    console = Console()
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("simulated tiles", total=tiles)

        def report(line: str) -> None:
            progress.advance(task)
            if not console.is_terminal:
                typer.echo(line)

        if stamps:
            from photoz_run.training.simulated import simulate_set

            with interruptible(AGAIN):
                number = simulate_set(settings, tiles, out, jobs, report)
            kept = (
                f"{counted(number, 'labelled galaxy', 'labelled galaxies')} of"
                f" {counted(tiles, 'tile')} in {out} and what is true of them"
            )
        else:
            with interruptible(AGAIN):
                simulate_survey(
                    settings,
                    tiles,
                    out,
                    jobs,
                    lambda tile: report(
                        f"{tile.tile}: {counted(len(tile.truth), 'source')},"
                        f" {len(tile.spectroscopy)} spec-z"
                    ),
                )
            kept = f"{counted(tiles, 'tile')} in {out}, with truth.parquet and specz.fits"
    typer.echo(kept)
