"""A worker takes the cores it was given, not those that the machine has."""

import os

import pyarrow as pa
import pytest

from photoz_models.session import available_threads
from photoz_run.run.cluster import local_client


@pytest.fixture
def one_core():
    """This process and its children may use one core, as in a small job."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


def test_threads_of_a_worker_follow_the_affinity_and_its_libraries_take_one(one_core, monkeypatch):
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(variable, raising=False)
    with local_client(1) as client:
        assert client.submit(available_threads).result() == 1
        assert client.submit(pa.cpu_count).result() == 1
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            assert client.submit(os.environ.get, variable).result() == "1"
