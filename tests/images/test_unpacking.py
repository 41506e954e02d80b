"""The limits of the processes that unpack: time, memory, and the death of the library."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from photoz_run.errors import BadDataError
from photoz_run.images.unpacking import Strip, Unpacker


@pytest.fixture
def strip(tmp_path) -> Strip:
    """The first rows of a packed image."""
    pixels = np.arange(64 * 64, dtype=np.int16).reshape(64, 64)
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(pixels)]).writeto(tmp_path / "a.fits")
    return Strip(tmp_path / "a.fits", 1, 0, 64, [(0, 64)], 64 * 64 * 8)


@pytest.fixture
def unpacker():
    made = Unpacker()
    yield made
    made.close()


def test_a_strip_comes_back(strip, unpacker):
    np.testing.assert_array_equal(unpacker.rows(strip).ravel(), np.arange(64 * 64))


def stopped(strip: Strip, unpacker: Unpacker, program: str, monkeypatch) -> str:
    """The complaint about a child that runs ``program`` where the library would unpack."""
    started = subprocess.Popen

    def start(command, **options):
        at = command.index("-m")
        code = (
            "import numpy as np\nfrom photoz_run.images import unpacker\n"
            "right = unpacker._unpack\n"
            "def unpack(shared, request):\n"
            "    if request['seconds'] > 1:\n"
            "        return right(shared, request)\n"
            f"    {program}\n"
            "unpacker._unpack = unpack\nunpacker.main()"
        )
        return started([*command[:at], "-c", code, *command[at + 2 :]], **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(BadDataError) as refused:
        unpacker.rows(strip, seconds=1)
    monkeypatch.undo()
    child = unpacker._child
    np.testing.assert_array_equal(unpacker.rows(strip).ravel(), np.arange(64 * 64))
    assert unpacker._child is child, "nothing is imported again"
    return str(refused.value)


def test_an_endless_computation_ends(strip, unpacker, monkeypatch):
    said = stopped(strip, unpacker, "while True: pass", monkeypatch)
    assert "unpacking did not end within 1 s of computing" in said


def test_memory_without_end_ends(strip, unpacker, monkeypatch):
    said = stopped(
        strip, unpacker, "hold = [np.empty(1 << 28, np.uint8) for _ in range(99)]", monkeypatch
    )
    assert "more memory than an image of its size needs" in said


def test_a_crash_of_the_library_is_told(strip, unpacker, monkeypatch):
    said = stopped(strip, unpacker, "import os; os.kill(os.getpid(), 11)", monkeypatch)
    assert "ended by SIGSEGV" in said


def test_the_child_goes_with_its_parent(strip):
    code = (
        "import sys, os, signal\nfrom pathlib import Path\n"
        "from photoz_run.images.unpacking import Strip, Unpacker\n"
        f"strip = Strip(Path({str(strip.path)!r}), 1, 0, 64, [(0, 64)], {strip.room})\n"
        "u = Unpacker(); u.rows(strip)\n"
        "print(u._child.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    child = Path(f"/proc/{int(done.stdout)}/stat")
    for _ in range(3000):
        if not child.exists() or child.read_text().split()[2] == "Z":
            return
        os.sched_yield()
        subprocess.run(["sleep", "0.1"], check=True)
    pytest.fail("the child lives on")
