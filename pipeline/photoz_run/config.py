"""The configuration of a run: complete, frozen, read from TOML, echoed back as resolved TOML.

Settings of a run are fields here, under the names that options have. An unknown key is an error.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from photoz_models import BUNDLED
from photoz_run.afar_settings import AfarConfig
from photoz_run.errors import ConfigError
from photoz_run.places import Place, absolute, masked
from photoz_run.sizes import memory_bytes

BUNDLED_MODEL = "hybrid-sim"
"""The name that stands for the shipped bundle (trained on simulations: not for science)."""

RESULT_FIELDS = (
    "data_release",
    "select",
    "formats",
    "keep",
    "quantiles",
    "magnitudes",
    "magnitudes_by",
    "magnitudes_radius",
    "magnitudes_ra",
    "magnitudes_dec",
    "magnitudes_id",
    "missing_band",
    "missing_dmag",
    "bad_pixel_bits",
    "use_weights",
)
"""Settings that can change a result."""

Kind = Literal["local", "slurm", "pbs", "sge", "lsf", "oar", "htcondor"]


class ClusterConfig(BaseModel):
    """Where the workers of a run live.

    Further keys are those of dask-jobqueue's own class for ``kind``: queue, account, walltime,
    memory, cores ... What is absent comes from ``jobqueue.yaml``.
    """

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    kind: Kind = Field(
        default="local",
        description="local, or workers as jobs of slurm, pbs, sge, lsf, oar, htcondor",
    )
    gpus: Annotated[int, Field(ge=0)] = Field(default=0, description="GPUs of a worker job")
    scheduler: str | None = Field(
        default=None, description="address of a Dask scheduler that runs already"
    )
    scheduler_file: Path | None = Field(default=None, description="its scheduler file")
    tls: bool = Field(
        default=True, description="encrypt and authenticate; false only on a network you trust"
    )

    dashboard: bool = Field(
        default=False, description="serve Dask's pages on loopback, to everybody on the machine"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.scheduler and self.scheduler_file:
            raise ValueError("scheduler and scheduler_file name the same thing: give one of them")
        if (self.scheduler or self.scheduler_file) and (
            self.kind != "local" or self.job_keys or self.gpus
        ):
            raise ValueError(
                "a scheduler that runs already has its own workers:"
                " give no kind and no job settings"
            )
        if self.kind == "local" and (self.job_keys or self.gpus):
            first = next(iter(self.job_keys), "gpus")
            raise ValueError(
                f"{first} is a setting of worker jobs:"
                " give --cluster slurm (or pbs, sge, ...) with it"
            )
        return self

    @property
    def elsewhere(self) -> bool:
        """Whether workers are jobs, or those of a scheduler that runs already."""
        return self.kind != "local" or bool(self.scheduler or self.scheduler_file)

    @property
    def job_keys(self) -> dict[str, Any]:
        """The settings meant for dask-jobqueue's class."""
        return dict(self.model_extra or {})


