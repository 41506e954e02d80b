"""Where every row of every input catalogue went. A sum that does not close is an error.

rows of the catalogue = excluded by the selection + selected
selected              = measured + flagged           (of a tile in quarantine: quarantined)
measured + flagged    = released + duplicates
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa

from photoz_run import flags
from photoz_run.errors import ConfigError
from photoz_run.records import Status, TileOutcome

NO_REDSHIFT = flags.BY_NAME["NO_REDSHIFT"].value
PENDING = "PENDING"


@dataclass(frozen=True)
class TileAccount:
    """Rows of one tile. ``catalogue`` is ``None`` where nobody could count; then the tile adds to no sum."""

    tile: str
    status: str
    catalogue: int | None
    excluded: int = 0
    """Not selected."""
    measured: int = 0
    """With a redshift."""
    flagged: int = 0
    """Selected, without a redshift: ``NO_REDSHIFT`` is set."""
    quarantined: int = 0
    """All rows of a tile in quarantine: the selection was not applied to them."""
    duplicates: int = 0
    """Measured or flagged, and left to another tile."""
    released: int = 0

    def check(self) -> None:
        """Refuse sums that do not close; `ConfigError` names the tile and the numbers."""
        parts = self.excluded + self.measured + self.flagged + self.quarantined
        kept = self.released + self.duplicates
        closed = self.catalogue in (None, parts) and self.measured + self.flagged == kept
        if not closed or min(self.numbers().values()) < 0:
            numbers = ", ".join(f"{name} {number:,}" for name, number in self.numbers().items())
            raise ConfigError(
                f"{self.tile}: its rows do not add up ({numbers}); measure the tile again"
            )

    def numbers(self) -> dict[str, int]:
        """The counts by name; an unknown one is 0."""
        return {name: getattr(self, name) or 0 for name in COUNTS}


COUNTS = tuple(field.name for field in fields(TileAccount) if field.name not in ("tile", "status"))


def account_of(outcome: TileOutcome, rows: pa.Table | None) -> TileAccount:
    """The account of a recorded tile before duplicates are known; ``rows`` are those of its file (`None` without one).

    Raises
    ------
    ConfigError
        If the file does not hold what the record says.
    """
    account = TileAccount(outcome.tile, outcome.status.value, outcome.catalogue_rows)
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


def pending(tile: str) -> TileAccount:
    """The account of a tile that was not measured."""
    return TileAccount(tile, PENDING, None)


def totals(accounts: Iterable[TileAccount]) -> dict[str, int]:
    """The sums over all tiles, and how many tiles could not be counted."""
    accounts = list(accounts)
    sums = {name: sum(account.numbers()[name] for account in accounts) for name in COUNTS}
    return sums | {"tiles_not_counted": sum(account.catalogue is None for account in accounts)}


def settle(
    accounts: Mapping[str, TileAccount], dropped: Mapping[str, int], written: Mapping[str, int]
) -> dict[str, TileAccount]:
    """The accounts with the duplicates left out of each tile, and the rows of it that were written; all checked.

    Raises
    ------
    ConfigError
        If a sum does not close.
    """
    final = {
        tile: replace(account, duplicates=dropped.get(tile, 0), released=written.get(tile, 0))
        for tile, account in accounts.items()
    }
    for account in final.values():
        account.check()
    return final


def as_json(accounts: Mapping[str, TileAccount]) -> list[dict[str, Any]]:
    """The accounts as plain dictionaries, in order of tile."""
    return [asdict(accounts[tile]) for tile in sorted(accounts)]


def _count(outcome: TileOutcome, rows: pa.Table) -> tuple[int, int]:
    """Rows of a tile's file with and without a redshift, compared with the record and with each other."""
    measured_N = rows["Z_PHOT"].is_valid().to_numpy()
    flagged_N = (rows["PHOTOZ_FLAG"].to_numpy() & NO_REDSHIFT) != 0
    measured, flagged = int(measured_N.sum()), int(flagged_N.sum())
    if np.any(measured_N == flagged_N):
        raise ConfigError(
            f"{outcome.tile}: rows have a redshift and NO_REDSHIFT, or neither; measure the tile again"
        )
    if (len(rows), flagged) != (outcome.rows_in, outcome.flag_counts.get("NO_REDSHIFT", 0)):
        raise ConfigError(
            f"{outcome.tile}: its file has {len(rows):,} rows, {flagged:,} without a redshift; its record says"
            f" {outcome.rows_in:,} and {outcome.flag_counts.get('NO_REDSHIFT', 0):,}; measure the tile again"
        )
    return measured, flagged
