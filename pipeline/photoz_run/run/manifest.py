"""What a run is: enough to repeat it, and to tell it from another."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from photoz_models.session import PhotozModel
from photoz_run import __version__
from photoz_run.catalogue.provenance import Provenance, input_files, inputs_digest
from photoz_run.config import RunConfig
from photoz_run.records import TileRef
from photoz_run.run.ledger import MANIFEST_SCHEMA, input_list, run_digest
from photoz_run.version import program_commit

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


def make_manifest(
    config: RunConfig, tiles: Mapping[str, TileRef], model: PhotozModel
) -> dict[str, Any]:
    """The manifest of a run over ``tiles``; looks at every input file."""
    inputs = input_list(tiles)
    return {
        "schema": MANIFEST_SCHEMA,
        "program": "photoz-run",
        "version": __version__,
        "commit": program_commit(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "config": config.model_dump(mode="json"),
        "config_digest": config.digest(),
        "model": model.contract.name,
        "model_version": model.contract.version,
        "model_digest": model.digest,
        "model_training": model.contract.training.set_name,
        "simulated_training": model.contract.training.simulated,
        "redshift_range": [model.contract.z_min, model.contract.z_max],
        "magnitudes_digest": inputs_digest(
            input_files([config.magnitudes] if config.magnitudes else [])
        ),
        "provider": model.provider,
        "release": sorted({ref.data_release for ref in tiles.values()}),
        "tiles": sorted(tiles),
        "inputs_digests": {tile: inputs_digest(files) for tile, files in inputs.items()},
        "inputs": inputs,
    }


def make_provenance(manifest: Mapping[str, Any]) -> Provenance:
    """The part of it that every tile file carries."""
    same = (
        "program",
        "version",
        "commit",
        "config_digest",
        "model",
        "model_version",
        "model_digest",
        "model_training",
    )
    return Provenance(
        **{key: manifest[key] for key in same},
        packages=", ".join(f"{name} {found}" for name, found in manifest["packages"].items()),
        run_digest=run_digest(manifest),
        simulated_training=manifest["simulated_training"],
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
