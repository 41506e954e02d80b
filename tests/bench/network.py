"""``python -m bench.network [OLD.onnx [NEW.onnx]]``: galaxies a second of two bundles, in turn.

NEW is the shipped one unless another is given, OLD version 4 of it, from the history. Both get the
same batches of golden galaxies, once with one thread and once with two.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from photoz_models import BUNDLED
from photoz_models.golden import Inputs, golden_inputs
from photoz_models.independence import BATCH
from photoz_models.session import PhotozModel

VERSION_4 = "6b909bf30752:models/photoz_models/bundled/hybrid-sim.onnx"
"""The bundle that later ones are measured by, where the history has it."""

SHIPPED = BUNDLED / "hybrid-sim.onnx"

ROUNDS = 9
BATCHES = 12
"""Batches of a round, after one that is not timed."""


def seconds(path: Path, threads: int) -> float:
    """The median time of a batch.

    The session is alone: the threads of another one spin on after their work and take a core.
    """
    model = PhotozModel.load(path, "cpu", threads=threads)
    inputs = galaxies(model)
    model.predict(*inputs)
    times = []
    for _ in range(BATCHES):
        start = time.perf_counter()
        model.predict(*inputs)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def galaxies(model: PhotozModel) -> Inputs:
    """One batch for a bundle."""
    contract = model.contract
    n_bands = len(contract.image_bands), len(contract.magnitude_bands)
    n_seeing = len(contract.seeing_bands)
    return golden_inputs(1, BATCH, *n_bands, contract.stamp_size, n_seeing)


def version_4(folder: Path) -> list[Path]:
    """The bundle as a file in ``folder``; nothing if this is no clone with its history."""
    here = Path(__file__).parent
    shown = subprocess.run(["git", "show", VERSION_4], cwd=here, capture_output=True)
    if shown.returncode:
        return []
    path = folder / "version-4.onnx"
    path.write_bytes(shown.stdout)
    return [path]


def compare(old: Path, new: Path) -> None:
    """Print a line for one thread and one for two: the median ratio of pairs in turn."""
    for threads in (1, 2):
        pairs = [(seconds(old, threads), seconds(new, threads)) for _ in range(ROUNDS)]
        before, after = (BATCH / statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(first / second for first, second in pairs)
        rates = f"{before:,.0f} and {after:,.0f} galaxies/s"
        print(f"{old.stem} and {new.stem}, threads: {threads}   {rates}, x {ratio:.2f}", flush=True)


def main(bundles: Sequence[Path] = ()) -> None:
    """Compare the given bundles, or the shipped one with version 4."""
    with tempfile.TemporaryDirectory() as folder:
        given = bundles or version_4(Path(folder))
        if given:
            compare(*[*given, SHIPPED][:2])
        else:
            print("version 4 of the bundle: not in this copy, which has no history")


if __name__ == "__main__":
    main([Path(word) for word in sys.argv[1:]])
