"""The statistics agree with qp, the metrics library of RAIL.

Its values come from reference/make_qp_statistics.py.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from photoz_run.science.calibration import cde_loss, pit, uniformity
from photoz_run.science.statistics import normalised_residual, point_statistics, sigma_iqr


@pytest.fixture(scope="module")
def reference():
    return json.loads((Path(__file__).parent / "reference" / "qp_statistics.json").read_text())


def test_point_statistics(reference):
    z_phot, z_spec = (np.array(reference["inputs"][name]) for name in ("z_phot", "z_spec"))
    ours = point_statistics(z_phot, z_spec)
    for name in ("median_normdz", "smad", "outliers_rail"):
        assert ours[name] == pytest.approx(reference["values"][name], rel=1e-12), name
    assert sigma_iqr(normalised_residual(z_phot, z_spec)) == pytest.approx(
        reference["values"]["sigma_iqr"], rel=1e-12
    )


def test_distributions(reference):
    z, centre, sigma = (
        np.array(reference["inputs"][name]) for name in ("z_spec", "centre", "sigma")
    )
    levels = np.linspace(0.02, 0.98, 49)
    quantiles = centre[:, None] + sigma[:, None] * stats.norm.ppf(levels)
    values = reference["values"]
    ours = pit(z, quantiles, levels)
    np.testing.assert_allclose(ours, values["pit"], atol=1e-6)
    assert uniformity(ours).ks == pytest.approx(values["ks"], abs=1e-6)
    assert uniformity(ours).cvm == pytest.approx(values["cvm"], rel=1e-4)
    # qp takes the density at the nearest point of a grid.
    assert cde_loss(z, quantiles, levels) == pytest.approx(values["cde_loss"], rel=1e-3)
