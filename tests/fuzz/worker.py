"""Runs seeds through the real path of a tile; prints one JSON line before and after each.

``python -m fuzz.worker FOLDER FIRST LAST``
"""

import json
import os
import re
import shutil
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from astropy.io import fits

from fuzz.corruption import PRODUCTS, Corruption, corrupt
from photoz_models import BUNDLED
from photoz_models.session import PhotozModel
from photoz_run import flags, prediction
from photoz_run import tile as tile_module
from photoz_run.catalogue.provenance import Provenance, input_files
from photoz_run.config import RunConfig
from photoz_run.errors import PhotozError
from photoz_run.survey.discovery import find_tiles
from photoz_run.tile import process_tile
from support.tiles import change_rows, make_tile

FORMS = {"bare": "", "plain": "", "gz": ".gz", "fz": ".fz"}
"""How the images are packed; ``bare`` has no CHECKSUM and DATASUM, which ESO's archive writes."""
COLUMNS = re.compile(
    "(ID|RAJ2000|DECJ2000|KIDS_TILE|MASK|MAG_AUTO|CLASS_STAR|SG2DPHOT|SG_FLAG|EXTINCTION_.*"
    "|(MAG|MAGERR|FLAG)_GAAP_.*)$"
)
"""A catalogue with all of its 290 columns takes most of the time."""
LEFT_OUT = [(band, product) for band in "ugi" for product in ("wei", "msk")]
"""One band with weights and flags is enough: each further file takes its time in every case."""
RUN = Provenance("photoz-run", "0", "0", "", "run", "config", "model", "1", "model", "none", True)
PIXEL_FLAGS = {"sci": "BAD_PIXELS", "wei": "BAD_PIXELS", "msk": "MASKED_PIXELS"}
MOVED = 0.02
SOURCES = 40
Redshifts = dict[str, tuple[float, int]]


def prepare(folder: Path) -> None:
    """Write the good tiles, once."""
    for name, compression in FORMS.items():
        tile = make_tile(
            folder / name, data_release="DR4.0", compression=compression, number=SOURCES
        )
        for path in tile.folder.iterdir():
            if any(f"_{band}_{product}" in path.name for band, product in LEFT_OUT):
                path.unlink()
        change_rows(tile.catalogue, needed_columns)
        if name != "bare":
            for path in tile.folder.iterdir():
                write_sums(path)


def needed_columns(rows: np.ndarray) -> np.ndarray:
    return rows[[name for name in rows.dtype.names if COLUMNS.match(name)]].copy()


def write_sums(path: Path) -> None:
    """Write the file again with CHECKSUM and DATASUM; fpack has written them already."""
    if path.suffix == ".fz":
        return
    with fits.open(path, memmap=False) as hdus:
        for hdu in hdus:
            hdu.data  # noqa: B018 - read before the file is overwritten
        hdus.writeto(path, overwrite=True, checksum=True)


def measure(folder: Path, out: Path, model: PhotozModel) -> tuple[Redshifts, Sequence[str]]:
    """Redshift and flags by ID, and what is said of the tile."""
    out.mkdir(exist_ok=True)
    config = RunConfig(tiles=("all",), data=(folder,), out=out, select="all")
    ((tile, ref),) = find_tiles([folder]).items()
    result = process_tile(ref, config, model, out, RUN, input_files(ref.paths()))
    if not result.files:
        return {}, ()
    table = pq.read_table(out / f"{tile}.parquet").to_pylist()
    return {row["ID"]: (row["Z_PHOT"], row["PHOTOZ_FLAG"]) for row in table}, result.remarks


def silent(good: Redshifts, measured: Redshifts, product: str) -> int:
    """Rows that are gone, or moved without a flag that says so.

    Said is a flag that the good tile has not, or the one for pixels that this product takes away.
    """
    said = flags.bit(PIXEL_FLAGS[product]) if product in PIXEL_FLAGS else 0
    count = sum(name not in measured for name in good)
    for name, (z, set_flags) in measured.items():
        known = good.get(name)
        if known is None:
            count += 1
        elif set_flags & (~known[1] | said) == 0 and z is not None and known[0] is not None:
            count += not abs(z - known[0]) <= MOVED
    return count


def try_seed(
    seed: int, folder: Path, model: PhotozModel, good: Redshifts, usual: Sequence[str]
) -> dict:
    rng = np.random.default_rng(seed)
    form = str(rng.choice(list(FORMS)))
    product = str(rng.choice(PRODUCTS))
    case = folder / f"case-{os.getpid()}"
    shutil.rmtree(case, ignore_errors=True)
    case.mkdir()
    for path in (folder / form).iterdir():
        os.link(path, case / path.name)
    paths = sorted(path for path in case.iterdir() if f"_{product}" in path.name)
    path = paths[rng.integers(len(paths))]
    done: Corruption = corrupt(path, product, rng)
    verdict = {"seed": seed, "form": form, "product": product, "kind": done.kind}
    start = time.monotonic()
    try:
        measured, said = measure(case, folder / f"out-{os.getpid()}", model)
        # The good tile lacks files, too, which is said of it.
        remarks = [remark for remark in said if remark not in usual]
        moved = silent(good, measured, product)
        end = "refused" if not measured else "good"
        if measured and moved:
            end = "said" if remarks else "moved"
        words = "; ".join([f"{moved} rows", *remarks])
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
    # A batch is filled up with nothing: one that just holds the tile is quicker.
    prediction.BATCH = tile_module.BATCH = SOURCES
    model = PhotozModel.load(BUNDLED / "hybrid-sim.onnx", provider="cpu", threads=1)
    good, usual = measure(folder / "plain", folder / f"good-{os.getpid()}", model)
    for seed in range(first, last):
        print(json.dumps({"begun": seed}), flush=True)
        print(json.dumps(try_seed(seed, folder, model, good, usual)), flush=True)


if __name__ == "__main__":
    main()
