"""The report of a comparison: figures, one HTML page, and Markdown."""

from collections.abc import Mapping
from pathlib import Path

from photoz_run.validation.breakdowns import TITLES
from photoz_run.validation.changes import figures
from photoz_run.validation.changes.compare import Changes, sides
from photoz_run.validation.changes.rows import (
    bins_tables,
    columns_table,
    counts_line,
    flags_table,
    moves_table,
    same_columns,
    sentences,
    sides_table,
    statistics_table,
)
from photoz_run.validation.figures.style import style
from photoz_run.validation.page import (
    Page,
    Plot,
    Section,
    html_figure,
    html_fold,
    html_items,
    html_note,
    html_table,
    markdown_figure,
    markdown_table,
    plain,
    save,
    write_markdown,
)
from photoz_run.validation.rows import Rows

NOTHING = "No statistic, bin or tile changed by more than chance."
NO_SPECTRA = "No spec-z were given, so nothing is said of accuracy: --specz FILE."
COLUMNS_WORDS = (
    "Rows: sources of both whose value differs. Lost: no value in A; gained: none in B. Median,"
    " SMAD and the size below which 99% stay are those of A - B."
)
MOST = 20
"""Sentences of what stands out."""
NO_COLUMN = "No column changed."
CAPTIONS = {
    "moved": (
        "How redshifts moved",
        "Left: against the redshift in B; what moved further than the panel stands at its edge."
        " Right: the distribution. Dashed: the scatter of the redshifts.",
    ),
    "accuracy": (
        "Change of bias and scatter",
        "The same galaxies in both; bars are 68% intervals, paired by tile.",
    ),
}


