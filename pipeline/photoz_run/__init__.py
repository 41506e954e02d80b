"""photoz-run: from survey tiles and a sealed network to a catalogue that proves how it was made.

For Python: ``import photoz_run as pz``. A name is imported when it is first used, so that this
import takes no time, and a notebook waits for nothing that it does not need.
"""

from typing import Any

__version__ = "0.1.0"

PLACES = {
    "NOT_FOR_SCIENCE": "photoz_run.flags.NOT_FOR_SCIENCE",
    "PhotozError": "photoz_run.errors.PhotozError",
    "PhotozModel": "photoz_models.session.PhotozModel",
    "Prediction": "photoz_run.records.Prediction",
    "Sources": "photoz_run.records.Sources",
    "Stamps": "photoz_run.records.Stamps",
    "Survey": "photoz_run.facade.survey.Survey",
    "SurveyTile": "photoz_run.facade.survey.SurveyTile",
    "decode_flags": "photoz_run.flags.decode",
    "load_bundle": "photoz_run.facade.redshifts.load_bundle",
    "match_positions": "photoz_run.science.matching.match_positions",
    "open_survey": "photoz_run.facade.survey.open_survey",
    "predict": "photoz_run.facade.redshifts.predict",
    "read_arrow": "photoz_run.facade.tables.read_arrow",
    "read_astropy": "photoz_run.facade.tables.read_astropy",
    "read_pandas": "photoz_run.facade.tables.read_pandas",
    "statistics": "photoz_run.science.statistics",
    "validate": "photoz_run.facade.tables.validate",
}
"""What each public name is."""

__all__ = list(PLACES)


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pkgutil import resolve_name

    return resolve_name(PLACES[name])


def __dir__() -> list[str]:
    return sorted({*globals(), *PLACES})
