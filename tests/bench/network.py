"""``python -m bench.network OLD.onnx [NEW.onnx]``: galaxies a second of two bundles, in turn.

NEW is the shipped one unless another is given. Both get the same batches of golden galaxies, once
with one thread and once with two. An older bundle comes out of the history with
``git show d8c7cc7:models/photoz_models/bundled/hybrid-sim.onnx > OLD.onnx``.
"""

import statistics
import sys
import time
from pathlib import Path

from photoz_models import BUNDLED
from photoz_models.golden import Inputs, golden_inputs
from photoz_models.independence import BATCH
from photoz_models.session import PhotozModel

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


def main() -> None:
    """Print a line for one thread and one for two."""
    paths = [Path(word) for word in sys.argv[1:]]
    bundles = [*paths, BUNDLED / "hybrid-sim.onnx"][:2]
    for threads in (1, 2):
        pairs = [tuple(seconds(path, threads) for path in bundles) for _ in range(ROUNDS)]
        old, new = (BATCH / statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(before / after for before, after in pairs)
        print(f"threads: {threads}   {old:,.0f} and {new:,.0f} galaxies/s, x {ratio:.2f}")


if __name__ == "__main__":
    main()
