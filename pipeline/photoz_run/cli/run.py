"""``photoz-run``, also ``photoz run``: tiles in, photo-z catalogue out."""

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typing_extensions import Doc

from photoz_run.afar_settings import AfarConfig
from photoz_run.cli.console import SETTINGS, Command, Version, call
from photoz_run.cli.options import Shown, from_record
from photoz_run.cli.tables import flag_lines
from photoz_run.config import ClusterConfig, RunConfig, load_config, model_path
from photoz_run.wording import counted, duration, sized

if TYPE_CHECKING:
    from photoz_run.run.plan import FetchPlan, TilePlan
    from photoz_run.run.summary import RunSummary

WORKERS = "Where the workers run"
FETCHING = "Tiles from afar"
LISTED = 40
"""Tiles listed one by one in a dry run on a terminal; the JSON has all."""


RUN = {
    "tiles": Shown("SPEC..."),
    "data": Shown("PLACE..."),
    "out": Shown("DIR"),
    "model": Shown("MODEL"),
    "data_release": Shown("DR"),
    "select": Shown("EXPR"),
    "formats": Shown("FORMATS", comma=True),
    "keep": Shown("COLUMN..."),
    "quantiles": Shown(),
    "magnitudes": Shown("FILE"),
    "magnitudes_by": Shown(),
    "magnitudes_ra": Shown("COLUMN", option="--ra"),
    "magnitudes_dec": Shown("COLUMN", option="--dec"),
    "magnitudes_id": Shown("COLUMN", option="--id"),
    "provider": Shown(),
    "allow_fallback": Shown(),
    "workers": Shown("N", panel=WORKERS),
    "shard": Shown("I/N", panel=WORKERS),
}
"""The settings of a run that are options too; the others stand in the TOML file."""
CLUSTER = {
    "kind": Shown("KIND", panel=WORKERS, option="--cluster"),
    "gpus": Shown(panel=WORKERS),
    "scheduler": Shown("ADDRESS", panel=WORKERS),
    "scheduler_file": Shown("FILE", panel=WORKERS),
}


AFAR = {
    "window": Shown("SIZE|N", panel=FETCHING),
    "scratch_shared": Shown("DIR", panel=FETCHING),
    "fetchers": Shown("N", panel=FETCHING),
}
JOB = {
    "queue": Shown("NAME", panel=WORKERS),
    "account": Shown("NAME", panel=WORKERS),
    "walltime": Shown("HH:MM:SS", panel=WORKERS),
    "memory": Shown("SIZE", panel=WORKERS),
}


@dataclass(frozen=True)
class WorkerJob:
    """Keys of dask-jobqueue, the same for every batch system, that are options too.

    A `ClusterConfig` takes them, and all others, as they are.
    """

    queue: Annotated[str | None, Doc("queue or partition of the worker jobs")] = None
    account: Annotated[str | None, Doc("account they are charged to")] = None
    walltime: Annotated[str | None, Doc("longest time of a worker job")] = None
    memory: Annotated[str | None, Doc("memory of a worker job (default: 8GB)")] = None


@from_record(RunConfig, RUN)
@from_record(ClusterConfig, CLUSTER)
@from_record(WorkerJob, JOB)
@from_record(AfarConfig, AFAR)
def run(
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file with any of these options, and a few more.", metavar="FILE"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Delete the run in --out and start over.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON; no progress.")
    ] = False,
    version: Version = False,
    **chosen: Any,
) -> None:
    """Measure photometric redshifts: stream survey tiles past a sealed network into a catalogue.

    Examples: photoz-run --tiles 'KIDS_18*' --data /data/KiDS-DR5 --out my-run

    photoz-run --config dr5.toml --cluster slurm --workers 4:40

    Exit status: 0 done, 2 wrong usage or settings, 3 done but tiles
    quarantined, 75 interrupted (run again to resume).
    """
    chosen["cluster"] = {name: chosen.pop(name) for name in (*CLUSTER, *JOB) if name in chosen}
    chosen["afar"] = {name: chosen.pop(name) for name in AFAR if name in chosen}
    if dry_run:
        # Nothing is written, so that nobody need say where.
        from photoz_run.run.interruption import interruptible

        with interruptible("nothing was written"):
            _dry_run(load_config(config, chosen, {"out": Path()}), as_json)
        return
    settings = load_config(config, chosen)
    with _workers_import(settings.cluster):
        from photoz_models.documents import document_text
        from photoz_run.run.driver import run as run_tiles
        from photoz_run.run.progress import Progress

        summary = run_tiles(settings, Progress(quiet=as_json), restart)
    if as_json:
        print(document_text(summary.document), end="")
    else:
        _print_summary(summary)
    raise typer.Exit(int(summary.exit_code))


