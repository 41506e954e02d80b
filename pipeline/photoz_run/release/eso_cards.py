"""``photoz release --cards``: keywords of ESO's archive that only the submitter knows.

Which keywords a catalogue has: ESO Science Data Products Standard, ESO-044286 issue 6, its table of
FITS keywords, as github.com/EmAstro/ESOAsg has it (p3sdpstd_header_keywords.csv and its notes).
The rules for values: the checks that ESO makes of a submission (phase3_checks_summary.txt,
2025-03-27), and for ``PROVn`` the questions and answers of Phase 3
(https://www.eso.org/sci/observing/phase3/faq.html). The form of a programme is that of ESO's
archive. PRODLVL is of a later issue.
"""

import re
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TypeAlias

from photoz_run.catalogue.fits_cards import LONGEST, Card
from photoz_run.errors import ConfigError

CardValue: TypeAlias = str | bool | int | float

PROGRAMME = r"MULTI|\d{2,4}\.[A-Z]-\d{4}(\([A-Z]\))?|\d{3}\.[0-9A-Z]{4}(\.\d{3})?"
CATEGORIES = "SCIENCE.CATALOG|SCIENCE.CATALOGTILE|SCIENCE.MCATALOG"
EARLIEST_MJD = 40587
"""1970-01-01: ESO refuses what is earlier."""
INDEX = re.compile(r"(.*?)([1-9]\d*)")
POLYGON = re.compile(r"(FPRA|FPDE)([1-9]\d*)[A-Z]")
"""A corner of a further polygon of the footprint."""


@dataclass(frozen=True)
class Keyword:
    """A keyword: the type of its value, what it says, and the form of a text."""

    kind: type[CardValue]
    comment: str
    form: str = ""
    example: str = ""


KEYWORDS: dict[str, Keyword] = {
    "PRODCATG": Keyword(str, "data product category", CATEGORIES, "SCIENCE.CATALOG"),
    "PROG_ID": Keyword(str, "ESO programme", PROGRAMME, "177.A-3016(A)"),
    "ORIGIN": Keyword(str, "who answers for it"),
    "TELESCOP": Keyword(str, "telescope"),
    "INSTRUME": Keyword(str, "instrument"),
    "FILTER": Keyword(str, "filter"),
    "OBSTECH": Keyword(str, "technique of observation"),
    "PHOTSYS": Keyword(str, "photometric system", "VEGA|AB", "AB"),
    "TIMESYS": Keyword(str, "time system", "UTC|TAI", "UTC"),
    "MJD-OBS": Keyword(float, "start of observations (days)"),
    "MJD-END": Keyword(float, "end of observations (days)"),
    "RA": Keyword(float, "centre of the field (deg)"),
    "DEC": Keyword(float, "centre of the field (deg)"),
    "EQUINOX": Keyword(float, "of the coordinates"),
    "SKYSQDEG": Keyword(float, "sky coverage (square degrees)"),
    "M_EPOCH": Keyword(bool, "several epochs?"),
    "APMATCHD": Keyword(bool, "fluxes in matched apertures?"),
    "ABMAGLIM": Keyword(float, "limiting magnitude (AB, 5 sigma)"),
    "WAVELMIN": Keyword(float, "shortest wavelength (nm)"),
    "WAVELMAX": Keyword(float, "longest wavelength (nm)"),
    "NOESODAT": Keyword(bool, "data of other observatories?"),
    "PRODLVL": Keyword(int, "level of the data product"),
}
"""Those without a number."""
NUMBERED: dict[str, Keyword] = {
    "PROGID": Keyword(str, "ESO programme", PROGRAMME.removeprefix("MULTI|"), "177.A-3016(A)"),
    "OBID": Keyword(int, "ESO observation block"),
    "TELESC": Keyword(str, "telescope"),
    "INSTR": Keyword(str, "instrument"),
    "FILTER": Keyword(str, "filter"),
    "MAGLIM": Keyword(float, "limiting magnitude"),
    "FPRA": Keyword(float, "footprint (deg)"),
    "FPDE": Keyword(float, "footprint (deg)"),
    "PROV": Keyword(str, "originating file", r"[^\[\]]+", "OMEGA.2012-01-01T00:00:00.000.fits"),
    "ASSON": Keyword(str, "associated file"),
    "ASSOC": Keyword(str, "category of the associated file", r"ANCILLARY\..+", "ANCILLARY.README"),
    "ASSOM": Keyword(str, "MD5 sum of the associated file", "[0-9a-f]{32}", 32 * "0"),
}
"""Those that end in a number from 1 on."""
SEVERAL = {"PROG_ID": "PROGID", "TELESCOP": "TELESC", "INSTRUME": "INSTR"}
"""Keywords that say MULTI where there are several, and the numbered ones that name them."""
OWN = {
    "REFERENC": "give it with --reference",
    "OBJECT": "it is the name of the release, --name",
    "PROVXTN": "a release has no extension PHASE3PROVENANCE; name files in PROV1, PROV2 ...",
    **dict.fromkeys(("DATE", "RADESYS", "PROCSOFT"), "every release writes it"),
}
WORDS = {str: "a text", float: "a number", bool: "true or false", int: "a whole number"}


