"""`photoz validate`: a catalogue against spectroscopic redshifts."""

from pathlib import Path
from typing import Annotated

import typer


def validate(
    catalogue: Annotated[Path, typer.Argument(help="Run directory, release, or a Parquet or FITS table.")],
    specz: Annotated[
        list[Path] | None, typer.Option(help="Table of spec-z (GAMA, SDSS, 2dFLenS, DESI ...); may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory of the report; CATALOGUE/validation for a directory.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with columns, bins, gates.")] = None,
) -> None:
    """Compare the redshifts of CATALOGUE with spectroscopic ones: SMAD, bias, outliers, and where they fail.

    Writes metrics.json into the output directory and prints the table of statistics.
    """
    from pipeline.validation.result import write_json
    from pipeline.validation.settings import SpecSettings, load_settings
    from pipeline.validation.summary import print_summary
    from pipeline.validation.validate import validate as run

    settings = load_settings(config)
    if specz:
        settings = settings.model_copy(update={"specz": tuple(SpecSettings(file=path) for path in specz)})
    out = out or _default_directory(catalogue)
    result = run(catalogue, settings)
    out.mkdir(parents=True, exist_ok=True)
    write_json(result, out / "metrics.json")
    print_summary(result, out)


def _default_directory(catalogue: Path) -> Path:
    """`validation/` inside a run or release directory, `<name>-validation/` beside a file."""
    if catalogue.is_dir():
        return catalogue / "validation"
    return catalogue.with_name(f"{catalogue.name.split('.')[0]}-validation")
