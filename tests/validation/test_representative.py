"""A validation says whether its spec-z are like the catalogue, and what it would measure if so."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from photoz_run.cli.photoz import app
from photoz_run.release.attach import attach
from photoz_run.science.statistics import smad
from photoz_run.validation.document import read_metrics
from photoz_run.validation.settings import SpecSettings, ValidationSettings
from photoz_run.validation.validate import validate
from support.validation import gama, survey, write_fits, write_run

BANDS = ("g", "r", "i1", "Z", "J")


@pytest.fixture(scope="module")
def biased():
    """Columns of a catalogue whose scatter grows with magnitude, its redshifts, and which of them
    are measured: bright ones, none of them in the faint south.
    """
    columns, z = survey(4000)
    r = columns["MAG_AUTO_CALIB"]
    dice = np.random.default_rng(1)
    for number, band in enumerate(BANDS):
        colour = 0.3 * number * (columns["MAG_GAAP_g"] - r)
        columns[f"MAG_GAAP_{band}"] = (r + colour + dice.normal(0, 0.03, 4000)).astype(np.float32)
    columns["MAG_GAAP_J"][::40] = 99.0
    columns["MAG_GAAP_Ks"] = np.where(dice.random(4000) < 0.2, 99.0, r)  # too few to be compared
    faint = r > 19.5
    noise = dice.normal(0, 0.03, len(z)) * (1 + z)
    columns["Z_PHOT"][faint] += noise[faint].astype(np.float32)
    chosen = ~faint | (dice.random(len(z)) < 0.1)
    return columns, z, chosen & ~(faint & (columns["DECJ2000"] < -20))


@pytest.fixture(scope="module")
def folder(biased, tmp_path_factory):
    """A run with its spec-z, validated by the command."""
    columns, z, chosen = biased
    folder = tmp_path_factory.mktemp("biased")
    table = {name: value[chosen] for name, value in gama(columns, z).items()}
    specz = write_fits(folder / "specz.fits", table)
    run = write_run(folder / "run", columns, {"run_digest": "ab" * 32})
    words = ["validate", str(run), "--specz", str(specz), "--spectrum-flag", "--no-plots"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return folder


def residuals(columns, z):
    return (columns["Z_PHOT"].astype(np.float64) - z) / (1 + z)


def test_a_bright_sample_is_weighted_to_the_catalogue(biased, folder):
    columns, z, chosen = biased
    metrics = read_metrics(folder / "run/validation/metrics.json")
    truth = smad(residuals(columns, z))
    r = metrics.representative
    for weights in ("neighbours", "cells"):
        assert r.statistics[weights]["smad"].value == pytest.approx(truth, rel=0.1)
        assert r.effective_number[weights] < r.pairs == chosen.sum()
    assert metrics.statistics["smad"].value < 0.9 * truth
    assert 0 < r.without_spectrum < 0.1
    assert r.columns == [f"MAG_GAAP_{band}" for band in BANDS]


def test_every_set_has_its_statistics_weighted(folder):
    """By hand: the weights of a bin alone make its figures."""
    settings = ValidationSettings(specz=(SpecSettings(file=folder / "specz.fits"),))
    result, pairs = validate(folder / "run", settings)
    x, weight = residuals(pairs.columns, pairs.columns["Z_SPEC"]), result.representative.like_N
    magnitude = pairs.columns["MAG_AUTO_CALIB"].astype(float)
    for group in result.breakdowns["r"]:
        here = (magnitude >= group.low_edge) & (magnitude < group.high_edge)
        assert group.weighted["smad"].value == pytest.approx(float(smad(x[here], weight[here])))
        effective = weight[here].sum() ** 2 / (weight[here] ** 2).sum()
        assert group.effective == pytest.approx(effective)
        assert group.weighted["smad"].groups > 1
    every = [group for groups in result.breakdowns.values() for group in groups]
    assert all(set(group.weighted) == set(group.estimates) for group in [*every, result.science])
    judged = result.distribution
    inside = np.average(np.abs(judged.pit_N - 0.5) <= 0.34, weights=weight)
    assert judged.overall.weighted["coverage_68"].value == pytest.approx(inside)
    assert all(part.weighted for parts in judged.bins.values() for part in parts)


def test_where_the_catalogue_has_no_spectra(biased, folder):
    columns, _, _ = biased
    metrics = read_metrics(folder / "run/validation/metrics.json")
    lacking = metrics.representative.map
    known = np.abs(columns["MAG_GAAP_J"]) < 90
    assert np.sum(lacking.sources) == known.sum()
    shares = [part.share * part.sources for part in lacking.r]
    assert sum(shares) == pytest.approx(np.sum(lacking.lacking))
    of_tiles = np.sum(lacking.lacking, axis=1) / np.sum(lacking.sources, axis=1)
    assert [part.share for part in lacking.tile] == pytest.approx(of_tiles)


def test_the_flag_of_every_source_for_its_release(biased, folder):
    """Against the distances to all spectra, by hand."""
    columns, _, chosen = biased
    file = folder / "run/validation/spectrum_flag.parquet"
    table = pq.read_table(file)
    flags = dict(zip(table["ID"].to_pylist(), table["NO_SPECTRUM"].to_pylist(), strict=True))
    flag = np.array([flags[name] for name in columns["ID"].tolist()], float)
    magnitude = np.column_stack([columns[f"MAG_GAAP_{band}"] for band in BANDS]).astype(float)
    magnitude[np.abs(magnitude) > 90] = np.nan
    low, middle, high = np.nanquantile(magnitude, [0.16, 0.5, 0.84], axis=0)
    place = np.nan_to_num((magnitude - middle) / ((high - low) / 2))
    apart = np.linalg.norm(place[:, None] - place[chosen][None], axis=2)
    between = np.sort(apart[chosen], axis=1)[:, 1]
    lacking = apart.min(axis=1) > np.quantile(between, 0.99)
    missing = np.isnan(magnitude).any(axis=1)
    assert np.isnan(flag).tolist() == missing.tolist()
    assert flag[~missing].tolist() == lacking[~missing].tolist()
    attached = attach(file, "id", ["NO_SPECTRUM"], ["ID"])
    assert b"no spectrum" in attached.fields[0].metadata[b"description"]


def test_too_few_magnitudes_are_said(tmp_path):
    columns, z = survey(500)
    specz = write_fits(tmp_path / "specz.fits", gama(columns, z))
    run = write_run(tmp_path / "run", columns)
    words = ["validate", str(run), "--specz", str(specz), "--spectrum-flag", "--no-plots"]
    done = CliRunner().invoke(app, words)
    assert "no spectrum_flag.parquet: the spec-z were not compared with the catal" in done.output
    metrics = read_metrics(run / "validation/metrics.json")
    assert metrics.representative is None
    assert not (run / "validation/spectrum_flag.parquet").exists()
    said = "not known whether the spec-z are like the catalogue: the catalogue has 2 of the"
    assert any(note.startswith(said) for note in metrics.notes)
