"""Several GPUs of one machine and the worker processes that share them."""

import os
import re
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from distributed import Client
from onnxruntime.capi import onnxruntime_pybind11_state as native

from photoz_models.bundle import Bundle
from photoz_models.errors import BundleError, NoGpuError
from photoz_models.golden import golden_inputs
from photoz_models.session import PhotozModel
from photoz_run.config import ClusterConfig, RunConfig
from photoz_run.errors import GpuError
from photoz_run.prediction import infer
from photoz_run.records import Status, TileRef
from photoz_run.run import gpus, worker
from photoz_run.run.cluster import local_client
from photoz_run.run.gpus import VISIBLE, decided, least_used, provider_here, usable_gpus
from photoz_run.run.limits import limit_memory
from photoz_run.run.task import TileTask
from photoz_run.run.tried import tried
from support.bundles import closed_form_bundle
from support.gpus import NO_MEMORY, FailingGpu
from support.release_rows import RUN

LISTING = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-1)
  MIG 3g.20gb     Device  0: (UUID: MIG-1a)
  MIG 3g.20gb     Device  1: (UUID: MIG-1b)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-2)
GPU 2: NVIDIA A100-SXM4-40GB (UUID: GPU-3)
"""


@pytest.mark.parametrize(
    ("named", "usable"),
    [
        ("0", ("0",)),
        ("2, 5", ("2", "5")),
        ("GPU-8f3c,MIG-1a", ("GPU-8f3c", "MIG-1a")),
        ("1,-1,0", ("1",)),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("", ()),
    ],
)
def test_gpus_are_those_that_a_batch_system_leaves_visible(named, usable):
    assert usable_gpus({VISIBLE: named}) == usable


def test_without_the_variable_they_are_those_that_the_driver_lists(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{LISTING}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert usable_gpus({}) == ("MIG-1a", "MIG-1b", "GPU-2", "GPU-3")
    program.write_text("#!/bin/sh\necho 'No devices found.'\n")
    assert usable_gpus({}) == ()
    program.write_text("#!/bin/sh\nexit 9\n")
    assert usable_gpus({}) == ()


def seen(client: Client, but: str = "") -> dict[str, str]:
    """What three workers see, by their addresses; none of them is ``but``."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        visible = client.run(lambda: os.environ["CUDA_VISIBLE_DEVICES"], on_error="ignore")
        if len(visible) == 3 and but not in visible:
            return visible
        time.sleep(0.2)
    raise AssertionError("three workers did not come")


def test_each_worker_sees_one_gpu_and_a_new_worker_takes_the_place_of_a_lost_one():
    with local_client(3, gpus=("GPU-a", "GPU-b")) as client:
        before = seen(client)
        assert Counter(before.values()) == {"GPU-a": 2, "GPU-b": 1}
        [alone] = [address for address, gpu in before.items() if gpu == "GPU-b"]
        client.retire_workers([alone], close_workers=True)
        # It has lost one, but then it has none.
        assert Counter(seen(client, but=alone).values()) == {"GPU-a": 2, "GPU-b": 1}


def test_a_gpu_that_loses_workers_gets_fewer():
    assert least_used(("GPU-a", "GPU-b"), ["GPU-a", "GPU-b"]) == "GPU-a"
    lost = ["GPU-a", "GPU-a"]
    assert least_used(("GPU-a", "GPU-b"), ["GPU-a", "GPU-b", *lost]) == "GPU-b"


def test_workers_of_this_machine_compute_on_what_the_network_ran_on(monkeypatch):
    monkeypatch.setenv(VISIBLE, "0,1")
    monkeypatch.setattr(gpus, "available_threads", lambda: 64)
    said = []
    config = RunConfig(data=(Path(),), out=Path("out"), tiles=("all",))
    chosen = decided(config, "cuda", said.append)
    assert (chosen.provider, chosen.workers, said) == ("cuda", "8", [])
    assert decided(config.model_copy(update={"workers": "3"}), "cuda", said.append).workers == "3"
    chosen = decided(config, "cpu", said.append)
    assert (chosen.provider, chosen.workers) == ("cpu", None)
    assert said == ["there is a GPU, but the network runs on the CPU: photoz doctor says why"]


def test_a_login_node_needs_no_gpu_for_workers_elsewhere():
    jobs = ClusterConfig(kind="slurm", gpus=1)
    config = RunConfig(
        data=(Path(),), out=Path("out"), tiles=("all",), provider="cuda", cluster=jobs
    )
    assert provider_here(config) == "cpu"
    assert decided(config, "cpu", print).provider == "cuda"


