"""The words of a command line before click sees them: options that take several values.

click knows options with one value. ``--tiles A B`` is therefore spelled out:
``--tiles A --tiles B``.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Grammar:
    """What must be known of a command to tell values from arguments."""

    several: frozenset[str]
    """Options that take one value or more."""
    valued: frozenset[str]
    """Options that take a value, those of ``several`` among them."""
    arguments: int
    """How many arguments the command needs."""


@dataclass
class _Values:
    """An option of ``several`` with the values that follow it in one row."""

    option: str
    values: list[str]


def spread(words: Sequence[str], grammar: Grammar) -> list[str]:
    """Repeat each option of ``grammar.several`` before each of its values.

    Values end at the next word that starts with a dash and is no number. If the command lacks
    arguments, and only one option has more values than it needs, the last of these values are the
    arguments: in ``release --keep X RUN``, RUN is the run.
    """
    parts, arguments = _parts(words, grammar)
    _give_back(parts, grammar.arguments - arguments)
    spelled: list[str] = []
    for part in parts:
        if isinstance(part, str):
            spelled.append(part)
            continue
        for value in part.values:
            spelled += [part.option, value]
        if not part.values:
            # click says that its value is missing.
            spelled.append(part.option)
    return spelled


def _parts(words: Sequence[str], grammar: Grammar) -> tuple[list[str | _Values], int]:
    """The words, with values below their option, and the number of arguments among them."""
    parts: list[str | _Values] = []
    arguments = 0
    current: _Values | None = None
    value_follows = False
    for place, word in enumerate(words):
        if word == "--":
            rest = words[place:]
            return [*parts, *rest], arguments + len(rest) - 1
        name, equals, value = word.partition("=")
        if value_follows:
            parts.append(word)
            value_follows = False
        elif name in grammar.several:
            current = _Values(name, [value] if equals else [])
            parts.append(current)
        elif _is_option(word):
            parts.append(word)
            current = None
            value_follows = name in grammar.valued and not equals
        elif current is not None:
            current.values.append(word)
        else:
            # click takes a dash at the start of an argument for an option, also in -31.2.
            parts.append(f" {word}" if word.startswith("-") and word != "-" else word)
            arguments += 1
    return parts, arguments


def _give_back(parts: list[str | _Values], lacking: int) -> None:
    """Make the last values of the one option that has values to spare the ``lacking`` arguments."""
    rich = [part for part in parts if isinstance(part, _Values) and len(part.values) > 1]
    if lacking < 1 or len(rich) != 1 or len(rich[0].values) <= lacking:
        return
    (row,) = rich
    place = parts.index(row) + 1
    parts[place:place] = row.values[-lacking:]
    del row.values[-lacking:]


def _is_option(word: str) -> bool:
    if not word.startswith("-") or word == "-":
        return False
    # A declination may be -31.2 or -31:12:00.
    if word[1].isdigit():
        return False
    try:
        float(word)
    except ValueError:
        return True
    return False
