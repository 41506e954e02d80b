"""The files of a tile: the same rows in Parquet and FITS, described, whole or not there."""

import json
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

from photoz_run import schema
from photoz_run.catalogue.provenance import (
    InputFile,
    Provenance,
    input_files,
    inputs_digest,
    tile_provenance,
)
from photoz_run.catalogue.stated import stated_facts
from photoz_run.catalogue.table import tile_table
from photoz_run.catalogue.tile_files import write_tile
from photoz_run.errors import OutputError, TransientError
from photoz_run.flags import FLAGS, bit
from photoz_run.records import Prediction, Sources, TileRef
from photoz_run.schema import COLUMNS
from support.programs import needs

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
    model_training="simulated",
    simulated_training=True,
)
REF = TileRef("KIDS_0.0_-31.2", "DR4", Path("c.fits"), {})
INPUTS = [
    InputFile("KiDS_DR4.0_0.0_-31.2_r_sci.fits", 1_500_000_000, 5),
    InputFile("cat.fits", 17, 6),
]
N = 6


def sources() -> Sources:
    extra = {
        "MAG_AUTO_CALIB": np.array([17, 18, np.nan, 19, 20, 21], np.float32),
        "MASK": np.arange(N, dtype=np.int32),
        "SeqNr": np.arange(N, dtype=np.int32) * 10,
        "Z_B": np.linspace(0, 1, N),
        "Flag": np.arange(N, dtype=np.int16),
        "THELI_NAME": np.array(["", "a", "bb", "ccc", "d", "e"]),
    }
    return Sources(
        np.array([f"KiDSDR4 J00000{k}.000-311200.00" for k in range(N)]),
        np.linspace(359.9, 359.99, N),
        np.linspace(-31.3, -31.1, N),
        np.full((N, 9), 18, np.float32),
        np.zeros((N, 4), np.float32),
        np.zeros(N, np.int32),
        extra,
    )


def prediction() -> Prediction:
    z_N = np.array([0.1, 0.2, 0.3, np.nan, 0.5, 0.6], np.float32)
    quantiles_NQ = (z_N[:, None] + 0.1 * (np.array(LEVELS) - 0.5)).astype(np.float32)
    flags_N = np.zeros(N, np.int32)
    flags_N[3] = bit("NO_REDSHIFT") | bit("NO_COVERAGE")
    return Prediction(
        z_N, quantiles_NQ, np.where(np.isnan(z_N), np.nan, 0.5).astype(np.float32), flags_N
    )


def table(keep=("SeqNr", "Z_B", "Flag", "THELI_NAME"), quantiles=True) -> pa.Table:
    about = {name: {"description": f"{name} of the input catalogue"} for name in keep}
    columns = sources().columns
    texts = {name for name in keep if columns[name].dtype.kind == "U"}
    kinds = {name: pa.string() if name in texts else pa.array(columns[name]).type for name in keep}
    kept = [pa.field(name, kinds[name], True, about[name]) for name in keep]
    return tile_table(REF.tile, sources(), prediction(), LEVELS, kept, quantiles)


@pytest.fixture
def written(tmp_path) -> Path:
    write_tile(table(), tmp_path, REF.tile, ("parquet", "fits"), tile_provenance(RUN, REF, INPUTS))
    return tmp_path


def test_parquet_and_fits_hold_the_same_rows(written):
    rows = pq.read_table(written / "KIDS_0.0_-31.2.parquet")
    fits_rows = fits.getdata(written / "KIDS_0.0_-31.2.fits", 1)
    assert fits_rows.names == rows.column_names
    for name in rows.column_names:
        mine = rows[name].to_pylist()
        if name == "Z_QUANTILES":
            mine = [[np.nan] * len(LEVELS) if row is None else row for row in mine]
        mine = [np.nan if value is None else value for value in mine]
        if isinstance(mine[0], str):
            assert fits_rows[name].tolist() == mine
        else:
            np.testing.assert_array_equal(np.array(mine, fits_rows[name].dtype), fits_rows[name])


def test_values_are_those_given_and_missing_ones_are_null(written):
    rows = pq.read_table(written / "KIDS_0.0_-31.2.parquet")
    np.testing.assert_array_equal(rows["ID"].to_pylist(), sources().id_N)
    np.testing.assert_array_equal(rows["RAJ2000"].to_numpy(), sources().ra_N)
    assert rows["Z_PHOT"].to_pylist() == [
        pytest.approx(z) if np.isfinite(z) else None for z in prediction().z_N
    ]
    assert rows["MAG_AUTO_CALIB"].to_pylist()[2] is None
    missing = [name for name in rows.column_names if rows[name].to_pylist()[3] is None]
    z_columns = [column.name for column in COLUMNS if column.name.startswith("Z_")]
    assert missing == [*z_columns, "Z_QUANTILES"]
    whole = [name for name in rows.column_names if name not in {*missing, "MAG_AUTO_CALIB"}]
    assert all(rows[name].null_count == 0 for name in whole)
    for name in rows.column_names:
        if pa.types.is_floating(rows.schema.field(name).type):
            assert not np.isnan(rows[name].drop_null().to_numpy()).any()


