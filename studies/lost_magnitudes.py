"""What a lost magnitude costs a bundle, beside what it must cost: docs/lost-magnitudes.md.

``python -m studies.lost_magnitudes BUNDLE --test SET --training SET --json FILE --markdown FILE``
(sets with their ``structure.parquet``, as ``make comparison`` leaves them)

The bundle was trained once, for all gaps. The information bound is trained anew without each
magnitude: what it loses, no network can keep.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from photoz_models.contract import QUANTILE_LEVELS
from photoz_models.documents import Record, document_text
from photoz_models.errors import PhotozError
from photoz_models.examples import Examples, Split, split_examples
from photoz_models.kept_sets import load_examples
from photoz_models.session import PhotozModel
from photoz_run.training.comparison import load_bundles
from photoz_run.version import program_commit
from studies.bound import bound_outputs, with_structure
from studies.spoiled import without_magnitude
from studies.steadiness import Answers, Line, answers, answers_of, line_of
from studies.structure import CLUMPS

SPLIT_SEED = 1
"""Of the training part: that of the comparison."""

MEMBERS = 1
"""Networks of a bound. Ten bounds of three would train for more than an hour."""


@dataclass(frozen=True)
class LostMagnitude(Record):
    """One magnitude, and how much SMAD grows without it."""

    band: str
    network: Line
    bound: Line


@dataclass(frozen=True)
class LostMagnitudes(Record):
    """The table of one bundle."""

    SCHEMA: ClassVar[int] = 1

    bundle: str
    version: str
    digest: str
    test_set: str
    training_set: str
    galaxies: int
    tiles: int
    commit: str
    smad: float
    bound_smad: float
    magnitudes: tuple[LostMagnitude, ...]
    schema: int = SCHEMA


def lost_magnitudes(
    bundle: Path, model: PhotozModel, test: Examples, known_test: Examples, known: Examples
) -> LostMagnitudes:
    """The table of one bundle.

    Parameters
    ----------
    test
        A set that the bundle was not trained on.
    known_test, known
        That set, and the one that the bounds are trained on, with what is true of their galaxies.
    """
    split = split_examples(known, SPLIT_SEED, "tile")
    before, bound = answers(model, test), bound_answers(known, split, known_test)
    return LostMagnitudes(
        bundle=bundle.name,
        version=model.contract.version,
        digest=model.digest,
        test_set=test.facts.name,
        training_set=known.facts.name,
        galaxies=len(test),
        tiles=len(np.unique(test.tile_N)),
        commit=program_commit(),
        smad=before.smad,
        bound_smad=bound.smad,
        magnitudes=tuple(
            LostMagnitude(
                band,
                line_of(band, before, answers(model, without_magnitude(test, band))),
                line_of(band, bound, bound_answers(*pair)),
            )
            for band, pair in narrower(known, split, known_test)
        ),
    )


def narrower(
    known: Examples, split: Split, known_test: Examples
) -> Iterator[tuple[str, tuple[Examples, Split, Examples]]]:
    """Both sets without each magnitude in turn."""
    for band in known.facts.rule.magnitude_bands:
        kept = tuple(name for name in known.facts.columns if name != band)
        yield band, (known.narrowed((), kept), split, known_test.narrowed((), kept))


def bound_answers(known: Examples, split: Split, known_test: Examples) -> Answers:
    """Train a bound on one set; what it says of the other."""
    rows_N = np.arange(len(known_test))
    outputs = bound_outputs(known, split, known_test, rows_N, MEMBERS)
    return answers_of(outputs, QUANTILE_LEVELS, known_test)


def seen_in_stamps(examples: Examples, folder: Path) -> Examples:
    """The set with what stamps could tell at best: no stamp shows the share of light in clumps."""
    known = with_structure(examples, folder)
    return known.narrowed((), tuple(name for name in known.facts.columns if name != CLUMPS))


def as_page(table: LostMagnitudes) -> str:
    """The page of the documentation."""
    text = PAGE.format(**{name: getattr(table, name) for name in NAMED})
    return text + "\n".join([HEAD, *map(_row, table.magnitudes)]) + "\n"


HEAD = """\
| no magnitude in | network | bound |
|---|---|---|"""

NAMED = (
    "bundle",
    "version",
    "commit",
    "galaxies",
    "tiles",
    "test_set",
    "training_set",
    "smad",
    "bound_smad",
)
"""What the page says of the table."""

PAGE = """\
# Lost magnitudes

By how much SMAD grows where a magnitude is missing, for `{bundle}`, version {version}, and for the
[information bound](training.md) that is blind to clumps. The network was trained once, for all
gaps. The bound is trained anew without each magnitude: what it loses, nothing else in the table
and in the stamps can replace. Where nothing is missing SMAD is {smad:.5f} for the network and
{bound_smad:.5f} for the bound.

Measured at {commit} on {galaxies:,} galaxies of {tiles:,} tiles, of the set
{test_set}.
The bounds, a single network each, are trained on
{training_set}.
Errors are 68%, over tiles. That another training of a bound would differ is not in them.

"""


def _row(lost: LostMagnitude) -> str:
    pair = (lost.network, lost.bound)
    cells = (f"{line.smad_growth:+.1%} ± {line.smad_growth_error:.1%}" for line in pair)
    return f"| {lost.band} | " + " | ".join(cells) + " |"


def command_line() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = argparse.ArgumentParser(prog="python -m studies.lost_magnitudes")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("--test", type=Path, required=True, metavar="SET")
    parser.add_argument("--training", type=Path, required=True, metavar="SET")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument("--markdown", type=Path, required=True, metavar="FILE")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write the table as JSON and as a page."""
    options = command_line().parse_args(argv)
    [model] = load_bundles([options.bundle])
    test, training = load_examples(options.test), load_examples(options.training)
    known_test = seen_in_stamps(test, options.test)
    known = seen_in_stamps(training, options.training)
    table = lost_magnitudes(options.bundle, model, test, known_test, known)
    options.json.write_text(document_text(table), encoding="utf-8")
    options.markdown.write_text(as_page(table), encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except PhotozError as error:
        sys.exit(f"studies.lost_magnitudes: {error}")
