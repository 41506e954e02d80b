"""Public tables with magnitudes and spectroscopic redshifts: where they lie, what counts."""

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from photoz_run.errors import BadDataError
from photoz_run.science.selection import select

SHOWN = 60
"""Codes of what is missing lie beyond this many magnitudes."""


@dataclass(frozen=True)
class Source:
    """A table in a public repository.

    Attributes
    ----------
    files, evaluation
        Paths in the repository and their sha256. Without ``evaluation`` the test part is the one
        that ``photoz train`` keeps back.
    columns
        Names of the columns where the files' first line does not tell them.
    bands, errors
        Columns of the magnitudes, from blue to red, and of their errors.
    cut
        Which rows count.
    about
        What it is and whose, for the page.
    """

    name: str
    address: str
    commit: str
    files: Mapping[str, str]
    evaluation: Mapping[str, str]
    columns: tuple[str, ...]
    bands: Mapping[str, str]
    errors: Mapping[str, str]
    z: str
    cut: str
    seeds: tuple[int, ...]
    about: str


SDSS = ("u", "g", "r", "i", "z")
BOSS_FILES = {
    "train/boss_dr10_0.csv": "f7a7cf29e46046e96166d0e6075b7f74328c2e480d8055a3eed3c7e12361d521",
    "train/boss_dr10_1.csv": "404037b2907255e40014f170be62fbe8825499c784c079f9f887ef0ecf091ad0",
    "train/boss_dr10_2.csv": "d25767711a608f04d3ac738b8790f492c877b4d999e32f697c0dd8b6f0749572",
    "train/boss_dr10_3.csv": "77c7714ee1e468937cdef3304736b8a6ecfa4b395f52bd1f1085498b6541e7c7",
}
BOSS_EVALUATION = {
    "eval/boss_dr10_eval0.csv": "79bb38f1dae770283b106bd867b31ce6420d2bccee3d5f6e4c4add55c9460351",
    "eval/boss_dr10_eval1.csv": "0a055c8ccc412801445dbbf3a3ec41f3db0e44def89f9b59583c7a4eed004d19",
}
FOLDER = "examples/data/photoZ/"

BOSS = Source(
    name="BOSS",
    address="https://github.com/IftachSadeh/ANNZ",
    commit="dd4ed16d33877d619b90dcab738ea37d631e3dce",
    files={FOLDER + path: digest for path, digest in BOSS_FILES.items()},
    evaluation={FOLDER + path: digest for path, digest in BOSS_EVALUATION.items()},
    columns=(*(f"{kind}_{band.upper()}" for band in SDSS for kind in ("MAG", "MAGERR")), "Z"),
    bands={band: f"MAG_{band.upper()}" for band in SDSS},
    errors={band: f"MAGERR_{band.upper()}" for band in SDSS},
    z="Z",
    cut="Z > 0.01",
    seeds=(1,),
    about=(
        "Galaxies of BOSS with the five magnitudes of SDSS, the example of ANNZ2 (Sadeh, Abdalla"
        " & Lahav 2016, PASP 128, 104502). The repository is under the GPL 3. The data are of"
        " SDSS-III DR10 (Ahn et al. 2014, ApJS 211, 17), which is public; SDSS asks to be"
        " acknowledged. Trained on the files in `train`, tested on those in `eval`."
    ),
)

SECURE = "cc == 2.5 or (cc >= 3 and cc < 5) or (cc > 9.2 and cc < 9.6)"
UNMASKED = " and ".join(f"flag_mask{band}_photzi25 == 0" for band in "bvizd")
COSMOS = {
    "u": "u",
    "B": "b",
    "g": "g",
    "V": "v",
    "r": "r",
    "i": "i",
    "Ic": "ic",
    "z": "z",
    "J": "j",
    "K": "k",
}

