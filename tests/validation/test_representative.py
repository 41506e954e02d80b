"""A validation says whether its spec-z are like the catalogue, and what it would measure if so."""

import numpy as np
import pytest

from photoz_run.validation.settings import SpecSettings, ValidationSettings
from photoz_run.validation.validate import validate
from support.validation import gama, survey, write_fits, write_run


def test_a_bright_sample_is_weighted_to_the_catalogue(tmp_path):
    columns, z = survey(4000)
    r = columns["MAG_AUTO_CALIB"]
    for band in "giZ":
        columns[f"MAG_GAAP_{band}"] = (r + 0.3).astype(np.float32)
    faint = r > 19.5
    noise = np.random.default_rng(1).normal(0, 0.03, len(z)) * (1 + z)
    columns["Z_PHOT"][faint] += noise[faint].astype(np.float32)
    chosen = ~faint | (np.random.default_rng(2).random(len(z)) < 0.1)
    table = {name: value[chosen] for name, value in gama(columns, z).items()}
    specz = SpecSettings(file=write_fits(tmp_path / "specz.fits", table))
    run = write_run(tmp_path / "run", columns)
    result, _ = validate(run, ValidationSettings(specz=(specz,)))
    r = result.representative
    truth = 1.4826 * np.median(np.abs((columns["Z_PHOT"] - z) / (1 + z)))
    assert r.weighted[0]["smad"].value == pytest.approx(truth, rel=0.1)
    assert result.overall["smad"].value < 0.9 * truth
    assert all(number < r.pairs for number in r.effective)
    assert 0 <= r.without < 0.1


def test_too_few_magnitudes_are_said(tmp_path):
    columns, z = survey(500)
    specz = SpecSettings(file=write_fits(tmp_path / "specz.fits", gama(columns, z)))
    run = write_run(tmp_path / "run", columns)
    result, _ = validate(run, ValidationSettings(specz=(specz,)))
    assert result.representative is None
    said = "not known whether the spec-z are like the catalogue: the catalogue has 2 of the"
    assert any(note.startswith(said) for note in result.notes)
