"""Catalogues that hold next to nothing: numbers with their caveat through the real command."""

import json

import pytest
from typer.testing import CliRunner

from photoz_run.cli.photoz import app
from support.validation import gama, survey, write_fits, write_run


def alike(columns, z):
    columns["Z_PHOT"][:] = z[:] = 0.2


def one_redshift(columns, z):
    columns["Z_PHOT"][:] = 0.2


def one_magnitude(columns, z):
    for name in ("MAG_AUTO_CALIB", "MAG_GAAP_g", "MAG_GAAP_r"):
        columns[name][:] = 18


def one_tile(columns, z):
    columns["KIDS_TILE"][:] = "KIDS_180.0_-0.5"


def nothing(columns, z):
    pass


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    ("number", "change"),
    [
        (1, nothing),
        (3, nothing),
        (400, alike),
        (400, one_redshift),
        (400, one_magnitude),
        (400, one_tile),
    ],
)
def test_next_to_nothing_is_measured(tmp_path, number, change):
    columns, z = survey(400)
    columns, z = {name: values[:number] for name, values in columns.items()}, z[:number]
    change(columns, z)
    run = write_run(tmp_path / "run", columns)
    specz = write_fits(tmp_path / "specz.fits", gama(columns, z))
    outcome = CliRunner().invoke(app, ["validate", str(run), "--specz", str(specz), "--no-plots"])
    assert outcome.exception is None, outcome.exception
    metrics = json.loads((run / "validation" / "metrics.json").read_text())
    assert metrics["n"] == number
    smad = metrics["statistics"]["smad"]
    assert (smad["value"] < 1e-6) == (number == 1 or change is alike)
    assert metrics["findings"] == []
