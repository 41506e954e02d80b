"""Spoiling a release: by accident, or as a forger who keeps files readable and sums right."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits

from photoz_run.catalogue.fits_stream import write_hdu
from photoz_run.release.folder import write_sums

PRODUCTS = ("parquet", "fits", "hats", "pdf")
NAME = "sim"


def flip_byte(path: Path, place: float = 0.5, mask: int = 1) -> None:
    """Flip bits of the byte at this part of a file."""
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= mask
    path.write_bytes(bytes(content))


def partitions(folder: Path) -> list[Path]:
    return sorted((folder / f"{NAME}_hats" / NAME / "dataset").rglob("Npix=*.parquet"))


def ids(folder: Path) -> list[str]:
    """The IDs of the release in its order."""
    return pq.read_table(folder / f"{NAME}.parquet", columns=["ID"])["ID"].to_pylist()


def forge(
    folder: Path,
    products: Sequence[str] = PRODUCTS,
    drop: Sequence[str] = (),
    change: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Drop rows and change values, by ID, in some or all products; else files stay in order."""
    order = ids(folder)
    if "parquet" in products:
        _forge_parquet(folder / f"{NAME}.parquet", drop, change or {})
    if "hats" in products:
        for path in partitions(folder):
            _forge_parquet(path, drop, change or {})
    if "fits" in products:
        forge_fits(folder, lambda rows: _forge_records(rows, drop, change or {}))
    if "pdf" in products:
        _forge_pdf(folder / f"{NAME}_pdf.hdf5", [one for one in order if one not in drop])


def forge_fits(
    folder: Path,
    change: Callable[[Any], Any],
    cards: Mapping[str, Any] | None = None,
    table: str = "PHOTOZ",
) -> None:
    """Rewrite the FITS file with right sums; ``change`` makes other records of those of a table."""
    path = folder / f"{NAME}.fits"
    content = path.read_bytes()
    with fits.open(path) as hdus, (folder / "forged").open("wb") as file:
        for hdu in hdus:
            header, start = hdu.header.copy(), hdu.fileinfo()["datLoc"]
            data = content[
                start : start + hdu.header.get("NAXIS1", 0) * hdu.header.get("NAXIS2", 0)
            ]
            if hdu.name == table:
                rows = change(
                    np.frombuffer(data, np.dtype(hdu.columns.dtype).newbyteorder(">")).copy()
                )
                data = rows.tobytes()
                header.update(cards or {})
                header["NAXIS2"] = len(rows)
            write_hdu(file, header, [data])
    (folder / "forged").replace(path)


def resum(folder: Path) -> None:
    """Write SHA256SUMS anew."""
    (folder / "SHA256SUMS").unlink(missing_ok=True)
    write_sums(folder)


def describe(path: Path, column: str, **said: str) -> None:
    """Change what a Parquet file says of a column."""
    table = pq.read_table(path, partitioning=None)
    index = table.schema.get_field_index(column)
    field = table.schema.field(index)
    about = {**{k.decode(): v.decode() for k, v in (field.metadata or {}).items()}, **said}
    fields = table.schema.set(index, field.with_metadata(about))
    pq.write_table(table.cast(fields), path, compression="zstd")


def state(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change what provenance.json says."""
    path = folder / "provenance.json"
    provenance = json.loads(path.read_text())
    change(provenance)
    path.write_text(json.dumps(provenance, indent=1) + "\n")


def substitute(path: Path, old: str, new: str) -> None:
    """Change a text file."""
    text, number = re.subn(old, new, path.read_text())
    assert number, f"{old} does not stand in {path}"
    path.write_text(text)


def _forge_parquet(
    path: Path, drop: Sequence[str], change: Mapping[str, Mapping[str, Any]]
) -> None:
    table = pq.read_table(path, partitioning=None)
    rows = [row | change.get(row["ID"], {}) for row in table.to_pylist() if row["ID"] not in drop]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path, compression="zstd")


def _forge_records(rows: Any, drop: Sequence[str], change: Mapping[str, Mapping[str, Any]]) -> Any:
    names = np.char.rstrip(np.asarray(rows["ID"]).astype("U"))
    for name, values in change.items():
        for column, value in values.items():
            rows[column][names == name] = np.nan if value is None else value
    return rows[~np.isin(names, list(drop))]


def _forge_pdf(path: Path, order: Sequence[str]) -> None:
    """Keep the distributions of the rows of ``order``, which are left of the catalogue."""
    with h5py.File(path, "r+") as file:
        names = file["ancil/ID"][()].astype("U")
        keep_N = np.isin(names, order)
        kept = {
            name: file[name][()][keep_N]
            for name in ("data/xvals", "data/yvals", "ancil/ID", "ancil/Z_PHOT")
        }
        kept["ancil/ROW"] = np.array([order.index(name) for name in names[keep_N]])
        for name, values in kept.items():
            file[name].resize(len(values), axis=0)
            file[name][:] = values
