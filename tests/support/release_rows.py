"""Rows of a release catalogue with every kind of column and null, and its record."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from photoz_run.catalogue.provenance import Provenance
from photoz_run.catalogue.table import dictionary_schema
from photoz_run.release.products.fits import write_release_fits
from photoz_run.release.products.parquet import parts_in, write_release_parquet
from photoz_run.release.record import ReleaseRecord, text_rows

LEVELS = (0.025, 0.16, 0.5, 0.84, 0.975)
RUN = Provenance(
    program="photoz-run",
    version="1.2.3",
    commit="ba9876543210",
    packages="numpy 2.4.6, astropy 8.0.2, pyarrow 26.0.1, fitsio 1.4.2, onnxruntime-gpu 1.31.1",
    run_digest="ab" * 32,
    config_digest="cd" * 32,
    model="closed-form",
    model_version="7",
    model_digest="ef" * 32,
    model_training="the model's training set",
    simulated_training=True,
)
RECORD = ReleaseRecord(
    name="SIM1",
    run=RUN,
    program="photoz-run 1.2.4",
    commit="0123456789ab+",
    date="2026-11-23T12:00:00",
    input_releases=("DR4", "DR5"),
    tiles=2,
    quarantined=("KIDS_3.0_-31.2",),
)
KEPT = {
    "SeqNr": pa.int32(),
    "BIG": pa.int64(),
    "Flag": pa.int16(),
    "BYTE": pa.uint8(),
    "SHORT_U": pa.uint16(),
    "INT_U": pa.uint32(),
    "SMALL": pa.int8(),
    "STAR": pa.bool_(),
    "Z_B": pa.float64(),
    "FLUX": pa.float32(),
    "THELI_NAME": pa.string(),
    "FIELD": pa.dictionary(pa.int32(), pa.string()),
}
"""Columns that the dictionary does not know, one of each type that a table of others may have."""


def kept_values(n: int) -> dict[str, list[object]]:
    """Values at the ends of each type's range, every third one null."""
    ends: dict[str, tuple[object, object]] = {
        "SeqNr": (-(2**31) + 1, 2**31 - 1),
        "BIG": (-(2**63) + 1, 2**63 - 1),
        "Flag": (-(2**15) + 1, 2**15 - 1),
        "BYTE": (0, 255),
        "SHORT_U": (0, 2**16 - 1),
        "INT_U": (0, 2**32 - 1),
        "SMALL": (-128, 127),
        "STAR": (True, False),
        "Z_B": (1e-300, -1 / 3),
        "FLUX": (2.5e-7, -3.0e30),
        "THELI_NAME": ("a", "it's a longer name"),
        "FIELD": ("G9", "G23"),
    }
    return {
        name: [None if k % 3 == 2 else pair[k % 3] for k in range(n)] for name, pair in ends.items()
    }


def release_schema(kept: bool = True, quantiles: bool = True) -> pa.Schema:
    fields = list(dictionary_schema("photoz"))
    if kept:
        about = {"description": "of the input catalogue"}
        fields += [pa.field(name, kind, True, about) for name, kind in KEPT.items()]
        fields[-3] = fields[-3].with_metadata(
            about | {"unit": "W/m2/Hz", "ucd": "phot.flux;em.opt"}
        )
    if quantiles:
        (field,) = dictionary_schema("on_request")
        about = {key.decode(): value.decode() for key, value in field.metadata.items()}
        levels = {"levels": ",".join(f"{level:g}" for level in LEVELS)}
        fields.append(
            pa.field(field.name, pa.list_(pa.float32(), len(LEVELS)), True, about | levels)
        )
    return pa.schema(fields)


def release_rows(n: int, first: int = 0, kept: bool = True, quantiles: bool = True) -> pa.Table:
    """``n`` rows of which every third lacks all that may be null."""
    arrow = release_schema(kept, quantiles)
    number_N = np.arange(first, first + n)
    lacking_N = number_N % 3 == 2
    z_N = (0.001 * (number_N % 1000) + 1e-7).astype(np.float32)
    text = pa.array(number_N).cast(pa.string())
    columns = {
        "ID": pc.binary_join_element_wise("KiDSDR5 J", text, ""),
        "RAJ2000": pa.array((number_N * 0.0037) % 360),
        "DECJ2000": pa.array(-31 + (number_N * 0.00091) % 1),
        "KIDS_TILE": pa.array(["KIDS_1.0_-31.2"] * n, pa.string()),
        "PHOTOZ_FLAG": pa.array(np.where(lacking_N, 1 << 18, 0).astype(np.int32)),
        "MASK": pa.array((number_N % 2**15).astype(np.int32), mask=lacking_N),
    }
    if kept:
        columns |= {name: pa.array(values, KEPT[name]) for name, values in kept_values(n).items()}
    if quantiles:
        flat = pa.array((z_N[:, None] + np.array(LEVELS, np.float32) - 0.5).ravel())
        columns["Z_QUANTILES"] = pa.FixedSizeListArray.from_arrays(
            flat, len(LEVELS), mask=pa.array(lacking_N)
        )
    for name in arrow.names:
        columns.setdefault(name, pa.array(z_N, mask=lacking_N))
    return pa.Table.from_arrays([columns[name] for name in arrow.names], schema=arrow)


def provenance_rows() -> pa.Table:
    """Two tiles that are in the catalogue, one that is not."""
    good = {
        "RELEASE": "DR4",
        "STATUS": "DONE",
        "INPUTS_DIGEST": "12" * 32,
        "TILE_FILE_SHA256": "34" * 32,
        "REASON": "",
    }
    bad = good | {"STATUS": "QUARANTINED", "TILE_FILE_SHA256": "", "REASON": "naïve\nheader"}
    rows = [
        {
            "TILE": "KIDS_1.0_-31.2",
            "FILE": "KiDS_DR4.0_1.0_-31.2_r_sci.fits",
            "BYTES": 2**40,
            **good,
        },
        {"TILE": "KIDS_2.0_-31.2", "FILE": "KiDS_DR4.0_2.0_-31.2_r_sci.fits", "BYTES": 17, **good},
        {"TILE": "KIDS_3.0_-31.2", "FILE": "KiDS_DR4.0_3.0_-31.2_r_sci.fits", "BYTES": None, **bad},
    ]
    return pa.Table.from_pylist(rows, schema=dictionary_schema("provenance"))


CONFIGURATION = 'data = ["/données/KiDS"]\n\n# a comment\nmodel = "hybrid-sim"\n'
EXTENSIONS = {
    "provenance": provenance_rows(),
    "texts": text_rows(
        [("configuration", CONFIGURATION.splitlines()), ("packages", RUN.packages.splitlines())]
    ),
}


def stream(kind: str, folder: Path, rows: int, at_once: int) -> int:
    """Write ``rows`` rows that are made meanwhile; how many bytes the process grew by."""

    def batches() -> Iterator[pa.Table]:
        for first in range(0, rows, at_once):
            yield release_rows(at_once, first, kept=False, quantiles=False)

    next(batches())
    arrow = release_schema(kept=False, quantiles=False)
    before = peak_bytes()
    if kind == "fits":
        write_release_fits(folder / "stream.fits", arrow, rows, batches(), RECORD, EXTENSIONS, {})
    else:
        write_release_parquet(
            parts_in(folder / "stream_parquet"), arrow, batches(), RECORD, {}, group=2 * at_once
        )
    return peak_bytes() - before


def peak_bytes() -> int:
    """The most memory this process ever had.

    getrusage would tell that of the process that started it, if that was larger.
    """
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].removesuffix("kB")) * 1024


if __name__ == "__main__":
    print(stream(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
