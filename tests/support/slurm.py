"""A SLURM of two nodes that lives on this machine alone, for as long as a block runs.

Real daemons, in the foreground as children of this process: a munged with a key of its own, a
controller, and two node daemons with two pretended GPUs each, on free ports of loopback. Nothing of
an installed SLURM is touched or used.
"""

import ctypes
import getpass
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from support.programs import SYSTEM_FOLDERS, needs
from support.servers import kept_port

NODES = ("n1", "n2")
PROGRAMS = ("munged", "sbatch", "slurmctld", "slurmd")
PR_SET_PDEATHSIG = 1
PATIENCE = 300.0
"""Seconds within which whatever is waited for must happen, on a slow and busy machine too."""

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
# The machine may have fewer cores and less memory than its nodes pretend.
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
# A job that takes more memory than it asked for is killed within seconds.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory,CR_LLN
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,bf_interval=1
DefMemPerCPU=500
KillWait=5
JobRequeue=1
ReturnToService=2
GresTypes=gpu
NodeName=n1 Port={ports[1]} NodeHostname={host} NodeAddr=127.0.0.1 {size}
NodeName=n2 Port={ports[2]} NodeHostname={host} NodeAddr=127.0.0.1 {size}
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
"""
SIZE = "CPUs=4 Sockets=1 CoresPerSocket=4 ThreadsPerCore=1 RealMemory=8000 Gres=gpu:2 State=UNKNOWN"


@dataclass(frozen=True)
class Job:
    """A line of ``squeue``."""

    id: str
    name: str
    state: str
    node: str


@dataclass
class Slurm:
    """A running SLURM; every command sees it through ``environment``."""

    folder: Path
    ports: tuple[int, ...]
    """Of the controller and the nodes."""
    daemons: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment without a batch job that it may be in, and with this SLURM."""
        outside = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SLURM", "SBATCH"))
        }
        path = f"{outside.get('PATH', os.defpath)}:{SYSTEM_FOLDERS}"
        return outside | {"PATH": path, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def ask(self, *command: str) -> str:
        """What a SLURM command prints; its complaint is an error."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout.strip()

    def submit(self, environment: Mapping[str, str], *words: str) -> str:
        """Submit a batch job that gets this environment; its number."""
        command = ["sbatch", "--parsable", *words]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def state(self, job: str) -> str:
        """The state of a job that waits, runs or has ended not long ago."""
        return self.ask("squeue", "--noheader", "--states", "all", "--jobs", job, "--format", "%T")

    def jobs(self, name: str = "", ended: bool = False) -> list[Job]:
        """Jobs that wait, run or are being ended, by number; those that have ``ended`` too."""
        which = ["--states", "all"] if ended else []
        lines = self.ask(
            "squeue", "--noheader", "--array", *which, "--format", "%i %j %T %N"
        ).splitlines()
        found = [Job(*[*line.split(maxsplit=3), ""][:4]) for line in lines]
        return sorted((job for job in found if name in ("", job.name)), key=lambda job: job.id)

    def script(self, job: str) -> str:
        """The batch script of a job as SLURM runs it."""
        return self.ask("scontrol", "write", "batch_script", job, "-")

    def processes(self, **variables: str) -> list[psutil.Process]:
        """Processes of this SLURM and its jobs whose environment has these values; not this one and
        its parents.
        """
        wanted = variables | {"SLURM_CONF": str(self.folder / "slurm.conf")}
        return [
            one for one in psutil.process_iter() if one.pid != os.getpid() and _has(one, wanted)
        ]

    def kill_node(self, node: str) -> None:
        """Let a node die as without power: its daemon and all processes of jobs on it, none of them
        asked.
        """
        self.daemons.pop(node).kill()
        theirs = self.processes(SLURMD_NODENAME=node)
        # First those who would tell the controller that the job has failed; they have no
        # environment to be known by.
        tellers = [
            parent for one in theirs if (parent := one.parent()) and parent.name() == "slurmstepd"
        ]
        for process in (*tellers, *theirs):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=power")

    def start_node(self, node: str) -> None:
        """Switch a node on, and wait until it takes jobs."""
        self._start(node, "slurmd", "-D", "-c", "-N", node)
        wait(
            lambda: self.node_state(node) in ("idle", "mixed", "allocated"),
            f"node {node} is up",
            self.logs,
        )

    def node_state(self, node: str) -> str:
        """The state of a node, as ``sinfo`` names it."""
        return self.ask("sinfo", "--noheader", "--nodes", node, "--format", "%T")

    def logs(self) -> str:
        """The last lines of every daemon's log."""
        return "\n".join(
            f"{path.name}: {path.read_text()[-2000:]}" for path in sorted(self.folder.glob("*.log"))
        )

    def clear(self) -> None:
        """Cancel every job, switch on what is off, and wait until no job is left."""
        self.ask("scancel", f"--user={getpass.getuser()}")
        self.ask("scontrol", "update", "PartitionName=main", "State=UP")
        for node in NODES:
            if node not in self.daemons:
                self.start_node(node)
        wait(lambda: not self.jobs(), "all jobs are gone", self.logs)

    def start(self) -> None:
        """Start the daemons, and wait until both nodes take jobs."""
        self._configure()
        socket_path = self.folder / "munge.socket"
        munge = [
            f"--{name}={self.folder}/munge.{name}"
            for name in ("socket", "key-file", "pid-file", "seed-file")
        ]
        self._start(
            "munged",
            "munged",
            "--foreground",
            "--force",
            f"--log-file={self.folder}/munged.log",
            *munge,
        )
        wait(socket_path.exists, "munged listens", self.logs)
        self._start("slurmctld", "slurmctld", "-D", "-c")
        for node in NODES:
            self._start(node, "slurmd", "-D", "-c", "-N", node)
        for node in NODES:
            wait(lambda node=node: self.node_state(node) == "idle", f"node {node} is up", self.logs)

    def stop(self) -> None:
        """End all that was started: the jobs and their processes, then the daemons."""
        with suppress(AssertionError, subprocess.TimeoutExpired):
            self.ask("scancel", f"--user={getpass.getuser()}")
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
        for daemon in self.daemons.values():
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(10)
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for daemon in self.daemons.values():
            daemon.wait(10)

    def _configure(self) -> None:
        (self.folder / "munge.key-file").write_bytes(os.urandom(1024))
        (self.folder / "munge.key-file").chmod(0o400)
        for name in ("state", *(f"spool-{node}" for node in NODES)):
            (self.folder / name).mkdir()
        gpus = [self.folder / f"nvidia{number}" for number in range(2)]
        for gpu in gpus:
            gpu.symlink_to(os.devnull)  # a device it must be
        host = socket.gethostname().partition(".")[0]
        text = CONFIGURATION.format(
            folder=self.folder, host=host, ports=self.ports, user=getpass.getuser(), size=SIZE
        )
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "gres.conf").write_text(
            f"NodeName=n[1-2] Name=gpu Flags=nvidia_gpu_env File={self.folder}/nvidia[0-1]\n"
        )

    def _start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_me,
            )


