"""What this process may use of its machine: cores, memory, time, and file systems."""

import os
import re
import resource
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
NETWORK = {
    *("nfs", "nfs4", "afs", "cifs", "smb3", "9p", "virtiofs"),
    *("lustre", "gpfs", "beegfs", "fhgfs", "ceph", "glusterfs", "panfs", "pvfs2", "wekafs"),
}
"""File systems whose files lie on another machine, as the kernel names them.

So do those of ``fuse.*``.
"""
MEMORY = {"tmpfs", "ramfs", "devtmpfs"}
"""File systems whose files lie in memory."""

BATCH = {
    "SLURM": ("SLURM_JOB_ID", ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")),
    "PBS": ("PBS_JOBID", ("NCPUS", "PBS_NP")),
    "LSF": ("LSB_JOBID", ("LSB_DJOB_NUMPROC",)),
    "OAR": ("OAR_JOB_ID", ()),
    "HTCondor": ("_CONDOR_JOB_AD", ()),
    "SGE": ("JOB_ID", ("NSLOTS",)),
}
"""Batch system -> the variable that names the job, and those that hold its cores here."""
SUBMIT = ("sbatch", "qsub", "bsub", "oarsub", "condor_submit")
FILES_OWN, FILES_LOCAL, FILES_REMOTE = 30, 9, 2
"""Files that a driver holds open: its own, for a worker beside it, for one on another machine."""
ENOUGH_FILES = 4096
"""Open files that a driver asks for, and its workers inherit, if it may."""
SECONDS = 60.0
"""Longest wait for an answer of the batch system or of a driver.

A driver may have to wake GPUs that nobody uses.
"""


@dataclass(frozen=True)
class Limit:
    """An amount in bytes, and who set it."""

    bytes: int
    source: str


@dataclass(frozen=True)
class Job:
    """The batch job of this process.

    ``cores`` and ``seconds_left`` are ``None`` where the batch system does not say.
    """

    system: str
    name: str
    cores: int | None
    seconds_left: float | None


@dataclass(frozen=True)
class FileSystem:
    """Type of a file system as the kernel names it, and where it is mounted."""

    kind: str
    mount: str

    @property
    def place(self) -> str:
        """``network``, ``memory`` or ``local``."""
        if self.kind in NETWORK or self.kind.startswith("fuse."):
            return "network"
        return "memory" if self.kind in MEMORY else "local"


def cpu_count() -> int:
    """Cores of the whole machine."""
    return os.cpu_count() or 1


def cpu_quota(root: Path = ROOT) -> float | None:
    """Cores that the control group's time quota amounts to; the affinity ignores it."""
    quotas = []
    for path in _group_files("cpu", "cpu.max", "cpu.cfs_quota_us", root):
        words = path.read_text().split()
        if path.name == "cpu.cfs_quota_us":
            words.append(path.with_name("cpu.cfs_period_us").read_text())
        if words[0] not in ("max", "-1"):
            quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


def memory_limit(environment: Mapping[str, str], root: Path = ROOT) -> Limit:
    """The smallest of what the control group, SLURM and the machine allow."""
    limits = [Limit(_memory(root)["MemTotal"], "the machine")]
    for path in _group_files("memory", "memory.max", "memory.limit_in_bytes", root):
        text = path.read_text().strip()
        limits += [Limit(int(text), "the control group")] if text != "max" else []
    per_node = environment.get("SLURM_MEM_PER_NODE")
    per_core = environment.get("SLURM_MEM_PER_CPU")
    if per_node:
        limits.append(Limit(int(per_node) << 20, "SLURM"))
    elif per_core:
        cores = int(environment.get("SLURM_CPUS_ON_NODE", "1"))
        limits.append(Limit(int(per_core) * cores << 20, "SLURM"))
    # 0 is SLURM's word for all memory of the node.
    return min((limit for limit in limits if limit.bytes > 0), key=lambda limit: limit.bytes)


def free_memory(root: Path = ROOT) -> int:
    """Bytes that could be used now without swapping, as the kernel estimates them."""
    return _memory(root)["MemAvailable"]


def address_space() -> int | None:
    """``ulimit -v`` in bytes, ``None`` if it is unlimited; mapped files count."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def open_files() -> tuple[int, int]:
    """``ulimit -n``: files that may be open at once, and how far a process may raise that."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def allow_open_files(wanted: int) -> int:
    """Let this process and those it starts hold ``wanted`` files open, or as many as they may."""
    soft, hard = open_files()
    if soft >= wanted:
        return soft
    allowed = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


def file_system(path: Path, root: Path = ROOT) -> FileSystem:
    """The file system that holds ``path``.

    It has the longest mount point above it; of two, the one mounted last.
    """
    best = FileSystem("unknown", "")
    for line in (root / "proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        place = left.split()[4]
        mount = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), place)  # \040 is a space
        if path.is_relative_to(mount) and len(mount) >= len(best.mount):
            best = FileSystem(right.split()[0], mount)
    return best


def batch_job(environment: Mapping[str, str]) -> Job | None:
    """The batch job of this process, by the variables its system sets; ``None`` without one."""
    for system, (variable, core_variables) in BATCH.items():
        name = environment.get(variable)
        if not name:
            continue
        values = [environment.get(variable, "") for variable in core_variables]
        cores = next((int(value) for value in values if value.isdigit()), None)
        left = _slurm_seconds_left(name, environment) if system == "SLURM" else None
        return Job(system, name, cores, left)
    return None


def answer(*command: str) -> str | None:
    """What a program prints; ``None`` if it is not there, fails, or takes more than `SECONDS`."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return ended.stdout.strip()


def _slurm_seconds_left(job: str, environment: Mapping[str, str]) -> float | None:
    end = environment.get("SLURM_JOB_END_TIME")  # from SLURM 23.02 on
    if end:
        return float(end) - time.time()
    return duration(answer("squeue", "--noheader", "--jobs", job, "--format", "%L") or "")


def duration(text: str) -> float | None:
    """Seconds of SLURM's ``days-hours:minutes:seconds``; ``None`` for UNLIMITED and the like."""
    days, _, clock = text.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in (*parts, days or "0")):
        return None
    seconds = sum(int(part) * 60**power for power, part in enumerate(reversed(parts)))
    return float(int(days or 0) * 86400 + seconds)


def _group_files(controller: str, name_v2: str, name_v1: str, root: Path) -> Iterator[Path]:
    """Files of that name in this process's control group and in those above it.

    Both versions of control groups are searched.
    """
    groups = root / "sys/fs/cgroup"
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        # In a container the path may be the host's: then the mount itself is the group.
        top, name = (groups / controllers, name_v1) if controllers else (groups, name_v2)
        own = top / path.lstrip("/")
        for folder in (own, *own.parents):
            if folder.is_relative_to(top) and (folder / name).is_file():
                yield folder / name


def _memory(root: Path) -> dict[str, int]:
    lines = (line.split() for line in (root / "proc/meminfo").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines}
