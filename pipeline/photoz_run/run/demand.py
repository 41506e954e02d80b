"""What workers are kept for: the tiles that are left. The dispatcher is one."""

from typing import Protocol

from photoz_models.errors import PhotozError


class Demand(Protocol):
    """What workers are kept for."""

    @property
    def left(self) -> int:
        """Tiles that have no outcome yet."""

    def say(self, words: str) -> None:
        """Tell the operator."""

    def give_up(self, error: PhotozError) -> None:
        """End the run: it cannot have workers."""
