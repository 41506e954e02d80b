"""``photoz status`` and ``photoz retry``: an exact account of a run from its directory alone."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from photoz_run.alike import EXAMPLES, alike, group_failures, named, plain_words
from photoz_run.cli.photoz import main
from photoz_run.cli.validate import tile_notes
from photoz_run.records import Failure, Status, TileOutcome
from photoz_run.run.lock import RunLock, WorkState
from photoz_run.run.status import HostCount, count_hosts, read_status
from support.runs import in_process, options
from support.tiles import make_tile

GOOD = ("KIDS_0.0_-31.2", "KIDS_180.0_-0.5")
BAD = ("KIDS_10.0_-31.2", "KIDS_20.0_-31.2")


@pytest.fixture
def arguments(tmp_path, bundle, monkeypatch) -> list[str]:
    """A run of two good tiles and two whose r coadd is cut off."""
    for name in (*GOOD, *BAD):
        make_tile(tmp_path / "data", name, products=("sci",))
    for name in BAD:
        path = next((tmp_path / "data").glob(f"*{name[4:]}_r_sci.fits"))
        path.write_bytes(path.read_bytes()[:20000])
    arguments = options(tmp_path / "data", bundle, tmp_path / "out")
    assert in_process(monkeypatch, arguments) == 3
    return arguments


def photoz(monkeypatch, *words: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["photoz", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)


def test_a_finished_run_is_accounted_for_to_the_last_tile(arguments, tmp_path, monkeypatch, capsys):
    capsys.readouterr()
    photoz(monkeypatch, "status", tmp_path / "out")
    said = capsys.readouterr().out
    assert "out: 4 tiles (2 DONE, 2 QUARANTINED), 80 rows, model closed-form" in said
    assert "every tile has ended" in said
    assert "2 quarantined, BadDataError: " in said
    assert ", ".join(BAD) in said
    photoz(monkeypatch, "status", tmp_path / "out", "--json")
    status = json.loads(capsys.readouterr().out)
    expected = {"DONE": 2, "NO_WORK": 0, "QUARANTINED": 2, "FAILED": 0, "RUNNING": 0, "PENDING": 0}
    assert status["tiles"] == expected
    assert set(status["quarantined"]) == set(BAD)
    assert [(group["error"], tuple(group["tiles"])) for group in status["failures"]] == [
        ("BadDataError", BAD)
    ]
    assert sum(host["good"] for host in status["hosts"].values()) == 2
    assert sum(host["failed"] for host in status["hosts"].values()) == 2
    assert status["tiles_per_hour"] is None


def test_a_working_run_says_who_works_how_fast_and_how_long_it_takes(arguments, tmp_path):
    out = tmp_path / "out"
    for tile in GOOD:
        next((out / "tiles").rglob(f"{tile}.json")).unlink()
    state = WorkState(
        seconds=30.0,
        finished=2,
        rows=600,
        bytes=6_000_000,
        workers=3,
        running=(GOOD[0],),
        failed=(GOOD[1],),
    )
    with RunLock(out / "locks", (1, 1)) as lock:
        lock.tell(state)
        lock.write()
        status = read_status(out)
    assert status.tiles == {
        "DONE": 0,
        "NO_WORK": 0,
        "QUARANTINED": 2,
        "FAILED": 1,
        "RUNNING": 1,
        "PENDING": 0,
    }
    assert status.workers == 3
    assert status.tiles_per_hour == pytest.approx(240)
    assert status.galaxies_per_second == pytest.approx(20)
    assert status.bytes_per_second == pytest.approx(200_000)
    assert status.seconds_left == pytest.approx(2 / (2 / 30))
    assert [process.lock for process in status.working] == ["driver"]
    assert read_status(out).working == ()


def test_shards_add_up(arguments, tmp_path):
    out = tmp_path / "out"
    for tile in GOOD:
        next((out / "tiles").rglob(f"{tile}.json")).unlink()
    state = WorkState(
        seconds=10.0, finished=2, rows=600, bytes=0, workers=1, running=(GOOD[0],), failed=()
    )
    with RunLock(out / "locks", (1, 2)) as first, RunLock(out / "locks", (2, 2)) as second:
        first.tell(state)
        second.tell(replace(state, seconds=40.0, running=(GOOD[1],)))
        first.write()
        second.write()
        status = read_status(out)
    assert status.tiles_per_hour == pytest.approx((2 / 10 + 2 / 40) * 3600)
    assert (status.workers, status.tiles["RUNNING"]) == (2, 2)


def test_a_reader_of_the_catalogue_is_told_which_tiles_it_lacks(arguments, tmp_path):
    lines = read_status(tmp_path / "out").told()
    assert lines[0] == "tiles that are not in this catalogue: 2 QUARANTINED, of 4"
    assert lines[1] == f"{', '.join(GOOD)}: no weights in u g r i, no flag image in u g r i"
    assert tile_notes(tmp_path / "out") == lines


def test_marks_of_another_run_are_not_counted(arguments, tmp_path):
    mark = next((tmp_path / "out" / "tiles").rglob("*.json"))
    mark.write_text(json.dumps(json.loads(mark.read_text()) | {"run_digest": "of another"}))
    assert read_status(tmp_path / "out").tiles["PENDING"] == 1


def test_records_that_cannot_be_used_do_not_fill_the_screen(
    arguments, tmp_path, monkeypatch, capsys
):
    folder = next((tmp_path / "out" / "tiles").iterdir())
    for number in range(EXAMPLES + 2):
        (folder / f"KIDS_{number}.5_-30.0.json").write_text("{}")
    capsys.readouterr()
    photoz(monkeypatch, "status", tmp_path / "out")
    lines = capsys.readouterr().out.splitlines()
    assert sum("field tile is missing" in line for line in lines) == EXAMPLES
    assert "  2 more records cannot be used (--json lists all)" in lines
    photoz(monkeypatch, "status", tmp_path / "out", "--json")
    assert len(json.loads(capsys.readouterr().out)["problems"]) == EXAMPLES + 2


def test_retry_releases_what_it_is_told_and_the_next_run_measures_it(
    arguments, tmp_path, monkeypatch, capsys
):
    for name in BAD:
        make_tile(tmp_path / "data", name, products=("sci",))
    capsys.readouterr()
    photoz(monkeypatch, "retry", tmp_path / "out", "--tiles", BAD[0])
    assert "1 of 2 quarantined tiles readmitted" in capsys.readouterr().out
    assert read_status(tmp_path / "out").tiles["PENDING"] == 1
    photoz(monkeypatch, "retry", tmp_path / "out")
    assert in_process(monkeypatch, arguments) == 0
    assert read_status(tmp_path / "out").tiles["DONE"] == 4


def test_no_run_directory_is_one_line(tmp_path):
    command = [str(Path(sys.executable).with_name("photoz")), "status", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert said.stderr.strip().endswith("give the --out of photoz-run")
    assert len(said.stderr.splitlines()) == 1


def test_tries_are_counted_on_the_host_where_they_happened():
    good = TileOutcome(
        "a", Status.DONE, "", "", host="n2:7", earlier=(Failure("n1", "TransientError", "x"),)
    )
    bad = TileOutcome("b", Status.QUARANTINED, "", "", host="n1:9")
    assert count_hosts([good, bad]) == {"n1": HostCount(0, 2), "n2": HostCount(1, 0)}


def test_equal_causes_are_one_group():
    def bad(tile: str, reason: str, error: str = "BadDataError") -> TileOutcome:
        return TileOutcome(tile, Status.QUARANTINED, "", "", error=error, reason=reason)

    outcomes = [
        bad(
            "KIDS_1.0_-2.5",
            "KIDS_1.0_-2.5: /a/b/KiDS_DR5.0_1.0_-2.5_r_sci.fits: 4,096 of 9000 bytes",
        ),
        bad(
            "KIDS_3.0_-2.5", "KIDS_3.0_-2.5: /a/KiDS_DR5.0_3.0_-2.5_r_sci.fits: 4,096 of 8111 bytes"
        ),
        bad(
            "KIDS_4.0_-2.5", "KIDS_4.0_-2.5: /a/KiDS_DR5.0_4.0_-2.5_g_sci.fits: 4,096 of 8111 bytes"
        ),
    ]
    groups = group_failures(outcomes)
    assert [group.tiles for group in groups] == [
        ("KIDS_1.0_-2.5", "KIDS_3.0_-2.5"),
        ("KIDS_4.0_-2.5",),
    ]
    assert groups[0].reason == "r_sci.fits: #,# of # bytes"


def test_what_is_said_of_one_tile_alone_keeps_its_numbers():
    group = alike([("KIDS_1.0_-2.5", "KIDS_1.0_-2.5: r pixels are +3.4 mag off")])[0]
    assert group.words == "r pixels are +3.4 mag off"


def test_no_remark_is_hidden_behind_those_of_a_thousand_tiles():
    said = [(f"KIDS_{k}.0_-0.5", f"{k} bytes are missing") for k in range(1346)]
    often, rare = alike([*said, ("KIDS_9.0_-31.2", "r pixels give no flux at any source")])
    assert often.words == "# bytes are missing"
    assert named(often.tiles, "--json").endswith(" and 1,341 more (--json lists all)")
    assert rare.tiles == ("KIDS_9.0_-31.2",)


@pytest.mark.parametrize(
    ("reason", "plain"),
    [
        ("KIDS_1.0_-2.5: the worker on n1 was lost", "the worker on n1 was lost"),
        ("KIDS_1.0_-2.5: i pixels are +3.4 mag off", "i pixels are # mag off"),
        ("division by zero", "division by zero"),
    ],
)
def test_a_reason_without_names_and_numbers(reason, plain):
    assert plain_words(reason, "KIDS_1.0_-2.5") == plain
