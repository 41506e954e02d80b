"""The Parquet data set of a release: the rows in their order, in parts that describe them."""

import os
import subprocess
import sys
import warnings
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import votable
from astropy.table import Table

from photoz_run.catalogue.fits_columns import text_widths
from photoz_run.errors import BadDataError, ConfigError
from photoz_run.flags import FLAGS
from photoz_run.release.products.parquet import parts_in, write_release_parquet
from photoz_run.schema import COLUMNS, DESCRIPTIONS
from support.programs import needs
from support.release_rows import LEVELS, RECORD, RUN, release_rows, release_schema

N = 53
GROUP = 5


def write(folder: Path, rows: pa.Table, at_once: int = 7, record=RECORD) -> list[Path]:
    batches = (rows.slice(first, at_once) for first in range(0, len(rows), at_once))
    places = parts_in(folder / "SIM1_parquet")
    return write_release_parquet(
        places, rows.schema, batches, record, text_widths([rows]), group=GROUP
    )


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    return release_rows(N)


@pytest.fixture(scope="module")
def parts(tmp_path_factory, rows) -> list[Path]:
    return write(tmp_path_factory.mktemp("release"), rows)


@pytest.fixture(scope="module")
def metadata(parts) -> dict[str, bytes]:
    return {key.decode(): value for key, value in pq.read_metadata(parts[0]).metadata.items()}


@pytest.fixture(scope="module")
def described(metadata) -> votable.tree.VOTableFile:
    return votable.parse(BytesIO(metadata["IVOA.VOTable-Parquet.content"]), verify="exception")


def test_every_row_comes_back_in_its_order_with_its_nulls(parts, rows):
    back = pq.read_table(parts[0].parent)
    plain = rows.schema.set(rows.column_names.index("FIELD"), pa.field("FIELD", pa.string()))
    assert back.schema.equals(plain, check_metadata=False)
    for name in rows.column_names:
        values = rows[name].to_pylist()
        if name == "Z_QUANTILES":
            values = [[None] * len(LEVELS) if row is None else row for row in values]
        assert back[name].to_pylist() == values, name


def test_rows_stand_in_groups_and_groups_in_parts(parts):
    files = [pq.read_metadata(path) for path in parts]
    assert [path.name for path in parts] == [f"part-{k:04d}.parquet" for k in range(3)]
    assert sorted(parts[0].parent.iterdir()) == parts
    groups = [[file.row_group(k).num_rows for k in range(file.num_row_groups)] for file in files]
    assert groups == [[5] * 4, [5] * 4, [5, 5, 3]]
    used = {
        file.row_group(0).column(k).compression for file in files for k in range(file.num_columns)
    }
    assert used == {"ZSTD"}


@pytest.mark.parametrize("at_once", [1, GROUP, 20, N])
def test_the_same_rows_give_the_same_bytes_in_batches_of_any_size(tmp_path, parts, rows, at_once):
    assert [p.read_bytes() for p in write(tmp_path, rows, at_once)] == [
        p.read_bytes() for p in parts
    ]


def test_a_release_without_rows_is_one_part_without_rows(tmp_path):
    (part,) = write(tmp_path, release_rows(0))
    assert pq.read_table(part).num_rows == 0
    assert pq.read_schema(part).names == release_schema().names


def test_every_part_says_how_it_was_made(parts, metadata):
    said = {
        key.removeprefix("photoz-run."): value.decode()
        for key, value in metadata.items()
        if "photoz-run." in key
    }
    assert {
        key: said[key]
        for key in ("program", "version", "commit", "model", "model_digest", "config_digest")
    } == {
        "program": "photoz-run",
        "version": "1.2.3",
        "commit": "ba9876543210",
        "model": "closed-form",
        "model_digest": "ef" * 32,
        "config_digest": "cd" * 32,
    }
    assert (said["packages"], said["simulated_training"]) == (RUN.packages, "True")
    assert (said["release_name"], said["release"], said["tiles"]) == ("SIM1", "DR4,DR5", "2")
    assert (said["release_program"], said["release_commit"]) == (
        "photoz-run 1.2.4",
        "0123456789ab+",
    )
    assert (said["partial"], said["quarantined"], said["missing"]) == ("True", "KIDS_3.0_-31.2", "")
    assert "release_date" not in said
    for part in parts[1:]:
        others = pq.read_metadata(part).metadata
        assert {key: others[key.encode()] for key in metadata} == metadata


def test_fields_say_what_they_are(parts):
    arrow = pq.read_schema(parts[-1])
    for column in COLUMNS:
        about = arrow.field(column.name).metadata
        assert about[b"ucd"].decode() == column.ucd
        assert about[b"description"].decode() == column.description
        assert about.get(b"unit", b"").decode() == column.unit
        assert arrow.field(column.name).nullable is column.null
    assert arrow.field("Z_QUANTILES").metadata[b"levels"] == b"0.025,0.16,0.5,0.84,0.975"


def test_the_votable_describes_every_column_and_has_no_data(metadata, described, rows):
    assert metadata["IVOA.VOTable-Parquet.version"] == b"1.0"
    assert b"<DATA" not in metadata["IVOA.VOTable-Parquet.content"]
    table = described.get_first_table()
    assert [field.name for field in table.fields] == rows.column_names
    fields = {field.name: field for field in table.fields}
    types = {"f8": "double", "f4": "float", "i4": "int"}
    for column in COLUMNS:
        field = fields[column.name]
        texts = column.dtype.startswith("U")
        assert (field.datatype, field.arraysize) == (
            ("char", f"{column.length}*") if texts else (types[column.dtype], None)
        )
        assert (str(field.unit or ""), field.ucd, field.description) == (
            column.unit,
            column.ucd,
            column.description,
        )
    kinds = {
        "BIG": "long",
        "Flag": "short",
        "SHORT_U": "int",
        "STAR": "boolean",
        "THELI_NAME": "unicodeChar",
    }
    assert {name: fields[name].datatype for name in kinds} == kinds
    assert (fields["Z_QUANTILES"].datatype, fields["Z_QUANTILES"].arraysize) == (
        "float",
        str(len(LEVELS)),
    )
    assert (str(fields["FLUX"].unit), fields["FLUX"].ucd) == ("W / (Hz m2)", "phot.flux;em.opt")


