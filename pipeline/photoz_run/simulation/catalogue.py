"""The multi-band catalogue of a tile, with the columns and formats of the data release."""

import csv
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from photoz_run.simulation import artefacts, conditions, geometry, images
from photoz_run.simulation.conditions import Observation
from photoz_run.simulation.geometry import Cell
from photoz_run.simulation.photometry import FLOOR, STAR, Measured
from photoz_run.simulation.scene import Scene
from photoz_run.simulation.settings import SimulationSettings
from photoz_run.survey.data_release import DataRelease

Floats = NDArray[np.float64]
Columns = dict[str, NDArray[Any]]

NUMPY_TYPE = {"E": ">f4", "D": ">f8", "J": ">i4", "I": ">i2"}
VISTA_GAP_CHANCE = 0.3
"""Share of the tiles where a strip has no near-infrared data."""
VISTA_GAP_WIDTH = 0.06
FAILURE_RATE = 0.002
"""Share of the sources whose GAaP measurement failed, per epoch."""
BRIGHT_HALO = 12.5
"""Magnitude of the stars whose halos count as bright."""


def epoch_suffixes(facts: DataRelease) -> dict[str, str]:
    """Epoch of each GAaP column suffix: u g r i Z ... in DR4, u g r i1 i2 Z ... in DR5."""
    return {suffix: {"i1": "i"}.get(suffix, suffix) for suffix in facts.magnitude_suffixes}


@lru_cache(maxsize=1)
def dr4_columns() -> tuple[tuple[str, str], ...]:
    """Name and FITS format of the columns of a DR4 catalogue."""
    text = (files("photoz_run.simulation") / "data" / "dr4_columns.csv").read_text()
    rows = csv.DictReader(text.splitlines())
    return tuple((row["column"], row["tform"]) for row in rows)


def release_columns(facts: DataRelease) -> list[tuple[str, str]]:
    """Name and format of every column.

    In DR5 each GAaP column of i becomes two, and colours use the pass nearer in wavelength.
    """
    columns = list(dr4_columns())
    if facts.family == "DR4":
        return columns
    renamed: list[tuple[str, str]] = []
    for name, form in columns:
        if name.startswith("COLOUR_GAAP_") and "i" in name.split("_")[2:]:
            renamed.append((name.replace("r_i", "r_i1").replace("i_Z", "i2_Z"), form))
        elif "GAAP" in name and name.endswith("_i"):
            renamed += [(f"{name}1", form), (f"{name}2", form)]
        else:
            renamed.append((name, form))
    return renamed


def source_ids(facts: DataRelease, ra_N: Floats, dec_N: Floats) -> NDArray[np.str_]:
    """Identifiers like ``KiDSDR5 J083727.019+025147.11``."""
    milliseconds = np.round((ra_N % 360) / 15 * 3_600_000).astype(np.int64) % (24 * 3_600_000)
    hundredths = np.round(np.abs(dec_N) * 360_000).astype(np.int64)
    south_N = dec_N < 0
    ids = []
    for time, angle, south in zip(
        milliseconds.tolist(), hundredths.tolist(), south_N.tolist(), strict=True
    ):
        sign = "-" if south else "+"
        ids.append(f"KiDS{facts.family} J{_hours(time)}{sign}{_degrees(angle)}")
    return np.array(ids, dtype="U30")


def _hours(milliseconds: int) -> str:
    """Right ascension as hhmmss.sss."""
    seconds, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}{minutes:02d}{seconds:02d}.{thousandths:03d}"


def _degrees(hundredths: int) -> str:
    """Declination without its sign as ddmmss.ss; ``hundredths`` are of an arcsecond."""
    seconds, hundredths = divmod(hundredths, 100)
    minutes, seconds = divmod(seconds, 60)
    degrees, minutes = divmod(minutes, 60)
    return f"{degrees:02d}{minutes:02d}{seconds:02d}.{hundredths:02d}"


def catalogue_columns(
    settings: SimulationSettings,
    cell: Cell,
    scene: Scene,
    sources: Measured,
    seen: dict[str, Observation],
) -> Columns:
    """Every column that is measured; see docs/simulation.md for those that are left empty."""
    facts, n = settings.facts, len(sources)
    name = geometry.name_of_cell(cell, settings)
    header = geometry.band_header("r", cell, settings)
    x_N, y_N = geometry.pixels(header, sources.ra_N, sources.dec_N)
    gap_N = vista_gap(settings, cell, sources)
    columns: Columns = {
        "ID": source_ids(facts, sources.ra_N, sources.dec_N),
        "SeqNr": np.arange(1, n + 1),
        "SLID": np.zeros(n),
        "SID": np.arange(1, n + 1),
        "Xpos": x_N + 1,
        "Ypos": y_N + 1,
        "THELI_NAME": np.full(n, name.replace(".", "p").replace("-", "m")),
        "KIDS_TILE": np.full(n, name),
        "MASK": mask_bits(settings, cell, scene, sources, gap_N),
    }
    for ra_name, dec_name in (
        ("RAJ2000", "DECJ2000"),
        ("ALPHA_J2000", "DELTA_J2000"),
        ("X_WORLD", "Y_WORLD"),
    ):
        columns |= {ra_name: sources.ra_N % 360, dec_name: sources.dec_N}
    columns |= shape_columns(sources) | total_columns(sources, seen["r"]) | classification(sources)
    for band in conditions.EPOCHS:
        columns[f"EXTINCTION_{band}"] = conditions.EXTINCTION_PER_EBV[band] * sources.ebv_N
    for k, (suffix, epoch) in enumerate(epoch_suffixes(facts).items()):
        missing_N = sources.dice.uniform(f"failure {epoch}") < FAILURE_RATE
        if epoch not in conditions.SKY:
            missing_N |= gap_N
        columns |= gaap_columns(suffix, epoch, sources, k, seen[epoch], missing_N)
    return columns


