"""What `photoz doctor` tries on a machine: GPUs, CUDA's libraries, scratch, network, a worker."""

import ctypes
import os
import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from distributed.utils import get_ip, get_ip_interface

from photoz_models.providers import load_cuda_libraries
from photoz_run.run.cluster import local_client
from photoz_run.run.machine import answer

CUDNN = "libcudnn.so.9"
PROBE = b"photoz doctor\n" * 80_000
WORKER_SECONDS = 120.0
"""In which a worker answers, on a busy machine too."""


@dataclass(frozen=True)
class Gpu:
    """A GPU as its driver shows it; ``driver`` is the major version."""

    name: str
    bytes: int | None
    """``None`` for one without memory of its own."""
    driver: int
    capability: float | None = None
    """Of its kind of card, as CUDA counts them: 7.0 Volta, 7.5 Turing, 8.0 Ampere, 9.0 Hopper."""
    exclusive: bool = False
    """Whether one process at a time may compute on it."""


def gpus() -> list[Gpu]:
    """The GPUs that nvidia-smi lists; none without it, or where it speaks of an error."""
    listing = answer(
        "nvidia-smi",
        "--query-gpu=driver_version,memory.total,compute_cap,compute_mode,name",
        "--format=csv,noheader,nounits",
    )
    rows = [line.split(", ", 4) for line in (listing or "").splitlines()]
    return [
        Gpu(
            name,
            None if (mebibytes := _number(memory)) is None else int(mebibytes) << 20,
            int(driver.split(".")[0]),
            _number(capability),
            mode.startswith("Exclusive"),
        )
        for driver, memory, capability, mode, name in (row for row in rows if len(row) == 5)
        if driver.split(".")[0].isdigit()
    ]


def _number(text: str) -> float | None:
    """What nvidia-smi does not know it calls ``[N/A]``."""
    try:
        return float(text)
    except ValueError:
        return None


def cuda_version() -> int | None:
    """Major version of CUDA that ONNX Runtime was built for; ``None`` for the CPU's."""
    from onnxruntime.capi import build_and_package_info

    built = getattr(build_and_package_info, "cuda_version", "")
    return int(built.split(".")[0]) if built else None


def missing_cuda_library() -> str | None:
    """What the linker says of a library that ONNX Runtime's CUDA provider lacks.

    ``None`` if it has all. It starts without cuDNN, and fails at the first convolution.
    """
    import onnxruntime

    load_cuda_libraries()
    folder = Path(onnxruntime.__file__).with_name("capi")
    try:
        ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(folder / "libonnxruntime_providers_cuda.so"))
        ctypes.CDLL(CUDNN)
    except OSError as error:
        return str(error).removeprefix(str(folder)).split(": cannot open")[0]
    return None


def write_and_read(folder: Path) -> int:
    """Write, sync, read and delete a file in ``folder``; the bytes free there.

    Raises
    ------
    OSError
        If any of it fails.
    """
    with tempfile.TemporaryFile(dir=folder, prefix=".photoz-doctor-") as file:
        file.write(PROBE)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        if file.read() != PROBE:
            raise OSError(f"{folder}: what was written did not come back")
    space = os.statvfs(folder)
    return space.f_bavail * space.f_frsize


def address() -> str:
    """The address that a scheduler here tells its workers, unless an interface is chosen."""
    own: str = get_ip()
    return own


def interfaces() -> dict[str, str]:
    """Address of each network interface that has one, loopback left out."""
    addresses = {}
    for _, name in socket.if_nameindex():
        try:
            addresses[name] = get_ip_interface(name)
        except ValueError:
            continue
    return {name: text for name, text in addresses.items() if not text.startswith("127.")}


def network_uses() -> list[str]:
    """What would fetch or send something while a run measures tiles."""
    from astropy.utils import iers

    import photoz_run.survey  # noqa: F401 - switches astropy's downloads off

    uses = []
    if iers.conf.auto_download:
        uses.append("astropy fetches tables")
    if os.environ.get("ORT_DISABLE_TELEMETRY", "0") in ("", "0"):
        uses.append("ONNX Runtime reports its use")
    return uses


def worker_answers() -> float:
    """Seconds until a worker process, reached over TLS on loopback, has answered.

    Raises
    ------
    OSError, RuntimeError, TimeoutError
        If scheduler or worker cannot be started, or do not find each other.
    """
    start = time.monotonic()
    with local_client(1) as client:
        if client.submit(os.getpid).result(timeout=WORKER_SECONDS) == os.getpid():
            raise RuntimeError("the worker is no process of its own")
    return time.monotonic() - start
