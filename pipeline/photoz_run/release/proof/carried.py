"""What every file of a release says of how it was made is what ``provenance.json`` says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import tomli_w
from astropy.io import fits

from photoz_run.catalogue.fits_cards import printable
from photoz_run.catalogue.hats import properties
from photoz_run.catalogue.release_fits import release_cards
from photoz_run.catalogue.release_record import ReleaseRecord
from photoz_run.catalogue.tile_files import PROVENANCE_KEY
from photoz_run.release.proof.check import Check, verdict
from photoz_run.release.proof.streams import partitions


def check_parquet_statements(part: Path, record: ReleaseRecord) -> Check:
    """Compare the metadata of Parquet with the provenance."""
    found = _metadata(part)
    wrong = [
        f"{key} is {found.get(key)!r}"
        for key, text in record.metadata().items()
        if found.get(key) != text
    ]
    return verdict("provenance in Parquet", wrong, "as in provenance.json")


def check_fits_statements(path: Path, record: ReleaseRecord, made: Mapping[str, Any]) -> Check:
    """Compare the cards and the extensions of FITS with the provenance."""
    problems = []
    with fits.open(path) as hdus:
        for number in (0, 1):
            header = hdus[number].header
            for keyword, value, _ in release_cards(record):
                if header.get(keyword) != value:
                    problems.append(
                        f"{keyword} of HDU {number} is {header.get(keyword)!r}, not {value!r}"
                    )
        problems += _wrong_inputs(hdus["PROVENANCE"].data, made)
        problems += _wrong_texts(hdus["TEXTS"].data, made)
    return verdict("provenance in FITS", problems, "as in provenance.json, with every input file")


def check_hats_statements(folder: Path, record: ReleaseRecord, rows: int) -> Check:
    """Compare the properties and metadata of the HATS collection with the provenance, and its lists with its files."""
    catalogue = folder / record.name
    stated = {key: text for key, text in properties(record).items() if key.startswith("photoz_")}
    counted = {**stated, "hats_nrows": str(rows)}
    problems = []
    for path in (folder / "collection.properties", *folder.glob("*/*properties")):
        problems += _wrong_properties(path, counted if path.parent == catalogue else stated)
    found = partitions(catalogue)
    for one in found:
        if not _metadata(one.path).items() >= _prefixed(record.texts()).items():
            problems.append(f"the metadata of {one.path.name} are others")
    listed = (catalogue / "partition_info.csv").read_text().split()[1:]
    if sorted(listed) != sorted(f"{one.order},{one.cell}" for one in found):
        problems.append("partition_info.csv lists other partitions than there are")
    if pq.read_metadata(catalogue / "dataset" / "_metadata").num_rows != rows:
        problems.append(f"_metadata counts other rows than {rows:,}")
    return verdict("provenance in HATS", problems, "as in provenance.json")


def check_pdf_statements(path: Path, record: ReleaseRecord) -> Check:
    """Compare the attributes of the PDFs with the provenance; HDF5 leaves out texts that are too long for it."""
    import h5py

    with h5py.File(path) as file:
        found = {key: file.attrs[key] for key in file.attrs}
    texts = record.texts()
    wrong = [
        f"{key} is {found[key]!r}"
        for key, text in texts.items()
        if key in found and found[key] != text
    ]
    wrong += [
        f"{key} is missing"
        for key in ("release_name", "model_digest", "run_digest")
        if key not in found
    ]
    return verdict("provenance in the PDFs", wrong, "as in provenance.json")


def read_properties(path: Path) -> dict[str, str]:
    """The properties of a HATS file by name."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def _metadata(path: Path) -> dict[str, str]:
    """What a Parquet file says beside its columns."""
    return {
        key.decode(): value.decode() for key, value in (pq.read_schema(path).metadata or {}).items()
    }


def _prefixed(texts: Mapping[str, str]) -> dict[str, str]:
    return {f"{PROVENANCE_KEY.decode()}.{key}": text for key, text in texts.items()}


def _wrong_properties(path: Path, stated: Mapping[str, str]) -> list[str]:
    found = read_properties(path)
    return [
        f"{key} of {path.name} is {found.get(key)!r}"
        for key, text in stated.items()
        if found.get(key) != text
    ]


def _wrong_inputs(rows: Any, made: Mapping[str, Any]) -> list[str]:
    """Where the table of input files is not that of provenance.json."""
    release = ",".join(made["input_releases"])
    reasons = {one["tile"]: one["reason"] for one in made["missing"]}
    names = ("TILE", "RELEASE", "STATUS", "FILE", "INPUTS_DIGEST", "TILE_FILE_SHA256", "REASON")
    expected = [
        (tile["tile"], release, tile["status"], file["name"], tile["inputs_digest"], tile["tile_file_sha256"],
         reasons.get(tile["tile"], ""), file["bytes"])
        for tile in made["tiles"] for file in tile["inputs"]
    ]  # fmt: skip
    found = list(zip(*(rows[name].tolist() for name in (*names, "BYTES")), strict=True))
    if len(found) != len(expected):
        return [f"{len(found):,} input files, not {len(expected):,}"]
    return [
        f"the input file {there[3]} of {there[0]} is described otherwise"
        for here, there in zip(found, expected, strict=True)
        if here[:-1] != tuple(printable(text).rstrip() for text in there[:-1])
        or (there[-1] >= 0 and here[-1] != there[-1])
    ]


def _wrong_texts(rows: Any, made: Mapping[str, Any]) -> list[str]:
    """Where the texts of FITS are not what provenance.json says."""
    lines: dict[str, list[str]] = {}
    for name, line in zip(rows["NAME"].tolist(), rows["TEXT"].tolist(), strict=True):
        lines.setdefault(name, []).append(line)
    problems = []
    configuration = tomli_w.dumps(_without_none(made["run"]["config"])).splitlines()
    if lines["configuration"] != [printable(line) for line in configuration]:
        problems.append("the configuration in FITS is another one")
    if lines["accounting"] != [f"{name} {number}" for name, number in made["accounting"].items()]:
        problems.append("the accounting in FITS is another one")
    return problems


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(one) for key, one in value.items() if one is not None}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_none(one) for one in value]
    return value
