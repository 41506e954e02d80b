"""What a simulated survey is asked to be."""

from dataclasses import dataclass

from photoz_run.errors import ConfigError
from photoz_run.survey.data_release import DataRelease, find_data_release

FULL_SIZE = 18600
"""Pixels along a side of a real coadd, give or take the bands' own offsets."""
SMALLEST = 200


@dataclass(frozen=True, kw_only=True)
class SimulationSettings:
    """Everything that decides the bytes of a simulated survey, apart from the number of tiles."""

    size: int = 2500
    """Side of a coadd in pixels."""
    density: float = 20.0
    """Number of galaxies with r < 20.5 relative to the real sky.

    Faint galaxies and stars keep their real density.
    """
    data_release: str = "DR5.0"
    seed: int = 1
    shallower: float = 0.0
    """Magnitudes by which every band falls short of the survey's depth."""
    crowding: float = 1.0
    """Number of faint galaxies and stars relative to the real sky."""
    elongation: float = 0.0
    """Length of the point spread function over its width, less 1; it lies along the rows."""
    resampled: bool = False
    """Whether the noise of neighbouring pixels is correlated, as a resampling leaves it."""

    def __post_init__(self) -> None:
        if self.size < SMALLEST:
            raise ConfigError(
                f"size {self.size} is too small for a tile; use at least {SMALLEST} pixels"
            )
        if not 0 < self.density <= 100:
            raise ConfigError(
                f"density {self.density} is out of range; 1 is the real sky, at most 100"
            )
        if self.seed < 0:
            raise ConfigError(f"seed {self.seed} is negative; use 0 or more")
        if self.data_release not in ("DR4.0", "DR4.1", "DR5.0"):
            raise ConfigError(
                f"data release {self.data_release!r} cannot be simulated; use DR4.0, DR4.1 or DR5.0"
            )

    @property
    def facts(self) -> DataRelease:
        """Bands, column suffixes and MASK bits of the data release."""
        return find_data_release(self.data_release)
