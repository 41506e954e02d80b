"""``photoz apply``: a bundle of magnitudes over a table, block by block."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_models.golden import Outputs
from photoz_models.independence import BATCH
from photoz_models.session import PhotozModel, available_threads
from photoz_run import __version__, flags
from photoz_run.applying.columns import Source, Wanted, open_source, output_rows, output_schema
from photoz_run.applying.files import Rows, check_out, write
from photoz_run.prediction import blind, infer, judged
from photoz_run.progress import StepProgress
from photoz_run.survey.band_columns import band_magnitudes
from photoz_run.survey.catalogues import magnitude_flags
from photoz_run.tile import ahead
from photoz_run.version import package_versions, program_commit

BLOCK = 1 << 17
"""Rows in memory at once, and of a row group of the output."""
PACKAGES = ("numpy", "pyarrow", "onnxruntime-gpu", "onnxruntime")


@dataclass(frozen=True)
class Applied:
    """What was written."""

    rows: int
    columns: str
    """The column of each band, in words."""
    flags: Counter[str]
    """Rows that carry each flag."""


def apply_bundle(
    model: PhotozModel, path: Path, out: Path, wanted: Wanted, progress: StepProgress
) -> Applied:
    """Write the redshifts of every row of a table, in the order of the table.

    The network gets the rows `BATCH` at a time, as in a run: redshifts are those of a run over the
    same magnitudes. Load ``model`` with one thread: batches are inferred side by side.

    Parameters
    ----------
    model
        A bundle that reads no stamps.
    path, out
        The table, and the file to write: ``.parquet`` or ``.fits``.

    Raises
    ------
    ConfigError
        If the bundle wants stamps, ``out`` is there already, or it has another suffix.
    BadDataError
        If the table cannot be used.
    """
    check_out(out)
    source = open_source(path, model.contract, wanted)
    arrow = output_schema(source, model.contract)
    counted: Counter[str] = Counter()
    with progress.shown(), progress.step(f"rows of {path.name}", len(source.table)) as tick:
        # Three things at once: a block is read, the one before inferred, the one before written.
        blocks = ahead(_measured(model, source, arrow, counted))
        rows = Rows(arrow, blocks, _provenance(model, source))
        number = write(rows, out, tick)
    return Applied(number, str(source.bands), counted)


def _measured(
    model: PhotozModel, source: Source, arrow: pa.Schema, counted: Counter[str]
) -> Iterator[pa.Table]:
    """The blocks of the table with their redshifts."""
    contract = model.contract
    where = source.table.where
    with ThreadPoolExecutor(available_threads(), thread_name_prefix="infer") as pool:
        for rows in ahead(source.table.batches(source.names, rows=BLOCK)):
            magnitudes_NB = band_magnitudes(where, rows, source.bands)
            outputs = _outputs(model, magnitudes_NB, pool)
            blind_N = blind(contract, _no_stamps(model, len(rows)), magnitudes_NB)
            missing_N = magnitude_flags(magnitudes_NB, contract.magnitude_bands)
            prediction = judged(contract, outputs, blind_N, missing_N)
            counted.update(flags.count(prediction.flags_N))
            yield output_rows(
                where, rows, arrow, magnitudes_NB, prediction, contract.quantile_levels
            )


def _outputs(model: PhotozModel, magnitudes_NB: NDArray[np.float32], pool: Executor) -> Outputs:
    def part(start: int) -> Outputs:
        table_NT = magnitudes_NB[start : start + BATCH]
        return infer(model, _no_stamps(model, len(table_NT)), table_NT)

    parts = list(pool.map(part, range(0, len(magnitudes_NB), BATCH)))
    z_N, quantiles_NQ, domain_N = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return z_N, quantiles_NQ, domain_N


def _no_stamps(model: PhotozModel, number: int) -> NDArray[np.float32]:
    return np.empty((number, *model.contract.stamp_shape()), np.float32)


def _provenance(model: PhotozModel, source: Source) -> dict[str, str]:
    """What the file says of how it was made."""
    contract = model.contract
    packages = package_versions(PACKAGES).items()
    return {
        "program": "photoz-run",
        "version": __version__,
        "commit": program_commit(),
        "packages": ", ".join(f"{name} {version}" for name, version in packages),
        "model": contract.name,
        "model_version": contract.version,
        "model_digest": model.digest,
        "model_training": contract.training.set_name,
        "simulated_training": str(contract.training.simulated),
        "table": source.table.path.name,
        "table_rows": str(len(source.table)),
        "columns": str(source.bands),
    }
