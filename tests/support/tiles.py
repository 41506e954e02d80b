"""Tiny tiles in the real KiDS layout: names, headers, grids, columns and formats, with sources
painted on the pixels.

A source of calibrated magnitude m stands on the pixels of a band as a Gaussian of flux f with m =
-2.5 log10(f) + DMAG - A, so that catalogue and images agree. Every tile has its flaws: a patch of
zero weight, a saturated patch, a halo, a NaN pixel, and sources at its edges. The functions at the
end spoil files further.
"""

import csv
import gzip
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS
from numpy.typing import NDArray

from support.programs import needs

COLUMNS_CSV = (
    Path(__file__).parents[2]
    / "pipeline"
    / "photoz_run"
    / "simulation"
    / "data"
    / "dr4_columns.csv"
)
OPTICAL = ("u", "g", "r", "i")
NINE = (*OPTICAL, "Z", "Y", "J", "H", "Ks")
SCALE = 0.2 / 3600
SIGMA = 2.5
SKY = {"u": 5.3e-12, "g": 2.2e-12, "r": 2.4e-12, "i": 7.9e-12, "i2": 6.1e-12}
SEEING = {"u": 1.0, "g": 0.9, "r": 0.7, "i": 0.8, "i2": 0.75}
DMAG = {"u": 0.035, "g": -0.012, "r": 0.021, "i": -0.043, "i2": 0.058}
EXTINCTION = {"u": 0.20, "g": 0.15, "r": 0.10, "i": 0.08}
"""Mean Galactic extinction; every source has its own, within a few hundredths."""
SHAPES = {"u": (196, 204), "g": (210, 200), "r": (206, 208), "i": (200, 206), "i2": (204, 198)}
"""Height and width: no two bands share a grid."""
REFERENCE = {
    "u": (101.25, 97.6),
    "g": (99.5, 106.1),
    "r": (104.5, 103.5),
    "i": (102.75, 100.4),
    "i2": (98.3, 103.9),
}
"""CRPIX (x, y), 1-based."""


@dataclass(frozen=True)
class Tile:
    """A tile on disk and the truth about it; arrays run over the sources in catalogue order."""

    folder: Path
    name: str
    data_release: str
    compression: str
    id_N: NDArray[np.str_]
    ra_N: NDArray[np.float64]
    dec_N: NDArray[np.float64]
    magnitudes: Mapping[str, NDArray[np.float64]]
    """Calibrated magnitude by column suffix (u g r i ... in DR4, i1 and i2 in DR5)."""
    extinction: Mapping[str, NDArray[np.float32]]
    dmag: Mapping[str, float]

    @property
    def stem(self) -> str:
        return f"KiDS_{self.data_release}_{self.name.removeprefix('KIDS_')}"

    @property
    def catalogue(self) -> Path:
        bands = "ugri1i2ZYJHKs" if self.data_release.startswith("DR5") else "ugriZYJHKs"
        return self.folder / f"{self.stem}_{bands}_cat.fits"

    def image(self, band: str, product: str = "sci") -> Path:
        return self.folder / f"{self.stem}_{band}_{product}.fits{self.compression}"


