"""The page of the documentation: docs/real-tables.md."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from photoz_models.documents import Record
from studies.real_tables.sources import SOURCES, Source
from studies.real_tables.study import Line, RealTable

COLUMNS = {
    "bias": "bias",
    "sd": "sd",
    "smad": "SMAD",
    "outliers": "outliers",
    "coverage_68": "in 68%",
    "coverage_95": "in 95%",
}
"""Headings of the table by the names of the figures."""

FINE = ("bias", "smad")
"""Columns with five decimals; the others have four."""


@dataclass(frozen=True)
class RealTables(Record):
    """All tables, and what they were measured with."""

    SCHEMA: ClassVar[int] = 1

    commit: str
    date: str
    versions: Mapping[str, str]
    tables: tuple[RealTable, ...]
    schema: int = SCHEMA


HEAD = """\
# Real tables

The network of magnitudes beside other methods, on public tables of galaxies with spectroscopic
redshifts. All are given the same magnitudes of the same galaxies. Remake it with

    make real-tables

It fetches the tables from their repositories, verifies them, makes an environment for the other
methods, and trains and measures all; what is done already is not done again.

Measured on {date} at {commit} with {versions}.

- bias: mean of dz = z_phot - z_spec; sd, SMAD: of dz/(1+z); outliers: |dz| > 0.05 (1+z).
- in 68%, in 95%: share of spec-z within these central intervals.
- ratio: SMAD over that of the network of magnitudes, on the same galaxies. Above 1 the network is
  better.
- Errors are 68% bootstrap errors over galaxies. Those of the ratio draw the same galaxies for both
  methods. None holds what another draw of the training part would change.
"""

METHODS = """\

## How each method was used

`photoz train` splits a table 70:15:15 into training, validation and test part, by galaxy, with a
seed. Its network is trained on the first, stopped and calibrated on the second. Nothing but the
ensemble of three differs from the defaults, and nothing was tuned on these tables.

The others get the same two parts. Where they have candidates, those with the least SMAD on the
validation part are taken. kNN and FlexZBoost are then fitted to both parts: they see a fifth more
galaxies than the network.

- FlexZBoost: flexcode and XGBoost, by the steps, grids and defaults of RAIL's stage. Cosines, bump
  threshold and sharpening are chosen by CDE loss, and whether the mode, the median or the mean is
  the point.
- CatBoost: loss RMSE or MAE, of dz/(1+z); up to 5,000 trees, stopped by the validation part. The
  intervals are of another fit, with quantile losses.
- GPz: pz-rail-gpz-v1 with RAIL's defaults, 50 basis functions of kind VC.
- GPz with errors: the same. GPz is made to read the errors of magnitudes, too; this row knows more
  than the others.
- kNN: scikit-learn; 5, 10, 20 or 40 neighbours, with equal weights or by distance.

They see magnitudes and the colours of neighbouring bands, GPz magnitudes alone. FlexZBoost and
CatBoost know gaps. For kNN and GPz a missing magnitude is what a linear regression on the others
says. All of it is `studies/real_tables/peers.py`; the versions are in `peers.txt` beside it.
"""


def as_page(document: RealTables) -> str:
    """Give the page."""
    versions = ", ".join(f"{name} {number}" for name, number in document.versions.items())
    head = HEAD.format(date=document.date, commit=document.commit, versions=versions)
    by_name = {source.name: source for source in SOURCES}
    sections = [_section(table, by_name[table.name]) for table in document.tables]
    return head + "".join(sections) + METHODS


def _section(table: RealTable, source: Source) -> str:
    counts = (
        f"{table.train:,} galaxies to train on, {table.validation:,} to validate,"
        f" {table.test:,} to test; {_seeds(table.seeds)}."
    )
    body = [source.about, counts, "\n".join(_table(table.lines)), _settings(table)]
    return f"\n## {table.name}\n\n" + "\n\n".join(body) + "\n\n" + _recipe(table, source)


def _table(lines: Sequence[Line]) -> Iterator[str]:
    head = ("method", *COLUMNS.values(), "ratio")
    yield "| " + " | ".join(head) + " |"
    yield "|---" * len(head) + "|"
    for line in lines:
        ratio = f"{line.ratio:.3f} ± {line.ratio_error:.3f}" if line.ratio_error else "1"
        cells = (line.row.name, *(_cell(line, name) for name in COLUMNS), ratio)
        yield "| " + " | ".join(cells) + " |"


def _cell(line: Line, name: str) -> str:
    figures = line.row.figures
    if name not in figures:
        return "-"
    digits = 5 if name in FINE else 4
    return f"{figures[name]:.{digits}f} ± {figures[f'{name}_error']:.{digits}f}"


def _settings(table: RealTable) -> str:
    chosen = ["Chosen on the validation part, for each seed:", ""]
    for line in table.lines:
        if any(line.settings):
            chosen.append(f"- {line.row.name}: {'; '.join(line.settings)}.")
    return "\n".join(chosen)


def _recipe(table: RealTable, source: Source) -> str:
    files = {**source.files, **source.evaluation}
    shown = [f"git -C clone show $commit:{path} > {Path(path).name}" for path in files]
    sums = [f"{digest}  {Path(path).name}" for path, digest in files.items()]
    first = [
        f"git clone --bare --filter=blob:none {source.address} clone",
        f"commit={source.commit}",
    ]
    return (
        f"How to obtain it, and the sha256 of its files:\n\n{_indented([*first, *shown])}\n\n"
        f"{_indented(sums)}\n\n"
        f"Rows that count: `{source.cut}`. `make real-tables` keeps them as"
        f" `build/real-tables/{table.name}/table.parquet`, and trains the network by\n\n"
        f"{_indented([table.command])}\n"
    )


def _indented(lines: Sequence[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)


def _seeds(seeds: Sequence[int]) -> str:
    *most, last = map(str, seeds)
    if not most:
        return f"seed {last}"
    return f"seeds {', '.join(most)} and {last}, whose answers are taken together"
