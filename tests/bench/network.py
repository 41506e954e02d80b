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

PAIRS = 60


def seconds(model: PhotozModel, inputs: Inputs) -> float:
    """What one batch takes on the clock."""
    start = time.perf_counter()
    model.predict(*inputs)
    return time.perf_counter() - start


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
        models = [PhotozModel.load(path, "cpu", threads=threads) for path in bundles]
        loads = [(model, galaxies(model)) for model in models]
        pairs = [tuple(seconds(*load) for load in loads) for _ in range(PAIRS)]
        old, new = (BATCH / statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(before / after for before, after in pairs)
        print(f"threads: {threads}   {old:,.0f} and {new:,.0f} galaxies/s, x {ratio:.2f}")


if __name__ == "__main__":
    main()
