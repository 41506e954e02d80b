"""Simulated tiles on a real SLURM, and all that goes wrong there: the same bytes in the end."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.runs import files
from support.slurm import wait

pytestmark = pytest.mark.slurm
SCRIPTS = Path(__file__).parents[2] / "deploy" / "slurm"


@pytest.fixture
def tiles(undisturbed_simulated) -> list[str]:
    return [Path(name).stem for name in undisturbed_simulated if name.endswith(".parquet")]


def check(run, undisturbed, tiles):
    """The catalogue is that of an undisturbed run; ``photoz status`` says what the files say."""
    assert run.contents() == undisturbed
    assert {path.suffix for path in files(run.out)} == {".parquet", ".fits", ".json"}
    assert not list((run.out / "quarantine").rglob("*.json"))
    assert not list(run.out.glob(".tls-*"))
    status = run.status()
    assert status["tiles"] == {"DONE": len(tiles)} | {
        name: 0 for name in status["tiles"] if name != "DONE"
    }
    assert status["rows"] == sum(
        pq.read_metadata(path).num_rows for path in run.out.glob("tiles/*/*.parquet")
    )
    assert status["working"] == []
    assert status["quarantined"] == {}
    marks = [json.loads(path.read_text()) for path in run.out.glob("tiles/*/*.json")]
    assert sum(count["good"] for count in status["hosts"].values()) == len(marks) == len(tiles)


def test_jobs_a_node_and_two_drivers_are_lost_and_the_catalogue_is_the_same(
    simulated_run, simulated_tiles, undisturbed_simulated, tiles, tmp_path
):
    run = simulated_run
    run.hold.hold(*tiles)
    run.start("--workers", "2")
    lost_node = [run.wait_for_try(tile) for tile in tiles[:2]][1]

    # A worker job is cancelled.
    (job,) = (job for job in run.workers() if job.node != lost_node)
    run.slurm.ask("scancel", job.id)
    run.wait_for_try(tiles[0], 2)

    # A node dies.
    run.slurm.kill_node(lost_node)
    run.wait_for_try(tiles[1], 2)
    assert lost_node not in {job.node for job in run.workers()}

    # The driver is killed, and its scheduler with it; each worker has a tile still to hand in.
    run.hold.let_go(*tiles[:3])
    run.wait(lambda: run.status()["tiles"]["DONE"] == 3, "three tiles are done")
    run.wait_for_try(tiles[3])
    run.kill()
    kept = {path: path.stat().st_mtime_ns for path in files(run.out)}
    status = run.status()
    assert (status["tiles"]["DONE"], status["tiles"]["PENDING"], status["working"]) == (3, 5, [])
    run.slurm.start_node(lost_node)

    # The next driver is a job itself, and is warned of its wall-time.
    settings = {"DATA": str(simulated_tiles), "OUT": str(run.out), "WORKERS": "2", "MEMORY": "1GB"}
    words = [
        "--chdir",
        str(tmp_path),
        "--cpus-per-task=1",
        "--mem=1G",
        "--time=10",
        "--signal=B:USR1@30",
    ]
    driver = run.slurm.submit(run.environment | settings, *words, str(SCRIPTS / "driver.sbatch"))
    log = tmp_path / f"photoz-driver-{driver}.log"
    run.wait_for_try(tiles[3], 2)
    run.slurm.ask("scontrol", "update", f"JobId={driver}", "EndTime=now+60")
    wait(
        lambda: run.slurm.state(driver) == "PENDING",
        "the job is warned and waits for its next turn",
        run.explain,
    )
    assert "resuming: 3 of 8 tiles are settled already" in log.read_text()
    assert (
        "stopped by SIGUSR1; finished tiles are kept, the same command resumes the run"
        in log.read_text()
    )
    wait(lambda: not run.workers(), "the workers of both drivers have ended", run.explain)

    # Its next turn ends the run.
    run.slurm.ask("scontrol", "update", f"JobId={driver}", "StartTime=now", "TimeLimit=10")
    run.hold.let_go(*tiles[3:])
    wait(lambda: run.slurm.state(driver) == "COMPLETED", "the run is done", run.explain)
    assert "8 tiles (8 DONE)" in log.read_text()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    check(run, undisturbed_simulated, tiles)


def test_the_jobs_of_an_array_share_a_run_directory_and_one_of_them_is_run_again(
    simulated_run, simulated_tiles, undisturbed_simulated, tiles, tmp_path
):
    run = simulated_run
    run.hold.hold(*tiles)
    settings = {"DATA": str(simulated_tiles), "OUT": str(run.out), "SHARES": "4"}
    words = ["--chdir", str(tmp_path), "--cpus-per-task=1", "--mem=1G", "--time=10", "--array"]
    script = str(SCRIPTS / "array.sbatch")
    array = run.slurm.submit(run.environment | settings, *words, "1-4", script)
    wait(
        lambda: len(run.tries(tiles[3])) and len(run.status()["working"]) == 4,
        "four shares are at work",
        run.explain,
    )
    run.slurm.ask("scancel", f"{array}_2")
    wait(lambda: run.slurm.state(f"{array}_2") == "CANCELLED", "one is cancelled", run.explain)
    run.hold.let_go(*tiles)
    wait(lambda: not run.slurm.jobs(), "the others are done", run.explain)
    status = run.status()["tiles"]
    assert status["DONE"] + status["PENDING"] == 8
    assert status["PENDING"] > 0

    run.slurm.submit(run.environment | settings, *words, "2", script)
    wait(lambda: not run.slurm.jobs(), "the share is measured again", run.explain)
    check(run, undisturbed_simulated, tiles)


def test_an_interrupted_task_of_an_array_asks_for_another_turn_for_itself_alone(
    simulated_run, simulated_tiles, undisturbed_simulated, tiles, tmp_path
):
    run = simulated_run
    mine = tiles[2::3]
    run.hold.hold(*mine)
    settings = {"DATA": str(simulated_tiles), "OUT": str(run.out), "SHARES": "3"}
    words = ["--chdir", str(tmp_path), "--cpus-per-task=1", "--mem=1G", "--time=10"]
    script = str(SCRIPTS / "array.sbatch")
    array = run.slurm.submit(run.environment | settings, *words, "--array=1-3", script)
    others, last = [f"{array}_1", f"{array}_2"], f"{array}_3"
    run.wait_for_try(mine[0])
    wait(
        lambda: [run.slurm.state(job) for job in others] == ["COMPLETED"] * 2,
        "the other tasks are done",
        run.explain,
    )
    # What makes this dangerous: the number of the last task is that of the array.
    assert f"JobId={array} " in run.slurm.ask("scontrol", "show", "job", last)

    theirs = run.slurm.processes(SLURM_ARRAY_JOB_ID=array, SLURM_ARRAY_TASK_ID="3")
    tellers = [
        parent for one in theirs if (parent := one.parent()) and parent.name() == "slurmstepd"
    ]
    assert tellers
    run.slurm.ask("scancel", "--batch", "--signal=USR1", last)
    wait(lambda: run.slurm.state(last) == "PENDING", "it waits for its next turn", run.explain)
    assert [run.slurm.state(job) for job in others] == ["COMPLETED"] * 2
    wait(lambda: len(run.slurm.jobs()) == 1, "nothing else waits or runs", run.explain)

    # Its turn would come after two minutes. It must not come before the last one has told its exit
    # status: SLURM would take that for the next one's.
    wait(
        lambda: not any(teller.is_running() for teller in tellers),
        "the first turn has ended",
        run.explain,
    )
    run.hold.let_go(*mine)
    run.slurm.ask("scontrol", "update", f"JobId={last}", "StartTime=now")
    wait(lambda: run.slurm.state(last) == "COMPLETED", "its second turn is done", run.explain)
    assert [run.slurm.state(job) for job in others] == ["COMPLETED"] * 2
    log = (tmp_path / f"photoz-array-{array}_3.log").read_text()
    assert log.index("stopped by SIGUSR1") < log.index(f"{len(mine)} tiles ({len(mine)} DONE)")
    check(run, undisturbed_simulated, tiles)


def test_the_doctor_finds_a_job_in_which_a_run_can_work(simulated_run, tmp_path):
    run = simulated_run
    words = [
        "--chdir",
        str(tmp_path),
        "--output=/dev/null",
        "--cpus-per-task=2",
        "--mem=4G",
        "--wrap",
    ]
    job = run.slurm.submit(run.environment, *words, "photoz doctor --json > doctor.json")
    wait(lambda: run.slurm.state(job) in ("COMPLETED", "FAILED"), "the job has ended")
    report = json.loads((tmp_path / "doctor.json").read_text())
    assert run.slurm.state(job) == "COMPLETED", report
    values = {finding["name"]: finding["value"] for finding in report["findings"]}
    assert f"SLURM {job}" in values["batch job"]
    assert "SLURM" in values["memory"]
