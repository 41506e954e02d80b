"""Memory that is freed is kept for the next batch: fresh pages cost more than the sums on them."""

import ctypes
from functools import cache

KEPT = 64 << 20
"""Bytes that stay with the process when they are freed; a batch of stamps takes ten million."""

LARGEST = 32 << 20
"""Larger pieces go back to the kernel at once."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of the two settings for ``mallopt`` of glibc."""


@cache
def keep_freed_memory() -> None:
    """Have glibc keep `KEPT` freed bytes for this process; other C libraries do as they do."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_TRIM_THRESHOLD, KEPT)
        libc.mallopt(_MMAP_THRESHOLD, LARGEST)
