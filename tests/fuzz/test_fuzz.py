"""300 seeded corruptions through the real path of a tile; `make test-fuzz` makes 10,000."""

import math
from collections import Counter
from pathlib import Path

import pytest

from fuzz.campaign import INVISIBLE, campaign, is_bad
from fuzz.worker import prepare
from support.programs import needs


@pytest.mark.timeout(3600)
def test_a_damaged_tile_is_refused_or_flagged_and_harms_nobody(tmp_path):
    needs("fpack")
    prepare(tmp_path)
    results = list(campaign(tmp_path, 0, 300, math.inf))
    assert len(results) == 300
    assert [result for result in results if is_bad(result)] == []
    ends = Counter(result["end"] for result in results)
    assert ends["refused"] > 60
    assert ends["moved"] < 6, "few corruptions are of the kinds that nothing can see"


def test_the_docs_list_what_nothing_can_see():
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    table = text.partition("## What nothing can see")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert rows == [known.as_row() for known in INVISIBLE]
