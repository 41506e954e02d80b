"""The run that is released: how each tile ended, and the rows of a tile.

A tile file is read only if its sha256 is the recorded one.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from photoz_run.catalogue.provenance import Provenance
from photoz_run.catalogue.tile_files import PROVENANCE_KEY
from photoz_run.errors import ConfigError
from photoz_run.records import Status, TileOutcome
from photoz_run.release.provenance import SourceFile
from photoz_run.run.ledger import RunDirectory
from photoz_run.run.manifest import RunManifest
from photoz_run.wording import counted

Footprint: TypeAlias = tuple[tuple[float, float], ...]

SHOWN = 5
"""Tiles named in a message; there may be hundreds."""
AGAIN = "start photoz-run again with the same command, it measures the tile anew"


@dataclass(frozen=True)
class FinishedRun:
    """A run directory as a release reads it; tiles in order of name."""

    directory: RunDirectory
    manifest: RunManifest
    done: Mapping[str, TileOutcome]
    idle: Mapping[str, TileOutcome]
    """Tiles in which nothing was selected."""
    quarantined: Mapping[str, TileOutcome]
    pending: tuple[str, ...]
    """Tiles that were not measured yet."""

    @property
    def rows(self) -> int:
        """Rows in all tile files, by their records."""
        return sum(outcome.rows_out for outcome in self.done.values())

    @property
    def footprints(self) -> list[Footprint] | None:
        """The corners of the coadds of every measured tile.

        ``None`` if a tile with rows has none: a model without images reads no coadd.
        """
        if not all(outcome.footprint for outcome in self.done.values()):
            return None
        return [outcome.footprint for outcome in (*self.done.values(), *self.idle.values())]

    @property
    def missing(self) -> dict[str, str]:
        """Why each tile that a complete release would have is not in this one."""
        reasons = {tile: outcome.reason for tile, outcome in self.quarantined.items()}
        return reasons | dict.fromkeys(self.pending, "not measured")

    def read(self, tile: str) -> pa.Table:
        """The rows of a finished tile.

        Raises
        ------
        ConfigError
            If the file is not the one whose sha256 is recorded.
        """
        name = f"{tile}.parquet"
        path = self.directory.tile_folder(tile) / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path} cannot be read ({error.strerror}); {AGAIN}") from error
        if hashlib.sha256(content).hexdigest() != self.done[tile].files.get(name):
            raise ConfigError(f"{path}: the file has changed since the tile was measured; {AGAIN}")
        return pq.read_table(pa.BufferReader(content), page_checksum_verification=True)


def open_run(path: Path, partial: bool) -> FinishedRun:
    """The run in ``path``, if it can be released.

    Raises
    ------
    ConfigError
        If it is no run directory, holds tiles of another run, lacks tiles (unless ``partial``), or
        has no rows.
    """
    directory = RunDirectory(path)
    manifest = directory.read_manifest()
    outcomes = directory.outcomes()
    _refuse_mixtures(path, manifest, outcomes)
    run = FinishedRun(
        directory,
        manifest,
        done=_ended(outcomes, Status.DONE),
        idle=_ended(outcomes, Status.NO_WORK),
        quarantined=_ended(outcomes, Status.QUARANTINED),
        pending=tuple(tile for tile in manifest.tiles if tile not in outcomes),
    )
    if run.missing and not partial:
        raise ConfigError(
            f"{path} is not complete: {_lacking(run)}; finish the run, or give --partial"
        )
    if not run.rows:
        raise ConfigError(f"{path}: no tile has a row; there is nothing to release")
    return run


def file_provenance(
    table: pa.Table, run: FinishedRun, tile: str
) -> tuple[Provenance, tuple[SourceFile, ...]]:
    """What a tile file says of the run that made it, and of its input files.

    Raises
    ------
    ConfigError
        If another run made it.
    """
    texts = _texts(table)
    names = [field.name for field in fields(Provenance)]
    complete = all(name in texts for name in names)
    if not complete or texts["run_digest"] != run.manifest.run_digest:
        raise ConfigError(
            f"{tile}: its file was made with another version, model or configuration than the"
            f" run's; {AGAIN}"
        )
    values: dict[str, Any] = {name: texts[name] for name in names}
    values["simulated_training"] = texts["simulated_training"] == "True"
    inputs = tuple(SourceFile(**file) for file in json.loads(texts["inputs"]))
    return Provenance(**values), inputs


def _texts(table: pa.Table) -> dict[str, str]:
    """What the metadata of a tile file say of its making."""
    prefix = PROVENANCE_KEY.decode() + "."
    metadata = table.schema.metadata or {}
    return {key.decode().removeprefix(prefix): value.decode() for key, value in metadata.items()}


def _ended(outcomes: Mapping[str, TileOutcome], status: Status) -> dict[str, TileOutcome]:
    """The tiles that ended like this, in order of name."""
    return {tile: outcomes[tile] for tile in sorted(outcomes) if outcomes[tile].status is status}


def _refuse_mixtures(
    path: Path, manifest: RunManifest, outcomes: Mapping[str, TileOutcome]
) -> None:
    digest = manifest.run_digest
    others = [tile for tile, outcome in outcomes.items() if outcome.run_digest != digest]
    if others:
        raise ConfigError(
            f"{path} holds tiles of two runs: {_named(others)} measured with another version,"
            " model or configuration than manifest.json says; remove their files, or start the run"
            " over with --restart"
        )
    strangers = sorted(set(outcomes) - set(manifest.tiles))
    if strangers:
        raise ConfigError(
            f"{path} holds tiles that are not of this run: {_named(strangers)}; remove their files"
        )


def _lacking(run: FinishedRun) -> str:
    groups = {"quarantined": list(run.quarantined), "not measured": list(run.pending)}
    parts = []
    for how, tiles in groups.items():
        if tiles:
            parts.append(f"{counted(len(tiles), 'tile')} {how}: {_named(tiles)}")
    return "; ".join(parts)


def _named(tiles: Sequence[str]) -> str:
    more = f" and {len(tiles) - SHOWN} more" if len(tiles) > SHOWN else ""
    return ", ".join(tiles[:SHOWN]) + more
