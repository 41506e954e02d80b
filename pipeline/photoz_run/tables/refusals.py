"""What is said of a table that cannot be used: the same words for every container."""

import errno
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

import pyarrow as pa

from photoz_run.errors import BadDataError, TransientError
from photoz_run.reading import DAMAGE

COPY = "it is damaged or truncated, copy it again"
LONG = 4
"""Characters from which on a name that contains the one wanted is near it."""
SHOWN = 12
"""Column names that a message lists where none is near."""
PASSING = {
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EAGAIN,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
}
"""Errors of a parallel file system under load; the same read may succeed a minute later."""


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
    """Turn what libraries and the file system raise for ``path`` into a `PhotozError`.

    Raises
    ------
    TransientError
        If storage failed in a way that may pass.
    BadDataError
        If the file is missing, unreadable, damaged or not what its content says.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise BadDataError(f"{path}: file not found") from error
    except PermissionError as error:
        raise BadDataError(f"{path}: no permission to read it") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        problem = f"the gzip stream is damaged or truncated ({error}); copy the file again"
        raise BadDataError(f"{path}: {problem}") from error
    except OSError as error:
        if error.errno in PASSING:
            raise TransientError(f"{path}: {error.strerror}") from error
        raise _unreadable(path, container, remedy, error) from error
    except (*DAMAGE, pa.ArrowException) as error:
        raise _unreadable(path, container, remedy, error) from error


def _unreadable(path: Path, container: str, remedy: str, error: Exception) -> BadDataError:
    lines = str(error).strip().splitlines()
    reason = lines[0].strip() if lines else type(error).__name__
    return BadDataError(f"{path}: not a readable {container} ({reason}); {remedy}")
