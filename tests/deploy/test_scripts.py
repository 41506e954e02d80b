"""The job scripts of deploy/, run by the real shell; programs of a cluster are stand-ins."""

import importlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from support.command_lines import parse
from support.runs import COMMAND, contents
from support.tiles import make_tile

DEPLOY = Path(__file__).parents[2] / "deploy"
SLURM = sorted((DEPLOY / "slurm").iterdir())
PBS = sorted((DEPLOY / "pbs").iterdir())
FETCH = [path for path in SLURM + PBS if path.stem == "fetch"]
MEASURE = [path for path in SLURM + PBS if path not in FETCH]
DRIVER = [path for path in MEASURE if path.stem == "driver"]
SHELL = [path for path in sorted(DEPLOY.glob("*.sh")) if path.name != "install-in-container.sh"]

TIME = r"(\d+-)?\d{1,2}:\d\d:\d\d"
DIRECTIVES = {
    "job-name": r"[\w-]+",
    "output": r"[\w%-]+\.log",
    "open-mode": "append",
    "ntasks": "1",
    "cpus-per-task": r"\d+",
    "mem": r"\d+G",
    "time": TIME,
    "signal": r"B:USR1@\d+",
    "requeue": "",
    "array": r"1-\d+",
    "gres": "gpu:1",
}
"""Options of sbatch that the scripts use, and the form of their values."""
PBS_DIRECTIVES = (
    r"-N [\w-]{1,15}",
    r"-J 1-\d+",
    r"-l select=1:ncpus=\d+:mem=\d+gb",
    rf"-l walltime={TIME}",
    "-j oe",
    "-r y",
)

WARNED = """#!/bin/bash
sleep 600 &
worker=$!
trap 'sleep 0.1; kill $worker && exit 75' USR1
touch "$CALLS/ready"
wait
exit 1
"""
"""A program with a worker that knows nothing of signals.

It ends with 75 if the worker outlived the warning.
"""
STAND_IN = '#!/bin/sh\nprintf "%s\\0" "${0##*/}" "$@" > "$CALLS/$$"\nexit "${CODE:-0}"\n'
JOB = {
    "DATA": "/data/a /data/b",
    "OUT": "/scratch/my run",
    "CONFIG": "my settings.toml",
    "SLURM_JOB_ID": "42",
    "SLURM_ARRAY_JOB_ID": "40",
    "SLURM_ARRAY_TASK_ID": "3",
    "SLURM_CPUS_PER_TASK": "2",
    "PBS_ARRAY_INDEX": "3",
}


@pytest.fixture
def cluster(tmp_path):
    """A function that runs a script among stand-ins, which record how they are called."""
    bin_, calls = tmp_path / "bin", tmp_path / "calls"
    bin_.mkdir()
    calls.mkdir()
    for name in ("photoz-run", "photoz", "python", "scontrol"):
        (bin_ / name).write_text(STAND_IN)
        (bin_ / name).chmod(0o755)

    def run(script: Path, **environment: str) -> tuple[int, list[list[str]]]:
        own = {
            "PATH": f"{bin_}:/usr/bin:/bin",
            "CALLS": str(calls),
            "BIN": str(bin_),
            "HOME": str(tmp_path),
        }
        done = subprocess.run(
            ["bash", script], env=own | environment, cwd=tmp_path, capture_output=True, text=True
        )
        assert "unbound" not in done.stderr
        said = [
            path.read_text().rstrip("\0").split("\0")
            for path in sorted(calls.iterdir(), key=os.path.getmtime)
        ]
        for path in calls.iterdir():
            path.unlink()
        return done.returncode, said

    return run


def parse_study(command):
    """Let the study itself parse its options; an error of usage ends the test."""
    assert command[:2] == ["python", "-m"]
    study = importlib.import_module(command[2])
    study.command_line().parse_args(command[3:])


def own_number(script: Path) -> str:
    """The number by which a job puts itself, and nothing else, into the queue again."""
    return "40_3" if script.name.startswith("array") else JOB["SLURM_JOB_ID"]


