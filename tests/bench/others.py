"""Speeds beside the main job: validating a million pairs, and rendering simulated galaxies."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from photoz_run.simulation import geometry, render
from photoz_run.simulation.scene import make_scene
from photoz_run.simulation.settings import SimulationSettings
from photoz_run.validation.settings import SpecSettings, ValidationSettings
from photoz_run.validation.validate import validate

TILES, PER_TILE = 1000, 1000
ENDS = {"LO95": -1.96, "LO68": -1.0, "HI68": 1.0, "HI95": 1.96}


def million_pairs(seed: int = 1) -> float:
    """Seconds to validate a million pairs in a thousand tiles with one other redshift column,
    without plots.
    """
    rng = np.random.default_rng(seed)
    n = TILES * PER_TILE
    tile = np.repeat(np.arange(TILES), PER_TILE)
    place = np.tile(np.arange(PER_TILE), TILES)
    ra = 100.0 + tile % 50 + (place % 32) / 40
    dec = -10.0 + tile // 50 + (place // 32) / 40
    z = rng.gamma(6, 0.035, n) + 0.01
    z_phot = z + rng.normal(0, 0.015, n) * (1 + z)
    width = 0.015 * (1 + z_phot)
    columns = {
        "ID": [f"KiDSDR5 J{k:09d}" for k in range(n)],
        "RAJ2000": ra,
        "DECJ2000": dec,
        "KIDS_TILE": [f"KIDS_{100 + k % 50}.0_{k // 50 - 10}.0" for k in tile],
        "MAG_AUTO_CALIB": 20 - rng.exponential(0.8, n),
        "Z_PHOT": z_phot,
        **{f"Z_PHOT_{end}": z_phot + k * width for end, k in ENDS.items()},
        "PHOTOZ_FLAG": np.zeros(n, np.int32),
        "MASK": np.zeros(n, np.int32),
        "Z_B": z + rng.normal(0, 0.03, n) * (1 + z),
    }
    with TemporaryDirectory() as folder:
        catalogue, specz = Path(folder, "catalogue.parquet"), Path(folder, "specz.fits")
        pq.write_table(pa.table(columns), catalogue)
        gama = {
            "RAcen": ra,
            "Deccen": dec,
            "Z": z,
            "NQ": np.full(n, 4),
            "SC": np.full(n, 7),
            "uberclass": np.ones(n, int),
        }
        fitsio.write(str(specz), list(gama.values()), names=list(gama))
        start = time.perf_counter()
        result, _ = validate(catalogue, ValidationSettings(specz=(SpecSettings(file=specz),)))
        seconds = time.perf_counter() - start
    if result.overall.n != n:
        raise RuntimeError(f"{result.overall.n} pairs instead of {n}")
    return seconds


def rendered_galaxies_per_second() -> float:
    """Galaxies with r < 20.5 rendered in four bands per second, on as many pixels as their stamps
    have.
    """
    settings = SimulationSettings(size=2000, density=20, data_release="DR4.0", seed=5)
    light = make_scene(settings, geometry.cell_of_tile(0, settings)).galaxy_light
    n = len(light.angle_N)
    column_N = np.full(n, 18.0) + 40.0 * np.arange(n)
    pixels_HW = np.ones((36, 40 * n), np.float32)
    start = time.perf_counter()
    for band in range(4):
        body, clumps = render.mixture_blobs(light, band, column_N, np.full(n, 18.0), 0.8)
        render.add(pixels_HW, body, 5e-4, 1e-13)
        render.add(pixels_HW, clumps, 5e-3, 1e-13)
    return n / (time.perf_counter() - start)
