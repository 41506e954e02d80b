"""``photoz doctor``: whether a run can work on this machine, in this environment, in this job."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from photoz_run.errors import ExitCode
from photoz_run.wording import counted

if TYPE_CHECKING:
    from photoz_run.run.doctor import Diagnosis

STYLES = {"ok": "green", "warn": "yellow", "bad": "bold red"}


def doctor(
    provider: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where the network shall run.")
    ] = "auto",
    scratch: Annotated[
        Path | None,
        typer.Option(help="Node-local folder to try (default: $TMPDIR, else /tmp).", metavar="DIR"),
    ] = None,
    storage: Annotated[
        Path | None,
        typer.Option(help="Data folder whose storage is measured, too.", metavar="DIR"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Try whether a run can work here: on a login node, or inside a job. Takes a few seconds.

    Exit status: 0 if it can, 2 if something is bad; every finding that is not ok says what to do.
    """
    from photoz_models.documents import document_text
    from photoz_run.run.doctor import DoctorReport, Verdict, examine

    findings = tuple(examine(provider, scratch, os.environ, storage))
    bad = sum(diagnosis.verdict is Verdict.BAD for diagnosis in findings)
    if as_json:
        typer.echo(document_text(DoctorReport(not bad, findings)), nl=False)
    else:
        _print(findings)
        typer.echo(
            f"{counted(bad, 'bad finding')}: a run would fail here"
            if bad
            else "a run can work here"
        )
    raise typer.Exit(int(ExitCode.USAGE if bad else ExitCode.DONE))


def _print(findings: "Sequence[Diagnosis]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    for diagnosis in findings:
        verdict = Text(diagnosis.verdict, STYLES[diagnosis.verdict])
        table.add_row(verdict, diagnosis.name, Text(diagnosis.value))
        if diagnosis.remedy:
            table.add_row("", "", Text(diagnosis.remedy, "bold"))
    Console(highlight=False).print(table)
