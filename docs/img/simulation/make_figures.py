"""Draw the figures of docs/simulation.md from a freshly simulated tile and population.

python docs/img/simulation/make_figures.py
"""

import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pyarrow as pa
from astropy.io import fits
from astropy.visualization import make_lupton_rgb
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from PIL import Image

from photoz_run.simulation import cosmology
from photoz_run.simulation.settings import SimulationSettings
from photoz_run.simulation.tile import SimulatedTile, simulate_tile
from photoz_run.survey.names import image_name

HERE = Path(__file__).parent
SETTINGS = SimulationSettings(size=2400, density=10, data_release="DR4.0", seed=20)
POPULATION = SimulationSettings(size=3000, density=30, data_release="DR4.0", seed=21)
RED, BLUE = "#b2182b", "#2166ac"


def composite(folder: Path, made: SimulatedTile, x: int, y: int, size: int) -> NDArray[np.uint8]:
    """Colour image of a square around pixel (x, y) of the r coadd: i, r, g as red, green, blue."""
    reference = fits.getheader(folder / image_name("DR4.0", made.tile, "r", "sci"))
    planes = []
    for band, gain in (("i", 0.75), ("r", 1.05), ("g", 2.0)):
        with fits.open(folder / image_name("DR4.0", made.tile, band, "sci")) as hdus:
            header = hdus[0].header
            left = x - size // 2 + round(header["CRPIX1"] - reference["CRPIX1"])
            bottom = y - size // 2 + round(header["CRPIX2"] - reference["CRPIX2"])
            planes.append(hdus[0].data[bottom : bottom + size, left : left + size] * gain * 1e11)
    return np.asarray(make_lupton_rgb(*planes, minimum=-0.3, stretch=6, Q=8))[::-1]


def sky(folder: Path, made: SimulatedTile) -> None:
    """The sky as the tile's own files show it."""
    coarse = composite(folder, made, 1500, 1250, 480) & 0xF8
    Image.fromarray(coarse).save(HERE / "sky.png", optimize=True)


def gallery(folder: Path, made: SimulatedTile, rows: int = 4, columns: int = 9) -> None:
    """Stamps of 36 x 36 pixels: red galaxies above, blue ones below, bright to faint."""
    from photoz_run.simulation import geometry

    truth = {
        name: made.truth[name].to_numpy(zero_copy_only=False)
        for name in ("ra", "dec", "red", "flux_r", "kind")
    }
    header = geometry.band_header("r", geometry.cell_of_tile(0, SETTINGS), SETTINGS)
    x, y = geometry.pixels(header, truth["ra"], truth["dec"])
    magnitude = -2.5 * np.log10(truth["flux_r"])
    figure, axes = plt.subplots(rows, columns, figsize=(columns, rows), layout="constrained")
    for part, chosen in enumerate((truth["red"], ~truth["red"])):
        usable = chosen & (truth["kind"] == "galaxy") & (magnitude < 19.7) & (magnitude > 16.5)
        order = np.flatnonzero(usable)[np.argsort(magnitude[usable])]
        order = order[np.linspace(0, len(order) - 1, rows * columns // 2).astype(int)]
        for axis, n in zip(axes.reshape(2, -1)[part], order, strict=True):
            axis.imshow(composite(folder, made, round(x[n]), round(y[n]), 36))
            axis.set_axis_off()
    figure.savefig(HERE / "gallery.png", dpi=72)
    plt.close(figure)


def population(truth: pa.Table) -> None:
    """Redshifts, colours and sizes of the galaxies with r < 20."""
    names = ("z", "red", "kind", "absolute_r", "disc_radius", "bulge_radius", "flux_g", "flux_r")
    value = {name: truth[name].to_numpy(zero_copy_only=False) for name in names}
    bright = (value["kind"] == "galaxy") & (value["flux_r"] > 1e-8)
    value = {name: v[bright] for name, v in value.items()}
    red, z = value["red"], value["z"]
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    bins = np.arange(0, 0.66, 0.025)
    left.hist([z[red], z[~red]], bins, stacked=True, color=[RED, BLUE], label=["red", "blue"])
    left.axvline(z.mean(), color="k", label=f"mean {z.mean():.3f}")
    left.axvline(0.23, color="k", ls=":", label="KiDS-Bright, 0.23")
    left.set(xlabel="redshift", ylabel="galaxies with r < 20")
    left.legend(frameon=False)
    g_r = -2.5 * np.log10(value["flux_g"] / value["flux_r"])
    for chosen, colour in ((~red, BLUE), (red, RED)):
        middle.plot(z[chosen], g_r[chosen], ".", ms=1.5, alpha=0.5, color=colour)
        kpc = np.where(red, value["bulge_radius"], value["disc_radius"]) * cosmology.kpc_per_arcsec(
            z
        )
        near = chosen & (z < 0.2)
        right.semilogy(value["absolute_r"][near], kpc[near], ".", ms=2, alpha=0.5, color=colour)
    middle.set(
        xlabel="redshift", ylabel="g - r, without the Milky Way", ylim=(0, 2.1), xlim=(0, 0.6)
    )
    m = np.linspace(-23.5, -17, 60)
    late = 10 ** (-0.084 * m + 0.32 * np.log10(1 + 10 ** (-0.4 * (m + 20.52))) - 1.31)
    right.semilogy(m, late, color=BLUE, lw=2, label="Shen+03, late types")
    right.semilogy(m, 10 ** (-0.24 * m - 4.63), color=RED, lw=2, label="Shen+03, early types")
    right.set(
        xlabel="absolute magnitude in 0.1r",
        ylabel="half-light radius (kpc), z < 0.2",
        ylim=(0.3, 30),
        xlim=(-23.6, -17),
    )
    right.legend(frameon=False)
    figure.savefig(HERE / "population.png", dpi=80)
    plt.close(figure)


def main() -> None:
    """Simulate and draw."""
    mpl.use("Agg")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        made = simulate_tile(SETTINGS, 0, folder, products=("sci",))
        sky(folder, made)
        gallery(folder, made)
        parts = [simulate_tile(POPULATION, index, folder, products=()).truth for index in range(6)]
        population(pa.concat_tables(parts))


if __name__ == "__main__":
    main()
