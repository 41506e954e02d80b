"""What workers are kept for: tiles that can be measured. The dispatcher is one."""

from typing import Protocol

from photoz_models.errors import PhotozError


class Demand(Protocol):
    """What workers are kept for."""

    @property
    def useful(self) -> int:
        """Workers for which there are tiles, now or soon."""

    def say(self, words: str) -> None:
        """Tell the operator."""

    def give_up(self, error: PhotozError) -> None:
        """End the run: it cannot have workers."""
