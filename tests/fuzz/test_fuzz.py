"""300 seeded corruptions through the real path of a tile; `make test-fuzz` makes 10,000."""

from fuzz.campaign import campaign, is_bad
from fuzz.worker import prepare
from support.programs import needs


def test_a_damaged_tile_is_refused_or_flagged_and_harms_nobody(tmp_path):
    needs("fpack")
    prepare(tmp_path)
    results = list(campaign(tmp_path, 0, 300, 300.0))
    assert len(results) == 300
    assert [result for result in results if is_bad(result)] == []
    assert sum(result["end"] == "refused" for result in results) > 60
