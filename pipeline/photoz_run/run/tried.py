"""A network tried in a process of its own: ``python -m photoz_run.run.tried``.

It reads from standard input what to load, and answers the bundle, or the error.
"""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

from photoz_models.bundle import Bundle
from photoz_models.errors import BundleError, PhotozError
from photoz_models.providers import Provider
from photoz_models.session import PhotozModel
from photoz_run.run.gpus import usable_gpus

SECONDS = 300.0
"""Longest trial; a GPU that hangs answers never."""


def tried(path: Path, provider: Provider, allow_fallback: bool) -> Bundle:
    """The bundle, once it has given its golden values here.

    Where there are GPUs another process tries it, and ends. A GPU keeps memory for every process
    that has used it, and one in exclusive mode lets no worker in beside.

    Raises
    ------
    BundleError
        As `PhotozModel.load` has it, or if CUDA ended that process.
    """
    if provider == "cpu" or not usable_gpus(os.environ):
        return PhotozModel.load(path, provider, allow_fallback)
    command = [sys.executable, "-m", "photoz_run.run.tried"]
    order = pickle.dumps((path, provider, allow_fallback))
    try:
        done = subprocess.run(command, input=order, stdout=subprocess.PIPE, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise BundleError(f"{path}: CUDA did not answer for {SECONDS:.0f} s; {ADVICE}") from error
    if done.returncode:
        raise BundleError(
            f"{path}: the process that tried CUDA was ended ({done.returncode}); {ADVICE}"
        )
    answer = pickle.loads(done.stdout)
    if isinstance(answer, PhotozError):
        raise answer
    assert isinstance(answer, Bundle)
    return answer


ADVICE = "see what nvidia-smi says of the GPU, or use --provider cpu"


def main() -> None:
    """Try what standard input names."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which kills this
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # what a library prints is no answer
        answer: Bundle | PhotozError
        try:
            model = PhotozModel.load(*pickle.load(sys.stdin.buffer))
            answer = Bundle(model.contract, model.digest, model.provider)
        except PhotozError as error:
            answer = error
        out.write(pickle.dumps(answer))


if __name__ == "__main__":
    main()
