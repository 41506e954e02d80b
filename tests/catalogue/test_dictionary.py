"""The column dictionary: valid Felis, complete, the source of every column that is written."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from astropy import units
from click.testing import CliRunner
from felis import Schema
from felis.cli import cli

from photoz_run import schema
from photoz_run.catalogue.fits_cards import LONGEST
from photoz_run.catalogue.table import dictionary_schema

ALL = [column for columns in schema.TABLES.values() for column in columns]


def test_felis_finds_nothing_wrong():
    checks = ["--check-description", "--check-tap-principal", "--check-redundant-datatypes"]
    said = CliRunner().invoke(cli, ["validate", *checks, str(schema.DICTIONARY)])
    assert said.exit_code == 0, said.output


def test_felis_finds_what_is_wrong(tmp_path):
    spoilt = tmp_path / "columns.yaml"
    spoilt.write_text(
        schema.DICTIONARY.read_text().replace("src.redshift.phot;stat.min", "src.redshift.photo")
    )
    said = CliRunner().invoke(cli, ["validate", str(spoilt)])
    assert said.exit_code != 0
    assert "Invalid IVOA UCD" in said.output


def test_the_program_reads_what_felis_reads():
    names = {"double": "f8", "float": "f4", "int": "i4", "long": "i8", "text": "U"}
    for table in Schema.from_uri(str(schema.DICTIONARY), context={"id_generation": True}).tables:
        assert table.description == schema.DESCRIPTIONS[table.name]
        for felis, column in zip(table.columns, schema.TABLES[table.name], strict=True):
            assert (felis.name, felis.nullable, felis.ivoa_ucd) == (
                column.name,
                column.null,
                column.ucd,
            )
            assert (felis.description, felis.fits_tunit or "") == (column.description, column.unit)
            assert bool(felis.tap_principal) is column.principal
            assert names.get(str(felis.datatype), f"U{felis.length}") == column.dtype


@pytest.mark.parametrize("column", ALL, ids=lambda column: column.name)
def test_each_column_is_described_within_the_limits_of_fits(column):
    assert column.name.isidentifier()
    assert column.name.isascii()
    assert 8 <= len(column.description) <= LONGEST
    assert column.description.isascii()
    assert len(column.ucd) <= LONGEST
    assert not column.unit or units.Unit(column.unit, format="fits")


def test_a_source_has_one_identifier_and_one_position():
    assert schema.with_ucd("meta.id;meta.main").name == "ID"
    assert schema.with_ucd("pos.eq.ra;meta.main").name == "RAJ2000"
    assert schema.with_ucd("pos.eq.dec;meta.main").name == "DECJ2000"
    with pytest.raises(ValueError, match="unpack"):
        schema.with_ucd("meta.code.qual")


def test_the_columns_of_the_catalogue_are_those_agreed_in_their_order():
    assert [column.name for column in schema.COLUMNS] == [
        *(
            "ID",
            "RAJ2000",
            "DECJ2000",
            "KIDS_TILE",
            "MAG_AUTO_CALIB",
            "Z_PHOT",
            "Z_PHOT_ERR",
            "Z_PHOT_LO68",
        ),
        *("Z_PHOT_HI68", "Z_PHOT_LO95", "Z_PHOT_HI95", "Z_DOMAIN", "PHOTOZ_FLAG", "MASK"),
    ]


def test_arrow_fields_say_all_that_the_dictionary_says():
    for table, columns in schema.TABLES.items():
        for field, column in zip(dictionary_schema(table), columns, strict=True):
            about = {key.decode(): value.decode() for key, value in field.metadata.items()}
            unit = {"unit": column.unit} if column.unit else {}
            assert about == {"ucd": column.ucd, "description": column.description, **unit}
            assert field.nullable is column.null
            texts = column.dtype.startswith("U")
            assert field.type == (pa.string() if texts else pa.from_numpy_dtype(column.dtype))


def test_the_documentation_lists_every_column():
    sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))
    from hooks import with_tables

    docs = Path(__file__).parents[2] / "docs"
    pages = {name: (docs / f"{name}.md").read_text() for name in ("output", "apply", "release")}
    shown = "".join(map(with_tables, pages.values()))
    for column in ALL:
        assert (
            f"| `{column.name}` | {column.dtype} | {column.unit or '-'} | {column.ucd} |" in shown
        )
        assert column.description in shown
        assert f"| {column.description} |" not in "".join(pages.values())


def test_help_does_not_wait_for_the_dictionary():
    code = "import sys, photoz_run.cli, photoz_run.cli.photoz; sys.exit('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
