"""Validating a catalogue against spectroscopic redshifts, from files to a result."""

from pathlib import Path

from pipeline.validation.catalogue import Catalogue, read_catalogue
from pipeline.validation.metrics import Group, compare, distribution, measure
from pipeline.validation.pairs import Pairs, pair
from pipeline.validation.result import Comparison, Result
from pipeline.validation.settings import ValidationSettings
from pipeline.validation.specz import SpecSample, read_specz


def validate(path: Path, settings: ValidationSettings) -> Result:
    """Validate the catalogue at ``path`` against the spec-z tables of ``settings``.

    Raises
    ------
    ConfigError
        If columns or expressions do not fit the tables.
    BadDataError
        If a table cannot be read, holds no redshift, or the positions do not match.
    """
    specz = read_specz(settings.specz)
    catalogue, _ = read_catalogue(path, settings)
    pairs = pair(catalogue, specz, settings.radius, settings.match_fraction_min)
    return examine(catalogue, specz, pairs, settings)


def examine(catalogue: Catalogue, specz: SpecSample, pairs: Pairs, settings: ValidationSettings) -> Result:
    """Compute every statistic of the pairs."""
    n, estimates = measure(pairs.columns, settings.weight, seed=settings.seed)
    return Result(
        catalogue=str(catalogue.path),
        rows=catalogue.rows,
        repeated=catalogue.repeated,
        specz=specz.counts,
        counts=pairs.counts,
        overall=Group("all", "all", n, estimates),
        distribution=distribution(pairs.columns, catalogue.levels_Q),
        comparisons=tuple(
            Comparison(*compare(pairs.columns, other, settings.weight, settings.seed)) for other in catalogue.compare
        ),
    )
