"""The coordinate system that a table states for its positions: ICRS is expected, nothing is turned.

FK5 at J2000 lies within 0.02 arcsec of ICRS. A table that states no system is taken for ICRS.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from xml.etree.ElementTree import Element

from photoz_run.errors import BadDataError

if TYPE_CHECKING:
    from photoz_run.tables.table import Table

ICRS = re.compile(r"ICR[FS].*|GAIA.*|(MEAN )?J2000(\.0)?|UNKNOWN", re.IGNORECASE)
FK5 = re.compile(r"(EQ[_ ])?FK5([ /(_]*J?2000(\.0)?\)?)?|", re.IGNORECASE)
"""FK5 by all its names, and "" for what an equinox alone states."""
EQUINOX = re.compile(r"([JB]?) ?(\d{4}(?:\.\d*)?)", re.IGNORECASE)
J2000 = (2000.0, 0.002)
"""The year and by how much it may differ: J2000 is B2000.0013."""
CARDS = ("RADESYS", "RADECSYS")
OTHER_UCD = re.compile(
    r"(.*;)?\s*(pos\.(galactic|supergalactic|ecliptic|az|earth|bodyrc)\b|pos_(s?gal|ec)_)",
    re.IGNORECASE,
)
OTHER_NAME = re.compile(
    r"(.*\.)?_*("
    r"(s|super_?)?(g|gal|galactic|e|ec|ecl|ecliptic)_?(lon|lat)(g?itude)?|(s|super_?)?g(al)?_?[lb]"
    r"|[lb](ii)?)|.*(1950|fk4).*",
    re.IGNORECASE,
)
"""GLON, gal_b, l, bII, elat, RAB1950."""
OTHER_WORDS = re.compile(
    r"(?!.*(2000|ICRS))"
    r".*(\bB ?1950|\bFK4|\b(super)?galactic (lon|lat|coord)|\becliptic (lon|lat|coord))",
    re.IGNORECASE | re.DOTALL,
)
"""What a unit or a description says: deg (B1950), Galactic longitude; not: J2000, from B1950."""
OTHER_FACTS = {"UCD": OTHER_UCD, "unit": OTHER_WORDS, "description": OTHER_WORDS}


@dataclass(frozen=True)
class System:
    """A coordinate system as a table states it."""

    name: str
    equinox: str
    stated_by: str

    @property
    def is_icrs(self) -> bool:
        """Whether its positions are those of ICRS, to 0.02 arcsec."""
        if ICRS.fullmatch(self.name):
            return True
        if not FK5.fullmatch(self.name):
            return False
        found = EQUINOX.search(self.equinox)
        if found is None:
            return not self.equinox
        return found[1].upper() != "B" and abs(float(found[2]) - J2000[0]) < J2000[1]

    def __str__(self) -> str:
        """As messages call it."""
        return " ".join(filter(None, (self.name, self.equinox and f"equinox {self.equinox}")))


Stated: TypeAlias = System | None


@dataclass(frozen=True)
class Systems:
    """What a container states of all its columns."""

    by_name: Mapping[str, System] = field(default_factory=dict)
    by_prefix: Mapping[str, System] = field(default_factory=dict)
    """Of columns whose names begin so: astropy writes those of a SkyCoord as NAME.ra, NAME.dec."""
    of_all: Stated = None

    def or_else(self, other: "Systems") -> "Systems":
        """These, and those of another where these state nothing."""
        return Systems(
            {**other.by_name, **self.by_name},
            {**other.by_prefix, **self.by_prefix},
            self.of_all or other.of_all,
        )

    def of(self, name: str) -> Stated:
        """That of one column, ``None`` if nothing is stated."""
        prefix = name.rpartition(".")[0]
        return self.by_name.get(name) or self.by_prefix.get(prefix) or self.of_all


def refuse_other_systems(table: "Table", names: Iterable[str]) -> None:
    """Refuse positions that are in another system than ICRS by what is said: `BadDataError`."""
    for name in names:
        said = table.stated_system(name)
        words = table.stored_field(name).metadata or {}
        if said is not None and not said.is_icrs:
            raise _other_system(table, name, f"{said} by its {said.stated_by}")
        for fact, other in OTHER_FACTS.items():
            text = words.get(fact.lower().encode(), b"").decode()
            if other.match(text):
                raise _other_system(table, name, f"{text!r} by its {fact}")
        if OTHER_NAME.fullmatch(name):
            raise _other_system(table, name, "in another system by its name")


def of_cards(cards: Mapping[str, Any], what: str = "header") -> Stated:
    """The system by RADESYS and EQUINOX, ``None`` without them."""
    name = next((_text(cards[card]) for card in CARDS if _text(cards.get(card))), "")
    equinox = _text(cards.get("EQUINOX"))
    if not name and not equinox:
        return None
    return System(name, equinox, f"{what} (RADESYS, EQUINOX)")


def of_coosys(systems: Iterable[Mapping[str, Any]], refs: Mapping[str, Any]) -> Systems:
    """The systems by the COOSYS elements of a VOTable, and to which each FIELD refers.

    A file with one COOSYS, to which no FIELD refers, means it of all its columns.
    """
    stated = {
        one.get("ID"): System(_text(one.get("system")), _text(one.get("equinox")), "COOSYS")
        for one in systems
    }
    by_name = {name: stated[ref] for name, ref in refs.items() if ref in stated}
    alone = len(stated) == 1 and not by_name
    return Systems(by_name, of_all=next(iter(stated.values())) if alone else None)


def of_xml(document: Element, number: int = 1) -> Systems:
    """The systems of the columns of a table, the first is 1, of a VOTable without rows."""
    tables = [one for one in document.iter() if _tag(one) == "TABLE"][number - 1 : number]
    fields = [one for table in tables for one in table.iter() if _tag(one) == "FIELD"]
    systems = [one.attrib for one in document.iter() if _tag(one) == "COOSYS"]
    return of_coosys(systems, {one.get("name", ""): one.get("ref") for one in fields})


def of_yaml(said: Any) -> Systems:
    """The systems by what astropy writes of a table: cards in its meta, and its SkyCoords."""
    meta = _mapping(_mapping(said).get("meta"))
    by_prefix = {}
    for name, one in _mapping(meta.get("__serialized_columns__")).items():
        frame = _mapping(one).get("frame")
        if isinstance(frame, str):
            by_prefix[name] = System(frame, _year(_mapping(one).get("equinox")), "SkyCoord")
    return Systems(by_prefix=by_prefix, of_all=of_cards(meta, "meta"))


def _other_system(table: "Table", name: str, what: str) -> BadDataError:
    return BadDataError(
        f"{table.where}: column {name} is {what}, where positions in ICRS are expected; convert"
        " right ascension and declination to ICRS, or mend what is stated"
    )


def _text(value: Any) -> str:
    """What a card or an attribute says, "" for nothing: EQUINOX is 0 or NaN in some files."""
    text = "" if value is None else str(value).strip()
    return "" if text.lower() in ("0", "0.0", "nan", "none", "n/a", "-") else text


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _mapping(value: Any) -> Mapping[Any, Any]:
    """A mapping of YAML, which may stand as a list of pairs."""
    if isinstance(value, list) and all(isinstance(one, tuple) and len(one) == 2 for one in value):
        return dict(value)
    return value if isinstance(value, Mapping) else {}


def _year(equinox: Any) -> str:
    """A time that astropy wrote, as a Julian year."""
    parts = _mapping(equinox)
    try:
        days = float(parts["jd1"]) + float(parts["jd2"])
    except (KeyError, TypeError, ValueError):
        return ""
    return str(round(2000 + (days - 2451545.0) / 365.25, 3))
