"""One thing that was proven of a release, or refuted."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from warnings import catch_warnings, simplefilter

import pyarrow as pa
from astropy.io import fits

from photoz_run.errors import PhotozError

UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    pa.ArrowException,
    fits.VerifyError,
)
"""What the libraries raise for a file that is not what it should be."""
SHOWN = 3
"""Problems told in the detail of a check; their number is told too."""


@dataclass(frozen=True)
class Check:
    """What was looked at, whether it is as it should be, and what was found."""

    name: str
    passed: bool
    detail: str


def verdict(name: str, problems: Sequence[str], good: str) -> Check:
    """Passed with ``good`` as its detail if there is no problem, else failed with the first of them."""
    if not problems:
        return Check(name, True, good)
    more = f"; and {len(problems) - SHOWN:,} more" if len(problems) > SHOWN else ""
    return Check(name, False, "; ".join(problems[:SHOWN]) + more)


def proven(name: str, prove: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """The checks that ``prove`` makes; one that failed, under ``name``, if what it reads cannot be read."""
    try:
        with unwarned():
            yield from list(prove())
    except (*UNREADABLE, PhotozError) as error:
        yield Check(name, False, f"cannot be read: {in_one_line(error)}")


def in_one_line(error: Exception) -> str:
    """The message of an error, its class where the message says nothing."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__} {text}" if isinstance(error, KeyError) or not text else text


@contextmanager
def unwarned() -> Iterator[None]:
    """Within the block no library warns: what is wrong becomes a check that failed."""
    with catch_warnings():
        simplefilter("ignore")
        yield
