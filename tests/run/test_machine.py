"""What a process may use of its machine, read from kernel files of every kind of machine."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photoz_run.run import machine
from photoz_run.run.machine import Limit

GIB = 1 << 30
MEMINFO = "MemTotal:       65536000 kB\nMemFree:         100 kB\nMemAvailable:   32768000 kB\n"
MACHINE = 65536000 * 1024


@pytest.fixture
def root(tmp_path):
    """The kernel's files of a machine without any limit."""
    write(tmp_path, "proc/meminfo", MEMINFO)
    write(tmp_path, "proc/self/cgroup", "0::/\n")
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_limits_the_machine_is_the_limit(root):
    assert machine.memory_limit({}, root) == Limit(MACHINE, "the machine")
    assert machine.free_memory(root) == MACHINE / 2
    assert machine.cpu_quota(root) is None


def test_the_smallest_limit_among_the_groups_above_counts_in_version_2(root):
    write(root, "proc/self/cgroup", "0::/slurm/job_7/step_0\n")
    write(root, "sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n")
    write(root, "sys/fs/cgroup/slurm/job_7/memory.max", f"{3 * GIB}\n")
    write(root, "sys/fs/cgroup/slurm/memory.max", f"{9 * GIB}\n")
    write(root, "sys/fs/cgroup/slurm/job_7/cpu.max", "150000 100000\n")
    write(root, "sys/fs/cgroup/slurm/cpu.max", "max 100000\n")
    assert machine.memory_limit({}, root) == Limit(3 * GIB, "the control group")
    assert machine.cpu_quota(root) == 1.5


def test_controllers_of_version_1_have_groups_of_their_own(root):
    write(
        root, "proc/self/cgroup", "5:memory:/job_7\n3:cpu,cpuacct:/job_8\n1:name=systemd:/\n0::/\n"
    )
    write(root, "sys/fs/cgroup/memory/job_7/memory.limit_in_bytes", f"{2 * GIB}\n")
    write(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    write(root, "sys/fs/cgroup/cpu,cpuacct/job_8/cpu.cfs_quota_us", "400000\n")
    write(root, "sys/fs/cgroup/cpu,cpuacct/job_8/cpu.cfs_period_us", "100000\n")
    write(root, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
    write(root, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert machine.memory_limit({}, root) == Limit(2 * GIB, "the control group")
    assert machine.cpu_quota(root) == 4.0


def test_a_container_sees_its_own_group_at_the_mount(root):
    write(root, "proc/self/cgroup", "5:memory:/docker/0123abcd\n")
    write(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", f"{GIB}\n")
    assert machine.memory_limit({}, root) == Limit(GIB, "the control group")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SLURM_MEM_PER_NODE": "2000"}, Limit(2000 << 20, "SLURM")),
        ({"SLURM_MEM_PER_CPU": "500", "SLURM_CPUS_ON_NODE": "4"}, Limit(2000 << 20, "SLURM")),
        ({"SLURM_MEM_PER_NODE": "0"}, Limit(MACHINE, "the machine")),
    ],
)
def test_slurm_says_what_a_job_was_given(root, environment, expected):
    assert machine.memory_limit(environment, root) == expected


@pytest.mark.parametrize(
    ("path", "kind", "place"),
    [
        ("/home/x", "nfs4", "network"),
        ("/scratch/x", "xfs", "local"),
        ("/scratch2", "ext4", "local"),
        ("/dev/shm/x", "tmpfs", "memory"),
        ("/lustre/my data/x", "lustre", "network"),
        ("/mnt/s3/x", "fuse.s3fs", "network"),
        ("/tmp/x", "xfs", "local"),
    ],
)
def test_the_file_system_of_a_path_is_the_last_one_mounted_above_it(root, path, kind, place):
    write(
        root,
        "proc/self/mountinfo",
        "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
        "30 27 0:30 / /home rw,relatime shared:5 - nfs4 filer:/home rw\n"
        "31 27 8:1 / /scratch rw - xfs /dev/sdb rw\n"
        "32 27 0:31 / /dev/shm rw - tmpfs tmpfs rw\n"
        "33 27 0:32 / /lustre/my\\040data rw - lustre mds@tcp:/data rw\n"
        "34 27 0:33 / /mnt/s3 rw - fuse.s3fs s3fs rw\n"
        "35 27 0:34 / /tmp rw - tmpfs tmpfs rw\n"
        "36 35 8:1 /tmp7 /tmp rw - xfs /dev/sdb rw\n",
    )
    system = machine.file_system(Path(path), root)
    assert (system.kind, system.place) == (kind, place)


def test_this_machine_is_read_as_its_own_programs_read_it(tmp_path):
    said = subprocess.run(
        ["findmnt", "-n", "-o", "FSTYPE", "-T", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert machine.file_system(tmp_path).kind == said.stdout.strip()
    limit = machine.memory_limit(os.environ)
    assert 0 < limit.bytes <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < machine.free_memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("environment", "system", "name", "cores"),
    [
        (
            {"SLURM_JOB_ID": "42", "SLURM_CPUS_ON_NODE": "8", "SLURM_CPUS_PER_TASK": "2"},
            "SLURM",
            "42",
            2,
        ),
        ({"SLURM_JOB_ID": "42", "SLURM_CPUS_ON_NODE": "8"}, "SLURM", "42", 8),
        ({"PBS_JOBID": "7.server", "NCPUS": "4"}, "PBS", "7.server", 4),
        ({"LSB_JOBID": "9", "LSB_DJOB_NUMPROC": "6"}, "LSF", "9", 6),
        ({"JOB_ID": "5", "NSLOTS": "3"}, "SGE", "5", 3),
        ({"OAR_JOB_ID": "11"}, "OAR", "11", None),
    ],
)
def test_every_batch_system_is_known_by_its_variables(environment, system, name, cores):
    job = machine.batch_job(environment | {"PATH": ""})
    assert job is not None
    assert (job.system, job.name, job.cores) == (system, name, cores)


def test_outside_of_a_job_there_is_none():
    assert machine.batch_job({"HOME": "/home/x"}) is None


def test_time_left_is_asked_of_squeue_where_the_job_does_not_know_its_end(tmp_path, monkeypatch):
    squeue = tmp_path / "squeue"
    squeue.write_text('#!/bin/sh\n[ "$3" = 42 ] && echo 1-02:03:04\n')
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert machine.batch_job({"SLURM_JOB_ID": "42"}).seconds_left == 93784
    assert machine.batch_job({"SLURM_JOB_ID": "43"}).seconds_left is None


@given(st.integers(0, 40), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_slurms_durations_are_read_in_all_their_forms(days, hours, minutes, seconds):
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if days:
        text = f"{days}-{hours:02}:{minutes:02}:{seconds:02}"
    elif hours:
        text = f"{hours}:{minutes:02}:{seconds:02}"
    else:
        text = f"{minutes}:{seconds:02}"
    assert machine.duration(text) == total


@pytest.mark.parametrize("text", ["UNLIMITED", "INVALID", "NOT_SET", ""])
def test_an_unlimited_time_is_no_number(text):
    assert machine.duration(text) is None
