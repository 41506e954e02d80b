"""Tiles from afar, fetched by one batch job and measured by others, which ask for no network."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.runs import options
from support.servers import nginx
from support.slurm import wait
from support.slurm_runs import JOB, TILES, SlurmRun

pytestmark = pytest.mark.slurm

SCRIPT = Path(__file__).parents[2] / "deploy" / "slurm" / "fetch.sbatch"


def worker_jobs(run: SlurmRun) -> set[str]:
    """The numbers of all jobs that were ever asked for."""
    return {job.id for job in run.slurm.jobs("photoz-worker", ended=True)}


def table(content: bytes) -> pa.Table:
    """A tile file; its metadata tell where the inputs were."""
    return pq.read_table(pa.BufferReader(content))


def test_a_job_fetches_and_no_more_workers_are_asked_for_than_tiles_have_room(
    run: SlurmRun, tiny_tiles, bundle, undisturbed, tmp_path
):
    shared = tmp_path / "shared"
    with nginx(tiny_tiles, tmp_path / "nginx") as address:
        run.arguments = options(f"{address}/", bundle, run.out, "--cluster", "slurm", *JOB)
        file = tmp_path / "settings.toml"
        file.write_text(
            f"""
            tiles = ["all"]
            data = ["{address}/"]
            model = "{bundle}"
            select = "all"
            provider = "cpu"
            [afar]
            window = "2"
            scratch_shared = "{shared}"
            fetchers = 0
            """
        )
        settings = {"CONFIG": str(file), "OUT": str(run.out)}
        words = ["--chdir", str(tmp_path), "--cpus-per-task=1", "--mem=1G", "--time=10"]
        # Who fetches is not to be held.
        environment = run.environment | {"TEST_HOLD_FOLDER": ""} | settings
        fetching = run.slurm.submit(environment, *words, str(SCRIPT))
        wait((run.out / "places.jsonl").exists, "it is known what lies afar", run.explain)
        run.hold.hold(*TILES)
        before = worker_jobs(run)
        run.start("--config", str(file), "--workers", "0:6")
        for tile in TILES[:2]:
            run.wait_for_try(tile)
        run.hold.let_go(*TILES)
        code, said = run.finish()
        assert code == 0, said
        wait(lambda: run.slurm.state(fetching) == "COMPLETED", "all was fetched", run.explain)
    assert len(worker_jobs(run) - before) == 2
    measured = run.contents()
    assert measured.keys() == undisturbed.keys()
    for name, content in undisturbed.items():
        assert table(measured[name]).equals(table(content))
    assert not [path for path in shared.rglob("*") if path.is_file()]
