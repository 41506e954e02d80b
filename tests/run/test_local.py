"""Workers of this machine that die while they start, are lost, or cannot be had."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from distributed import Client, LocalCluster

from photoz_run.errors import InterruptedRunError, PhotozError
from photoz_run.run.cluster import local_client
from photoz_run.run.dispatch import Dispatcher
from support.runs import COMMAND, options
from support.tiles import make_tile

PATIENCE = 300.0
"""Seconds in which what must come comes, on a machine however busy."""


class Tiles:
    """A run that has tiles left."""

    useful = 5

    def give_up(self, error: PhotozError) -> None:
        raise AssertionError(str(error))


def workers() -> list[psutil.Process]:
    """Worker processes of this one, those that start included."""
    found: list[psutil.Process] = []
    for server in fork_servers():
        with suppress(psutil.NoSuchProcess):
            found += server.children()
    return found


def fork_servers() -> list[psutil.Process]:
    """The process of which workers are forks."""
    servers = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if any("forkserver" in word for word in child.cmdline()):
                servers.append(child)
    return servers


def kill_new(number: int) -> None:
    """Kill each worker process as soon as it is there, until ``number`` are dead."""
    killed: set[int] = set()
    end = time.monotonic() + PATIENCE
    while len(killed) < number and time.monotonic() < end:
        for process in workers():
            if process.pid not in killed:
                killed.add(process.pid)
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        time.sleep(0.02)


def test_workers_that_die_in_their_first_moments_are_started_again():
    killer = threading.Thread(target=kill_new, args=(2,), daemon=True)
    killer.start()
    with local_client(1, Tiles()) as client:
        killer.join()
        assert client.submit(sum, [1, 2]).result(timeout=PATIENCE) == 3
        kill_new(2)  # the worker, and the one that its nanny starts
        end = time.monotonic() + PATIENCE
        while not client.nthreads() or len(workers()) != 1:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert client.submit(sum, [3, 4]).result(timeout=PATIENCE) == 7
    assert not workers()


def test_workers_are_forks_of_a_process_with_one_thread_that_ends_with_them():
    with local_client(1) as client:
        (server,) = fork_servers()
        assert server.num_threads() == 1
        assert client.submit(os.getppid).result(timeout=PATIENCE) == server.pid
        preloaded = client.submit(lambda: "photoz_run.run.preloaded" in sys.modules)
        assert preloaded.result(timeout=PATIENCE)
    assert not server.is_running()


def test_another_process_forks_workers_when_that_one_was_killed():
    with local_client(1, Tiles()) as client:
        (server,) = fork_servers()
        server.kill()
        end = time.monotonic() + PATIENCE
        while server.pid in {other.pid for other in fork_servers()} or not client.nthreads():
            assert time.monotonic() < end
            time.sleep(0.1)
        assert client.submit(sum, [1, 2]).result(timeout=PATIENCE) == 3
    assert not fork_servers()


def test_workers_start_where_the_path_of_tmpdir_is_too_long_for_a_socket(bundle, tmp_path):
    scratch = tmp_path / ("scratch-" + 100 * "x")
    scratch.mkdir()
    make_tile(tmp_path / "data")
    words = [COMMAND, *options(tmp_path / "data", bundle, tmp_path / "out"), "--workers", "1"]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_run_that_is_refused_leaves_no_process_behind(tmp_path):
    words = [COMMAND, "--tiles", "all", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    done = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    said = done.communicate(timeout=PATIENCE)[1]
    assert done.returncode == 2
    assert said.count("\n") == 1
    end = time.monotonic() + PATIENCE
    while any(in_session(process, done.pid) for process in psutil.process_iter()):
        assert time.monotonic() < end
        time.sleep(0.05)


def in_session(process: psutil.Process, leader: int) -> bool:
    try:
        return os.getsid(process.pid) == leader
    except ProcessLookupError:
        return False


def test_a_machine_on_which_no_worker_starts_is_told_in_one_line():
    script = (
        "import resource\n"
        "from photoz_run.run.cluster import _silent_dask, local_client\n"
        "from photoz_run.errors import HostError\n"
        "if __name__ == '__main__':\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))\n"
        "    try:\n"
        "        with _silent_dask(), local_client(1):\n"
        "            pass\n"
        "    except HostError as error:\n"
        "        print(int(error.exit_code), error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    (line,) = done.stdout.splitlines()
    assert line.startswith("75 ")
    assert "cannot start" in line
    assert "Too many open files" in line
    assert "photoz doctor looks for the reason, the same command resumes" in line


def test_a_run_without_any_worker_ends(bundle, tmp_path):
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        tasks = [object()]
        dispatcher = Dispatcher(tasks, print, print, longest_wait=1.0)
        beats = []
        words = "no worker for 0.0167 min .worker_wait.; finished tiles are kept"
        with pytest.raises(InterruptedRunError, match=words):
            list(dispatcher.outcomes(client, lambda: beats.append(dispatcher.workers)))
    assert set(beats) <= {0}


def blocks_ctrl_c() -> list[bool]:
    """Of each thread of Python in this process, whether SIGINT is blocked."""
    masks = []
    for thread in Path("/proc/self/task").iterdir():
        try:
            lines = (thread / "status").read_text().splitlines()
        except FileNotFoundError:
            # It has ended since it was listed.
            continue
        (mask,) = (int(line.split()[1], 16) for line in lines if line.startswith("SigBlk"))
        masks.append(bool(mask >> (signal.SIGINT - 1) & 1))
    return masks


def test_no_thread_of_a_worker_hears_ctrl_c():
    """Python's resource tracker unblocks it where it starts: it must have started before."""
    with local_client(1) as client:
        ((_, blocked),) = client.run(blocks_ctrl_c).items()
    assert all(blocked)
    assert not blocks_ctrl_c()[0]


PAGES = ("/", "/health", "/metrics", "/status", "/info/main/workers.html", "/json/counts.json")


def has_a_page(port: int) -> bool:
    """Whether a browser would be told anything there but that there is nothing."""
    for page in PAGES:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as talk:
            talk.sendall(f"GET {page} HTTP/1.0\r\n\r\n".encode())
            said = talk.recv(1000)
            if said.startswith(b"HTTP") and b" 404 " not in said.splitlines()[0]:
                return True
    return False


def listening() -> set[int]:
    """Ports of this process and of its workers."""
    processes = [psutil.Process(), *workers()]
    connections = [one for process in processes for one in process.net_connections("tcp")]
    return {one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN}


@pytest.mark.parametrize("asked", [False, True])
def test_pages_answer_a_local_user_only_if_they_are_asked_for(asked):
    before = listening()
    with local_client(1, dashboard=asked):
        ports = listening() - before
        assert len(ports) >= 2
        assert any(map(has_a_page, ports)) == asked
