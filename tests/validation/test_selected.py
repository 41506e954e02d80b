"""For whom the numbers are: rows that were asked for, and the recommended cut."""

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from photoz_run.cli.validate import validate
from photoz_run.errors import ConfigError
from photoz_run.flags import NOT_FOR_SCIENCE, bit
from photoz_run.science.statistics import normalised_residual, smad
from photoz_run.validation.document import read_metrics
from support.validation import gama, survey, write_fits, write_parquet, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run in which a tenth of the sources has bad centres, and redshifts to match."""
    folder = tmp_path_factory.mktemp("selected")
    columns, z = survey(2000)
    rng = np.random.default_rng(3)
    bad = rng.random(2000) < 0.1
    columns["PHOTOZ_FLAG"][bad] = bit("CENTRE_BAD")
    columns["Z_PHOT"][bad] += rng.normal(0, 0.2, bad.sum()).astype(np.float32)
    columns["WEIRD"] = rng.integers(0, 5, 2000)
    specz = write_fits(folder / "specz.fits", gama(columns, z))
    return write_run(folder / "run", columns), specz, columns, z


def validated(run, tmp_path, *more):
    catalogue, specz, _, _ = run
    app = typer.Typer()
    app.command()(validate)
    arguments = [str(catalogue), "--specz", str(specz), "--out", str(tmp_path), "--no-plots", *more]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 0, outcome.output
    return read_metrics(tmp_path / "metrics.json"), outcome.output


def test_the_recommended_cut_has_statistics_of_its_own(run, tmp_path):
    metrics, said = validated(run, tmp_path)
    _, _, columns, z = run
    rows = (columns["PHOTOZ_FLAG"] & NOT_FOR_SCIENCE) == 0
    x = normalised_residual(columns["Z_PHOT"][rows], z[rows].astype(np.float32))
    assert metrics.science.n == rows.sum() < metrics.n
    assert metrics.science.cut == f"(PHOTOZ_FLAG & {NOT_FOR_SCIENCE}) == 0"
    assert metrics.science.statistics["smad"].value == pytest.approx(float(smad(x)), rel=1e-5)
    assert metrics.science.statistics["outliers_015"].value < 0.01
    assert metrics.statistics["outliers_015"].value > 0.03
    assert "science cut" in said
    flags = {group.bin: group.n for group in metrics.breakdowns["flag"]}
    assert flags["CENTRE_BAD"] == (columns["PHOTOZ_FLAG"] == bit("CENTRE_BAD")).sum()


@pytest.mark.parametrize(
    "expression", ["WEIRD == 3", "MAG_AUTO_CALIB < 18.5 and MASK == 0", "WEIRD + MASK > 5"]
)
def test_any_column_of_the_catalogue_selects(run, tmp_path, expression):
    metrics, _ = validated(run, tmp_path, "--select", expression)
    _, _, columns, _ = run
    rows = {
        "WEIRD == 3": columns["WEIRD"] == 3,
        "MAG_AUTO_CALIB < 18.5 and MASK == 0": (columns["MAG_AUTO_CALIB"] < 18.5)
        & (columns["MASK"] == 0),
        "WEIRD + MASK > 5": columns["WEIRD"] + columns["MASK"] > 5,
    }[expression]
    assert metrics.n == rows.sum()
    assert metrics.subject.validated_selection == expression


def test_why_spectra_stay_unmatched_has_a_number_each(run, tmp_path):
    catalogue, _, columns, z = run
    table = gama(columns, z)
    # Ten far away, twenty beside the sources of the footprint, by 30 arcsec.
    for name, values in table.items():
        table[name] = np.concatenate([values, values[:10], values[:20]])
    table["Deccen"][2000:2010] += 20
    table["Deccen"][2010:] += 30 / 3600
    specz = write_fits(tmp_path / "specz.fits", table)
    metrics, said = validated((catalogue, specz, None, None), tmp_path, "--select", "WEIRD == 3")
    left_out = int((columns["WEIRD"] != 3).sum())
    counts = metrics.match
    assert counts.outside == 10
    assert counts.left_out + counts.matched == 2000
    assert counts.left_out == left_out
    assert counts.without_source == 20
    assert counts.specz == counts.outside + counts.left_out + counts.without_source + counts.matched
    assert (
        "unmatched spec-z: 10 outside the footprint, 20 without a source within the radius,"
        f" {left_out:,} at sources that the selection leaves out"
    ) in said


@pytest.mark.parametrize("columns", [{"ra": [], "dec": [], "z": []}, {"a": [], "b": []}])
def test_a_table_of_spectra_without_rows_is_told_as_such(run, tmp_path, columns):
    path = write_parquet(tmp_path / "empty.parquet", {n: np.array(v) for n, v in columns.items()})
    app = typer.Typer()
    app.command()(validate)
    outcome = CliRunner().invoke(app, [str(run[0]), "--specz", str(path), "--out", str(tmp_path)])
    assert isinstance(outcome.exception, ConfigError)
    assert str(outcome.exception) == f"{path}: it has no rows, so there is no spec-z in it"
