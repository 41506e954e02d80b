"""``photoz status`` and ``photoz retry``: look at a run, and release its quarantined tiles."""

import json
from pathlib import Path
from typing import Annotated

import typer

SEVERAL = ("--tiles",)


def status(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Say how far the run in RUN is: tiles done, quarantined and pending, rows, and the reasons of failures."""
    from pipeline.records import Status
    from pipeline.run.ledger import RunDirectory, read_json

    directory = RunDirectory(run)
    manifest = read_json(directory.manifest)
    outcomes = {tile: one for tile, one in directory.outcomes().items() if tile in manifest["tiles"]}
    counts = {one.value: sum(o.status is one for o in outcomes.values()) for one in Status}
    counts["PENDING"] = len(manifest["tiles"]) - len(outcomes)
    bad = {tile: o.reason for tile, o in outcomes.items() if o.status is Status.QUARANTINED}
    rows = sum(o.rows_out for o in outcomes.values())
    if as_json:
        typer.echo(json.dumps({"run": str(run), "tiles": counts, "rows": rows, "quarantined": bad}, indent=1))
        return
    said = ", ".join(f"{number:,} {name}" for name, number in counts.items() if number)
    typer.echo(f"{run}: {len(manifest['tiles']):,} tiles ({said}), {rows:,} rows, model {manifest['model']}")
    for reason in bad.values():
        typer.echo(f"  quarantined {reason}")


def retry(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    tiles: Annotated[
        list[str] | None, typer.Option(help="Quarantined tiles to release (default: all).", metavar="SPEC...")
    ] = None,
) -> None:
    """Release quarantined tiles of the run in RUN; the next `photoz-run` measures them again."""
    from pipeline.records import Status
    from pipeline.run.ledger import RunDirectory, read_json
    from pipeline.survey.discovery import expand_tiles

    directory = RunDirectory(run)
    read_json(directory.manifest)
    bad = [tile for tile, one in directory.outcomes().items() if one.status is Status.QUARANTINED]
    released = expand_tiles(tiles, bad) if tiles and bad else bad
    for tile in released:
        directory.release(tile)
    typer.echo(f"{len(released)} of {len(bad)} quarantined tiles released; start the run again to measure them")
