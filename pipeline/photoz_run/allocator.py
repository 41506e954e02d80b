"""What becomes of memory that is freed.

Who measures keeps it for the next batch: fresh pages cost more than the sums on them. Who waits for
days gives it back.
"""

import ctypes
from functools import cache

KEPT = 64 << 20
"""Bytes that stay with the process when they are freed; a batch of stamps takes ten million."""

LARGEST = 32 << 20
"""Larger pieces go back to the kernel at once."""

SMALL = 128 << 10
"""Bytes of a piece that lies by itself, where freed memory is given back."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENAS = -1, -3, -8
"""Names of the settings for ``mallopt`` of glibc."""


@cache
def keep_freed_memory() -> None:
    """Have glibc keep `KEPT` freed bytes for this process; other C libraries do as they do."""
    _set({_TRIM_THRESHOLD: KEPT, _MMAP_THRESHOLD: LARGEST})


def give_back_freed_memory() -> None:
    """Have glibc give freed memory back, and all threads share two arenas of it."""
    _set({_TRIM_THRESHOLD: SMALL, _MMAP_THRESHOLD: SMALL, _ARENAS: 2})


def _set(settings: dict[int, int]) -> None:
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for name, value in settings.items():
            libc.mallopt(name, value)
