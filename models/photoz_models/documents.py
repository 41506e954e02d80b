"""Documents: JSON files that are records, read and written in one way.

A record is a frozen dataclass that inherits from `Record`. What is read is checked strictly: a text
is no number, a list is no mapping, and a field that the record does not have is refused.
"""

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import TypeAdapter, ValidationError

from photoz_models.errors import DocumentError

T = TypeVar("T")

_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")
"""What pydantic calls a field that a record does not have."""

_MISSING = ("missing", "missing_argument")
"""What it calls a field that the document does not have."""

_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}
"""Made once for each record: that takes longer than reading a document."""


class Record:
    """Base of the dataclasses that are documents, and of those within them."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "strict": True}


def read_document(kind: type[T], path: str | Path) -> T:
    """The document in ``path``, as a record of ``kind``.

    Raises
    ------
    DocumentError
        If the file cannot be read or does not fit; the message names the file and the field.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {error.strerror}") from error
    return parse_document(kind, content, str(path))


def parse_document(kind: type[T], content: str | bytes, where: str) -> T:
    """The record of ``kind`` in JSON text; ``where`` names the document in messages.

    A record with ``SCHEMA`` is read only from a document whose field ``schema`` is that number.
    ``kind.REMEDY`` says what to do with a document of an earlier version.

    Raises
    ------
    DocumentError
        If it is no JSON or does not fit, with the field that does not.
    """
    try:
        with no_collection():
            document = _adapter(kind).validate_json(content, strict=True)
    except ValidationError as error:
        _check_schema(kind, _schema(content), where)
        raise DocumentError(f"{where}: {_problem(error)}") from error
    number: int = getattr(document, "schema", getattr(document, "schema_version", 0))
    _check_schema(kind, number, where)
    return document


def document_text(document: object, indent: int | None = 1) -> str:
    """The document as JSON text, fields in the order of the record; NaN is refused.

    Without ``indent`` it is one line.
    """
    content = _adapter(type(document)).dump_python(document, mode="json")
    return json.dumps(content, indent=indent, allow_nan=False) + "\n"


def document_pieces(document: object) -> Iterator[str]:
    """The text of a large document piece by piece: made at once it takes seven times its size."""
    content = _adapter(type(document)).dump_python(document, mode="json")
    yield from json.JSONEncoder(indent=1, allow_nan=False).iterencode(content)
    yield "\n"


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


@contextmanager
def no_collection() -> Iterator[None]:
    """Without the collector of cycles, of which records have none.

    It would look at each of the 320,000 input files of a large run again and again: half the time.
    Who reads many documents puts one block, or one decorator, around all of them.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _check_schema(kind: type[Any], schema: int, where: str) -> None:
    known = getattr(kind, "SCHEMA", None)
    if known is None or schema in (0, known):
        return
    numbers = f"(schema {schema}, this one reads {known})"
    if schema > known:
        problem = f"written by a newer version of photoz-run {numbers}; install that version"
    else:
        remedy = getattr(kind, "REMEDY", "make it again")
        problem = f"written by an earlier version of photoz-run {numbers}; {remedy}"
    raise DocumentError(f"{where}: {problem}")


def _problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] in _UNKNOWN:
        return f"field {field} is not known to this version of photoz-run"
    if first["type"] in _MISSING:
        return f"field {field} is missing"
    if not field:
        return f"is no document of photoz-run: {first['msg']}"
    return f"field {field}: {first['msg']} (it is {first['input']!r:.60})"


def _schema(content: str | bytes) -> int:
    """The number in the field ``schema`` (``schema_version`` in metrics.json), 0 without one."""
    try:
        document = json.loads(content)
        schema = document.get("schema", document.get("schema_version"))
    except (ValueError, AttributeError):
        return 0
    return schema if isinstance(schema, int) else 0
