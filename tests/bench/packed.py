"""``python -m bench.packed``: stamps of a packed coadd beside one plain unpacking of its strips.

The coadd has a fifth of the rows of a full one and as many sources as lie on a fifth of a tile.
"""

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from astropy.io import fits

from bench.full_size import SHAPE_YX, blocks, write_image
from photoz_run.images.image import STRIP_ROWS, needed_strips
from photoz_run.images.opening import open_image
from photoz_run.images.plan import Storage

HEIGHT, SOURCES, SIZE, BATCH = 3_840, 240, 36, 64
REPEATS = 5
PACKED = {"fpack's default": [], "without loss": ["-g", "-q", "0"]}


def main() -> None:
    """Print a row for each way of packing."""
    rng = np.random.default_rng(3)
    y0_N = np.sort(rng.integers(0, HEIGHT - SIZE, SOURCES))
    corners = y0_N, rng.integers(0, SHAPE_YX[1] - SIZE, SOURCES)
    strips = needed_strips(y0_N, SIZE, HEIGHT, STRIP_ROWS).tolist()
    print(f"{'.fz: stamps / one plain unpacking of their strips':<52}{'1 process':>12}{'2':>8}")
    with tempfile.TemporaryDirectory(prefix="photoz-packed-") as name:
        image = Path(name) / "image.fits"
        write_image(image, blocks()["sci"], HEIGHT)
        for words, options in PACKED.items():
            path = Path(name) / f"{len(options)}.fits.fz"
            subprocess.run(["fpack", *options, "-O", str(path), str(image)], check=True)
            ratios = [_ratios(path, corners, strips) for _ in range(REPEATS + 1)][1:]
            one, two = (statistics.median(column) for column in zip(*ratios, strict=True))
            print(f"{words:<52}{one:>12.2f}{two:>8.2f}", flush=True)


def _ratios(
    path: Path, corners: tuple[np.ndarray, np.ndarray], strips: list[int]
) -> tuple[float, float]:
    plain = _seconds(lambda: unpack(path, strips))
    one, two = (_seconds(lambda n=n: cut(path, corners, n)) for n in (1, 2))
    return one / plain, two / plain


def unpack(path: Path, strips: list[int]) -> None:
    """Unpack strips in order, in this process."""
    with fits.open(path) as hdus:
        for strip in strips:
            hdus[1].section[strip * STRIP_ROWS : (strip + 1) * STRIP_ROWS]


def cut(path: Path, corners: tuple[np.ndarray, np.ndarray], processes: int) -> None:
    """Cut all stamps, batch by batch, as a tile does."""
    image = open_image(path, threads=processes)
    image.plan(corners, SIZE, Storage())
    for start in range(0, SOURCES, BATCH):
        batch = slice(start, start + BATCH)
        image.stamps((corners[0][batch], corners[1][batch]), SIZE)
    image.close()


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