ZCOSMOS = Source(
    name="zCOSMOS",
    address="https://github.com/dirac-institute/photoz_template_learning",
    commit="e422029dc4196a75705143fed6525202b9be5a26",
    files={
        "data/zcosmost_bright20k.csv": (
            "378f717f8704e8b8d9eaab8c485bc13e705d076628d951056e3c3fe597ceadfb"
        )
    },
    evaluation={},
    columns=(),
    bands={band: f"{column}_photzi25" for band, column in COSMOS.items()},
    errors={band: f"e{column}_photzi25" for band, column in COSMOS.items()},
    z="zpec",
    cut=f"zpec > 0.01 and ({SECURE}) and id_photzi25 != 9999999 and {UNMASKED}",
    seeds=(1,),
    about=(
        "Secure redshifts of zCOSMOS-bright (Lilly et al. 2009, ApJS 184, 218; ESO programme"
        " 175.A-0839) with ten magnitudes of COSMOS, u to K (Ilbert et al. 2009, ApJ 690, 1236), as"
        " collected by Crenshaw & Connolly 2020, AJ 160, 191. The repository states no licence; the"
        " redshifts are public in ESO's archive. Split by galaxy: the test part is the one that"
        " `photoz train` keeps back."
    ),
)

SOURCES = (BOSS, ZCOSMOS)


@dataclass(frozen=True)
class Galaxies:
    """The rows that count, shapes [N, B] and [N]; NaN where a magnitude or an error is missing."""

    magnitudes_NB: NDArray[np.float64]
    errors_NB: NDArray[np.float64]
    z_N: NDArray[np.float64]

    def rows(self, rows_N: NDArray[np.int64]) -> "Galaxies":
        """Some of them."""
        return Galaxies(self.magnitudes_NB[rows_N], self.errors_NB[rows_N], self.z_N[rows_N])


def fetch(source: Source, folder: Path) -> None:
    """Bring the files of a source into a folder, and verify them.

    Raises
    ------
    BadDataError
        If a file is not the one that was measured.
    """
    clone = folder / "clone"
    if not clone.exists():
        folder.mkdir(parents=True, exist_ok=True)
        options = ("--quiet", "--bare", "--filter=blob:none")
        subprocess.run(["git", "clone", *options, source.address, str(clone)], check=True)
    for path, digest in {**source.files, **source.evaluation}.items():
        words = ["git", "-C", str(clone), "show", f"{source.commit}:{path}"]
        content = subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout
        if hashlib.sha256(content).hexdigest() != digest:
            raise BadDataError(f"{source.address}: {path} is not the file that was measured")
        (folder / Path(path).name).write_bytes(content)


def galaxies_of(source: Source, files: Mapping[str, str], folder: Path) -> Galaxies:
    """The rows of these files that count."""
    names = source.columns
    options = pa.csv.ReadOptions(column_names=names or None, skip_rows=1 if names else 0)
    parts = [pa.csv.read_csv(folder / Path(path).name, read_options=options) for path in files]
    table = pa.concat_tables(parts)
    columns = {name: table[name].to_numpy() for name in table.column_names}
    counts_N = select(source.cut, columns, len(table))
    values_NB = np.column_stack([columns[name] for name in source.bands.values()])[counts_N]
    errors_NB = np.column_stack([columns[name] for name in source.errors.values()])[counts_N]
    measured_NB = np.abs(values_NB) < SHOWN
    known_NB = (errors_NB > 0) & (errors_NB < SHOWN)
    return Galaxies(
        np.where(measured_NB, values_NB, np.nan),
        np.where(measured_NB & known_NB, errors_NB, np.nan),
        columns[source.z][counts_N].astype(np.float64),
    )


def write_table(galaxies: Galaxies, bands: Mapping[str, str], path: Path) -> None:
    """The table that ``photoz train`` reads; its columns have the names of the source."""
    columns = dict(zip(bands.values(), galaxies.magnitudes_NB.T, strict=True))
    pq.write_table(pa.table({**columns, "z_spec": galaxies.z_N}), path)
