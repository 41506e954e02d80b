"""Simulated tiles on disk, for the tests of the simulation."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from photoz_run.simulation.settings import SimulationSettings
from photoz_run.simulation.tile import SimulatedTile, simulate_tile
from photoz_run.survey.names import catalogue_name, image_name

ALL = ("sci", "wei", "msk")


@dataclass(frozen=True)
class Written:
    """A tile on disk and what was returned for it."""

    folder: Path
    settings: SimulationSettings
    made: SimulatedTile

    def image(self, band: str, product: str) -> Path:
        return self.folder / image_name(self.settings.data_release, self.made.tile, band, product)

    @property
    def catalogue(self) -> Path:
        return self.folder / catalogue_name(
            self.settings.data_release, self.made.tile, self.settings.facts.band_list
        )

    @property
    def table(self) -> np.ndarray:
        return fits.getdata(self.catalogue, 1)

    def truth(self, name: str) -> np.ndarray:
        return self.made.truth[name].to_numpy(zero_copy_only=False)


def write_tile(folder: Path, index: int, products: tuple[str, ...] = ALL, **choices) -> Written:
    settings = SimulationSettings(**choices)
    return Written(folder, settings, simulate_tile(settings, index, folder, products))
