"""Targets looked up: all that is known of a galaxy, in one record, or why there is none."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from photoz_run import flags
from photoz_run.catalogue.table import QUANTILES
from photoz_run.errors import PhotozError
from photoz_run.facade.survey import RADIUS
from photoz_run.science.matching import separations
from photoz_run.show.holdings import Holdings
from photoz_run.show.measuring import Magnitude, Measurement, measure
from photoz_run.show.pictures import Picture
from photoz_run.show.rows import CatalogueRow, find_rows, quantile_levels
from photoz_run.show.targets import Target
from photoz_run.show.without import Without

if TYPE_CHECKING:
    from photoz_run.validation.specz import SpecSample

SPEC_RADIUS = 1.0
"""arcsec, as in a validation."""


@dataclass(frozen=True)
class Galaxy:
    """A source and what is known of it; None or empty where it is not known."""

    row: Mapping[str, Any]
    """As a run writes it; what is missing is None."""
    separation: float
    """From the position asked for, arcsec; NaN for an ID."""
    levels_Q: tuple[float, ...]
    quantiles_Q: tuple[float, ...]
    magnitudes: Mapping[str, Magnitude] = field(default_factory=dict)
    seeing: Mapping[str, float] = field(default_factory=dict)
    without: tuple[Without, ...] = ()
    odd: Without | None = None
    picture: Picture | None = None
    z_spec: float = np.nan
    spec_source: str = ""
    notes: tuple[str, ...] = ()

    def number(self, name: str) -> float:
        """A value of the row, NaN where it is missing."""
        value = self.row.get(name)
        return np.nan if value is None else float(value)

    @property
    def for_science(self) -> bool:
        """Whether the recommended cut leaves it in."""
        return not int(self.row.get("PHOTOZ_FLAG") or 0) & flags.NOT_FOR_SCIENCE

    @property
    def flags(self) -> list[tuple[str, str]]:
        """Name and meaning of each flag that is set."""
        value = int(self.row.get("PHOTOZ_FLAG") or 0)
        words = {name: flag.description for name, flag in flags.BY_NAME.items()}
        return [(name, words.get(name, "set by a user")) for name in flags.decode(value)]


@dataclass(frozen=True)
class Sight:
    """A target, and the galaxy there; or why there is none."""

    target: Target
    galaxy: Galaxy | None
    problem: str = ""


def look(
    targets: Sequence[Target],
    holdings: Holdings,
    specz: "SpecSample | None" = None,
    radius: float = RADIUS,
    done: Callable[[int], None] = lambda _: None,
) -> list[Sight]:
    """Look every target up, in their order; ``done`` is told how many a tile had.

    Parameters
    ----------
    radius
        How far a source may lie from a position, arcsec.
    """
    catalogue = holdings.catalogue
    rows = find_rows(catalogue, targets, radius) if catalogue is not None else {}
    levels = quantile_levels(catalogue) if catalogue is not None else ()
    measured, problems = _measure_by_tile(targets, rows, holdings, radius, done)
    sights = []
    for number, target in enumerate(targets):
        known = sorted(measured[number], key=lambda one: np.nan_to_num(one.separation))
        problem = problems.get(number, "")
        galaxy = _galaxy(rows.get(number, []), known, levels, holdings, problem)
        if galaxy is None:
            problem = problem or _nothing(target, holdings, radius)
        elif specz is not None:
            galaxy = _with_specz(galaxy, specz)
        sights.append(Sight(target, galaxy, "" if galaxy else problem))
    return sights


def _measure_by_tile(
    targets: Sequence[Target],
    rows: Mapping[int, Sequence[CatalogueRow]],
    holdings: Holdings,
    radius: float,
    done: Callable[[int], None],
) -> tuple[Mapping[int, list[Measurement]], Mapping[int, str]]:
    """What each target is in each tile that has it, and why others could not be measured."""
    problems: dict[int, str] = {}
    by_tile: defaultdict[str, list[int]] = defaultdict(list)
    for number, target in enumerate(targets):
        if target.problem:
            problems[number] = target.problem
            continue
        try:
            for tile in _tiles(target, rows.get(number, []), holdings):
                by_tile[tile].append(number)
        except PhotozError as error:
            problems[number] = str(error)
    measured: defaultdict[int, list[Measurement]] = defaultdict(list)
    for tile, numbers in sorted(by_tile.items()):
        anchors = [_anchor(targets[number], rows.get(number, [])) for number in numbers]
        try:
            for number, one in zip(numbers, measure(holdings, tile, anchors, radius), strict=True):
                if one is not None:
                    measured[number].append(one)
        except PhotozError as error:
            problems |= dict.fromkeys(numbers, str(error))
        done(len(numbers))
    return measured, problems


def _tiles(target: Target, rows: Sequence[CatalogueRow], holdings: Holdings) -> list[str]:
    """The tiles of the survey in which a target is to be measured."""
    if holdings.survey is None:
        return []
    if rows:
        tile = str(rows[0].values.get("KIDS_TILE"))
        return [tile] if tile in holdings.survey.tiles else []
    if target.id:
        return holdings.survey.tiles_with(target.id)
    return holdings.survey.tiles_at(target.ra, target.dec)


def _anchor(target: Target, rows: Sequence[CatalogueRow]) -> Target:
    """What to look for in a catalogue: the source of the row, if there is one."""
    return replace(target, id=rows[0].values["ID"]) if rows else target


def _galaxy(
    rows: Sequence[CatalogueRow],
    measured: Sequence[Measurement],
    levels: tuple[float, ...],
    holdings: Holdings,
    problem: str,
) -> Galaxy | None:
    """What the catalogue says of a source, with what was measured here."""
    if not rows and not measured:
        return None
    notes = []
    first = measured[0] if measured else None
    if rows:
        galaxy = Galaxy(rows[0].values, rows[0].separation, levels, ())
        quantiles = rows[0].values.get(QUANTILES)
        notes += _notes_of_rows(rows, first, holdings)
        if problem:
            notes.append(f"not measured anew: {problem}")
    else:
        assert first is not None
        galaxy = Galaxy(first.row, first.separation, (), ())
        quantiles = None
        notes += _notes_of_tiles(measured, holdings)
    if first is not None:
        notes += first.notes
        galaxy = replace(
            galaxy,
            magnitudes=first.magnitudes,
            seeing=first.seeing,
            without=first.without,
            odd=first.odd,
            picture=first.picture,
        )
    if quantiles is None and first is not None and holdings.bundle is not None:
        quantiles, levels = first.row[QUANTILES], holdings.bundle.contract.quantile_levels
    known = tuple(quantiles) if quantiles is not None else ()
    return replace(galaxy, levels_Q=levels if known else (), quantiles_Q=known, notes=tuple(notes))


def _notes_of_rows(
    rows: Sequence[CatalogueRow], first: Measurement | None, holdings: Holdings
) -> list[str]:
    """What is to be said of the rows of a run or a release, beside the first of them."""
    notes = []
    name = rows[0].values["ID"]
    for row in rows[1:]:
        if row.values["ID"] == name:
            notes.append(f"also in {row.values.get('KIDS_TILE')}: {_redshift(row.values)}")
    others = {row.values["ID"] for row in rows} - {name}
    if others:
        notes.append(f"{len(others)} more within the radius; this is the nearest")
    if first is not None and holdings.bundle is not None:
        tolerance = holdings.bundle.contract.golden.tolerance_z
        before, now = rows[0].values.get("Z_PHOT"), first.row["Z_PHOT"]
        same = before == now or (before and now and abs(before - now) <= tolerance)
        if not same:
            notes.append(
                f"measured anew: {_redshift(first.row)}; files or program have changed since"
            )
    return notes


def _notes_of_tiles(measured: Sequence[Measurement], holdings: Holdings) -> list[str]:
    """What is to be said of a source that was measured here alone."""
    notes = [f"also in {other.tile}: {_redshift(other.row)}" for other in measured[1:]]
    if not measured[0].selected:
        notes.append(f"not selected: {holdings.config.select!r} leaves it out")
    elif holdings.catalogue is not None:
        notes.append(f"not in {holdings.words}: its tile is not there")
    return notes


def _nothing(target: Target, holdings: Holdings, radius: float) -> str:
    """Why a target has no galaxy."""
    if target.id:
        return f"no source of this ID in {holdings.words}"
    if holdings.survey is None:
        return f"no source within {radius:g} arcsec in {holdings.words}"
    names = holdings.survey.tiles_at(target.ra, target.dec)
    if names:
        return f"no source within {radius:g} arcsec in {' and '.join(names)}; --radius asks further"
    nearest, distance = holdings.survey.nearest_tile(target.ra, target.dec)
    return f"in no tile of {holdings.words}; the nearest is {nearest}, {distance:.2g} degrees away"


def _redshift(row: Mapping[str, Any]) -> str:
    z = row.get("Z_PHOT")
    return "no redshift" if z is None else f"z = {z:.3f}"


def _with_specz(galaxy: Galaxy, specz: "SpecSample") -> Galaxy:
    """The galaxy with the spectroscopic redshift of the nearest row within `SPEC_RADIUS`."""
    ra, dec = galaxy.number("RAJ2000"), galaxy.number("DECJ2000")
    apart_M = separations(specz.ra_M, specz.dec_M, ra, dec)
    row = int(np.argmin(apart_M))
    if not apart_M[row] <= SPEC_RADIUS:
        return galaxy
    source = specz.sources[specz.source_M[row]]
    return replace(galaxy, z_spec=float(specz.z_M[row]), spec_source=source)
