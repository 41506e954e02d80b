"""``photoz verify``: whether a release is what it says it is."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from photoz_run.release.proof.check import Check

WORDS = {True: "PASS", False: "FAIL", None: "SKIP"}


def verify(
    release: Annotated[Path, typer.Argument(help="Folder of a release.", metavar="RELEASE")],
    run: Annotated[
        Path | None,
        typer.Option(help="The run that it was made of: every value is compared with its tiles."),
    ] = None,
    attached: Annotated[
        list[Path] | None,
        typer.Option(
            help="A table that was attached: its columns are joined again and compared.",
            metavar="FILE",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON; no progress.")] = False,
) -> None:
    """Read the release in RELEASE again and prove it: files, sums, columns, rows, provenance.

    With --run every value is compared with the tile files of the run that was merged.
    Prints PASS, FAIL or SKIP (a check that could not be made) with what was found.
    Exit code 4 if a check fails.
    """
    from photoz_run.cli.tables import print_aligned
    from photoz_run.errors import ExitCode
    from photoz_run.progress import StepProgress
    from photoz_run.release.verify import verify as prove

    checks = prove(
        release, StepProgress(quiet=as_json, command="photoz verify"), run, attached or ()
    )
    failed = sum(check.failed for check in checks)
    if as_json:
        typer.echo(
            json.dumps(
                {"release": str(release), "failed": failed, "checks": [asdict(c) for c in checks]},
                indent=1,
            )
        )
    else:
        print_aligned([(WORDS[check.passed], check.name, check.detail) for check in checks])
        typer.echo(f"{release}: {_verdict(checks)}")
    if failed:
        raise typer.Exit(ExitCode.GATE_FAILED)


def _verdict(checks: "Sequence[Check]") -> str:
    """How many checks failed, passed, and could not be made."""
    failed = sum(check.failed for check in checks)
    skipped = sum(check.passed is None for check in checks)
    number = len(checks) - skipped
    words = f"{failed} of {number} checks failed" if failed else f"all {number} checks passed"
    return f"{words}, {skipped} not made" if skipped else words