def names(paths):
    return [str(path.relative_to(DEPLOY)) for path in paths]


@pytest.mark.parametrize("script", MEASURE, ids=names(MEASURE))
def test_a_job_script_calls_the_program_with_options_that_it_takes(cluster, script):
    code, (command,) = cluster(script, **JOB)
    assert code == 0
    parse(command)
    words = " ".join(command)
    assert words.startswith(
        "photoz-run --tiles all --data /data/a /data/b --out /scratch/my run --formats"
    )
    assert "--config my settings.toml" in words
    assert ("--cluster" in command) == script.name.startswith("driver")
    assert ("--shard 3/32" in words) == script.name.startswith("array")


@pytest.mark.parametrize("script", FETCH, ids=names(FETCH))
def test_a_script_that_fetches_does_it_for_the_run(cluster, script):
    code, (command,) = cluster(script, **JOB)
    assert code == 0
    parse(command)
    words = ["photoz", "fetch", JOB["OUT"], "--config", JOB["CONFIG"], "--fetchers", "4"]
    assert command == words


@pytest.mark.parametrize("script", FETCH, ids=names(FETCH))
def test_a_script_that_fetches_asks_for_settings(cluster, script):
    without = {name: value for name, value in JOB.items() if name != "CONFIG"}
    code, calls = cluster(script, **without)
    assert code != 0
    assert calls == []


@pytest.mark.parametrize("script", MEASURE, ids=names(MEASURE))
@pytest.mark.parametrize("missing", ["DATA", "OUT"])
def test_a_job_script_says_what_it_was_not_told(cluster, script, missing):
    code, calls = cluster(script, **{name: value for name, value in JOB.items() if name != missing})
    assert code != 0
    assert calls == []


@pytest.mark.parametrize("script", DRIVER, ids=names(DRIVER))
def test_partition_and_account_go_on_to_the_worker_jobs(cluster, script):
    _, (command,) = cluster(script, **JOB, PARTITION="long", QUEUE="long", ACCOUNT="kids")
    parse(command)
    assert command[-4:] == ["--queue", "long", "--account", "kids"]


@pytest.mark.parametrize("script", SLURM, ids=names(SLURM))
def test_only_an_interrupted_job_asks_for_another_turn_and_not_for_ever(cluster, script):
    for code, turn, again in [
        (75, "0", True),
        (75, "9", True),
        (75, "10", False),
        (3, "0", False),
        (0, "0", False),
    ]:
        ended, calls = cluster(script, **JOB, CODE=str(code), SLURM_RESTART_COUNT=turn)
        requeued = [call for call in calls if call[0] == "scontrol"]
        assert requeued == ([["scontrol", "requeue", own_number(script)]] if again else [])
        assert ended == code


def warned(script: Path, folder: Path, number: signal.Signals) -> int:
    """How a job ends that gets a signal while the program runs."""
    program = "photoz" if script in FETCH else "photoz-run"
    (folder / "bin" / program).write_text(WARNED)
    environment = JOB | {
        "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
        "CALLS": str(folder / "calls"),
    }
    job = subprocess.Popen(["bash", script], env=environment, cwd=folder)
    state = psutil.Process(job.pid).status
    # Whoever has started the program waits for it: before, it may not know its number yet.
    while not (folder / "calls" / "ready").exists() or state() != psutil.STATUS_SLEEPING:
        assert job.poll() is None
        time.sleep(0.01)
    job.send_signal(number)
    (folder / "calls" / "ready").unlink()
    return job.wait(300)


@pytest.mark.parametrize("script", SLURM, ids=names(SLURM))
def test_a_warning_of_slurm_reaches_the_program_alone_and_the_job_asks_for_another_turn(
    cluster, script, tmp_path
):
    assert warned(script, tmp_path, signal.SIGUSR1) == 75
    (requeued,) = (path.read_text() for path in (tmp_path / "calls").iterdir())
    assert requeued.split("\0")[:3] == ["scontrol", "requeue", own_number(script)]


