"""Several GPUs of one machine and the worker processes that share them."""

import os
import time
from collections import Counter

import pytest
from distributed import Client

from photoz_run.run.cluster import local_client
from photoz_run.run.gpus import VISIBLE, usable_gpus

LISTING = "GPU 0: NVIDIA A100 (UUID: GPU-1)\\nGPU 1: NVIDIA A100 (UUID: GPU-2)"


@pytest.mark.parametrize(
    ("named", "usable"),
    [
        ("0", ("0",)),
        ("2, 5", ("2", "5")),
        ("GPU-8f3c,MIG-1a", ("GPU-8f3c", "MIG-1a")),
        ("1,-1,0", ("1",)),
        ("-1", ()),
        ("", ()),
    ],
)
def test_gpus_are_those_that_a_batch_system_leaves_visible(named, usable):
    assert usable_gpus({VISIBLE: named}) == usable


def test_without_the_variable_they_are_those_that_the_driver_lists(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '{LISTING}\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert usable_gpus({}) == ("0", "1")
    program.write_text("#!/bin/sh\nexit 9\n")
    assert usable_gpus({}) == ()


def seen(client: Client, but: str = "") -> dict[str, str]:
    """What three workers see, by their addresses; none of them is ``but``."""
    end = time.monotonic() + 90
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
        assert Counter(seen(client, but=alone).values()) == {"GPU-a": 2, "GPU-b": 1}
