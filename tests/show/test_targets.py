"""What the words of `photoz show` mean."""

import numpy as np
import pytest

from photoz_run.cli.words import Grammar, spread
from photoz_run.errors import ConfigError
from photoz_run.show.targets import parse_targets


def test_a_position_in_two_words_or_in_one():
    for words in (["180.5", "-0.25"], ["180.5", " -0.25"], ["180.5,-0.25"], ["-179.5", "-0.25"]):
        (target,) = parse_targets(words)
        assert (target.ra, target.dec, target.id) == (180.5, -0.25, "")


def test_a_position_in_hours_and_degrees():
    for words in (["12:02:00", "-00:15:00"], ["12:02:00.0 -0:15:0"], ["12:02:00,-00:15:00.00"]):
        (target,) = parse_targets(words)
        assert (target.ra, target.dec) == pytest.approx((180.5, -0.25))
    south = spread(["12:02:00", "-31:15:00"], Grammar(frozenset(), frozenset(), 1))
    assert parse_targets(south)[0].dec == -31.25


def test_an_id_in_one_word_or_in_two():
    for words in (["KiDSDR5 J115945.333-003401.24"], ["KiDSDR5", "J115945.333-003401.24"]):
        (target,) = parse_targets(words)
        assert target.id == "KiDSDR5 J115945.333-003401.24"
        assert np.isnan(target.ra)


def test_a_table_by_id_and_by_position(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("name,RA,DEC\na,1,2\nb,3,-4\n")
    assert [(t.id, t.ra, t.dec) for t in parse_targets([str(table)])] == [("", 1, 2), ("", 3, -4)]
    table.write_text("ID,RA,DEC\na,1,2\n,3,-4\n")
    assert [(t.id, t.ra) for t in parse_targets([str(table)])] == [("a", 1), ("", 3)]


def test_a_list_of_ids_with_blanks(tmp_path):
    listed = tmp_path / "ids.txt"
    listed.write_text('ID\nKiDSDR5 J115945.333-003401.24\n\n"KiDSDR5 J2"\n')
    names = ["KiDSDR5 J115945.333-003401.24", "KiDSDR5 J2"]
    assert [target.id for target in parse_targets([str(listed)])] == names


def test_a_row_without_a_position_on_the_sky_is_refused_later_not_now(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("RA,DEC\n1,2\n,\n400,0\n10,95\n")
    first, *others = parse_targets([str(table)])
    assert (first.ra, first.problem) == (1, "")
    assert [target.words for target in others] == ["row 2", "row 3", "row 4"]
    assert {target.problem for target in others} == {"no position on the sky (RA, DEC)"}
    assert all(np.isnan(target.ra) for target in others)


@pytest.mark.parametrize("words", [["1"], ["1", "2", "3"], ["400", "0"], ["nan", "0"], ["1", "91"]])
def test_what_is_no_position(words):
    with pytest.raises(ConfigError):
        parse_targets(words)


def test_a_southern_declination_is_an_argument_for_click():
    grammar = Grammar(frozenset({"--data"}), frozenset({"--data", "--radius"}), 1)
    words = ["180", "-31.2", "--radius", "-1", "--data", "d"]
    assert spread(words, grammar) == ["180", " -31.2", "--radius", "-1", "--data", "d"]


@pytest.mark.parametrize("ra", ["12:61:00", "12:00:61", "12:00:60.5"])
def test_more_than_59_minutes_or_60_seconds_are_no_position(ra):
    for words in ([ra, "-00:15:00"], ["12:00:00", ra]):
        with pytest.raises(ConfigError, match="declination in degrees, or HH:MM:SS"):
            parse_targets(words)
    assert parse_targets(["11:59:60.0", "-00:15:00"])[0].ra == 180


def test_a_list_of_ids_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "ids.txt").write_text("ID\nKiDSDR5 J1\n", encoding="utf-8-sig")
    assert [target.id for target in parse_targets([str(tmp_path / "ids.txt")])] == ["KiDSDR5 J1"]
