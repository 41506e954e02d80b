"""Run directories with rows that were made up: as many as a test needs, with known duplicates."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run import flags
from photoz_run.catalogue.provenance import InputFile, inputs_digest, tile_provenance
from photoz_run.catalogue.table import dictionary_schema
from photoz_run.catalogue.tile_files import write_tile
from photoz_run.config import RunConfig
from photoz_run.records import Status, TileOutcome, TileRef
from photoz_run.run.ledger import RunDirectory, make_folder, write_document
from photoz_run.run.manifest import RunManifest
from photoz_run.schema import QUANTILES

EXCLUDED = 7
"""Rows of each tile's catalogue that the selection is said to have left out."""


class MadeUpRun:
    """A run directory that is filled tile by tile; ``tiles`` are all that its manifest names."""

    def __init__(self, path: Path, tiles: Sequence[str], simulated: bool = False) -> None:
        self.directory = RunDirectory(path)
        path.mkdir(parents=True)
        config = RunConfig(tiles=("all",), data=(path.parent / "data",), out=path, select="all")
        self.inputs = {tile: (InputFile(f"{tile}_cat.fits", 1000, 1),) for tile in tiles}
        self.manifest = RunManifest(
            version="1.2.3",
            commit="0123456789ab",
            python="3.11.0",
            packages={"numpy": "2.0"},
            config=config,
            config_digest=config.digest(),
            model="made-up",
            model_version="1",
            model_digest="ab" * 32,
            model_training="none",
            simulated_training=simulated,
            redshift_range=(0.0, 1.0),
            magnitudes_digest="cd" * 32,
            provider="cpu",
            data_releases=("DR5",),
            tiles=tuple(sorted(tiles)),
            inputs=self.inputs,
            inputs_digests={tile: inputs_digest(files) for tile, files in self.inputs.items()},
        )
        write_document(self.directory.manifest, self.manifest)
        self.provenance = self.manifest.provenance

    @property
    def path(self) -> Path:
        return self.directory.path

    def add(
        self, tile: str, table: pa.Table, footprint: Sequence[tuple[float, float]] = ()
    ) -> TileOutcome:
        """Write a tile's file and its record."""
        folder = self.directory.tile_folder(tile)
        make_folder(folder)
        ref = TileRef(tile, "DR5", Path(f"{tile}_cat.fits"), {})
        files = write_tile(
            table,
            folder,
            tile,
            ["parquet"],
            tile_provenance(self.provenance, ref, self.inputs[tile]),
        )
        return self.record(
            tile,
            Status.DONE,
            catalogue_rows=len(table) + EXCLUDED,
            rows_in=len(table),
            rows_out=len(table),
            files=files,
            footprint=tuple(footprint),
            flag_counts=flags.count(table["PHOTOZ_FLAG"].to_numpy()),
        )

    def record(self, tile: str, status: Status, **fields) -> TileOutcome:
        """Write the record of a tile."""
        digest = inputs_digest(self.inputs[tile])
        outcome = TileOutcome(tile, status, digest, self.provenance.run_digest, **fields)
        self.directory.write_outcome(outcome)
        return outcome


def tile_rows(
    tile: str,
    ids: Sequence[str] | NDArray[np.str_],
    ra_N: NDArray[np.float64],
    dec_N: NDArray[np.float64],
    seed: int = 0,
    **columns: NDArray,
) -> pa.Table:
    """Rows of a tile file; what ``columns`` does not give is random.

    Rows flagged NO_REDSHIFT have no redshift.
    """
    rng, n = np.random.default_rng(seed), len(ids)
    z_N, half_N = rng.uniform(0.1, 0.9, n).astype("f4"), rng.uniform(0.01, 0.04, n).astype("f4")
    values: dict[str, NDArray[Any]] = {
        "ID": np.asarray(ids),
        "RAJ2000": np.asarray(ra_N, np.float64),
        "DECJ2000": np.asarray(dec_N, np.float64),
        "KIDS_TILE": np.full(n, tile),
        "PHOTOZ_FLAG": np.zeros(n, np.int32),
        "MASK": rng.integers(0, 1 << 12, n).astype(np.int32),
        "MAG_AUTO_CALIB": rng.uniform(16, 20, n).astype("f4"),
        "Z_PHOT": z_N,
        "Z_PHOT_LO68": z_N - half_N,
        "Z_PHOT_HI68": z_N + half_N,
        "Z_PHOT_ERR": ((z_N + half_N) - (z_N - half_N)) / 2,
        "Z_PHOT_LO95": z_N - 2 * half_N,
        "Z_PHOT_HI95": z_N + 2 * half_N,
        "Z_DOMAIN": rng.random(n).astype("f4"),
        **columns,
    }
    blind_N = (values["PHOTOZ_FLAG"] & flags.bit("NO_REDSHIFT")) != 0
    arrays = [
        pa.array(
            values[field.name], field.type, mask=blind_N if field.name.startswith("Z_") else None
        )
        for field in dictionary_schema("photoz")
    ]
    return pa.Table.from_arrays(arrays, schema=dictionary_schema("photoz"))


