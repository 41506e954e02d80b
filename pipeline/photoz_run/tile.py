"""One tile: read, cut, join, predict, write: all that happens to a source, in this order."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from photoz_models.independence import BATCH
from photoz_models.session import PhotozModel
from photoz_models.stamp_rule import StampRule
from photoz_run import flags
from photoz_run.allocator import keep_freed_memory
from photoz_run.catalogue.provenance import InputFile, Provenance, tile_provenance
from photoz_run.catalogue.table import tile_table
from photoz_run.config import RunConfig
from photoz_run.errors import BadDataError
from photoz_run.images.plan import ReadingPlan, Storage
from photoz_run.prediction import blind, infer, join_predictions, judged
from photoz_run.records import Fetched, Prediction, Sources, Stamps, TileRef, TileResult
from photoz_run.survey.belonging import PixelEvidence, misnamed
from photoz_run.survey.catalogues import count_rows, magnitude_suffixes, read_sources
from photoz_run.survey.coadds import Located, PixelPolicy, TileCoadds, open_coadds
from photoz_run.survey.columns import kept_fields
from photoz_run.survey.dmag import tile_dmag
from photoz_run.survey.magnitudes import MagnitudeTable, join_magnitudes
from photoz_run.survey.stamps import cut_batch
from photoz_run.tables.keys import Names

T = TypeVar("T")

OUTSIDE_FRACTION = 0.5
"""A tile with more of its sources off its coadds than this has the catalogue of another field."""


@dataclass(frozen=True)
class OpenTile:
    """A tile ready to be cut: its selected sources with magnitudes, and its opened coadds."""

    sources: Sources
    coadds: TileCoadds
    rule: StampRule
    policy: PixelPolicy
    counts: Mapping[str, int]
    located: Located
    plans: Mapping[str, ReadingPlan]

    def take(self, row_K: NDArray[np.intp]) -> "OpenTile":
        """The tile with some of its sources alone."""
        return replace(self, sources=self.sources.take(row_K), located=self._located(row_K))

    def batches(self) -> Iterator[tuple[Sources, Stamps]]:
        """Sources and their stamps, `BATCH` at a time, in output order."""
        batches = [slice(start, start + BATCH) for start in range(0, len(self.sources), BATCH)]
        # Storage works on the next batch while this one is cut and inferred. A thread asks it:
        # what has a full queue lets who asks wait.
        with ThreadPoolExecutor(1, thread_name_prefix="announce") as pool:
            announced = [pool.submit(self._announce, rows) for rows in batches[:1]]
            for rows, following in zip(batches, [*batches[1:], None], strict=True):
                announced.pop().result()
                if following is not None:
                    announced.append(pool.submit(self._announce, following))
                sources = self.sources.take(rows)
                located = self._located(rows)
                yield sources, cut_batch(self.coadds, sources, self.rule, self.policy, located)
        self.coadds.finish()

    def _announce(self, rows: slice) -> None:
        self.coadds.announce(self._located(rows), self.rule)

    def _located(self, rows: slice | NDArray[np.intp]) -> Located:
        return {name: (x_N[rows], y_N[rows]) for name, (x_N, y_N) in self.located.items()}


def process_tile(
    ref: TileRef,
    config: RunConfig,
    model: PhotozModel,
    folder: Path,
    run: Provenance,
    inputs: Sequence[InputFile],
    say: Callable[[str], None] = lambda _: None,
    threads: int = 1,
    fetched: Sequence[Fetched] = (),
) -> TileResult:
    """Measure the redshift of every selected source of one tile, and write its files.

    Parameters
    ----------
    ref, inputs
        The tile, and its input files as they were found.
    config, model, run
        Settings, network and provenance of the run.
    folder
        Where the files are written.
    say
        Is told each step as it begins.
    threads
        How many may be used to unpack compressed coadds.
    fetched
        Which of the files came from afar, and from where.

    Raises
    ------
    BadDataError, TransientError
        If a file of the tile is bad, or storage failed; nothing is written then.
    """
    catalogue_rows = 0 if ref.catalogue is None else count_rows(ref.catalogue)
    if ref.catalogue is not None and catalogue_rows == 0:
        return TileResult(catalogue_rows=0)
    clock = Stopwatch(say)
    rule = model.contract
    with ExitStack() as stack:
        with clock.step("read"):
            tile = stack.enter_context(open_tile(ref, rule, config, threads))
        if len(tile.sources) == 0:
            return TileResult(
                catalogue_rows=catalogue_rows,
                footprint=tile.coadds.footprint,
                remarks=tile.sources.remarks,
            )
        parts, evidence = [], PixelEvidence(len(tile.sources))
        for sources, stamps in ahead(clock.steps("cut", tile.batches())):
            with clock.step("infer"):
                parts.append(predict(model, sources, stamps))
            evidence.add(stamps)
        quantisation = tile.coadds.quantisation
        remarks = _companions(ref, config, tile.coadds.images) + tile.coadds.remarks
    belonging = evidence.judge(tile.sources, rule)
    prediction = join_predictions(parts)
    with clock.step("write"):
        # Fetchers import this module too, and have no memory to waste on Parquet.
        from photoz_run.catalogue.tile_files import write_tile

        keep = kept_fields(ref.catalogue, config.keep) if ref.catalogue and config.keep else []
        levels = model.contract.quantile_levels
        table = tile_table(ref.tile, tile.sources, prediction, levels, keep, config.quantiles)
        provenance = tile_provenance(run, ref, inputs, fetched)
        files = write_tile(table, folder, ref.tile, config.formats, provenance)
    flag_counts = flags.count(prediction.flags_N)
    remarks += misnamed(ref.tile, tile.coadds.footprint) + belonging.remarks
    remarks += flags.remarks(flag_counts, table.num_rows)
    return TileResult(
        catalogue_rows=catalogue_rows,
        rows_in=len(tile.sources),
        rows_out=table.num_rows,
        files=files,
        flag_counts=flag_counts,
        counts=tile.counts,
        zero_points=belonging.zero_points,
        zero_point_errors=belonging.zero_point_errors,
        shifts=belonging.shifts,
        dmag_cards=tile.coadds.dmag_cards,
        quantisation=quantisation,
        seeing=tile.coadds.seeing,
        footprint=tile.coadds.footprint,
        bytes_read=tile.coadds.bytes_read,
        remarks=tile.sources.remarks + remarks,
        seconds={step: round(seconds, 4) for step, seconds in clock.seconds.items()},
    )


def pixel_policy(config: RunConfig, threads: int = 1) -> PixelPolicy:
    """What the configuration says of pixels, missing bands, missing DMAG and storage."""
    return PixelPolicy(
        config.bad_pixel_bits,
        config.use_weights,
        config.missing_band,
        config.missing_dmag,
        config.scratch,
        Storage(config.storage_seek * 1e-6, config.storage_stream * 1e6, config.reading),
        threads,
    )


def magnitude_table(config: RunConfig) -> MagnitudeTable:
    """The external table of magnitudes, as the configuration names it."""
    assert config.magnitudes is not None
    names = Names(config.magnitudes_ra, config.magnitudes_dec, config.magnitudes_id)
    return MagnitudeTable(config.magnitudes, config.magnitudes_by, config.magnitudes_radius, names)


@contextmanager
def open_tile(
    ref: TileRef, rule: StampRule, config: RunConfig, threads: int = 1, look: bool = True
) -> Iterator[OpenTile]:
    """Open the coadds of a tile and read its selected sources with their magnitudes.

    ``look``: False to read headers and the catalogue alone, and no pixel.

    Raises
    ------
    BadDataError
        If a file is bad, or most sources lie off the coadds.
    """
    keep_freed_memory()
    policy = pixel_policy(config, threads)
    with open_coadds(ref, rule, policy, look) as coadds:
        dmag_r = tile_dmag(ref, "r", policy.missing_dmag)
        external = config.magnitudes is not None
        sources = read_sources(
            ref, rule, coadds.i_images, dmag_r, config.select, config.keep, not external
        )
        counts: Mapping[str, int] = {}
        if config.magnitudes is not None and len(sources):
            suffixes = magnitude_suffixes(ref.data_release, rule.magnitude_bands, coadds.i_images)
            sources, counts = join_magnitudes(
                sources, magnitude_table(config), suffixes, rule.magnitude_bands
            )
        located = coadds.locate(sources)
        outside = coadds.count_outside(located)
        if outside > OUTSIDE_FRACTION * len(sources):
            raise BadDataError(
                f"{ref.catalogue}: {outside} of {len(sources)} sources lie outside the coadds;"
                " is it the catalogue of this tile?"
            )
        if policy.missing_band == "quarantine":
            coadds.check_every_band(located, OUTSIDE_FRACTION)
        coadds.check_axes()
        plans = coadds.plan(located, rule, policy.storage)
        yield OpenTile(sources, coadds, rule, policy, counts, located, plans)


def _companions(ref: TileRef, config: RunConfig, images: Iterable[str]) -> tuple[str, ...]:
    """A remark if images that are read have no weights, or no flag image."""
    files = {name: ref.images[name] for name in images}
    lacking = {
        "weights": [name for name, of in files.items() if config.use_weights and not of.wei],
        "flag image": [name for name, of in files.items() if config.bad_pixel_bits and not of.msk],
    }
    words = [f"no {kind} in {' '.join(names)}" for kind, names in lacking.items() if names]
    return (", ".join(words),) if words else ()


def predict(model: PhotozModel, sources: Sources, stamps: Stamps) -> Prediction:
    """Run the network on one batch, padded to `BATCH`.

    Sources without a redshift, at a limit of the range or outside the domain are flagged.
    """
    table_NT = stamps.beside(sources.magnitudes_NB)
    outputs = infer(model, stamps.flux_NCHW, table_NT)
    blind_N = blind(model.contract, stamps.flux_NCHW, table_NT)
    return judged(model.contract, outputs, blind_N, sources.flags_N | stamps.flags_N)


def ahead(batches: Iterator[T]) -> Iterator[T]:
    """The same batches; a thread makes the next one while this one is in use."""
    with ThreadPoolExecutor(1, thread_name_prefix="cut") as pool:
        future = pool.submit(next, batches, None)
        while (batch := future.result()) is not None:
            future = pool.submit(next, batches, None)
            yield batch


class Stopwatch:
    """Seconds spent in each step of a tile."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._say = say

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the time of the block to ``name``, and say ``name`` the first time."""
        if name not in self.seconds:
            self._say(name)
            self.seconds[name] = 0.0
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    def steps(self, name: str, items: Iterator[T]) -> Iterator[T]:
        """The same items; the time to make each is added to ``name``."""
        while True:
            with self.step(name):
                item = next(items, None)
            if item is None:
                return
            yield item
