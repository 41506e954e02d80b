"""``photoz-run`` as a person meets it: one command, a catalogue, an exit status, a resumption."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from photoz_run.records import tile_group
from support.bundles import closed_form
from support.crash import Hold
from support.runs import (
    command,
    contents,
    files,
    in_process,
    options,
    outcome,
    start_command,
    tile_file,
)
from support.tiles import catalogue_magnitudes, make_tile, reference_stamps

TILES = ("KIDS_0.0_-31.2", "KIDS_180.0_-0.5", "KIDS_181.0_-0.5")
SUFFIXES = ("u", "g", "r", "i1", "Z", "Y", "J", "H", "Ks")


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Three DR5 tiles: plain, packed and gzipped."""
    folder = tmp_path_factory.mktemp("survey")
    endings = zip(TILES, ("", ".fz", ".gz"), strict=True)
    return {name: make_tile(folder, name, seed=7, compression=ending) for name, ending in endings}


@pytest.fixture(scope="module")
def data(survey) -> Path:
    return survey[TILES[0]].folder


@pytest.fixture(scope="module")
def undisturbed(data, bundle, tmp_path_factory):
    """A run of the real command from start to end, and what it said."""
    out = tmp_path_factory.mktemp("run") / "out"
    said = command(options(data, bundle, out, "--formats", "parquet,fits", "--workers", "2"))
    return out, said


@pytest.fixture
def again(undisturbed, data, bundle, tmp_path):
    """A copy of that run, and the command that resumes it."""
    out = tmp_path / "out"
    shutil.copytree(undisturbed[0], out)
    return out, options(data, bundle, out, "--formats", "parquet,fits")


def test_a_run_ends_well_and_says_what_it_did(undisturbed):
    out, said = undisturbed
    assert said.returncode == 0, said.stderr
    assert "3 tiles (3 DONE), 120 rows" in said.stdout
    assert "flag EDGE" in said.stdout
    assert f"catalogue: {out / 'tiles'}" in said.stdout
    assert "3/3 tiles" in said.stderr
    assert "galaxies/s" in said.stderr
    assert said.stderr.count("trained on simulations") == 1
    assert "Traceback" not in said.stderr
    assert "Warning" not in said.stderr


def test_the_run_directory_holds_what_the_design_says(undisturbed):
    out, _ = undisturbed
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    tiles = [
        f"tiles/{tile_group(tile)}/{tile}.{ending}"
        for tile in TILES
        for ending in ("fits", "json", "parquet")
    ]
    logs = [f"logs/{tile_group(tile)}/{tile}.log" for tile in TILES]
    assert names == sorted(["manifest.json", "run.toml", "summary.json", *tiles, *logs])


@pytest.mark.parametrize("name", TILES)
def test_every_row_of_every_kind_of_file_is_the_closed_formula(undisturbed, survey, name):
    tile = survey[name]
    rows = {row["ID"]: row for row in pq.read_table(tile_file(undisturbed[0], name)).to_pylist()}
    z_N, _, _ = closed_form(reference_stamps(tile), catalogue_magnitudes(tile, SUFFIXES))
    assert len(rows) == 40
    np.testing.assert_allclose([rows[name]["Z_PHOT"] for name in tile.id_N], z_N, atol=3e-6)
    total_N = [rows[name]["MAG_AUTO_CALIB"] for name in tile.id_N]
    np.testing.assert_allclose(total_N, tile.magnitudes["r"], atol=1e-5)


def test_outcome_and_manifest_say_how_it_was_made(undisturbed, bundle):
    out, _ = undisturbed
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["tiles"] == list(TILES)
    assert manifest["model"] == "closed-form"
    assert manifest["provider"] == "cpu"
    assert manifest["packages"]["numpy"] == np.__version__
    assert manifest["config"]["select"] == "all"
    assert len(manifest["inputs"][TILES[0]]) == 16
    record = outcome(out, TILES[1])
    assert record["status"] == "DONE"
    assert (record["rows_in"], record["rows_out"], record["attempt"], record["provider"]) == (
        40,
        40,
        1,
        "cpu",
    )
    assert {"read", "cut", "infer", "write"} <= set(record["seconds"])
    metadata = pq.read_metadata(tile_file(out, TILES[1])).metadata
    assert metadata[b"photoz-run.model_digest"].decode() == manifest["model_digest"]
    assert metadata[b"photoz-run.config_digest"].decode() == manifest["config_digest"]


