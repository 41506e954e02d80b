"""The run directory: what was planned, what is done, what failed.

    run.toml  manifest.json
    tiles/<group>/<tile>.parquet  tiles/<group>/<tile>.json
    quarantine/<group>/<tile>.json

``tiles/<group>/<tile>.json`` is written last and is the commit mark of a tile. All that is known of
a run stands in these files.
"""

import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from photoz_models.documents import (
    Record,
    document_pieces,
    document_text,
    no_collection,
    read_document,
)
from photoz_models.errors import DocumentError
from photoz_run.catalogue.on_disk import beside_name, file_digest, sync_folder
from photoz_run.catalogue.provenance import LOOKERS, Look, inputs_digest, look_at_inputs
from photoz_run.errors import ConfigError, OutputError
from photoz_run.records import Status, TileOutcome, TileRef, tile_group
from photoz_run.run.coming_and_going import files_now
from photoz_run.run.manifest import RunManifest
from photoz_run.wording import counted

LEFTOVER_SECONDS = 86400.0
"""Age from which a half-written file is nobody's: no tile takes a day to write."""

HALF_WRITTEN = ("tiles/*/.*.part", "quarantine/*/.*.part", ".*.part")

TILE_SUFFIXES = (".parquet", ".fits")
"""Of the files of a tile."""


