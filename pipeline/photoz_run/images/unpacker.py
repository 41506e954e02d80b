"""The child process that unpacks tile-compressed images, so that a damaged one can harm nobody.

``python -m photoz_run.images.unpacker DESCRIPTOR``: reads one request a line (JSON) from standard
input, puts the rows into the shared memory behind the descriptor, and answers one line. It ends
with its parent.
"""

import json
import mmap
import os
import resource
import sys
import time
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

ROOM = 1 << 30
"""Bytes of address space beside the strip and what the process has at its start."""

ALL_DONE, FAILED = 0, 1
"""How a copy ends by itself: nobody asks any more, or it has told of a failure."""


def main() -> None:
    """Answer requests until there are no more, each failure the last act of a copy of this process.

    What a damaged file did to the memory of a copy goes with it, and the next copy need import
    nothing.
    """
    warnings.simplefilter("ignore")
    shared = int(sys.argv[1])
    while True:
        copy = os.fork()
        if copy == 0:
            os._exit(_answer_requests(shared))
        ended = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
        if ended == ALL_DONE:
            return
        if ended != FAILED:
            _say({"ended": ended})


def _answer_requests(shared: int) -> int:
    started = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
    for line in sys.stdin:
        request = json.loads(line)
        _limit("RLIMIT_CPU", int(time.process_time() + request["seconds"]) + 1)
        try:
            mapped = _opened(request["path"], request["extension"])[1]
            _limit("RLIMIT_AS", started + mapped + 6 * request["room"] + ROOM)
            answer = _unpack(shared, request)
        except MemoryError:
            answer = {"error": "it asks for more memory than an image of its size needs"}
        except Exception as error:  # noqa: BLE001 - whatever a damaged file does to the library
            answer = {"error": f"{type(error).__name__} {error}"}
        _say(answer)
        if "error" in answer:
            return FAILED
    return ALL_DONE


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


def _unpack(shared: int, request: dict[str, Any]) -> dict[str, Any]:
    hdu = _opened(request["path"], request["extension"])[0]
    first, height = request["start"], request["stop"] - request["start"]
    filled = first
    for start, stop in request["spans"]:
        rows_YX = hdu.section[start:stop]
        native = rows_YX.dtype.newbyteorder("=")
        shape = height, rows_YX.shape[1]
        size = height * rows_YX[0].nbytes
        if size > request["room"]:
            return {"error": f"{size} bytes where {request['room']} were expected"}
        shared_YX = np.ndarray(shape, native, _memory(shared, request["mapped"]))
        shared_YX[filled - first : start - first] = 0
        shared_YX[start - first : stop - first] = rows_YX
        filled = stop
    shared_YX[filled - first :] = 0
    return {"dtype": native.str, "shape": shape}


@lru_cache(maxsize=1)
def _memory(shared: int, size: int) -> mmap.mmap:
    """The shared memory, kept from strip to strip: mapping it anew takes longer than filling it."""
    return mmap.mmap(shared, size)


@lru_cache(maxsize=1)
def _opened(path: str, extension: int) -> tuple[Any, int]:
    """The image HDU of a file with its stored numbers, and the bytes that it maps."""
    hdus = fits.open(path, memmap=True, lazy_load_hdus=True, do_not_scale_image_data=True)
    return hdus[extension], Path(path).stat().st_size


def _limit(name: str, value: int) -> None:
    kind = getattr(resource, name)
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, hard))


if __name__ == "__main__":
    main()
