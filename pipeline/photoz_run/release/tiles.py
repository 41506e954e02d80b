"""The run that is released: how each tile ended, and the rows of a tile, read only if they are what was recorded."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from photoz_run.catalogue.provenance import Provenance
from photoz_run.catalogue.tile_files import PROVENANCE_KEY
from photoz_run.errors import ConfigError
from photoz_run.records import Status, TileOutcome
from photoz_run.run.ledger import RunDirectory
from photoz_run.run.manifest import RunManifest

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
    def missing(self) -> dict[str, str]:
        """Why each tile that a complete release would have is not in this one."""
        reasons = {tile: outcome.reason for tile, outcome in self.quarantined.items()}
        return reasons | dict.fromkeys(self.pending, "not measured")

    def read(self, tile: str, columns: Sequence[str] | None = None) -> pa.Table:
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
        return pq.read_table(pa.BufferReader(content), columns=columns)


def open_run(path: Path, partial: bool) -> FinishedRun:
    """The run in ``path``, if it can be released.

    Raises
    ------
    ConfigError
        If it is no run directory, holds tiles of another run, lacks tiles (unless ``partial``), or has no rows.
    """
    directory = RunDirectory(path)
    manifest = directory.read_manifest()
    outcomes = directory.outcomes()
    _refuse_mixtures(path, manifest, outcomes)
    by_status = {
        status: {t: o for t, o in sorted(outcomes.items()) if o.status is status}
        for status in Status
    }
    run = FinishedRun(
        directory,
        manifest,
        by_status[Status.DONE],
        by_status[Status.NO_WORK],
        by_status[Status.QUARANTINED],
        tuple(tile for tile in manifest.tiles if tile not in outcomes),
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
) -> tuple[Provenance, list[dict[str, Any]]]:
    """What a tile file says of the run that made it, and of its inputs (name and bytes).

    Raises
    ------
    ConfigError
        If another run made it.
    """
    prefix = PROVENANCE_KEY.decode() + "."
    texts = {
        key.decode().removeprefix(prefix): value.decode()
        for key, value in (table.schema.metadata or {}).items()
    }
    lacking = [field.name for field in fields(Provenance) if field.name not in texts]
    if lacking or texts["run_digest"] != run.manifest.run_digest:
        raise ConfigError(
            f"{tile}: its file was made with another version, model or configuration than the run's; {AGAIN}"
        )
    known = {field.name: texts[field.name] for field in fields(Provenance)}
    provenance = Provenance(
        **{**known, "simulated_training": known["simulated_training"] == "True"}
    )
    return provenance, json.loads(texts["inputs"])


def _refuse_mixtures(
    path: Path, manifest: RunManifest, outcomes: Mapping[str, TileOutcome]
) -> None:
    digest = manifest.run_digest
    others = [tile for tile, one in outcomes.items() if one.run_digest != digest]
    if others:
        raise ConfigError(
            f"{path} holds tiles of two runs: {_named(others)} measured with another version, model or configuration"
            " than manifest.json says; remove their files, or start the run over with --restart"
        )
    strangers = sorted(set(outcomes) - set(manifest.tiles))
    if strangers:
        raise ConfigError(
            f"{path} holds tiles that are not of this run: {_named(strangers)}; remove their files"
        )


def _lacking(run: FinishedRun) -> str:
    groups = (("quarantined", list(run.quarantined)), ("not measured", list(run.pending)))
    return "; ".join(f"{len(tiles)} tiles {how}: {_named(tiles)}" for how, tiles in groups if tiles)


def _named(tiles: Sequence[str]) -> str:
    more = f" and {len(tiles) - SHOWN} more" if len(tiles) > SHOWN else ""
    return ", ".join(tiles[:SHOWN]) + more
