"""Worker jobs: started, lost, replaced and ended; refused ones; what a job is given."""

import time

import pytest

from support.crash import variables
from support.runs import outcome
from support.slurm_runs import TILES

pytestmark = pytest.mark.slurm


def test_a_lost_job_of_two_workers_is_replaced_and_not_ended_while_one_of_them_has_a_tile(
    run, undisturbed, tmp_path
):
    (tmp_path / "two.toml").write_text("[cluster]\nprocesses = 2\n")
    run.hold.hold(*TILES)
    # Two workers, and both tiles again in processes of their own: 900 MB were seen.
    run.start("--workers", "0:2", "--memory", "2GB", "--config", str(tmp_path / "two.toml"))
    for tile in TILES[:2]:
        run.wait_for_try(tile)
    (first,) = run.workers()
    run.slurm.ask("scancel", first.id)
    for tile in TILES[:2]:
        run.wait_for_try(tile, 2)
    (second,) = run.workers()
    run.hold.let_go(*TILES[1:])
    run.wait(lambda: run.status()["tiles"]["DONE"] == 5, "all tiles but one are done")
    time.sleep(7)  # three looks at whether there are too many workers
    assert run.workers() == [second]
    run.hold.let_go(TILES[0])
    code, said = run.finish()
    assert code == 0, said
    assert len(run.tries(TILES[0])) == 2
    assert run.contents() == undisturbed


def test_adaptive_workers_start_end_with_their_work_and_leave_nothing_behind(run, undisturbed):
    run.hold.hold(*TILES)
    run.start("--workers", "0:2")
    for tile in TILES[:2]:
        run.wait_for_try(tile)
    assert len(run.workers()) == 2
    run.hold.let_go(*TILES[1:])
    run.wait(lambda: len(run.workers()) == 1, "the idle worker has ended")
    assert run.status()["tiles"]["DONE"] == 5
    run.hold.let_go(TILES[0])
    code, said = run.finish()
    assert code == 0, said
    assert [len(run.tries(tile)) for tile in TILES] == [1] * 6
    assert run.workers() == []
    assert run.contents() == undisturbed


def test_a_job_at_the_end_of_its_walltime_is_replaced_and_no_tile_is_blamed(run, undisturbed):
    run.hold.hold(*TILES)
    run.start("--workers", "1")
    run.wait_for_try(TILES[0])
    (job,) = run.workers()
    run.slurm.ask("scontrol", "update", f"JobId={job.id}", "EndTime=now")
    run.wait_for_try(TILES[0], 2)
    assert run.slurm.state(job.id) == "TIMEOUT"
    run.hold.let_go(*TILES)
    code, said = run.finish()
    assert code == 0, said
    assert run.contents() == undisturbed


def test_a_job_that_is_cancelled_before_it_starts_is_replaced(run, undisturbed):
    run.slurm.ask("scontrol", "update", "PartitionName=main", "State=DOWN")
    run.start("--workers", "1")
    run.wait(run.workers, "the job waits")
    (job,) = run.workers()
    assert job.state == "PENDING"
    run.slurm.ask("scancel", job.id)
    run.slurm.ask("scontrol", "update", "PartitionName=main", "State=UP")
    code, said = run.finish()
    assert code == 0, said
    assert run.contents() == undisturbed


def test_jobs_that_never_bring_a_worker_end_the_run_with_their_numbers(run, tmp_path):
    (tmp_path / "broken.toml").write_text("[cluster]\njob_script_prologue = ['exit 1']\n")
    code, said = run.to_end("--workers", "1", "--config", str(tmp_path / "broken.toml"))
    assert code == 2
    assert (
        "ended before their worker had started;"
        " what they printed stands in logs/jobs of the run directory" in said
    )
    assert "Traceback" not in said
    assert run.workers() == []


def test_a_job_that_slurm_refuses_gives_one_line_and_exit_status_2(run):
    code, said = run.to_end("--workers", "2", "--queue", "nowhere")
    assert code == 2
    (line,) = said.strip().splitlines()[-1:]
    assert line.startswith(
        "photoz-run: cluster: the batch system refused a worker job: sbatch: error:"
    )
    assert "invalid partition specified: nowhere" in line
    assert "Traceback" not in said
    assert run.workers() == []


def test_a_refusal_during_the_run_is_told_and_tried_again(run, undisturbed):
    run.hold.hold(TILES[0])
    run.start("--workers", "1")
    run.wait_for_try(TILES[0])
    (job,) = run.workers()
    run.slurm.ask("scontrol", "update", "PartitionName=main", "State=DRAIN")
    run.slurm.ask("scancel", job.id)
    told = "a worker job was refused, it will be tried again: sbatch: error:"
    run.wait(lambda: told in run.said.read_text(), "the refusal is told")
    run.slurm.ask("scontrol", "update", "PartitionName=main", "State=UP")
    run.hold.let_go(TILES[0])
    code, said = run.finish()
    assert code == 0, said
    assert run.contents() == undisturbed


def test_a_tile_that_takes_more_memory_than_its_job_has_is_quarantined_alone(run, undisturbed):
    run.variables = variables(TILES[2], "eat")
    code, said = run.to_end("--workers", "2")
    assert code == 3, said
    record = outcome(run.out, TILES[2])
    assert (record["status"], record["error"], len(run.tries(TILES[2]))) == (
        "QUARANTINED",
        "LostWorker",
        3,
    )
    assert "out of memory" in record["reason"]
    assert run.status()["tiles"] | {"DONE": 5, "QUARANTINED": 1} == run.status()["tiles"]
    whole = {
        name: content for name, content in undisturbed.items() if not name.startswith(TILES[2])
    }
    assert run.contents() == whole


def test_a_worker_job_gets_the_gpus_that_were_asked_for(run, tmp_path):
    (tmp_path / "say.toml").write_text(
        f"[cluster]\njob_script_prologue = ['echo \"$CUDA_VISIBLE_DEVICES\" > {tmp_path}/gpus']\n"
    )
    run.hold.hold(*TILES)
    run.start(
        "--workers", "1", "--gpus", "1", "--provider", "cpu", "--config", str(tmp_path / "say.toml")
    )
    run.wait_for_try(TILES[0])
    (job,) = run.workers()
    assert "#SBATCH --gres=gpu:1\n" in run.slurm.script(job.id)
    assert "gres:gpu:1" in run.slurm.ask("squeue", "--noheader", "--job", job.id, "--format", "%b")
    assert (tmp_path / "gpus").read_text().strip() in ("0", "1")
    seen = {
        process.environ().get("CUDA_VISIBLE_DEVICES")
        for process in run.slurm.processes(SLURM_JOB_ID=job.id)
    }
    assert seen == {(tmp_path / "gpus").read_text().strip()}
    run.hold.let_go(*TILES)
    assert run.finish()[0] == 0