@pytest.mark.parametrize(
    ("asked", "gpus", "tried"), [("auto", 1, "cuda"), ("auto", 0, "auto"), ("cpu", 1, "cpu")]
)
def test_a_job_that_gpus_are_asked_for_does_not_go_to_the_cpu_in_silence(asked, gpus, tried):
    jobs = ClusterConfig(kind="slurm", gpus=gpus)
    config = RunConfig(
        data=(Path(),), out=Path("out"), tiles=("all",), provider=asked, cluster=jobs
    )
    assert decided(config, "cpu", print).provider == tried


@pytest.fixture
def failing(tmp_path, monkeypatch):
    """A task, and how it ends with a GPU that fails: always, or once."""
    closed_form_bundle(tmp_path / "model.onnx")
    real = PhotozModel.load(tmp_path / "model.onnx", "cpu", threads=1)
    stamps_NCHW, table_NT = golden_inputs(7, 3, 4, 9, 36)
    config = RunConfig(tiles=("all",), data=(tmp_path,), out=tmp_path, attempts=3)
    task = TileTask(TileRef("T", "DR5", None, {}), config, tmp_path / "model.onnx", RUN, 1)

    def end(always):
        session = FailingGpu(real.session, native.RuntimeException(NO_MEMORY), always)
        model = replace(real, provider="cuda", device="NVIDIA H100", session=session)
        monkeypatch.setattr(worker, "model_of", lambda _: model)
        monkeypatch.setattr(worker, "process_tile", lambda *_: infer(model, stamps_NCHW, table_NT))
        return worker.run_tile(task)

    return end


def test_a_gpu_that_computes_nothing_any_more_is_blamed_and_no_tile(failing):
    answer = failing(always=True)
    assert isinstance(answer, worker.Refusal)
    assert isinstance(answer.error, GpuError)
    said = "cuda on NVIDIA H100 computes no longer: .*CUDA failure 2: out of memory$"
    assert re.search(said, str(answer.error))


@pytest.mark.parametrize(
    ("kind", "error"), [("local", GpuError), ("slurm", NoGpuError)], ids=["here", "in a job"]
)
def test_a_gpu_that_starts_no_more_does_not_end_a_run_on_others(kind, error, monkeypatch):
    """A host in whose job there is no GPU gets no tiles; here another GPU may take over."""

    def no_gpu(_):
        raise NoGpuError("CUDA was asked for and cannot be used here")

    monkeypatch.setattr(worker, "model_of", no_gpu)
    monkeypatch.setattr(worker, "has_nanny", lambda: True)
    monkeypatch.setattr(worker, "get_worker", MagicMock())
    cluster = ClusterConfig(kind=kind)
    config = RunConfig(tiles=("all",), data=(Path(),), out=Path("out"), cluster=cluster)
    task = TileTask(TileRef("T", "DR5", None, {}), config, Path(), RUN, 1)
    answer = worker.run_tile(task)
    assert isinstance(answer, worker.Refusal)
    assert (type(answer.error), answer.ends) == (error, error is GpuError)


def test_a_tile_at_which_a_gpu_failed_that_still_computes_is_tried_again(failing):
    outcome = failing(always=False)
    assert (outcome.status, outcome.error) == (Status.FAILED, "TransientError")
    assert outcome.provider == "cuda on NVIDIA H100"
    assert outcome.traceback == ""


def test_a_worker_on_a_gpu_has_no_limit_of_memory(monkeypatch):
    limits = []
    monkeypatch.setattr("resource.setrlimit", lambda *limit: limits.append(limit))
    config = RunConfig(tiles=("all",), data=(Path(),), out=Path("out"))
    task = TileTask(TileRef("T", "DR5", None, {}), config, Path(), RUN, 1)
    limit_memory(task, "cuda")
    assert limits == []
    limit_memory(task, "cpu")
    assert len(limits) == 1


def test_the_driver_of_a_run_holds_no_gpu(tmp_path, monkeypatch):
    """Another process tries the network, and ends; what it says is said here."""
    bundle = tmp_path / "model.onnx"
    contract = closed_form_bundle(bundle)
    monkeypatch.setenv(VISIBLE, "0")
    monkeypatch.setattr(PhotozModel, "load", lambda *_: pytest.fail("loaded here"))
    found = tried(bundle, "auto", False)
    assert (found.contract, type(found)) == (contract, Bundle)
    with pytest.raises(BundleError, match=r"absent\.onnx: cannot read the model"):
        tried(tmp_path / "absent.onnx", "auto", False)
    crash = tmp_path / "python"
    crash.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crash.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(crash))
    with pytest.raises(BundleError, match="the process that tried CUDA was ended"):
        tried(bundle, "auto", False)
