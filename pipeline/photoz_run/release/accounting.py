"""Where every row of every input catalogue went. A sum that does not close is an error.

rows of the catalogue = excluded by the selection + selected
selected              = measured + flagged           (of a tile in quarantine: quarantined)
measured + flagged    = released + duplicates
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import pyarrow as pa

from photoz_models.documents import Record
from photoz_run import flags
from photoz_run.errors import ConfigError
from photoz_run.records import Status, TileOutcome

NO_REDSHIFT = flags.BY_NAME["NO_REDSHIFT"].value
PENDING = "PENDING"
"""The status of a tile that was not measured."""


@dataclass(frozen=True)
class TileAccount(Record):
    """Rows of one tile."""

    tile: str
    status: str
    catalogue: int | None
    """``None`` where the catalogue could not be read; such a tile adds to no sum."""
    excluded: int
    """Not selected."""
    measured: int
    """With a redshift."""
    flagged: int
    """Selected, without a redshift: ``NO_REDSHIFT`` is set."""
    quarantined: int
    """All rows of a tile in quarantine: the selection was not applied to them."""
    duplicates: int
    """Measured or flagged, but left out because another tile has the source."""
    released: int

    def check(self) -> None:
        """Refuse sums that do not close; `ConfigError` names the tile and the numbers."""
        parts = self.excluded + self.measured + self.flagged + self.quarantined
        kept = self.released + self.duplicates
        closed = self.catalogue in (None, parts) and self.measured + self.flagged == kept
        counts = self.counts()
        if not closed or min(counts.values()) < 0:
            numbers = ", ".join(f"{name} {number:,}" for name, number in counts.items())
            raise ConfigError(
                f"{self.tile}: its rows do not add up ({numbers}); measure the tile again"
            )

    def counts(self) -> dict[str, int]:
        """The counts by name; an unknown one is 0."""
        return {name: getattr(self, name) or 0 for name in COUNTS}


COUNTS = tuple(field.name for field in fields(TileAccount) if field.name not in ("tile", "status"))


@dataclass(frozen=True)
class Totals(Record):
    """The sums over all tiles."""

    catalogue: int
    excluded: int
    measured: int
    flagged: int
    quarantined: int
    duplicates: int
    released: int
    tiles_not_counted: int
    """Tiles whose catalogue could not be read."""


def unmeasured(tile: str, status: str, catalogue: int | None) -> TileAccount:
    """The account of a tile of whose rows nothing is known yet but their number."""
    return TileAccount(tile, status, catalogue, *[0] * (len(COUNTS) - 1))


def account_of(outcome: TileOutcome, rows: pa.Table | None) -> TileAccount:
    """The account of a recorded tile before duplicates are known.

    Parameters
    ----------
    outcome
        What the run recorded of the tile.
    rows
        The rows of its file, ``None`` for a tile without one.

    Raises
    ------
    ConfigError
        If the file does not hold what the record says.
    """
    account = unmeasured(outcome.tile, outcome.status.value, outcome.catalogue_rows)
    if outcome.status is Status.QUARANTINED:
        return replace(account, quarantined=outcome.catalogue_rows or 0)
    if outcome.catalogue_rows is None:
        raise ConfigError(
            f"{outcome.tile}: its record lacks the rows of its catalogue; measure the tile again"
        )
    excluded = outcome.catalogue_rows - outcome.rows_in
    if rows is None:
        return replace(account, excluded=excluded)
    measured, flagged = _count(outcome, rows)
    return replace(account, excluded=excluded, measured=measured, flagged=flagged)


def totals(accounts: Iterable[TileAccount]) -> Totals:
    """The sums over all tiles, and how many tiles could not be counted."""
    accounts = list(accounts)
    counts = [account.counts() for account in accounts]
    sums = {name: sum(count[name] for count in counts) for name in COUNTS}
    not_counted = sum(account.catalogue is None for account in accounts)
    return Totals(**sums, tiles_not_counted=not_counted)


def settle(
    accounts: Mapping[str, TileAccount], left_out: Mapping[str, int], written: Mapping[str, int]
) -> dict[str, TileAccount]:
    """The final accounts, each of them checked.

    Parameters
    ----------
    accounts
        The account of each tile before duplicates were known.
    left_out
        Rows of each tile that were left out as duplicates.
    written
        Rows of each tile that were written.

    Raises
    ------
    ConfigError
        If a sum does not close.
    """
    final = {
        tile: replace(account, duplicates=left_out.get(tile, 0), released=written.get(tile, 0))
        for tile, account in accounts.items()
    }
    for account in final.values():
        account.check()
    return final


def _count(outcome: TileOutcome, rows: pa.Table) -> tuple[int, int]:
    """Rows of a tile's file with a redshift, and without one; checked against the record."""
    measured_N = rows["Z_PHOT"].is_valid().to_numpy()
    flagged_N = (rows["PHOTOZ_FLAG"].to_numpy() & NO_REDSHIFT) != 0
    measured, flagged = int(measured_N.sum()), int(flagged_N.sum())
    if np.any(measured_N == flagged_N):
        raise ConfigError(
            f"{outcome.tile}: rows have a redshift and NO_REDSHIFT, or neither; measure the tile"
            " again"
        )
    recorded = outcome.flag_counts.get("NO_REDSHIFT", 0)
    if (len(rows), flagged) != (outcome.rows_in, recorded):
        raise ConfigError(
            f"{outcome.tile}: its file has {len(rows):,} rows, {flagged:,} without a redshift;"
            f" its record says {outcome.rows_in:,} and {recorded:,}; measure the tile again"
        )
    return measured, flagged
