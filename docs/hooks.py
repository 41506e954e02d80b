"""Fills the tables of the documentation from the program itself, so that nothing is typed twice."""

from functools import partial
from typing import Any

from pydantic import BaseModel

from photoz_run import schema
from photoz_run.config import ClusterConfig, RunConfig
from photoz_run.flags import FLAGS, NOT_FOR_SCIENCE, NOT_FOR_SCIENCE_WORDS, USER_BITS


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace ``<!-- table: NAME -->`` by the table of that name."""
    tables = {
        "flags": _flags,
        "settings": _settings,
        **{name: partial(_columns, name) for name in schema.TABLES},
    }
    for name, table in tables.items():
        markdown = markdown.replace(f"<!-- table: {name} -->", table())
    return markdown


def _flags() -> str:
    rows = [f"| {flag.bit} | {flag.value} | `{flag.name}` | {flag.description} |" for flag in FLAGS]
    rows.append(f"| | {NOT_FOR_SCIENCE} | `NOT_FOR_SCIENCE` | {NOT_FOR_SCIENCE_WORDS} |")
    rows.append(f"| {USER_BITS[0]}-{USER_BITS[-1]} | | | never set by photoz-run: yours |")
    return "\n".join(["| bit | value | name | set when |", "|---|---|---|---|", *rows])


def _columns(table: str) -> str:
    rows = []
    for column in schema.TABLES[table]:
        null = "yes" if column.null else "no"
        words = (column.dtype, column.unit or "-", column.ucd, null, column.description)
        rows.append(f"| `{column.name}` | {' | '.join(words)} |")
    return "\n".join(
        [
            "| column | type | unit | UCD | may be null | description |",
            "|---|---|---|---|---|---|",
            *rows,
        ]
    )


def _settings() -> str:
    rows = [
        f"| `{name}` | {_default(field)} | {field.description} |"
        for name, field in RunConfig.model_fields.items()
    ]
    cluster = [
        f"| `cluster.{name}` | {_default(field)} | {field.description} |"
        for name, field in ClusterConfig.model_fields.items()
    ]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows, *cluster])


def _default(field: Any) -> str:
    if field.is_required():
        return "(needed)"
    default = field.get_default(call_default_factory=True)
    match default:
        case BaseModel():
            return "see below"
        case None | () | "":
            return "-"
        case tuple():
            return "`" + ", ".join(map(str, default)) + "`"
        case bool():
            return f"`{str(default).lower()}`"
    return f"`{default}`"
