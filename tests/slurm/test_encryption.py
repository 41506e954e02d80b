"""Only those with its certificate may talk to the driver and the workers of a run."""

import re
import socket
import ssl
from ipaddress import ip_address

import psutil
import pytest
from distributed import Client
from distributed.security import Security

from support.slurm_runs import TILES

pytestmark = pytest.mark.slurm


@pytest.fixture
def working(run):
    """A run with two workers that are busy until the test lets them go."""
    run.hold.hold(*TILES)
    run.start("--workers", "2")
    for tile in TILES[:2]:
        run.wait_for_try(tile)
    return run


def test_keys_are_private_while_a_run_lasts_and_strangers_reach_nothing_but_closed_doors(working):
    (folder,) = working.out.glob(".tls-*")
    keys = {path.name: path for path in folder.iterdir()}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {"tls_worker_key.pem", "tls_worker_cert.pem", "tls_ca_file.pem"} <= keys.keys()
    assert {path.stat().st_mode & 0o777 for path in keys.values()} == {0o600}

    script = working.slurm.script(working.workers()[0].id)
    assert str(keys["tls_worker_key.pem"]) in script
    assert "BEGIN" not in script  # no key stands in the script itself
    scheduler = re.search(r"tls://[\d.]+:\d+", script)[0]
    own = {
        name: str(folder / f"{name}.pem")
        for name in ("tls_ca_file", "tls_client_cert", "tls_client_key")
    }
    with Client(scheduler, security=Security(require_encryption=True, **own)) as friend:
        assert len(friend.nthreads()) == 2
    for address, security in (
        (scheduler.replace("tls://", "tcp://"), None),
        (scheduler, Security(require_encryption=True)),
        (scheduler, Security.temporary()),
    ):
        with pytest.raises((OSError, TypeError, ValueError)):
            Client(address, security=security, timeout="3s").close()

    ports = listening(working)
    assert int(scheduler.rpartition(":")[2]) in {port for _, port in ports}
    for host, port in ports:
        if not ip_address(host).is_loopback:
            assert answer(host, port, b"GET / HTTP/1.0\r\n\r\n") == b""
            assert answer(host, port, b"GET / HTTP/1.0\r\n\r\n", encrypted=True) == b""

    working.hold.let_go(*TILES)
    code, said = working.finish()
    assert code == 0, said
    assert not list(working.out.glob(".tls-*"))
    assert not [path for path in working.out.rglob("*") if path.stat().st_mode & 0o077]


def listening(run):
    """Host and port of everything that the driver and the processes of its jobs listen on."""
    jobs = [
        process for job in run.workers() for process in run.slurm.processes(SLURM_JOB_ID=job.id)
    ]
    addresses = {
        (process.pid, *connection.laddr)
        for process in [psutil.Process(run.driver.pid), *jobs]
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    # A driver, two workers and their nannies.
    assert len({pid for pid, _, _ in addresses}) == 5
    return [(host, port) for _, host, port in addresses]


def answer(host, port, words, encrypted=False):
    """What a stranger is told there, who says these words, with or without encryption."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), timeout=5) as talk:
            talk = context.wrap_socket(talk) if encrypted else talk
            talk.sendall(words)
            return talk.recv(1000)
    except (ConnectionError, ssl.SSLError):
        return b""