def test_the_number_of_workers_changes_nothing(undisturbed, data, bundle, tmp_path, monkeypatch):
    assert (
        in_process(
            monkeypatch, options(data, bundle, tmp_path / "out", "--formats", "parquet,fits")
        )
        == 0
    )
    assert contents(tmp_path / "out") == contents(undisturbed[0])


def test_run_toml_read_back_makes_the_same_run(undisturbed, tmp_path, monkeypatch):
    arguments = ["--config", str(undisturbed[0] / "run.toml"), "--out", str(tmp_path / "out")]
    assert in_process(monkeypatch, arguments) == 0
    assert contents(tmp_path / "out") == contents(undisturbed[0])


def test_a_finished_run_is_not_measured_again(again, monkeypatch, capsys):
    out, arguments = again
    before = {path: path.stat().st_mtime_ns for path in files(out)}
    assert in_process(monkeypatch, arguments) == 0
    assert {path: path.stat().st_mtime_ns for path in files(out)} == before
    said = capsys.readouterr()
    assert "resuming: 3 of 3 tiles are settled already" in said.err
    assert "3 tiles (3 DONE), 120 rows" in said.out


def spoil_nothing(_tiles):
    """For comparison: nothing is made again."""


def truncate_parquet(tiles):
    os.truncate(tiles / f"{TILES[0]}.parquet", 5000)


