"""Whether two demonstrations hold the same survey, catalogue, release and metrics.

    python tests/compare_demos.py OLD NEW        # two folders that `make demo` has made

Compares every file of the survey byte for byte; of tables the values, columns and statements; of FITS files the data
and cards; of JSON documents every field. What may differ between versions of the program is named in ``ALLOWED`` and
``RENAMED``. Prints each other difference; exit status 1 if there is one.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from astropy.io import fits

ALLOWED = {
    # the program
    "program", "version", "commit", "python", "packages", "schema", "schema_version", "creator",
    # the moment and the machine
    "date", "started", "ended", "seconds", "host", "tiles_per_hour", "galaxies_per_second",
    # digests of the above, and of files that hold them
    "config_digest", "run_digest", "sha256", "checksum", "datasum",
}  # fmt: skip
RENAMED = {"release": "data_release", "input_releases": "data_releases"}
"""Fields by their old name."""

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
    for name in sorted(names[0] & names[1]):
        before, after = contents(old / name), contents(new / name)
        for field in sorted(before.keys() | after.keys()):
            if before.get(field) != after.get(field):
                yield f"{name}: {field}: {short(before.get(field))} -> {short(after.get(field))}"


def files(folder: Path) -> Iterator[Path]:
    """The files that are compared: all but logs, drawings and texts that say what the others say."""
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in (".log", ".png", ".pdf", ".html", ".md"):
            yield path


def contents(path: Path) -> Flat:
    """What a file says, field by field, without what may differ."""
    if "survey" in path.parts:
        return {"bytes": path.read_bytes()}
    if path.suffix == ".json":
        return flat(json.loads(path.read_text()))
    if path.suffix == ".parquet":
        return of_parquet(path)
    if path.suffix == ".fits":
        return of_fits(path)
    if path.name == "SHA256SUMS":
        return {"files": sorted(line.split()[-1] for line in path.read_text().splitlines())}
    return {f"line {number}": line for number, line in enumerate(path.read_text().splitlines())}


def flat(value: Any, name: str = "") -> Flat:
    """The leaves of a JSON document by their path, under their present names."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        value = json.loads(value)
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, Mapping):
        return {name: value}
    leaves: Flat = {}
    for key, part in value.items():
        present = RENAMED.get(str(key), str(key))
        if present.lower() not in ALLOWED:
            leaves |= flat(part, f"{name}.{present}".lstrip("."))
    return leaves


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
    """Of each HDU the bytes of its data and its cards."""
    said: Flat = {}
    with fits.open(path) as hdus:
        for number, hdu in enumerate(hdus):
            name = f"HDU {number}"
            for key, value in hdu.header.items():
                if key.lower() not in ALLOWED:
                    said.setdefault(f"{name} {key}", []).append(value)
            said[f"{name} data"] = None if hdu.data is None else hdu.data.tobytes()
    return said


def short(value: Any) -> str:
    """A value in few words."""
    text = f"{len(value)} bytes" if isinstance(value, bytes) else repr(value)
    return text if len(text) < 90 else f"{text[:80]} ... ({len(text)} characters)"


if __name__ == "__main__":
    sys.exit(bool(main(*map(Path, sys.argv[1:3]))))
