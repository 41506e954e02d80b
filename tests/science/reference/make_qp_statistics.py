"""Writes qp_statistics.json: values of qp, the metrics library of RAIL, for the test beside it.

Run in an environment of its own (it brings twenty packages that nothing else here needs):

    pip install qp-prob==1.1.4 && python make_qp_statistics.py
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import qp
from qp.metrics.concrete_metric_classes import CDELossMetric
from qp.metrics.pit import PIT
from qp.metrics.point_estimate_metric_classes import (
    PointBias,
    PointOutlierRate,
    PointSigmaIQR,
    PointSigmaMAD,
)


def main():
    rng = np.random.default_rng(11)
    n = 300
    sigma = rng.uniform(0.02, 0.06, n).round(6)
    centre = rng.uniform(0.2, 0.6, n).round(6)
    z_spec = np.round(rng.normal(centre, 1.1 * sigma), 6)
    z_phot = np.round(centre + rng.choice([0, 0.3], n, p=[0.95, 0.05]), 6)
    gaussians = qp.stats.norm.create_ensemble(
        data={"loc": centre[:, None], "scale": sigma[:, None]}
    )
    pit = PIT(gaussians, z_spec)
    values = {
        "median_normdz": PointBias().evaluate(z_phot, z_spec),
        "smad": PointSigmaMAD().evaluate(z_phot, z_spec),
        "sigma_iqr": PointSigmaIQR().evaluate(z_phot, z_spec),
        "outliers_rail": PointOutlierRate().evaluate(z_phot, z_spec),
        "pit": np.asarray(pit.pit_samps).ravel().round(9).tolist(),
        "ks": pit.evaluate_PIT_KS().statistic,
        "cvm": pit.evaluate_PIT_CvM().statistic,
        "cde_loss": CDELossMetric(np.linspace(-0.5, 1.5, 20001)).evaluate(gaussians, z_spec),
    }
    inputs = {
        "z_phot": z_phot.tolist(),
        "z_spec": z_spec.tolist(),
        "centre": centre.tolist(),
        "sigma": sigma.tolist(),
    }
    content = {
        "qp-prob": version("qp-prob"),
        "inputs": inputs,
        "values": {k: _plain(v) for k, v in values.items()},
    }
    Path(__file__).with_name("qp_statistics.json").write_text(json.dumps(content) + "\n")


def _plain(value):
    return value if isinstance(value, list) else float(np.squeeze(value))


if __name__ == "__main__":
    main()
