"""n(z) of tomographic bins as qp ensembles in HDF5, which RAIL and codes of cosmology read."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photoz_models.whole_files import written_whole
from photoz_run.science.statistics import Floats
from photoz_run.validation.metrics import Estimate
from photoz_run.validation.subject import Subject
from photoz_run.validation.tomography import Tomography

LACKING = "no nz_*.hdf5: this needs h5py, install photoz-run with the extra 'pdf'"


def can_write() -> bool:
    """Whether the library is there."""
    return find_spec("h5py") is not None


def write_nz(bins: Tomography, subject: Subject, directory: Path) -> list[Path]:
    """Write nz_predicted.hdf5 and nz_spectroscopic.hdf5: one distribution for each bin.

    They hold what `qp.read` looks for: ``meta`` (kind ``hist``, its cells), ``data`` (densities)
    and ``ancil`` (range, numbers, mean and width of each bin). Attributes name the model. A bin
    without galaxies has no distribution, and is left out; without any bin there is no file.
    """
    written = []
    for name, density_BK in (
        ("predicted", bins.predicted_BK),
        ("spectroscopic", bins.spectroscopic_BK),
    ):
        filled_B = np.flatnonzero(density_BK.sum(axis=1))
        if not len(filled_B):
            continue
        path = directory / f"nz_{name}.hdf5"
        with written_whole(path) as beside:
            _write(beside, bins, density_BK, filled_B, name, subject)
        written.append(path)
    return written


def _write(
    path: Path,
    bins: Tomography,
    density_BK: Floats,
    filled_B: NDArray[np.intp],
    name: str,
    subject: Subject,
) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs.update(
            {
                "model": f"{subject.model} {subject.model_version}".strip(),
                "model_digest": subject.model_digest,
                "warning": subject.banner,
                "assigned": bins.assigned,
                "from": bins.source if name == "predicted" else f"spec-z, weighted {bins.weights}",
            }
        )
        file["meta/pdf_name"] = np.array([b"hist"])
        file["meta/pdf_version"] = np.array([0])
        file["meta/bins"] = bins.grid_G[None]
        file["data/pdfs"] = density_BK[filled_B]
        for key, values_B in _ancillary(bins, name).items():
            file[f"ancil/{key}"] = values_B[filled_B]


def _ancillary(bins: Tomography, name: str) -> dict[str, NDArray[np.generic]]:
    """What is known of each bin."""
    means = [getattr(part, f"mean_{name}") for part in bins.bins]
    widths = [getattr(part, f"width_{name}") for part in bins.bins]
    return {
        "z_low": np.array([part.low for part in bins.bins]),
        "z_high": np.array([part.high for part in bins.bins]),
        "sources": np.array([part.sources for part in bins.bins]),
        "spectra": np.array([part.galaxies for part in bins.bins]),
        **_with_errors("mean", means),
        **_with_errors("width", widths),
    }


def _with_errors(name: str, estimates: list[Estimate]) -> dict[str, NDArray[np.generic]]:
    values = np.array([estimate.value for estimate in estimates])
    return {name: values, f"{name}_error": np.array([estimate.error for estimate in estimates])}
