"""``photoz verify``: a good release passes; what was spoiled is found, even with new sums."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from photoz_models.documents import document_text
from photoz_run.progress import StepProgress
from photoz_run.records import Status
from photoz_run.release import rows
from photoz_run.release.proof import pdf as pdf_proof
from photoz_run.release.provenance import read_provenance
from photoz_run.release.readme import readme
from photoz_run.release.verify import verify
from photoz_run.run.ledger import RunDirectory
from support import forgery
from support.forgery import (
    describe,
    flip_byte,
    forge,
    forge_fits,
    partitions,
    resum,
    state,
    substitute,
)
from support.photoz import AGAIN, OTHER, photoz
from support.runs import in_process, options

SUMS = "sha256 of the files"
COPIES = {"FITS = Parquet", "HATS = Parquet", "PDFs = Parquet"}
COUNTS = {"rows of FITS", "rows of HATS", "rows of the PDFs"}


def failed(folder: Path) -> dict[str, str]:
    """The checks that fail, and why."""
    return {
        check.name: check.detail
        for check in verify(folder, StepProgress(quiet=True))
        if check.failed
    }


@pytest.fixture
def copy(release, tmp_path) -> Path:
    """The release, to be spoiled."""
    return Path(shutil.copytree(release, tmp_path / "copy"))


def part(folder: Path) -> Path:
    return folder / "sim.parquet"


def nth(folder: Path, number: int) -> str:
    return forgery.ids(folder)[number]


def without_redshift(folder: Path) -> str:
    rows = pq.read_table(folder / "sim.parquet")
    return rows.filter(rows["Z_PHOT"].is_null())["ID"][0].as_py()


def test_a_good_release_passes_every_check(release):
    checks = verify(release, StepProgress(quiet=True))
    assert [check for check in checks if not check.passed] == []
    assert len({check.name for check in checks}) == len(checks) > 30
    assert all(check.detail for check in checks)


def test_verifying_changes_nothing(release):
    before = {path: path.stat().st_mtime_ns for path in release.rglob("*")}
    verify(release, StepProgress(quiet=True))
    assert {path: path.stat().st_mtime_ns for path in release.rglob("*")} == before


SPOILED: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "a flipped byte in the records of FITS": (
        lambda folder: flip_byte(folder / "sim.fits", 0.42),
        {"FITS checksums", "FITS = Parquet"},
    ),
    "a flipped byte in the header of FITS": (
        lambda folder: (
            substitute_bytes(folder / "sim.fits", b"KiDS", b"KidS")
            or flip_byte(folder / "sim.fits", 0.05)
        ),
        {"FITS checksums"},
    ),
    "a flipped byte in the rows of Parquet": (
        lambda folder: flip_in_column(part(folder), "RAJ2000"),
        {"rows"},
    ),
    "a flipped byte in the rows of HATS": (
        lambda folder: flip_in_column(partitions(folder)[0], "RAJ2000"),
        {"HATS = Parquet"},
    ),
    "a flipped byte in the MOC": (
        lambda folder: flip_byte(folder / "sim_moc.fits", 0.7),
        {"FITS checksums"},
    ),
    "a flipped byte in the README": (lambda folder: flip_byte(folder / "README.md"), {"README"}),
    "a row dropped from FITS": (
        lambda folder: forge(folder, ["fits"], drop=[nth(folder, 5)]),
        {"rows of FITS", "FITS = Parquet"},
    ),
    "a row dropped from Parquet": (
        lambda folder: forge(folder, ["parquet"], drop=[nth(folder, 5)]),
        {"rows of Parquet", "rows of each tile", *COUNTS, *COPIES},
    ),
    "a row dropped from HATS": (
        lambda folder: forge(folder, ["hats"], drop=[nth(folder, 5)]),
        {"rows of HATS", "HATS = Parquet"},
    ),
    "a row dropped from the PDFs": (
        lambda folder: forge(folder, ["pdf"], drop=[nth(folder, 5)]),
        {"rows of the PDFs", "PDFs = Parquet"},
    ),
    "a row dropped everywhere": (
        lambda folder: forge(folder, drop=[nth(folder, 5)]),
        {"rows of Parquet", "rows of each tile"},
    ),
    "an ID that stands twice in Parquet": (
        lambda folder: forge(folder, ["parquet"], change={nth(folder, 5): {"ID": nth(folder, 9)}}),
        {"IDs", *COPIES},
    ),
    "an ID that stands twice everywhere": (
        lambda folder: forge(
            folder,
            ["parquet", "fits", "hats"],
            change={without_redshift(folder): {"ID": nth(folder, 60)}},
        ),
        {"IDs"},
    ),
    "another unit in FITS": (
        lambda folder: forge_fits(folder, lambda rows: rows, {"TUNIT2": "rad"}),
        {"columns of FITS"},
    ),
    "another unit in Parquet": (
        lambda folder: describe(part(folder), "RAJ2000", unit="rad"),
        {
            "columns of the dictionary",
            "columns of Parquet",
            "VOTable in Parquet",
            "columns of FITS",
            "columns of HATS",
        },
    ),
    "another unit in HATS": (
        lambda folder: describe(partitions(folder)[0], "RAJ2000", unit="rad"),
        {"columns of HATS"},
    ),
    "another unit of a kept column everywhere": (
        lambda folder: [
            *(
                describe(path, "MAG_GAAP_r", unit="Jy")
                for path in folder.rglob("*.parquet")
                if path.is_file()
            ),
            *(describe_empty(path, "MAG_GAAP_r") for path in folder.rglob("_common_metadata")),
            forge_fits(folder, lambda rows: rows, {"TUNIT16": "Jy"}),
        ],
        {"columns of Parquet", "VOTable in Parquet"},
    ),
    "a tile whose rows are missing everywhere": (
        lambda folder: forge(folder, drop=rows_of(folder, OTHER)),
        {"rows of Parquet", "rows of each tile", "numbers of flags"},
    ),
    "a tile that is missing in the provenance too": (
        lambda folder: [forge(folder, drop=rows_of(folder, OTHER)), state(folder, forget(OTHER))],
        {
            "rows of Parquet",
            "provenance in FITS",
            "provenance in Parquet",
            "provenance in HATS",
            "accounting",
            "README",
        },
    ),
    "a file that is gone": (
        lambda folder: part(folder).unlink(),
        {"columns of Parquet", "rows", "products"},
    ),
    "a product that is gone": (
        lambda folder: shutil.rmtree(folder / "sim_hats"),
        {"products", "provenance in HATS"},
    ),
    "a MOC that is not named": (
        lambda folder: (
            state(
                folder,
                lambda stated: stated["products"].remove(
                    next(product for product in stated["products"] if "moc" in product["path"])
                ),
            )
            or (folder / "sim_moc.fits").unlink()
        ),
        {"products", "README"},
    ),
    "a file too many": (lambda folder: (folder / "notes.txt").write_text("mine"), {"products"}),
    "another redshift everywhere but in the PDFs": (
        lambda folder: forge(
            folder, ["parquet", "fits", "hats"], change={nth(folder, 5): {"Z_PHOT": 0.5}}
        ),
        {"PDFs = Parquet"},
    ),
    "a number of the accounting": (
        lambda folder: state(
            folder, lambda provenance: provenance["accounting"].update(excluded=1)
        ),
        {"accounting", "README", "provenance in FITS"},
    ),
    "a setting of the configuration": (
        lambda folder: state(
            folder, lambda provenance: provenance["run"]["config"].update(select="all")
        ),
        {"provenance complete", "provenance in FITS"},
    ),
    "the digest of the model": (
        lambda folder: state(
            folder, lambda provenance: provenance["model"].update(digest="0" * 64)
        ),
        {
            "provenance in FITS",
            "provenance in Parquet",
            "provenance in HATS",
            "provenance in the PDFs",
            "README",
        },
    ),
    "an input file that is not named": (
        lambda folder: state(folder, lambda provenance: provenance["tiles"][0]["inputs"].pop()),
        {"provenance in FITS"},
    ),
    "no digest of the inputs": (
        lambda folder: state(
            folder, lambda provenance: provenance["tiles"][0].update(inputs_digest="")
        ),
        {"provenance complete", "provenance in FITS"},
    ),
    "a lack that is not admitted": (
        lambda folder: state(
            folder, lambda provenance: provenance["tiles"][0].update(status="QUARANTINED")
        ),
        {"completeness", "provenance in FITS", "provenance in Parquet", "provenance in HATS"},
    ),
    "a partition under another cell": (
        lambda folder: partitions(folder)[0].rename(
            partitions(folder)[0].with_name("Npix=3.parquet")
        ),
        {"HATS cells", "provenance in HATS"},
    ),
    "provenance.json without its products": (
        lambda folder: state(folder, lambda provenance: provenance.pop("products")),
        {"provenance.json"},
    ),
    "provenance.json that is none": (
        lambda folder: (folder / "provenance.json").write_text("{"),
        {"provenance.json"},
    ),
}


def substitute_bytes(path: Path, old: bytes, new: bytes) -> None:
    path.write_bytes(path.read_bytes().replace(old, new, 1))


def flip_in_column(path: Path, column: str) -> None:
    """Flip a byte of the values of a column of a Parquet file."""
    group = pq.read_metadata(path).row_group(0)
    (chunk,) = [
        group.column(k)
        for k in range(group.num_columns)
        if group.column(k).path_in_schema == column
    ]
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    place = start + int(0.7 * chunk.total_compressed_size)
    flip_byte(path, (place + 0.5) / path.stat().st_size)


def describe_empty(path: Path, column: str) -> None:
    fields = pq.read_schema(path)
    index = fields.get_field_index(column)
    field = fields.field(index)
    changed = field.with_metadata({**(field.metadata or {}), b"unit": b"Jy"})
    pq.write_metadata(fields.set(index, changed), path)


def rows_of(folder: Path, tile: str) -> list[str]:
    rows = pq.read_table(folder / "sim.parquet", columns=["ID", "KIDS_TILE"])
    return [row["ID"] for row in rows.to_pylist() if row["KIDS_TILE"] == tile]


def forget(tile: str) -> Callable[[dict], None]:
    def change(provenance):
        provenance["tiles"] = [
            tile_facts for tile_facts in provenance["tiles"] if tile_facts["tile"] != tile
        ]

    return change


@pytest.mark.parametrize("case", SPOILED)
def test_what_was_spoiled_is_found_though_the_sums_were_written_anew(copy, case):
    spoil, expected = SPOILED[case]
    spoil(copy)
    resum(copy)
    found = failed(copy)
    assert expected <= set(found), found
    assert not ({SUMS, "files present", "no other files"} - expected) & set(found)


@pytest.mark.parametrize("case", SPOILED)
def test_what_was_spoiled_is_found_by_the_sums(copy, case):
    spoil, expected = SPOILED[case]
    spoil(copy)
    found = failed(copy)
    assert {SUMS, "files present", "no other files"} & set(found), found
    assert expected <= set(found)


@pytest.fixture(scope="module")
def partial(run, tmp_path_factory) -> Path:
    """A release of a run that lacks one tile and has another in quarantine."""
    folder = tmp_path_factory.mktemp("partial")
    directory = RunDirectory(Path(shutil.copytree(run, folder / "run")))
    measured = directory.outcomes()[OTHER]
    bad = replace(
        measured,
        status=Status.QUARANTINED,
        files={},
        rows_in=0,
        rows_out=0,
        reason="no WCS: naïve\nheader",
    )
    directory.write_outcome(bad)
    next(directory.tiles.glob(f"*/{AGAIN}.json")).unlink()
    arguments = ("--out", folder / "release", "--name", "sim", "--partial", "--quiet")
    assert photoz("release", folder / "run", *arguments) == 0
    return folder / "release"


def test_a_partial_release_that_says_so_passes(partial):
    checks = {check.name: check for check in verify(partial, StepProgress(quiet=True))}
    assert all(check.passed for check in checks.values()), checks
    assert checks["completeness"].detail == "partial: 2 missing tiles, and said to be"
    assert not any("HATS" in name or "PDF" in name for name in checks)


DENIED = {
    "in the provenance": (
        lambda folder: state(folder, lambda provenance: provenance.update(partial=False)),
        "completeness",
    ),
    "by name": (
        lambda folder: state(folder, lambda provenance: provenance["missing"].pop()),
        "completeness",
    ),
    "in the README": (
        lambda folder: substitute(
            folder / "README.md", "This release is partial", "This release is whole"
        ),
        "completeness",
    ),
    "in FITS": (
        lambda folder: forge_fits(folder, lambda rows: rows, {"PARTIAL": False}),
        "provenance in FITS",
    ),
    "in Parquet": (lambda folder: deny_in_parquet(part(folder)), "provenance in Parquet"),
}


def deny_in_parquet(path: Path) -> None:
    table = pq.read_table(path, partitioning=None)
    said = {**table.schema.metadata, b"photoz-run.partial": b"False"}
    pq.write_table(table.replace_schema_metadata(said), path)


@pytest.mark.parametrize("where", DENIED)
def test_a_partial_release_that_denies_it_fails(partial, tmp_path, where):
    copy = Path(shutil.copytree(partial, tmp_path / "copy"))
    deny, check = DENIED[where]
    deny(copy)
    resum(copy)
    assert check in failed(copy)


@pytest.mark.parametrize("size", [1, 7, 71])
def test_batches_of_any_size_prove_the_same(release, copy, monkeypatch, size):
    monkeypatch.setattr(rows, "BATCH", size)
    assert failed(release) == {}
    forge(copy, ["fits"], drop=[nth(copy, 5)])
    resum(copy)
    assert set(failed(copy)) == {"rows of FITS", "FITS = Parquet"}


def test_the_command_prints_every_check_and_its_exit_code_tells(release, copy, capsys):
    assert photoz("verify", release) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert all(line.startswith("PASS  ") for line in lines[:-1])
    assert lines[-1] == f"{release}: all {len(lines) - 1} checks passed"
    assert "rows compared" in said.err
    flip_byte(copy / "README.md")
    assert photoz("verify", copy) == 4
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[1] for line in lines if line.startswith("FAIL")] == [SUMS, "README"]
    assert lines[-1].startswith(f"{copy}: 2 of ")


def test_as_json_it_says_the_same_and_shows_no_progress(copy, capsys):
    flip_byte(copy / "README.md")
    assert photoz("verify", copy, "--json") == 4
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert said.err == ""
    assert result["failed"] == 2
    assert [check["name"] for check in result["checks"] if not check["passed"]] == [SUMS, "README"]


@pytest.mark.parametrize("what", ["nothing", "file", "empty folder"])
def test_what_is_no_release_is_refused_in_one_line(tmp_path, capsys, what):
    path = tmp_path / what
    if what == "file":
        path.touch()
    elif what == "empty folder":
        path.mkdir()
    assert photoz("verify", path) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert said == [f"photoz: {path} is no release: it has neither SHA256SUMS nor provenance.json"]


def test_without_the_reader_of_pdfs_it_says_what_to_install(release, monkeypatch, capsys):
    monkeypatch.setattr(pdf_proof, "find_spec", lambda name: None)
    assert photoz("verify", release, "--json") == 2
    said = capsys.readouterr().err.strip()
    assert (
        said
        == "photoz: this release has PDFs: install photoz-run with the extra 'pdf' to verify it"
    )


MISFITS = {
    "rows: Input should be a valid integer (it is '3')": lambda fields: fields.update(rows="3"),
    "area_deg2 is missing": lambda fields: fields.pop("area_deg2"),
    "area is not known to this version": lambda fields: fields.update(area=1.0),
    "tiles.0.released is missing": lambda fields: fields["tiles"][0].pop("released"),
    "model.redshift_range.1 is missing": lambda fields: fields["model"]["redshift_range"].pop(),
    "input_releases: Input should be a valid array": lambda fields: fields.update(
        input_releases="DR4"
    ),
}


@pytest.mark.parametrize("told", MISFITS)
def test_a_field_of_the_provenance_that_does_not_fit_is_named(copy, told):
    state(copy, MISFITS[told])
    resum(copy)
    checks = failed(copy)
    assert list(checks) == ["provenance.json"]
    assert f"{copy / 'provenance.json'}: field {told}" in checks["provenance.json"]


def test_the_provenance_is_written_as_it_is_read(release):
    assert document_text(read_provenance(release)) == (release / "provenance.json").read_text()


def test_a_release_by_a_newer_program_is_not_guessed_at(copy):
    state(copy, lambda provenance: provenance.update(schema=99))
    told = failed(copy)["provenance.json"]
    assert "written by a newer version of photoz-run (schema 99, this one reads 1)" in told


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ({"program": "photoz-run 9.9"}, "not proven: photoz-run 9.9, commit "),
        ({"commit": "0123456789ab"}, ", commit 0123456789ab made it, and this build words it"),
    ],
)
def test_the_readme_of_another_build_may_be_worded_otherwise(copy, statement, words):
    state(copy, lambda provenance: provenance.update(statement))
    resum(copy)
    checks = {check.name: check for check in verify(copy, StepProgress(quiet=True))}
    assert checks["README"].passed is None
    assert words in checks["README"].detail
    assert not checks["provenance in FITS"].passed
    (copy / "README.md").write_text(readme(read_provenance(copy)))
    assert "README" not in failed(copy)


LONG = "A redshift of others.  Its words go over more than a line, as archives have it: " * 3


def test_a_release_with_kept_and_attached_columns_of_every_type_passes(run, tmp_path):
    names = pq.read_table(next(run.glob(f"tiles/*/{OTHER}.parquet")), columns=["ID"])[
        "ID"
    ].to_pylist()
    n = len(names) - 3
    other = {
        "ID": names[3:],
        "GOOD": [k % 2 == 0 for k in range(n)],
        "SMALL": pa.array(range(n), pa.int8()),
        "BYTE": pa.array(range(n), pa.uint8()),
        "COUNT": pa.array([2**32 - 1] * n, pa.uint32()),
        "BIG": pa.array([-(2**62)] * n, pa.int64()),
        "z_other": pa.array([None if k == 4 else 0.1 for k in range(n)], pa.float32()),
        "FIELD": [None if k == 5 else f"G{k}" for k in range(n)],
    }
    table = pa.table(other)
    long = pa.field("z_other", pa.float32(), True, {"description": LONG})
    table = table.set_column(table.column_names.index("z_other"), long, table["z_other"])
    pq.write_table(table, tmp_path / "other.parquet")
    more = (
        "--keep",
        "THELI_NAME",
        "SeqNr",
        "FLUX_RADIUS",
        "--attach",
        tmp_path / "other.parquet",
        "--quiet",
    )
    assert photoz("release", run, "--out", tmp_path / "release", "--name", "sim", *more) == 0
    assert failed(tmp_path / "release") == {}
    rows = pq.read_table(tmp_path / "release" / "sim.parquet")
    by_id = {row["ID"]: row for row in rows.to_pylist()}
    assert [by_id[name]["SMALL"] for name in names] == [None, None, None, *range(n)]
    assert rows.column_names[-10:] == ["THELI_NAME", "SeqNr", "FLUX_RADIUS", *list(other)[1:]]
    provenance = json.loads((tmp_path / "release" / "provenance.json").read_text())
    (attached,) = provenance["attached"]
    assert (attached["matched"], attached["unmatched"]) == (n, len(rows) - n)
    assert attached["files"][0]["name"] == "other.parquet"
    said = (
        f"from `other.parquet`, joined by ID: {n} sources have a row there,"
        f" {len(rows) - n} have none, 0 have several"
    )
    assert said in (tmp_path / "release" / "README.md").read_text()


def test_pdfs_of_a_run_without_quantiles_are_refused_in_one_line(survey, bundle, tmp_path, capsys):
    arguments = options(survey, bundle, tmp_path / "run", "--select", "MAG_AUTO_CALIB < 17")
    with pytest.MonkeyPatch.context() as patch:
        assert in_process(patch, arguments) == 0
    capsys.readouterr()
    assert photoz("release", tmp_path / "run", "--out", tmp_path / "out", "--pdf", "--quiet") == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "has no quantiles (column Z_QUANTILES)" in said[0]
    assert "--quantiles, or leave --pdf out" in said[0]
    assert not (tmp_path / "out").exists()
