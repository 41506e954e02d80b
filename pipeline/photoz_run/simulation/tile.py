"""One simulated tile, from its number to its files."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from astropy.io import fits
from numpy.typing import NDArray

from photoz_models.whole_files import written_whole
from photoz_run.simulation import catalogue, conditions, geometry, images, photometry, truth
from photoz_run.simulation.conditions import Observation
from photoz_run.simulation.geometry import Cell
from photoz_run.simulation.rows import take
from photoz_run.simulation.scene import make_scene
from photoz_run.simulation.settings import SimulationSettings
from photoz_run.survey.names import catalogue_name, image_name

FITS_BLOCK = 2880


@dataclass(frozen=True)
class SimulatedTile:
    """What was made: name, truth of the catalogue's sources, spectroscopic redshifts of some."""

    tile: str
    truth: pa.Table
    spectroscopy: pa.Table


def simulate_tile(
    settings: SimulationSettings,
    index: int,
    folder: Path,
    products: tuple[str, ...] = ("sci", "wei", "msk"),
) -> SimulatedTile:
    """Write the files of tile number ``index`` into ``folder`` and return its truth.

    Parameters
    ----------
    products
        Which images to write; the training set needs no weights.

    Raises
    ------
    ConfigError
        If there is no room on the sky for a tile of this number.
    """
    cell = geometry.cell_of_tile(index, settings)
    name = geometry.name_of_cell(cell, settings)
    seen = conditions.observe(settings, cell)
    scene = make_scene(settings, cell)
    epochs = tuple(catalogue.epoch_suffixes(settings.facts).values())
    sources = photometry.measure(scene, seen, epochs)
    area = geometry.catalogue_rectangle(cell, settings)
    sources = take(sources, area.contains(sources.ra_N, sources.dec_N))
    sources = take(sources, np.lexsort((sources.ra_N, sources.dec_N)))
    columns = catalogue.catalogue_columns(settings, cell, scene, sources, seen)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / catalogue_name(settings.data_release, name, settings.facts.band_list)
    with written_whole(target) as beside:
        catalogue.catalogue_hdus(settings, columns, seen).writeto(beside)
    for band in settings.facts.image_bands if products else ():
        band_images = images.make_band(settings, cell, band, scene, seen[band])
        for product in products:
            path = folder / image_name(settings.data_release, name, band, product)
            header = image_header(settings, cell, band, seen[band], product)
            write_image(path, header, band_images.strips(product))
    table = truth.truth_table(name, scene, sources, columns)
    spectroscopy = truth.spectroscopy_table(sources, columns, table, seen["r"])
    return SimulatedTile(name, table, spectroscopy)


def image_header(
    settings: SimulationSettings, cell: Cell, band: str, seen: Observation, product: str
) -> fits.Header:
    """Header of an image: WCS, and for coadds the calibration."""
    height, width = geometry.band_shape(band, settings)
    header = fits.Header()
    header["SIMPLE"] = True
    header["BITPIX"] = 8 if product == "msk" else -32
    header["NAXIS"] = 2
    header["NAXIS1"], header["NAXIS2"] = width, height
    header.extend(geometry.band_header(band, cell, settings))
    header["OBJECT"] = geometry.name_of_cell(cell, settings)
    header["FILTER"] = band
    header["SIMULATD"] = (True, "simulated data, not observed by KiDS")
    if product == "sci":
        header["DMAG"] = (seen.dmag, "add to -2.5 log10(pixel flux) (mag)")
        header["PSF_FWHM"] = (round(seen.seeing, 4), "seeing (arcsec)")
        header["BUNIT"] = ("maggy", "flux relative to magnitude zero")
    return header


def write_image(
    path: Path, header: fits.Header, strips: Iterable[NDArray[np.float32] | NDArray[np.uint8]]
) -> None:
    """Write one image as the primary HDU, strip by strip."""
    with written_whole(path) as beside, beside.open("wb") as stream:
        stream.write(header.tostring(padding=True).encode("ascii"))
        for strip_HW in strips:
            stream.write(strip_HW.astype(strip_HW.dtype.newbyteorder(">")).tobytes())
        stream.write(bytes(-stream.tell() % FITS_BLOCK))
