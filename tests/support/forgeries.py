"""Forgeries that keep files readable, sums right and products alike, with the verdict of each.

A forgery is a function that changes the folder of a release. `docs/verify.md` lists all of them.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy import units
from astropy.io import fits
from mocpy import MOC

from photoz_run.catalogue.fits_stream import write_hdu
from photoz_run.flags import bit
from photoz_run.release.companions import COMPANIONS
from photoz_run.release.coverage import covered_area, square_degrees
from photoz_run.release.products.area import write_moc
from photoz_run.release.proof.opened import Opened
from photoz_run.release.provenance import read_provenance
from support.forgery import forge, forge_fits, partitions, state, substitute
from support.photoz import FIELD, OTHER

Spoil: TypeAlias = Callable[[Path], object]
MEASURED = ("Z_PHOT", "Z_PHOT_LO68", "Z_PHOT_HI68", "Z_PHOT_LO95", "Z_PHOT_HI95", "Z_QUANTILES")
"""Columns that hold redshifts."""


@dataclass(frozen=True)
class Forgery:
    """What is done, and the checks that fail by it."""

    spoil: Spoil
    alone: set[str] = field(default_factory=set)
    """Checks of the release alone."""
    beside: set[str] = field(default_factory=set)
    """Checks that fail besides when its run and the attached table are there."""


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


def set_value(column: str, value: Callable[[Any], Any]) -> Spoil:
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
    change_statement(lambda said: said["flags"].update(EDGE=said["flags"].get("EDGE", 0) + 1))(
        folder
    )


def add_hdu(folder: Path) -> None:
    header = fits.Header([("XTENSION", "IMAGE"), ("BITPIX", 8), ("NAXIS", 0)])
    header.extend([("PCOUNT", 0), ("GCOUNT", 1), ("EXTNAME", "MORE")])
    with (folder / "sim.fits").open("r+b") as file:
        file.seek(0, 2)
        write_hdu(file, header)


def add_cards(table: str = "PHOTOZ", **cards: Any) -> Spoil:
    return lambda folder: forge_fits(folder, lambda rows: rows, cards, table)


def add_key(key: str, value: str) -> Spoil:
    return rewrite_part(
        lambda table: table.replace_schema_metadata({**table.schema.metadata, key.encode(): value})
    )


def move_area(folder: Path, elsewhere: bool = True) -> None:
    """A cell of the MOC without sources left out, and another one put in elsewhere."""
    path = folder / "sim_moc.fits"
    area = MOC.from_fits(path)
    far = MOC.from_healpix_cells(np.array([5]), np.array([14], np.uint8), 14)
    flat = area.flatten()
    opened = Opened(folder, read_provenance(folder), {})
    rows = pq.read_table(folder / "sim.parquet")
    ra, dec = (rows[name].to_numpy() * units.deg for name in ("RAJ2000", "DECJ2000"))
    held = MOC.from_lonlat(ra, dec, max_norder=14).flatten()
    dropped = np.setdiff1d(flat, held)[0]
    moved = MOC.from_healpix_cells(
        np.setdiff1d(flat, [dropped]), np.full(len(flat) - 1, 14, np.uint8), 14
    )
    path.unlink()
    write_moc(moved.union(far) if elsewhere else moved, path, opened.record)


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

    change_statement(change)(folder)
    opened = Opened(folder, read_provenance(folder), {})
    (folder / "sim_moc.fits").unlink()
    corners = [tile.footprint for tile in opened.provenance.tiles]
    write_moc(covered_area(corners), folder / "sim_moc.fits", opened.record)


def forget_area(folder: Path) -> None:
    def change(said: dict[str, Any]) -> None:
        said["area_deg2"] = None
        said["products"] = [one for one in said["products"] if "moc" not in one["path"]]

    change_statement(change)(folder)
    (folder / "sim_moc.fits").unlink()


def link(folder: Path) -> None:
    """A link to the file that was there."""
    path = folder / "sim.fits"
    path.rename(folder.parent / "elsewhere.fits")
    path.symlink_to(folder.parent / "elsewhere.fits")


def change_text(name: str, old: str, new: str) -> Spoil:
    return lambda folder: substitute(folder / name, old, new)


def change_statement(change: Callable[[dict[str, Any]], object]) -> Spoil:
    """Change provenance.json, and make anew what follows from it."""

    def spoil(folder: Path) -> None:
        state(folder, change)
        for name, text_of in COMPANIONS.items():
            (folder / name).write_text(text_of(read_provenance(folder)))

    return spoil


def lose_redshift(folder: Path) -> None:
    """A source that is said to have no redshift, with its flag, the count and the README."""
    row = rows_of(folder)[3]
    lost = bit("NO_REDSHIFT") - (row["PHOTOZ_FLAG"] & (bit("OUT_OF_DOMAIN") | bit("Z_LIMIT")))
    names = [name for name in row if name.startswith("Z_")]
    nothing = dict.fromkeys(names) | {"Z_QUANTILES": [None] * len(row["Z_QUANTILES"])}
    alike(folder, {row["ID"]: {**nothing, "PHOTOZ_FLAG": row["PHOTOZ_FLAG"] + lost}})
    number = read_provenance(folder).flags["NO_REDSHIFT"] + 1
    change_statement(lambda said: said["flags"].update(NO_REDSHIFT=number))(folder)


def drop_row(folder: Path) -> None:
    forge(folder, ["parquet", "fits"], drop=[rows_of(folder)[3]["ID"]])


def swap_values(column: str) -> Spoil:
    """Exchange the values of two sources in which they differ."""

    def spoil(folder: Path) -> None:
        first, *others = [row for row in rows_of(folder) if row[column] is not None]
        other = next(row for row in others if row[column] != first[column])
        values = {first["ID"]: {column: other[column]}, other["ID"]: {column: first[column]}}
        alike(folder, values)

    return spoil


def fill_with_null(column: str) -> Spoil:
    """Fill a null in Parquet with the number that means null in FITS."""

    def change(folder: Path) -> None:
        header = fits.getheader(folder / "sim.fits", "PHOTOZ")
        place = next(key for key, name in header["TTYPE*"].items() if name == column)
        row = next(row for row in rows_of(folder) if row[column] is None)
        null = header[place.replace("TTYPE", "TNULL")]
        forge(folder, ["parquet"], change={row["ID"]: {column: null}})

    return change


def fill_value(column: str, value: object) -> Spoil:
    """Give a value to a source that has none."""

    def spoil(folder: Path) -> None:
        rows = pq.read_table(folder / "sim.parquet").to_pylist()
        row = next(row for row in rows if row[column] is None)
        alike(folder, {row["ID"]: {column: value}})

    return spoil


def change_records(table: str, column: str, value: object) -> Spoil:
    """Another value in the first row of a table of the FITS file."""

    def change(rows: Any) -> Any:
        rows[column][0] = value
        return rows

    return lambda folder: forge_fits(folder, change, table=table)


def append_bytes(name: str) -> Spoil:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + bytes(2880))


def rewrite_part(change: Callable[[pa.Table], pa.Table]) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / "sim.parquet"
        pq.write_table(change(pq.read_table(path)), path)

    return spoil


def change_votable(old: str, new: str) -> Spoil:
    def change(table: pa.Table) -> pa.Table:
        key = b"IVOA.VOTable-Parquet.content"
        text = table.schema.metadata[key].decode()
        assert old in text
        said = {**table.schema.metadata, key: text.replace(old, new, 1).encode()}
        return table.replace_schema_metadata(said)

    return rewrite_part(change)


def into_parts(folder: Path) -> Path:
    """The catalogue in a folder of files, as a larger one is; the one file that it has."""
    part = folder / "sim_parquet" / "part-0000.parquet"
    part.parent.mkdir()
    (folder / "sim.parquet").rename(part)
    change_statement(lambda said: said["products"][0].update(path="sim_parquet"))(folder)
    return part


def add_empty_part(folder: Path) -> None:
    part = into_parts(folder)
    empty = pq.read_schema(part).empty_table()
    pq.write_table(empty, part.with_name("part-0001.parquet"))


def skip_a_number(folder: Path) -> None:
    part = into_parts(folder)
    part.rename(part.with_name("part-0007.parquet"))


def add_notes(folder: Path) -> None:
    into_parts(folder).with_name("notes.txt").write_text("mine")


def repeat_catalogue(folder: Path) -> None:
    """The catalogue as a folder of files beside the one file."""
    part = folder / "sim_parquet" / "part-0000.parquet"
    part.parent.mkdir()
    shutil.copy(folder / "sim.parquet", part)

    def list_both(said: dict[str, Any]) -> None:
        said["products"].insert(1, said["products"][0] | {"path": "sim_parquet"})

    change_statement(list_both)(folder)


def card_of_area(folder: Path) -> None:
    with fits.open(folder / "sim_moc.fits", mode="update", checksum=True) as hdus:
        hdus[1].header["AUTHOR"] = "me"


def shrink_area(folder: Path) -> None:
    """One cell less, with the size that is stated."""
    move_area(folder, elsewhere=False)

    def change(said: dict[str, Any]) -> None:
        area = MOC.from_fits(folder / "sim_moc.fits")
        said["area_deg2"] = round(square_degrees(area), 4)

    change_statement(change)(folder)


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "sim.pipe")


def change_map(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        with fits.open(folder / "sim_hats" / "sim" / name, mode="update") as hdus:
            hdus[1].data.field(hdus[1].data.names[-1])[0] += 1

    return spoil


def add_property(folder: Path) -> None:
    for name in ("properties", "hats.properties"):
        path = folder / "sim_hats" / "sim" / name
        path.write_text(path.read_text() + "hats_author_note=mine\nauthor=me\n")


def change_property(key: str, value: str) -> Spoil:
    def spoil(folder: Path) -> None:
        for name in ("properties", "hats.properties"):
            substitute(folder / "sim_hats" / "sim" / name, f"{key}=.*", f"{key}={value}")

    return spoil


def change_in_hats(folder: Path) -> None:
    forge(folder, ["hats"], change={rows_of(folder)[3]["ID"]: {"MASK": 1 << 3}})


def key_in_hats(folder: Path) -> None:
    path = partitions(folder)[0]
    table = pq.read_table(path, partitioning=None)
    said = {**table.schema.metadata, b"author": b"me"}
    pq.write_table(table.replace_schema_metadata(said), path)


def change_pdfs(change: Callable[[h5py.File], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        with h5py.File(folder / "sim_pdf.hdf5", "r+") as file:
            change(file)

    return spoil


def raise_density(file: h5py.File) -> None:
    file["data/yvals"][3, 4:8] *= 1.5


def separate_mode(file: h5py.File) -> None:
    """RAIL's name for the point estimate with values of its own."""
    values = file["ancil/Z_PHOT"][()] + 0.01
    del file["ancil/zmode"]
    file["ancil/zmode"] = values