def test_the_votable_knows_coordinates_flags_levels_and_provenance(described):
    (resource,) = described.resources
    assert resource.description == DESCRIPTIONS["photoz"]
    (system,) = resource.coordinate_systems
    assert system.system == "ICRS"
    table = described.get_first_table()
    assert table.name == "SIM1"
    assert [field.name for field in table.fields if field.ref == system.ID] == [
        "RAJ2000",
        "DECJ2000",
    ]
    infos = {info.name: info.value for info in table.infos}
    assert infos["photoz-run.model_digest"] == "ef" * 32
    assert infos["Z_QUANTILES.levels"] == "0.025,0.16,0.5,0.84,0.975"
    for flag in FLAGS:
        assert infos[f"PHOTOZ_FLAG.{flag.name}"] == f"bit {flag.bit}: {flag.description}"


def lint(folder: Path, part: Path) -> votable.tree.VOTableFile:
    """The part's VOTable, of which votlint must say nothing."""
    path = folder / "columns.vot"
    path.write_bytes(pq.read_metadata(part).metadata[b"IVOA.VOTable-Parquet.content"])
    needs("stilts")
    said = subprocess.run(
        ["stilts", "votlint", f"votable={path}"], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    return votable.parse(path)


@pytest.mark.parametrize("name", ["SIM1", '2nd <release> & "more"', "ID"])
def test_votlint_has_nothing_to_say(tmp_path, rows, name):
    (part, *_) = write(tmp_path, rows, record=replace(RECORD, name=name, quarantined=("é",)))
    assert lint(tmp_path, part).get_first_table().name == name


@pytest.mark.parametrize(
    ("unit", "ucd"), [("count per night", "Flux!"), ("1e-17 W/m2/nm", "phot.flux")]
)
def test_units_of_others_leave_the_votable_valid_and_stand_in_the_field(tmp_path, rows, unit, ucd):
    field = rows.schema.field("FLUX").with_metadata({"unit": unit, "ucd": ucd})
    index = rows.column_names.index("FLUX")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (part, *_) = write(tmp_path, rows.set_column(index, field, rows["FLUX"]))
    columns = lint(tmp_path, part).get_first_table().fields
    (described,) = (column for column in columns if column.name == "FLUX")
    known = unit.startswith("1e-17")
    assert (described.unit is not None, described.ucd) == (known, ucd if known else None)
    assert pq.read_schema(part).field("FLUX").metadata == {
        b"unit": unit.encode(),
        b"ucd": ucd.encode(),
    }


def test_astropy_reads_rows_of_all_kinds_with_units_and_descriptions(tmp_path, rows):
    """All but logicals with nulls, which astropy cannot join to a VOTable's."""
    rows = rows.drop_columns("STAR")
    parts = write(tmp_path, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = Table.read(parts[0], format="parquet.votable")
    assert table.colnames == rows.column_names
    for column in COLUMNS:
        assert str(table[column.name].unit or "") == column.unit
        assert table[column.name].description == column.description
    assert str(table["FLUX"].unit) == "W / (Hz m2)"
    some = rows.slice(0, len(table))
    assert len(table) == 4 * GROUP
    for name in ("ID", "RAJ2000", "PHOTOZ_FLAG"):
        assert table[name].tolist() == some[name].to_pylist()
    np.testing.assert_array_equal(table["Z_PHOT"], some["Z_PHOT"].fill_null(np.nan).to_numpy())
    assert table["Z_QUANTILES"].shape == (len(table), len(LEVELS))
    assert (
        np.isnan(table["Z_QUANTILES"]).all(axis=1).tolist()
        == some["Z_QUANTILES"].is_null().to_pylist()
    )


def test_a_null_where_none_may_be_is_refused(tmp_path, rows):
    index = rows.column_names.index("PHOTOZ_FLAG")
    spoilt = rows.set_column(
        index, rows.schema.field(index), [pa.array([None] + [0] * (N - 1), pa.int32())]
    )
    with pytest.raises(
        BadDataError, match="column PHOTOZ_FLAG: 1 rows have no value, and every row must have one"
    ):
        write(tmp_path, spoilt)


def test_a_type_that_no_catalogue_has_is_refused(tmp_path):
    arrow = release_schema().append(pa.field("WHEN", pa.timestamp("s")))
    with pytest.raises(ConfigError, match="column WHEN: FITS has no column type for timestamp"):
        write_release_parquet(iter([tmp_path / "x.parquet"]), arrow, iter(()), RECORD, {})
    assert not list(tmp_path.iterdir())


def test_memory_does_not_grow_with_the_rows(tmp_path):
    """Two million rows, made as they are written: 190 MB in memory take less than half of that."""
    rows, at_once = 2_000_000, 50_000
    command = [
        sys.executable,
        "-m",
        "support.release_rows",
        "parquet",
        str(tmp_path),
        str(rows),
        str(at_once),
    ]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    environment = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    grew = int(
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    )
    assert (
        sum(pq.read_metadata(part).num_rows for part in (tmp_path / "stream_parquet").iterdir())
        == rows
    )
    rows_at_once = release_rows(at_once, kept=False, quantiles=False)
    assert grew < rows_at_once.nbytes * (rows / at_once) / 2
