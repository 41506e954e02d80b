"""The log of a tile tells how it went, and never decides how it ends."""

from pathlib import Path

import pytest

from photoz_run.errors import OutputError
from photoz_run.run.tile_log import open_log

FULL = Path("/dev/full")
"""Opens, and has no room for a byte."""


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_log_without_room_does_not_hide_what_ended_the_tile():
    def measure():
        with open_log(FULL, "T") as log:
            log.say("read")
            raise OutputError("no room for the catalogue")

    with pytest.raises(OutputError, match="no room for the catalogue"):
        measure()


def test_a_log_has_each_line_with_time_tile_and_process(tmp_path):
    path = tmp_path / "KIDS_0" / "KIDS_0.0_-31.2.log"
    for words in ("try 1", "try 2"):
        with open_log(path, "KIDS_0.0_-31.2") as log:
            log.say(words)
    lines = path.read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == ["KIDS_0.0_-31.2"] * 2
    assert [line.split("  ")[3] for line in lines] == ["try 1", "try 2"]
