"""``photoz status`` and ``photoz retry``: look at a run, and readmit its quarantined tiles."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photoz_run.wording import counted, duration, sized

if TYPE_CHECKING:
    from rich.console import Console

    from photoz_run.run.status import RunStatus

LOGS = "logs/<group>/<tile>.log"


def status(
    run: Annotated[Path, typer.Argument(help="Run directory.", metavar="RUN")],
    as_json: Annotated[
        bool, typer.Option("--json", help="As JSON, with every quarantined tile.")
    ] = False,
) -> None:
    """Say how far the run in RUN is, who works on it, how fast, and why tiles failed.

    Example: photoz status my-run
    """
    from photoz_models.documents import document_text
    from photoz_run.run.status import read_status

    state = read_status(run)
    if as_json:
        typer.echo(document_text(state), nl=False)
        return
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    counts = ", ".join(f"{number:,} {name}" for name, number in state.tiles.items() if number)
    console.print(
        f"{state.run}: {counted(state.total, 'tile')} ({counts}), {counted(state.rows, 'row')},"
        f" model {state.model}"
    )
    _print_problems(console, state)
    _print_work(console, state)
    _print_fetching(console, state)
    _print_hosts(console, state)
    _print_failures(console, state)


def retry(
    run: Annotated[Path, typer.Argument(help="Run directory.", metavar="RUN")],
    tiles: Annotated[
        list[str] | None,
        typer.Option(help="Quarantined tiles to readmit (default: all).", metavar="SPEC..."),
    ] = None,
) -> None:
    """Readmit quarantined tiles of the run in RUN; the next `photoz-run` measures them again.

    Example: photoz retry my-run --tiles 'KIDS_18*'
    """
    from photoz_run.records import Status
    from photoz_run.run.ledger import RunDirectory
    from photoz_run.survey.discovery import expand_tiles

    directory = RunDirectory(run)
    directory.read_manifest()
    recorded = directory.usable_outcomes()
    if recorded.problem:
        typer.echo(f"{recorded.problem}; the next run measures their tiles anew", err=True)
    bad = [
        tile for tile, outcome in recorded.by_tile.items() if outcome.status is Status.QUARANTINED
    ]
    if not bad:
        typer.echo("no tile is quarantined; there is nothing to readmit")
        return
    readmitted = expand_tiles(tiles, bad) if tiles else bad
    for tile in readmitted:
        directory.readmit(tile)
    typer.echo(
        f"{len(readmitted)} of {counted(len(bad), 'quarantined tile')} readmitted;"
        " start the run again to measure them"
    )


def _print_problems(console: "Console", state: "RunStatus") -> None:
    from photoz_run.alike import EXAMPLES

    for problem in state.problems[:EXAMPLES]:
        console.print(f"  {problem}", style="red")
    more = len(state.problems) - EXAMPLES
    if more > 0:
        records = counted(more, "more record")
        console.print(f"  {records} cannot be used (--json lists all)", style="red")


def _print_work(console: "Console", state: "RunStatus") -> None:
    for process in state.working:
        console.print(f"  {process.lock}: {process}")
    if not state.working:
        pending = state.tiles["PENDING"]
        words = "nobody works on it; start the same command again to go on"
        console.print(f"  {words if pending else 'every tile has ended'}")
        return
    workers, tiles = counted(state.workers, "worker"), counted(state.tiles["RUNNING"], "tile")
    console.print(f"  {workers}, {tiles} with them")
    if state.tiles_per_hour is not None and state.seconds_left is not None:
        console.print(
            f"  {state.tiles_per_hour:,.1f} tiles/h, {state.galaxies_per_second:,.0f} galaxies/s,"
            f" {(state.bytes_per_second or 0) / 1e6:,.0f} MB/s;"
            f" about {duration(state.seconds_left)} left"
        )


def _print_fetching(console: "Console", state: "RunStatus") -> None:
    fetching = state.fetching
    if fetching is None:
        return
    if fetching.moved:
        each = (fetching.bytes_per_second_each or 0) / 1e6
        console.print(f"  {sized(fetching.moved)} fetched, each file at {each:,.3g} MB/s")
    if not (state.working or state.tiles["PENDING"]):
        return
    waiting, coming = counted(fetching.waiting, "tile"), fetching.on_their_way
    console.print(f"  window: {waiting} waiting, {coming} on their way")
    if not fetching.hosts:
        console.print("  nobody fetches")
        return
    rate = (fetching.bytes_per_second or 0) / 1e6
    slower = f"; {fetching.slower} is slower" if fetching.slower else ""
    console.print(
        f"  {counted(fetching.fetchers, 'fetcher')}, on {', '.join(fetching.hosts)},"
        f" {counted(fetching.fetched, 'tile')} fetched, {rate:,.3g} MB/s{slower}"
    )


def _print_hosts(console: "Console", state: "RunStatus") -> None:
    from rich.table import Table

    if not any(count.failed for count in state.hosts.values()):
        return
    table = Table("host", "good tries", "failed", "rate", box=None, pad_edge=True)
    for host, count in state.hosts.items():
        table.add_row(
            host,
            f"{count.good:,}",
            f"{count.failed:,}",
            f"{count.failed / (count.good + count.failed):.0%}",
        )
    console.print(table)


def _print_failures(console: "Console", state: "RunStatus") -> None:
    from photoz_run.alike import in_lines, named

    for group in state.failures:
        console.print(
            f"  {len(group.tiles):,} quarantined, {group.error}: {group.reason}", style="red"
        )
        console.print(f"    {named(group.tiles, '--json')}")
    for line in in_lines(state.remarks, "--json"):
        console.print(f"  {line}", style="yellow")
    if state.deviant:
        words = f"zero-point unlike the other tiles': {named(state.deviant, '--json')}"
        console.print(f"  {words}", style="yellow")
    if state.failures:
        console.print(
            f"  how each went: {state.run}/{LOGS}; after mending: photoz retry {state.run}"
        )
