"""metrics.json is read back as it was written, or refused in one line that names the field."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from photoz_models.errors import DocumentError
from photoz_run.science.redshift_distribution import find_spikes
from photoz_run.validation.document import (
    EstimateRecord,
    Metrics,
    read_metrics,
    write_metrics,
)
from photoz_run.validation.metrics import Estimate, Group
from photoz_run.validation.metrics_table import write_parquet
from photoz_run.validation.overlap import Repeatability
from photoz_run.validation.pairs import PairCounts
from photoz_run.validation.recording import metrics_of
from photoz_run.validation.result import GateOutcome, Result
from photoz_run.validation.specz import SpecTable
from photoz_run.validation.surveys import SpecColumns
from support.validation import validated

NAN = float("nan")


@pytest.fixture
def result():
    """Two galaxies, the second without a photo-z: nearly nothing can be measured."""
    return Result(
        catalogue="run",
        rows=2,
        repeated=0,
        specz={"GAMA": SPECTRA},
        counts=PairCounts(2, 2, 2, 0, 0, 0, 2, 1),
        overall=Group("all", "all", 1, {"smad": Estimate(0.0), "bias": Estimate(0.1, NAN, NAN)}),
        spikes=find_spikes(np.empty(0), 0.02),
        imprint=(NAN, NAN),
        repeatability=Repeatability(0, NAN, NAN, NAN),
    )


SPECTRA = SpecTable(
    "gama.fits",
    SpecColumns("GAMA", "RAcen", "Deccen", "Z", "NQ > 2"),
    4,
    {"poor": 1, "no position": 0, "no redshift": 0, "code": 1, "near zero": 0},
)


def test_what_is_written_is_read_back(result, tmp_path):
    outcomes = [
        GateOutcome("pairs_min", "all objects", 1, ">= 10", passed=False),
        GateOutcome("coverage_68", "all objects", NAN, "0.6 to 0.7", passed=False),
    ]
    metrics = metrics_of(result, outcomes)
    write_metrics(metrics, tmp_path / "metrics.json")
    assert read_metrics(tmp_path / "metrics.json") == metrics
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert content["schema_version"] == Metrics.SCHEMA
    assert content["passed"] is False
    assert [gate["value"] for gate in content["gates"]] == [1, None]
    nothing = {"low": None, "high": None, "by_galaxy": None, "groups": 0}
    assert content["statistics"]["bias"] == {"value": 0.1, **nothing}
    assert content["nz"]["worst_spike"] == {"z": None, "excess": None, "significance": None}


def test_columns_of_the_table_have_their_types_even_where_all_is_null(result, tmp_path):
    write_parquet(result, tmp_path / "metrics.parquet")
    table = pq.read_table(tmp_path / "metrics.parquet")
    assert str(table.schema.field("low_edge").type) == "double"
    assert table.column("low_68").null_count == 2
    assert table.column("statistic").to_pylist() == ["smad", "bias"]


def changed(folder, **fields):
    """A metrics.json with other values of some fields."""
    path = folder / "metrics.json"
    statistics = {"smad": EstimateRecord(0.01, None, None)}
    write_metrics(validated(n=5, rows=10, statistics=statistics), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    return path


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("n", "5", "field n: Input should be a valid integer (it is '5')"),
        ("passed", None, "field passed: Input should be a valid boolean (it is None)"),
        ("statistics", {"smad": {"value": 1.0}}, "field statistics.smad.low is missing"),
        ("surprise", 1, "field surprise is not known to this version of photoz-run"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_field(tmp_path, field, value, message):
    path = changed(tmp_path, **{field: value})
    with pytest.raises(DocumentError) as refusal:
        read_metrics(path)
    assert str(refusal.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (Metrics.SCHEMA + 1, "written by a newer version of photoz-run (schema"),
        (Metrics.SCHEMA - 1, "written by an earlier version of photoz-run (schema"),
    ],
)
def test_other_versions_are_told_as_such(tmp_path, schema, message):
    path = changed(tmp_path, schema_version=schema, note="")
    with pytest.raises(DocumentError) as refusal:
        read_metrics(path)
    stated = f"{message} {schema}, this one reads {Metrics.SCHEMA})"
    assert str(refusal.value).startswith(f"{path}: {stated}")
