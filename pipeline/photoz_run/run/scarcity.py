"""No room in a window: other runs share it, and one that nobody goes on with keeps its room."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic

from photoz_run.errors import InterruptedRunError
from photoz_run.run.window import Window
from photoz_run.wording import duration

SAY_SECONDS, PATIENCE_SECONDS = 60.0, 3600.0
"""Times without a change in the room of others after which an operator is told, and the run ends.

It can be resumed.
"""


class Scarcity:
    """What a run that has no tile in its window does while the others keep all room."""

    def __init__(self, window: Window, say: Callable[[str], None]) -> None:
        self._window = window
        self._say = say
        self._kept: frozenset[Path] = frozenset()
        self._since = monotonic()
        self._told = False

    def look(self) -> None:
        """Ask for the reason of each refusal of room.

        Raises
        ------
        InterruptedRunError
            If the others have given nothing back for long.
        """
        kept = self._window.places_of_all()
        mine = any(place.parent == self._window.folder for place in kept)
        if mine or kept != self._kept:
            self._kept, self._since, self._told = kept, monotonic(), False
        seconds = monotonic() - self._since
        if seconds >= PATIENCE_SECONDS:
            raise InterruptedRunError(
                f"{self._words(seconds)}; finished tiles are kept, the same command resumes"
            )
        if seconds >= SAY_SECONDS and not self._told:
            self._say(self._words(seconds))
            self._told = True

    def _words(self, seconds: float) -> str:
        folder = self._window.folder.parent
        runs = ", ".join(sorted({place.parent.name for place in self._kept}))
        return (
            f"no room in {folder} for {duration(seconds)}: taken by {runs}; go on with those runs,"
            " or delete their folders there"
        )
