"""Header cards that fit into one card of 80 characters: the long-string convention (CONTINUE) is never needed."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
from astropy.io import fits

from pipeline.flags import FLAGS, USER_BITS

Card: TypeAlias = tuple[str, Any, str]

LONGEST = 67
"""Characters of a text that fits into one card; a longer one would need CONTINUE."""


def card(keyword: str, value: Any, comment: str = "") -> Card:
    """A card that fits: a long text is cut and ends in ``...``, a comment without room is left out."""
    if not isinstance(value, str):
        return keyword, value, comment
    text = value
    while len(text.replace("'", "''")) > LONGEST:
        text = text.removesuffix("...")[:-1].rstrip() + "..."
    room = LONGEST - 3 - len(text.replace("'", "''"))
    return keyword, text, comment if len(comment) <= room else ""


def level_comments(arrow: pa.Schema) -> list[str]:
    """The quantile levels of the columns that have any."""
    levels = {field.name: (field.metadata or {}).get(b"levels", b"").decode() for field in arrow}
    return [f"{name} levels: {text}" for name, text in levels.items() if text]


def add_flags(header: fits.Header) -> None:
    """The table of quality bits as comments."""
    for flag in FLAGS:
        header.add_comment(f"PHOTOZ_FLAG bit {flag.bit} {flag.name}: {flag.description}")
    header.add_comment(f"PHOTOZ_FLAG bits {USER_BITS[0]}-{USER_BITS[-1]}: never set here, for the user")


def provenance_cards(texts: Mapping[str, str], names: Mapping[str, tuple[str, str]]) -> Sequence[Card]:
    """Cards of the ``texts`` that ``names`` maps to a key and a comment; ``True`` and ``False`` become logical."""
    truth = {"True": True, "False": False}
    return [card(keyword, truth.get(texts[key], texts[key]), comment) for keyword, (key, comment) in names.items()]