def make_tile(
    folder: Path,
    name: str = "KIDS_180.0_-0.5",
    data_release: str = "DR5.0",
    *,
    number: int = 40,
    seed: int = 1,
    products: Sequence[str] = ("sci", "wei", "msk"),
    bands: Sequence[str] | None = None,
    wcs: str = "CD",
    rotation: float = 0.0,
    dmag: Mapping[str, float] = DMAG,
    compression: str = "",
) -> Tile:
    """Write a tile into ``folder``: coadds of ``bands`` with their products, and the catalogue."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    dr5 = data_release.startswith("DR5")
    ra0, dec0 = (float(part) for part in name.split("_")[1:])
    ra_N, dec_N = _positions(rng, ra0, dec0, number)
    magnitudes = _magnitudes(rng, number, dr5)
    extinction = {
        b: (a + rng.normal(0, 0.02, number)).astype(np.float32) for b, a in EXTINCTION.items()
    }
    id_N = np.array(
        [f"KiDSDR{data_release[2]} J{name[5:].replace('_', ' ')}.{k:04d}" for k in range(number)]
    )
    tile = Tile(
        folder, name, data_release, compression, id_N, ra_N, dec_N, magnitudes, extinction, dmag
    )
    for band in bands or (("u", "g", "r", "i", "i2") if dr5 else OPTICAL):
        header = wcs_header(band, ra0, dec0, wcs, rotation) | {
            "DMAG": dmag[band],
            "PSF_FWHM": SEEING[band],
        }
        pixels = _paint(rng, tile, band, WCS(fits.Header(header)))
        for product in products:
            path = tile.image(band, product)
            write_image(path, pixels[product], header)
    write_catalogue(tile, dr5)
    return tile


def write_image(
    path: Path, pixels_YX: NDArray[Any], header: Mapping[str, Any] | None = None
) -> Path:
    """Write an image as the ending of ``path`` says: plain, ``.fz`` (without loss) or ``.gz``."""
    plain = path if path.suffix == ".fits" else path.with_suffix("")
    fits.PrimaryHDU(pixels_YX, fits.Header(dict(header or {}))).writeto(plain, overwrite=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(plain.read_bytes(), 1, mtime=0))
        plain.unlink()
    elif path.suffix == ".fz":
        needs("fpack")
        subprocess.run(
            ["fpack", "-g", "-q", "0", "-D", "-Y", str(plain)], check=True, capture_output=True
        )
    return path


def wcs_header(
    band: str, ra0: float, dec0: float, kind: str = "CD", rotation: float = 0.0
) -> dict[str, Any]:
    """Header cards of a coadd: TAN by CD or PC matrix, or SIP or TPV with distortions of about a
    pixel.
    """
    cos, sin = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    projection = {"SIP": "TAN-SIP", "TPV": "TPV"}.get(kind, "TAN")
    cards: dict[str, Any] = {
        "CTYPE1": f"RA---{projection}",
        "CTYPE2": f"DEC--{projection}",
        "CUNIT1": "deg",
        "CUNIT2": "deg",
        "CRVAL1": ra0,
        "CRVAL2": dec0,
        "CRPIX1": REFERENCE[band][0],
        "CRPIX2": REFERENCE[band][1],
        "RADESYS": "ICRS",
        "EQUINOX": 2000.0,
    }
    if kind == "PC":
        cards |= {
            "CDELT1": -SCALE,
            "CDELT2": SCALE,
            "PC1_1": cos,
            "PC1_2": -sin,
            "PC2_1": sin,
            "PC2_2": cos,
        }
    else:
        cards |= {
            "CD1_1": -SCALE * cos,
            "CD1_2": SCALE * sin,
            "CD2_1": SCALE * sin,
            "CD2_2": SCALE * cos,
        }
    if kind == "SIP":
        cards |= {
            "A_ORDER": 2,
            "B_ORDER": 2,
            "A_2_0": 1.2e-4,
            "A_1_1": -5e-5,
            "B_0_2": -9e-5,
            "B_2_0": 3e-5,
        }
    if kind == "TPV":
        cards |= {
            "PV1_0": 0.0,
            "PV1_1": 1.0,
            "PV1_4": 1.5,
            "PV2_0": 0.0,
            "PV2_1": 1.0,
            "PV2_4": -1.2,
        }
    return cards


def reference_stamps(
    tile: Tile,
    bands: Sequence[str] = OPTICAL,
    *,
    size: int = 36,
    bits: int = 71,
    weights: bool = True,
    calibrated: bool = True,
) -> NDArray[np.float64]:
    """What every stamp of the tile must be, source by source with astropy's ``Cutout2D``; NaN where
    unusable.
    """
    stamps_NCHW = np.full((len(tile.id_N), len(bands), size, size), np.nan)
    for c, band in enumerate(bands):
        pixels_YX, header = read_image(tile.image(band))
        good_YX = np.isfinite(pixels_YX)
        if tile.image(band, "wei").exists() and weights:
            good_YX &= read_image(tile.image(band, "wei"))[0] > 0
        if tile.image(band, "msk").exists():
            good_YX &= (read_image(tile.image(band, "msk"))[0].astype(int) & bits) == 0
        clean_YX = np.where(good_YX, pixels_YX, np.nan)
        x_N, y_N = WCS(header).all_world2pix(tile.ra_N, tile.dec_N, 0)
        for n, position in enumerate(zip(x_N, y_N, strict=True)):
            stamps_NCHW[n, c] = cutout(clean_YX, position, size)
        if calibrated:
            correction_N = tile.dmag[band] - tile.extinction[band[0]].astype(np.float64)
            stamps_NCHW[:, c] *= 10.0 ** (-0.4 * correction_N)[:, None, None]
    return stamps_NCHW


def cutout(
    pixels_YX: NDArray[Any], position: tuple[float, float], size: int
) -> NDArray[np.float64]:
    """One stamp by astropy, NaN off the image."""
    try:
        return Cutout2D(
            pixels_YX.astype(np.float64), position, size, mode="partial", fill_value=np.nan
        ).data
    except ValueError:  # NoOverlapError is one
        return np.full((size, size), np.nan)


def read_image(path: Path) -> tuple[NDArray[Any], fits.Header]:
    """Pixels and header of a coadd, through astropy."""
    with fits.open(path) as hdus:
        hdu = hdus[1] if path.suffix == ".fz" else hdus[0]
        return np.array(hdu.data), hdu.header.copy()


def catalogue_magnitudes(tile: Tile, suffixes: Sequence[str]) -> NDArray[np.float32]:
    """GAaP magnitudes [N, B] of the catalogue, NaN where missing: 99, -99, NaN or flagged."""
    rows = fitsio.read(tile.catalogue, ext=1)
    columns = []
    for suffix in suffixes:
        mag_N, flag_N = rows[f"MAG_GAAP_{suffix}"].astype(np.float32), rows[f"FLAG_GAAP_{suffix}"]
        columns.append(np.where((np.abs(mag_N) < 90) & (flag_N == 0), mag_N, np.nan))
    return np.stack(columns, axis=1).astype(np.float32)


def write_catalogue(tile: Tile, dr5: bool) -> None:
    """The catalogue with all columns and formats of its release; what is not needed is zero."""
    rows = np.zeros(len(tile.id_N), _formats(dr5))
    rows["ID"], rows["RAJ2000"], rows["DECJ2000"] = tile.id_N, tile.ra_N, tile.dec_N
    rows["SeqNr"] = np.arange(1, len(rows) + 1)
    rows["KIDS_TILE"] = f"{tile.name:<17}"
    rows["CLASS_STAR"], rows["SG_FLAG"] = 0.02, 1
    rows["MASK"] = np.where(np.arange(len(rows)) % 7 == 6, 1 << 14, 0)
    rows["MAG_AUTO"] = tile.magnitudes["r"] - tile.dmag["r"] + tile.extinction["r"]
    for band, extinction_N in tile.extinction.items():
        rows[f"EXTINCTION_{band}"] = extinction_N
    for suffix, mag_N in tile.magnitudes.items():
        rows[f"MAG_GAAP_{suffix}"], rows[f"MAGERR_GAAP_{suffix}"] = mag_N, 0.02
    for row, (suffix, mag, flag) in enumerate(
        [("J", 99, 0), ("u", -99, 1), ("H", np.nan, 0), ("Z", 19.0, 2)]
    ):
        rows[f"MAG_GAAP_{suffix}"][row], rows[f"FLAG_GAAP_{suffix}"][row] = mag, flag
    with fitsio.FITS(str(tile.catalogue), "rw", clobber=True) as hdus:
        hdus.write(
            None, header=[{"name": f"DMAG_{b.upper()}", "value": v} for b, v in tile.dmag.items()]
        )
        hdus.write(rows, extname="OBJECTS")


def _formats(dr5: bool) -> list[tuple[str, str]]:
    with COLUMNS_CSV.open() as file:
        forms = [(row["column"], row["tform"]) for row in csv.DictReader(file)]
    kinds = {"E": "f4", "D": "f8", "I": "i2", "J": "i4", "K": "i8", "B": "u1"}
    dtypes = [
        (name, f"S{form[:-1]}" if form.endswith("A") else kinds[form[-1]]) for name, form in forms
    ]
    if dr5:
        dtypes = [pair for name, kind in dtypes for pair in _dr5_names(name, kind)]
    return dtypes + [(name, "f4") for name in ("CLASS_STAR", "SG_FLAG") if name not in dict(dtypes)]


def _dr5_names(name: str, kind: str) -> list[tuple[str, str]]:
    if name.endswith("_i") and not name.startswith("EXTINCTION"):
        return [(f"{name}{epoch}", kind) for epoch in (1, 2)]
    return [(name, kind)]


def _positions(rng: np.random.Generator, ra0: float, dec0: float, number: int) -> tuple[Any, Any]:
    """Sky positions around the pointing; the last four stand close to one edge each."""
    x_N, y_N = rng.uniform(-88, 88, (2, number))
    x_N[-4:], y_N[-4:] = [-95, 95, 10, -20], [20, -10, -96, 96]
    plane = WCS(naxis=2)
    plane.wcs.ctype = "RA---TAN", "DEC--TAN"
    plane.wcs.crval, plane.wcs.crpix, plane.wcs.cdelt = (ra0, dec0), (1, 1), (-SCALE, SCALE)
    ra_N, dec_N = plane.all_pix2world(x_N, y_N, 0)
    return ra_N % 360, dec_N


def _magnitudes(rng: np.random.Generator, number: int, dr5: bool) -> dict[str, NDArray[np.float64]]:
    r_N, colour_N = rng.uniform(16.5, 19.8, number), rng.uniform(0.3, 0.9, number)
    slopes = dict(zip(NINE, (2.4, 1.0, 0.0, -0.4, -0.6, -0.7, -0.9, -1.1, -1.2), strict=True))
    magnitudes = {band: r_N + slope * colour_N for band, slope in slopes.items()}
    if dr5:
        i_N = magnitudes.pop("i")
        magnitudes |= {"i1": i_N, "i2": i_N + rng.normal(0, 0.03, number)}
    return magnitudes


def _paint(rng: np.random.Generator, tile: Tile, band: str, wcs: WCS) -> dict[str, NDArray[Any]]:
    height, width = SHAPES[band]
    sci_YX = rng.normal(0, SKY[band], (height, width))
    x_N, y_N = wcs.all_world2pix(tile.ra_N, tile.dec_N, 0)
    suffix = (
        band
        if not tile.data_release.startswith("DR5") or band[0] != "i"
        else {"i": "i1", "i2": "i2"}[band]
    )
    flux_N = 10 ** (-0.4 * (tile.magnitudes[suffix] - tile.dmag[band] + tile.extinction[band[0]]))
    profile_NY = np.exp(-((np.arange(height) - y_N[:, None]) ** 2) / (2 * SIGMA**2))
    profile_NX = np.exp(-((np.arange(width) - x_N[:, None]) ** 2) / (2 * SIGMA**2))
    sci_YX += np.einsum("n,ny,nx->yx", flux_N / (2 * np.pi * SIGMA**2), profile_NY, profile_NX)
    wei_YX = np.full((height, width), SKY[band] ** -2)
    wei_YX[20:26, 30:41] = 0
    msk_YX = np.zeros((height, width), np.uint8)
    msk_YX[60:70, 60:66] |= 2
    msk_YX[100:150, 120:180] |= 8
    msk_YX[150, :] |= 64
    sci_YX[130, 40] = np.nan
    return {"sci": sci_YX.astype(np.float32), "wei": wei_YX.astype(np.float32), "msk": msk_YX}


def set_cards(path: Path, **cards: Any) -> None:
    """Change cards of a plain coadd's header; ``None`` deletes one."""
    with fits.open(path, mode="update") as hdus:
        for name, value in cards.items():
            if value is None:
                hdus[0].header.remove(name, ignore_missing=True)
            else:
                hdus[0].header[name] = value


