"""What cannot be released is refused in one line, and nothing is left of it."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from photoz_models.documents import document_text
from photoz_run.cli import extras
from photoz_run.errors import StoppedRunError
from photoz_run.release.products import fits as fits_writer
from photoz_run.validation.document import EstimateRecord, GateRecord, write_metrics
from support.bundles import closed_form_bundle
from support.photoz import AGAIN, EMPTY, FIELD, OTHER, TILES, measure, photoz
from support.runs import tile_file
from support.tiles import make_tile, truncate
from support.validation import validated

BROKEN = "KIDS_99.0_-31.2"
COMMAND = Path(sys.executable).with_name("photoz")


@pytest.fixture
def copy(run, tmp_path) -> Path:
    """A copy of the run, to be spoiled."""
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run"


def refused(capsys, path: Path, *more: object, code: int = 2) -> str:
    """The one line with which a release is refused; nothing may be left of it."""
    out = path.parent / "refused" / "out"
    assert photoz("release", path, "--out", out, "--quiet", *more) == code
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert said.err.startswith("photoz: ")
    assert not out.exists()
    assert not out.parent.exists() or not list(out.parent.iterdir())
    return said.err


def test_a_folder_that_is_no_run(tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    assert "is not a run directory: it has no manifest.json" in refused(capsys, tmp_path / "folder")


def test_a_manifest_that_cannot_be_read(copy, capsys):
    (copy / "manifest.json").write_text("{")
    assert "manifest.json: is no document of photoz-run: Invalid JSON" in refused(capsys, copy)
    (copy / "manifest.json").write_text('{"schema": 99}')
    assert "a newer version of photoz-run (schema 99, this one reads 2)" in refused(capsys, copy)


def test_a_record_of_a_tile_that_does_not_fit(copy, capsys):
    mark = next((copy / "tiles").glob("*/*.json"))
    mark.write_text(json.dumps(json.loads(mark.read_text()) | {"rows_out": "5"}))
    said = refused(capsys, copy)
    assert f"{mark}: field rows_out: Input should be a valid integer (it is '5')" in said


def test_a_folder_that_exists(run, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    assert photoz("release", run, "--out", tmp_path / "out") == 2
    assert "exists already; choose another --out" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "spoil", [lambda b: b[:-5] + bytes([b[-5] ^ 1]) + b[-4:], lambda b: b[:100]], ids=["bit", "cut"]
)
def test_a_damaged_tile_file(copy, capsys, spoil):
    path = tile_file(copy, FIELD)
    path.write_bytes(spoil(path.read_bytes()))
    assert f"{FIELD}.parquet: the file has changed since the tile was measured" in refused(
        capsys, copy
    )
    path.unlink()
    assert f"{FIELD}.parquet cannot be read (No such file or directory)" in refused(
        capsys, copy, "--partial"
    )


@pytest.fixture(scope="module")
def other_run(survey, tmp_path_factory) -> Path:
    """The same tiles measured with another model."""
    folder = tmp_path_factory.mktemp("other")
    closed_form_bundle(folder / "other.onnx", version="2")
    assert measure(survey, folder / "other.onnx", folder / "run") == 0
    return folder / "run"


def test_tiles_of_two_models(copy, other_run, capsys):
    for suffix in (".parquet", ".json"):
        shutil.copy(tile_file(other_run, AGAIN, suffix), tile_file(copy, AGAIN, suffix))
    message = refused(capsys, copy)
    assert (
        f"holds tiles of two runs: {AGAIN} measured with another version, model or configuration"
        in message
    )


def test_a_tile_file_of_another_model_with_a_forged_record(copy, other_run, capsys):
    record = json.loads(tile_file(copy, AGAIN, ".json").read_text())
    other = json.loads(tile_file(other_run, AGAIN, ".json").read_text())
    tile_file(copy, AGAIN, ".json").write_text(json.dumps({**record, "files": other["files"]}))
    shutil.copy(tile_file(other_run, AGAIN), tile_file(copy, AGAIN))
    assert f"{AGAIN}: its file was made with another version, model or configuration" in refused(
        capsys, copy
    )


def test_a_tile_that_is_not_of_the_run(copy, capsys):
    record = json.loads(tile_file(copy, EMPTY, ".json").read_text())
    stranger = tile_file(copy, "KIDS_50.0_9.5", ".json")
    stranger.write_text(json.dumps({**record, "tile": "KIDS_50.0_9.5"}))
    assert "holds tiles that are not of this run: KIDS_50.0_9.5" in refused(capsys, copy)


def test_a_run_without_rows(dr5_tile, bundle, tmp_path, capsys):
    assert measure(dr5_tile.folder, bundle, tmp_path / "run", "--select", "MAG_AUTO_CALIB < 3") == 0
    capsys.readouterr()
    assert "no tile has a row; there is nothing to release" in refused(capsys, tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--formats", "fits"), "--formats must include parquet"),
        (
            ("--formats", "parquet,csv"),
            "--formats csv: not known; the formats are parquet, fits, hats",
        ),
        (("--margin", "10"), "--margin belongs to the HATS catalogue"),
        (("--extend", "/kids"), "--extend belongs to the HATS catalogue"),
        (("--extend-id", "SOURCE"), "--extend-id belongs to --extend"),
        (("--formats", "parquet,hats", "--extend", "kids"), "--extend kids: give a URL"),
        (
            ("--formats", "parquet,hats", "--margin", "0"),
            "--margin 0: give a width in arcsec, up to 600",
        ),
        (("--name", "a/b"), "--name 'a/b': file names are made of it"),
        (("--attach-columns", "Z_B"), "--attach-columns belongs to --attach"),
        (("--attach", "nowhere.fits"), "--attach nowhere.fits: file not found"),
        (("--keep", "NO_SUCH"), "has no column 'NO_SUCH'"),
    ],
)
def test_options_that_cannot_be_followed(run, tmp_path, capsys, options, message):
    link = tmp_path / "run"
    link.symlink_to(run)
    assert message in refused(capsys, link, *options)


def test_distributions_of_a_run_without_quantiles(dr5_tile, bundle, tmp_path, capsys):
    from support.runs import in_process
    from support.runs import options as run_options

    with pytest.MonkeyPatch.context() as patch:
        assert in_process(patch, run_options(dr5_tile.folder, bundle, tmp_path / "run")) == 0
    capsys.readouterr()
    assert "the run has no quantiles" in refused(capsys, tmp_path / "run", "--pdf")


@pytest.mark.parametrize(
    ("option", "extra"), [(("--formats", "parquet,hats"), "hats"), (("--pdf",), "pdf")]
)
def test_what_needs_an_extra_says_so(run, tmp_path, capsys, monkeypatch, option, extra):
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    (tmp_path / "run").symlink_to(run)
    assert f"install photoz-run with the extra '{extra}'" in refused(
        capsys, tmp_path / "run", *option
    )


def test_a_full_disk_leaves_nothing_behind(run, tmp_path):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    out = tmp_path / "releases" / "out"
    command = [COMMAND, "release", run, "--out", out, "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 75, done.stderr
    assert (
        f"photoz: {out}: the release cannot be written (File too large); free space" in done.stderr
    )
    assert done.stderr.count("\n") == 1
    assert not list(out.parent.iterdir())


def test_a_folder_that_cannot_be_made(run, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert photoz("release", run, "--out", tmp_path / "file" / "out") == 75
    assert "the release cannot be written (File exists)" in capsys.readouterr().err


def test_a_signal_leaves_nothing_behind(run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        fits_writer, "write_release_fits", lambda *_: os.kill(os.getpid(), signal.SIGTERM)
    )
    out = tmp_path / "releases" / "out"
    with pytest.raises(StoppedRunError, match="SIGTERM; nothing was written, start the same"):
        photoz("release", run, "--out", out, "--quiet")
    assert not list(out.parent.iterdir())


@pytest.fixture(scope="module")
def broken_run(survey, bundle, tmp_path_factory) -> Path:
    """A run with a tile in quarantine and one that was not measured yet."""
    folder = tmp_path_factory.mktemp("broken")
    shutil.copytree(survey, folder / "data")
    truncate(make_tile(folder / "data", BROKEN).image("g"), 0.5)
    assert measure(folder / "data", bundle, folder / "run") == 3
    for path in (folder / "run" / "tiles").rglob(f"{OTHER}.*"):
        path.unlink()
    return folder / "run"


def test_a_run_that_lacks_tiles_is_refused_by_their_names(broken_run, capsys):
    message = refused(capsys, broken_run)
    assert (
        f"is not complete: 1 tile quarantined: {BROKEN}; 1 tile not measured: {OTHER};" in message
    )
    assert "finish the run, or give --partial" in message


@pytest.fixture(scope="module")
def partial(broken_run) -> Path:
    out = broken_run.parent / "partial"
    assert photoz("release", broken_run, "--out", out, "--name", "part", "--partial") == 0
    return out


def test_a_partial_release_lists_what_it_lacks_everywhere(partial, capsys):
    provenance = json.loads((partial / "provenance.json").read_text())
    assert provenance["partial"] is True
    assert {tile_facts["tile"] for tile_facts in provenance["missing"]} == {BROKEN, OTHER}
    text = (partial / "README.md").read_text()
    assert "> **This release is partial:** it lacks 2 tiles of the run, listed at the end" in text
    assert f"| {OTHER} | not measured |" in text
    assert f"| {BROKEN} | {BROKEN}: " in text
    header = fits.getheader(partial / "part.fits", "PHOTOZ")
    assert (header["PARTIAL"], header["QUAR1"], header["MISS1"]) == (True, BROKEN, OTHER)
    table = fits.getdata(partial / "part.fits", "PROVENANCE")
    assert set(table["TILE"]) == {*TILES, BROKEN}
    assert set(table["STATUS"][table["TILE"] == BROKEN]) == {"QUARANTINED"}
    assert all("truncated" in reason for reason in table["REASON"][table["TILE"] == BROKEN])
    assert set(table["STATUS"][table["TILE"] == OTHER]) == {"PENDING"}
    assert set(pq.read_table(partial / "part.parquet")["KIDS_TILE"].to_pylist()) == {FIELD, AGAIN}


def test_a_partial_release_accounts_for_what_it_lacks(partial):
    provenance = json.loads((partial / "provenance.json").read_text())
    by_tile = {tile_facts["tile"]: tile_facts for tile_facts in provenance["tiles"]}
    assert (by_tile[BROKEN]["catalogue"], by_tile[BROKEN]["quarantined"]) == (40, 40)
    assert by_tile[OTHER]["catalogue"] is None
    sums = provenance["accounting"]
    assert (sums["catalogue"], sums["quarantined"], sums["tiles_not_counted"]) == (3 * 40, 40, 1)
    assert (
        sums["catalogue"]
        == sums["excluded"] + sums["measured"] + sums["flagged"] + sums["quarantined"]
    )


def test_a_complete_release_says_on_the_terminal_what_it_holds(run, tmp_path, capsys):
    assert photoz("release", run, "--out", tmp_path / "out") == 0
    said = capsys.readouterr()
    lines = [line.split() for line in said.out.splitlines()]
    counts = {line[0]: line[1] for line in lines[:7]}
    assert counts == {
        "catalogue": "120",
        "excluded": "12",
        "measured": "106",
        "flagged": "2",
        "quarantined": "0",
        "duplicates": "36",
        "released": "72",
    }
    assert lines[7][0] == "tile"
    assert {line[0] for line in lines[8:12]} == set(TILES)
    assert "72 sources in 4 tiles, 0.000" in said.out
    fits = str(tmp_path / "out" / "sim-dr5.fits")
    assert [fits, *["the", "catalogue", "as", "one", "table"]] in lines
    assert "the model was trained on simulations: not for science" in said.out
    assert "rows sorted: " in said.err


def test_the_validation_of_the_run_is_summed_up(copy, tmp_path, capsys):
    folder = copy / "validation"
    folder.mkdir()
    rows = sum(len(pq.read_table(path)) for path in copy.glob("tiles/*/*.parquet"))
    statistics = {
        "smad": EstimateRecord(0.0162, 0.0158, 0.0166),
        "bias": EstimateRecord(None, None, None),
    }
    metrics = replace(
        validated(n=1234, rows=rows - 1, statistics=statistics),
        gates=[GateRecord("smad_max", "all objects", 0.0162, "<= 0.01", passed=False)],
    )
    write_metrics(metrics, folder / "metrics.json")
    assert photoz("release", copy, "--out", tmp_path / "out", "--quiet") == 0
    text = (tmp_path / "out" / "README.md").read_text()
    assert "| galaxies with a spectroscopic redshift | 1,234 |" in text
    assert "| SMAD of normdz | 0.0162 ± 0.0004 |" in text
    assert "| gates that failed | smad_max |" in text
    assert f"| **rows when it was validated** | {rows - 1}; now {rows} |" in text
    (folder / "metrics.json").write_text("{")
    assert photoz("release", copy, "--out", tmp_path / "again", "--quiet") == 0
    assert (
        "| `validation/metrics.json` of the run | cannot be read |"
        in (tmp_path / "again" / "README.md").read_text()
    )
    metrics_text = document_text(metrics).replace('"n": 1234', '"n": "1234"')
    (folder / "metrics.json").write_text(metrics_text)
    assert photoz("release", copy, "--out", tmp_path / "third", "--quiet") == 0
    assert (
        "| the reason | field n: Input should be a valid integer (it is '1234') |"
        in (tmp_path / "third" / "README.md").read_text()
    )


def test_the_help_has_an_example(capsys):
    assert photoz("release", "--help") == 0
    assert "photoz release my-run --out dr5-photoz" in capsys.readouterr().out
