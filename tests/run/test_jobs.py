"""Worker jobs as batch systems get them, what jobqueue.yaml adds, and what is refused."""

import json
import os
import sys
from pathlib import Path

import dask
import pytest
from distributed.cli.dask_worker import main as dask_worker

from photoz_run.cli.run import main
from photoz_run.config import ClusterConfig
from photoz_run.errors import ConfigError
from photoz_run.run.jobs import SYSTEMS, job_script, job_settings, processes
from photoz_run.run.replacing import what_was_said
from support.runs import command, in_process, options

QUIET = "--nthreads 1 --memory-limit 0 --no-dashboard --dashboard-address 127.0.0.1:0"
PROLOGUE = "module load photoz"
WALLTIME = {"lsf": "03:15"}
ASKED = {
    "slurm": (
        "#SBATCH -p long",
        "#SBATCH -A kids",
        "#SBATCH -t 03:15:00",
        "#SBATCH --mem=6G",
        "--cpus-per-task=3",
    ),
    "pbs": (
        "#PBS -q long",
        "#PBS -A kids",
        "#PBS -l walltime=03:15:00",
        "#PBS -l select=1:ncpus=3:mem=5723MB",
    ),
    "sge": ("#$ -q long", "#$ -P kids", "#$ -l h_rt=03:15:00"),
    "lsf": ("#BSUB -q long", '#BSUB -P "kids"', "#BSUB -W 03:15", "#BSUB -M 6000000", "#BSUB -n 3"),
    "oar": ("#OAR -q long", "#OAR --project kids", "#OAR -l /nodes=1/core=3,walltime=03:15:00"),
    "htcondor": ("MY.DaskWorkerCores = 3", "MY.DaskWorkerMemory = 6000000000"),
}
"""What queue, account, walltime, memory and cores become.

HTCondor knows no queues, accounts and walltimes.
"""
GPUS = {
    "slurm": "#SBATCH --gres=gpu:2",
    "pbs": "#PBS -l select=1:ncpus=2:mem=8GB:ngpus=2",
    "sge": "#$ -l gpu=2",
    "lsf": '#BSUB -gpu "num=2"',
    "htcondor": "request_gpus = 2",
}

pytestmark = pytest.mark.filterwarnings("ignore:OAR Job memory")


def settings(kind: str, **more) -> ClusterConfig:
    """Worker jobs of ``kind``; HTCondor must be told how much disk they need."""
    return ClusterConfig(kind=kind, **({"disk": "1GB"} if kind == "htcondor" else {}), **more)


def script(kind: str, out: Path = Path("out"), **more) -> str:
    return job_script(settings(kind, **more), out)


def worker_command(text: str) -> list[str]:
    """The words of the line that starts the worker, without the interpreter."""
    (line,) = [line for line in text.splitlines() if "dask_worker" in line]
    return line.partition("dask_worker ")[2].rstrip("'\"").split()


@pytest.mark.parametrize("kind", SYSTEMS)
def test_the_directives_of_every_batch_system_say_what_was_asked_for(kind):
    asked = {"queue": "long", "account": "kids", "walltime": WALLTIME.get(kind, "03:15:00")}
    text = script(kind, cores=3, memory="6GB", **(asked if kind != "htcondor" else {}))
    for line in ASKED[kind]:
        assert line in text
    assert "photoz-worker" in text or kind == "htcondor"


@pytest.mark.parametrize("kind", SYSTEMS)
def test_the_prologue_comes_before_the_worker(kind):
    text = script(kind, job_script_prologue=[PROLOGUE])
    assert 0 < text.index(PROLOGUE) < text.index("dask_worker")


@pytest.mark.parametrize("kind", SYSTEMS)
def test_a_worker_takes_one_tile_at_a_time_and_no_nanny_counts_its_mapped_files(kind):
    words = worker_command(
        script(
            kind,
            cores=8,
            memory="30GB",
            worker_extra_args=["--nthreads", "8", "--resources", "A=1"],
        )
    )
    assert words[0] == "tls://DRIVER:PORT"
    assert " ".join(words).endswith(QUIET)
    read = dask_worker.make_context("dask-worker", words).params  # as the worker itself reads them
    assert (read["nthreads"], read["memory_limit"], read["dashboard"], read["resources"]) == (
        1,
        "0",
        False,
        "A=1",
    )


@pytest.mark.parametrize("kind", SYSTEMS)
def test_without_settings_a_job_has_two_cores_and_eight_gigabytes(kind):
    assert script(kind) == script(kind, cores=2, memory="8GB", processes=1)
    assert processes(settings(kind)) == 1


