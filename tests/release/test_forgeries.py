"""Forgeries that keep files readable, sums right and products alike, with the verdict of each.

What `tests/release/test_verify.py` spoils is found in the release itself; of these some are found
in it, others only beside the run that it was made of, and few by neither.
"""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from photoz_models.documents import document_text
from photoz_run.catalogue.on_disk import file_digest
from photoz_run.progress import StepProgress
from photoz_run.release.proof.files import check_signature
from photoz_run.release.provenance import read_provenance
from photoz_run.release.verify import verify
from photoz_run.run.ledger import RunDirectory
from support.forgeries import FULL, PLAIN, alike, change_statement, rows_of
from support.forgery import resum
from support.photoz import OTHER, photoz
from support.programs import needs

BESIDE = {
    *("release = run", "provenance = run", "area = run", "validation = run"),
    "attached = table",
}
"""The checks that need the run, or the attached table."""
DOCUMENT = Path(__file__).parents[2] / "docs" / "verify.md"


@pytest.fixture(scope="module")
def table(run, tmp_path_factory) -> Path:
    """A table to attach: a number for two of three sources."""
    path = tmp_path_factory.mktemp("table") / "counts.parquet"
    tiles = [pq.read_table(tile, columns=["ID"]) for tile in sorted(run.glob("tiles/*/*.parquet"))]
    names = sorted({name for tile in tiles for name in tile["ID"].to_pylist()})
    counts = [None if k % 3 == 0 else k for k in range(len(names))]
    pq.write_table(pa.table({"ID": names, "COUNT": pa.array(counts, pa.int32())}).slice(5), path)
    return path


@pytest.fixture(scope="module")
def plain(run, table, tmp_path_factory) -> Path:
    """A release in FITS and Parquet, with a kept and an attached column."""
    out = tmp_path_factory.mktemp("plain") / "release"
    more = ("--keep", "MAG_GAAP_r", "--attach", table, "--quiet")
    assert photoz("release", run, "--out", out, "--name", "sim", *more) == 0
    return out


def failed(folder: Path, run: Path | None = None, *tables: Path) -> dict[str, str]:
    checks = verify(folder, StepProgress(quiet=True), run, tables)
    return {check.name: check.detail for check in checks if check.failed}


@pytest.mark.parametrize("case", [*PLAIN, *FULL])
def test_a_forgery_is_found_where_it_can_be(plain, release, run, table, tmp_path, case):
    of_all = case in FULL
    copy = Path(shutil.copytree(release if of_all else plain, tmp_path / "copy"))
    forgery = FULL[case] if of_all else PLAIN[case]
    forgery.spoil(copy)
    resum(copy)
    names = set(failed(copy, run, *([] if of_all else [table])))
    assert names - BESIDE == forgery.alone
    assert names & BESIDE == forgery.beside


def test_the_documentation_lists_every_forgery_with_its_verdict():
    lines = re.findall(r"^\| (.+?) \| (yes|no) \| (yes|no) \|$", DOCUMENT.read_text(), re.MULTILINE)
    word = {True: "yes", False: "no"}
    expected = [
        (name, word[bool(forgery.alone)], word[bool(forgery.alone | forgery.beside)])
        for name, forgery in (PLAIN | FULL).items()
    ]
    assert lines == expected
    assert len(lines) >= 60


def test_without_the_run_the_other_checks_say_the_same(plain, run, table, tmp_path):
    copy = Path(shutil.copytree(plain, tmp_path / "copy"))
    PLAIN["cells of the MOC elsewhere"].spoil(copy)
    resum(copy)
    alone, beside = failed(copy), failed(copy, run, table)
    assert alone == {name: words for name, words in beside.items() if name not in BESIDE}


def test_a_release_of_a_forged_run_is_found_beside_the_true_one(run, tmp_path):
    forged = RunDirectory(Path(shutil.copytree(run, tmp_path / "run")))
    outcome = forged.outcomes()[OTHER]
    path = forged.tile_folder(OTHER) / f"{OTHER}.parquet"
    rows = pq.read_table(path)
    column = rows.schema.get_field_index("MASK")
    masks = pc.bit_wise_xor(rows["MASK"], pa.scalar(2, pa.int32()))
    pq.write_table(rows.set_column(column, rows.schema.field(column), masks), path)
    forged.write_outcome(replace(outcome, files=outcome.files | {path.name: file_digest(path)}))
    out = tmp_path / "release"
    assert photoz("release", forged.path, "--out", out, "--name", "sim", "--quiet") == 0
    assert failed(out) == {}
    assert set(failed(out, run)) == {"release = run", "provenance = run"}


