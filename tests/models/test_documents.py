"""A document is read only if it fits its record; what does not fit is named by file and field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photoz_models.documents import Record, document_text, parse_document, read_document
from photoz_models.errors import DocumentError


@dataclass(frozen=True)
class Part(Record):
    host: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Whole(Record):
    SCHEMA: ClassVar[int] = 2

    name: str
    rows: int
    files: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    nothing: float | None = None
    schema: int = SCHEMA


parts = st.builds(Part, st.text(), st.floats(allow_nan=False, allow_infinity=False))
wholes = st.builds(
    Whole,
    st.text(),
    st.integers(-(2**63), 2**63 - 1),
    st.dictionaries(st.text(), st.text()),
    st.lists(parts).map(tuple),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
)


@given(wholes)
def test_what_is_written_is_read_back(whole):
    assert parse_document(Whole, document_text(whole), "it") == whole


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"name": "a", "rows": "5"}', "field rows: Input should be a valid integer (it is '5')"),
        ('{"name": "a", "rows": true}', "field rows: Input should be a valid integer"),
        ('{"name": "a", "rows": 1, "files": [1, 2]}', "field files: Input should be an object"),
        ('{"name": "a", "rows": 1, "parts": [{"host": 1}]}', "field parts.0.host: Input should"),
        ('{"name": "a", "rows": 1, "parts": [{}]}', "field parts.0.host is missing"),
        ('{"name": "a"}', "field rows is missing"),
        ('{"name": "a", "rows": 1, "new": 1}', "field new is not known to this version"),
        (
            '{"name": "a", "rows": 1, "new": 1, "schema": 3}',
            "written by a newer version of photoz-run (schema 3",
        ),
        (
            '{"name": "a", "rows": 1, "schema": 1}',
            "written by an earlier version of photoz-run (schema 1, this one reads 2); make it",
        ),
        ('{"name": "a", "rows": 1, "schema": 3}', "written by a newer version of photoz-run"),
        ("[1]", "is no document of photoz-run"),
        ("{", "is no document of photoz-run: Invalid JSON"),
        ("\x00", "is no document of photoz-run: Invalid JSON"),
    ],
)
def test_what_does_not_fit_is_refused_with_file_and_field(content, problem, tmp_path):
    path = tmp_path / "whole.json"
    path.write_text(content)
    with pytest.raises(DocumentError) as refused:
        read_document(Whole, path)
    assert str(refused.value).startswith(f"{path}: {problem}")
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DocumentError, match=r"absent\.json cannot be read: No such file"):
        read_document(Whole, tmp_path / "absent.json")


def test_a_number_that_is_none_is_not_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        document_text(Part("a", float("nan")))
