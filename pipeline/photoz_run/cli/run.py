"""``photoz-run``, also ``photoz run``: tiles in, photo-z catalogue out."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photoz_run.cli.console import call

if TYPE_CHECKING:
    from photoz_run.config import RunConfig
    from photoz_run.run.plan import TilePlan
    from photoz_run.run.summary import RunSummary

SEVERAL = ("--tiles", "--data", "--keep")
WORKERS = "Where the workers run"
LISTED = 40
"""Tiles listed one by one in a dry run on a terminal; the JSON has all."""


def run(
    tiles: Annotated[
        list[str] | None,
        typer.Option(help="Tile names, globs, @FILE (one a line), or all.", metavar="SPEC..."),
    ] = None,
    data: Annotated[
        list[Path] | None, typer.Option(help="Folders with the survey's files.", metavar="DIR...")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run directory; an interrupted run there is resumed.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Model bundle: a path, or a shipped name (default: hybrid-sim)."),
    ] = None,
    data_release: Annotated[
        str | None, typer.Option(help="DR4 or DR5 (default: from the file names).")
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(
            help="bright, all, or an expression like 'bright and not masked' (default: bright)."
        ),
    ] = None,
    formats: Annotated[
        str | None, typer.Option(help="Tile files: parquet or parquet,fits (default: parquet).")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Catalogue columns to carry to the output.", metavar="COLUMN..."),
    ] = None,
    quantiles: Annotated[
        bool | None, typer.Option("--quantiles", help="Also write all quantiles.")
    ] = None,
    magnitudes: Annotated[
        Path | None, typer.Option(help="Table of GAaP magnitudes (Parquet or FITS).")
    ] = None,
    magnitudes_by: Annotated[
        str | None, typer.Option(help='Join it by position (1") or id (default: position).')
    ] = None,
    provider: Annotated[str | None, typer.Option(help="auto, cpu or cuda (default: auto).")] = None,
    allow_fallback: Annotated[
        bool | None, typer.Option("--allow-fallback", help="With --provider cuda: the CPU will do.")
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            help="Worker processes, N or MIN:MAX (default: one a core).",
            metavar="N",
            rich_help_panel=WORKERS,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            help="Measure the I-th of N shares, I from 1 (job arrays).",
            metavar="I/N",
            rich_help_panel=WORKERS,
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Workers as jobs of slurm, pbs, sge, lsf, oar or htcondor (default: local).",
            rich_help_panel=WORKERS,
        ),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(help="Queue or partition of the worker jobs.", rich_help_panel=WORKERS),
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="Account they are charged to.", rich_help_panel=WORKERS)
    ] = None,
    walltime: Annotated[
        str | None,
        typer.Option(
            help="Longest time of a worker job.", metavar="HH:MM:SS", rich_help_panel=WORKERS
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(help="Memory of a worker job (default: 8GB).", rich_help_panel=WORKERS),
    ] = None,
    gpus: Annotated[
        int | None, typer.Option(help="GPUs of a worker job (default: 0).", rich_help_panel=WORKERS)
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="A Dask scheduler that runs already.", metavar="ADDRESS", rich_help_panel=WORKERS
        ),
    ] = None,
    scheduler_file: Annotated[
        Path | None, typer.Option(help="Its scheduler file.", rich_help_panel=WORKERS)
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file with any of these options, and a few more.")
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
) -> None:
    """Measure photometric redshifts: stream survey tiles past a sealed network into a catalogue.

    Examples: photoz-run --tiles 'KIDS_18*' --data /data/KiDS-DR5 --out my-run

    photoz-run --tiles all --data /data/KiDS-DR5 --out dr5 --cluster slurm --workers 4:40 --walltime 04:00:00

    Exit status: 0 done, 2 wrong usage or settings, 3 done but tiles quarantined, 75 interrupted (run again to resume).
    """
    from photoz_run.config import load_config

    job: dict[str, Any] = {
        "kind": cluster,
        "queue": queue,
        "account": account,
        "walltime": walltime,
        "memory": memory,
        "gpus": gpus,
    }
    job |= {"scheduler": scheduler, "scheduler_file": scheduler_file}
    given: dict[str, Any] = {
        "tiles": tiles or None,
        "data": data or None,
        "out": out,
        "model": model,
        "data_release": data_release,
        "select": select,
        "formats": formats.split(",") if formats else None,
        "keep": keep or None,
        "quantiles": quantiles,
        "magnitudes": magnitudes,
        "magnitudes_by": magnitudes_by,
        "provider": provider,
        "allow_fallback": allow_fallback,
        "workers": workers,
        "shard": shard,
        "cluster": {name: value for name, value in job.items() if value is not None},
    }
    if dry_run:
        # Nothing is written, so that nobody need say where.
        _dry_run(load_config(config, given, {"out": Path()}), as_json)
        return
    settings = load_config(config, given)
    from photoz_models.documents import document_text
    from photoz_run.run.driver import run as run_tiles
    from photoz_run.run.progress import Progress

    summary = run_tiles(settings, Progress(quiet=as_json), restart)
    if as_json:
        print(document_text(summary.document), end="")
    else:
        _print_summary(summary)
    raise typer.Exit(int(summary.exit_code))


def main() -> None:
    """Entry point of ``photoz-run``."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(run)
    call(app, "photoz-run", sys.argv[1:], SEVERAL)


