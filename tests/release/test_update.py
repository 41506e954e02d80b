"""``--update``: after more tiles a release says what was added, changed and removed."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photoz_run.progress import StepProgress
from photoz_run.release.changes import changed_sources
from photoz_run.release.provenance import read_provenance
from photoz_run.release.verify import verify
from photoz_run.run.ledger import RunDirectory
from support.bundles import closed_form_bundle
from support.forgery import resum
from support.photoz import AGAIN, FIELD, OTHER, measure, photoz


def released(run: Path, out: Path, *more: object) -> Path:
    assert photoz("release", run, "--out", out, "--name", "sim", "--quiet", *more) == 0
    return out


def rows_of(folder: Path) -> dict[str, dict]:
    return {row["ID"]: row for row in pq.read_table(folder / "sim.parquet").to_pylist()}


def changes_of(folder: Path) -> dict[str, dict]:
    return {row["ID"]: row for row in pq.read_table(folder / "sim_changes.parquet").to_pylist()}


@pytest.fixture(scope="module")
def grown(run, tmp_path_factory) -> tuple[Path, Path]:
    """A partial release of a run that lacked two tiles, and one of the run when it was finished."""
    folder = tmp_path_factory.mktemp("grown")
    unfinished = RunDirectory(Path(shutil.copytree(run, folder / "run")))
    for tile in (AGAIN, "KIDS_50.0_0.5"):
        next(unfinished.tiles.glob(f"*/{tile}.json")).unlink()
    old = released(folder / "run", folder / "old", "--partial")
    return old, released(run, folder / "new", "--update", old)


def test_a_run_that_went_on_adds_sources_and_says_which_changed(grown):
    old, new = grown
    before, after, changes = rows_of(old), rows_of(new), changes_of(new)
    added = {name for name, row in changes.items() if row["CHANGE"] == "added"}
    changed = {name for name, row in changes.items() if row["CHANGE"] == "changed"}
    assert added == set(after) - set(before)
    assert changed == {name for name in before if before[name] != after[name]}
    assert set(changes) == added | changed
    assert changed
    for name in changed:
        differing = [key for key in after[name] if before[name][key] != after[name][key]]
        assert changes[name]["COLUMNS"].split(",") == differing
        assert changes[name]["KIDS_TILE"] == AGAIN
    update = read_provenance(new).update
    assert update is not None
    assert {tile.tile: tile.status for tile in update.tiles} == {
        FIELD: "unchanged",
        AGAIN: "added",
        OTHER: "unchanged",
        "KIDS_50.0_0.5": "added",
    }
    assert (update.added, update.changed, update.removed) == (len(added), len(changed), 0)
    assert update.unchanged == len(after) - len(changes)


def test_what_did_not_change_keeps_its_order(grown):
    changes = changes_of(grown[1])
    before, after = ([name for name in rows_of(one) if name not in changes] for one in grown)
    assert before == after
    assert len(before) > 10


def test_the_release_proves_itself_and_its_readme_tells(grown):
    _, new = grown
    checks = verify(new, StepProgress(quiet=True))
    assert [check for check in checks if not check.passed] == []
    assert {"changes", "provenance in changes"} <= {check.name for check in checks}
    text = (new / "README.md").read_text()
    update = read_provenance(new).update
    assert update is not None
    assert f"{update.added:,} sources added, {update.changed:,} changed, 0 removed" in text
    assert f"tiles added: {AGAIN}, KIDS_50.0_0.5" in text


@pytest.mark.parametrize("what", ["a source less", "another kind", "a sum"])
def test_a_list_that_was_changed_is_found(grown, tmp_path, what):
    copy = Path(shutil.copytree(grown[1], tmp_path / "copy"))
    path = copy / "sim_changes.parquet"
    rows = pq.read_table(path)
    if what == "a source less":
        pq.write_table(rows.slice(1), path)
    elif what == "another kind":
        kinds = pa.array(["removed", *rows["CHANGE"].to_pylist()[1:]], pa.string())
        pq.write_table(rows.set_column(2, rows.schema.field(2), kinds), path)
    else:
        stated = json.loads((copy / "provenance.json").read_text())
        stated["update"]["tiles"][0]["changed"] += 1
        (copy / "provenance.json").write_text(json.dumps(stated, indent=1) + "\n")
    resum(copy)
    assert "changes" in {
        check.name for check in verify(copy, StepProgress(quiet=True)) if check.failed
    }


def test_a_tile_measured_by_another_bundle_changes_and_the_others_are_removed(
    grown, survey, tmp_path, capsys
):
    old, _ = grown
    data = tmp_path / "data"
    data.mkdir()
    for path in survey.iterdir():
        if "_0.0_-31.2_" in path.name:
            shutil.copy(path, data / path.name)
    closed_form_bundle(tmp_path / "other.onnx", name="closed-form-2")
    assert measure(data, tmp_path / "other.onnx", tmp_path / "run") == 0
    capsys.readouterr()
    new = released(tmp_path / "run", tmp_path / "new", "--update", old)
    told = capsys.readouterr().out
    before, after = rows_of(old), rows_of(new)
    assert f"{len(before) - len(after):,} removed" in told
    assert f"tiles removed: {FIELD}" in told
    assert "- the model was closed-form 1, sha256" in (new / "README.md").read_text()
    assert {row["KIDS_TILE"] for row in changes_of(new).values()} == {FIELD}
    assert photoz("verify", new, "--json") == 0


def test_what_is_no_release_is_refused_before_anything_is_merged(run, tmp_path, capsys):
    assert photoz("release", run, "--out", tmp_path / "new", "--update", tmp_path) == 2
    assert (
        f"--update {tmp_path} is no release: it has no provenance.json" in capsys.readouterr().err
    )
    assert not (tmp_path / "new").exists()


VALUES = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 2.5]))
TABLES = st.dictionaries(st.sampled_from("ABCDEFGH"), st.tuples(VALUES, VALUES), min_size=1)


@settings(max_examples=30)
@given(old=TABLES, new=TABLES)
def test_changes_are_those_of_two_dictionaries(old, new, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    for name, rows in (("old", old), ("new", new)):
        table = {
            "ID": pa.array(list(rows), pa.string()),
            "KIDS_TILE": ["KIDS_1.0_2.0"] * len(rows),
            "A": pa.array([pair[0] for pair in rows.values()], pa.float32()),
            "B": pa.array([pair[1] for pair in rows.values()], pa.float64()),
        }
        pq.write_table(pa.table(table), folder / f"{name}.parquet")
    paths = [[folder / f"{name}.parquet"] for name in ("old", "new")]
    tables = changed_sources(*paths, folder / "scratch", lambda more: None)
    listed = [row for table in tables for row in table.to_pylist()]
    expected = {name: ("added", None) for name in new if name not in old}
    expected |= {name: ("removed", None) for name in old if name not in new}
    for name in set(old) & set(new):
        columns = [one for one, a, b in zip("AB", old[name], new[name], strict=True) if a != b]
        if columns:
            expected[name] = ("changed", ",".join(columns))
    assert {row["ID"]: (row["CHANGE"], row["COLUMNS"]) for row in listed} == expected
