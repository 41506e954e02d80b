"""A page of a report: one self-contained HTML file, and the same as Markdown."""

import base64
import html
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from io import BytesIO
from itertools import combinations
from pathlib import Path
from string import Template

from matplotlib.figure import Figure

from photoz_models.whole_files import written_whole
from photoz_run import __version__
from photoz_run.validation.rows import Rows

LONGEST_NUMBER = 30
"""Characters; a longer cell holds words, which may be broken."""

CAPTION = 0.2
"""Height of a caption and the space around it, in units of the width of a figure."""


@dataclass(frozen=True)
class Plot:
    """One figure of a report. Its pictures, PNG by name, stand side by side where there is room."""

    title: str
    caption: str
    pictures: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True)
class Section:
    """A part of a page, which the table of contents names."""

    key: str
    title: str
    content: str = field(repr=False)


@dataclass(frozen=True)
class Page:
    """A page: its head, what is read first, and its sections."""

    title: str
    name: str
    subtitle: str
    banners: Sequence[str]
    """What must be said before any number."""
    verdict: tuple[str, str]
    """Style class and words."""
    keys: Sequence[tuple[str, str]]
    """Numbers that are read first, with their words."""
    sections: Sequence[Section]

    def write(self, path: Path) -> None:
        """Write the page; it needs no script and no other file."""
        template = files("photoz_run.validation").joinpath("page_template.html")
        verdict_class, words = self.verdict
        links = [f'<a href="#{part.key}">{part.title}</a>' for part in self.sections]
        sections = [
            f'<h2 id="{part.key}">{part.title}</h2>\n{part.content}' for part in self.sections
        ]
        page = Template(template.read_text(encoding="utf-8")).substitute(
            title=html.escape(self.title),
            name=html.escape(self.name),
            subtitle=html.escape(self.subtitle),
            banner="".join(f'<p class="banner">{html.escape(part)}</p>' for part in self.banners),
            verdict=html.escape(words),
            verdict_class=verdict_class,
            keys="".join(_key(number, label) for number, label in self.keys),
            contents=" &middot; ".join(links),
            sections="\n".join(sections),
            footer=html.escape(footer()),
        )
        with written_whole(path) as beside:
            beside.write_text(page, encoding="utf-8")


def _key(number: str, label: str) -> str:
    return f'<div class="key"><b>{html.escape(number)}</b><span>{html.escape(label)}</span></div>'


def save(figures: Mapping[str, Figure], directory: Path, title: str, caption: str) -> Plot:
    """Save figures as PNG and PDF, as the pictures of one plot."""
    pictures = {}
    for name, figure in figures.items():
        buffer = BytesIO()
        figure.savefig(buffer, format="png")
        # The layout stands; finding it again would take as long as drawing.
        figure.set_layout_engine("none")
        with written_whole(directory / f"{name}.pdf") as beside:
            figure.savefig(beside)
        with written_whole(directory / f"{name}.png") as beside:
            beside.write_bytes(buffer.getvalue())
        pictures[name] = buffer.getvalue()
    return Plot(title, caption, pictures)


def html_figure(plot: Plot) -> str:
    """A figure with its pictures inside the page."""
    alt = html.escape(plot.title)
    images = []
    for png in plot.pictures.values():
        data = base64.b64encode(png).decode("ascii")
        images.append(f'<img alt="{alt}" src="data:image/png;base64,{data}">')
    caption = f"<b>{html.escape(plot.title)}.</b> {html.escape(plot.caption)}"
    pictures = f"<div{_side_by_side(plot)}>{''.join(images)}</div>"
    return f"<figure>{pictures}<figcaption>{caption}</figcaption></figure>"


def _side_by_side(plot: Plot) -> str:
    """Attributes that put several pictures in columns, of which a narrow page has fewer.

    None is narrower than it is drawn, at two of its pixels to one of the page.
    """
    if len(plot.pictures) < 2:
        return ""
    width, _ = _size(next(iter(plot.pictures.values())))
    columns = f"repeat(auto-fit, minmax({width // 2}px, 1fr))"
    return f' class="several" style="grid-template-columns: {columns}"'


