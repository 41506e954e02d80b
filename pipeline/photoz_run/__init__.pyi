"""The names of ``import photoz_run as pz``, for editors and type checkers."""

from photoz_models.session import PhotozModel as PhotozModel
from photoz_run.errors import PhotozError as PhotozError
from photoz_run.facade.redshifts import load_bundle as load_bundle
from photoz_run.facade.redshifts import predict as predict
from photoz_run.facade.survey import Survey as Survey
from photoz_run.facade.survey import SurveyTile as SurveyTile
from photoz_run.facade.survey import open_survey as open_survey
from photoz_run.facade.tables import read_arrow as read_arrow
from photoz_run.facade.tables import read_astropy as read_astropy
from photoz_run.facade.tables import read_pandas as read_pandas
from photoz_run.facade.tables import validate as validate
from photoz_run.flags import NOT_FOR_SCIENCE as NOT_FOR_SCIENCE
from photoz_run.records import Prediction as Prediction
from photoz_run.records import Sources as Sources
from photoz_run.records import Stamps as Stamps
from photoz_run.science import statistics as statistics
from photoz_run.science.matching import match_positions as match_positions

__version__: str

def decode_flags(value: int) -> list[str]: ...
