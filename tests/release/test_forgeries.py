"""Forgeries that keep files readable, sums right and products alike, with the verdict of each.

What `tests/release/test_verify.py` spoils is found in the release itself; of these some are found
in it, others only beside the run that it was made of, and one by neither.
"""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.io import fits
from mocpy import MOC

from photoz_models.documents import document_text
from photoz_run.catalogue.fits_stream import write_hdu
from photoz_run.flags import bit
from photoz_run.progress import StepProgress
from photoz_run.release.coverage import covered_area, square_degrees
from photoz_run.release.products.area import write_moc
from photoz_run.release.proof.opened import Opened
from photoz_run.release.provenance import read_provenance
from photoz_run.release.readme import readme
from photoz_run.release.verify import verify
from support.forgery import forge, forge_fits, resum, state
from support.photoz import FIELD, OTHER, photoz
from support.programs import needs

MEASURED = ("Z_PHOT", "Z_PHOT_LO68", "Z_PHOT_HI68", "Z_PHOT_LO95", "Z_PHOT_HI95", "Z_QUANTILES")
"""Columns that hold redshifts."""
RUN = {"release = run"}


@pytest.fixture(scope="module")
def plain(run, tmp_path_factory) -> Path:
    """A release in FITS and Parquet."""
    out = tmp_path_factory.mktemp("plain") / "release"
    more = ("--keep", "MAG_GAAP_r", "--quiet")
    assert photoz("release", run, "--out", out, "--name", "sim", *more) == 0
    return out


