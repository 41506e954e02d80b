"""The run directory: what was decided, what is done, what failed. Its files are the only truth about a run.

    run.toml  manifest.json  tiles/<group>/<tile>.parquet  tiles/<group>/<tile>.json  quarantine/<group>/<tile>.json

``tiles/<group>/<tile>.json`` is written last and is the commit mark of a tile.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from photoz_run.catalogue.provenance import InputFile, input_files, inputs_digest
from photoz_run.catalogue.tile_files import beside_name, sync_folder
from photoz_run.config import RunConfig
from photoz_run.errors import ConfigError, OutputError
from photoz_run.records import Failure, Status, TileOutcome, TileRef, tile_group

MANIFEST_SCHEMA = 1
LEFTOVER_SECONDS = 86400.0
"""Age from which a half-written file is nobody's: no tile takes a day to write."""

COMPARED = ("version", "commit", "config_digest", "model_digest", "magnitudes_digest", "tiles")
"""What must not change between the start of a run and its resumption."""


@dataclass(frozen=True)
class RunDirectory:
    """A run directory by its path; creating the record creates no file."""

    path: Path

    @property
    def tiles(self) -> Path:
        """Folder of the tile files and their marks."""
        return self.path / "tiles"

    @property
    def quarantine(self) -> Path:
        """Folder of the records of tiles that failed."""
        return self.path / "quarantine"

    def tile_folder(self, tile: str) -> Path:
        """Folder of the files and the mark of one tile."""
        return self.tiles / tile_group(tile)

    def log(self, tile: str) -> Path:
        """The log of one tile."""
        return self.path / "logs" / tile_group(tile) / f"{tile}.log"

    @property
    def locks(self) -> Path:
        """Folder of the locks of those who work on this run."""
        return self.path / "locks"

    @property
    def manifest(self) -> Path:
        """What the run is: versions, digests, tiles, inputs."""
        return self.path / "manifest.json"

    def prepare(self, restart: bool, share: tuple[int, int]) -> None:
        """Make the folder, before its lock is taken.

        Raises
        ------
        ConfigError
            If it is no run directory, or cannot be written, or one share of many would start it over.
        """
        if restart and share[1] > 1:
            raise ConfigError(
                "--restart would delete what the other shards made: start over without --shard first"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            strange = [
                path
                for path in self.path.iterdir()
                if path.suffix != ".part" and path != self.locks
            ]
            if strange and not self.manifest.exists():
                raise ConfigError(
                    f"{self.path} is not empty and is no run directory; choose another --out"
                )
        except OSError as error:
            raise ConfigError(
                f"run directory {self.path} cannot be written: {error.strerror}"
            ) from error

    def open(self, manifest: Mapping[str, Any], resolved_toml: str, restart: bool) -> None:
        """Start a run here, or resume it if ``manifest`` is of the same run.

        Raises
        ------
        ConfigError
            If another run lies here (what differs is listed), or the folder cannot be written.
        """
        try:
            if restart:
                self._clear()
            # Of several shards that start at once, one writes the manifest and the others compare theirs with it.
            if self.manifest.exists() or not write_json(self.manifest, manifest, replace=False):
                self._compare(read_json(self.manifest), manifest)
            if not (self.path / "run.toml").exists():
                write_text(self.path / "run.toml", resolved_toml)
            for folder in (self.tiles, self.quarantine):
                folder.mkdir(exist_ok=True)
            self._remove_leftovers()
        except (OSError, OutputError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(f"run directory {self.path} cannot be written: {reason}") from error

    def _remove_leftovers(self) -> None:
        """Delete half-written files of killed workers; a younger one may belong to a run that is alive."""
        parts = [
            part for folder in (self.tiles, self.quarantine) for part in folder.glob("*/.*.part")
        ]
        for leftover in (*parts, *self.path.glob(".*.part"), *self.locks.glob(".*")):
            with suppress(FileNotFoundError):  # files of other shards come and go
                if time.time() - leftover.stat().st_mtime > LEFTOVER_SECONDS:
                    leftover.unlink()

    def _compare(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        differences = [
            part
            for key in COMPARED
            if old.get(key) != new[key]
            for part in _differences(key, old, new)
        ]
        if differences:
            raise ConfigError(
                f"{self.path} holds a run with another setting: {'; '.join(differences)}."
                " Choose another --out, or start over with --restart"
            )

    def _clear(self) -> None:
        """Delete what photoz-run wrote here, and nothing else."""
        for folder in ("tiles", "quarantine", "logs", "release", "validation"):
            shutil.rmtree(self.path / folder, ignore_errors=True)
        for path in (*self.path.glob("summary*.json"), self.path / "run.toml", self.manifest):
            path.unlink(missing_ok=True)

    def write_outcome(self, outcome: TileOutcome) -> None:
        """Record how a tile ended: the commit mark of a good one, the quarantine record of a bad one."""
        good = outcome.status in (Status.DONE, Status.NO_WORK)
        folder, other = (self.tiles, self.quarantine) if good else (self.quarantine, self.tiles)
        name = f"{tile_group(outcome.tile)}/{outcome.tile}.json"
        make_folder((folder / name).parent)
        write_json(folder / name, asdict(outcome))
        (other / name).unlink(missing_ok=True)

    def readmit(self, tile: str) -> None:
        """Forget that ``tile`` is quarantined."""
        (self.quarantine / tile_group(tile) / f"{tile}.json").unlink(missing_ok=True)

    def outcomes(self) -> dict[str, TileOutcome]:
        """Every recorded outcome by tile; unreadable records count as absent."""
        found = {}
        for folder in (self.quarantine, self.tiles):
            for path in sorted(folder.glob("*/*.json")):
                outcome = _read_outcome(path)
                if outcome is not None:
                    found[outcome.tile] = outcome
        return found

    def settled(self, tiles: Mapping[str, TileRef], run_digest: str) -> dict[str, TileOutcome]:
        """The outcomes that a resumed run can trust: of this run, of unchanged inputs, with intact files.

        A quarantined tile stays so until its inputs change.

        Raises
        ------
        ConfigError
            If inputs of a finished tile have changed since.
        """
        settled, changed = {}, []
        for tile, outcome in self.outcomes().items():
            if tile not in tiles or outcome.run_digest != run_digest or not self._intact(outcome):
                continue
            if outcome.inputs_digest == inputs_digest(input_files(tiles[tile].paths())):
                settled[tile] = outcome
            elif outcome.status is Status.DONE:
                changed.append(tile)
        if changed:
            raise ConfigError(
                f"input files of {len(changed)} finished tiles have changed since they were measured, the first is"
                f" {changed[0]}; restore them, choose another --out, or start over with --restart"
            )
        return settled

    def _intact(self, outcome: TileOutcome) -> bool:
        return all(
            file_digest(self.tile_folder(outcome.tile) / name) == digest
            for name, digest in outcome.files.items()
        )


def run_digest(manifest: Mapping[str, Any]) -> str:
    """sha256 over what makes two runs give the same tile files: version, settings, model."""
    chosen = {key: manifest[key] for key in COMPARED if key != "tiles"}
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()


def input_list(tiles: Mapping[str, TileRef]) -> dict[str, list[InputFile]]:
    """Name, size and modification time of every input file, by tile."""
    return {tile: input_files(ref.paths()) for tile, ref in tiles.items()}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of the run directory; `ConfigError` if it cannot be read."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); is this a run directory?") from error
    return content


def make_folder(path: Path) -> None:
    """Make a folder of the run directory if it is missing; `OutputError` if that is refused."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be made ({error.strerror}); free space or check permissions"
        ) from error


def write_json(path: Path, content: Mapping[str, Any], replace: bool = True) -> bool:
    """Write JSON so that a reader finds the old file or the new one, never a part."""
    return write_text(path, json.dumps(content, indent=1, default=_plain) + "\n", replace)


def write_text(path: Path, text: str, replace: bool = True) -> bool:
    """Write beside, sync, rename; ``False`` if the file is there already and is not to be replaced.

    Raises
    ------
    OutputError
        If the disk or the folder refuses.
    """
    beside = beside_name(path)
    try:
        with beside.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(beside, path)
        else:
            os.link(beside, path)
            beside.unlink()
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        if isinstance(error, FileExistsError) and not replace:
            return False
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); free space or check permissions"
        ) from error
    return True


def file_digest(path: Path) -> str | None:
    """sha256 of a file, ``None`` if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _read_outcome(path: Path) -> TileOutcome | None:
    try:
        fields = json.loads(path.read_text())
        earlier = tuple(Failure(**failure) for failure in fields.get("earlier", ()))
        footprint = tuple((ra, dec) for ra, dec in fields.get("footprint", ()))
        typed = {"status": Status(fields["status"]), "earlier": earlier, "footprint": footprint}
        return TileOutcome(**fields | typed)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _differences(key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What changed under ``key`` of two manifests, in words."""
    if key == "config_digest":
        was, now = old.get("config", {}), new["config"]
        fields = [name for name in RunConfig.result_fields() if was.get(name) != now[name]]
        return [f"{name} was {was.get(name)!r}, now {now[name]!r}" for name in fields]
    if key == "tiles":
        gone, come = (
            sorted(set(old.get("tiles", [])) - set(new["tiles"])),
            sorted(set(new["tiles"]) - set(old.get("tiles", []))),
        )
        parts = (("added", come), ("gone", gone))
        return [f"{len(names)} tiles {verb} ({names[0]} ...)" for verb, names in parts if names]
    return [f"{key} was {old.get(key)!s:.12}, now {new[key]!s:.12}"]


def _plain(value: Any) -> Any:
    converters: dict[type, Callable[[Any], Any]] = {InputFile: asdict, Path: str}
    return converters[type(value)](value)
