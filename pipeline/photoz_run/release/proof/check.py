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
    PhotozError,
)
"""What is raised for a file that is not what it should be."""
SHOWN = 3
"""Problems named in the detail of a check, which says how many there are too."""


@dataclass(frozen=True)
class Check:
    """What was looked at, whether it is as it should be, and what was found."""

    name: str
    passed: bool | None
    """``None`` if it could not be made; ``detail`` says why."""
    detail: str

    @property
    def failed(self) -> bool:
        """Whether it was made and refutes the release."""
        return self.passed is False


def verdict(name: str, problems: Sequence[str], good: str) -> Check:
    """Passed with ``good`` as its detail if there is no problem, else failed with the first."""
    if not problems:
        return Check(name, True, good)
    more = f"; and {len(problems) - SHOWN:,} more" if len(problems) > SHOWN else ""
    return Check(name, False, "; ".join(problems[:SHOWN]) + more)


def as_many(name: str, number: int, expected: int) -> Check:
    """Compare numbers of rows."""
    problems = [] if number == expected else [f"{number:,}, not {expected:,}"]
    return verdict(name, problems, f"{number:,}")


def unreadable(name: str, reason: str) -> Check:
    """The check that failed because a file cannot be read."""
    return Check(name, False, f"cannot be read: {reason}")


def proven(name: str, prove: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """The checks that ``prove`` makes; a failed one called ``name`` if a file cannot be read."""
    try:
        checks = list(prove())
    except UNREADABLE as error:
        checks = [unreadable(name, in_one_line(error))]
    yield from checks


def in_one_line(error: Exception) -> str:
    """The message of an error, with its class where the message alone says nothing."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__} {text}" if isinstance(error, KeyError) or not text else text


@contextmanager
def unwarned() -> Iterator[None]:
    """Within the block no library warns: what is wrong becomes a check that failed."""
    with catch_warnings():
        simplefilter("ignore")
        yield