def _size(png: bytes) -> tuple[int, int]:
    """Width and height of a picture, pixels."""
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def html_columns(plots: Sequence[Plot]) -> str:
    """Figures in two columns, as even as they can be; a narrow page has one."""
    heights = [_height(plot) for plot in plots]
    places = range(len(plots))
    splits = [left for number in range(len(plots)) for left in combinations(places, number + 1)]
    left = min(splits, key=lambda left: abs(2 * sum(heights[k] for k in left) - sum(heights)))
    right = [k for k in places if k not in left]
    columns = ("".join(html_figure(plots[k]) for k in column) for column in (left, right))
    return f'<div class="pair">{"".join(f"<div>{column}</div>" for column in columns)}</div>'


def _height(plot: Plot) -> float:
    """The height of a figure in units of its width."""
    sizes = map(_size, plot.pictures.values())
    return CAPTION + sum(height / width for width, height in sizes)


def html_items(sentences: Sequence[str], nothing: str) -> str:
    """What stands out, as a list; ``nothing`` where it is empty."""
    if not sentences:
        return f'<ul class="found calm"><li>{html.escape(nothing)}</li></ul>'
    items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    return f'<ul class="found">{items}</ul>'


def html_fold(summary: str, rows: Rows) -> str:
    """A table that is folded away on the screen, and printed."""
    return f"<details><summary>{html.escape(summary)}</summary>{html_table(rows)}</details>"


def html_note(text: str) -> str:
    """A line of small print."""
    return f"<p class='sub'>{html.escape(text)}</p>"


def html_table(rows: Rows) -> str:
    """Rows as an HTML table that scrolls where the page is narrow."""
    header = "".join(f"<th>{_text(cell)}</th>" for cell in rows[0])
    lines = []
    for row in rows[1:]:
        cells = "".join(_cell(cell) for cell in row)
        lines.append(f"<tr{_row_class(row)}>{cells}</tr>")
    head = f"<thead><tr>{header}</tr></thead>"
    body = f"<tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll"><table>{head}{body}</table></div>'


def html_beside(left: str, right: str) -> str:
    """Two columns of tables; a narrow page has one."""
    return f'<div class="tables"><div>{left}</div><div>{right}</div></div>'


def _cell(text: str) -> str:
    if len(text) > LONGEST_NUMBER:
        return f'<td class="text">{_text(text)}</td>'
    # The error by galaxy may stand below the other.
    value, bracket, rest = text.partition(" (")
    parts = [value, f"({rest}"] if bracket else [value]
    return f"<td>{' '.join(f'<span>{_text(part)}</span>' for part in parts)}</td>"


def _text(text: str) -> str:
    return html.escape(text).replace("+-", "&plusmn;")


def _row_class(row: list[str]) -> str:
    if row[0].startswith("SMAD"):
        return ' class="strong"'
    return ' class="bad"' if row[0] == "FAILED" else ""


def write_markdown(parts: Sequence[str], path: Path) -> None:
    """Write paragraphs and tables, with the line that says who wrote them."""
    with written_whole(path) as beside:
        beside.write_text("\n\n".join([*parts, footer()]) + "\n", encoding="utf-8")


def markdown_figure(plot: Plot) -> list[str]:
    """Links to the pictures of a figure, and its caption."""
    links = [f"![{plot.title}](plots/{name}.png)" for name in plot.pictures]
    return [*links, f"*{plain(plot.title)}. {plain(plot.caption)}*"]


def markdown_table(rows: Rows) -> str:
    """Rows as a Markdown table."""
    lines = []
    for row in rows:
        cells = [plain(cell) for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    rule = "|" + "---|" + "---:|" * (len(rows[0]) - 1)
    return "\n".join([lines[0], rule, *lines[1:]])


def plain(text: str) -> str:
    """A text that Markdown shows as it is: names of files and tiles are no markup."""
    marks = re.sub(r"([\\`*\[\]|])", r"\\\1", " ".join(text.split()))
    return html.escape(marks, quote=False)


def footer() -> str:
    """Say which program wrote the report, and when."""
    return f"photoz-run {__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
