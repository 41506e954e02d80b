"""What a user says of a foreign network, and what of it can only be a mistake."""

import tomllib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from photoz_models.contract import Training, first_problem
from photoz_models.errors import BundleError
from photoz_models.runtime import read_model
from photoz_models.stamp_rule import IMAGE_BANDS, MAGNITUDE_BANDS, StampRule

LARGEST_Z = 20.0
"""More than any galaxy has."""

Positive = Annotated[float, Field(gt=0)]

HEAD_FIELDS: Mapping[str, tuple[str, ...]] = {
    "z": ("scatter",),
    "gaussian": ("sigma", "sigma_is"),
    "mixture": ("sigma", "sigma_is", "weights", "shares_are", "point"),
    "quantiles": ("levels",),
    "histogram": ("edges", "shares_are", "point"),
}
"""Fields that belong to some heads only."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    "z": ("scatter",),
    "gaussian": ("sigma",),
    "mixture": ("sigma", "weights"),
    "quantiles": ("levels",),
    "histogram": ("edges",),
}


class WrapSpec(StampRule):
    """How the foreign graph wants its inputs, and what its output means.

    The fields of `StampRule` say what it wants of stamps; such a graph knows no seeing. Outputs
    are named as in the graph. ``name[2]`` and ``name[0:5]`` are columns of an output.

    Attributes
    ----------
    image_input, magnitude_input
        Names in the foreign graph. A network of images or of magnitudes alone has only one.
    layout
        Order of the image axes there.
    flux_scale
        Pixels in maggies times this are in the unit in which it was trained.
    stretch, percentiles, epsilon
        ``percentile``: (x - p_low) / (p_high - p_low + epsilon) of each stamp and band, clipped
        to 0..1.
    magnitude_mean, magnitude_scale
        Of the training set, for each magnitude band.
    standardised
        Whether the network takes (m - mean) / scale, or m itself.
    missing
        What it takes in place of a missing magnitude: ``mean``, ``nan``, or a magnitude.
    target
        Whether the output speaks of z or of log(1+z).
    head, output
        What the output is: redshifts, means of Gaussians, quantiles, shares of bins.
    ignored_outputs
        Other outputs of the graph, which have no use here.
    scatter
        ``z``: standard deviation of dz/(1+z), for the quantiles that such a network lacks.
    sigma, sigma_is
        ``gaussian``, ``mixture``: the output with widths, and what it holds.
    weights, shares_are
        ``mixture``: the output with weights. They, or the shares of a ``histogram``, are ``shares``
        (which are made to sum to 1) or ``logits``.
    levels
        ``quantiles``: level of each column.
    edges
        ``histogram``: edges of the bins, in the unit of ``target``.
    point
        ``mixture``, ``histogram``: what of the distribution is the redshift.
    """

    name: Annotated[str, Field(min_length=1, pattern=r"^[^\r\n]*$")]
    version: str = "1"
    licence: str
    image_input: str | None = None
    magnitude_input: str | None = None
    output: str
    ignored_outputs: tuple[str, ...] = ()
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    flux_scale: Annotated[float, Field(gt=0, lt=1e30)] = 1.0
    stretch: Literal["percentile", "none"] = "percentile"
    percentiles: tuple[float, float] = (2.0, 98.0)
    epsilon: Annotated[float, Field(ge=0)] = 1e-8
    magnitude_mean: tuple[float, ...] = ()
    magnitude_scale: tuple[Positive, ...] = ()
    standardised: bool = True
    missing: Literal["mean", "nan"] | float = "mean"
    target: Literal["z", "log1pz"]
    head: Literal["z", "gaussian", "mixture", "quantiles", "histogram"] = "z"
    scatter: Annotated[float, Field(gt=0, le=1)] | None = None
    sigma: str | None = None
    sigma_is: Literal["sigma", "variance", "log_sigma", "log_variance"] = "sigma"
    weights: str | None = None
    shares_are: Literal["shares", "logits"] = "shares"
    levels: tuple[float, ...] = ()
    edges: tuple[float, ...] = ()
    point: Literal["median", "mean"] = "median"
    z_min: Annotated[float, Field(gt=-1)] = 0.0
    z_max: Annotated[float, Field(le=LARGEST_Z)] = 1.0
    image_bands: tuple[str, ...] = IMAGE_BANDS
    magnitude_bands: tuple[str, ...] = MAGNITUDE_BANDS
    seeing_bands: tuple[()] = ()
    stamp_size: Annotated[int, StampRule.model_fields["stamp_size"]] = 36
    pixel_scale: Positive = 0.2
    dmag_applied: bool = False
    extinction_corrected: bool = False
    training: Training

    @model_validator(mode="before")
    @classmethod
    def _bands_of_inputs(cls, fields: Any) -> Any:
        """Without an input there are no bands of it, unless somebody names some."""
        if not isinstance(fields, dict):
            return fields
        empty = {"image_bands": "image_input", "magnitude_bands": "magnitude_input"}
        absent = {bands: () for bands, given in empty.items() if fields.get(given) is None}
        return absent | fields

    @model_validator(mode="after")
    def _inputs_fit(self) -> Self:
        if self.image_input is None and self.magnitude_input is None:
            raise ValueError("image_input or magnitude_input must name an input of the graph")
        if self.image_input == self.magnitude_input:
            raise ValueError("image_input and magnitude_input are the same input")
        for kind in ("image", "magnitude"):
            bands, given = getattr(self, f"{kind}_bands"), getattr(self, f"{kind}_input")
            if bool(bands) != (given is not None):
                raise ValueError(f"{kind}_bands and {kind}_input belong together")
        known = ((self.image_bands, IMAGE_BANDS), (self.magnitude_bands, MAGNITUDE_BANDS))
        for bands, present in known:
            unknown = [band for band in bands if band not in present]
            if unknown:
                raise ValueError(f"{unknown[0]!r} is none of the bands {' '.join(present)}")
        n_bands = len(self.magnitude_bands)
        if len(self.magnitude_mean) != n_bands or len(self.magnitude_scale) != n_bands:
            raise ValueError(
                "magnitude_mean and magnitude_scale need one value for each of"
                f" {n_bands} magnitude bands"
            )
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError("percentiles must increase within 0 to 100")
        return self

    @model_validator(mode="after")
    def _head_fits(self) -> Self:
        if self.z_max <= self.z_min:
            raise ValueError("z_max must lie above z_min")
        lacking = [name for name in NEEDED[self.head] if not getattr(self, name)]
        if lacking:
            raise ValueError(f"a head {self.head!r} needs {' and '.join(lacking)}")
        own = HEAD_FIELDS[self.head]
        others = {name for names in HEAD_FIELDS.values() for name in names if name not in own}
        strange = sorted(others & self._given())
        if strange:
            raise ValueError(f"a head {self.head!r} has no {' and '.join(strange)}")
        if self.head == "quantiles":
            within = all(0 < level < 1 for level in self.levels)
            if not within or not _increase(self.levels) or len(self.levels) < 2:
                raise ValueError("levels must be two or more that increase within (0, 1)")
        if self.head == "histogram" and (not _increase(self.edges) or len(self.edges) < 3):
            raise ValueError("edges must be three or more that increase")
        return self

    def _given(self) -> set[str]:
        """Fields whose value is not the default."""
        fields = type(self).model_fields
        return {name for name in fields if getattr(self, name) != fields[name].default}


def read_spec(path: Path) -> WrapSpec:
    """Read the TOML file at ``path``.

    Raises
    ------
    BundleError
        If it cannot be read or does not fit, with the field that does not.
    """
    try:
        return WrapSpec.model_validate(tomllib.loads(read_model(path).decode("utf-8")))
    except ValidationError as error:
        raise BundleError(f"{path}: {first_problem(error)}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BundleError(f"{path}: {error}") from error


def checked(spec: WrapSpec) -> WrapSpec:
    """The same specification, if nothing in it can only be a mistake.

    Raises
    ------
    BundleError
        With the field that does not fit.
    """
    try:
        return WrapSpec.model_validate(spec.model_dump())
    except ValidationError as error:
        raise BundleError(f"the specification does not fit: {first_problem(error)}") from error


def _increase(values: tuple[float, ...]) -> bool:
    return all(low < high for low, high in pairwise(values))
