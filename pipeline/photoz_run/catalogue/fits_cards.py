"""Header cards of 80 characters; the long-string convention (CONTINUE) is never needed."""

from collections.abc import Mapping
from textwrap import wrap
from typing import Any, TypeAlias

import pyarrow as pa
from astropy.io import fits

from photoz_run.catalogue.arrow_fields import about
from photoz_run.flags import FLAGS, NOT_FOR_SCIENCE, NOT_FOR_SCIENCE_WORDS, USER_BITS

Card: TypeAlias = tuple[str, Any, str]

LONGEST = 67
"""Characters of a text that fits into one card; a longer one would need CONTINUE."""
COMMENT = 72
"""Characters of a card of comment."""
TRUTH = {"True": True, "False": False}


def card(keyword: str, value: Any, comment: str = "") -> Card:
    """A card that fits: a long text is cut and ends in ``...``; a comment needs room."""
    if not isinstance(value, str):
        return keyword, value, comment
    text = printable(value)
    while _length(text) > LONGEST:
        text = text.removesuffix("...")[:-1].rstrip() + "..."
    return keyword, text, comment if _length(text) + len(comment) <= LONGEST - 3 else ""


def _length(text: str) -> int:
    return len(text) + text.count("'")


def printable(text: str) -> str:
    r"""``text`` as a FITS file can hold it: ``\n``, ``\xe9`` and the like stand for the rest."""
    if text.isascii() and text.isprintable():
        return text
    return text.encode("unicode_escape").decode("ascii")


def provenance_cards(texts: Mapping[str, str], cards: Mapping[str, tuple[str, str]]) -> list[Card]:
    """``cards`` says by keyword which of the ``texts`` it holds and with which comment."""
    return [
        card(keyword, TRUTH.get(texts[key], texts[key]), comment)
        for keyword, (key, comment) in cards.items()
    ]


def add_remarks(header: fits.Header, arrow: pa.Schema) -> None:
    """Add the levels of quantile columns, and the table of quality bits, as comments."""
    levels = {field.name: about(field).get("levels") for field in arrow}
    remarks = [f"{name} levels: {text}" for name, text in levels.items() if text]
    remarks += [f"PHOTOZ_FLAG bit {flag.bit} {flag.name}: {flag.description}" for flag in FLAGS]
    remarks.append(f"PHOTOZ_FLAG & {NOT_FOR_SCIENCE} NOT_FOR_SCIENCE: {NOT_FOR_SCIENCE_WORDS}")
    remarks += [f"PHOTOZ_FLAG bits {USER_BITS[0]}-{USER_BITS[-1]}: never set here, for the user"]
    for remark in remarks:
        for line in wrap(remark, COMMENT, break_on_hyphens=False):
            header.add_comment(line)