def test_the_error_is_half_the_width_of_the_68_percent_interval():
    rows = table()
    width_N = prediction().quantiles_NQ[:, 3] - prediction().quantiles_NQ[:, 1]
    np.testing.assert_allclose(
        rows["Z_PHOT_ERR"].fill_null(np.nan).to_numpy(), width_N / 2, rtol=1e-6
    )
    assert rows["Z_PHOT_LO95"].to_pylist()[0] == pytest.approx(prediction().quantiles_NQ[0, 0])


def test_columns_carry_unit_ucd_and_description_in_both_formats(written):
    rows = pq.read_schema(written / "KIDS_0.0_-31.2.parquet")
    header = fits.getheader(written / "KIDS_0.0_-31.2.fits", 1)
    for number, column in enumerate(COLUMNS, start=1):
        about = rows.field(column.name).metadata
        assert about[b"description"].decode() == column.description == header[f"TCOMM{number}"]
        assert about[b"ucd"].decode() == column.ucd == header[f"TUCD{number}"]
        assert about.get(b"unit", b"").decode() == column.unit == header.get(f"TUNIT{number}", "")
        assert header[f"TTYPE{number}"] == column.name
        assert rows.field(column.name).nullable == column.null
    assert header["TNULL14"] == schema.TNULL
    assert header["TDISP2"] == "F13.8"
    assert header["TDISP13"] == "I11"
    assert Table.read(written / "KIDS_0.0_-31.2.fits", hdu=1)["RAJ2000"].unit == "deg"


def test_no_card_is_continued_however_long_a_text(tmp_path):
    long = replace(RUN, model="it's " * 30, model_training="Größe " * 20)
    ref = replace(REF, data_release="x" * 67)
    write_tile(table(), tmp_path, REF.tile, ("fits",), tile_provenance(long, ref, INPUTS))
    with (tmp_path / "KIDS_0.0_-31.2.fits").open("rb") as file:
        assert b"CONTINUE" not in file.read()
    header = fits.getheader(tmp_path / "KIDS_0.0_-31.2.fits", 1)
    assert header["PZMODEL"].startswith("it's it's it's")
    assert header["PZMODEL"].endswith("...")
    assert header["PZTRAIN"].startswith(r"Gr\xf6\xdfe")
    assert header["RELEASE"] == "x" * 67


def test_files_say_how_they_were_made(written):
    metadata = {
        key.decode(): value.decode()
        for key, value in pq.read_metadata(written / "KIDS_0.0_-31.2.parquet").metadata.items()
    }
    header = fits.getheader(written / "KIDS_0.0_-31.2.fits", 1)
    for card, key, value in (
        ("PROGRAM", "program", "photoz-run"),
        ("PROCSOFT", "version", "1.2.3"),
        ("COMMIT", "commit", "ba9876543210"),
        ("TILE", "tile", "KIDS_0.0_-31.2"),
        ("RELEASE", "release", "DR4"),
        ("PZMODEL", "model", "closed-form"),
        ("PZMODVER", "model_version", "7"),
        ("PZMODSHA", "model_digest", "ef" * 32),
        ("PZCFGSHA", "config_digest", "cd" * 32),
        ("PZRUNSHA", "run_digest", "ab" * 32),
        ("PZINPSHA", "inputs_digest", inputs_digest(INPUTS)),
        ("PZTRAIN", "model_training", "simulated"),
    ):
        assert metadata[f"photoz-run.{key}"] == header[card] == value
    assert header["PZSIMUL"] is True
    assert json.loads(metadata["photoz-run.inputs"])[0] == {
        "name": INPUTS[0].name,
        "bytes": 1_500_000_000,
    }
    assert f"input {INPUTS[0].name} 1500000000 bytes" in str(header["HISTORY"])


def test_what_the_files_say_of_their_making_is_read_again(written):
    expected = {key: str(value) for key, value in asdict(RUN).items()}
    from_parquet = stated_facts(written / "KIDS_0.0_-31.2.parquet")
    from_fits = stated_facts(written / "KIDS_0.0_-31.2.fits")
    assert {key: from_parquet[key] for key in expected} == expected
    assert {key: from_fits[key] for key in expected if key != "packages"} == {
        key: value for key, value in expected.items() if key != "packages"
    }