@pytest.mark.parametrize("kind", GPUS)
def test_gpus_are_asked_for_in_the_words_of_the_batch_system(kind):
    assert GPUS[kind] in script(kind, gpus=2)
    assert "gpu" not in script(kind)


def test_gpus_leave_other_directives_as_they_are():
    text = script("slurm", gpus=1, job_extra_directives=["--nice=100"])
    assert "#SBATCH --nice=100" in text
    assert "#SBATCH --gres=gpu:1" in text
    text = script("htcondor", gpus=1, job_extra_directives={"nice_user": "true"})
    assert "nice_user = true" in text
    assert "request_gpus = 1" in text


@pytest.mark.parametrize(
    ("kind", "more"), [("oar", {}), ("pbs", {"resource_spec": "select=1:ncpus=4"})]
)
def test_gpus_that_cannot_be_asked_for_are_refused_with_the_way_out(kind, more):
    with pytest.raises(
        ConfigError, match=f"say how {kind} is asked for GPUs in .*, and leave gpus out"
    ):
        script(kind, gpus=1, **more)


def test_jobqueue_yaml_is_respected_and_options_win_over_it():
    yaml = {
        "cores": 6,
        "memory": "20GB",
        "queue": "theirs",
        "walltime": "08:00:00",
        "job-name": "mine",
    }
    yaml |= {
        "worker-extra-args": ["--resources", "A=1"],
        "job-extra-directives": ["--nice=7"],
        "processes": 3,
    }
    with dask.config.set({"jobqueue.slurm": dask.config.get("jobqueue.slurm") | yaml}):
        text, overruled = script("slurm"), script("slurm", queue="ours", cores=4, gpus=1)
        assert processes(settings("slurm")) == 3
        assert processes(settings("slurm", processes=2)) == 2
    for line in ("--cpus-per-task=6", "--mem=19G", "-p theirs", "-t 08:00:00", "--nice=7"):
        assert f"#SBATCH {line}" in text
    for line in (
        "--cpus-per-task=4",
        "--mem=19G",
        "-p ours",
        "-t 08:00:00",
        "--nice=7",
        "--gres=gpu:1",
    ):
        assert f"#SBATCH {line}" in overruled
    assert " ".join(worker_command(text)).endswith(f"--resources A=1 {QUIET}")


def test_gpus_of_a_pbs_job_come_with_the_cores_and_memory_of_jobqueue_yaml():
    with dask.config.set(
        {"jobqueue.pbs": dask.config.get("jobqueue.pbs") | {"cores": 6, "memory": "20GB"}}
    ):
        assert "#PBS -l select=1:ncpus=6:mem=20GB:ngpus=1" in script("pbs", gpus=1)


def test_logs_of_jobs_lie_in_the_run_directory_and_no_folder_is_made_for_a_script(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # a job starts elsewhere: its paths are absolute
    out = Path("my run")
    assert f"#SBATCH -o {tmp_path}/my run/logs/jobs/photoz-worker-%J.out" in script("slurm", out)
    assert f"#SBATCH -o {tmp_path}/elsewhere/" in script(
        "slurm", out, log_directory=str(tmp_path / "elsewhere")
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "key", "said"),
    [
        ("slurm", "wall_time", "slurm jobs have no setting 'wall_time'; did you mean walltime"),
        (
            "pbs",
            "resources_spec",
            "pbs jobs have no setting 'resources_spec'; did you mean resource_spec",
        ),
        ("lsf", "zzzz", "lsf jobs have no setting 'zzzz'; known are .*, walltime, "),
        ("htcondor", "queue", "htcondor jobs have no setting 'queue'; "),
        ("htcondor", "account", "htcondor jobs have no setting 'account'; "),
        ("slurm", "project", "slurm jobs have no setting 'project'; "),
        ("slurm", "security", "slurm jobs have no setting 'security'; "),
        ("slurm", "n_workers", "slurm jobs have no setting 'n_workers'; "),
    ],
)
def test_a_setting_that_the_batch_system_does_not_have_is_refused_with_a_suggestion(
    kind, key, said
):
    with pytest.raises(ConfigError, match=said):
        job_settings(settings(kind, **{key: "x"}), Path("out"))


def test_a_value_that_does_not_fit_is_refused_in_one_line():
    for config, word in [
        ({"kind": "slurm", "memory": "eight"}, "eight"),
        ({"kind": "htcondor"}, "disk"),
    ]:
        with pytest.raises(ConfigError, match=f"^cluster: .*{word}") as error:
            job_script(ClusterConfig(**config), Path("out"))
        assert "\n" not in str(error.value)


@pytest.fixture
def submitting(dr4_tile, bundle, tmp_path) -> list[str]:
    """Options of a run over one tile whose workers are jobs."""
    return options(dr4_tile.folder, bundle, tmp_path / "out", "--cluster")


