"""Sessions of ONNX Runtime on a provider: the CPU, or CUDA where that can start."""

import ctypes
import io
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

from photoz_models.errors import BundleError
from photoz_models.runtime import first_line, one_line

Provider = Literal["auto", "cpu", "cuda"]

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
# TF32 keeps 10 bits of mantissa. The exhaustive search may pick another algorithm, with other
# rounding, each time.
CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
FATAL_ONLY = 4


@dataclass(frozen=True)
class StartedSession:
    """A session, and the provider that it really has."""

    session: Any
    provider: Literal["cpu", "cuda"]
    device: str = ""
    """Name of the GPU."""
    problem: str = ""
    """Why it is not on CUDA, if that was tried."""


def open_session(content: bytes, where: str, provider: Provider, threads: int) -> StartedSession:
    """A session of the graph: on CUDA if ``provider`` lets it and it can start, else on the CPU.

    Raises
    ------
    BundleError
        If the CPU cannot take the graph either; ``where`` names its file.
    """
    import onnxruntime

    # A provider that cannot start is reported here in one line; ONNX Runtime would add a page.
    onnxruntime.set_default_logger_severity(FATAL_ONLY)
    problem = ""
    if provider != "cpu" and CUDA not in onnxruntime.get_available_providers():
        problem = "this ONNX Runtime was built for the CPU"
    elif provider != "cpu":
        load_cuda_libraries()
        try:
            session = _create(content, where, [(CUDA, CUDA_OPTIONS), CPU], threads)
        except BundleError as error:
            problem = first_line(error.__cause__ or error)
        else:
            # ONNX Runtime goes on with the CPU in silence when CUDA's libraries cannot be loaded.
            if session.get_providers()[0] == CUDA:
                return StartedSession(session, "cuda", device_name())
            return StartedSession(
                session, "cpu", problem="a library of CUDA or of the driver is missing"
            )
    return StartedSession(_create(content, where, [CPU], threads), "cpu", problem=problem)


def load_cuda_libraries() -> None:
    """Load CUDA and cuDNN from nvidia's packages, where there are any; ONNX Runtime looks nowhere.

    What it prints of absent ones would stand in the output of a command.
    """
    import onnxruntime

    if find_spec("nvidia"):
        with redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()


def device_name() -> str:
    """What the driver calls the first GPU that this process sees; empty if it cannot be asked."""
    name = ctypes.create_string_buffer(256)
    device = ctypes.c_int()
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        answers = (
            driver.cuInit(0),
            driver.cuDeviceGet(ctypes.byref(device), 0),
            driver.cuDeviceGetName(name, len(name), device),
        )
    except (OSError, AttributeError):
        return ""
    return "" if any(answers) else name.value.decode(errors="replace")


def _create(content: bytes, where: str, providers: list[Any], threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = FATAL_ONLY
    # Threads that wait would otherwise spin, on cores that cut the next batch or fetch files.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with one_line(f"{where}: not a usable ONNX model"):
        # Without the fallback: else a session whose GPU fails amid a run computes on with the CPU.
        return onnxruntime.InferenceSession(
            content, options, providers=providers, enable_fallback=0
        )
