"""What the unit that a column states makes of its numbers.

Positions are converted to degrees. Magnitudes and redshifts in another unit are no magnitudes and
redshifts at all, and refused. A column that states no unit is what its name says.
"""

import re
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from photoz_run.errors import BadDataError

if TYPE_CHECKING:
    from photoz_run.tables.table import Table

NONE = ("", "-", "--", "---", "1", "none", "null", "unitless", "dimensionless", "n/a")
"""What programs write where a column has no unit."""
DEGREES = re.compile(r"\W*(decimal\W*)?(deg|degrees?|°)(?![a-z])[^/]*", re.IGNORECASE)
"""Degrees as people spell them: deg, Degrees, deg (J2000)."""
MAGNITUDE = re.compile(
    r"\W*(ab|vega|st)?[\W_]*mag(nitude)?s?(?![a-z])(?!\W*(arcsec|sec|s\b)|\s*[/*])|\W*(ab|vega)\W*$",
    re.IGNORECASE,
)
"""mag, ABmag, mag(AB), mag_AB, Vega; not mag/arcsec2."""
HOUR = 15.0
"""Degrees."""


def degrees_per_unit(table: "Table", name: str) -> float:
    """By what a column of a position is multiplied to become degrees.

    Raises
    ------
    BadDataError
        If its unit is none of an angle.
    """
    unit = table.unit(name)
    if unit.lower() in (*NONE, "deg"):
        return 1.0
    known = _known(unit)
    if known is not None:
        from astropy import units

        if known.is_equivalent(units.deg):
            return float(known.to(units.deg))
        if known == units.hour:
            return HOUR
    elif DEGREES.fullmatch(unit):
        return 1.0
    raise _other_unit(table, name, "degrees are")


def refuse_other_than_degrees(table: "Table", names: Iterable[str]) -> None:
    """Refuse columns of positions in another unit: `BadDataError`."""
    for name in names:
        if degrees_per_unit(table, name) != 1:
            raise _other_unit(table, name, "degrees are")


def refuse_other_than_magnitudes(table: "Table", names: Iterable[str]) -> None:
    """Refuse columns whose unit is none of magnitudes, a flux for instance: `BadDataError`."""
    for name in names:
        unit = table.unit(name)
        if unit.lower() not in NONE and not MAGNITUDE.match(unit):
            raise _other_unit(table, name, "mag is")


def refuse_other_than_redshift(table: "Table", name: str) -> None:
    """Refuse a column that has a unit, as a velocity or a magnitude has: `BadDataError`."""
    unit = table.unit(name)
    if unit.lower() in NONE:
        return
    known = _known(unit)
    if known is None and not MAGNITUDE.match(unit):
        return
    from astropy import units

    if known is None or known != units.dimensionless_unscaled:
        raise _other_unit(table, name, "a redshift, without unit, is")


def _other_unit(table: "Table", name: str, expected: str) -> BadDataError:
    return BadDataError(
        f"{table.where}: column {name} has the unit {table.unit(name)!r}, where {expected}"
        " expected; convert it, or mend its unit"
    )


def _known(unit: str) -> Any:
    """The unit of astropy that a text means, ``None`` if it means none."""
    from astropy import units

    plain = unit.strip("'\"[]() ")
    for text in (plain, plain.lower(), plain.lower().removesuffix("s"), plain.replace("sec", "s")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return units.Unit(text)
            except (ValueError, TypeError):
                continue
    return None