def shape_columns(sources: Measured) -> Columns:
    """Sizes and angles; world sizes in degrees, GAaP apertures in arcsec."""
    angle = (np.degrees(sources.angle_N) + 90) % 180 - 90
    radius = 1.18 * np.sqrt(sources.major_N * sources.minor_N)
    return {
        "A_WORLD": sources.major_N / 3600,
        "B_WORLD": sources.minor_N / 3600,
        "A_IMAGE": sources.major_N / geometry.PIXEL_SCALE,
        "B_IMAGE": sources.minor_N / geometry.PIXEL_SCALE,
        "THETA_J2000": angle,
        "THETA_WORLD": angle,
        "FWHM_WORLD": 2 * radius / 3600,
        "FWHM_IMAGE": 2 * radius / geometry.PIXEL_SCALE,
        "FLUX_RADIUS": radius / geometry.PIXEL_SCALE,
        "KRON_RADIUS": sources.kron_N / np.sqrt(sources.major_N * sources.minor_N),
        "S_ELLIPTICITY": 1 - sources.minor_N / sources.major_N,
        "S_ELONGATION": sources.major_N / sources.minor_N,
        "PAgaap": (np.degrees(sources.angle_N) + 180) % 180,
        **{key: sources.aperture_a_N for key in ("Agaper", "Agaper_0p7")},
        **{key: sources.aperture_b_N for key in ("Bgaper", "Bgaper_0p7")},
    }


def total_columns(sources: Measured, seen: Observation) -> Columns:
    """MAG_AUTO and company: neither calibrated with DMAG nor corrected for extinction."""
    noise_N = seen.pixel_noise * np.sqrt(np.pi) * sources.kron_N / geometry.PIXEL_SCALE
    flux_N = sources.total_N + noise_N * sources.dice.normal("noise of the total")
    flux_N = np.maximum(flux_N, 0.05 * noise_N)
    columns: Columns = {}
    for kind in ("AUTO", "ISO", "ISOCOR"):
        columns[f"MAG_{kind}"] = -2.5 * np.log10(flux_N)
        columns[f"MAGERR_{kind}"] = 1.0857 * noise_N / flux_N
        columns[f"FLUX_{kind}"] = flux_N
        columns[f"FLUXERR_{kind}"] = noise_N
    return columns


def classification(sources: Measured) -> Columns:
    """CLASS_STAR and SG2DPHOT: sharp for bright objects, undecided for noisy ones."""
    star_N = sources.kind_N == STAR
    snr_N = sources.flux_NE[:, 2] / sources.noise_NE[:, 2]
    doubt_N = 0.03 + 0.45 / (1 + (snr_N / 25) ** 1.5)
    distance_N = np.abs(doubt_N * sources.dice.normal("CLASS_STAR"))
    compact_N = sources.major_N < 1.08 * np.min(sources.major_N, initial=np.inf)
    star_like_N = star_N | (compact_N & (snr_N < 60))
    class_N = np.where(star_like_N, 0.985 - distance_N, 0.015 + distance_N)
    class_N = np.clip(class_N, 0.0, 1.0)
    wrong_N = sources.dice.uniform("SG2DPHOT") < np.where(star_N, 0.02, 0.004)
    return {
        "CLASS_STAR": class_N,
        "SG2DPHOT": (star_N ^ wrong_N).astype(int),
        "SG_FLAG": (~star_N | (sources.dice.uniform("SG_FLAG") < 0.01)).astype(int),
        "Flag": np.zeros(len(sources), dtype=int),
        "IMAFLAGS_ISO": np.zeros(len(sources), dtype=int),
    }


