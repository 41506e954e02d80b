"""``photoz fetch``: fill the window of a run from a machine that has a network."""

from pathlib import Path
from typing import Annotated

import typer

FETCHERS = 4
"""Files fetched at once where the run's own drivers fetch none."""


def fetch(
    run: Annotated[Path, typer.Argument(help="Run directory.", metavar="RUN")],
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file of the run, if it has not begun.", metavar="FILE"),
    ] = None,
    fetchers: Annotated[
        int | None,
        typer.Option(help="Files fetched at once.", metavar="N", min=1),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON; no progress.")
    ] = False,
) -> None:
    """Fetch the tiles of the run in RUN into its window, while workers elsewhere measure them.

    For compute nodes without a network. It ends when every tile is there or has been measured.

    Example: photoz fetch my-run --config dr5.toml
    """
    from photoz_models.documents import document_text
    from photoz_run.config import load_config
    from photoz_run.errors import ConfigError
    from photoz_run.progress import StepProgress
    from photoz_run.run.fetching import fetch_run
    from photoz_run.wording import counted

    file = config or run / "run.toml"
    if not file.exists():
        raise ConfigError(f"{run} is no run yet; give its settings, --config FILE")
    settings = load_config(file, {"out": run})
    if not settings.places_afar:
        raise ConfigError(f"{file}: all data lie here, nothing is to be fetched")
    number = fetchers or settings.afar.fetchers or FETCHERS
    afar = settings.afar.model_copy(update={"fetchers": number})
    settings = settings.model_copy(update={"afar": afar})
    summary = fetch_run(
        settings, StepProgress(quiet=as_json), lambda words: typer.echo(words, err=True)
    )
    if as_json:
        typer.echo(document_text(summary), nl=False)
        return
    if not summary.bytes:
        typer.echo("nothing was fetched: every tile is there, or has been measured")
        return
    rate = summary.bytes / max(summary.seconds, 1e-3) / 1e6
    typer.echo(
        f"{counted(summary.tiles, 'tile')} fetched, {summary.bytes / 1e9:,.3g} GB in"
        f" {summary.seconds:,.0f} s ({rate:,.3g} MB/s)"
    )
