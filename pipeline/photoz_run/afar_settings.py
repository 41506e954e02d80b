"""How tiles from afar are fetched: the window on scratch, and the manners towards the archive."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from photoz_run.sizes import Room, room_of


class AfarConfig(BaseModel):
    """The window for tiles from afar, and how many files are fetched at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    window: str | None = Field(
        default=None,
        description="room for tiles from afar: a size such as 200GB, or a number of tiles",
    )
    scratch_shared: Path | None = Field(
        default=None, description="folder that all workers see; the window lies there"
    )
    fetchers: Annotated[int, Field(ge=0)] = Field(
        default=4,
        description="files fetched at once; 0 leaves it to photoz fetch, on another machine",
    )
    fetch_rate: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="most MB a second of all fetchers together; if absent, no limit"
    )
    keep_quarantined: bool = Field(
        default=False, description="keep the files of quarantined tiles, beside the window"
    )

    @field_validator("window")
    @classmethod
    def _window_is_room(cls, value: str | None) -> str | None:
        if value is not None:
            room_of(value)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.window is None) != (self.scratch_shared is None):
            raise ValueError("a window needs both: --window SIZE and --scratch-shared DIR")
        return self

    @property
    def room(self) -> Room:
        """How much the window may hold."""
        assert self.window is not None
        return room_of(self.window)

    def absolute(self) -> Self:
        """The same settings, whatever the folder in which a command runs."""
        if self.scratch_shared is None:
            return self
        return self.model_copy(update={"scratch_shared": self.scratch_shared.absolute()})