@contextmanager
def two_nodes() -> Iterator[Slurm]:
    """A SLURM, from here to the end of the block."""
    needs(*PROGRAMS)
    # Not in pytest's folder: munged wants a path that everybody may enter, and a socket's path must
    # be short.
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True)
            )
        )
        folder.chmod(0o755)
        ports = tuple(stack.enter_context(kept_port()) for _ in range(3))
        slurm = Slurm(folder, ports)
        stack.callback(slurm.stop)
        slurm.start()
        yield slurm


def wait(
    happened: Callable[[], object],
    what: str,
    explain: Callable[[], str] = str,
    patience: float = PATIENCE,
) -> None:
    """Wait until something has happened; if it does not, say what was waited for."""
    end = time.monotonic() + patience
    while not happened():
        assert time.monotonic() < end, f"waited {patience:.0f} s until {what}\n{explain()}"
        time.sleep(0.1)


def _has(process: psutil.Process, wanted: Mapping[str, str]) -> bool:
    try:
        # Not by psutil, which stops at the blanks that a daemon leaves when it gives itself another
        # title.
        present = set(Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"))
    except OSError:
        return False
    return present >= {f"{name}={value}".encode() for name, value in wanted.items()}


def _die_with_me() -> None:
    """Before a daemon starts: it ends with this process, even one that is killed; Ctrl-C is for
    this process alone.
    """
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
