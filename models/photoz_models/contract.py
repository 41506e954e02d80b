"""The contract of a bundle: what goes in, what comes out, where it came from.

It is JSON in the metadata of the ONNX file.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from photoz_models.errors import BundleError
from photoz_models.golden import Golden
from photoz_models.stamp_rule import StampRule
from photoz_models.whole_files import written_whole

METADATA_KEY = "photoz_contract"

STAMPS = "stamps"
MAGNITUDES = "magnitudes"
"""Names of the graph's inputs; ``magnitudes`` is the whole table, with its columns of seeing."""
OUTPUTS = ("z_phot", "z_quantiles", "domain_distance")

QUANTILE_LEVELS = (
    *(0.01, 0.025, 0.05, 0.1, 0.16, 0.2, 0.25, 0.3, 0.35, 0.4),
    0.5,
    *(0.6, 0.65, 0.7, 0.75, 0.8, 0.84, 0.9, 0.95, 0.975, 0.99),
)
"""Levels of the project's own networks, with the ends of the central 68% and 95% intervals."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Domain(_Record):
    """What ``domain_distance`` means."""

    meaning: str
    fraction_inside: Annotated[float, Field(gt=0, le=1)] | None
    """Share of the training set with a distance of at most 1, where it is known."""

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_versions(cls, fields: Any) -> Any:
        # Bundles of earlier versions carry limits of the magnitudes, which nothing reads.
        if isinstance(fields, dict):
            return {name: value for name, value in fields.items() if name != "magnitude_limits"}
        return fields


class Training(_Record):
    """Where the weights come from."""

    set_name: str
    digest: str
    """sha256 of the training set."""
    simulated: bool
    number: int
    """Galaxies that the weights were fitted to."""
    date: str
    commit: str
    seed: int
    """Of the split, and of the first network; further ones of an ensemble count on from it."""
    split: Literal["galaxy", "tile", "none"] = "none"


class Wrapped(_Record):
    """What stands around somebody else's graph, in the words of its specification."""

    sha256: str
    """Of the file that was wrapped."""
    layout: Literal["NHWC", "NCHW"]
    flux_scale: float
    stretch: str
    magnitude_mean: tuple[float, ...]
    magnitude_scale: tuple[float, ...]
    standardised: bool
    missing: str
    target: Literal["z", "log1pz"]
    head: str
    calibrated_on: str = ""
    """Name of the labelled galaxies by which the quantiles were calibrated."""


class Recalibration(_Record):
    """By which galaxies the quantiles of another bundle were made to cover what they promise."""

    parent: str
    """sha256 of the other bundle."""
    pairs: str
    """Name of the table, or of the set, of these galaxies."""
    digest: str
    """sha256 of what was taken of it."""
    number: int
    tiles: int
    magnitudes: tuple[float, ...]
    """In r, of the knots between which the map of levels is interpolated; none without r."""
    held_out: Mapping[str, float]
    """Coverage on tiles that the map was not fitted to, by name, before and after; empty if there
    was one tile."""


class Copied(_Record):
    """Which bundle this one is a copy of, with the graph changed by some tool."""

    parent: str
    """sha256 of the other bundle."""
    graph: str
    """sha256 of the file with the changed graph."""


class ModelContract(StampRule):
    """All that a program must know to feed a bundle and to read its answer.

    A contract is the rule of its stamps; what that demands stands in the fields of `StampRule`.
    A bundle without a column in its table has no ``magnitudes`` input.

    Attributes
    ----------
    quantile_levels
        Levels of the quantiles Q, increasing.
    seal
        `digest_of` the rest, by which a contract that was changed by hand is known. Bundles of
        earlier versions have none.
    """

    schema_version: Literal[1] = 1
    name: Annotated[str, Field(min_length=1)]
    version: str
    network: str
    multiply_adds: int
    opset: int
    flux_unit: Literal["maggies"] = "maggies"
    quantile_levels: tuple[float, ...]
    z_min: float
    z_max: float
    domain: Domain
    training: Training
    test_metrics: Mapping[str, float]
    licence: str
    golden: Golden
    wrapped: Wrapped | None = None
    recalibrated: Recalibration | None = None
    copied: Copied | None = None
    seal: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        levels = self.quantile_levels
        within = all(0 < level < 1 for level in levels)
        increasing = sorted(set(levels)) == list(levels)
        if not (levels and within and increasing):
            raise ValueError("quantile_levels must increase within (0, 1)")
        if self.z_max <= self.z_min:
            raise ValueError("z_max must lie above z_min")
        if not self.image_bands and not self.magnitude_bands:
            raise ValueError("there is neither an image band nor a magnitude band")
        return self

    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each input of the graph for one source; an empty input is not there."""
        shapes: dict[str, tuple[int, ...]] = {}
        if self.image_bands:
            shapes[STAMPS] = self.stamp_shape()
        if self.table_columns:
            shapes[MAGNITUDES] = (len(self.table_columns),)
        return shapes


def parse_contract(metadata: Mapping[str, str], where: str) -> ModelContract:
    """The contract in the metadata of an ONNX file.

    Raises
    ------
    BundleError
        If there is none, if it does not fit the schema (unknown, missing or impossible values), or
        if it is not the one that the bundle was sealed with.
    """
    if METADATA_KEY not in metadata:
        raise BundleError(
            f"{where}: no contract in this ONNX file; `photoz model wrap` can add one"
        )
    text = metadata[METADATA_KEY]
    try:
        contract = ModelContract.model_validate_json(text)
    except ValidationError as error:
        raise BundleError(f"{where}: the contract is not valid: {first_problem(error)}") from error
    # Golden values prove the graph; how stamps are prepared for it stands in the contract alone.
    if contract.seal not in (None, digest_of(text)):
        raise BundleError(
            f"{where}: the contract was changed after the bundle was sealed;"
            " take the file as its maker sealed it"
        )
    return contract


def digest_of(text: str) -> str:
    """The sha256 of the JSON of a contract without its seal, whatever its order and blanks."""
    fields = {name: value for name, value in json.loads(text).items() if name != "seal"}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def first_problem(error: ValidationError) -> str:
    """The first complaint of pydantic as ``field: reason``, with the number of further ones."""
    problems = error.errors(include_url=False)
    field = ".".join(str(part) for part in problems[0]["loc"]) or "contract"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{field}: {problems[0]['msg']}{more}"


def write_contract(graph: Path, contract: ModelContract, out: Path) -> ModelContract:
    """Write ``out``: the ONNX file ``graph`` with ``contract``, which is sealed, in its metadata.

    Returns
    -------
    ModelContract
        As it is in the file.
    """
    import onnx

    sealed = contract.model_copy(update={"seal": digest_of(contract.model_dump_json())})
    model = onnx.load(graph)
    kept = {prop.key: prop.value for prop in model.metadata_props}
    onnx.helper.set_model_props(model, {**kept, METADATA_KEY: sealed.model_dump_json()})
    onnx.checker.check_model(model)
    with written_whole(out) as beside:
        onnx.save(model, beside)
    return sealed