@dataclass(frozen=True)
class Outcomes:
    """The records in a run directory that could be read, by tile, and what is wrong with others."""

    by_tile: Mapping[str, TileOutcome]
    problems: tuple[str, ...] = ()

    @property
    def problem(self) -> str:
        """One line for all problems; empty without any."""
        if not self.problems:
            return ""
        records = counted(len(self.problems), "record of a tile", "records of tiles")
        return f"{records} cannot be used: {self.problems[0]}"


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

    def mark(self, folder: Path, tile: str) -> Path:
        """The record of a tile in `tiles` or in `quarantine`."""
        return folder / tile_group(tile) / f"{tile}.json"

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
            If it is no run directory, cannot be written, or a share would start it over.
        """
        if restart and share[1] > 1:
            raise ConfigError(
                "--restart would delete what the other shards made:"
                " start over without --shard first"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            strange = [
                path
                for path in self.path.iterdir()
                if path.suffix != ".part" and path != self.locks
            ]
            self._refuse_links()
            if strange and not self.manifest.exists():
                raise ConfigError(
                    f"{self.path} is not empty and is no run directory; choose another --out"
                )
        except OSError as error:
            raise ConfigError(
                f"run directory {self.path} cannot be written: {error.strerror}"
            ) from error

    def open(self, manifest: RunManifest, restart: bool) -> None:
        """Start a run here, or resume it if ``manifest`` is of the same run.

        Raises
        ------
        ConfigError
            If another run lies here (what differs is listed), or the folder cannot be written.
        """
        try:
            if restart:
                self._clear()
            # Of several shards that start at once, one writes the manifest.
            # The others compare theirs with it.
            if self.manifest.exists() or not self._write_manifest(manifest):
                self._compare(manifest)
            if not (self.path / "run.toml").exists():
                write_text(self.path / "run.toml", manifest.config.absolute().resolved_toml())
            for folder in (self.tiles, self.quarantine):
                folder.mkdir(exist_ok=True)
            self._remove(*HALF_WRITTEN, "locks/.*", older=LEFTOVER_SECONDS)
        except (OSError, OutputError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(f"run directory {self.path} cannot be written: {reason}") from error

    def remove_half_written(self) -> None:
        """Delete what killed workers left, however young: for who holds the whole run at its end.

        Shards that are at work would lose theirs.
        """
        self._remove(*HALF_WRITTEN, older=-math.inf)

    def _remove(self, *patterns: str, older: float) -> None:
        """Delete files that nobody has written to for more than ``older`` seconds."""
        for pattern in patterns:
            for path in files_now(self.path, pattern):
                with suppress(FileNotFoundError):  # files of other shards come and go
                    if time.time() - path.stat().st_mtime > older:
                        path.unlink()

    def _refuse_links(self) -> None:
        """Refuse folders that are links: a run writes and deletes in its own directory alone."""
        tops = (self.tiles, self.quarantine, self.path / "logs", self.locks)
        for top in tops:
            groups = [Path(entry) for entry in os.scandir(top)] if top.is_dir() else []
            for path in (top, *groups):
                if path.is_symlink():
                    raise ConfigError(
                        f"{path} is a link: a run writes into its own directory alone;"
                        " put the directory itself where there is room"
                    )

    def read_manifest(self) -> RunManifest:
        """The manifest of the run.

        Raises
        ------
        ConfigError
            If the folder has none.
        DocumentError
            If it cannot be read, or another version wrote it.
        """
        if not self.manifest.is_file():
            raise ConfigError(
                f"{self.path} is not a run directory: it has no manifest.json;"
                " give the --out of photoz-run"
            )
        return read_document(RunManifest, self.manifest)

    def _write_manifest(self, manifest: RunManifest) -> bool:
        return write_pieces(self.manifest, document_pieces(manifest), replace=False)

    def _compare(self, manifest: RunManifest) -> None:
        differences = self.read_manifest().differences(manifest)
        if differences:
            raise ConfigError(
                f"{self.path} holds a run with another setting: {'; '.join(differences)}."
                " Choose another --out, or start over with --restart"
            )

    def _clear(self) -> None:
        """Delete what photoz-run wrote here, and nothing else."""
        for folder in ("tiles", "quarantine", "logs", "release", "validation"):
            shutil.rmtree(self.path / folder, ignore_errors=True)
        tops = (self.path / name for name in ("run.toml", "places.jsonl", "manifest.json"))
        for path in (*self.path.glob("summary*.json"), *tops):
            path.unlink(missing_ok=True)

    def write_outcome(self, outcome: TileOutcome) -> None:
        """Write the commit mark of a good tile, or the quarantine record of a bad one."""
        good = outcome.status in (Status.DONE, Status.NO_WORK)
        folder, other = (self.tiles, self.quarantine) if good else (self.quarantine, self.tiles)
        name = f"{tile_group(outcome.tile)}/{outcome.tile}.json"
        make_folder((folder / name).parent)
        write_document(folder / name, outcome)
        (other / name).unlink(missing_ok=True)
        if not good:
            for suffix in TILE_SUFFIXES:  # of an earlier try, or of other inputs
                (self.tiles / name).with_suffix(suffix).unlink(missing_ok=True)

    def readmit(self, tile: str) -> None:
        """Forget that ``tile`` is quarantined."""
        self.mark(self.quarantine, tile).unlink(missing_ok=True)

    @no_collection()
    def outcomes(self) -> dict[str, TileOutcome]:
        """Every recorded outcome by tile.

        Raises
        ------
        DocumentError
            If a record cannot be read or does not fit; the message names file and field.
        """
        return {
            outcome.tile: outcome
            for outcome in (read_document(TileOutcome, path) for path in self._records())
        }

    @no_collection()
    def usable_outcomes(self) -> Outcomes:
        """Every recorded outcome that can be read, and what is wrong with the others."""
        outcomes, problems = {}, []
        for path in self._records():
            try:
                outcome = read_document(TileOutcome, path)
            except DocumentError as error:
                if os.path.exists(path):  # other shards come and go
                    problems.append(str(error))
                continue
            outcomes[outcome.tile] = outcome
        return Outcomes(outcomes, tuple(problems))

    def _records(self) -> list[str]:
        """Files of all outcomes; the mark of a good tile comes after its quarantine record."""
        return [
            os.path.join(folder, name)
            for top in (self.quarantine, self.tiles)
            for folder in _own_folders(top)
            for name in _own_files(folder, ".json")
        ]

    def settled(
        self,
        tiles: Mapping[str, TileRef],
        run_digest: str,
        say: Callable[[str], None],
        look: Look = look_at_inputs,
    ) -> dict[str, TileOutcome]:
        """The outcomes of ``tiles`` that a resumed run can trust.

        They are of this run, of unchanged inputs, and their files are intact. A quarantined tile
        stays so until its inputs change. ``say`` is told of records that cannot be read, and
        ``look`` says what the inputs are now.

        Raises
        ------
        ConfigError
            If inputs of a finished tile have changed since.
        """
        recorded = self.usable_outcomes()
        if recorded.problem:
            say(f"{recorded.problem}; their tiles are measured anew")
        ours = {
            tile: outcome
            for tile, outcome in recorded.by_tile.items()
            if tile in tiles and outcome.run_digest == run_digest
        }
        settled, changed = {}, []
        with ThreadPoolExecutor(LOOKERS) as pool:
            intact = pool.map(self._intact, ours.values())
            whole = {tile: ours[tile] for tile, good in zip(ours, intact, strict=True) if good}
        inputs = look({tile: tiles[tile] for tile in whole})
        for tile, outcome in whole.items():
            if outcome.inputs_digest == inputs_digest(inputs[tile]):
                settled[tile] = outcome
            elif outcome.status is Status.DONE:
                changed.append(tile)
        if changed:
            raise ConfigError(
                f"input files of {counted(len(changed), 'finished tile')} have changed since"
                f" measuring, the first is {changed[0]}; restore them, choose another --out,"
                " or start over with --restart"
            )
        return settled

    def _intact(self, outcome: TileOutcome) -> bool:
        folder = self.tile_folder(outcome.tile)
        try:
            return all(
                not (folder / name).is_symlink() and file_digest(folder / name) == digest
                for name, digest in outcome.files.items()
            )
        except OSError:
            return False


def _own_folders(top: Path) -> list[str]:
    """Folders in a folder, sorted; links may lead out of the run and are left alone."""
    if not top.is_dir():
        return []
    with os.scandir(top) as entries:
        return sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))


def _own_files(folder: str, suffix: str) -> list[str]:
    """Names of the files in a folder, sorted; links are left alone, and half-written files."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.name.endswith(suffix)
            and entry.name[0] != "."
            and entry.is_file(follow_symlinks=False)
        )


def make_folder(path: Path) -> None:
    """Make a folder of the run directory if it is missing; `OutputError` if that is refused."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be made ({error.strerror}); free space or check permissions"
        ) from error


def write_document(path: Path, document: Record) -> None:
    """Write a record so that a reader finds the old file or the new one, never a part."""
    write_text(path, document_text(document))


def write_text(path: Path, text: str, replace: bool = True) -> bool:
    """Write a text as `write_pieces` does."""
    return write_pieces(path, (text,), replace)


def write_pieces(path: Path, pieces: Iterable[str], replace: bool = True) -> bool:
    """Write beside, sync, rename; ``False`` if the file is there already and is not to be replaced.

    Raises
    ------
    OutputError
        If the disk or the folder refuses.
    """
    beside = beside_name(path)
    try:
        with beside.open("w") as file:
            file.writelines(pieces)
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
