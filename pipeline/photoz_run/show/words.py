"""The words and numbers by which a galaxy is shown, the same on terminal, figure and page."""

import re

import numpy as np

from photoz_run.show.holdings import Holdings
from photoz_run.show.sights import Galaxy
from photoz_run.show.without import Without

MISSING = re.compile(r"MAG_(\w+)_MISSING")
"""A flag of one band's magnitude."""
LARGE = 1.0
"""A change of the redshift by more than its 68% half-width is told apart."""


def place(galaxy: Galaxy) -> str:
    """Position, tile and total magnitude."""
    ra, dec = galaxy.number("RAJ2000"), galaxy.number("DECJ2000")
    parts = [f"{ra:.5f} {dec:+.5f}", str(galaxy.row.get("KIDS_TILE") or "")]
    return "  ".join(part for part in (*parts, total_magnitude(galaxy)) if part)


def total_magnitude(galaxy: Galaxy) -> str:
    """The total magnitude, named apart from those in small apertures; empty without one."""
    magnitude = galaxy.number("MAG_AUTO_CALIB")
    return "" if np.isnan(magnitude) else f"AUTO r = {magnitude:.2f}"


def redshift(z: float) -> str:
    """``z = 0.213``."""
    return "no redshift" if np.isnan(z) else f"z = {z:.3f}"


def interval(galaxy: Galaxy, percent: int) -> str:
    """The central 68 or 95% interval; empty without one."""
    low, high = (galaxy.number(f"Z_PHOT_{end}{percent}") for end in ("LO", "HI"))
    return "" if np.isnan(low + high) else f"{low:.3f} to {high:.3f}"


def intervals(galaxy: Galaxy, between: str) -> str:
    """Both intervals with their names."""
    words = ((percent, interval(galaxy, percent)) for percent in (68, 95))
    return between.join(f"{percent}%: {ends}" for percent, ends in words if ends)


def spec_words(galaxy: Galaxy) -> str:
    """The spectroscopic redshift and by how much the photometric one differs."""
    if np.isnan(galaxy.z_spec):
        return ""
    off = (galaxy.number("Z_PHOT") - galaxy.z_spec) / (1 + galaxy.z_spec)
    difference = "" if np.isnan(off) else f"; (z - spec-z) / (1 + spec-z) = {off:+.3f}"
    return f"{galaxy.z_spec:.4f} ({galaxy.spec_source}){difference}"


def domain_words(galaxy: Galaxy) -> str:
    """How far from the training set, and which input is the oddest."""
    domain = galaxy.number("Z_DOMAIN")
    if np.isnan(domain):
        return ""
    where = "within the training set" if domain <= 1 else "outside the training set: extrapolated"
    odd = galaxy.odd
    without = f"; oddest is the {odd.name}, {odd.domain:.2f} without it" if odd else ""
    return f"{domain:.2f}, {where}{without}"


def flag_words(galaxy: Galaxy) -> list[str]:
    """Each flag that is set, by name and in words, and whether the recommended cut takes it out.

    Flags of missing magnitudes stand together.
    """
    lines: dict[str, list[str]] = {}
    for name, words in galaxy.flags:
        text = re.sub(r" in \w+(?= \()", "", words) if MISSING.fullmatch(name) else words
        lines.setdefault(text, []).append(name)
    told = [f"{', '.join(names)}: {words}" for words, names in lines.items()]
    return told if galaxy.for_science else [*told, "outside the recommended cut, NOT_FOR_SCIENCE"]


def flag_names(galaxy: Galaxy, most: int) -> list[str]:
    """The names of some of the flags that are set, and how many more there are."""
    names = [name for name, _ in galaxy.flags]
    more = len(names) - most
    return names if more < 2 else [*names[:most], f"and {more} more"]


def change(galaxy: Galaxy, one: Without) -> tuple[str, bool]:
    """By how much the redshift changes without an input, and whether that is large."""
    difference = one.z - galaxy.number("Z_PHOT")
    if np.isnan(difference):
        return "no redshift" if np.isnan(one.z) else "-", True
    return f"{difference:+.3f}", bool(abs(difference) > LARGE * galaxy.number("Z_PHOT_ERR"))


def banner(holdings: Holdings) -> str:
    """Where the galaxy was looked up and which model measured it."""
    trained = ", trained on simulations: not for science" if holdings.simulated else ""
    return f"{holdings.words}; model {holdings.model}{trained}"
