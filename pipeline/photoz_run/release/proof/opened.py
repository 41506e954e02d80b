"""A release that is to be proven, as its provenance describes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from photoz_run import __version__
from photoz_run.catalogue.provenance import Provenance
from photoz_run.records import Status
from photoz_run.release.accounting import PENDING
from photoz_run.release.proof.fits_sums import FitsSums
from photoz_run.release.provenance import ReleaseProvenance
from photoz_run.release.record import ReleaseRecord
from photoz_run.release.rows import parquet_parts
from photoz_run.version import program_commit


@dataclass(frozen=True)
class Opened:
    """A release as its provenance describes it."""

    folder: Path
    provenance: ReleaseProvenance
    fits_sums: Mapping[str, FitsSums]
    """Its FITS files by name, each to be read once."""

    def product(self, ending: str) -> Path | None:
        """The place of a product by the end of its name, ``None`` if it was not made."""
        name = f"{self.provenance.name}{ending}"
        return self.folder / name if self.provenance.has_product(name) else None

    @property
    def parts(self) -> list[Path]:
        """The Parquet files in order; `FileNotFoundError` if there is none."""
        return parquet_parts(self.folder, self.provenance.name)

    @property
    def fields(self) -> pa.Schema:
        """The columns of Parquet, with which those of the other products are compared."""
        return pq.read_schema(self.parts[0])

    @cached_property
    def record(self) -> ReleaseRecord:
        """What every file of the release must say of it."""
        return record_of(self.provenance)


def same_build(provenance: ReleaseProvenance) -> bool:
    """Whether this very program made the release: another one may word things otherwise."""
    here = (f"photoz-run {__version__}", program_commit())
    return (provenance.program, provenance.commit) == here


def record_of(provenance: ReleaseProvenance) -> ReleaseRecord:
    """The record from which every file of a release gets its statements."""
    program, _, version = provenance.run.program.rpartition(" ")
    run = Provenance(
        program=program,
        version=version,
        commit=provenance.run.commit,
        packages=provenance.run.packages[0],
        run_digest=provenance.run.run_digest,
        config_digest=provenance.run.config_digest,
        model=provenance.model.name,
        model_version=provenance.model.version,
        model_digest=provenance.model.digest,
        model_training=provenance.model.training,
        simulated_training=provenance.model.simulated_training,
    )
    return ReleaseRecord(
        name=provenance.name,
        run=run,
        program=provenance.program,
        commit=provenance.commit,
        date=provenance.date,
        input_releases=provenance.input_releases,
        tiles=len(_tiles(provenance, Status.DONE)),
        missing=_tiles(provenance, PENDING),
        quarantined=_tiles(provenance, Status.QUARANTINED),
        reference=provenance.reference,
        cards=provenance.options.cards,
    )


def _tiles(provenance: ReleaseProvenance, status: str) -> tuple[str, ...]:
    return tuple(tile.tile for tile in provenance.tiles if tile.status == status)
