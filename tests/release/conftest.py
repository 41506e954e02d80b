"""A run and its release, made once; nobody may change them."""

import os
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest

from support.photoz import make_survey, measure, photoz

# Compiling what hats and LSDB do to trees of a few cells takes ten seconds of each process.
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")


@pytest.fixture(scope="module", autouse=True)
def dask_without_cluster() -> Iterator[None]:
    """LSDB computes here, whatever a run in this process left in Dask's settings."""
    with dask.config.set(scheduler="threads"):
        yield


@pytest.fixture(scope="session")
def survey(tmp_path_factory) -> Path:
    return make_survey(tmp_path_factory.mktemp("survey"))


@pytest.fixture(scope="session")
def run(survey, bundle, tmp_path_factory) -> Path:
    """A complete run."""
    out = tmp_path_factory.mktemp("run") / "sim-dr5"
    assert measure(survey, bundle, out) == 0
    return out


@pytest.fixture(scope="session")
def release(run, tmp_path_factory) -> Path:
    """Its release, with everything that can be asked for."""
    out = tmp_path_factory.mktemp("release") / "dr5-photoz"
    more = (
        "--formats",
        "fits,parquet,hats",
        "--margin",
        "10",
        "--pdf",
        "--keep",
        "MAG_GAAP_r",
        "CLASS_STAR",
    )
    assert photoz("release", run, "--out", out, "--name", "sim", "--quiet", *more) == 0
    return out