def failed(folder: Path, run: Path | None = None) -> dict[str, str]:
    checks = verify(folder, StepProgress(quiet=True), run)
    return {check.name: check.detail for check in checks if not check.passed}


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The rows with a redshift that are far from every limit, in the order of the release."""
    rows = pq.read_table(folder / "sim.parquet").to_pylist()
    unusable = bit("NO_REDSHIFT") | bit("Z_LIMIT") | bit("OUT_OF_DOMAIN")
    usable = [row for row in rows if row["PHOTOZ_FLAG"] & unusable == 0]
    return usable or [row for row in rows if row["Z_PHOT"] is not None]


def alike(folder: Path, change: Mapping[str, Mapping[str, Any]]) -> None:
    """Change values in FITS and in Parquet."""
    forge(folder, ["parquet", "fits"], change=change)


def swap_redshifts(folder: Path) -> None:
    rows = [row for row in rows_of(folder) if row["KIDS_TILE"] == OTHER]
    first, last = min(rows, key=redshift), max(rows, key=redshift)
    moved = ("Z_PHOT_ERR", "Z_DOMAIN", "PHOTOZ_FLAG", *MEASURED)
    alike(
        folder,
        {
            first["ID"]: {name: last[name] for name in moved},
            last["ID"]: {name: first[name] for name in moved},
        },
    )


def redshift(row: Mapping[str, Any]) -> float:
    return float(row["Z_PHOT"])


def shift_redshift(folder: Path) -> None:
    row = min(rows_of(folder), key=lambda row: abs(redshift(row) - 0.3))
    shifted = {
        name: (np.float32(row[name]) + np.float32(1e-3)).tolist()
        if name != "Z_QUANTILES"
        else (np.array(row[name], np.float32) + np.float32(1e-3)).tolist()
        for name in MEASURED
    }
    alike(folder, {row["ID"]: shifted})


def set_value(column: str, value: Callable[[Any], Any]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        row = rows_of(folder)[3]
        alike(folder, {row["ID"]: {column: value(row[column])}})

    return change


def exchange_tiles(folder: Path) -> None:
    rows = rows_of(folder)
    first = next(row for row in rows if row["KIDS_TILE"] == FIELD)
    other = next(row for row in rows if row["KIDS_TILE"] not in (FIELD, OTHER))
    tiles = {first["ID"]: other["KIDS_TILE"], other["ID"]: first["KIDS_TILE"]}
    alike(folder, {name: {"KIDS_TILE": tile} for name, tile in tiles.items()})


def set_flag(folder: Path) -> None:
    row = next(row for row in rows_of(folder) if not row["PHOTOZ_FLAG"] & bit("EDGE"))
    alike(folder, {row["ID"]: {"PHOTOZ_FLAG": row["PHOTOZ_FLAG"] | bit("EDGE")}})
    state(folder, lambda said: said["flags"].update(EDGE=said["flags"].get("EDGE", 0) + 1))
    word(folder)


def word(folder: Path) -> None:
    """Make the README anew."""
    (folder / "README.md").write_text(readme(read_provenance(folder)))


def add_hdu(folder: Path) -> None:
    header = fits.Header([("XTENSION", "IMAGE"), ("BITPIX", 8), ("NAXIS", 0)])
    header.extend([("PCOUNT", 0), ("GCOUNT", 1), ("EXTNAME", "MORE")])
    with (folder / "sim.fits").open("r+b") as file:
        file.seek(0, 2)
        write_hdu(file, header)


def add_cards(**cards: str) -> Callable[[Path], None]:
    return lambda folder: forge_fits(folder, lambda rows: rows, cards)


def add_key(folder: Path) -> None:
    path = folder / "sim.parquet" / "part-0000.parquet"
    table = pq.read_table(path, partitioning=None)
    said = {**table.schema.metadata, b"author": b"me"}
    pq.write_table(table.replace_schema_metadata(said), path)


def move_area(folder: Path) -> None:
    """Other cells of the MOC, as many as before, with those of all sources."""
    path = folder / "sim_moc.fits"
    area = MOC.from_fits(path)
    far = MOC.from_healpix_cells(np.array([5]), np.array([14], np.uint8), 14)
    flat = area.flatten()
    opened = Opened(folder, read_provenance(folder))
    rows = pq.read_table(folder / "sim.parquet")
    ra, dec = (rows[name].to_numpy() * units.deg for name in ("RAJ2000", "DECJ2000"))
    held = MOC.from_lonlat(ra, dec, max_norder=14).flatten()
    dropped = np.setdiff1d(flat, held)[0]
    moved = MOC.from_healpix_cells(
        np.setdiff1d(flat, [dropped]), np.full(len(flat) - 1, 14, np.uint8), 14
    ).union(far)
    path.unlink()
    write_moc(moved, path, opened.record)


def enlarge_area(folder: Path) -> None:
    """Corners that nobody observed, in provenance.json and in the MOC alike."""

    def change(said: dict[str, Any]) -> None:
        (tile,) = [tile for tile in said["tiles"] if tile["tile"] == FIELD]
        ra, dec = np.mean(tile["footprint"], axis=0)
        tile["footprint"] = [
            [ra + 1.2 * (corner[0] - ra), dec + 1.2 * (corner[1] - dec)]
            for corner in tile["footprint"]
        ]
        corners = [tile["footprint"] for tile in said["tiles"]]
        said["area_deg2"] = round(square_degrees(covered_area(corners)), 4)

    state(folder, change)
    opened = Opened(folder, read_provenance(folder))
    (folder / "sim_moc.fits").unlink()
    corners = [tile.footprint for tile in opened.provenance.tiles]
    write_moc(covered_area(corners), folder / "sim_moc.fits", opened.record)
    word(folder)


def forget_area(folder: Path) -> None:
    def change(said: dict[str, Any]) -> None:
        said["area_deg2"] = None
        said["products"] = [one for one in said["products"] if "moc" not in one["path"]]

    state(folder, change)
    (folder / "sim_moc.fits").unlink()
    word(folder)


def change_tile_sum(folder: Path) -> None:
    state(folder, lambda said: said["tiles"][0].update(tile_file_sha256="0" * 64))


def link(folder: Path) -> None:
    """A link to the file that was there."""
    path = folder / "sim.fits"
    path.rename(folder.parent / "elsewhere.fits")
    path.symlink_to(folder.parent / "elsewhere.fits")


FORGERIES: dict[str, tuple[Callable[[Path], object], set[str], set[str]]] = {
    "two redshifts swapped": (swap_redshifts, set(), RUN),
    "a redshift with all its quantiles shifted": (shift_redshift, set(), RUN),
    "another bit of MASK": (set_value("MASK", lambda value: value ^ 1), set(), RUN),
    "another Z_DOMAIN": (set_value("Z_DOMAIN", lambda value: 0.999 * value), set(), RUN),
    "another magnitude": (set_value("MAG_AUTO_CALIB", lambda value: value + 0.1), set(), RUN),
    "another ID": (set_value("ID", lambda value: value + "0"), set(), RUN),
    "a source a little to the side": (
        set_value("RAJ2000", lambda value: value + 1e-12),
        set(),
        RUN,
    ),
    "the tiles of two sources exchanged": (exchange_tiles, set(), RUN),
    "a flag, with its count and README": (set_flag, set(), RUN),
    "a column that was taken over": (
        set_value("MAG_GAAP_r", lambda value: value + 0.1),
        set(),
        set(),
    ),
    "an area with corners that nobody observed": (
        enlarge_area,
        set(),
        {"area = run", "provenance = run"},
    ),
    "no area": (forget_area, set(), {"area = run"}),
    "cells of the MOC elsewhere": (move_area, {"covered area"}, {"area = run"}),
    "the sha256 of a tile file": (
        change_tile_sum,
        {"provenance in FITS", "prov.json"},
        {"provenance = run"},
    ),
    "a file in a sub-folder": (
        lambda folder: (folder / "sim.parquet" / "notes.txt").write_text("mine"),
        {"products"},
        set(),
    ),
    "a hidden file": (lambda folder: (folder / ".notes").write_text("mine"), {"products"}, set()),
    "an empty folder": (lambda folder: (folder / "more").mkdir(), {"no other files"}, set()),
    "a link in place of a file": (link, {"no other files"}, set()),
    "an HDU more": (add_hdu, {"provenance in FITS"}, set()),
    "a comment more": (add_cards(COMMENT="by me"), {"provenance in FITS"}, set()),
    "a line of history": (add_cards(HISTORY="by me"), {"provenance in FITS"}, set()),
    "an unknown card": (add_cards(AUTHOR="me"), {"provenance in FITS"}, set()),
    "an unknown key in Parquet": (add_key, {"provenance in Parquet"}, set()),
}
"""What is done, the checks that fail without the run, and those that fail besides with it."""


@pytest.mark.parametrize("case", FORGERIES)
def test_a_forgery_is_found_where_it_can_be(plain, run, tmp_path, case):
    copy = Path(shutil.copytree(plain, tmp_path / "copy"))
    spoil, without, beside = FORGERIES[case]
    spoil(copy)
    resum(copy)
    assert set(failed(copy)) == without
    assert set(failed(copy, run)) == without | beside


def test_beside_its_run_a_release_passes_with_more_checks(release, run):
    alone = verify(release, StepProgress(quiet=True))
    beside = verify(release, StepProgress(quiet=True), run)
    assert all(check.passed for check in beside)
    names = {check.name for check in beside} - {check.name for check in alone}
    assert names == {"release = run", "provenance = run", "area = run"}


def test_the_tile_the_column_and_the_source_are_named(plain, run, tmp_path, capsys):
    copy = Path(shutil.copytree(plain, tmp_path / "copy"))
    row = rows_of(copy)[3]
    alike(copy, {row["ID"]: {"MASK": row["MASK"] ^ 1}})
    resum(copy)
    assert photoz("verify", copy, "--run", run) == 4
    told = capsys.readouterr().out
    assert f"{row['KIDS_TILE']}: MASK differs in 1 rows, the first is '{row['ID']}'" in told


def test_what_is_no_run_is_refused(plain, tmp_path, capsys):
    assert photoz("verify", plain, "--run", tmp_path) == 2
    assert "is not a run directory" in capsys.readouterr().err


def test_a_signature_is_checked_and_its_key_named(plain, tmp_path):
    needs("ssh-keygen")
    copy, key = Path(shutil.copytree(plain, tmp_path / "copy")), tmp_path / "key"
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(make, check=True, capture_output=True)
    sign = ["ssh-keygen", "-Y", "sign", "-n", "file", "-f", str(key), str(copy / "SHA256SUMS")]
    subprocess.run(sign, check=True, capture_output=True)
    checks = {check.name: check for check in verify(copy, StepProgress(quiet=True))}
    assert all(check.passed for check in checks.values())
    assert "ED25519 key SHA256:" in checks["signature"].detail
    state(copy, lambda said: said.update(reference="another"))
    word(copy)
    resum(copy)
    assert "signature" in failed(copy)


def test_what_is_stated_is_read_as_it_was_written(plain):
    provenance = read_provenance(plain)
    assert document_text(provenance) == (plain / "provenance.json").read_text()
    assert all(len(tile.footprint) == 4 for tile in provenance.tiles if tile.released)


@pytest.mark.parametrize("name", ["CITATION.cff", "prov.json"])
def test_what_follows_from_the_provenance_is_made_again(plain, tmp_path, name):
    copy = Path(shutil.copytree(plain, tmp_path / "copy"))
    (copy / name).write_text((copy / name).read_text().replace("sim", "mine"))
    resum(copy)
    assert set(failed(copy)) == {name}
