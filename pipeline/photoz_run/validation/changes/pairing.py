"""The sources of two catalogues that have the same ID."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from photoz_run.errors import ConfigError
from photoz_run.tables.keys import id_texts
from photoz_run.tables.text_hash import text_hashes
from photoz_run.validation.catalogue import Catalogue
from photoz_run.wording import counted

NONE = -1
"""The source of the other catalogue where there is none."""


@dataclass(frozen=True)
class Shared:
    """Sources of catalogues A and B with the same ID, in the order of A."""

    a_K: NDArray[np.int64] = field(repr=False)
    b_K: NDArray[np.int64] = field(repr=False)
    only_a: int
    only_b: int

    def __len__(self) -> int:
        return len(self.a_K)

    def b_of_a(self, sources: int) -> NDArray[np.int64]:
        """For each of the ``sources`` of A the source of B, `NONE` where there is none."""
        b_N = np.full(sources, NONE, np.int64)
        b_N[self.a_K] = self.b_K
        return b_N


def share(a: Catalogue, b: Catalogue) -> Shared:
    """Pair the sources of two catalogues by ID.

    A source without an ID, or with one that several sources have (a code), has no partner.

    Raises
    ------
    ConfigError
        If a catalogue has no ID, or they have none in common.
    """
    hash_a_N, hash_b_M = _hashes(a), _hashes(b)
    unique_a, unique_b = _unique(hash_a_N), _unique(hash_b_M)
    _, place_a, place_b = np.intersect1d(
        hash_a_N[unique_a], hash_b_M[unique_b], assume_unique=True, return_indices=True
    )
    a_K, b_K = unique_a[place_a], unique_b[place_b]
    if not len(a_K):
        first = " and ".join(f"{_first_id(part)!r}" for part in (a, b))
        raise ConfigError(
            f"{a.path}, {b.path}: {counted(len(a), 'source')} and {len(b):,}, but no ID in common;"
            f" the first are {first}; name the column of the ID, --id"
        )
    order = np.argsort(a_K)
    return Shared(a_K[order], b_K[order], len(a) - len(a_K), len(b) - len(b_K))


def _hashes(catalogue: Catalogue) -> NDArray[np.uint64]:
    """A number for the ID of each source, 0 where it is missing."""
    if not catalogue.key:
        raise ConfigError(
            f"{catalogue.path}: no column ID, by which two catalogues are paired; name it, --id"
        )
    table, (name,) = catalogue.table, catalogue.key
    parts = [text_hashes(id_texts(table.where, rows, name)) for rows in table.batches([name])]
    return np.concatenate(parts)[catalogue.row_N]


def _unique(hash_N: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The places of the numbers that stand once, and are not 0."""
    values, first, counts = np.unique(hash_N, return_index=True, return_counts=True)
    return np.asarray(first[(counts == 1) & (values != 0)])


def _first_id(catalogue: Catalogue) -> str:
    ids = catalogue.table.take(catalogue.key, catalogue.row_N[:1])[catalogue.key[0]]
    return str(ids[0].as_py()) if len(ids) else ""
