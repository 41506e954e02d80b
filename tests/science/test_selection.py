"""Selections: what an expression means, and that nothing but an expression is ever evaluated."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photoz_run.errors import ConfigError
from photoz_run.science.selection import in_expression, names_in, select

COLUMNS = {
    "MAG": np.array([17.0, 19.0, 21.0, np.nan]),
    "FLAG": np.array([0, 1, 2, 4]),
    "bright": np.array([True, True, False, False]),
    "masked": np.array([False, True, False, True]),
    "NAME": np.array(["a", "b", "a", "c"]),
    "MISSING": np.ma.MaskedArray([0, 4, 0, 2], [False, False, True, False]),
    "WHOLE": np.array([1.0, 4096, 2, np.nan]),
    "BYTE": np.array([1, 2, 4, 255], np.uint8),
    "TEXT": np.array(["STAR", "GALAXY", "", "QSO"], object),
    "NULL": np.ma.MaskedArray([False, False, True, True], [True, False, False, True]),
    "class": np.array(["STAR", "GALAXY", "STAR", "class"]),
    "R.A.": np.array([179.0, 180, 181, 182]),
    "UNSIGNED": np.array([0, 1, 2, 16], np.uint64),
    "LONG": np.array([0, 1, 2**63, 2**64 - 1], np.uint64),
    "LARGE": np.array([-3, 1, 2**62, 2**63 - 1]),
    "TIME": np.array([datetime.time(12), datetime.time(1), None, None], object),
    "DATE": np.ma.MaskedArray(
        np.array(["2012-01-01", "2013-05-06T07:08", "2014-01-01", "NaT"], "M8[us]"),
        [False, False, False, True],
    ),
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("bright", [1, 1, 0, 0]),
        ("bright and not masked", [1, 0, 0, 0]),
        ("bright & ~masked", [1, 0, 0, 0]),
        ("bright or masked", [1, 1, 0, 1]),
        ("bright | masked", [1, 1, 0, 1]),
        ("MAG < 20", [1, 1, 0, 0]),
        ("not MAG < 20", [0, 0, 1, 0]),
        ("not isfinite(MAG)", [0, 0, 0, 1]),
        ("MAG < 20 or masked", [1, 1, 0, 1]),
        ("10 ** (-0.4 * MAG) > 1e-8", [1, 1, 0, 0]),
        ("(MISSING & 4) == 0", [1, 0, 0, 1]),
        ("not (MISSING & 4) == 0", [0, 1, 0, 0]),
        ("(WHOLE & 28672) == 0", [1, 0, 1, 0]),
        ("(BYTE & 28672) == 0", [1, 1, 1, 1]),
        ("TEXT != 'STAR'", [0, 1, 0, 1]),
        ("bright or NULL", [1, 1, 1, 0]),
        ("not NULL", [0, 1, 0, 0]),
        ("17 < MAG <= 21", [0, 1, 1, 0]),
        ("MAG == MAG", [1, 1, 1, 0]),
        ("MAG != 17", [0, 1, 1, 0]),
        ("isfinite(MAG)", [1, 1, 1, 0]),
        ("abs(MAG - 19) < 1", [0, 1, 0, 0]),
        ("log10(FLAG) > 0.5", [0, 0, 0, 1]),
        ("(FLAG & 3) == 0", [1, 0, 0, 1]),
        ("(FLAG & 3) != 0 and MAG < 20", [0, 1, 0, 0]),
        ("NAME == 'a'", [1, 0, 1, 0]),
        ("2 ** FLAG > 3", [0, 0, 1, 1]),
        ("-MAG + 1 < -17", [0, 1, 1, 0]),
        ("FLAG / 2 >= 1", [0, 0, 1, 1]),
        ("True", [1, 1, 1, 1]),
        ("  bright  ", [1, 1, 0, 0]),
        ("class != 'STAR'", [0, 1, 0, 1]),
        ("`class` == 'class' or `R.A.` < 180", [1, 0, 0, 1]),
        ("NAME == '`a`'", [0, 0, 0, 0]),
        ("UNSIGNED - 1 > 0", [0, 0, 1, 1]),
        ("-UNSIGNED < 0", [0, 1, 1, 1]),
        ("(UNSIGNED & ~16) == 0", [1, 0, 0, 1]),
        ("LONG - 1 > 0", [0, 0, 1, 1]),
        ("-LONG < 0", [0, 1, 1, 1]),
        ("(LONG & ~1) == 0", [1, 1, 0, 0]),
        ("(LONG & FLAG) == 0", [1, 0, 1, 0]),
        ("LONG == 18446744073709551615", [0, 0, 0, 1]),
        ("LARGE * 4 > 0", [0, 1, 1, 1]),
        ("LARGE + 1 > 0", [0, 1, 1, 1]),
        ("LARGE - 1 == 9223372036854775806", [0, 0, 0, 1]),
        ("bright + masked > 1", [0, 1, 0, 0]),
        ("DATE >= '2013-01-01'", [0, 1, 1, 0]),
        ("DATE != '2012-01-01'", [0, 1, 1, 0]),
        ("isfinite(DATE)", [1, 1, 1, 0]),
    ],
)
def test_an_expression_means_what_it_says(expression, expected):
    np.testing.assert_array_equal(select(expression, COLUMNS, 4), np.array(expected, bool))


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("bright and", "is not valid"),
        ("", "is not valid"),
        ("MAGNITUDE < 20", "no column 'MAGNITUDE'"),
        ("MAG", "true or false for each source"),
        ("MAG + 1", "true or false for each source"),
        ("17", "true or false"),
        ("__import__('os').system('true')", "not understood"),
        ("MAG.__class__", "not understood"),
        ("[m for m in MAG]", "not understood"),
        ("open('x')", "not understood"),
        ("abs(MAG, 1) < 1", "not understood"),
        ("(lambda: 1)()", "not understood"),
        ("MAG is None", "not understood"),
        ("MAG in FLAG", "not understood"),
        ("MAG % 2 == 0", "not understood"),
        ("MAG < None", "not understood"),
        ("~MAG", "cannot be evaluated"),
        ("NAME < 3", "cannot be evaluated"),
        ("NAME == 3", "compared with a number"),
        ("(MAG + 0.5) & 3 == 0", "cannot be evaluated"),
        ("NAME + NAME == 'aa'", "arithmetic with text"),
        ("DATE > 'spring'", "cannot be evaluated"),
        ("DATE > 2013", "a date is compared with something else: integer"),
        ("DATE - 1 > DATE", "arithmetic with date"),
        ("not DATE", "neither true nor false"),
        ("TIME != '12:00'", "neither numbers nor texts nor dates"),
        ("9 ** 9 ** 9 ** 9 > FLAG", "cannot be evaluated"),
        ("FLAG < 99999999999999999999999", "not understood"),
        ("FLAG < 1" + " + 1" * 3000, "characters"),
        ("(" * 80 + "FLAG" + " + 1)" * 80 + " > 1", "levels deep"),
        ("(" * 1500 + "FLAG" + ")" * 1500 + " > 1", "expression"),
        ("bright; masked", "is not valid"),
        ("masked = bright", "is not valid"),
    ],
)
def test_anything_else_is_refused_in_one_line(expression, complaint):
    with pytest.raises(ConfigError, match=complaint) as refused:
        select(expression, COLUMNS, 4)
    assert "expression" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_names_that_python_has_not_stand_in_backquotes():
    for name in ("class", "R.A.", "2MASS", "MAG"):
        assert names_in(f"{in_expression(name)} == 'class' or `b c` < 1") == sorted([name, "b c"])
    assert in_expression("MAG") == "MAG"


def test_names_are_those_of_columns_without_functions():
    assert names_in("bright and abs(MAG) < 3 or isfinite(FLAG)") == ["FLAG", "MAG", "bright"]


@given(
    limit=st.floats(10, 30),
    values=st.lists(st.floats(10, 30) | st.just(np.nan), min_size=0, max_size=20),
)
def test_a_limit_and_its_opposite_split_the_valid_rows(limit, values):
    columns = {"M": np.array(values, float)}
    below = select(f"M < {limit!r}", columns, len(values))
    above = select(f"M >= {limit!r}", columns, len(values))
    np.testing.assert_array_equal(below ^ above, np.isfinite(columns["M"]))
    assert not (below & above).any()