def draw(changes: Changes, directory: Path) -> dict[str, Plot]:
    """Draw every figure that has data, and save it as PNG and PDF in ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    with style():
        drawn = {
            "moved": figures.moved(changes.z_a_K, changes.z_b_K, changes.scatter),
            "accuracy": figures.accuracies(changes.accuracy),
        }
        return {
            name: save(pictures, directory, *CAPTIONS[name])
            for name, pictures in drawn.items()
            if pictures
        }


def scatter_line(changes: Changes) -> str:
    """Say what the unit of the changes is."""
    return f"The scatter is {changes.scatter:.4f} (1 + z): {changes.scatter_words}."


def banners(changes: Changes) -> list[str]:
    """What must be said before any number, of A and of B."""
    said: dict[str, list[str]] = {}
    for letter, side in sides(changes):
        said.setdefault(side.subject.banner, []).append(letter)
    return [f"{' and '.join(letters)}: {banner}" for banner, letters in said.items() if banner]


def write_html(changes: Changes, plots: Mapping[str, Plot], path: Path) -> None:
    """Write the page."""
    said = first_sentences(changes)
    sections = [
        Section("findings", "What stands out", html_items(said, NOTHING)),
        Section("sides", "What is compared", html_table(sides_table(changes))),
        Section("accuracy", "Accuracy", _accuracy(changes, plots)),
        Section("columns", "What changed", _columns(changes)),
        Section("moves", "For whom", _moves(changes, plots)),
    ]
    Page(
        title="Two catalogues side by side",
        name=f"{Path(changes.a.path).name} against {Path(changes.b.path).name}",
        subtitle=f"A: {changes.a.path}, against B: {changes.b.path}. {counts_line(changes)}.",
        banners=banners(changes),
        verdict=verdict(changes),
        keys=_keys(changes),
        sections=sections,
    ).write(path)


def first_sentences(changes: Changes) -> list[str]:
    """What stands out, the first `MOST` of it: of a great change every bin tells."""
    said = sentences(changes)
    more = [f"and {len(said) - MOST} more, bin by bin below"] if len(said) > MOST else []
    return [*said[:MOST], *more]


def verdict(changes: Changes) -> tuple[str, str]:
    """Style class and words: whether the SMAD changed."""
    if changes.accuracy is None:
        return "none", "no spec-z"
    smad = next(change for change in changes.accuracy.overall if change.statistic == "smad")
    kinds = {"better": "passed", "worse": "failed"}
    return kinds.get(smad.verdict, "none"), f"SMAD: {smad.verdict}"


def _keys(changes: Changes) -> list[tuple[str, str]]:
    everything = changes.moves["all"][0]
    keys = [
        (f"{changes.shared:,}", "sources in both"),
        (f"{changes.a.only:,}", "only in A"),
        (f"{changes.b.only:,}", "only in B"),
        (f"{everything.changed:.1%}", "have another redshift"),
        (f"{everything.median:+z.4f}", "median move over 1 + z"),
    ]
    if changes.accuracy is not None:
        keys.append((f"{changes.accuracy.n:,}", "galaxies with spec-z in both"))
    return keys


def _accuracy(changes: Changes, plots: Mapping[str, Plot]) -> str:
    measured = changes.accuracy
    if measured is None:
        return html_note(NO_SPECTRA)
    folds = [
        html_fold(f"By {TITLES[name]} ({len(rows) - 1})", rows)
        for name, rows in bins_tables(measured).items()
    ]
    picture = [html_figure(plots["accuracy"])] if "accuracy" in plots else []
    table = html_table(statistics_table(measured))
    return "".join([table, html_note(errors_line(changes)), *picture, *folds])


def errors_line(changes: Changes) -> str:
    """Say over what errors are taken, and which galaxies are left out."""
    measured = changes.accuracy
    if measured is None:
        return NO_SPECTRA
    return (
        f"{measured.n:,} galaxies with spec-z have a redshift in both; {measured.without_b:,} have"
        f" one in A alone, {measured.without_a:,} in B alone. Errors are paired, over"
        f" {measured.errors_over}."
    )


def _columns(changes: Changes) -> str:
    rows = columns_table(changes)
    parts = [html_table(rows) if len(rows) > 1 else html_note(NO_COLUMN), html_note(COLUMNS_WORDS)]
    parts += [html_note(text) for text in (same_columns(changes), scatter_line(changes)) if text]
    return "".join(parts)


def _moves(changes: Changes, plots: Mapping[str, Plot]) -> str:
    parts = []
    if "moved" in plots:
        figure = html_figure(plots["moved"])
        parts.append(f'<div class="grid"><div class="w7">{figure}</div></div>')
    parts.append(html_table(moves_table(changes.moves["all"])))
    for name, rows in _folded(changes).items():
        parts.append(html_fold(f"{name} ({len(rows) - 1})", rows))
    return "".join([*parts, *map(html_note, changes.notes)])


def _folded(changes: Changes) -> dict[str, Rows]:
    """The tables of moves and of flags, by title."""
    tables = {
        f"By {TITLES[name]}": moves_table(group)
        for name, group in changes.moves.items()
        if name != "all"
    }
    if changes.flags:
        tables["Flags that came and went"] = flags_table(changes)
    return tables


def write_as_markdown(changes: Changes, plots: Mapping[str, Plot], path: Path) -> None:
    """Write the report as Markdown, with links to the figures."""
    title = f"{Path(changes.a.path).name} against {Path(changes.b.path).name}"
    parts = [
        f"# Two catalogues side by side: {plain(title)}",
        *(f"> **{plain(text)}**" for text in banners(changes)),
        plain(counts_line(changes)),
        "## What stands out",
        *(f"- {plain(sentence)}" for sentence in first_sentences(changes) or [NOTHING]),
        "## What is compared",
        markdown_table(sides_table(changes)),
        "## Accuracy",
    ]
    if changes.accuracy is not None:
        parts.append(markdown_table(statistics_table(changes.accuracy)))
    parts.append(plain(errors_line(changes)))
    if "accuracy" in plots:
        parts += markdown_figure(plots["accuracy"])
    if changes.accuracy is not None:
        for name, rows in bins_tables(changes.accuracy).items():
            parts += [f"### Accuracy by {TITLES[name]}", markdown_table(rows)]
    columns = columns_table(changes)
    parts += ["## What changed", markdown_table(columns) if len(columns) > 1 else NO_COLUMN]
    parts.append(COLUMNS_WORDS)
    parts += [plain(text) for text in (same_columns(changes), scatter_line(changes)) if text]
    parts.append("## For whom")
    if "moved" in plots:
        parts += markdown_figure(plots["moved"])
    parts.append(markdown_table(moves_table(changes.moves["all"])))
    for name, rows in _folded(changes).items():
        parts += [f"### {name}", markdown_table(rows)]
    write_markdown([*parts, *map(plain, changes.notes)], path)