def read_cards(path: Path) -> dict[str, CardValue]:
    """The cards of a TOML file, by keyword.

    Raises
    ------
    ConfigError
        If it cannot be read, or a card is not one of ESO's by name, type or value.
    """
    try:
        cards = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"--cards {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"--cards {path}: no TOML file ({error})") from error
    for problem in wrong_cards(cards):
        raise ConfigError(f"--cards {path}: {problem}")
    return {name: _as_its_kind(name, value) for name, value in cards.items()}


def wrong_cards(cards: Mapping[str, CardValue]) -> Iterator[str]:
    """What is wrong with cards: one line for each."""
    for name, value in cards.items():
        keyword = _keyword(name)
        if keyword is None:
            yield _unknown(name)
        elif not _is_of(keyword.kind, value):
            yield f"{name} is {value!r}; it must be {WORDS[keyword.kind]}"
        elif isinstance(value, str):
            yield from _wrong_text(name, value, keyword)
    yield from _contradictions(cards)


def fits_cards(cards: Mapping[str, CardValue]) -> list[Card]:
    """The cards of a header, in the order in which they came."""
    return [(name, value, _known(name).comment) for name, value in cards.items()]


def _keyword(name: str) -> Keyword | None:
    numbered = INDEX.fullmatch(name) or POLYGON.fullmatch(name)
    return KEYWORDS.get(name) or (NUMBERED.get(numbered[1]) if numbered else None)


def _known(name: str) -> Keyword:
    keyword = _keyword(name)
    if keyword is None:
        raise ConfigError(_unknown(name))
    return keyword


def _unknown(name: str) -> str:
    if name in OWN:
        return f"{name} is not for this file: {OWN[name]}"
    near = get_close_matches(name.upper(), [*KEYWORDS, *(f"{stem}1" for stem in NUMBERED)], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{name} is no keyword of ESO's catalogues{hint}"


def _is_of(kind: type[CardValue], value: object) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is kind


def _as_its_kind(name: str, value: CardValue) -> CardValue:
    """A whole number is a float where the keyword has one: FITS tells them apart."""
    return float(value) if _known(name).kind is float else value


def _wrong_text(name: str, text: str, keyword: Keyword) -> Iterator[str]:
    if not text.isascii() or not text.isprintable():
        yield f"{name}: {text!r} is not printable ASCII, which FITS asks for"
    elif len(text) + text.count("'") > LONGEST:
        yield f"{name} is longer than {LONGEST} characters; ESO allows no CONTINUE"
    elif keyword.form and not re.fullmatch(keyword.form, text):
        yield f"{name} is {text!r}; it must look like {keyword.example}"


def _contradictions(cards: Mapping[str, CardValue]) -> Iterator[str]:
    for name, stem in SEVERAL.items():
        several = {f"{stem}1", f"{stem}2"}
        if cards.get(name) == "MULTI" and not several <= set(cards):
            yield f"{name} is MULTI: name them with {stem}1, {stem}2 ..."
        elif several & set(cards) and cards.get(name) != "MULTI":
            yield f"{stem}1 and {stem}2 are there: {name} must be MULTI"
    days = [cards.get(name) for name in ("MJD-OBS", "MJD-END")]
    numbers = [day for day in days if isinstance(day, (int, float))]
    if any(day < EARLIEST_MJD for day in numbers):
        yield f"MJD-OBS and MJD-END are days from {EARLIEST_MJD} on"
    elif any(day > _today() for day in numbers):
        yield "MJD-OBS and MJD-END are days of the past"
    elif len(numbers) == len(days) and numbers[0] > numbers[1]:
        yield "MJD-END lies before MJD-OBS"
    if cards.get("EQUINOX", 2000) != 2000:
        yield "EQUINOX must be 2000.0"


def _today() -> float:
    """The time as a modified Julian date."""
    return EARLIEST_MJD + time.time() / 86400
