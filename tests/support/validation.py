"""Catalogues and spec-z tables with known properties, for tests of the validation."""

import json
from pathlib import Path

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from photoz_run.records import tile_group
from photoz_run.validation import document

TILES = {
    "KIDS_180.0_-0.5": (180.0, -0.5),
    "KIDS_181.0_-0.5": (181.0, -0.5),
    "KIDS_10.0_-31.2": (10.0, -31.2),
}
SIGMA = 0.015


def survey(n=3000, seed=5, sigma=SIGMA):
    """Columns of a catalogue with Gaussian normdz of width ``sigma``, calibrated intervals, and its
    true redshifts.
    """
    rng = np.random.default_rng(seed)
    tile = rng.integers(0, len(TILES), n)
    centres = np.array(list(TILES.values()))[tile]
    # A grid of 18 arcsec, so that no two sources are neighbours.
    cell = rng.permutation(200 * 200)[:n]
    dec = centres[:, 1] + (cell // 200 - 99.5) / 200
    ra = centres[:, 0] + (cell % 200 - 99.5) / 200 / np.cos(np.radians(dec))
    z = rng.gamma(6, 0.035, n) + 0.01
    normdz = rng.normal(0, sigma, n)
    z_phot = z + normdz * (1 + z)
    width = sigma * (1 + z_phot)
    red = rng.random(n) < 0.45
    g_r = np.where(red, 0.9 + 2.3 * z, 0.4 + 2.3 * z) + rng.normal(0, 0.05, n)
    r = 20 - rng.exponential(0.8, n)
    columns = {
        "ID": np.array([f"KiDSDR5 J{k:09d}" for k in range(n)]),
        "RAJ2000": ra,
        "DECJ2000": dec,
        "KIDS_TILE": np.array(list(TILES))[tile],
        "MAG_AUTO_CALIB": r.astype(np.float32),
        "Z_PHOT": z_phot.astype(np.float32),
        "Z_PHOT_LO68": (z_phot - 0.994458 * width).astype(np.float32),
        "Z_PHOT_HI68": (z_phot + 0.994458 * width).astype(np.float32),
        "Z_PHOT_LO95": (z_phot - 1.959964 * width).astype(np.float32),
        "Z_PHOT_HI95": (z_phot + 1.959964 * width).astype(np.float32),
        "PHOTOZ_FLAG": np.where(rng.random(n) < 0.05, 1, 0).astype(np.int32),
        "MASK": np.where(rng.random(n) < 0.1, 2, 0).astype(np.int32),
        "MAG_GAAP_g": (r + g_r).astype(np.float32),
        "MAG_GAAP_r": r.astype(np.float32),
    }
    return columns, z


def gama(columns, z, seed=6, scatter_arcsec=0.1):
    """A GAMA-like spec-z table of the catalogue's sources, all of them good."""
    rng = np.random.default_rng(seed)
    n = len(z)
    return {
        "RAcen": columns["RAJ2000"] + rng.normal(0, scatter_arcsec / 3600, n),
        "Deccen": columns["DECJ2000"] + rng.normal(0, scatter_arcsec / 3600, n),
        "Z": z.astype(np.float32),
        "NQ": np.full(n, 4, np.int32),
        "SC": np.full(n, 7, np.int32),
        "uberclass": np.ones(n, np.int32),
    }


def write_fits(path: Path, columns) -> Path:
    """One binary table."""
    names = list(columns)
    fitsio.write(
        str(path), [np.asarray(columns[name]) for name in names], names=names, clobber=True
    )
    return path


def write_parquet(path: Path, columns, facts=None) -> Path:
    """One Parquet table; masked or NaN values stay as they are. ``facts`` are its provenance."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {f"photoz-run.{key}": value for key, value in (facts or {}).items()}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    return path


MODEL_OF_SIMULATIONS = {
    "model": "hybrid-sim",
    "model_version": "4",
    "model_digest": "ef" * 32,
    "model_training": "simulated KiDS",
    "simulated_training": "True",
    "run_digest": "ab" * 32,
}
"""What the files of a run with such a model say."""


def write_run(path: Path, columns, facts=None) -> Path:
    """A run directory: one Parquet file and one outcome per tile."""
    for tile in np.unique(columns["KIDS_TILE"]):
        rows = columns["KIDS_TILE"] == tile
        folder = path / "tiles" / tile_group(tile)
        write_parquet(
            folder / f"{tile}.parquet",
            {name: value[rows] for name, value in columns.items()},
            facts,
        )
        (folder / f"{tile}.json").write_text(json.dumps({"tile": str(tile), "status": "DONE"}))
    (path / "manifest.json").write_text("{}")
    return path


def validated(n, rows, statistics):
    """A metrics.json with the given statistics of ``n`` pairs of a catalogue of ``rows``, nothing
    else measured.
    """
    return document.Metrics(
        schema_version=document.Metrics.SCHEMA,
        subject=document.SubjectRecord("", "", "", "", "", False, "", "", ""),
        catalogue=document.CatalogueRecord("run", rows, 0),
        specz={},
        match=document.MatchRecord(n, n, n, 0, 0, 0, n, 0, 1.0, 0, 0, 0),
        n=n,
        errors_over="",
        statistics=statistics,
        science=None,
        representative=None,
        distribution=None,
        nz=document.RedshiftDistributionRecord(document.SpikeRecord(None, None, None), None, None),
        tomography=None,
        repeatability=document.RepeatabilityRecord(0, None, None, None),
        findings=[],
        tiles_to_look_at=document.SuspectsRecord(0.0, []),
        notes=[],
        gates=[],
        passed=True,
        comparisons={},
        breakdowns={},
    )
