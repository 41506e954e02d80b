"""The FITS file of a release: every value, described and provable, in little memory."""

import csv
import os
import re
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from photoz_run.catalogue.fits_columns import text_widths
from photoz_run.catalogue.fits_stream import write_hdu
from photoz_run.errors import BadDataError, ConfigError
from photoz_run.flags import FLAGS
from photoz_run.release.products.fits import write_release_fits
from photoz_run.schema import COLUMNS, TABLES, TNULL
from support.programs import needs
from support.release_rows import (
    CONFIGURATION,
    EXTENSIONS,
    KEPT,
    LEVELS,
    RECORD,
    RUN,
    release_rows,
    release_schema,
)

N = 9
MISSING = 2
"""Row of `release_rows` that lacks all that may be null."""


def write(folder: Path, rows: pa.Table, at_once: int = N, record=RECORD) -> Path:
    path = folder / "SIM1.fits"
    batches = [rows.slice(first, at_once) for first in range(0, len(rows), at_once)]
    write_release_fits(
        path, rows.schema, len(rows), batches, record, EXTENSIONS, text_widths(batches)
    )
    return path


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    return release_rows(N)


@pytest.fixture(scope="module")
def written(tmp_path_factory, rows) -> Path:
    return write(tmp_path_factory.mktemp("release"), rows)


