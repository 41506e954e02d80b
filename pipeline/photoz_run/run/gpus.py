"""Which GPU of a machine each of its worker processes computes on."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from photoz_run.run.machine import answer

VISIBLE = "CUDA_VISIBLE_DEVICES"


def usable_gpus(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The GPUs that processes started here may use, each as ``CUDA_VISIBLE_DEVICES`` calls it.

    Those that the variable names, as a batch system sets it; else all that nvidia-smi lists.
    """
    named = environment.get(VISIBLE)
    if named is None:
        listed = answer("nvidia-smi", "--list-gpus") or ""
        return tuple(str(number) for number in range(len(listed.splitlines())))
    names = [name.strip() for name in named.split(",")]
    # CUDA reads as far as the first name that is none, -1 for instance.
    ends = [place for place, name in enumerate(names) if name.startswith("-") or not name]
    return tuple(names[: ends[0]] if ends else names)


def least_used(gpus: Sequence[str], in_use: Iterable[str]) -> str:
    """The GPU with the fewest workers; the first of them."""
    workers = Counter(in_use)
    return min(gpus, key=lambda gpu: workers[gpu])
