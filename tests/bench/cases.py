"""One measurement each, in a process of its own so that its peak memory is its own."""

import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D

from bench.full_size import make_tile
from bench.measured import Measured
from photoz_models.documents import document_text
from photoz_models.session import PhotozModel
from photoz_run.catalogue.provenance import Provenance, input_files
from photoz_run.config import RunConfig, load_config, model_path
from photoz_run.records import Stamps, TileRef
from photoz_run.survey.discovery import find_tiles
from photoz_run.tile import BATCH, open_tile, predict, process_tile

REPEATS = 5
LOOPED = 400
"""Sources of the Cutout2D loop; its speed does not depend on their number."""


def settings(folder: Path, pixels_only: bool = True, reading: str = "auto") -> RunConfig:
    """The configuration of the cases; ``pixels_only`` leaves weights and flag images alone."""
    fewer = {"use_weights": False, "bad_pixel_bits": 0} if pixels_only else {}
    return load_config(
        None,
        {"tiles": ["all"], "data": [folder], "out": folder, "select": "all", "reading": reading}
        | fewer,
    )


def tile_of(folder: Path) -> TileRef:
    """The one tile in ``folder``."""
    (ref,) = find_tiles([folder]).values()
    return ref


def cut_all(folder: Path, model: PhotozModel, config: RunConfig) -> list[Stamps]:
    """Cut all stamps and drop them, batch by batch; the last batch is returned."""
    last: list[Stamps] = []
    with open_tile(tile_of(folder), model.contract, config) as tile:
        for _, stamps in tile.batches():
            last = [stamps]
    return last


def cutout2d_loop(folder: Path, model: PhotozModel, config: RunConfig, on_sky: bool) -> None:
    """The same stamps one by one with astropy, at positions on the sky, or at pixels computed
    beforehand for all.
    """
    with open_tile(tile_of(folder), model.contract, config) as tile:
        some = tile.sources.take(slice(0, LOOPED))
        for epochs in tile.coadds.bands.values():
            for coadd in epochs.values():
                pixels = zip(*coadd.grid.pixels(some.ra_N, some.dec_N), strict=True)
                positions = SkyCoord(some.ra_N, some.dec_N, unit="deg") if on_sky else pixels
                with fits.open(coadd.sci.path, memmap=True) as hdus:
                    for at in positions:
                        cutout = Cutout2D(
                            hdus[0].data,
                            at,
                            36,
                            wcs=coadd.grid.wcs if on_sky else None,
                            mode="partial",
                        )
                        cutout.data.astype(np.float32)


def infer(folder: Path, model: PhotozModel, config: RunConfig) -> None:
    """Run the network on one batch as often as the tile has batches."""
    with open_tile(tile_of(folder), model.contract, config) as tile:
        sources, stamps = next(tile.batches())
        for _ in range(0, len(tile.sources), BATCH):
            predict(model, sources, stamps)


def whole_tile(folder: Path, model: PhotozModel, config: RunConfig) -> None:
    """Read, cut, infer and write the tile as a worker does."""
    ref = tile_of(folder)
    run = Provenance(
        "photoz-run", "0", "", "", "", "", model.contract.name, "", model.digest, "", True
    )
    with TemporaryDirectory() as out:
        process_tile(ref, config, model, Path(out), run, input_files(ref.paths()))


def drop_cache(folder: Path) -> None:
    """Ask the kernel to forget the tile's pages."""
    for path in folder.glob("*.fits"):
        handle = os.open(path, os.O_RDONLY)
        os.fdatasync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def timed(action: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    """Seconds that ``action`` takes; ``before`` is not counted."""
    before()
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def main() -> None:
    """``python -m bench.cases NAME FOLDER SOURCES``: seconds of each repeat, and the peak memory in
    MiB.
    """
    name, folder, sources = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    make_tile(folder, sources)
    model = PhotozModel.load(model_path("hybrid-sim"), "cpu", False, threads=1)
    pixels_only, everything = settings(folder), settings(folder, pixels_only=False)
    cases: dict[str, list[Callable[[], object]]] = {
        "stamps": [lambda: cut_all(folder, model, pixels_only)],
        "stamps-masked": [lambda: cut_all(folder, model, everything)],
        "cutout2d": [
            lambda: cutout2d_loop(folder, model, pixels_only, on_sky=True),
            lambda: cutout2d_loop(folder, model, pixels_only, on_sky=False),
            lambda: cut_all(folder, model, pixels_only),
        ],
        "tile": [
            lambda: whole_tile(folder, model, everything),
            lambda: cut_all(folder, model, everything),
            lambda: infer(folder, model, everything),
        ],
    }
    actions = cases[name]
    for action in actions:
        action()
    repeats = 3 if name in ("tile", "cutout2d") else REPEATS
    seconds = [[timed(action) for action in actions] for _ in range(repeats)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    medians = [statistics.median(column) for column in zip(*seconds, strict=True)]
    rows = tuple(tuple(row) for row in seconds)
    print(document_text(Measured(rows, tuple(medians), round(peak))))


if __name__ == "__main__":
    main()
