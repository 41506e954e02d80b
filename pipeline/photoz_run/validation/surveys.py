"""How spectroscopic surveys name their columns, and which of their redshifts they call good.

docs/formats.md gives the source of each. A table is recognised by the columns of its quality: many
tables call a magnitude z.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from photoz_run.errors import ConfigError
from photoz_run.science.selection import in_expression, names_in
from photoz_run.tables.keys import Names, position_pair
from photoz_run.tables.refusals import there_are
from photoz_run.tables.table import Table
from photoz_run.validation.settings import SpecSettings

REDSHIFTS = (
    *("Z_SPEC", "z_spec", "ZSPEC", "zspec", "specz", "SPECZ", "SPEC_Z", "spec_z", "Z_HELIO"),
    *("redshift", "REDSHIFT", "Redshift", "Z", "z"),
)
"""Names of a redshift in a table of no survey that is known."""
MAGNITUDES = {"z": ("u", "g", "r", "i"), "Z": ("Y", "J", "H")}
"""Beside these columns z is a magnitude: of SDSS, of VISTA."""
LIKE_QUALITY = re.compile(r"(?i)(qual|warn|conf|flag|^nq$|^q$|^q_|_q$|zq|^cc$|zflg)")
"""Columns that may say which redshifts are good."""


@dataclass(frozen=True)
class SpecSurvey:
    """The columns of a survey's table.

    ``quality`` is its cut, whose columns must all be there, in capitals or not; each of ``also``
    is added where its columns are.
    """

    name: str
    z: tuple[str, ...]
    quality: str
    also: tuple[str, ...] = ()
    ra: str = ""
    dec: str = ""


# A redshift of SDSS with ZWARNING 16 (MANY_OUTLIERS) is good: the bit marks bright objects.
SURVEYS = (
    SpecSurvey(
        "GAMA",
        ("Z",),
        "NQ > 2",
        ("uberclass == 1", "SC > 3", "duplicate == 0"),
        "RAcen",
        "Deccen",
    ),
    SpecSurvey("GAMA", ("Z",), "NQ > 2", ("uberclass == 1", "SC > 3", "duplicate == 0")),
    SpecSurvey(
        "DESI",
        ("Z_BEST",),
        "ZWARN_BEST == 0",
        (
            "DELTACHI2_BEST > 40",
            "ZCAT_PRIMARY != 0",
            "SPECTYPE_BEST != 'STAR'",
            "SPECTYPE != 'STAR'",
        ),
    ),
    SpecSurvey(
        "DESI",
        ("Z",),
        "ZWARN == 0",
        ("DELTACHI2 > 40", "ZCAT_PRIMARY != 0", "SPECTYPE != 'STAR'", "OBJTYPE == 'TGT'"),
    ),
    SpecSurvey(
        "BOSS",
        ("Z_NOQSO",),
        "(ZWARNING_NOQSO & ~16) == 0",
        ("CLASS_NOQSO != 'STAR'", "SPECPRIMARY != 0"),
    ),
    SpecSurvey(
        "SDSS",
        ("Z", "z", "redshift"),
        "(ZWARNING & ~16) == 0",
        ("CLASS != 'STAR'", "SPECPRIMARY != 0", "sciencePrimary != 0"),
    ),
    SpecSurvey("2dFLenS", ("z",), "qual > 2 and qual < 6"),
    SpecSurvey("DEEP2", ("ZHELIO", "ZBEST", "Z", "z"), "ZQUALITY > 2"),
    SpecSurvey(
        "VIPERS",
        ("zspec",),
        "(zflg >= 2 and zflg < 10) or (zflg >= 12 and zflg < 20)",
    ),
    SpecSurvey(
        "zCOSMOS",
        ("zpec", "REDSHIFT", "z_spec", "zspec", "z"),
        "cc == 2.5 or (cc >= 3 and cc < 5) or (cc > 9.2 and cc < 9.6)"
        " or (cc >= 13 and cc < 15) or (cc >= 23 and cc < 25)",
    ),
    SpecSurvey("2dFGRS", ("Z_HELIO", "Z", "z"), "Q_Z > 2 and Q_Z < 6"),
    SpecSurvey("2dFGRS", ("Z_HELIO",), "QUALITY > 2 and QUALITY < 6", (), "RA2000", "DEC2000"),
)
"""Tried in order; the first whose redshift and quality columns are there is taken."""


@dataclass(frozen=True)
class SpecColumns:
    """The columns of a table that are read, and the cut; ``remark``: what is not recognised."""

    name: str
    ra: str
    dec: str
    z: str
    quality: str
    remark: str = ""

    @property
    def needed(self) -> list[str]:
        """All columns that are read."""
        named = names_in(self.quality) if self.quality else []
        return list(dict.fromkeys([self.ra, self.dec, self.z, *named]))


def recognise(table: Table, settings: SpecSettings) -> SpecColumns:
    """The columns to read: those named, the rest as in the first survey that fits.

    Raises
    ------
    ConfigError
        If position or redshift are not recognised, or a column that is named is not there.
    """
    survey = next((one for one in SURVEYS if _fits(table, one, settings)), None)
    z = settings.z or (_redshift(table, survey.z) if survey else _plain_redshift(table))
    pair = position_pair(table, Names(settings.ra, settings.dec))
    if survey and survey.ra and not settings.ra:
        pair = survey.ra, survey.dec
    if pair is None or not z:
        raise ConfigError(
            f"{table.where}: position and redshift columns not recognised; name them, --ra --dec"
            f" --z and --quality, or in a [[specz]] table; {there_are([], table.names)}"
        )
    quality = settings.quality
    if quality is None:
        quality = cut_of(table, survey) if survey else ""
    name = settings.name or (survey.name if survey else "spec-z")
    remark = "" if survey or settings.quality is not None else _no_cut(table)
    return SpecColumns(name, *pair, z, quality, remark)


def cut_of(table: Table, survey: SpecSurvey) -> str:
    """The cut of a survey in the columns of a table."""
    present = {name.upper(): name for name in table.names}
    cuts = [survey.quality, *survey.also]
    there = [cut for cut in cuts if all(name.upper() in present for name in names_in(cut))]
    joined = " and ".join(f"({cut})" if " or " in cut else cut for cut in there)
    for name in names_in(joined):
        if table.missing([name]):
            joined = re.sub(rf"\b{name}\b", in_expression(present[name.upper()]), joined)
    return joined


def usual_cut(table: Table, z: str) -> str:
    """The cut of the survey whose columns a table has, beside the redshift ``z``; "" for none."""
    settings = SpecSettings(file=table.path, z=z)
    survey = next((one for one in SURVEYS if _fits(table, one, settings)), None)
    return cut_of(table, survey) if survey else ""


def is_magnitude(table: Table, name: str) -> bool:
    """Whether a column called z stands among the magnitudes of its system."""
    return name in MAGNITUDES and not table.missing(MAGNITUDES[name])


def _fits(table: Table, survey: SpecSurvey, settings: SpecSettings) -> bool:
    """Whether a survey's columns are there, and agree with those that are named."""
    present = {name.upper() for name in table.names}
    judged = all(name.upper() in present for name in names_in(survey.quality))
    known = {name.upper() for name in survey.z}
    redshift = settings.z.upper() in known if settings.z else bool(_redshift(table, survey.z))
    placed = not survey.ra or not table.missing([survey.ra, survey.dec])
    agrees = not settings.ra or not survey.ra or settings.ra == survey.ra
    return judged and redshift and placed and agrees


