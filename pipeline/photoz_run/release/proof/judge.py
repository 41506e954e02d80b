"""What proves one product of a release: its statements, its columns, its rows beside Parquet."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run.release.proof.check import UNREADABLE, Check, in_one_line, proven, unreadable
from photoz_run.release.proof.opened import Opened


class Copy(Protocol):
    """The rows of a product, compared with those of Parquet while these are read."""

    def compare(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Compare the next rows; ``index_N`` are their HEALPix indices."""

    def checks(self) -> Iterator[Check]:
        """What was learned, after the last rows."""


class Beside:
    """A copy that may turn out to be unreadable at any moment; opened when it is needed first."""

    def __init__(self, name: str, open_copy: Callable[[], Copy]) -> None:
        self._name = name
        self._open_copy = open_copy
        self._failure = ""

    @cached_property
    def _copy(self) -> Copy:
        return self._open_copy()

    def compare(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Compare the next rows, unless the product could not be read before."""
        if not self._failure:
            with self._noting_failure():
                self._copy.compare(batch, index_N)

    def checks(self) -> Iterator[Check]:
        """What was learned, or that the product cannot be read."""
        if self._failure:
            yield unreadable(self._name, self._failure)
        else:
            yield from proven(self._name, lambda: self._copy.checks())

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except UNREADABLE as error:
            self._failure = in_one_line(error)


class Judge:
    """Proves one product; each method yields nothing where there is nothing to prove.

    Parameters
    ----------
    opened
        The release.
    path
        The product.
    """

    def __init__(self, opened: Opened, path: Path) -> None:
        self.opened = opened
        self.path = path

    def require(self) -> None:
        """Refuse if what reads the product is not installed; `ConfigError` says what is missing."""

    def statements(self) -> Iterator[Check]:
        """Whether it says of its making what ``provenance.json`` says."""
        yield from ()

    def columns(self) -> Iterator[Check]:
        """Whether its columns are those of the release."""
        yield from ()

    def copies(self, stack: ExitStack) -> Iterator[Beside]:
        """Its rows, to be compared with those of Parquet; ``stack`` closes what they open."""
        yield from ()
