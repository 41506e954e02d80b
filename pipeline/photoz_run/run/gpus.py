"""What the worker processes of a machine compute on: the CPU, or which of its GPUs."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile

from photoz_models.providers import Provider
from photoz_models.session import available_threads
from photoz_run.config import RunConfig
from photoz_run.run.machine import answer

VISIBLE = "CUDA_VISIBLE_DEVICES"

LISTED = re.compile(r"^(\s*).*\(UUID: (\S+)\)$", re.MULTILINE)
"""A line of nvidia-smi. Parts of a card (MIG) stand below it, further right."""

NAME = re.compile(r"\d+|(GPU|MIG)-\S+")
"""What CUDA_VISIBLE_DEVICES can call a GPU."""

WORKERS = 4
"""Workers that share a GPU unless a number is asked for: while one waits, another computes."""


def provider_here(config: RunConfig) -> Provider:
    """Where this process tries the network: a login node has no GPU, though the workers have."""
    return "cpu" if config.cluster.elsewhere else config.provider


def decided(config: RunConfig, provider: Provider, say: Callable[[str], None]) -> RunConfig:
    """The settings of this machine's workers, once it is known what the network ran on here.

    They all compute on that: none goes over to the CPU in silence when a GPU fails amid the run.
    Nor do jobs that GPUs are asked for.
    """
    if config.cluster.elsewhere:
        insists = config.provider == "auto" and config.cluster.gpus
        return config.model_copy(update={"provider": "cuda"}) if insists else config
    gpus = () if config.provider == "cpu" else usable_gpus(os.environ)
    if provider == "cpu" and gpus:
        say("there is a GPU, but the network runs on the CPU: photoz doctor says why")
    chosen: dict[str, str] = {"provider": provider} if config.provider == "auto" else {}
    if provider == "cuda" and config.workers is None:
        chosen["workers"] = str(min(available_threads(), WORKERS * max(1, len(gpus))))
    return config.model_copy(update=chosen)


def usable_gpus(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The GPUs that processes started here may use, each as ``CUDA_VISIBLE_DEVICES`` calls it.

    Those that the variable names, as a batch system sets it; else all that nvidia-smi lists. A
    card that is divided (MIG) is as many as it has parts.
    """
    named = environment.get(VISIBLE)
    if named is None:
        return listed_gpus(answer("nvidia-smi", "--list-gpus") or "")
    # CUDA reads as far as the first name that is none: -1, or NoDevFiles of SLURM.
    return tuple(takewhile(NAME.fullmatch, (name.strip() for name in named.split(","))))


def listed_gpus(listing: str) -> tuple[str, ...]:
    """The GPUs of a list of nvidia-smi. CUDA counts in another order than it, so by UUID."""
    gpus: list[tuple[bool, str]] = []
    for indent, uuid in LISTED.findall(listing):
        if indent and gpus and not gpus[-1][0]:
            gpus.pop()  # of a divided card only the parts can be used
        gpus.append((bool(indent), uuid))
    return tuple(uuid for _, uuid in gpus)


def least_used(gpus: Sequence[str], in_use: Iterable[str]) -> str:
    """The GPU with the fewest workers; the first of them."""
    workers = Counter(in_use)
    return min(gpus, key=lambda gpu: workers[gpu])
