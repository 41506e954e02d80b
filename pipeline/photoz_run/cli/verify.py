"""``photoz verify``: whether a release is what it says it is."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def verify(
    release: Annotated[Path, typer.Argument(help="Folder of a release.", metavar="RELEASE")],
    run: Annotated[
        Path | None,
        typer.Option(help="The run that it was made of: every value is compared with its tiles."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON; no progress.")] = False,
) -> None:
    """Read the release in RELEASE again and prove it: files, sums, columns, rows, provenance.

    With --run every value is compared with the tile files of the run that was merged.
    Prints PASS or FAIL for each check, with what was found. Exit code 4 if a check fails.
    """
    from photoz_run.errors import ExitCode
    from photoz_run.progress import StepProgress
    from photoz_run.release.verify import verify as prove

    checks = prove(release, StepProgress(quiet=as_json, command="photoz verify"), run)
    failed = sum(not check.passed for check in checks)
    if as_json:
        typer.echo(
            json.dumps(
                {"release": str(release), "failed": failed, "checks": [asdict(c) for c in checks]},
                indent=1,
            )
        )
    else:
        for check in checks:
            typer.echo(f"{'PASS' if check.passed else 'FAIL'}  {check.name:<26}  {check.detail}")
        verdict = (
            f"{failed} of {len(checks)} checks failed"
            if failed
            else f"all {len(checks)} checks passed"
        )
        typer.echo(f"{release}: {verdict}")
    if failed:
        raise typer.Exit(ExitCode.GATE_FAILED)
