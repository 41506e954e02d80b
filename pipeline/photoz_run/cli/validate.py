"""`photoz validate`: a catalogue against spectroscopic redshifts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photoz_run.cli.options import SPECTRA, Shown, from_record
from photoz_run.validation.settings import SpecSettings, ValidationSettings

if TYPE_CHECKING:
    from photoz_run.progress import StepProgress
    from photoz_run.validation.result import Result

NOT_COMPARED = "the spec-z were not compared with the catalogue"

VALIDATION = {"select": Shown("EXPR"), "id": Shown("COLUMN")}


@from_record(SpecSettings, SPECTRA)
@from_record(ValidationSettings, VALIDATION)
def validate(
    catalogue: Annotated[
        Path,
        typer.Argument(help="Run directory, release, or a table of any kind.", metavar="CATALOGUE"),
    ],
    specz: Annotated[
        list[Path] | None,
        typer.Option(metavar="TABLE...", help="Tables of spec-z (GAMA, SDSS, 2dFLenS, DESI ...)."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="CATALOGUE",
            help="Another catalogue: what changed since, and is it better? Paired by ID.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Directory of the report; RUN/validation for a run, else CATALOGUE-validation."
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file with columns, bins, gates.")
    ] = None,
    plots: Annotated[
        bool, typer.Option(help="Draw the figures and write report.md and report.html.")
    ] = True,
    keep_pairs: Annotated[
        bool,
        typer.Option("--pairs", help="Write pairs.parquet too; photoz model recalibrate reads it."),
    ] = False,
    spectrum_flag: Annotated[
        bool,
        typer.Option(
            "--spectrum-flag",
            help="Write spectrum_flag.parquet too: sources that no spectrum is like;"
            " photoz release --attach takes it.",
        ),
    ] = False,
    **chosen: Any,
) -> None:
    """Compare the redshifts of CATALOGUE with spectroscopic ones.

    Writes metrics.json, metrics.parquet, report.md and report.html; prints a table.
    With --against, changes.json, changes.md and changes.html instead; --specz is optional then.

    Exit status 4 if a gate of the configuration fails.
    """
    from functools import partial

    from photoz_run.cli.changes import compare
    from photoz_run.cli.reports import check_directory, selection_of
    from photoz_run.errors import BadDataError, ConfigError, ExitCode, writing
    from photoz_run.progress import StepProgress
    from photoz_run.run.interruption import interruptible
    from photoz_run.run.ledger import make_folder
    from photoz_run.run.status import NOT_IN_IT
    from photoz_run.validation.document import write_metrics
    from photoz_run.validation.gates import evaluate
    from photoz_run.validation.metrics_table import write_parquet
    from photoz_run.validation.recording import metrics_of
    from photoz_run.validation.settings import load_settings
    from photoz_run.validation.summary import print_summary
    from photoz_run.validation.validate import validate as run

    settings = load_settings(config)
    spectra = settings.specz
    if specz:
        spectra = tuple(SpecSettings(file=path) for path in specz)
    named = {name: chosen.pop(name) for name in SPECTRA if name in chosen}
    chosen["specz"] = tuple(one.model_copy(update=named) for one in spectra)
    settings = settings.model_copy(update=chosen)
    out = out or _default_directory(catalogue)
    check_directory(out)
    if against is not None:
        compare(catalogue, against, settings, out, plots)
        return
    progress = StepProgress(command="photoz validate")
    try:
        known = tile_notes(catalogue), selection_of(catalogue)
        for note in known[0]:
            if note.startswith(NOT_IN_IT):
                _say(note)
        with progress.shown():
            result, pairs = run(catalogue, settings, *known, _say, progress)
    except BadDataError as error:
        # Here no tile is put into quarantine: a table that cannot be used is the user's to replace.
        raise ConfigError(str(error)) from error
    outcomes = evaluate(result, settings.gates)
    make_folder(out)
    with interruptible("the report is not complete, the same command writes it"), writing(out):
        write_metrics(metrics_of(result, outcomes), out / "metrics.json")
        write_parquet(result, out / "metrics.parquet")
        if result.tomography is not None:
            from photoz_run.validation.nz_file import LACKING, can_write, write_nz

            if can_write():
                write_nz(result.tomography, result.subject, out)
            else:
                _say(LACKING)
        if keep_pairs:
            from photoz_run.validation.pairs_file import NAME, write_pairs

            with progress.shown(), progress.step("pairs written"):
                write_pairs(pairs, result.subject, out / NAME)
        if spectrum_flag:
            _write_spectrum_flag(catalogue, settings, result, out, progress)
        if plots:
            from photoz_run.validation.gallery import gallery
            from photoz_run.validation.report import draw, write_as_markdown, write_html

            with progress.shown(), progress.step("figures and report"):
                outliers = partial(gallery, pairs.columns, catalogue)
                drawn = draw(result, pairs, outliers, out / "plots")
                write_html(result, outcomes, drawn, out / "report.html")
                write_as_markdown(result, outcomes, drawn, out / "report.md")
    with interruptible(f"the report is complete: {out}"):
        print_summary(result, outcomes, out)
    if not all(outcome.passed for outcome in outcomes):
        raise typer.Exit(ExitCode.GATE_FAILED)


def _write_spectrum_flag(
    catalogue: Path,
    settings: ValidationSettings,
    result: "Result",
    out: Path,
    progress: "StepProgress",
) -> None:
    """Write the flag, or say why there is none."""
    from photoz_run.validation.spectrum_flag import NAME, write_spectrum_flag

    if result.representative is None:
        _say(f"no {NAME}: {NOT_COMPARED}; the notes of the report say why")
        return
    with progress.shown(), progress.step("spectrum flag written"):
        likeness, digest = result.representative.likeness, result.subject.run_digest
        write_spectrum_flag(catalogue, settings, likeness, digest, out / NAME)


def _say(words: str) -> None:
    typer.echo(words, err=True)


def tile_notes(catalogue: Path) -> list[str]:
    """Which tiles are not in the run or release, are odd, or have an unusual zero-point.

    A run or release of another version can be validated, but does not tell its tiles.
    """
    from photoz_models.errors import DocumentError
    from photoz_run.alike import in_lines
    from photoz_run.release.folder import PROVENANCE
    from photoz_run.release.provenance import read_provenance
    from photoz_run.run.status import NOT_IN_IT, read_status

    try:
        if (catalogue / "manifest.json").is_file():
            state = read_status(catalogue)
            return [*state.told(), *_unusual(state.deviant)]
        if (catalogue / PROVENANCE).is_file():
            record = read_provenance(catalogue)
            missing = len(record.missing)
            lacking = [f"{NOT_IN_IT}: {missing:,}, listed in its README.md"] if missing else []
            return [*lacking, *in_lines(record.remarks, PROVENANCE), *_unusual(record.deviant)]
    except DocumentError as error:
        return [f"tiles that are missing or have an unusual zero-point are not known: {error}"]
    return []


def _unusual(deviant: tuple[str, ...]) -> list[str]:
    return [f"unusual zero-point: {words}" for words in deviant]


def _default_directory(catalogue: Path) -> Path:
    """`validation/` inside a run, `<name>-validation/` beside a release, a folder or a file.

    `photoz verify` refuses a release in which something else lies.
    """
    if (catalogue / "manifest.json").is_file():
        return catalogue / "validation"
    place = catalogue.resolve()
    name = place.name if place.is_dir() else place.name.split(".")[0]
    return place.with_name(f"{name}-validation")
