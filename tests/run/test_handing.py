"""How many tiles a worker gets at once, and who is blamed if it is lost with several."""

from photoz_run.run.handing import MOST, Pace
from support.hosts import config_of, run_on, statuses
from support.many_tiles import stub_tiles
from support.runs import outcome


def test_only_quick_tiles_are_handed_out_together_and_fewer_towards_the_end():
    assert Pace().handful(1000, 2) == 1
    slow, quick = Pace(), Pace()
    slow.took(3.0, 1)
    quick.took(0.01, 1)
    assert slow.handful(1000, 2) == 1
    assert [quick.handful(waiting, 2) for waiting in (1000, 80, 7, 0)] == [MOST, 10, 1, 1]
    for _ in range(20):
        quick.took(3.0, 1)
    assert quick.handful(1000, 2) == 1
    assert quick.longest == 3.0


def test_a_deadly_tile_among_many_quick_ones_is_quarantined_alone_and_no_other_is_blamed(
    bundle, tmp_path, monkeypatch
):
    names = stub_tiles(tmp_path / "data", 60)
    deadly = names[30]
    how = {f"*{deadly.removeprefix('KIDS')}_*cat.fits": "abort"}
    config = config_of(tmp_path / "data", bundle, tmp_path / "out")
    summary, _ = run_on(monkeypatch, {"alpha": how}, config)
    expected = dict.fromkeys(names, "NO_WORK") | {deadly: "QUARANTINED"}
    assert statuses(summary) == expected
    assert "a library crashed" in outcome(tmp_path / "out", deadly)["reason"]
    blamed = [name for name in names if outcome(tmp_path / "out", name)["earlier"]]
    assert blamed == [deadly]
