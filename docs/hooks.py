"""Tables from the program itself, and a page of the notebook, so that nothing is typed twice."""

import re
from functools import partial
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter
from pydantic import BaseModel

from photoz_run import schema
from photoz_run.config import ClusterConfig, RunConfig
from photoz_run.flags import FLAGS, NOT_FOR_SCIENCE, NOT_FOR_SCIENCE_WORDS, USER_BITS

NOTEBOOK = Path(__file__).parent / "one-galaxy.ipynb"
NOTEBOOK_PAGE = "one-galaxy.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page of the notebook, with the figures that are kept in it."""
    markdown, resources = MarkdownExporter().from_filename(str(NOTEBOOK))
    page = f"{markdown}\n[The notebook]({NOTEBOOK.name}) itself, to go on from here.\n"
    files.append(File.generated(config, NOTEBOOK_PAGE, content=page))
    for name, figure in resources["outputs"].items():
        files.append(File.generated(config, name, content=figure))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Fill in tables, and lead to the page of the notebook."""
    if page.file.src_uri != NOTEBOOK_PAGE:
        markdown = markdown.replace(f"({NOTEBOOK.name})", f"({NOTEBOOK_PAGE})")
    # An error stays with its sign.
    return with_tables(markdown).replace("± ", "±\u00a0")


def on_page_content(html: str, **_: Any) -> str:
    """Mark options, which browsers would break behind their hyphens."""
    return re.sub(r"<code>(--[^<]{1,40})</code>", r'<code class="option">\1</code>', html)


def with_tables(markdown: str) -> str:
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