def _dry_run(settings: "RunConfig", as_json: bool) -> None:
    from photoz_models.documents import document_text
    from photoz_run.run.plan import (
        DryRun,
        check_tiles,
        dry_run,
        find_run_tiles,
        load_model,
        model_path,
    )

    tiles = find_run_tiles(settings)
    check_tiles(tiles, settings)
    model = load_model(model_path(settings.model), settings.provider, settings.allow_fallback)
    plans = dry_run(tiles, settings, model.contract)
    script = _job_script(settings)
    if as_json:
        print(document_text(DryRun(tuple(plans), script)), end="")
        return
    _print_plans(plans)
    if script:
        print(
            f"\nscript of each worker job, of which --workers {settings.workers or 'N'} run at once:\n\n{script}"
        )


def _job_script(settings: "RunConfig") -> str | None:
    if settings.cluster.kind == "local":
        return None
    from photoz_run.run.jobs import job_script

    return job_script(settings.cluster, settings.out)


def _print_plans(plans: "list[TilePlan]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("tile", "rows", "to read", "lacks", box=None, pad_edge=False)
    for plan in plans[:LISTED]:
        lacks = plan.problem or ", ".join(plan.lacks) or "-"
        table.add_row(
            plan.tile, "?" if plan.rows is None else f"{plan.rows:,}", _size(plan.bytes), lacks
        )
    console = Console(highlight=False)
    console.print(table)
    if len(plans) > LISTED:
        console.print(f"... and {len(plans) - LISTED} more (--json lists all)")
    rows, size = sum(plan.rows or 0 for plan in plans), sum(plan.bytes for plan in plans)
    problems = sum(bool(plan.problem) for plan in plans)
    troubled = f", {problems} tiles with a problem" if problems else ""
    console.print(f"{len(plans)} tiles, {rows:,} rows expected, {_size(size)} to read{troubled}")


def _print_summary(summary: "RunSummary") -> None:
    from rich.console import Console

    from photoz_run.records import Status

    console = Console(highlight=False, soft_wrap=True)
    counts = {status.value: summary.count(status) for status in Status}
    said = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    console.print(
        f"{len(summary.outcomes)} tiles ({said}), {summary.rows:,} rows in {summary.seconds:.1f} s"
    )
    document = summary.document
    for failure in document.quarantined.values():
        console.print(f"  quarantined {failure.reason}", style="red")
    for name, number in document.counts.items():
        console.print(f"  {name.replace('_', ' ')}: {number:,}")
    for name, number in sorted(document.flags.items(), key=lambda item: -item[1]):
        console.print(f"  flag {name:<22}{number:>10,}  {number / max(summary.rows, 1):6.1%}")
    console.print(f"catalogue: {summary.out / 'tiles'}")


def _size(number: int) -> str:
    return f"{number / 1e9:,.2f} GB" if number >= 1e8 else f"{number / 1e6:,.1f} MB"
