"""A Dask cluster on this machine: one process per worker, encrypted, reachable from loopback only."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed import Client, LocalCluster
from distributed.security import Security

SETTINGS = {
    # A tile is one long task: stealing would only move it, and a busy worker must not be taken for a dead one.
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.comm.timeouts.connect": "60s",
    "distributed.worker.daemon": False,
}


@contextmanager
def local_client(workers: int) -> Iterator[Client]:
    """A client of a new local cluster; cluster and workers end with the block.

    Connections need the run's own certificate: an open Dask port would be a shell for everybody on the machine.
    """
    with (
        dask.config.set(SETTINGS),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            protocol="tls://",
            security=Security.temporary(),
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