class RunConfig(BaseModel):
    """All settings of one run.

    Paths in a TOML file are relative to the folder in which the command runs. Those in the
    ``run.toml`` of a run are absolute.
    """

    # The help of the command line reads the fields and validates nothing: it shall not wait.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    tiles: tuple[str, ...] = Field(
        min_length=1, description="tile names, globs, @FILE (one a line), or all"
    )
    data: tuple[Place, ...] = Field(
        min_length=1,
        description="folders with the survey's files, or from afar: https://..., s3://..., lists",
    )
    out: Path = Field(description="run directory; an interrupted run there is resumed")
    model: str = Field(
        default=BUNDLED_MODEL, description="path of a model bundle, or the name of a shipped one"
    )
    data_release: str | None = Field(
        default=None, description="DR4, DR4.0, DR5 ...; if absent, from the file names"
    )
    select: str = Field(
        default="bright", description="bright, all, or an expression like 'bright and not masked'"
    )
    formats: tuple[Literal["parquet", "fits"], ...] = Field(
        default=("parquet",), description="tile files: parquet, or parquet,fits"
    )
    keep: tuple[str, ...] = Field(
        default=(), description="catalogue columns to carry to the output"
    )
    quantiles: bool = Field(
        default=False, description="also write all quantiles (column Z_QUANTILES)"
    )
    magnitudes: Path | None = Field(
        default=None, description="table of GAaP magnitudes, of any kind, to use instead"
    )
    magnitudes_by: Literal["position", "id"] = Field(
        default="position", description="how its rows are joined"
    )
    magnitudes_ra: str = Field(
        default="", description="its column of right ascension; if absent, recognised"
    )
    magnitudes_dec: str = Field(
        default="", description="its column of declination; if absent, recognised"
    )
    magnitudes_id: str = Field(default="", description="its column of the ID; if absent, ID")
    magnitudes_radius: Annotated[float, Field(gt=0, le=60)] = Field(
        default=1.0, description="match radius, arcsec"
    )
    missing_band: Literal["quarantine", "flag"] = Field(
        default="quarantine",
        description="a tile that lacks a coadd: quarantine it, or flag its sources",
    )
    missing_dmag: Literal["quarantine", "zero"] = Field(
        default="quarantine",
        description="a coadd without DMAG: quarantine its tile, or take DMAG as zero",
    )
    bad_pixel_bits: Annotated[int, Field(ge=0, le=255)] = Field(
        default=71,
        description="msk bits that exclude a pixel: 1 spike, 2 saturation, 4 diffraction, 64 bad",
    )
    use_weights: bool = Field(
        default=True, description="do not use pixels of zero weight, where wei images exist"
    )
    reading: Literal["auto", "pages", "rows", "stream"] = Field(
        default="auto",
        description="how much of a coadd is read: auto, or pages, rows or stream whatever it costs",
    )
    storage_seek: Annotated[float, Field(gt=0, le=1e6)] = Field(
        default=10.0,
        description="microseconds that one more piece costs (photoz doctor --storage)",
    )
    storage_stream: Annotated[float, Field(gt=0, le=1e6)] = Field(
        default=1000.0, description="MB a second of one stream (photoz doctor --storage)"
    )
    provider: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="where the network runs"
    )
    allow_fallback: bool = Field(
        default=False, description="with provider cuda: go on with the CPU if there is no GPU"
    )
    workers: str | None = Field(
        default=None,
        description="worker processes, N or MIN:MAX; if absent, one for each core, on GPUs four"
        " for each GPU at most",
    )
    cluster: ClusterConfig = Field(
        default_factory=ClusterConfig, description="where workers run, see Clusters"
    )
    shard: str | None = Field(
        default=None,
        description="measure the I-th of N shares of the tiles, I from 1 (job arrays)",
    )
    attempts: Annotated[int, Field(ge=1)] = Field(
        default=3, description="tries of a tile whose storage failed or whose worker was lost"
    )
    tile_minutes: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="longest time of a tile, minutes; if absent, 20 times the longest of this run"
        " so far, 60 at least, and 360 before the first has ended",
    )
    worker_memory: str | None = Field(
        default=None,
        description="memory a worker may take, such as 4GB; if absent, its share of this machine"
        " or job, 4 GB at least; coadds do not count",
    )
    worker_wait: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="minutes without any worker after which the run ends; if absent, 10, and"
        " 1440 where workers are batch jobs",
    )
    scratch: Path | None = Field(
        default=None, description="node-local folder for unpacked .gz files"
    )
    afar: AfarConfig = Field(
        default_factory=AfarConfig, description="how tiles from afar are fetched"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if "parquet" not in self.formats:
            raise ValueError("formats must include parquet: resume and release read it")
        return self

    @field_validator("workers", mode="before")
    @classmethod
    def _workers_in_range(cls, value: Any) -> Any:
        if value is None:
            return None
        text = str(value)
        low, high = _pair(text if ":" in text else f"{text}:{text}", ":", "N or MIN:MAX")
        if low > high or high < 1:
            raise ValueError("MIN:MAX needs MIN <= MAX and MAX of at least 1")
        return text

    @field_validator("worker_memory")
    @classmethod
    def _memory_is_a_size(cls, value: str | None) -> str | None:
        if value is not None:
            memory_bytes(value)
        return value

    @field_validator("shard")
    @classmethod
    def _shard_in_range(cls, value: str | None) -> str | None:
        if value is not None:
            number, of = _pair(value, "/", "I/N")
            if not 1 <= number <= of:
                raise ValueError("shards are counted from 1: I/N needs 1 <= I <= N")
        return value

    @property
    def places_afar(self) -> tuple[Path | str, ...]:
        """What of ``data`` is fetched: addresses, and files that list addresses."""
        return tuple(place for place in self.data if not isinstance(place, Path) or place.is_file())

    @property
    def worker_range(self) -> tuple[int, int] | None:
        """Fewest and most workers, ``None`` if they follow from the machine."""
        if self.workers is None:
            return None
        low, _, high = self.workers.partition(":")
        return int(low), int(high or low)

    @property
    def share_name(self) -> str:
        """What the files of this share of a run have in their names: nothing for the whole."""
        number, of = self.share
        return f"-shard-{number}-of-{of}" if of > 1 else ""

    @property
    def share(self) -> tuple[int, int]:
        """Which share of the tiles this process measures, and of how many; (1, 1) is all."""
        return _pair(self.shard, "/", "I/N") if self.shard else (1, 1)

    def resolved_toml(self) -> str:
        """The whole configuration as TOML, defaults included; a value of ``None`` is left out."""
        import tomli_w

        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    def absolute(self) -> Self:
        """The same settings with absolute paths: they mean the same in any folder."""
        paths: dict[str, Any] = {
            "data": tuple(absolute(place) for place in self.data),
            "out": self.out.absolute(),
            "afar": self.afar.absolute(),
            # The name of a shipped bundle stays.
            "model": str(Path(self.model).absolute()) if Path(self.model).exists() else self.model,
        }
        for name in ("magnitudes", "scratch"):
            if (path := getattr(self, name)) is not None:
                paths[name] = path.absolute()
        if (file := self.cluster.scheduler_file) is not None:
            named = {"scheduler_file": file.absolute()}
            paths["cluster"] = self.cluster.model_copy(update=named)
        return self.model_copy(update=paths)

    def digest(self) -> str:
        """sha256 over the settings that can change a result."""
        return settings_digest(self.model_dump(mode="json"))


def result_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of all settings that can change a result; a file by its name, whatever its folder.

    What a file holds has a digest of its own in a manifest.
    """
    chosen = {name: settings[name] for name in RESULT_FIELDS}
    if chosen["magnitudes"] is not None:
        chosen["magnitudes"] = Path(chosen["magnitudes"]).name
    return chosen


def settings_digest(settings: Mapping[str, Any]) -> str:
    """sha256 over the `result_settings`."""
    return hashlib.sha256(
        json.dumps(result_settings(settings), sort_keys=True).encode()
    ).hexdigest()


def model_path(model: str) -> Path:
    """The file of a shipped bundle's name or of a path; `ConfigError` if there is none."""
    bundled = BUNDLED / f"{model}.onnx"
    if bundled.is_file():
        return bundled
    if Path(model).exists():
        return Path(model).resolve()
    shipped = ", ".join(sorted(path.stem for path in BUNDLED.glob("*.onnx")))
    raise ConfigError(
        f"model {model}: no such file, and no shipped model of this name (shipped: {shipped})"
    )


def load_config(
    path: Path | None, overrides: dict[str, Any], defaults: dict[str, Any] | None = None
) -> RunConfig:
    """The configuration from a TOML file and from options of the command line, which win.

    ``defaults`` stand in for needed settings that neither gives.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not TOML, has an unknown key, or a value does not fit.
    """
    settings = (defaults or {}) | (_read_toml(path) if path else {})
    options = {name: value for name, value in overrides.items() if value is not None}
    for name in ("cluster", "afar"):
        file_table, option_table = settings.get(name, {}), options.get(name, {})
        if isinstance(file_table, dict) and isinstance(option_table, dict):  # else refused below
            options[name] = file_table | option_table
    settings |= options
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(_explain(error, path)) from error


def _pair(text: str, separator: str, form: str) -> tuple[int, int]:
    first, _, second = str(text).partition(separator)
    if not (first.isascii() and first.isdigit() and second.isascii() and second.isdigit()):
        raise ValueError(f"give {form}, in whole numbers")
    return int(first), int(second)


def _read_toml(path: Path) -> dict[str, Any]:
    # Here, so that help does not wait for it.
    import tomllib

    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"configuration {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration {path} is not valid TOML: {error}") from error


def _explain(error: ValidationError, path: Path | None) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    where = f"configuration {path}: " if path else ""
    if first["type"] == "extra_forbidden":
        return f"{where}unknown key {key!r}; known keys are {', '.join(RunConfig.model_fields)}"
    if first["type"] == "missing":
        return (
            f"{where}{key!r} is not set; give --{key.replace('_', '-')} or {key} in the TOML file"
        )
    message = first["msg"].removeprefix("Value error, ")
    got = masked(repr(first["input"]))
    return f"{where}{key}: {message} (got {got})" if key else f"{where}{message}"
