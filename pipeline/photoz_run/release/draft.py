"""A release in the making: what every writer of a product is given, and what a writer is."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from photoz_run.errors import ConfigError
from photoz_run.progress import StepProgress, Tick
from photoz_run.release.accounting import TileAccount, settle
from photoz_run.release.changes import ChangeCounts, OlderRelease
from photoz_run.release.coverage import covered_area
from photoz_run.release.merge import Scan, SkyBuckets, Tally
from photoz_run.release.options import ReleaseOptions
from photoz_run.release.record import ReleaseRecord
from photoz_run.release.rows import PART, parquet_rows
from photoz_run.release.tiles import FinishedRun


@dataclass
class Draft:
    """What is known of a release while its products are written.

    The first product, Parquet, fills ``tally`` and ``parts``; the others read its files.
    """

    run: FinishedRun
    scan: Scan
    options: ReleaseOptions
    record: ReleaseRecord
    buckets: SkyBuckets
    folder: Path
    scratch: Path
    progress: StepProgress
    tally: Tally = field(default_factory=Tally)
    parts: list[Path] = field(default_factory=list)
    """The Parquet files."""
    changes: ChangeCounts = field(default_factory=ChangeCounts)
    """What differs from the older release."""

    @cached_property
    def rows(self) -> int:
        """Rows of the Parquet files."""
        return sum(pq.read_metadata(part).num_rows for part in self.parts)

    @property
    def in_parts(self) -> bool:
        """Whether it has more rows than one Parquet file takes."""
        return self.buckets.rows > PART

    @cached_property
    def older(self) -> OlderRelease:
        """The release that this one updates."""
        if self.options.update is None:
            raise ConfigError("no older release was named")
        return OlderRelease.of(self.options.update)

    @cached_property
    def accounts(self) -> Mapping[str, TileAccount]:
        """Where the rows of each tile went.

        Raises
        ------
        ConfigError
            If the sums of a tile do not close.
        """
        left_out = self.scan.left_out(list(self.run.done))
        return settle(self.scan.accounts, left_out, self.tally.rows)

    @cached_property
    def area(self) -> Any:
        """The area that the coadds of its tiles cover, a `mocpy.MOC`.

        ``None`` if it is not known of every tile with rows: a model without images reads no coadd.
        """
        footprints = self.run.footprints
        return None if footprints is None else covered_area(footprints)

    def batches(self, tick: Tick, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """The rows of the Parquet files, in order; ``tick`` is told how many were used."""
        for batch in parquet_rows(self.parts, columns):
            yield batch
            tick(len(batch))


def always(options: ReleaseOptions) -> bool:
    """For products that every release has."""
    return True


def any_draft(draft: Draft) -> bool:
    """For products that can be made of every run."""
    return True


def nothing_refused(draft: Draft) -> None:
    """For products that can be made with all options."""


@dataclass(frozen=True)
class Writer:
    """How one product is written."""

    ending: str
    """The end of its name, after the name of the release."""
    what: str
    """What it is, for README and provenance."""
    write: Callable[[Draft, Path], int | None]
    """Writes it to a path and returns its rows, ``None`` for a product that has none."""
    format: str = ""
    """Its name in ``--formats``, if one asks for it there."""
    wanted: Callable[[ReleaseOptions], bool] = always
    """Whether a release without a name for it in ``--formats`` has it."""
    possible: Callable[[Draft], bool] = any_draft
    """Whether the run has what it is made of."""
    refuse: Callable[[Draft], None] = nothing_refused
    """Raises `ConfigError` before any product is written, if this one cannot be made."""
    ending_in_parts: str = ""
    """The end of its name if it is a file, and a folder of files where there are many rows."""

    @property
    def endings(self) -> list[str]:
        """All ends that its name may have."""
        return [ending for ending in (self.ending, self.ending_in_parts) if ending]

    def name(self, draft: Draft) -> str:
        """Its name in the folder of the release."""
        ending = self.endings[-1] if draft.in_parts else self.ending
        return f"{draft.record.name}{ending}"

    def is_wanted(self, options: ReleaseOptions) -> bool:
        """Whether a release with these options has this product."""
        return self.format in options.formats if self.format else self.wanted(options)
