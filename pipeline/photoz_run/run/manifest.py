"""What a run is: enough to repeat it, and to tell it from another."""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from photoz_models.bundle import Bundle
from photoz_models.documents import Record
from photoz_run import __version__
from photoz_run.catalogue.provenance import (
    InputFile,
    Look,
    Provenance,
    input_files,
    inputs_digest,
    look_at_inputs,
)
from photoz_run.config import RunConfig, result_settings
from photoz_run.records import TileRef
from photoz_run.tables.names import split_name
from photoz_run.version import package_versions, program_commit
from photoz_run.wording import counted

PACKAGES = (
    "numpy",
    "astropy",
    "fitsio",
    "pyarrow",
    "dask",
    "distributed",
    "onnxruntime-gpu",
    "onnxruntime",
)

DECISIVE = ("version", "commit", "config_digest", "model_digest", "magnitudes_digest")
"""Fields that must be equal for two runs to give the same tile files."""

LEGIBLE = 13
"""So much of a commit or digest is shown: a commit's 12 characters and the + of a changed tree."""


@dataclass(frozen=True, kw_only=True)
class RunManifest(Record):
    """What a run was planned to be: program, settings, model, tiles and every input file."""

    SCHEMA: ClassVar[int] = 2
    REMEDY: ClassVar[str] = "use that version, or start over with --restart"

    schema: int = SCHEMA
    program: str = "photoz-run"
    version: str
    commit: str
    python: str
    packages: Mapping[str, str]
    """Version by name of package."""
    config: RunConfig
    config_digest: str
    model: str
    model_version: str
    model_digest: str
    model_training: str
    """Name of the training set."""
    simulated_training: bool
    redshift_range: tuple[float, float]
    magnitudes_digest: str
    """Digest of the external table of magnitudes; of nothing, without one."""
    provider: str
    data_releases: tuple[str, ...]
    """KiDS data releases of the tiles."""
    tiles: tuple[str, ...]
    """Names in order."""
    inputs_digests: Mapping[str, str]
    """By tile."""
    inputs: Mapping[str, tuple[InputFile, ...]]
    """By tile."""

    @property
    def run_digest(self) -> str:
        """sha256 over what makes two runs give the same tile files."""
        chosen = {name: getattr(self, name) for name in DECISIVE}
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()

    @property
    def provenance(self) -> Provenance:
        """The part of the manifest that every tile file carries."""
        packages = (f"{name} {version}" for name, version in self.packages.items())
        return Provenance(
            program=self.program,
            version=self.version,
            commit=self.commit,
            packages=", ".join(packages),
            run_digest=self.run_digest,
            config_digest=self.config_digest,
            model=self.model,
            model_version=self.model_version,
            model_digest=self.model_digest,
            model_training=self.model_training,
            simulated_training=self.simulated_training,
        )

    def differences(self, new: "RunManifest") -> list[str]:
        """What of ``new`` would make another run of this one, in words."""
        words = []
        for name in DECISIVE:
            before, after = getattr(self, name), getattr(new, name)
            if before == after:
                continue
            if name == "config_digest":
                words += _changed_settings(self.config, new.config)
            else:
                words.append(f"{name} was {before:.{LEGIBLE}}, now {after:.{LEGIBLE}}")
        return words + _changed_tiles(self.tiles, new.tiles)


def make_manifest(
    config: RunConfig,
    tiles: Mapping[str, TileRef],
    model: Bundle,
    look: Look = look_at_inputs,
) -> RunManifest:
    """The manifest of a run over ``tiles``; looks at every input file, at many of them at once."""
    inputs = look(tiles)
    magnitudes = input_files([split_name(config.magnitudes)[0]] if config.magnitudes else [])
    contract = model.contract
    return RunManifest(
        version=__version__,
        commit=program_commit(),
        python=platform.python_version(),
        packages=package_versions(PACKAGES),
        config=config,
        config_digest=config.digest(),
        model=contract.name,
        model_version=contract.version,
        model_digest=model.digest,
        model_training=contract.training.set_name,
        simulated_training=contract.training.simulated,
        redshift_range=(contract.z_min, contract.z_max),
        magnitudes_digest=inputs_digest(magnitudes),
        provider=model.provider,
        data_releases=tuple(sorted({ref.data_release for ref in tiles.values()})),
        tiles=tuple(sorted(tiles)),
        inputs_digests={tile: inputs_digest(files) for tile, files in inputs.items()},
        inputs=inputs,
    )


def _changed_settings(before: RunConfig, after: RunConfig) -> list[str]:
    old, new = (result_settings(config.model_dump(mode="json")) for config in (before, after))
    return [
        f"{name} was {old[name]!r}, now {new[name]!r}" for name in old if old[name] != new[name]
    ]


def _changed_tiles(before: tuple[str, ...], after: tuple[str, ...]) -> list[str]:
    changes = (
        ("added", sorted(set(after) - set(before))),
        ("gone", sorted(set(before) - set(after))),
    )
    return [
        f"{counted(len(names), 'tile')} {verb} ({names[0]}{' ...' * (len(names) > 1)})"
        for verb, names in changes
        if names
    ]