def stilts(*words: str) -> str:
    needs("stilts")
    done = subprocess.run(["stilts", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("n", "kept"), [(0, True), (1, True), (2881, False)])
def test_fitsverify_has_nothing_to_say(tmp_path, n, kept):
    path = write(tmp_path, release_rows(n, kept=kept), at_once=1000)
    needs("fitsverify")
    said = subprocess.run(
        ["fitsverify", str(path)], capture_output=True, text=True, check=False
    ).stdout
    assert "found 0 warning(s) and 0 error(s)" in said, said
    assert all(f"{name} " in said for name in ("PHOTOZ", "PROVENANCE", "TEXTS"))


def test_fitsverify_finds_a_changed_value(tmp_path, written):
    with fits.open(written) as hdus:
        data = hdus[1].fileinfo()["datLoc"]
    content = bytearray(written.read_bytes())
    content[data + 40] ^= 1
    spoilt = tmp_path / "spoilt.fits"
    spoilt.write_bytes(content)
    needs("fitsverify")
    said = subprocess.run(
        ["fitsverify", str(spoilt)], capture_output=True, text=True, check=False
    ).stdout
    assert "Data checksum is not consistent with  the DATASUM keyword" in said


@pytest.mark.parametrize("hdu", range(4))
def test_each_hdu_has_sums_that_betray_a_changed_byte(tmp_path, written, hdu):
    with fits.open(written, checksum=True) as hdus:
        assert {"CHECKSUM", "DATASUM"} <= set(hdus[hdu].header)
        second_card = hdus[hdu].fileinfo()["hdrLoc"] + 80
    content = bytearray(written.read_bytes())
    content[second_card + 40] ^= 1
    spoilt = tmp_path / "spoilt.fits"
    spoilt.write_bytes(content)
    with (
        pytest.warns(match="Checksum verification failed"),
        fits.open(spoilt, checksum=True) as hdus,
    ):
        assert len(hdus) == 4


@given(st.lists(st.binary(max_size=7000), max_size=4), st.text("abcXYZ019 '", max_size=40))
def test_the_sum_over_any_hdu_comes_to_minus_zero(chunks, text):
    """By the FITS standard, whatever is in it; added up word by word, as it defines the sum."""
    size = sum(map(len, chunks))
    header = fits.Header(
        [("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS1", size), ("NAXIS2", 1), ("WHAT", text)]
    )
    file = BytesIO()
    write_hdu(file, header, chunks)
    content = file.getvalue()
    assert len(content) % 2880 == 0
    assert b"".join(chunks) in content
    total = 0
    for at in range(0, len(content), 4):
        total += int.from_bytes(content[at : at + 4], "big")
        total = (total & 0xFFFFFFFF) + (total >> 32)
    assert total == 0xFFFFFFFF
    assert all(letter.isalnum() for letter in header["CHECKSUM"])


def test_every_column_comes_back_with_its_nulls(written, rows):
    back = fits.getdata(written, 1)
    assert back.names == rows.column_names
    for field in rows.schema:
        values = rows[field.name].to_pylist()
        if field.type in (pa.string(), KEPT["FIELD"]):
            assert back[field.name].tolist() == [value or "" for value in values]
        elif pa.types.is_floating(field.type):
            np.testing.assert_array_equal(
                back[field.name], [np.nan if v is None else v for v in values]
            )
        elif field.name == "Z_QUANTILES":
            expected = np.array(
                [[np.nan] * len(LEVELS) if v is None else v for v in values], np.float32
            )
            np.testing.assert_array_equal(back[field.name], expected)


def cards_of(header: fits.Header, name: str) -> dict[str, object]:
    """The cards of the column called ``name``, without their number."""
    number = {header[f"TTYPE{k}"]: k for k in range(1, header["TFIELDS"] + 1)}[name]
    cards = {key: re.fullmatch(rf"(T[A-Z]+){number}", key) for key in header}
    return {found[1]: header[key] for key, found in cards.items() if found}


@pytest.mark.filterwarnings("ignore:Column 'STAR' contains NULL")
def test_integers_come_back_over_their_whole_range(written, rows):
    back = Table.read(written, hdu=1)
    header = fits.getheader(written, 1)
    nulls = {"I": -(2**15), "J": TNULL, "K": -(2**63)}
    integers = [field.name for field in rows.schema if pa.types.is_integer(field.type)]
    assert len(integers) == 9
    for name in integers:
        assert back[name].tolist() == rows[name].to_pylist(), name
        cards = cards_of(header, name)
        assert cards.get("TNULL") == (None if name == "PHOTOZ_FLAG" else nulls[cards["TFORM"]]), (
            name
        )
    assert {name: cards_of(header, name)["TFORM"] for name in ("BYTE", "SHORT_U", "INT_U")} == {
        "BYTE": "I",
        "SHORT_U": "J",
        "INT_U": "K",
    }


def test_logicals_know_true_false_and_null(written):
    with fits.open(written, logical_as_bytes=True) as hdus:
        assert hdus[1].data["STAR"][:3].tolist() == [b"T", b"F", b""]


def test_cards_of_each_column_come_from_the_dictionary(written):
    header = fits.getheader(written, 1)
    forms = {"f8": ("D", "F13.8"), "f4": ("E", "F9.5"), "i4": ("J", "I11")}
    for number, column in enumerate(COLUMNS, start=1):
        texts = column.dtype.startswith("U")
        form, shown = (f"{column.length}A", f"A{column.length}") if texts else forms[column.dtype]
        assert header[f"TTYPE{number}"] == column.name
        assert cards_of(header, column.name) == {
            "TTYPE": column.name,
            "TFORM": form,
            "TUCD": column.ucd,
            "TCOMM": column.description,
            "TDISP": shown,
            "TUNIT": column.unit,
            **({"TNULL": TNULL} if column.name == "MASK" else {}),
        }


def test_other_columns_say_what_their_fields_say(written):
    header = fits.getheader(written, 1)
    assert cards_of(header, "FLUX") == {
        "TTYPE": "FLUX",
        "TFORM": "E",
        "TUNIT": "W/m2/Hz",
        "TUCD": "phot.flux;em.opt",
        "TCOMM": "of the input catalogue",
        "TDISP": "G15.7",
    }
    assert cards_of(header, "THELI_NAME")["TFORM"] == "18A"
    assert cards_of(header, "Z_QUANTILES")["TFORM"] == "5E"
    assert "Z_QUANTILES levels: 0.025,0.16,0.5,0.84,0.975" in str(header["COMMENT"])


@pytest.mark.parametrize("hdu", [0, 1])
def test_header_says_how_the_release_was_made(written, hdu):
    header = fits.getheader(written, hdu)
    assert {key: header[key] for key in ("OBJECT", "DATE", "ORIGIN", "RADESYS", "REFERENC")} == {
        "OBJECT": "SIM1",
        "DATE": "2026-11-23T12:00:00",
        "ORIGIN": "photoz-run",
        "RADESYS": "ICRS",
        "REFERENC": "",
    }
    assert header["PROCSOFT"] == "photoz-run 1.2.4 (0123456789ab+)"
    assert (header["PROGRAM"], header["PROGVERS"], header["COMMIT"]) == (
        "photoz-run",
        "1.2.3",
        "ba9876543210",
    )
    assert header["INPUTREL"] == "DR4,DR5"
    assert (header["PZMODEL"], header["PZMODVER"], header["PZTRAIN"]) == (
        "closed-form",
        "7",
        RUN.model_training,
    )
    assert (header["PZMODSHA"], header["PZCFGSHA"], header["PZRUNSHA"]) == (
        "ef" * 32,
        "cd" * 32,
        "ab" * 32,
    )
    assert header["PZSIMUL"] is True
    assert (header["PARTIAL"], header["NTILES"], header["NQUAR"], header["NMISS"]) == (
        True,
        2,
        1,
        0,
    )
    assert header["QUAR1"] == "KIDS_3.0_-31.2"


def test_a_whole_release_says_so_and_cites(tmp_path, rows):
    whole = replace(RECORD, quarantined=(), reference="2024A&A...686A.170W")
    header = fits.getheader(write(tmp_path, rows, record=whole))
    assert (header["PARTIAL"], header["NQUAR"], header["NMISS"]) == (False, 0, 0)
    assert "QUAR1" not in header
    assert header["REFERENC"] == "2024A&A...686A.170W"


def test_many_absent_tiles_are_counted_and_only_some_named(tmp_path, rows):
    absent = tuple(f"KIDS_{k}.0_-31.2" for k in range(150))
    header = fits.getheader(
        write(tmp_path, rows, record=replace(RECORD, quarantined=absent, missing=absent[:30]))
    )
    assert (header["NQUAR"], header["NMISS"]) == (150, 30)
    assert (header["QUAR20"], header["MISS20"]) == (absent[19], absent[19])
    assert "QUAR21" not in header
    assert "MISS21" not in header


def test_provenance_and_texts_stand_in_full_in_tables_of_their_own(written):
    provenance = Table.read(written, hdu="PROVENANCE")
    expected = EXTENSIONS["provenance"]
    for column in TABLES["provenance"]:
        values = expected[column.name].to_pylist()
        if column.name == "REASON":
            values = ["", "", r"na\xefve\nheader"]
        got = provenance[column.name]
        assert [v.decode() if isinstance(v, bytes) else v for v in got.tolist()] == values
    header = fits.getheader(written, "PROVENANCE")
    assert cards_of(header, "BYTES")["TUNIT"] == "byte"
    assert cards_of(header, "INPUTS_DIGEST")["TUCD"] == "meta.checksum"
    texts = fits.getdata(written, "TEXTS")
    lines = texts["TEXT"][texts["NAME"] == "configuration"]
    assert lines.tolist() == [line.replace("é", r"\xe9") for line in CONFIGURATION.splitlines()]
    assert texts["TEXT"][texts["NAME"] == "packages"].tolist() == [RUN.packages]


def test_the_flag_table_stands_in_the_header(written):
    comments = " ".join(str(fits.getheader(written, 1)["COMMENT"]).split())
    for flag in FLAGS:
        assert f"bit {flag.bit} {flag.name}:" in comments


def test_no_card_is_continued_however_long_a_text(tmp_path, rows):
    long = replace(
        RECORD, name="it's " * 30, program="p" * 100, run=replace(RUN, model="Größe " * 20)
    )
    path = write(tmp_path, rows, record=long)
    assert b"CONTINUE" not in path.read_bytes()
    header = fits.getheader(path)
    assert header["OBJECT"].startswith("it's it's")
    assert header["OBJECT"].endswith("...")
    assert header["PZMODEL"].startswith(r"Gr\xf6\xdfe")


@pytest.mark.parametrize("at_once", [1, 4, 1000])
def test_the_same_rows_give_the_same_bytes_in_batches_of_any_size(tmp_path, written, rows, at_once):
    assert write(tmp_path, rows, at_once).read_bytes() == written.read_bytes()


def test_the_date_alone_changes_with_time(tmp_path, written, rows):
    later = write(tmp_path, rows, record=replace(RECORD, date="2027-01-01T00:00:00"))
    for hdu in range(4):
        was, now = fits.getheader(written, hdu), fits.getheader(later, hdu)
        changed = {key for key in was if str(was[key]) != str(now[key])}
        assert changed == ({"DATE", "CHECKSUM"} if hdu < 2 else set())
    assert later.stat().st_size == written.stat().st_size


@pytest.mark.parametrize("more", [-1, 1])
def test_rows_that_do_not_come_or_come_too_many_are_refused(tmp_path, rows, more):
    with pytest.raises(BadDataError, match=f"{N} rows came for a table of {N + more}"):
        write_release_fits(
            tmp_path / "x.fits", rows.schema, N + more, [rows], RECORD, {}, text_widths([rows])
        )


@pytest.mark.parametrize(
    ("name", "values", "complaint"),
    [
        ("ID", ["x" * 31] * N, r"column ID: 'x+' is longer than 30 characters"),
        ("ID", [None] * N, r"column ID: 9 rows have no value"),
        ("PHOTOZ_FLAG", [None] + [0] * (N - 1), r"column PHOTOZ_FLAG: 1 rows have no value"),
        ("THELI_NAME", ["Größe"] * N, r"column THELI_NAME: 'Größe' is not printable ASCII"),
        ("THELI_NAME", ["a\tb"] * N, r"column THELI_NAME: 'a\\tb' is not printable ASCII"),
    ],
)
def test_values_that_fits_cannot_hold_are_refused_not_cut(tmp_path, rows, name, values, complaint):
    index = rows.column_names.index(name)
    field = rows.schema.field(name)
    spoilt = rows.set_column(index, field, [pa.array(values, field.type)])
    with pytest.raises(BadDataError, match=complaint):
        write(tmp_path, spoilt)


@pytest.mark.parametrize(
    ("name", "kind", "complaint"),
    [
        (
            "WHEN",
            pa.timestamp("s"),
            r"column WHEN: FITS has no column type for timestamp\[s\]; leave it out",
        ),
        ("HUGE", pa.uint64(), "column HUGE: FITS has no column type for uint64"),
        ("mask", pa.int32(), "columns MASK and mask: FITS does not tell their names apart"),
        ("N" * 68, pa.int32(), "FITS has no room for so long a name"),
    ],
)
def test_columns_that_fits_cannot_have_are_refused_before_a_row_is_read(
    tmp_path, name, kind, complaint
):
    arrow = release_schema().append(pa.field(name, kind))
    with pytest.raises(ConfigError, match=complaint):
        write_release_fits(
            tmp_path / "x.fits", arrow, 0, iter(()), RECORD, {}, dict.fromkeys(arrow.names, 1)
        )
    assert not (tmp_path / "x.fits").exists()


def test_stilts_reads_what_each_column_is(written):
    said = stilts("tpipe", f"in={written}", "cmd=meta Name Units UCD Description", "ofmt=csv")
    described = {row["Name"]: row for row in csv.DictReader(said.splitlines())}
    for column in COLUMNS:
        row = described[column.name]
        assert (row["Units"], row["UCD"], row["Description"]) == (
            column.unit,
            column.ucd,
            column.description,
        )
    assert described["FLUX"]["Units"] == "W/m2/Hz"
    whole = stilts("tpipe", f"in={written}", "omode=meta")
    assert f"Rows:    {N}" in whole
    assert "PROCSOFT:\n    photoz-run 1.2.4 (0123456789ab+)" in whole


def test_stilts_agrees_on_the_statistics(written, rows):
    cmd = "cmd=keepcols 'RAJ2000 Z_PHOT MASK BIG STAR'; stats Name NGood NBad Minimum Maximum"
    said = stilts("tpipe", f"in={written}", cmd, "ofmt=csv")
    table = {line.split(",")[0]: line.split(",")[1:] for line in said.splitlines()[1:]}
    for name in ("RAJ2000", "Z_PHOT", "MASK", "BIG"):
        present = rows[name].drop_null().to_numpy()
        good, bad, low, high = table[name]
        assert (int(good), int(bad)) == (len(present), rows[name].null_count)
        assert float(low) == pytest.approx(present.min(), rel=1e-6)
        assert float(high) == pytest.approx(present.max(), rel=1e-6)
    assert table["STAR"][:2] == ["6", "3"]


def test_stilts_matches_it_on_the_sky_by_its_ucds(tmp_path, written, rows):
    """Positions 0.3 arcsec off find their sources, others find none; no column is named."""
    ra_N, dec_N = (rows[name].to_numpy()[:4] for name in ("RAJ2000", "DECJ2000"))
    others = tmp_path / "others.csv"
    lines = [
        f"{ra + 180 * (k == 3)},{dec + 0.3 / 3600},{k}"
        for k, (ra, dec) in enumerate(zip(ra_N, dec_N, strict=True))
    ]
    others.write_text("\n".join(["ra,dec,number", *lines]) + "\n")
    said = stilts(
        *(
            "tmatch2",
            "matcher=sky",
            "params=1",
            f"in1={written}",
            f"in2={others}",
            "ifmt2=csv",
            "values2=ra dec",
        ),
        *("values1=ucd$pos_eq_ra_ ucd$pos_eq_dec_", "ocmd=keepcols 'ID number'", "ofmt=csv"),
    )
    assert sorted(said.splitlines()[1:]) == [f"KiDSDR5 J{k},{k}" for k in range(3)]


def test_memory_does_not_grow_with_the_rows(tmp_path):
    """Two million rows, made as they are written: 220 MB of FITS take a quarter of that."""
    rows, at_once = 2_000_000, 50_000
    command = [
        sys.executable,
        "-m",
        "support.release_rows",
        "fits",
        str(tmp_path),
        str(rows),
        str(at_once),
    ]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    environment = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    grew = int(
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    )
    size = (tmp_path / "stream.fits").stat().st_size
    assert fits.getheader(tmp_path / "stream.fits", 1)["NAXIS2"] == rows
    assert grew < size / 2
