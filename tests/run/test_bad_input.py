"""Bad input ends in one clear line: a spoiled tile is quarantined, a wrong setting stops all."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from onnx import numpy_helper

from photoz_run.run.status import read_status
from support.bundles import closed_form_bundle
from support.faults import FAULTS, replace_column
from support.runs import command, contents, in_process, options, outcome, tile_file
from support.tiles import (
    change_rows,
    make_tile,
    truncate,
)


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory, bundle):
    """One run over a tile for each fault, two good ones and one without sources."""
    folder = tmp_path_factory.mktemp("spoiled")
    names = {}
    for k, (fault, (spoil, ending, _)) in enumerate(FAULTS.items()):
        names[fault] = f"KIDS_{10 + k}.0_-31.2"
        spoil(make_tile(folder, names[fault], "DR4.0", compression=ending))
    for name in ("KIDS_0.0_-31.2", "KIDS_99.0_-31.2"):
        make_tile(folder, name, "DR4.0")
    empty = make_tile(folder, "KIDS_50.0_0.5", "DR4.0")
    change_rows(empty.catalogue, lambda rows: rows[:0].copy())
    out = tmp_path_factory.mktemp("run") / "out"
    return out, names, command(options(folder, bundle, out, "--workers", "2"))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_spoiled_tile_is_quarantined_with_tile_file_and_reason(spoiled, fault):
    out, names, said = spoiled
    record = outcome(out, names[fault])
    assert record["status"] == "QUARANTINED"
    assert record["error"] == "BadDataError", record
    assert record["traceback"] == ""
    assert re.search(FAULTS[fault][2], record["reason"]), record["reason"]
    assert names[fault] in record["reason"]
    assert "\n" not in record["reason"]
    assert record["reason"].count(str(names[fault])) <= 2
    assert (
        f"quarantined {names[fault]}: {record['reason'].removeprefix(names[fault] + ': ')}"
        in said.stdout
    )
    assert not list((out / "tiles").rglob(f"*{names[fault]}*"))


def test_the_rows_of_a_quarantined_tile_are_counted_where_its_catalogue_can_be_read(spoiled):
    out, names, _ = spoiled
    assert outcome(out, names["nan image"])["catalogue_rows"] == 40
    assert outcome(out, names["no catalogue"])["catalogue_rows"] is None


def test_one_bad_tile_never_stops_the_others(spoiled):
    out, _, said = spoiled
    assert said.returncode == 3
    assert (
        f"{len(FAULTS) + 3} tiles (2 DONE, 1 NO_WORK, {len(FAULTS)} QUARANTINED), 80 rows"
        in said.stdout
    )
    for name in ("KIDS_0.0_-31.2", "KIDS_99.0_-31.2"):
        assert pq.read_table(tile_file(out, name)).num_rows == 40
    assert outcome(out, "KIDS_50.0_0.5")["status"] == "NO_WORK"
    assert not tile_file(out, "KIDS_50.0_0.5").exists()


def test_nothing_but_clear_lines_is_said(spoiled):
    _, _, said = spoiled
    for noise in ("Traceback", "Warning", "distributed."):
        assert noise not in said.stderr + said.stdout
    assert said.stderr.count("quarantined KIDS") == len(FAULTS)


def test_a_mended_tile_is_measured_by_the_next_start(tmp_path, bundle, monkeypatch):
    folder, out = tmp_path / "data", tmp_path / "out"
    tile = make_tile(folder, data_release="DR4.0")
    good = tile.image("g").read_bytes()
    truncate(tile.image("g"), 0.5)
    assert in_process(monkeypatch, options(folder, bundle, out)) == 3
    assert in_process(monkeypatch, options(folder, bundle, out)) == 3
    tile.image("g").write_bytes(good)
    assert in_process(monkeypatch, options(folder, bundle, out)) == 0
    assert outcome(out, tile.name)["status"] == "DONE"


def test_a_selection_that_one_tile_cannot_answer_is_that_tile_s_fault(
    tmp_path, bundle, monkeypatch
):
    folder, out = tmp_path / "data", tmp_path / "out"
    good = make_tile(folder, "KIDS_10.0_-31.2", products=("sci",))
    odd = make_tile(folder, "KIDS_9.0_-31.2", products=("sci",))
    replace_column(odd.catalogue, "Z_B", "S4", b"0.3")
    arguments = [*options(folder, bundle, out), "--select", "Z_B < 0.5"]
    assert in_process(monkeypatch, arguments) == 3
    assert outcome(out, good.name)["status"] == "DONE"
    record = outcome(out, odd.name)
    assert record["error"] == "BadDataError"
    assert "_cat.fits: expression 'Z_B < 0.5' cannot be evaluated" in record["reason"]


def test_an_empty_selection_is_no_work(dr4_tile, bundle, tmp_path, monkeypatch, capsys):
    arguments = options(dr4_tile.folder, bundle, tmp_path / "out", "--select", "MAG_AUTO_CALIB < 3")
    assert in_process(monkeypatch, arguments) == 0
    assert "1 tile (1 NO_WORK), 0 rows" in capsys.readouterr().out


@pytest.fixture
def arguments(dr4_tile, bundle, tmp_path) -> list[str]:
    return options(dr4_tile.folder, bundle, tmp_path / "out")


def refused(monkeypatch, capsys, arguments: list[str], out: Path | None = None) -> str:
    """What is said by a command that must be refused before anything is made."""
    assert in_process(monkeypatch, arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("photoz-run: ")
    assert said.err.count("\n") == 1, said.err
    if out is not None:
        assert not out.exists()
    return said.err


WRONG = {
    "tile twice": (
        ["--tiles", "KIDS_180.0_-0.5", "KIDS_180p0_m0p5"],
        "KIDS_180.0_-0.5 is named twice",
    ),
    "unknown tile": (["--tiles", "KIDS_180.0_-1.5"], "did you mean KIDS_180.0_-0.5"),
    "no tile name": (
        ["--tiles", "180"],
        "'180' is not a tile name; tiles are called like KIDS_180.0_-0.5",
    ),
    "glob of nothing": (["--tiles", "KIDS_7*"], "no tile matches 'KIDS_7*'"),
    "no list": (["--tiles", "@tiles.txt"], "tile list tiles.txt cannot be read"),
    "no data folder": (["--data", "/nowhere/at/all"], "data folder /nowhere/at/all does not exist"),
    "no model": (
        ["--model", "nothing.onnx"],
        "model nothing.onnx: no such file, and no shipped model of this name",
    ),
    "other release": (["--data-release", "DR5"], "DR5"),
    "unknown release": (["--data-release", "DR9"], "release 'DR9' is not known"),
    "formats": (["--formats", "parquet,csv"], "'csv'"),
    "formats without parquet": (["--formats", "fits"], "formats must include parquet"),
    "no workers": (["--workers", "0"], "workers: MIN:MAX needs MIN <= MAX and MAX of at least 1"),
    "provider": (["--provider", "tpu"], "provider"),
    "cuda": (
        ["--provider", "cuda"],
        "CUDA was asked for and cannot be used here",
    ),
    "no magnitudes": (["--magnitudes", "mags.parquet"], "magnitudes mags.parquet: file not found"),
    "magnitudes by": (["--magnitudes-by", "name"], "magnitudes_by"),
    "selection": (["--select", "bright and"], "expression 'bright and' is not valid"),
    "selection by code": (
        ["--select", "exit(1)"],
        "expression 'exit(1)': 'exit(1)' is not understood",
    ),
    "selection without end": (
        ["--select", "9 ** 9 ** 9 ** 9 > MAG_AUTO"],
        "expression '9 ** 9 ** 9 ** 9 > MAG_AUTO' cannot be evaluated: ",
    ),
    "long selection": (
        ["--select", "MAG_AUTO < 1" + " + 1" * 3000],
        "expression of 12,012 characters: at most 4,000",
    ),
    "deep selection": (["--select", "-" * 500 + "MAG_AUTO < 20"], "more than 60 levels deep"),
    "selection by type": (
        ["--select", "ID < 3"],
        "expression 'ID < 3' cannot be evaluated: a text is compared with a number",
    ),
    "selection misspelt": (
        ["--select", "MAG_AUT0 < 19"],
        "has no column 'MAG_AUT0'; did you mean MAG_AUTO",
    ),
    "kept misspelt": (["--keep", "Z_BB"], "has no column 'Z_BB'; did you mean Z_B"),
    "kept what is computed": (["--keep", "bright"], "has no column 'bright'"),
    "kept twice": (["--keep", "Z_B", "Z_B"], "Z_B"),
    "kept is there already": (["--keep", "MASK"], "MASK"),
    "no configuration": (["--config", "nowhere.toml"], "configuration nowhere.toml cannot be read"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_setting_is_refused_in_one_line(fault, arguments, tmp_path, monkeypatch, capsys):
    options_given, complaint = WRONG[fault]
    kept = list(arguments)
    for option in ("--tiles", "--data", "--provider", "--model", "--select"):
        if option in options_given:
            del kept[kept.index(option) : kept.index(option) + 2]
    assert complaint in refused(monkeypatch, capsys, [*kept, *options_given], tmp_path / "out")


@pytest.mark.parametrize(
    ("option", "key"), [("--tiles", "tiles"), ("--data", "data"), ("--out", "out")]
)
def test_what_must_be_said_is_asked_for(arguments, option, key, monkeypatch, capsys):
    del arguments[arguments.index(option) : arguments.index(option) + 2]
    assert f"'{key}' is not set; give {option} or {key} in the TOML file" in refused(
        monkeypatch, capsys, arguments
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("tile = ['all']\n", "unknown key 'tile'; known keys are tiles, data, out"),
        ("workers = 'many'\n", "workers: "),
        ("tiles = [\n", "is not valid TOML"),
        (
            "bad_pixel_bits = 300\n",
            "bad_pixel_bits: Input should be less than or equal to 255 (got 300)",
        ),
        ("missing_band = 'ignore'\n", "missing_band"),
    ],
)
def test_a_wrong_configuration_file_is_refused_with_its_name(
    text, complaint, arguments, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "my.toml"
    path.write_text(text)
    said = refused(monkeypatch, capsys, [*arguments, "--config", str(path)], tmp_path / "out")
    assert f"configuration {path}" in said
    assert complaint in said


def without_contract(path: Path) -> None:
    graph = onnx.load(path)
    del graph.metadata_props[:]
    onnx.save(graph, path)


def other_weights(path: Path) -> None:
    graph = onnx.load(path)
    weight = next(tensor for tensor in graph.graph.initializer if tensor.name == "flux_slope")
    weight.CopyFrom(numpy_helper.from_array(np.float32(0.06), "flux_slope"))
    onnx.save(graph, path)


def no_graph(path: Path) -> None:
    path.write_bytes(b"not a model")


def another_stamp(path: Path) -> None:
    from photoz_models.contract import parse_contract, write_contract

    metadata = {prop.key: prop.value for prop in onnx.load(path).metadata_props}
    contract = parse_contract(metadata, "here")
    write_contract(path, contract.model_copy(update={"stamp_size": 32}), path)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (without_contract, "no contract in this ONNX file"),
        (other_weights, "golden values do not come back on cpu"),
        (no_graph, "not a usable ONNX model"),
        (another_stamp, "are not those of the contract"),
    ],
)
def test_a_model_that_is_not_what_it_says_is_refused(
    spoil, complaint, arguments, bundle, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "spoiled.onnx"
    shutil.copy(bundle, path)
    spoil(path)
    arguments[arguments.index("--model") + 1] = str(path)
    said = refused(monkeypatch, capsys, arguments, tmp_path / "out")
    assert f"{path}: " in said
    assert complaint in said


def test_a_model_of_another_pixel_scale_quarantines_with_both_scales(
    arguments, tmp_path, monkeypatch, capsys
):
    closed_form_bundle(tmp_path / "coarse.onnx", pixel_scale=0.34)
    arguments[arguments.index("--model") + 1] = str(tmp_path / "coarse.onnx")
    assert in_process(monkeypatch, arguments) == 3
    assert (
        'pixel scale is 0.2000 x 0.2000", the model was trained on 0.34"' in capsys.readouterr().err
    )


def test_a_run_directory_that_is_something_else_is_refused(
    arguments, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    out.write_text("a file")
    assert f"run directory {out} cannot be written" in refused(monkeypatch, capsys, arguments)
    out.unlink()
    out.mkdir()
    (out / "notes.txt").touch()
    assert "is not empty and is no run directory; choose another --out" in refused(
        monkeypatch, capsys, arguments
    )
    assert [path.name for path in out.iterdir()] == ["notes.txt"]


def test_a_damaged_manifest_is_refused(arguments, tmp_path, monkeypatch, capsys):
    assert in_process(monkeypatch, arguments) == 0
    capsys.readouterr()
    (tmp_path / "out" / "manifest.json").write_text('{"schema": 1')
    said = refused(monkeypatch, capsys, arguments)
    assert "manifest.json: is no document of photoz-run: Invalid JSON" in said


@pytest.mark.parametrize("command", [["status"], ["retry"], ["release", "--out", "released"]])
def test_a_run_of_an_earlier_version_is_refused_in_one_line(
    command, arguments, tmp_path, monkeypatch, capsys
):
    assert in_process(monkeypatch, arguments) == 0
    path = tmp_path / "out" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["release"] = manifest.pop("data_releases")
    path.write_text(json.dumps(manifest | {"schema": 1}))
    problem = (
        f"{path}: written by an earlier version of photoz-run (schema 1, this one reads 2);"
        " use that version, or start over with --restart"
    )
    capsys.readouterr()
    assert refused(monkeypatch, capsys, arguments).splitlines()[-1] == f"photoz-run: {problem}"
    name, *rest = command
    said = subprocess.run(
        [str(Path(sys.executable).with_name("photoz")), name, str(tmp_path / "out"), *rest],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (said.returncode, said.stderr) == (2, f"photoz: {problem}\n")
    assert in_process(monkeypatch, [*arguments, "--restart"]) == 0


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("rows_out", "5", "field rows_out: Input should be a valid integer (it is '5')"),
        ("files", [1, 2], "field files: Input should be an object (it is [1, 2])"),
        ("earlier", [{"host": "n1"}], "field earlier.0.error is missing"),
        ("unheard_of", 1, "field unheard_of is not known to this version of photoz-run"),
    ],
)
def test_an_outcome_that_does_not_fit_is_told_and_the_tile_measured_anew(
    field, value, problem, arguments, tmp_path, monkeypatch, capsys
):
    assert in_process(monkeypatch, arguments) == 0
    whole = contents(tmp_path / "out")
    mark = next((tmp_path / "out" / "tiles").glob("*/*.json"))
    mark.write_text(json.dumps(json.loads(mark.read_text()) | {field: value}))
    problem = f"1 record of a tile cannot be used: {mark}: {problem}"
    status = read_status(tmp_path / "out")
    assert (status.tiles["PENDING"], status.problems) == (1, (problem.partition(": ")[2],))
    capsys.readouterr()
    assert in_process(monkeypatch, arguments) == 0
    assert f"{problem}; their tiles are measured anew" in capsys.readouterr().err
    assert contents(tmp_path / "out") == whole


def test_json_of_a_run_with_quarantined_tiles_says_so(tmp_path, bundle, monkeypatch, capsys):
    tile = make_tile(tmp_path / "data", data_release="DR4.0")
    truncate(tile.image("g"), 0.5)
    assert in_process(monkeypatch, options(tile.folder, bundle, tmp_path / "out", "--json")) == 3
    summary = json.loads(capsys.readouterr().out)
    assert summary["exit_code"] == 3
    assert "truncated" in summary["quarantined"][tile.name]["reason"]
    assert summary["quarantined"][tile.name]["error"] == "BadDataError"
