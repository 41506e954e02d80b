"""What is said of a table that cannot be used: the same words for every container."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

import pyarrow as pa

from photoz_run import reading
from photoz_run.errors import BadDataError
from photoz_run.reading import COPY

LONG = 4
"""Characters from which on a name that contains the one wanted is near it."""
SHOWN = 12
"""Column names that a message lists where none is near."""


def no_column(where: str, missing: Sequence[str], present: Sequence[str]) -> BadDataError:
    """A table lacks columns: which, and which names come near or are there."""
    return BadDataError(f"{where}: no column {', '.join(missing)}; {there_are(missing, present)}")


def there_are(missing: Sequence[str], present: Sequence[str]) -> str:
    """The columns a table has: those with near names first, then the first few of all."""
    near = [name for wanted in missing for name in near_names(wanted, present)]
    hint = f"did you mean {' or '.join(dict.fromkeys(near))}? " if near else ""
    listed = ", ".join(present[:SHOWN]) + (" ..." if len(present) > SHOWN else "")
    return f"{hint}it has {listed or 'no columns'}"


def near_names(wanted: str, present: Sequence[str]) -> list[str]:
    """Up to three names like the one wanted, capitals aside."""
    by_capitals: dict[str, list[str]] = {}
    for name in present:
        by_capitals.setdefault(name.upper(), []).append(name)
    near = get_close_matches(wanted.upper(), by_capitals, n=3, cutoff=0.75)
    if len(wanted) >= LONG:
        near += [name for name in by_capitals if wanted.upper() in name and name not in near][:3]
    return [name for capitals in near for name in by_capitals[capitals]]


def wrong_content(where: str, name: str, holds: str, expected: str) -> BadDataError:
    """A column holds something else than was expected."""
    return BadDataError(f"{where}: column {name} holds {holds}, where {expected} is expected")


@contextmanager
def explained(path: Path, container: str, remedy: str = COPY) -> Iterator[None]:
    """`photoz_run.reading.explained`, which knows what Arrow raises, too."""
    with reading.explained(path, container, remedy):
        try:
            yield
        except pa.ArrowException as error:
            if isinstance(error, OSError):
                raise
            # The first line of Arrow says what it is, the others where.
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise reading.unreadable(path, container, remedy, reason) from error