def test_a_dry_run_prints_the_script_and_writes_nothing(submitting, tmp_path, monkeypatch, capsys):
    arguments = [*submitting, "slurm", "--queue", "long", "--workers", "3:9", "--dry-run"]
    assert in_process(monkeypatch, arguments) == 0
    said = capsys.readouterr().out
    text = script("slurm", tmp_path / "out", queue="long")
    assert said.endswith(
        f"script of each worker job, of which --workers 3:9 run at once:\n\n{text}\n"
    )
    assert in_process(monkeypatch, [*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["job_script"] == text
    assert not (tmp_path / "out").exists()


def test_a_dry_run_on_this_machine_has_no_job_script(submitting, monkeypatch, capsys):
    assert in_process(monkeypatch, [*submitting, "local", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["job_script"] is None


def test_a_misspelt_setting_ends_a_dry_run_too(submitting, tmp_path, monkeypatch, capsys):
    (tmp_path / "run.toml").write_text("[cluster]\nwall_time = '01:00:00'\n")
    arguments = [
        *submitting,
        "slurm",
        "--workers",
        "2",
        "--config",
        str(tmp_path / "run.toml"),
        "--dry-run",
    ]
    assert in_process(monkeypatch, arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        "photoz-run: cluster: slurm jobs have no setting 'wall_time'; did you mean walltime"
    )
    assert said.count("\n") == 1


def test_worker_jobs_without_a_number_are_refused(submitting, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["photoz-run", *submitting, "slurm"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "photoz-run: say how many workers slurm may start: --workers N or MIN:MAX"
    assert not list((tmp_path / "out" / "locks").iterdir())


def test_a_batch_system_that_is_not_installed_is_refused_in_one_line(
    submitting, tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    refused(
        command([*submitting, "pbs", "--workers", "2"]),
        "qsub is not installed here",
        tmp_path / "out",
    )


def test_what_the_batch_system_says_against_a_job_is_what_one_reads(
    submitting, tmp_path, monkeypatch
):
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text("#!/bin/sh\necho 'sbatch: error: invalid account or partition' >&2\nexit 1\n")
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{sbatch.parent}:{os.environ['PATH']}")
    refused(
        command([*submitting, "slurm", "--workers", "2"]),
        "invalid account or partition",
        tmp_path / "out",
    )


def refused(ended, reason: str, out: Path) -> None:
    """Assert that a run ended before its first tile, with ``reason`` as its last line."""
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("photoz-run: cluster: ")
    assert reason in last
    assert not list((out / "locks").iterdir())
    assert not list(out.glob(".tls-*"))
    assert not [path for folder in ("tiles", "quarantine") for path in (out / folder).rglob("*")]


@pytest.mark.parametrize(
    ("kind", "keys", "complaint"),
    [
        (
            "slurm",
            {"worker_extra_args": "--resources A=1"},
            r"worker_extra_args must be a list: \['--resources A=1'\]",
        ),
        ("slurm", {"job_extra_directives": "--nice=1"}, "job_extra_directives must be a list"),
        ("slurm", {"job_script_prologue": "module load x"}, "job_script_prologue must be a list"),
        (
            "htcondor",
            {"job_extra_directives": ["a=b"], "disk": "1GB"},
            "job_extra_directives must be a table",
        ),
        ("slurm", {"cores": "two"}, "cores must be a whole number of at least 1"),
        ("slurm", {"cores": 0}, "cores must be a whole number of at least 1"),
        ("pbs", {"processes": "x"}, "processes must be a whole number of at least 1"),
        (
            "pbs",
            {"resource_spec": "select=1", "gpus": 1},
            "say how pbs is asked for GPUs in resource_spec",
        ),
    ],
)
def test_what_would_be_misread_is_refused(kind, keys, complaint):
    with pytest.raises(ConfigError, match=complaint):
        job_settings(ClusterConfig(kind=kind, **keys), Path("out"))


def test_a_resource_spec_of_the_users_file_is_not_replaced_for_gpus():
    configured = {"jobqueue.pbs.resource-spec": "select=1:ncpus=8:mem=64GB:host=gpu"}
    with (
        dask.config.set(configured),
        pytest.raises(ConfigError, match="in resource_spec, and leave gpus out"),
    ):
        job_settings(ClusterConfig(kind="pbs", gpus=1), Path("out"))


def test_a_command_that_says_nothing_is_named_with_its_exit_code():
    silent = (
        "Command exited with non-zero exit code.\nExit code: 127\n"
        "Command:\nbsub\nstdout:\n\nstderr:\n\n"
    )
    said = what_was_said(RuntimeError(silent))
    assert "Exit code: 127" in said
    assert "bsub" in said
