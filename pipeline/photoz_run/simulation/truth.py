"""What is true of the sources of a catalogue, and what a spectroscopic survey measures of them."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run.simulation import spectra
from photoz_run.simulation.catalogue import Columns
from photoz_run.simulation.conditions import EXTINCTION_PER_EBV, Observation
from photoz_run.simulation.photometry import FAINT, GALAXY, STAR, Measured
from photoz_run.simulation.scene import Scene

KIND_NAMES = {GALAXY: "galaxy", FAINT: "faint galaxy", STAR: "star"}
SPECTROSCOPIC_LIMIT = 19.8
"""Total r magnitude where GAMA's main sample ends."""
VELOCITY_ERROR = 1.7e-4
"""Error of a redshift in units of 1 + z: 50 km/s."""
STAR_TARGETS = 0.02
"""Share of the stars that are targets."""


def truth_table(tile: str, scene: Scene, sources: Measured, columns: Columns) -> pa.Table:
    """One row per catalogue source: kind, redshift, structure, fluxes.

    Fluxes are in maggies outside the Milky Way.
    """
    bright_N = sources.kind_N == GALAXY
    row_N = sources.row_N
    galaxy, around = scene.galaxies, scene.backdrop

    def of_galaxies(values: NDArray[np.float64]) -> NDArray[np.float64]:
        result = np.full(len(sources), np.nan)
        result[bright_N] = values[row_N[bright_N]]
        return result

    def of_all(bright: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
        result = of_galaxies(bright)
        result[~bright_N] = other[row_N[~bright_N]]
        return result

    shape = galaxy.structure
    table = {
        "ID": columns["ID"],
        "tile": np.full(len(sources), tile),
        "ra": of_all(galaxy.ra_N, around.ra_N) % 360,
        "dec": of_all(galaxy.dec_N, around.dec_N),
        "kind": np.array([KIND_NAMES[int(k)] for k in sources.kind_N], dtype=object),
        "z": of_all(galaxy.z_N, around.z_N),
        "red": of_galaxies(galaxy.red_N.astype(float)) == 1,
        "absolute_r": of_galaxies(galaxy.absolute_N),
        "bulge_fraction": of_galaxies(galaxy.bulge_fraction_N),
        "bulge_radius": of_galaxies(shape.bulge_radius_N),
        "disc_radius": of_galaxies(shape.disc_radius_N),
        "bulge_q": of_galaxies(shape.bulge_q_N),
        "disc_q": of_galaxies(shape.disc_q_N),
        "sersic": of_galaxies(shape.sersic_N),
        "clump_fraction_g": of_galaxies(galaxy.clumps_NB[:, 1] / galaxy.flux_NB[:, 1]),
        "ebv": sources.ebv_N,
    }
    for k, band in enumerate(spectra.BANDS):
        table[f"flux_{band}"] = of_all(galaxy.flux_NB[:, k], around.flux_NB[:, k])
    return pa.table(table)


def spectroscopy_table(
    sources: Measured, columns: Columns, truth: pa.Table, seen: Observation
) -> pa.Table:
    """A survey in GAMA's columns: r < 19.8, nearly complete.

    A few redshifts are of low quality and wrong, and a few targets are stars.
    """
    dice = sources.dice
    r_N = columns["MAG_AUTO"] + seen.dmag - EXTINCTION_PER_EBV["r"] * sources.ebv_N
    star_N = sources.kind_N == STAR
    completeness_N = 0.985 - 0.06 * np.clip((r_N - 19.3) / 0.5, 0, 1)
    chance_N = np.where(star_N, STAR_TARGETS, completeness_N)
    bright_N = (r_N < SPECTROSCOPIC_LIMIT) & (r_N > 12)
    target_N = bright_N & (dice.uniform("target") < chance_N)
    quality_N = dice.uniform("quality")
    nq_N = np.select([quality_N < 0.90, quality_N < 0.97, quality_N < 0.99], [4, 3, 2], 1)
    wrong_chance_N = np.choose(nq_N - 1, [0.9, 0.4, 0.01, 0.001])
    wrong_N = dice.uniform("wrong redshift") < wrong_chance_N
    z_N = truth["z"].to_numpy()
    z_N = z_N + VELOCITY_ERROR * (1 + z_N) * dice.normal("velocity")
    z_N = np.where(wrong_N, 0.02 + 0.6 * dice.uniform("guess"), z_N)
    table = pa.table(
        {
            "ID": columns["ID"],
            "RAcen": columns["RAJ2000"],
            "Deccen": columns["DECJ2000"],
            "Z": z_N,
            "NQ": nq_N.astype(np.int32),
            "SC": np.where(dice.uniform("SC") < 0.95, 7, 5).astype(np.int32),
            "uberclass": np.where(star_N, 2, 1).astype(np.int32),
            "mag_r": r_N,
        }
    )
    return table.filter(pa.array(target_N))
