"""Whether two demonstrations hold the same survey, catalogue, release and metrics.

    python tests/compare_demos.py OLD NEW        # two folders that `make demo` has made

Compares every file of the survey byte for byte; of tables the values, columns and statements; of
FITS files the data and cards; of JSON documents every field. What may differ between versions of
the program is named in ``ALLOWED`` and ``RENAMED``. Prints each other difference; exit status 1 if
there is one.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from astropy.io import fits

ALLOWED = {
    # the program
    "program", "version", "commit", "release_commit", "python", "packages", "schema",
    "schema_version",
    # the moment and the machine
    "date", "started", "ended", "seconds", "host", "modified_ns", "tiles_per_hour",
    "galaxies_per_second",
    # digests of settings with their names, of inputs with their times, of files with these in them
    "config_digest", "run_digest", "inputs_digest", "inputs_digests", "sha256",
    "tile_file_sha256", "files", "checksum", "datasum",
    # what a schema has lost: it was always empty
    "note",
}  # fmt: skip
RENAMED = {"release": "data_release", "data_releases": "data_release"}
"""Fields that had, or have, another name in some version."""
SHORTEST = 12
"""Characters of a value that may differ and is looked for in texts, too; a commit has twelve."""

Flat = dict[str, Any]


def main(old: Path, new: Path) -> int:
    """Print the differences; their number."""
    differences = list(compare(old, new))
    print(*differences, sep="\n")
    print(f"{len(differences)} differences between {old} and {new}")
    return len(differences)


def compare(old: Path, new: Path) -> Iterator[str]:
    """Every difference, with its file."""
    names = [{path.relative_to(folder) for path in files(folder)} for folder in (old, new)]
    for name in sorted(names[0] ^ names[1]):
        yield f"{name}: only in {old if name in names[0] else new}"
    mask_old, mask_new = varying(old), varying(new)
    for name in sorted(names[0] & names[1]):
        before, after = contents(old / name, mask_old), contents(new / name, mask_new)
        for field in sorted(before.keys() | after.keys()):
            if before.get(field) != after.get(field):
                yield f"{name}: {field}: {short(before.get(field))} -> {short(after.get(field))}"


def files(folder: Path) -> Iterator[Path]:
    """The files that are compared: not logs, drawings and texts that repeat the others."""
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in (".log", ".png", ".pdf", ".html", ".md"):
            yield path


def varying(folder: Path) -> re.Pattern[str]:
    """The values of the fields that may differ, as they also stand in texts."""
    values: set[str] = set()
    for path in folder.rglob("*.json"):
        for name, value in leaves(json.loads(path.read_text())):
            if may_differ(name) and isinstance(value, str) and len(value) >= SHORTEST:
                values.add(value)
    # The longest first: a commit may be the beginning of another one with a plus sign.
    return re.compile("|".join(map(re.escape, sorted(values, key=len, reverse=True))))


def contents(path: Path, mask: re.Pattern[str]) -> Flat:
    """What a file says, field by field, without what may differ."""
    if "survey" in path.parts:
        return {"bytes": path.read_bytes()}
    if path.suffix == ".json":
        said = flat(json.loads(path.read_text()))
    elif path.suffix == ".parquet":
        said = of_parquet(path)
    elif path.suffix == ".fits":
        said = of_fits(path)
    elif path.name == "SHA256SUMS":
        said = {"files": sorted(line.split()[-1] for line in path.read_text().splitlines())}
    else:
        said = {f"line {number}": line for number, line in enumerate(path.read_text().splitlines())}
    return {
        name: mask.sub("<varies>", value) if isinstance(value, str) else value
        for name, value in said.items()
    }


def flat(document: Any) -> Flat:
    """The leaves of a document by their path, but those that may differ."""
    return {name: value for name, value in leaves(document) if not may_differ(name)}


def may_differ(name: str) -> bool:
    """Whether a part of the path of a leaf is one of ``ALLOWED``."""
    return not ALLOWED.isdisjoint(name.lower().split("."))


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a JSON document with their path, under their present names."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        value = json.loads(value)
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, Mapping):
        yield name, value
        return
    for key, part in value.items():
        present = RENAMED.get(str(key), str(key))
        yield from leaves(part, f"{name}.{present}".lstrip("."))


def of_parquet(path: Path) -> Flat:
    """Columns with their values, types and statements, and the statements of the table."""
    table = pq.read_table(path)
    said: Flat = {}
    for field in table.schema:
        column = table.column(field.name)
        said[f"column {field.name}"] = (str(field.type), field.nullable, statements(field.metadata))
        # As text, in which a float is exact and NaN is equal to itself.
        said[f"values of {field.name}"] = repr(column.to_pylist())
    return said | statements(table.schema.metadata)


def statements(metadata: Mapping[bytes, bytes] | None) -> Flat:
    """Key-value metadata, those that are JSON by their fields."""
    texts = {
        key.decode(): value.decode(errors="replace") for key, value in (metadata or {}).items()
    }
    return flat({name: text for name, text in texts.items() if name != "ARROW:schema"})


def of_fits(path: Path) -> Flat:
    """Cards and data of each HDU; texts apart from numbers, for they may name the commit."""
    said: Flat = {}
    with fits.open(path) as hdus:
        for number, hdu in enumerate(hdus):
            name = f"HDU {number}"
            for key in dict.fromkeys(hdu.header):
                if not may_differ(key):
                    said[f"{name} {key}"] = repr(hdu.header[key])
            if isinstance(hdu, fits.BinTableHDU):
                said |= {f"{name} {field}": column(hdu.data[field]) for field in hdu.columns.names}
            elif hdu.data is not None:
                said[f"{name} data"] = hdu.data.tobytes()
    return said


def column(values: Any) -> Any:
    """The values of a column of a FITS table: texts as they are, numbers as their bytes."""
    return repr(values.tolist()) if values.dtype.kind in "SUO" else values.tobytes()


def short(value: Any) -> str:
    """A value in few words."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = repr(value)
    return text if len(text) <= 90 else f"{text[:80]} ... ({len(text)} characters)"


if __name__ == "__main__":
    sys.exit(bool(main(*map(Path, sys.argv[1:3]))))
