"""Hosts and tiles are told apart: bad hosts and bad tiles are blamed for themselves alone.

The real dispatcher hands out tiles to workers whose answers are made up, in random order.
"""

import random
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photoz_run.config import RunConfig
from photoz_run.errors import ContractError, OutputError
from photoz_run.records import Status, TileOutcome, TileRef
from photoz_run.run import dispatch, handing
from photoz_run.run.dispatch import Dispatcher
from photoz_run.run.hosts import STREAK, Hosts
from photoz_run.run.task import TileTask
from photoz_run.run.worker import Refusal


@pytest.fixture(autouse=True, scope="module")
def no_pause():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "LOOK_SECONDS", 0.0)
        patch.setattr(dispatch, "BACKOFF_SECONDS", 0.0)
        patch.setattr(handing, "MOST", 1)  # these tests count tiles one by one
        yield


@dataclass
class Answers:
    """Workers on several hosts.

    ``bad`` tiles fail everywhere; ``black`` hosts always quarantine, refuse or stumble.
    """

    hosts: list[str]
    black: dict[str, str]
    bad: set[str]
    dice: random.Random
    slots: int = 1
    status: str = "running"
    pending: list[tuple[Future, tuple[TileTask, ...], str]] = field(default_factory=list)
    measured: Counter[str] = field(default_factory=Counter)
    most: int = 0

    def nthreads(self) -> dict[str, int]:
        """The workers that live; one tile ends meanwhile.

        A tile ends on a black host only when every other host has done well.
        """
        ready = [ending for ending in self.pending if self._may_end(ending[2])] or self.pending
        if ready:
            ending = self.dice.choice(ready)
            self.pending.remove(ending)
            ending[0].set_result(self._answers(ending[1], ending[2]))
        return dict.fromkeys(self.hosts, self.slots)

    def run(self, introduce, _task, workers, on_error):
        return {address: (address, introduce()[1]) for address in workers}

    def submit(self, _, tasks, key, pure, workers):
        future = Future()
        self.pending.append((future, tasks, workers[0]))
        self.most = max(self.most, len(self.pending))
        assert Counter(host for *_, host in self.pending)[workers[0]] <= self.slots
        return future

    def _may_end(self, host: str) -> bool:
        return host not in self.black or all(
            self.measured[host] for host in self.hosts if host not in self.black
        )

    def _answers(self, tasks: tuple[TileTask, ...], host: str) -> list[TileOutcome | Refusal]:
        """Of a handful, up to the first after which a worker rests."""
        answers: list[TileOutcome | Refusal] = []
        for task in tasks:
            answers.append(self._answer(task, host))
            if isinstance(answers[-1], Refusal) or answers[-1].status is Status.FAILED:
                break
        return answers

    def _answer(self, task: TileTask, host: str) -> TileOutcome | Refusal:
        how = self.black.get(host, "quarantine" if task.ref.tile in self.bad else "")
        if how == "refuse":
            return Refusal(task.ref.tile, f"{host}:1", ContractError(f"{host} has no GPU"))
        self.measured[host] += not how
        last = how == "quarantine" or task.last
        status = Status.DONE if not how else Status.QUARANTINED if last else Status.FAILED
        return TileOutcome(
            task.ref.tile, status, "", "", host=f"{host}:1", error=how, earlier=task.earlier
        )


@dataclass
class Run:
    """What a dispatcher made of it."""

    last: dict[str, TileOutcome]
    readmitted: list[str]
    avoided: set[str]
    """Hosts that were avoided at the end."""
    most_avoided: int
    """Sound hosts that were avoided at once."""
    tries: Counter[str]


def names(number: int) -> list[str]:
    return [f"KIDS_{k}.0_0.5" for k in range(number)]


