"""Runs seeds through the real path of a tile; prints one JSON line before and after each.

``python -m fuzz.worker FOLDER FIRST LAST``
"""

import json
import os
import shutil
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from fuzz.corruption import PRODUCTS, Corruption, corrupt
from photoz_models import BUNDLED
from photoz_models.session import PhotozModel
from photoz_run import tile as tile_module
from photoz_run.catalogue.provenance import Provenance, input_files
from photoz_run.config import RunConfig
from photoz_run.errors import PhotozError
from photoz_run.survey.discovery import find_tiles
from photoz_run.tile import process_tile
from support.tiles import make_tile

FORMS = {"plain": "", "gz": ".gz", "fz": ".fz"}
RUN = Provenance("photoz-run", "0", "0", "", "run", "config", "model", "1", "model", "none", True)
MOVED = 0.02


def prepare(folder: Path) -> None:
    """Write the good tiles, once."""
    for name, compression in FORMS.items():
        make_tile(folder / name, data_release="DR4.0", compression=compression)


def measure(folder: Path, out: Path, model: PhotozModel) -> dict[str, tuple[float, int]]:
    """Redshift and flags by ID."""
    out.mkdir(exist_ok=True)
    config = RunConfig(tiles=("all",), data=(folder,), out=out, select="all")
    ((tile, ref),) = find_tiles([folder]).items()
    result = process_tile(ref, config, model, out, RUN, input_files(ref.paths()))
    if not result.files:
        return {}
    table = pq.read_table(out / f"{tile}.parquet").to_pylist()
    return {row["ID"]: (row["Z_PHOT"], row["PHOTOZ_FLAG"]) for row in table}


def silent(good: dict[str, tuple[float, int]], found: dict[str, tuple[float, int]]) -> int:
    """Rows that are gone or moved without a flag that the good tile has not."""
    count = sum(name not in found for name in good)
    for name, (z, flags) in found.items():
        known = good.get(name)
        if known is None:
            count += 1
        elif flags & ~known[1] == 0 and z is not None and known[0] is not None:
            count += not abs(z - known[0]) <= MOVED
    return count


def try_seed(seed: int, folder: Path, model: PhotozModel, good: dict) -> dict:
    rng = np.random.default_rng(seed)
    form = str(rng.choice(list(FORMS)))
    product = str(rng.choice(PRODUCTS))
    case = folder / f"case-{os.getpid()}"
    shutil.rmtree(case, ignore_errors=True)
    case.mkdir()
    for path in (folder / form).iterdir():
        os.link(path, case / path.name)
    name = "_cat" if product == "cat" else f"_{rng.choice(list('ugri'))}_{product}"
    (path,) = (path for path in case.iterdir() if name in path.name)
    done: Corruption = corrupt(path, product, rng)
    verdict = {"seed": seed, "form": form, "product": product, "kind": done.kind}
    start = time.monotonic()
    try:
        found = measure(case, folder / f"out-{os.getpid()}", model)
        moved = silent(good, found)
        end = "refused" if not found else "moved" if moved else "good"
        words = f"{moved} rows"
    except PhotozError as error:
        end, words = "refused", str(error)
        if "\n" in words:
            end = "several lines"
    except Exception as error:  # noqa: BLE001 - what is looked for
        end, words = "bug", f"{type(error).__name__}: {error}"
    seconds = round(time.monotonic() - start, 2)
    return verdict | {"end": end, "words": f"{done.words}: {words}"[:400], "seconds": seconds}


def main() -> None:
    warnings.simplefilter("ignore")
    folder, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    # A batch is filled up with nothing: a smaller one is quicker.
    tile_module.BATCH = 40
    model = PhotozModel.load(BUNDLED / "hybrid-sim.onnx", provider="cpu", threads=1)
    good = {form: measure(folder / form, folder / f"good-{os.getpid()}", model) for form in FORMS}
    for seed in range(first, last):
        print(json.dumps({"begun": seed}), flush=True)
        print(json.dumps(try_seed(seed, folder, model, good["plain"])), flush=True)


if __name__ == "__main__":
    main()
