"""Memory that is freed is kept for the next batch."""

import subprocess
import sys

FAULTS = """
import resource
import numpy as np
from photoz_run.allocator import keep_freed_memory

keep_freed_memory()
for repeat in range(20):
    if repeat == 10:
        start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    batch = [np.ones(1 << 20, np.uint8) for _ in range(10)]
    del batch
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start)
"""


def test_later_batches_take_no_fresh_pages():
    done = subprocess.run([sys.executable, "-c", FAULTS], check=True, capture_output=True)
    assert int(done.stdout) < 256  # 25,600 pages are written