def set_pixels(path: Path, change: Callable[[NDArray[Any]], Any]) -> None:
    """Change the pixels of a plain coadd: ``change`` gets them and returns new ones (an array or
    one value).
    """
    with fits.open(path, mode="update") as hdus:
        hdus[0].data[...] = change(hdus[0].data.copy())


def strip_wcs(path: Path) -> None:
    """Delete the WCS of a plain coadd."""
    keys = ("CTYPE", "CRVAL", "CRPIX", "CUNIT")
    matrix = ("CD1_1", "CD1_2", "CD2_1", "CD2_2")
    set_cards(
        path, **dict.fromkeys([f"{key}{axis}" for key in keys for axis in (1, 2)] + list(matrix))
    )


def truncate(path: Path, share: float) -> None:
    """Keep the first ``share`` of a file's bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def change_rows(path: Path, change: Callable[[NDArray[Any]], NDArray[Any] | None]) -> None:
    """Rewrite a catalogue: ``change`` gets its rows, and alters them in place or returns others."""
    rows = fitsio.read(path, ext=1)
    header = fitsio.read_header(path, ext=0)
    dmag = [{"name": key, "value": header[key]} for key in header if key.startswith("DMAG")]
    changed = change(rows)
    with fitsio.FITS(str(path), "rw", clobber=True) as hdus:
        hdus.write(None, header=dmag)
        hdus.write(rows if changed is None else changed, extname="OBJECTS")


def drop_column(path: Path, name: str) -> None:
    """Rewrite a catalogue without one of its columns."""
    change_rows(
        path, lambda rows: rows[[column for column in rows.dtype.names if column != name]].copy()
    )
