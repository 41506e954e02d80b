"""The same data in every container: validation, training and attached columns are identical."""

import gzip
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn, Table

from photoz_run.release.attach import attach
from photoz_run.training.labelled import from_table
from photoz_run.validation.settings import SpecSettings, ValidationSettings
from photoz_run.validation.validate import validate

N = 240
CONTAINERS = ("fits", "fits.gz", "parquet", "hats", "csv", "ecsv", "vot", "dat")


def columns() -> Table:
    """Galaxies with photo-z and spec-z; every tenth has no spec-z, every twelfth is bad."""
    rng = np.random.default_rng(4)
    number = np.arange(N)
    z = np.round(0.05 + rng.random(N) / 2, 4)
    missing = number % 10 == 3
    return Table(
        {
            "ID": [f"G{k:04d}" for k in number],
            "RA": 180 + number % 20 / 50,
            "DEC": number // 20 / 50,
            "Z": MaskedColumn(np.where(missing, -99.0, z), mask=missing),
            "Z_PHOT": np.round(z + rng.normal(0, 0.02, N), 4),
            "NQ": MaskedColumn(np.where(number % 12 == 5, 1, 4), mask=number % 40 == 1),
            "OBJID": MaskedColumn(2**50 + number, mask=missing),
            "MAG_r": np.round(20 - rng.exponential(1, N), 3),
            "FIELD": [f"F{k % 5}" for k in number],
        }
    )


def write(folder, container):
    """The file or folder of the table in a container."""
    table, path = columns(), folder / f"t.{container}"
    if container == "hats":
        place = path / "dataset" / "Norder=1" / "Dir=0"
        place.mkdir(parents=True)
        for pixel, rows in enumerate((slice(0, 100), slice(100, None))):
            pq.write_table(_arrow(table[rows]), place / f"Npix={pixel}.parquet")
        pq.write_table(_arrow(table[:5]), path / "dataset" / "data_thumbnail.parquet")
        (path / "hats.properties").write_text("dataproduct_type=object\n")
    elif container == "parquet":
        pq.write_table(_arrow(table), path)
    elif container == "vot":
        table.write(path, format="votable")
    elif container == "dat":
        table.write(path, format="ascii.commented_header")
    else:
        table.write(path)
    return path


def _arrow(table):
    return pa.table(
        {
            name: pa.array(np.asarray(table[name]), mask=np.ma.getmaskarray(table[name]))
            for name in table.colnames
        }
    )


def results(path):
    """What the three commands make of a table, without what names its file."""
    spectra = SpecSettings(file=path, name="S")
    settings = ValidationSettings(specz=(spectra,), weight="MAG_r", select="NQ >= 1")
    result, pairs = validate(path, settings)
    specz = {name: (one.dropped, one.columns.quality) for name, one in result.specz.items()}
    validated = (
        result.rows,
        result.counts,
        result.overall.n,
        specz,
        {name: values.tolist() for name, values in pairs.columns.items()},
    )
    remarks = []
    examples = from_table(SpecSettings(file=path, z="Z"), {"r": "MAG_r"}, False, remarks.append)
    trained = (examples.magnitudes_NB.tolist(), examples.z_N.tolist(), len(remarks))
    sources = columns()[["ID", "RA", "DEC"]][::-3]
    sources.rename_columns(["RA", "DEC"], ["RAJ2000", "DECJ2000"])
    joined = {}
    for by in ("id", "position"):
        attachment = attach(path, by, ["Z", "NQ", "OBJID", "FIELD"], [])
        joined[by] = attachment.add("T", _arrow(sources)).to_pydict()
    return validated, trained, joined


@cache
def expected_counts():
    """Good rows by numpy alone."""
    table = columns()
    good = (np.ma.filled(table["NQ"], 0) > 2) & ~np.ma.getmaskarray(table["Z"])
    return int(good.sum())


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return results(write(tmp_path_factory.mktemp("reference"), "parquet"))


def test_the_results_are_right(reference):
    (_, counts, number, _, _), (magnitudes, _, _), joined = reference
    assert counts.pairs == number == len(magnitudes) == expected_counts()
    rows = columns()[::-3]
    assert joined["id"] == joined["position"]
    missing = [value is None for value in joined["id"]["OBJID"]]
    assert missing == np.ma.getmaskarray(rows["OBJID"]).tolist()
    assert joined["id"]["FIELD"] == rows["FIELD"].tolist()


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_gives_the_same_results(tmp_path, reference, container):
    assert results(write(tmp_path, container)) == reference


def test_text_packed_with_gzip_gives_the_same_results(tmp_path, reference):
    path = write(tmp_path, "csv")
    packed = tmp_path / "packed.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert results(packed) == reference