RUN = {"release = run"}
TABLE = {"attached = table"}
STATED = {"provenance = run"}
FITS, PARQUET = {"provenance in FITS"}, {"provenance in Parquet"}

PLAIN: dict[str, Forgery] = {
    # values, alike in all products
    "two redshifts swapped": Forgery(swap_redshifts, set(), RUN),
    "a redshift shifted with all its quantiles": Forgery(shift_redshift, set(), RUN),
    "a redshift taken away, with flag and count": Forgery(lose_redshift, set(), RUN),
    "another bit of `MASK`": Forgery(set_value("MASK", lambda value: value ^ 1), set(), RUN),
    "another `Z_DOMAIN`": Forgery(set_value("Z_DOMAIN", lambda z: 0.999 * z), set(), RUN),
    "another magnitude": Forgery(set_value("MAG_AUTO_CALIB", lambda m: m + 0.1), set(), RUN),
    "another ID": Forgery(set_value("ID", lambda value: value + "0"), set(), RUN | TABLE),
    "a position within its cell": Forgery(set_value("RAJ2000", lambda ra: ra + 1e-12), set(), RUN),
    "a position in another cell": Forgery(
        set_value("RAJ2000", lambda ra: ra + 0.02), {"order of rows", "area"}, RUN
    ),
    "the tiles of two sources exchanged": Forgery(exchange_tiles, set(), RUN),
    "a flag, with its count": Forgery(set_flag, set(), RUN),
    "a row left out": Forgery(
        drop_row, {"rows of Parquet", "rows of each tile", "numbers of flags"}, RUN | STATED | TABLE
    ),
    "a kept column": Forgery(set_value("MAG_GAAP_r", lambda value: value + 0.1), set(), RUN),
    "two values of a kept column swapped": Forgery(swap_values("MAG_GAAP_r"), set(), RUN),
    "an attached column": Forgery(set_value("COUNT", lambda value: value + 1), set(), TABLE),
    "two values of an attached column swapped": Forgery(swap_values("COUNT"), set(), TABLE),
    "a missing value of an attached column filled": Forgery(fill_value("COUNT", 7), set(), TABLE),
    "a missing value in Parquet filled with TNULL of FITS": Forgery(
        fill_with_null("COUNT"), {"FITS = Parquet"}, TABLE
    ),
    # the area
    "an area with corners that nobody observed": Forgery(
        enlarge_area, set(), {"area = run"} | STATED
    ),
    "no area": Forgery(forget_area, set(), {"area = run"}),
    "cells of the MOC elsewhere": Forgery(move_area, {"covered area"}, {"area = run"}),
    "a cell less of the MOC, with its size": Forgery(shrink_area, {"covered area"}, {"area = run"}),
    "a card more in the MOC": Forgery(card_of_area, {"provenance in the MOC"}),
    # statements, with all that is made of provenance.json
    "the sha256 of a tile file": Forgery(
        change_statement(lambda said: said["tiles"][0].update(tile_file_sha256="0" * 64)),
        FITS,
        STATED,
    ),
    "another mask of the recommended cut": Forgery(
        change_statement(lambda said: said["science_cut"].update(mask=458752)),
        {"provenance complete"},
    ),
    "the publication": Forgery(
        change_statement(lambda said: said.update(reference="another")),
        FITS | PARQUET | {"VOTable in Parquet"},
    ),
    "the date": Forgery(
        change_statement(lambda said: said.update(date="2020-01-01T00:00:00")),
        FITS | {"provenance in the MOC"},
    ),
    "the authors": Forgery(change_statement(lambda said: said.update(authors=["M. E."]))),
    "a validation that was never made": Forgery(
        change_statement(lambda said: said.update(validation=[["bias", "0.0000"]])),
        set(),
        {"validation = run"},
    ),
    "a tile with an unusual zero-point": Forgery(
        change_statement(lambda said: said.update(deviant=[f"{OTHER} r 9 sigma"])), set(), STATED
    ),
    "a remark on a tile": Forgery(
        change_statement(lambda said: said["tiles"][0].update(remarks=["r light is off"])),
        FITS,
        STATED,
    ),
    "no word of remarks": Forgery(
        change_statement(lambda said: [tile.pop("remarks") for tile in said["tiles"]]),
        set(),
        STATED,
    ),
    "the number of duplicates": Forgery(
        change_statement(lambda said: said["duplicates"].update(sources=1)), set(), STATED
    ),
    "the rule for duplicates": Forgery(
        change_statement(lambda said: said["duplicates"].update(rule="the brightest")), FITS
    ),
    "the versions of the libraries": Forgery(
        change_statement(lambda said: said["run"].update(packages=["numpy 9.9"])),
        FITS | PARQUET | {"VOTable in Parquet"},
        STATED,
    ),
    "the rows of a product": Forgery(
        change_statement(lambda said: said["products"][1].update(rows=1)), {"products"}
    ),
    "what was asked for": Forgery(
        change_statement(lambda said: said["options"].update(formats=["parquet", "hats"])),
        {"products"},
    ),
    "how many sources have an attached row": Forgery(
        change_statement(lambda said: said["attached"][0].update(matched=1)),
        {"accounting"},
        TABLE,
    ),
    "the input files of a tile": Forgery(
        change_statement(lambda said: said["tiles"][0]["inputs"][0].update(bytes=1)), FITS, STATED
    ),
    "README.md": Forgery(change_text("README.md", "One row per source", "Some rows"), {"README"}),
    "CITATION.cff": Forgery(change_text("CITATION.cff", "sim", "mine"), {"CITATION.cff"}),
    "prov.json": Forgery(change_text("prov.json", "tiles merged", "tiles made"), {"prov.json"}),
    # FITS
    "an HDU more": Forgery(add_hdu, FITS),
    "a comment more": Forgery(add_cards(COMMENT="by me"), FITS),
    "a comment more in the table of input files": Forgery(
        add_cards("PROVENANCE", COMMENT="by me"), FITS
    ),
    "a line of history": Forgery(add_cards(HISTORY="by me"), FITS),
    "an unknown card": Forgery(add_cards(AUTHOR="me"), FITS),
    "the comment of a card": Forgery(add_cards(PZSIMUL=(True, "trained on galaxies")), FITS),
    "how a column is shown": Forgery(add_cards(TDISP6="F5.1"), {"columns of FITS"}),
    "an input file of the FITS table": Forgery(
        change_records("PROVENANCE", "FILE", "x.fits"), FITS
    ),
    "a setting in the FITS texts": Forgery(change_records("TEXTS", "TEXT", "all = true"), FITS),
    "bytes behind the last HDU": Forgery(append_bytes("sim.fits"), {"FITS checksums"}),
    # Parquet
    "an unknown key in Parquet": Forgery(add_key("author", "me"), PARQUET),
    "the length of a text in Parquet": Forgery(
        add_key("table::len::ID", "12"), {"VOTable in Parquet"}
    ),
    "the length of a column without texts": Forgery(add_key("table::len::MASK", "12"), PARQUET),
    "a type in the VOTable": Forgery(
        change_votable('datatype="double" name="RAJ2000"', 'datatype="float" name="RAJ2000"'),
        {"VOTable in Parquet"},
    ),
    "a meaning of a flag in the VOTable": Forgery(
        change_votable("bit 0: the stamp", "bit 0: a stamp"), {"VOTable in Parquet"}
    ),
    "a part without rows": Forgery(add_empty_part, {"columns of Parquet"}),
    "a part with another number": Forgery(skip_a_number, {"columns of Parquet"}),
    # the folder
    "a second catalogue": Forgery(repeat_catalogue, {"products"}),
    "a file in a sub-folder": Forgery(add_notes, {"products"}),
    "a hidden file": Forgery(lambda folder: (folder / ".notes").write_text("mine"), {"products"}),
    "an empty folder": Forgery(lambda folder: (folder / "more").mkdir(), {"no other files"}),
    "a link in place of a file": Forgery(link, {"no other files"}),
    "a pipe": Forgery(pipe, {"no other files"}),
}
"""Of a release in FITS and Parquet, with a kept and an attached column."""
FULL: dict[str, Forgery] = {
    "a value in HATS": Forgery(change_in_hats, {"HATS = Parquet"}),
    "the sky map of HATS": Forgery(change_map("skymap.fits"), {"maps of HATS"}),
    "the point map of HATS": Forgery(change_map("point_map.fits"), {"maps of HATS"}),
    "an unknown property of HATS": Forgery(add_property, {"provenance in HATS"}),
    "the column of positions in HATS": Forgery(
        change_property("hats_col_ra", "DECJ2000"), {"provenance in HATS"}
    ),
    "an unknown key in HATS": Forgery(key_in_hats, {"provenance in HATS"}),
    "a density of the PDFs": Forgery(change_pdfs(raise_density), {"PDFs = Parquet"}),
    "RAIL's point estimate in the PDFs": Forgery(change_pdfs(separate_mode), {"PDFs = Parquet"}),
    "another data set in the PDFs": Forgery(
        change_pdfs(lambda file: file.create_dataset("ancil/notes", data=[1])),
        {"provenance in the PDFs"},
    ),
    "an attribute within the PDFs": Forgery(
        change_pdfs(lambda file: file["data"].attrs.update(author="me")), {"provenance in the PDFs"}
    ),
    "how many PDFs were mended": Forgery(
        change_pdfs(lambda file: file.attrs.update(moved=5)), {"PDFs = Parquet"}
    ),
}
"""Of a release with every product."""