def flip_a_byte(tiles):
    content = bytearray((tiles / f"{TILES[0]}.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (tiles / f"{TILES[0]}.parquet").write_bytes(bytes(content))


def delete_parquet(tiles):
    (tiles / f"{TILES[0]}.parquet").unlink()


def delete_fits(tiles):
    (tiles / f"{TILES[0]}.fits").unlink()


def delete_mark(tiles):
    (tiles / f"{TILES[0]}.json").unlink()


def truncate_mark(tiles):
    os.truncate(tiles / f"{TILES[0]}.json", 100)


def mark_of_nothing(tiles):
    (tiles / f"{TILES[0]}.json").write_text('{"tile": "KIDS_0.0_-31.2"}')


def leave_a_part(tiles):
    part = tiles / f".{TILES[0]}.parquet.77.part"
    part.write_bytes(b"half a file")
    two_days_ago = time.time() - 2 * 86400
    os.utime(part, (two_days_ago, two_days_ago))
    (tiles / f"{TILES[0]}.json").unlink()


@pytest.mark.parametrize(
    ("more", "stays"), [((), False), (("--shard", "1/2"), True)], ids=["whole", "shard"]
)
def test_a_young_half_written_file_is_another_shards_or_goes_with_the_end_of_the_run(
    again, monkeypatch, more, stays
):
    out, arguments = again
    part = tile_file(out, TILES[0]).with_name(f".{TILES[0]}.parquet.77.part")
    part.write_bytes(b"half a file")
    assert in_process(monkeypatch, [*arguments, *more]) == 0
    assert part.exists() == stays


@pytest.mark.parametrize(
    "spoil",
    [
        truncate_parquet,
        flip_a_byte,
        delete_parquet,
        delete_fits,
        delete_mark,
        truncate_mark,
        mark_of_nothing,
        leave_a_part,
    ],
)
def test_what_was_lost_is_made_again_byte_for_byte_and_nothing_else(
    again, undisturbed, monkeypatch, spoil
):
    out, arguments = again
    others = [path for path in files(out) if not path.name.startswith(TILES[0])]
    before = {path: path.stat().st_mtime_ns for path in others}
    spoil(tile_file(out, TILES[0]).parent)
    assert in_process(monkeypatch, arguments) == 0
    assert contents(out) == contents(undisturbed[0])
    assert {path: path.stat().st_mtime_ns for path in others} == before
    assert outcome(out, TILES[0])["status"] == "DONE"


def test_restart_measures_everything_again(again, undisturbed, monkeypatch):
    out, arguments = again
    before = {path: path.stat().st_mtime_ns for path in files(out)}
    assert in_process(monkeypatch, [*arguments, "--restart"]) == 0
    assert contents(out) == contents(undisturbed[0])
    assert all(path.stat().st_mtime_ns > before[path] for path in before)
    assert in_process(monkeypatch, [*arguments, "--restart", "--select", "bright"]) == 0
    assert json.loads((out / "manifest.json").read_text())["config"]["select"] == "bright"


def test_restart_deletes_no_folder_that_is_no_run(data, bundle, tmp_path, monkeypatch, capsys):
    (tmp_path / "tiles").mkdir()
    precious = tmp_path / "tiles" / "precious.fits"
    precious.touch()
    assert in_process(monkeypatch, options(data, bundle, tmp_path, "--restart")) == 2
    assert precious.exists()
    assert "is not empty and is no run directory" in capsys.readouterr().err


def change_select(arguments, _data):
    return [*arguments, "--select", "bright"], "select was 'all', now 'bright'"


def change_formats(arguments, _data):
    return [*arguments, "--formats", "parquet"], "formats was"


def change_keep(arguments, _data):
    return [*arguments, "--keep", "SeqNr"], "keep was"


def change_model(arguments, data):
    from support.bundles import closed_form_bundle

    other = Path(arguments[arguments.index("--out") + 1]).parent / "other.onnx"
    closed_form_bundle(other, version="2")
    return [*arguments, "--model", str(other)], "model_digest was"


def change_tiles(arguments, _data):
    tiles = list(arguments)
    tiles[1] = TILES[0]
    return tiles, f"2 tiles gone ({TILES[1]} ...)"


@pytest.mark.parametrize(
    "change", [change_select, change_formats, change_keep, change_model, change_tiles]
)
def test_another_run_in_the_same_directory_is_refused_with_the_difference(
    again, data, monkeypatch, capsys, change
):
    out, arguments = again
    before = contents(out)
    changed, difference = change(arguments, data)
    assert in_process(monkeypatch, changed) == 2
    said = capsys.readouterr().err
    assert f"{out} holds a run with another setting" in said
    assert difference in said
    assert "--restart" in said
    assert contents(out) == before


def test_a_tree_changed_since_is_seen_in_the_refusal(again, monkeypatch, capsys):
    out, arguments = again
    commit = json.loads((out / "manifest.json").read_text())["commit"].rstrip("+")
    monkeypatch.setattr("photoz_run.run.manifest.program_commit", lambda: f"{commit}+")
    (out / "manifest.json").write_text(
        (out / "manifest.json").read_text().replace(f'"{commit}+"', f'"{commit}"')
    )
    assert in_process(monkeypatch, arguments) == 2
    assert f"commit was {commit}, now {commit}+" in capsys.readouterr().err


def test_inputs_changed_since_are_refused(again, data, bundle, tmp_path, monkeypatch, capsys):
    out, _ = again
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    arguments = options(copy, bundle, out, "--formats", "parquet,fits")
    assert in_process(monkeypatch, arguments) == 0
    catalogue = next(copy.glob("*_0.0_-31.2_*_cat.fits"))
    os.utime(catalogue)
    assert in_process(monkeypatch, arguments) == 2
    assert (
        "input files of 1 finished tile have changed since measuring,"
        f" the first is {TILES[0]}" in (capsys.readouterr().err)
    )


def test_json_is_all_that_stands_on_stdout(again, monkeypatch, capsys):
    out, arguments = again
    assert in_process(monkeypatch, [*arguments, "--json"]) == 0
    said = capsys.readouterr()
    summary = json.loads(said.out)
    assert said.err == ""
    assert summary["tiles"] == {"DONE": 3, "NO_WORK": 0, "QUARANTINED": 0, "FAILED": 0}
    assert (summary["rows"], summary["resumed"], summary["exit_code"]) == (120, 3, 0)
    assert summary == json.loads((out / "summary.json").read_text())


def test_a_dry_run_need_not_be_told_where_to_write(dr4_tile, bundle, monkeypatch, capsys):
    arguments = [
        "--tiles",
        "all",
        "--data",
        str(dr4_tile.folder),
        "--model",
        str(bundle),
        "--dry-run",
        "--json",
    ]
    assert in_process(monkeypatch, arguments) == 0
    assert [plan["tile"] for plan in json.loads(capsys.readouterr().out)["tiles"]] == [
        dr4_tile.name
    ]


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    data, bundle, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "data"
    make_tile(folder, "KIDS_9.0_-31.2", products=("sci", "wei"), bands=("u", "r", "i"))
    make_tile(folder, "KIDS_10.0_-31.2")
    bare = make_tile(folder, "KIDS_11.0_-31.2")
    bare.catalogue.unlink()
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setenv("COLUMNS", "200")
    arguments = options(folder, bundle, tmp_path / "out", "--dry-run")
    assert in_process(monkeypatch, arguments) == 0
    said = capsys.readouterr().out
    lines = {line.split()[0]: line for line in said.splitlines()}
    assert "g sci" in lines["KIDS_9.0_-31.2"]
    assert "r msk" in lines["KIDS_9.0_-31.2"]
    assert lines["KIDS_10.0_-31.2"].split()[1] == "40"
    assert "no catalogue" in lines["KIDS_11.0_-31.2"]
    assert "3 tiles, 80 rows expected" in said
    assert "the tile has no g coadd" in lines["KIDS_9.0_-31.2"]
    assert "2 tiles with a problem" in said
    assert in_process(monkeypatch, [*arguments, "--json"]) == 0
    plans = {plan["tile"]: plan for plan in json.loads(capsys.readouterr().out)["tiles"]}
    read = [path for path in folder.glob("*_10.0_*") if "_i2_" not in path.name]
    size = sum(path.stat().st_size for path in read)
    assert 0.6 * size < plans["KIDS_10.0_-31.2"]["bytes"] <= size
    assert set(plans["KIDS_10.0_-31.2"]["ways"]) <= {"rows", "stream"}
    assert plans["KIDS_10.0_-31.2"]["lacks"] == []
    assert plans["KIDS_9.0_-31.2"]["rows"] == 40
    assert plans["KIDS_11.0_-31.2"]["rows"] is None
    assert sorted(tmp_path.rglob("*")) == before


def test_a_stopped_run_is_finished_by_the_next_start_with_the_same_bytes(
    data, bundle, tmp_path, monkeypatch, capsys
):
    hold = Hold(tmp_path / "held")
    folder, out, whole = (tmp_path / name for name in ("data", "stopped", "whole"))
    folder.mkdir()
    for path in data.glob("*_0.0_-31.2_*"):
        for k in range(12):
            (folder / path.name.replace("_0.0_", f"_{k}.0_")).symlink_to(path)
    hold.hold("KIDS_5.0_-31.2")
    with monkeypatch.context() as held:
        for name, value in hold.variables.items():
            held.setenv(name, value)
        process = start_command(options(folder, bundle, out, "--workers", "1"))
    while not list((out / "tiles").glob("*/*.json")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=300)
    kept = {path: path.stat().st_mtime_ns for path in (out / "tiles").glob("*/*.json")}
    assert process.returncode == 75, said
    last = said.strip().splitlines()[-1]
    assert (
        last == "photoz-run: stopped by SIGTERM;"
        " finished tiles are kept, the same command resumes the run"
    )
    assert "Traceback" not in said
    assert 0 < len(kept) < 12

    assert in_process(monkeypatch, options(folder, bundle, out)) == 0
    assert "12 tiles (12 DONE), 480 rows" in capsys.readouterr().out
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    assert not list((out / "tiles").glob("*/.*"))
    assert in_process(monkeypatch, options(folder, bundle, whole)) == 0
    assert contents(out) == contents(whole)


def test_a_full_disk_stops_the_run_and_leaves_no_half_file(
    data, bundle, undisturbed, tmp_path, monkeypatch
):
    sizes = {path.name: path.stat().st_size for path in files(undisturbed[0])}
    limit = sizes[f"{TILES[0]}.fits"] - 1000
    assert sizes[f"{TILES[0]}.parquet"] < limit
    arguments = options(
        data, bundle, tmp_path / "out", "--formats", "parquet,fits", "--workers", "1"
    )
    arguments[1] = TILES[0]
    said = command(arguments, largest_file=limit)
    assert said.returncode == 75, said.stderr
    last = said.stderr.strip().splitlines()[-1]
    assert last.startswith("photoz-run: ")
    assert (
        ".fits: cannot be written (File too large); free space and start the same command again"
        in last
    )
    assert "Traceback" not in said.stderr
    assert not files(tmp_path / "out")
    assert not list((tmp_path / "out" / "quarantine").iterdir())
    assert in_process(monkeypatch, arguments) == 0
    whole = contents(undisturbed[0])
    assert contents(tmp_path / "out") == {
        name: whole[name] for name in whole if name.startswith(TILES[0])
    }


def test_help_is_there_at_once_and_names_every_option(monkeypatch):
    before = os.times().children_user
    said = command(["--help"])
    # Seconds of computing: a busy machine takes longer.
    assert os.times().children_user - before < 5
    assert said.returncode == 0
    for option in (
        "--tiles",
        "--data",
        "--data-release",
        "--model",
        "--out",
        "--select",
        "--formats",
        "--workers",
    ):
        assert option in said.stdout
    for option in (
        "--config",
        "--dry-run",
        "--restart",
        "--json",
        "--magnitudes",
        "--provider",
        "--keep",
    ):
        assert option in said.stdout
