"""The lines that a batch log gets are true when the run begins, and when nothing is left of it."""

import pytest

from photoz_run.records import Status, TileOutcome
from photoz_run.run.progress import Progress


@pytest.mark.parametrize(("total", "waits"), [(2, True), (1, False)])
def test_only_a_run_with_tiles_left_waits_for_workers(capsys, total, waits):
    settled = {"KIDS_1.0_-2.5": TileOutcome("KIDS_1.0_-2.5", Status.DONE, "", "")}
    with Progress().of(total, settled):
        pass
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"1/{total} tiles" in last
    assert ("waiting for workers" in last) == waits
