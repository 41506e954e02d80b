"""The comparison of two demonstrations sees every value, and no mere name of a version."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from compare_demos import compare

COMMITS = ("0123456789ab", "ba9876543210+")


def write(folder, commit, z=0.25, number=3, card="a", survey=b"pixels", column="Z_PHOT"):
    for name in ("survey", "run", "release"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "survey" / "tile.fits").write_bytes(survey)
    document = {
        "commit": commit,
        "seconds": len(commit),
        "rows": number,
        "config": {"release": None},
    }
    (folder / "release" / "provenance.json").write_text(json.dumps(document))
    table = pa.table({column: [z, float("nan"), None], "ID": ["a", "b", "c"]})
    said = {"photoz-run.commit": commit, "text": f"made by {commit}", "rows": str(number)}
    pq.write_table(table.replace_schema_metadata(said), folder / "run" / "tile.parquet")
    rows = np.array([(z, f"by {commit}"[:15])], [("Z", "f8"), ("TEXT", "U15")])
    hdu = fits.BinTableHDU(rows)
    hdu.header["CARD"] = card
    hdu.header["COMMIT"] = commit
    hdu.writeto(folder / "run" / "tile.fits", overwrite=True)
    return folder


@pytest.fixture
def old(tmp_path):
    return write(tmp_path / "old", COMMITS[0])


def test_another_commit_is_no_difference(old, tmp_path):
    new = write(tmp_path / "new", COMMITS[1][:12])
    assert list(compare(old, new)) == []


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"z": 0.25000000000000006}, {"tile.parquet: values of Z_PHOT", "tile.fits: HDU 1 Z"}),
        ({"number": 4}, {"provenance.json: rows", "tile.parquet: rows"}),
        ({"card": "b"}, {"tile.fits: HDU 1 CARD"}),
        ({"survey": b"pixelS"}, {"tile.fits: bytes"}),
        (
            {"column": "Z"},
            {
                f"tile.parquet: {what} {name}"
                for what in ("column", "values of")
                for name in ("Z", "Z_PHOT")
            },
        ),
    ],
)
def test_every_other_change_is_seen(old, tmp_path, change, seen):
    new = write(tmp_path / "new", COMMITS[0], **change)
    differences = {
        line.partition(": ")[0] + ": " + line.split(": ")[1] for line in compare(old, new)
    }
    assert {line.rpartition("/")[2] for line in differences} == seen


def test_a_file_that_only_one_has_is_seen(old, tmp_path):
    new = tmp_path / "new"
    shutil.copytree(old, new)
    (new / "run" / "more.json").write_text("{}")
    assert [line.split(":")[0] for line in compare(old, new)] == ["run/more.json"]