def measure(answers: Answers, tiles: list[str]) -> Run:
    config = RunConfig(tiles=("all",), data=(Path("data"),), out=Path("out"))
    tasks = [
        TileTask(TileRef(tile, "DR5", None, {}), config, Path("model"), None, 1) for tile in tiles
    ]
    readmitted: list[str] = []
    dispatcher = Dispatcher(tasks, lambda _: None, readmitted.append)
    run = Run({}, readmitted, set(), 0, Counter())
    genuine = answers.submit

    def submit(*arguments, **options):
        avoided = set(dispatcher._avoided)
        assert avoided < set(answers.hosts), "somebody must be left"
        assert options["workers"][0] not in avoided
        run.most_avoided = max(run.most_avoided, len(avoided - answers.black.keys()))
        run.tries[options["workers"][0]] += 1
        return genuine(*arguments, **options)

    answers.submit = submit
    for outcome in dispatcher.outcomes(answers, lambda: None):
        run.last[outcome.tile] = outcome
    run.avoided = set(dispatcher._avoided)
    return run


TROUBLES = st.sampled_from(["quarantine", "refuse", "stumble"])


@st.composite
def surveys(draw, black=TROUBLES):
    """Some hosts, most of them sound; tiles, some of them bad, often many in a row."""
    hosts = [f"host{k}" for k in range(draw(st.integers(1, 6)))]
    failing = draw(st.lists(st.sampled_from(hosts), unique=True, max_size=(len(hosts) - 1) // 2))
    tiles = names(draw(st.integers(8, 60)))
    first, length = draw(st.integers(0, len(tiles))), draw(st.integers(0, 30))
    bad = {*tiles[first : first + length], *draw(st.lists(st.sampled_from(tiles), max_size=5))}
    how = {host: draw(black) for host in failing}
    answers = Answers(
        hosts, how, bad, random.Random(draw(st.integers(0, 99))), draw(st.integers(1, 2))
    )
    return answers, tiles


@given(surveys())
def test_tiles_are_blamed_for_what_they_are_and_not_for_where_they_were(survey):
    answers, tiles = survey
    sound = [host for host in answers.hosts if host not in answers.black]
    # With more stumbling hosts than tries a tile can be out of luck.
    if sum(how == "stumble" for how in answers.black.values()) > 2:
        answers.black = {host: "quarantine" for host in answers.black}
    run = measure(answers, tiles)
    ended = {tile: run.last[tile].status for tile in tiles}
    if all(answers.measured[host] for host in sound):
        assert ended == {
            tile: Status.QUARANTINED if tile in answers.bad else Status.DONE for tile in tiles
        }
    assert answers.most <= answers.slots * len(answers.hosts)


@given(surveys())
def test_a_row_of_bad_tiles_costs_one_host_at_a_time_and_none_for_good(survey):
    answers, tiles = survey
    run = measure(answers, tiles)
    assert run.most_avoided <= 1
    assert run.avoided <= answers.black.keys()


@given(surveys(black=st.just("quarantine")))
def test_without_bad_tiles_a_host_that_fails_everything_is_avoided_after_a_few(survey):
    answers, tiles = survey
    answers.bad = set()
    run = measure(answers, tiles)
    for host in answers.black:
        assert run.tries[host] <= len(answers.black) * (STREAK + answers.slots)
        assert host in run.avoided or run.tries[host] < STREAK + answers.slots


@given(surveys())
def test_what_is_measured_again_is_no_longer_quarantined(survey):
    answers, tiles = survey
    run = measure(answers, tiles)
    again = Counter(run.readmitted)
    assert all(number == 1 for number in again.values())
    for tile in tiles:
        if run.last[tile].status is Status.DONE and any(
            failure.error == "quarantine" for failure in run.last[tile].earlier
        ):
            assert tile in again


def test_a_lone_host_is_never_avoided_and_measures_nothing_twice():
    answers = Answers(["alone"], {}, set(names(40)), random.Random(1))
    run = measure(answers, names(40))
    assert run.tries == {"alone": 40}
    assert {outcome.status for outcome in run.last.values()} == {Status.QUARANTINED}


def test_a_few_tiles_that_only_a_failing_host_saw_get_a_second_opinion_at_the_end():
    answers = Answers(["black", "sound"], {"black": "quarantine"}, set(), random.Random(1))
    run = measure(answers, names(2))
    assert {outcome.status for outcome in run.last.values()} == {Status.DONE}
    assert len(run.readmitted) == 1


def test_pauses_double_for_a_tile_and_for_the_worker_on_which_it_stumbles(monkeypatch):
    clock, handed = iter(range(1_000_000)), []
    monkeypatch.setattr(dispatch, "BACKOFF_SECONDS", 200.0)
    monkeypatch.setattr(dispatch, "LONGEST_PAUSE", 1000.0)
    for module in (dispatch, handing):
        monkeypatch.setattr(module, "monotonic", lambda: float(next(clock)))
    answers = Answers(["alone"], {"alone": "stumble"}, set(), random.Random(1))
    submit = answers.submit

    def timed(*arguments, **options):
        handed.append(next(clock))
        return submit(*arguments, **options)

    answers.submit = timed
    run = measure(answers, names(1))
    assert [len(outcome.earlier) for outcome in run.last.values()] == [2]
    pauses = [later - before for before, later in pairwise(handed)]
    assert 200 <= pauses[0] < 230
    assert 400 <= pauses[1] < 430
    assert len(pauses) == 2


def test_if_all_refuse_it_ends_with_what_they_said():
    answers = Answers(
        ["one", "other"], dict.fromkeys(["one", "other"], "refuse"), set(), random.Random(1)
    )
    with pytest.raises(ContractError, match="has no GPU"):
        measure(answers, names(5))


def test_those_that_refuse_do_not_speak_for_a_host_that_did_well_and_is_gone_for_the_moment():
    hosts = Hosts()
    hosts.refused("bad", ContractError("no GPU"))
    assert isinstance(hosts.refusal({"bad"}), ContractError)
    assert hosts.refusal({"bad", "new"}) is None
    hosts.succeeded("good", "KIDS_1.0_0.5")
    assert hosts.refusal({"bad"}) is None
    hosts.refused("good", ContractError("the model has changed"))
    assert isinstance(hosts.refusal({"bad"}), ContractError)
    hosts.refused("worse", OutputError("no space"))
    assert isinstance(hosts.refusal({"worse"}), OutputError)


def test_a_host_convicted_by_a_retry_that_went_well_before_its_trial():
    hosts = Hosts()
    for number in range(STREAK):
        hosts.failed("flaky", f"KIDS_{number}.0_0.5")
        hosts.succeeded("sound", f"KIDS_{number}.0_0.5")
    assert hosts.judge({"flaky", "sound"}) == [f"KIDS_{number}.0_0.5" for number in range(STREAK)]
    assert set(hosts.avoided({"flaky", "sound"})) == {"flaky"}
    assert hosts.avoided({"flaky"}) == {}
    hosts.succeeded("flaky", "KIDS_9.0_0.5")
    assert hosts.avoided({"flaky", "sound"}) == {}


def test_what_may_pass_on_one_host_does_not_excuse_another_that_fails_everything():
    hosts = Hosts()
    tiles = names(STREAK)
    hosts.succeeded("sound", "KIDS_9.0_0.5")
    for tile in tiles:
        hosts.stumbled("shaky", tile)
        hosts.failed("black", tile)
    assert hosts.suspects("black") == tiles
    assert hosts.suspects("shaky") == []
    assert hosts.judge({"black", "shaky", "sound"}) == tiles
    hosts.stumbled("shaky", tiles[0])
    assert set(hosts.avoided({"black", "sound"})) == {"black"}
    hosts.succeeded("sound", tiles[0])
    assert set(hosts.avoided({"black", "sound"})) == {"black"}


def test_storage_that_fails_for_a_moment_everywhere_accuses_nobody():
    hosts = Hosts()
    for host in ("one", "other", "third"):
        hosts.succeeded(host, "KIDS_9.0_0.5")
    for tile in names(STREAK):
        hosts.stumbled("one", tile)
        hosts.stumbled("other", tile)
    assert hosts.judge({"one", "other", "third"}) == []
    assert hosts.avoided({"one", "other", "third"}) == {}


@pytest.mark.parametrize(("error", "avoided"), [("BadDataError", True), ("NotFetchedError", False)])
def test_no_host_is_on_trial_for_tiles_that_the_archive_has_not(error, avoided):
    hosts = Hosts()
    hosts.succeeded("sound", "KIDS_0.0_0.0")
    for name in names(STREAK):
        hosts.went_wrong("unlucky", TileOutcome(name, Status.QUARANTINED, "", "", error=error))
    again = hosts.judge({"sound", "unlucky"})
    assert (hosts.avoided({"sound", "unlucky"}) != {}) is avoided
    assert bool(again) is avoided