def _redshift(table: Table, names: Sequence[str]) -> str:
    """The first of ``names`` that the table has, spelled so or in other capitals."""
    by_capitals = [other for n in names for other in table.names if other.upper() == n.upper()]
    found = [n for n in (*names, *by_capitals) if not table.missing([n])]
    return next((n for n in found if not is_magnitude(table, n)), "")


def _plain_redshift(table: Table) -> str:
    """The one column that is called a redshift, "" without one; `ConfigError` if there are more."""
    there = [name for name in REDSHIFTS if not table.missing([name])]
    found = [name for name in there if not is_magnitude(table, name)]
    if len(found) > 1:
        raise ConfigError(
            f"{table.where}: more than one column could be the redshift ({', '.join(found)});"
            " name it, --z"
        )
    if there and not found:
        beside = ", ".join(MAGNITUDES[there[0]])
        raise ConfigError(
            f"{table.where}: column {there[0]} stands beside {beside}, it is a magnitude; name the"
            f" redshift, --z; {there_are(['redshift'], table.names)}"
        )
    return found[0] if found else ""


def _no_cut(table: Table) -> str:
    """What is said of a table whose quality nobody asked for."""
    like = [name for name in table.names if LIKE_QUALITY.search(name)]
    beside = f"; {', '.join(like[:5])} may say which are good: --quality" if like else ""
    return f"every redshift of {table.path.name} was taken, no cut on quality was made{beside}"
