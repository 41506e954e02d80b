"""The table of docs/comparison.md: bundles beside scikit-learn's regressors and the bounds.

``python -m studies.comparison BUNDLE... --test SET --training SET --json FILE --markdown FILE``
(``make comparison`` trains the bundles and calls it)
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from photoz_models.contract import Training
from photoz_models.documents import document_text
from photoz_models.errors import PhotozError
from photoz_models.examples import Examples, split_examples
from photoz_models.kept_sets import load_examples
from photoz_run.errors import ConfigError
from photoz_run.training.comparison import (
    Comparison,
    as_markdown,
    compare_bundles,
    load_bundles,
    unseen,
)
from studies.bound import bound_rows, with_structure
from studies.page import as_page
from studies.peers import peer_rows
from studies.structure import STRUCTURE_FILE


def compare_with_peers(bundles: Sequence[Path], test: Path, training: Path) -> Comparison:
    """The comparison of bundles with peers and bounds in front of them.

    Parameters
    ----------
    test
        A kept set on which all are measured.
    training
        The kept set that the last bundle was trained on; peers and bounds are fitted to it.

    Raises
    ------
    ConfigError
        If the last bundle was trained on another set.
    """
    examples, fitted = load_examples(test), load_examples(training)
    models = load_bundles(bundles)
    # Refused before anything is measured.
    trained = models[-1].contract.training
    _check(trained, fitted, training)
    comparison = compare_bundles(bundles, examples)
    rows_N = unseen(models, examples)
    assert trained.split != "none"
    split = split_examples(fitted, trained.seed, trained.split)
    _report("fitting scikit-learn's regressors to the magnitudes of the training part")
    rows = peer_rows(fitted, split, examples, rows_N)
    if all((folder / STRUCTURE_FILE).exists() for folder in (test, training)):
        _report("training the bounds' networks on true structure and total magnitudes")
        known = with_structure(fitted, training), split, with_structure(examples, test)
        rows += bound_rows(*known, rows_N)
    return replace(comparison, rows=(*rows, *comparison.rows))


def _check(trained: Training, fitted: Examples, folder: Path) -> None:
    if trained.digest != fitted.digest() or trained.split == "none":
        raise ConfigError(f"{folder}: this is not the set that the last bundle was trained on")


def _report(line: str) -> None:
    print(line, file=sys.stderr)


def command_line() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = argparse.ArgumentParser(prog="python -m studies.comparison")
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE")
    parser.add_argument("--test", type=Path, required=True, metavar="SET")
    parser.add_argument("--training", type=Path, required=True, metavar="SET")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument("--markdown", type=Path, required=True, metavar="FILE")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write the table as JSON and as a page, and print it."""
    options = command_line().parse_args(argv)
    comparison = compare_with_peers(options.bundles, options.test, options.training)
    options.json.write_text(document_text(comparison.rounded()), encoding="utf-8")
    options.markdown.write_text(as_page(comparison), encoding="utf-8")
    print(as_markdown(comparison.rows))


if __name__ == "__main__":
    try:
        main()
    except PhotozError as error:
        sys.exit(f"studies.comparison: {error}")
