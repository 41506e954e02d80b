"""A table with columns that stand elsewhere than in its file."""

from abc import abstractmethod
from collections.abc import Sequence

import pyarrow as pa

from photoz_run.tables.systems import Stated
from photoz_run.tables.table import Table


class ExtendedTable(Table):
    """The columns of ``own``, of which all is said as there, and the further ones."""

    def __init__(self, own: Table, further: Sequence[str]) -> None:
        super().__init__(own.path)
        self.container = own.container
        self._own, self._further = own, further

    @abstractmethod
    def further_field(self, name: str) -> pa.Field:
        """Type and facts of a further column."""

    def __len__(self) -> int:
        return len(self._own)

    def stored_names(self) -> Sequence[str]:
        """Those of the file, then the further ones."""
        return [*self._own.stored_names(), *self._further]

    def stored_field(self, name: str) -> pa.Field:
        """As the file says, or as `further_field` does."""
        return self.further_field(name) if name in self._further else self._own.stored_field(name)

    def stated_system(self, name: str) -> Stated:
        """As the file says; nothing of a further column."""
        return None if name in self._further else self._own.stated_system(name)
