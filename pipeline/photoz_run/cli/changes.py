"""`photoz validate A --against B`: what changed from B to A."""

from pathlib import Path

from photoz_run.validation.settings import ValidationSettings


def compare(a: Path, b: Path, settings: ValidationSettings, out: Path, plots: bool) -> None:
    """Compare catalogue ``a`` with ``b``; write and print what changed."""
    from photoz_run.cli.reports import selection_of
    from photoz_run.errors import BadDataError, ConfigError, writing
    from photoz_run.progress import StepProgress
    from photoz_run.run.interruption import interruptible
    from photoz_run.run.ledger import make_folder
    from photoz_run.validation.changes.compare import compare_catalogues
    from photoz_run.validation.changes.document import write_changes
    from photoz_run.validation.changes.summary import print_changes

    progress = StepProgress(command="photoz validate")
    try:
        selections = selection_of(a), selection_of(b)
        with progress.shown():
            changes = compare_catalogues(a, b, settings, selections, progress)
    except BadDataError as error:
        raise ConfigError(str(error)) from error
    make_folder(out)
    with interruptible("the report is not complete, the same command writes it"), writing(out):
        write_changes(changes, out / "changes.json")
        if plots:
            from photoz_run.validation.changes.report import draw, write_as_markdown, write_html

            with progress.shown(), progress.step("figures and report"):
                drawn = draw(changes, out / "plots")
                write_html(changes, drawn, out / "changes.html")
                write_as_markdown(changes, drawn, out / "changes.md")
    with interruptible(f"the report is complete: {out}"):
        print_changes(changes, out)
