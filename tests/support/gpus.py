"""A GPU that fails, where there is none: errors of ONNX Runtime in the words of a real one."""

from typing import Any

NO_MEMORY = (
    "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 std::conditional_t<THRW>"
    " CUDA failure 2: out of memory ; GPU=0 ; hostname=n1 ; file=cuda_allocator.cc ; line=66 ; "
)
NO_CUDNN = (
    "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_kernel.h:272 [ONNXRuntimeError] : 9 :"
    " NOT_IMPLEMENTED : cuDNN is unavailable or disabled for CUDA Execution Provider: dlopen failed"
)


class FailingGpu:
    """A session that fails at the first call, or at every one; else it is the real one."""

    def __init__(self, real: Any, error: Exception, always: bool = True) -> None:
        self._real, self._error, self._always = real, error, always
        self._calls = 0

    def run(self, *arguments: Any) -> Any:
        """Compute as the real one does, or fail."""
        self._calls += 1
        if self._always or self._calls == 1:
            raise self._error
        return self._real.run(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
