"""How a network is trained, as settings; without torch, so that a command's help can read it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SplitName = Literal["galaxy", "tile"]
"""What a split into training, validation and test part draws."""


class Settings(BaseModel):
    """Everything that decides how a network is trained.

    Attributes
    ----------
    lost_magnitudes, lost_band, lost_edge
        Shares of the galaxies that lose a column of the table (and of the others a share between
        none and a half), one whole image band and its seeing, or the pixels past a line near the
        edge. They are drawn anew in each epoch, so that the network knows gaps.
    seeing_error, dmag_error, sky_error, position_error, extra_noise
        Errors that are drawn anew in each epoch for each galaxy, and for each of its bands, so that
        the network does not trust headers and pixels more than a survey deserves.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    epochs: int = Field(default=60, ge=1, description="epochs at most")
    batch: int = Field(default=128, ge=1, description="galaxies in a batch")
    learning_rate: float = Field(default=3e-3, description="largest learning rate of the cycle")
    weight_decay: float = 1e-2
    alpha: float = Field(default=0.02, description="the Huber loss is linear beyond this dz/(1+z)")
    patience: int = Field(
        default=15, description="stop after so many epochs without a better validation loss"
    )
    seed: int = Field(default=1, description="of split, weights and augmentation")
    lost_magnitudes: float = Field(
        default=0.15, ge=0, le=1, description="share of the galaxies that lose columns of the table"
    )
    lost_band: float = Field(
        default=0.05, ge=0, le=1, description="share of the galaxies that lose an image band"
    )
    lost_edge: float = 0.03
    seeing_error: float = Field(
        default=0.0, ge=0, description="rms error put into the seeing, as a share of it"
    )
    dmag_error: float = Field(default=0.0, ge=0, description="rms error put into DMAG (mag)")
    sky_error: float = Field(
        default=0.0, ge=0, description="rms error put into the sky, in units of a pixel's noise"
    )
    position_error: float = Field(
        default=0.0, ge=0, description="rms error put into positions, along each axis (arcsec)"
    )
    extra_noise: float = Field(
        default=0.0, ge=0, description="up to so many times a pixel's noise are added to pixels"
    )
    mixed_precision: bool | None = Field(
        default=None, description="images in bfloat16 (default: on a GPU); faster on CPUs with AMX"
    )
