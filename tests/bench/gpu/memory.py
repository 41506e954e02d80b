"""The largest memory in use on the GPU, as nvidia-smi says."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from photoz_run.run.gpus import usable_gpus

EVERY_MS = 200


@dataclass
class Peak:
    """MiB; None where there is no nvidia-smi."""

    mib: int | None = None


@contextmanager
def watched() -> Iterator[Peak]:
    """Watch the first GPU that may be used during the block."""
    peak = Peak()
    first = (*usable_gpus(os.environ), "0")[0]
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    if not shutil.which(command[0]):
        yield peak
        return
    process = subprocess.Popen(
        [*command, f"--id={first}", f"--loop-ms={EVERY_MS}"], stdout=subprocess.PIPE, text=True
    )
    thread = threading.Thread(target=_follow, args=(process, peak))
    thread.start()
    try:
        yield peak
    finally:
        process.terminate()
        thread.join()
        process.wait()


def _follow(process: "subprocess.Popen[str]", peak: Peak) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip().isdigit():
            peak.mib = max(peak.mib or 0, int(line))
