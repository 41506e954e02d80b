"""Settings of a validation, from TOML: what is compared, how it is binned, its gates."""

import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from photoz_run.errors import ConfigError

DEFAULT_RED = "MAG_GAAP_g - MAG_GAAP_r > 0.65 + 2.3 * Z_PHOT"
"""Observed g - r above a line that runs just below the red sequence to z = 0.5.

With Z_SPEC in place of Z_PHOT, galaxies near the line would be sorted by the sign of their error:
red ones would seem biased high and blue ones low, for any photo-z.
"""

Fraction = Annotated[float, Field(ge=0, le=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SpecSettings(_Frozen):
    """One table of spectroscopic redshifts; names left out are recognised from its columns."""

    file: Path
    name: str = ""
    ra: str = Field(default="", description="column of right ascension; if absent, recognised")
    dec: str = Field(default="", description="column of declination; if absent, recognised")
    z: str = Field(default="", description="column of the redshift; if absent, recognised")
    quality: str | None = Field(
        default=None,
        description="rows to trust, like 'NQ > 2', or '' for all; if absent, the survey's cut",
    )


class Limits(_Frozen):
    """Limits for one set of objects; a limit left out is not tested."""

    smad_max: float | None = Field(default=None, gt=0)
    bias_max: float | None = Field(default=None, gt=0)
    """Limit of |mean(z_phot - z_spec)|."""
    outlier_max: Fraction | None = None
    """Limit of the fraction with |normdz| > 0.15."""
    coverage_68: tuple[Fraction, Fraction] | None = None
    coverage_95: tuple[Fraction, Fraction] | None = None


class Gates(Limits):
    """The limits a catalogue must keep to be released: of all objects, and bin by bin."""

    completeness_min: Fraction | None = None
    """Least fraction of matched objects that must have a photo-z."""
    pairs_min: int | None = Field(default=None, ge=1)
    spike_max: float | None = Field(default=None, gt=0)
    """Limit of the significance of a spike in n(z_phot)."""
    per_bin: dict[str, Limits] = {}
    """Limits by breakdown ("r", "z_spec", "tile" ...)."""
    bin_pairs_min: int = Field(default=100, ge=2)
    """Bins with fewer objects are not tested."""


class TomographySettings(_Frozen):
    """Bins of redshift in which n(z) is predicted, and compared with the spectra."""

    edges: tuple[float, ...] = ()
    """Edges of the bins in Z_PHOT; without them bins hold equal numbers."""
    bins: int = Field(default=4, ge=1, le=20)
    """Number of bins with equal numbers of galaxies."""
    by: Literal["point", "mass"] = "point"
    """A galaxy is in the bin of its Z_PHOT, or in that which holds most of its distribution."""

    @field_validator("edges")
    @classmethod
    def _edges_increase(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if edges and (len(edges) < 2 or any(high <= low for low, high in pairwise(edges))):
            raise ValueError("two or more increasing numbers are needed")
        return edges


class ValidationSettings(_Frozen):
    """Everything `photoz validate` can be told by a file."""

    z_phot: str = "Z_PHOT"
    compare: tuple[str, ...] = ()
    """Other redshift columns of the catalogue; Z_B and zphot_ANNz2 need not be named."""
    select: str = Field(
        default="",
        description="rows of CATALOGUE to validate, like 'MASK == 0 and MAG_AUTO_CALIB < 19'",
    )
    ra: str = ""
    dec: str = ""
    """Columns of the catalogue's positions; "" where they are to be recognised."""
    id: str = Field(
        default="", description="column of CATALOGUE whose rows are one galaxy; if absent, ID"
    )
    weight: str = ""
    """Column of the catalogue with weights."""
    radius: float = Field(default=1.0, gt=0, le=60)
    """Matching radius, arcsec."""
    match_fraction_min: Fraction = 0.05
    """Least fraction of the spec-z inside the footprint that must match a source.

    A smaller one means that positions are wrong.
    """
    red: str = DEFAULT_RED
    """Expression over catalogue columns, Z_PHOT and Z_SPEC that is true for red galaxies."""
    bins: int = Field(default=8, ge=2, le=50)
    """Number of equal-number bins of each continuous breakdown."""
    edges: dict[str, tuple[float, ...]] = {}
    """Fixed bin edges by breakdown, instead of equal-number bins."""

    @field_validator("edges")
    @classmethod
    def _edges_increase(cls, edges: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
        for name, values in edges.items():
            if len(values) < 2 or any(high <= low for low, high in pairwise(values)):
                raise ValueError(f"{name} needs two or more increasing numbers")
        return edges

    tomography: TomographySettings = TomographySettings()
    training_nz: Path | None = None
    """Table with the training redshifts (column z), whose n(z) is compared with n(z_phot)."""
    seed: int = 1
    specz: tuple[SpecSettings, ...] = ()
    gates: Gates = Gates()


def load_settings(path: Path | None) -> ValidationSettings:
    """Read settings from TOML; `ConfigError` names the key that cannot be used."""
    if path is None:
        return ValidationSettings()
    try:
        return ValidationSettings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {_explain(error)}") from error


def _explain(error: ValidationError) -> str:
    """Say which key cannot be used, and why; for an unknown one, which exist."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return f"{key}: {first['msg'].removeprefix('Value error, ')}"
    tables: dict[str, type[BaseModel]] = {
        "specz": SpecSettings,
        "tomography": TomographySettings,
        "gates": Gates,
        "gates.per_bin": Limits,
    }
    above = [str(part) for part in first["loc"][:-1]]
    table: type[BaseModel] = ValidationSettings
    for depth in (1, 2):
        table = tables.get(".".join(above[:depth]), table)
    return f"{key}: unknown key; there are {', '.join(table.model_fields)}"