def command_line() -> typer.Typer:
    """``photoz-run`` as a command of its own."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command(cls=Command, no_args_is_help=True, context_settings=SETTINGS)(run)
    return app


def main() -> None:
    """Entry point of ``photoz-run``."""
    call(command_line(), "photoz-run", sys.argv[1:])


def _workers_import(cluster: ClusterConfig) -> AbstractContextManager[None]:
    """Let workers of this machine import what they need while this process does."""
    if cluster.elsewhere:
        return nullcontext()
    from photoz_run.run.fork_server import fork_server

    return fork_server()


def _dry_run(settings: RunConfig, as_json: bool) -> None:
    from photoz_models.documents import document_text
    from photoz_models.session import PhotozModel
    from photoz_run.run.gpus import provider_here
    from photoz_run.run.plan import (
        DryRun,
        check_magnitudes,
        check_tiles,
        dry_run,
        find_run_tiles,
    )

    def say(words: str) -> None:
        typer.echo(words, err=True)

    fetching = None
    path = model_path(settings.model)
    model = PhotozModel.load(path, provider_here(settings), settings.allow_fallback)
    if settings.places_afar:
        from photoz_run.run.fetch_plan import plan_afar

        plans, fetching = plan_afar(settings, model.contract, say)
    else:
        tiles = find_run_tiles(settings, say)
        check_tiles(tiles, settings)
        check_magnitudes(tiles, settings, model.contract)
        plans = dry_run(tiles, settings, model.contract)
    script = _job_script(settings)
    if as_json:
        print(document_text(DryRun(tuple(plans), script, fetching)), end="")
        return
    _print_plans(plans)
    if fetching:
        _print_fetching(fetching)
    if script:
        print(
            f"\nscript of each worker job, of which --workers {settings.workers or 'N'}"
            f" run at once:\n\n{script}"
        )


def _job_script(settings: RunConfig) -> str | None:
    if settings.cluster.kind == "local":
        return None
    from photoz_run.run.jobs import job_script

    return job_script(settings.cluster, settings.out)


def _print_plans(plans: "list[TilePlan]") -> None:
    from rich.console import Console
    from rich.table import Table

    from photoz_run.run.summary import total

    table = Table("tile", "rows", "to read", "as", "lacks", box=None, pad_edge=False)
    for plan in plans[:LISTED]:
        words = [plan.problem, ", ".join(plan.lacks)]
        table.add_row(
            plan.tile,
            "?" if plan.rows is None else f"{plan.rows:,}",
            sized(plan.bytes),
            ", ".join(plan.ways) or "-",
            "; lacks ".join(word for word in words if word) or "-",
        )
    console = Console(highlight=False)
    console.print(table)
    if len(plans) > LISTED:
        console.print(f"... and {len(plans) - LISTED} more (--json lists all)")
    known = [plan.rows for plan in plans if plan.rows is not None]
    rows, size = sum(known), sum(plan.bytes for plan in plans)
    problems = sum(bool(plan.problem) for plan in plans)
    troubled = f", {counted(problems, 'tile')} with a problem" if problems else ""
    for name, number in total(plan.counts for plan in plans).items():
        console.print(f"  {name.replace('_', ' ')}: {number:,}")
    tiles, expected = counted(len(plans), "tile"), counted(rows, "row")
    work = f"{expected} expected, {sized(size)} to read" if known else f"{sized(size)} to fetch"
    console.print(f"{tiles}, {work}{troubled}")


def _print_fetching(plan: "FetchPlan") -> None:
    rate, seconds = plan.bytes_per_second, plan.seconds
    speed = ""
    if rate and seconds:
        speed = f"; at {rate / 1e6:,.3g} MB/s, as in a short trial, that takes {duration(seconds)}"
    print(f"to fetch: {sized(plan.bytes)} in whole files{speed}")
    print(
        f"--window: {sized(plan.largest)} at least, the largest tile; with {sized(plan.window)} no"
        " worker waits for room"
    )


def _print_summary(summary: "RunSummary") -> None:
    from rich.console import Console

    from photoz_run.alike import in_lines, named
    from photoz_run.records import Status

    console = Console(highlight=False, soft_wrap=True)
    counts = {status.value: summary.count(status) for status in Status}
    parts = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    console.print(
        f"{counted(len(summary.outcomes), 'tile')} ({parts}),"
        f" {counted(summary.rows, 'row')} in {summary.seconds:.1f} s"
    )
    document = summary.document
    for failure in summary.failures:
        words = f"quarantined {named(failure.tiles, 'summary.json')}: {failure.reason}"
        console.print(f"  {words}", style="red")
    for line in in_lines(summary.remarks, "summary.json"):
        console.print(f"  {line}", style="yellow")
    if summary.mixture:
        console.print(f"  {summary.mixture}", style="yellow")
    for name, number in document.counts.items():
        console.print(f"  {name.replace('_', ' ')}: {number:,}")
    for line in flag_lines(document.flags, summary.rows):
        console.print(line)
    console.print(f"catalogue: {summary.out / 'tiles'}")