def test_files_of_others_say_nothing(tmp_path):
    Table({"a": [1]}).write(tmp_path / "a.fits")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("a\n1\n")
    assert [stated_facts(path) for path in sorted(tmp_path.iterdir())] == [{}, {}, {}]


def test_the_flag_table_stands_in_the_header(written):
    comments = " ".join(str(fits.getheader(written / "KIDS_0.0_-31.2.fits", 1)["COMMENT"]).split())
    for flag in FLAGS:
        assert f"bit {flag.bit} {flag.name}:" in comments
    assert "bits 24-30" in comments
    assert "Z_QUANTILES levels: 0.025,0.16,0.5,0.84,0.975" in comments


def test_parquet_is_compressed_with_zstd(written):
    group = pq.read_metadata(written / "KIDS_0.0_-31.2.parquet").row_group(0)
    assert {group.column(k).compression for k in range(group.num_columns)} == {"ZSTD"}


@pytest.mark.parametrize("keep", [(), ("SeqNr", "Z_B", "Flag", "THELI_NAME")])
@pytest.mark.parametrize("rows", [0, 1, N])
def test_fitsverify_has_nothing_to_say(tmp_path, keep, rows):
    some = table(keep, quantiles=bool(keep)).slice(0, rows)
    write_tile(some, tmp_path, REF.tile, ("parquet", "fits"), tile_provenance(RUN, REF, INPUTS))
    needs("fitsverify")
    said = subprocess.run(
        ["fitsverify", str(tmp_path / "KIDS_0.0_-31.2.fits")], capture_output=True, text=True
    )
    assert "found 0 warning(s) and 0 error(s)" in said.stdout, said.stdout


def test_the_same_table_gives_the_same_bytes(tmp_path):
    digests = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        digests.append(
            write_tile(
                table(), folder, REF.tile, ("parquet", "fits"), tile_provenance(RUN, REF, INPUTS)
            )
        )
    assert digests[0] == digests[1]
    assert sorted(digests[0]) == ["KIDS_0.0_-31.2.fits", "KIDS_0.0_-31.2.parquet"]


def test_only_the_formats_asked_for_are_written_and_nothing_else(tmp_path):
    write_tile(table(), tmp_path, REF.tile, ("parquet",), tile_provenance(RUN, REF, INPUTS))
    assert [path.name for path in tmp_path.iterdir()] == ["KIDS_0.0_-31.2.parquet"]


def test_a_folder_in_place_of_the_file_is_refused_and_nothing_is_left(tmp_path):
    (tmp_path / "KIDS_0.0_-31.2.parquet").mkdir()
    with pytest.raises(
        OutputError, match=r"KIDS_0\.0_-31\.2\.parquet: cannot be written \(Is a directory\)"
    ):
        write_tile(table(), tmp_path, REF.tile, ("parquet",), tile_provenance(RUN, REF, INPUTS))
    assert [path.name for path in tmp_path.iterdir()] == ["KIDS_0.0_-31.2.parquet"]


def test_a_folder_that_is_not_there_or_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(OutputError, match=r"cannot be written .*permissions"):
            write_tile(table(), folder, REF.tile, ("parquet",), tile_provenance(RUN, REF, INPUTS))


@pytest.mark.parametrize("ending", ["parquet", "fits"])
def test_what_cannot_be_read_back_never_gets_its_name(tmp_path, monkeypatch, ending):
    from photoz_run.catalogue import tile_files

    def write_other(rows, path, *args):
        genuine[ending](rows.slice(1), path, *args)

    genuine = {"parquet": tile_files._write_parquet, "fits": tile_files.write_fits}
    name = {"parquet": "_write_parquet", "fits": "write_fits"}[ending]
    monkeypatch.setattr(tile_files, name, write_other)
    with pytest.raises(TransientError, match="what was read back is not what was written"):
        write_tile(
            table(), tmp_path, REF.tile, ("parquet", "fits"), tile_provenance(RUN, REF, INPUTS)
        )
    assert not (tmp_path / f"KIDS_0.0_-31.2.{ending}").exists()
    assert not list(tmp_path.glob(".*"))


def test_inputs_are_told_apart_by_name_size_and_time(tmp_path):
    path = tmp_path / "a.fits"
    path.write_bytes(b"123")
    first = inputs_digest(input_files([path]))
    assert inputs_digest(input_files([path])) == first
    path.write_bytes(b"1234")
    assert inputs_digest(input_files([path])) != first
    assert input_files([tmp_path / "gone"])[0].bytes == -1
    other = tmp_path / "elsewhere"
    other.mkdir()
    path.rename(other / "a.fits")
    (other / "a.fits").stat()
    assert inputs_digest(input_files([other / "a.fits"])) != inputs_digest(input_files([path]))
