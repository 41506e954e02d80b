"""What every report on a catalogue asks: which sources were measured, and where it is written."""

from pathlib import Path


def selection_of(catalogue: Path) -> str:
    """Which sources the run behind a catalogue measured; "" where that is not known."""
    from photoz_models.errors import DocumentError
    from photoz_run.release.folder import PROVENANCE
    from photoz_run.release.provenance import read_provenance
    from photoz_run.validation.subject import selection_of_run

    if not (catalogue / PROVENANCE).is_file():
        return selection_of_run(catalogue)
    try:
        return str(read_provenance(catalogue).run.config.get("select", ""))
    except DocumentError:
        return ""


def check_directory(out: Path) -> None:
    """Refuse a directory of the report that cannot be written, before anything is computed.

    Nothing may lie inside a release but the release.
    """
    import os

    from photoz_run.errors import ConfigError
    from photoz_run.release.folder import PROVENANCE

    above = (out, *out.resolve().parents)
    within = next((place for place in above if (place / PROVENANCE).exists()), None)
    if within is not None:
        raise ConfigError(
            f"{out}: lies inside the release {within}, which photoz verify would refuse then;"
            " choose another --out"
        )
    there = next(place for place in above if place.exists())
    if not there.is_dir():
        raise ConfigError(f"{out}: cannot be written: {there} is a file; choose another --out")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{out}: cannot be written: no permission for {there}; choose another --out"
        )
