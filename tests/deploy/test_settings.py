"""The example settings, as dask-jobqueue (jobqueue.yaml) and photoz-run (dr5.toml) read them."""

import subprocess
import warnings
from copy import deepcopy
from pathlib import Path

import dask
import pytest
import yaml

from photoz_run.config import load_config
from photoz_run.run.jobs import SYSTEMS, job_script

DEPLOY = Path(__file__).parents[2] / "deploy"
YAML = yaml.safe_load((DEPLOY / "jobqueue.yaml").read_text())["jobqueue"]
ASKED = {
    "slurm": ("#SBATCH --cpus-per-task=2", "#SBATCH --mem=8G", "#SBATCH -t 04:00:00"),
    "pbs": ("#PBS -l select=1:ncpus=2:mem=7630MB", "#PBS -l walltime=04:00:00"),
    "sge": ("#$ -pe smp 2", "#$ -l h_rt=04:00:00"),
    "lsf": ("#BSUB -n 2", "#BSUB -M 8000", "#BSUB -W 04:00"),
    "oar": ("#OAR -l /nodes=1/core=2,walltime=04:00:00",),
    "htcondor": (
        "MY.DaskWorkerCores = 2",
        "MY.DaskWorkerMemory = 8000000000",
        "MY.DaskWorkerDisk = 20000000000",
    ),
}
"""What the file must make each batch system be asked for."""


@pytest.fixture
def configured():
    """Dask's configuration as it is with the file in ~/.config/dask."""
    # A copy: what is read would else be written into the settings that every later test finds.
    with dask.config.set({"jobqueue": deepcopy(dask.config.get("jobqueue", {}))}):
        read = dask.config.collect(paths=[str(DEPLOY / "jobqueue.yaml")], env={})
        dask.config.update(dask.config.config, read)
        yield


def test_the_example_has_a_part_for_every_batch_system():
    assert set(YAML) == set(SYSTEMS) == set(ASKED)


@pytest.mark.parametrize("kind", SYSTEMS)
def test_every_key_is_one_that_dask_jobqueue_knows(kind):
    theirs = yaml.safe_load(
        (Path(dask.__file__).parents[1] / "dask_jobqueue" / "jobqueue.yaml").read_text()
    )
    assert set(YAML[kind]) <= set(theirs["jobqueue"][kind])


@pytest.mark.parametrize("kind", SYSTEMS)
def test_the_job_of_every_batch_system_asks_for_what_the_example_says(configured, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        script = SYSTEMS[kind][1]("tls://driver:8786", name="0").job_script()
    for line in ASKED[kind]:
        assert line in script
    assert "distributed.cli.dask_worker tls://driver:8786" in script
    assert "--nworkers" not in script  # one worker a job


@pytest.mark.parametrize("kind", [kind for kind in SYSTEMS if kind != "htcondor"])
def test_the_job_script_is_one_that_the_shell_can_read(configured, kind, tmp_path):
    script = tmp_path / "job"
    script.write_text(SYSTEMS[kind][1]("tls://driver:8786", name="0").job_script())
    subprocess.run(["bash", "-n", script], check=True)


def test_the_example_of_a_run_over_dr5_is_a_valid_configuration():
    config = load_config(DEPLOY / "dr5.toml", {})
    assert config.worker_range == (4, 40)
    assert config.cluster.kind == "slurm"
    script = job_script(config.cluster, config.out)
    for line in (
        "#SBATCH -p normal",
        "#SBATCH -t 04:00:00",
        "#SBATCH --mem=8G",
        "#SBATCH --cpus-per-task=2",
    ):
        assert line in script
    assert script.index("export TMPDIR") < script.index("dask_worker")


def test_options_win_over_the_example():
    config = load_config(DEPLOY / "dr5.toml", {"workers": "7", "cluster": {"queue": "long"}})
    assert config.worker_range == (7, 7)
    assert "#SBATCH -p long" in job_script(config.cluster, config.out)