def test_what_is_not_at_hand_is_not_compared_and_said(plain, run, survey, tmp_path, capsys):
    assert photoz("verify", plain, "--json") == 0
    checks = {one["name"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    skipped = checks["attached = table"]
    assert skipped["passed"] is None
    assert skipped["detail"] == "not compared: give the table with --attached (counts.parquet)"
    moved = survey.rename(survey.with_name("moved"))
    try:
        assert photoz("verify", plain, "--run", run) == 0
    finally:
        moved.rename(survey)
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("SKIP  kept columns = catalogues") for line in lines) == 1
    assert lines[-1].endswith("checks passed, 2 not made")


def test_a_table_that_was_not_attached_is_refused(plain, tmp_path, capsys):
    pq.write_table(pa.table({"ID": ["A"]}), tmp_path / "other.parquet")
    assert photoz("verify", plain, "--attached", tmp_path / "other.parquet") == 2
    told = capsys.readouterr().err
    assert "the release has nothing of a table with this sha256; it names counts.parquet" in told


def test_beside_its_run_a_release_passes_with_more_checks(release, run):
    alone = verify(release, StepProgress(quiet=True))
    beside = verify(release, StepProgress(quiet=True), run)
    assert all(check.passed for check in beside)
    names = {check.name for check in beside} - {check.name for check in alone}
    assert names == BESIDE - {"attached = table"}


def test_the_tile_the_column_and_the_source_are_named(plain, run, tmp_path, capsys):
    copy = Path(shutil.copytree(plain, tmp_path / "copy"))
    row = rows_of(copy)[3]
    alike(copy, {row["ID"]: {"MASK": row["MASK"] ^ 1}})
    resum(copy)
    assert photoz("verify", copy, "--run", run) == 4
    told = capsys.readouterr().out
    assert f"{row['KIDS_TILE']}: MASK differs in 1 rows, the first is '{row['ID']}'" in told


def test_what_is_no_run_is_refused(plain, tmp_path, capsys):
    assert photoz("verify", plain, "--run", tmp_path) == 2
    assert "is not a run directory" in capsys.readouterr().err


def test_a_signature_is_checked_and_its_key_named(plain, tmp_path):
    needs("ssh-keygen")
    copy, key = Path(shutil.copytree(plain, tmp_path / "copy")), tmp_path / "key"
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(make, check=True, capture_output=True)
    sign = ["ssh-keygen", "-Y", "sign", "-n", "file", "-f", str(key), str(copy / "SHA256SUMS")]
    subprocess.run(sign, check=True, capture_output=True)
    checks = {check.name: check for check in verify(copy, StepProgress(quiet=True))}
    assert not any(check.failed for check in checks.values())
    assert "ED25519 key SHA256:" in checks["signature"].detail
    change_statement(lambda said: said.update(reference="another"))(copy)
    resum(copy)
    assert "it does not sign the sums that lie beside it: Could not" in failed(copy)["signature"]


def test_what_is_no_signature_of_a_file_is_told(tmp_path):
    needs("ssh-keygen")
    key, sums = tmp_path / "key", tmp_path / "SHA256SUMS"
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(make, check=True, capture_output=True)
    sums.write_text("sums\n")
    for namespace in ("file", "git"):
        sign = ["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", str(key), str(sums)]
        subprocess.run(sign, check=True, capture_output=True)
        (check,) = check_signature(tmp_path)
        assert check.passed == (namespace == "file")
        (tmp_path / "SHA256SUMS.sig").unlink()
    (tmp_path / "SHA256SUMS.sig").write_text("mine")
    (check,) = check_signature(tmp_path)
    assert check.failed


def test_a_signature_is_not_checked_without_ssh_keygen(tmp_path, monkeypatch):
    (tmp_path / "SHA256SUMS.sig").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    (check,) = check_signature(tmp_path)
    assert (check.passed, check.detail) == (None, "not checked: ssh-keygen is not installed")


def test_what_is_stated_is_read_as_it_was_written(plain):
    provenance = read_provenance(plain)
    assert document_text(provenance) == (plain / "provenance.json").read_text()
    assert all(len(tile.footprint) == 4 for tile in provenance.tiles if tile.released)