def square(ra: float, dec: float, half: float) -> tuple[tuple[float, float], ...]:
    """The corners of a coadd around a place, deg."""
    wide = half / np.cos(np.radians(dec))
    return (
        (ra + wide, dec - half),
        (ra + wide, dec + half),
        (ra - wide, dec + half),
        (ra - wide, dec - half),
    )


def names_by_place(ra_N: NDArray[np.float64], dec_N: NDArray[np.float64]) -> NDArray[np.str_]:
    """IDs after the position, as surveys have them, the same for the same place."""
    ra_N, dec_N = np.round(ra_N * 1e6).astype(int), np.round(dec_N * 1e6).astype(int)
    survey_NK = np.broadcast_to(np.frombuffer(b"KiDSDR5 J", np.uint8), (len(ra_N), 9))
    sign_N = np.where(dec_N < 0, ord("-"), ord("+")).astype(np.uint8)
    letters_NK = np.hstack([survey_NK, _digits(ra_N), sign_N[:, None], _digits(np.abs(dec_N))])
    return letters_NK.view(f"S{letters_NK.shape[1]}").ravel().astype(np.str_)


def _digits(number_N: NDArray[np.int64], width: int = 9) -> NDArray[np.uint8]:
    """The last digits of each number as characters, [N, width]."""
    powers = 10 ** np.arange(width - 1, -1, -1)
    return (number_N[:, None] // powers % 10 + ord("0")).astype(np.uint8)


def strip(
    path: Path, tiles: int, rows: int, overlap: float = 0.05, quantiles: int = 0
) -> MadeUpRun:
    """A strip of tiles of a square degree along the equator.

    Each shares the sources of ``overlap`` deg with the next. ``rows`` sources lie in each degree,
    so that a tile has ``rows`` and those of its overlaps; each has ``quantiles`` quantiles.
    """
    names = [f"KIDS_{10 + k:.1f}_0.0" for k in range(tiles)]
    run = MadeUpRun(path, names)
    sources = deque([_degree(-1, rows), _degree(0, rows)], maxlen=3)
    for k, name in enumerate(names):
        sources.append(_degree(k + 1, rows))
        ra_N, dec_N, ids = (np.concatenate(parts) for parts in zip(*sources, strict=True))
        inside_N = np.abs(ra_N - 10 - k) <= 0.5 + overlap / 2
        flag_N = np.where(np.random.default_rng(k).random(int(inside_N.sum())) < 0.1, 1, 0).astype(
            np.int32
        )
        table = tile_rows(
            name, ids[inside_N], ra_N[inside_N], dec_N[inside_N], seed=k, PHOTOZ_FLAG=flag_N
        )
        if quantiles:
            table = with_quantiles(table, quantiles)
        run.add(name, table, square(10.0 + k, 0.0, 0.5 + overlap / 2))
    return run


def with_quantiles(table: pa.Table, number: int) -> pa.Table:
    """The rows with so many quantiles in ``Z_QUANTILES``; a row without redshift has none."""
    value_NQ = np.sort(
        np.random.default_rng(number).random((len(table), number), np.float32), axis=1
    )
    about = {"levels": ",".join(f"{(k + 0.5) / number:.6f}" for k in range(number))}
    lists = pa.FixedSizeListArray.from_arrays(
        pa.array(value_NQ.ravel()), number, mask=table["Z_PHOT"].is_null().combine_chunks()
    )
    return table.append_column(pa.field(QUANTILES.name, lists.type, True, about), lists)


def _degree(
    number: int, rows: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.str_]]:
    """Position and ID of the sources of one degree of the strip."""
    rng = np.random.default_rng([number + 1, rows])
    ra_N, dec_N = rng.uniform(9.5 + number, 10.5 + number, rows), rng.uniform(-0.5, 0.5, rows)
    return ra_N, dec_N, names_by_place(ra_N, dec_N)