def gaap_columns(
    suffix: str,
    epoch: str,
    sources: Measured,
    k: int,
    seen: Observation,
    missing_N: NDArray[np.bool_],
) -> Columns:
    """The GAaP columns of one epoch: 99 for a non-detection, -99 and FLAG 1 for a failure."""
    flux_N, noise_N = sources.flux_NE[:, k], sources.noise_NE[:, k]
    dark_N = (flux_N < noise_N) & ~missing_N
    at_least_noise_N = np.maximum(flux_N, noise_N)
    magnitude_N = -2.5 * np.log10(at_least_noise_N)
    error_N = np.hypot(1.0857 * noise_N / at_least_noise_N, FLOOR[epoch])
    error_N = np.where(missing_N, -99.0, error_N)
    error_N = np.where(dark_N, -2.5 * np.log10(noise_N), error_N)
    corrected_N = magnitude_N - conditions.EXTINCTION_PER_EBV[epoch] * sources.ebv_N
    raw = 10 ** (0.4 * seen.dmag)
    columns: Columns = {}
    for prefix, value_N in (("", corrected_N), ("0p7_", magnitude_N - seen.dmag)):
        detected_N = np.where(dark_N, 99.0, value_N)
        columns[f"MAG_GAAP_{prefix}{suffix}"] = np.where(missing_N, -99.0, detected_N)
        columns[f"MAGERR_GAAP_{prefix}{suffix}"] = error_N
        columns[f"FLUX_GAAP_{prefix}{suffix}"] = np.where(missing_N, 0.0, flux_N * raw)
        columns[f"FLUXERR_GAAP_{prefix}{suffix}"] = np.where(missing_N, 0.0, noise_N * raw)
        columns[f"FLAG_GAAP_{prefix}{suffix}"] = missing_N.astype(int)
    return columns


def vista_gap(settings: SimulationSettings, cell: Cell, sources: Measured) -> NDArray[np.bool_]:
    """Sources in a strip of constant declination where the near-infrared survey has no data."""
    rng = np.random.default_rng(np.random.SeedSequence([settings.seed, 60, *cell.words]))
    chance, place = rng.uniform(0, 1, 2)
    if chance > VISTA_GAP_CHANCE:
        return np.zeros(len(sources), dtype=bool)
    area = geometry.catalogue_rectangle(cell, settings)
    centre = area.dec + (2 * place - 1) * area.half_dec
    return np.asarray(np.abs(sources.dec_N - centre) < VISTA_GAP_WIDTH * area.half_dec)


def mask_bits(
    settings: SimulationSettings,
    cell: Cell,
    scene: Scene,
    sources: Measured,
    gap_N: NDArray[np.bool_],
) -> NDArray[np.int32]:
    """MASK in the bits of the data release."""
    facts = settings.facts
    header = geometry.band_header("r", cell, settings)
    x_N, y_N = geometry.pixels(header, sources.ra_N, sources.dec_N)
    stars = artefacts.bright_stars(scene.backdrop, header, geometry.band_shape("r", settings))
    r = images.band_index("r")
    halo_N = artefacts.in_halo(stars, r, artefacts.HALO_MAGNITUDE, x_N, y_N)
    trail_N = artefacts.on_trail(artefacts.draw_flaws(settings, cell, "r"), x_N, y_N, 10)
    meaning = {
        "halo conservative": halo_N,
        "halo faint": halo_N,
        "halo bright": artefacts.in_halo(stars, r, BRIGHT_HALO, x_N, y_N),
        "manual conservative": trail_N,
        "manual": trail_N,
        **{f"{band} data": gap_N for band in ("Z", "Y", "J", "H", "Ks")},
    }
    for band in facts.image_bands:
        own_header = geometry.band_header(band, cell, settings)
        own_x, own_y = geometry.pixels(own_header, sources.ra_N, sources.dec_N)
        shape = geometry.band_shape(band, settings)
        flaws = artefacts.draw_flaws(settings, cell, band)
        empty_N = artefacts.flawed(flaws, shape, own_x, own_y)
        name = "i1" if (band, facts.family) == ("i", "DR5") else band
        meaning[f"{name} data"] = empty_N
        if band == "r":
            meaning["void"] = empty_N
    mask_N = np.zeros(len(sources), dtype=np.int32)
    for bit, name in enumerate(facts.mask_bits):
        if name in meaning:
            mask_N |= np.where(meaning[name], 1 << bit, 0).astype(np.int32)
    return mask_N


def catalogue_hdus(
    settings: SimulationSettings, columns: Columns, seen: dict[str, Observation]
) -> fits.HDUList:
    """The FITS file: DMAG in the primary header, one binary table.

    A column that is not measured is NaN, or 0 for integers.
    """
    wanted = [*release_columns(settings.facts), ("CLASS_STAR", "1E"), ("SG_FLAG", "1I")]
    dtype = []
    for name, form in wanted:
        if form.endswith("A"):
            width = max(int(form[:-1]), columns[name].dtype.itemsize // 4)
            dtype.append((name, f"S{width}"))
        else:
            dtype.append((name, NUMPY_TYPE[form[-1]]))
    table = np.zeros(len(columns["ID"]), dtype=dtype)
    for name, _ in wanted:
        if name in columns:
            table[name] = columns[name]
        elif table.dtype[name].kind == "f":
            table[name] = np.nan
    primary = fits.PrimaryHDU()
    for band in settings.facts.image_bands:
        primary.header[f"DMAG_{band.upper()}"] = (
            seen[band].dmag,
            "added to magnitudes of the coadd (mag)",
        )
    primary.header["SIMULATD"] = (True, "simulated data, not observed by KiDS")
    return fits.HDUList([primary, fits.BinTableHDU(table, name="OBJECTS")])
