"""What decides a bundle beside the training set; without torch, so that the help can read it."""

from pydantic import BaseModel, ConfigDict, Field

from photoz_models.training_settings import Settings, SplitName


class Recipe(BaseModel):
    """Everything that decides a bundle, given the training set."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    network: str = Field(
        default="",
        description="hybrid, hybrid-z, images, magnitudes9, magnitudes4; magnitudes: all of the set"
        " (default: hybrid; magnitudes for a set without stamps)",
    )
    ensemble: int = Field(default=1, ge=1, description="networks to average")
    split: SplitName = Field(
        default="galaxy",
        description="units of the split into training, validation and test part",
    )
    smooth_redshifts: bool = Field(
        default=False, description="thin out the peaks of the training part's redshifts"
    )
    version: str = Field(default="1", description="version written into the contract")
    licence: str = Field(
        default="not stated",
        description="licence of the bundle, like CC-BY-4.0; written into the contract",
    )
    settings: Settings = Settings()