@pytest.mark.parametrize("script", SLURM, ids=names(SLURM))
def test_a_script_waits_for_the_warning_before_the_program_runs(script):
    text = script.read_text()
    assert text.index("\ntrap ") < text.index(" &\n")


@pytest.mark.parametrize("script", PBS, ids=names(PBS))
def test_pbs_learns_the_exit_status_of_the_program(cluster, script):
    assert [cluster(script, **JOB, CODE=str(code))[0] for code in (0, 3, 75)] == [0, 3, 75]


@pytest.mark.parametrize("script", PBS, ids=names(PBS))
def test_under_pbs_the_warning_comes_before_the_walltime_and_to_the_program_alone(
    cluster, script, tmp_path
):
    text = script.read_text()
    hours = int(re.search(r"walltime=(\d+):00:00", text)[1])
    minutes = int(re.search(r"MINUTES:-(\d+)", text)[1])
    assert minutes == 60 * hours - 10
    assert '"${MINUTES}m"' in text
    # The job has become `timeout`, which hears by this signal that the time is up.
    assert warned(script, tmp_path, signal.SIGALRM) == 75


@pytest.mark.parametrize("script", SLURM, ids=names(SLURM))
def test_directives_of_slurm_are_options_of_sbatch_before_the_first_command(script):
    head, _, body = script.read_text().partition("set -u\n")
    assert "#SBATCH" not in body
    found = dict(
        re.fullmatch(r"--([\w-]+)(?:=(\S+))?", line.removeprefix("#SBATCH ")).groups(default="")
        for line in head.splitlines()
        if line.startswith("#SBATCH")
    )
    assert all(re.fullmatch(DIRECTIVES[name], value) for name, value in found.items())
    assert {"time", "signal", "requeue", "mem"} <= set(found)
    assert ("array" in found) == script.name.startswith("array")
    if "array" in found:
        assert f"SHARES:-{found['array'][2:]}}}" in body


@pytest.mark.parametrize("script", PBS, ids=names(PBS))
def test_directives_of_pbs_are_options_of_qsub_before_the_first_command(script):
    head, _, body = script.read_text().partition("set -eu\n")
    assert "#PBS" not in body
    found = [line.removeprefix("#PBS ") for line in head.splitlines() if line.startswith("#PBS")]
    for directive in found:
        assert any(re.fullmatch(known, directive) for known in PBS_DIRECTIVES), directive
    assert len(found) >= 5


@pytest.mark.parametrize("script", SHELL, ids=names(SHELL))
def test_the_other_scripts_call_the_program_with_options_that_it_takes(cluster, script, tmp_path):
    repository = tmp_path / "deploy"
    repository.symlink_to(DEPLOY)
    code, calls = cluster(
        script,
        DEMO=str(tmp_path / "demo"),
        WORK=str(tmp_path / "work"),
        OUT=str(tmp_path / "o.onnx"),
    )
    assert code == 0
    assert calls
    for command in calls:
        if command[0] == "python":
            parse_study(command)
        else:
            parse(command)


def test_the_shares_of_an_array_make_the_whole_catalogue(bundle, tmp_path):
    """The script as it is, with the real program, one share after the other."""
    for name in ("KIDS_180.0_-0.5", "KIDS_181.0_-0.5"):
        make_tile(tmp_path / "data", name)
    script = tmp_path / "array.sbatch"
    options = f"--select all --provider cpu --model {bundle} --formats parquet,fits"
    script.write_text(
        (DEPLOY / "slurm" / "array.sbatch").read_text().replace("--formats parquet,fits", options)
    )
    environment = JOB | {
        "DATA": str(tmp_path / "data"),
        "OUT": str(tmp_path / "out"),
        "SHARES": "2",
        "CONFIG": "",
    }
    path = f"{Path(COMMAND).parent}:/usr/bin:/bin"
    for share in ("1", "2"):
        own = (
            os.environ
            | environment
            | {"SLURM_ARRAY_TASK_ID": share, "SLURM_CPUS_PER_TASK": "1", "PATH": path}
        )
        done = subprocess.run(
            ["bash", script], env=own, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stderr
        assert len(contents(tmp_path / "out")) == 2 * int(share)
