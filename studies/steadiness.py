"""What imperfect coadds cost a bundle: docs/steadiness.md.

``python -m studies.steadiness BUNDLE --work DIR --json FILE --markdown FILE``
(``make steadiness`` calls it for the shipped one)

Errors of headers, positions and sky are put into the stamps and tables of a test survey. What
changes the pixels more deeply is simulated again: the same sky with one setting changed.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from photoz_models.documents import Record, document_text
from photoz_models.errors import PhotozError
from photoz_models.examples import Examples
from photoz_models.golden import Outputs
from photoz_models.kept_sets import load_examples
from photoz_models.session import PhotozModel
from photoz_run.errors import ConfigError
from photoz_run.science.statistics import (
    Floats,
    coverage,
    group_bootstrap_intervals,
    mean,
    normalised_residual,
    smad,
)
from photoz_run.simulation.settings import SimulationSettings
from photoz_run.training.comparison import load_bundles, predict
from photoz_run.training.simulated import TRUTH_FILE, as_made, simulate_set
from photoz_run.version import program_commit
from studies import spoiled
from studies.spoiled import Spoiling

SURVEY = SimulationSettings(size=1000, density=10.0, data_release="DR4.0", seed=2027)
"""The test survey of the comparison."""


def fpacked(folder: Path) -> None:
    """Pack every coadd of the tile at fpack's default, which is lossy, with dice of its own."""
    coadds = sorted(folder.rglob("*_sci.fits"))
    try:
        subprocess.run(["fpack", "-qt", "4", "-D", "-Y", *coadds], check=True)
    except FileNotFoundError as error:
        raise ConfigError("fpack is not installed: it comes with cfitsio") from error


@dataclass(frozen=True)
class Survey:
    """The test survey with one thing changed."""

    folder: str
    words: str
    settings: SimulationSettings
    treat: Callable[[Path], None] = as_made


AGAIN = 3
"""Surveys that are simulated again have so many times fewer tiles: they cost most."""

AS_IT_IS = Survey("as-it-is", "nothing", SURVEY)

SURVEYS = (
    Survey("elongated", "PSF longer than wide by 5%", replace(SURVEY, elongation=0.05)),
    Survey("resampled", "noise correlated by a resampling", replace(SURVEY, resampled=True)),
    Survey("packed", "coadds packed by fpack at its default", SURVEY, fpacked),
    Survey("shallower", "0.3 mag shallower in all nine bands", replace(SURVEY, shallower=0.3)),
    Survey("crowded", "twice as many faint neighbours and stars", replace(SURVEY, crowding=2.0)),
)

SPOILINGS = (
    Spoiling("PSF_FWHM wrong by 2% rms", partial(spoiled.with_wrong_seeing, rms=0.02)),
    Spoiling("PSF_FWHM wrong by 5% rms", partial(spoiled.with_wrong_seeing, rms=0.05)),
    Spoiling("PSF_FWHM wrong by 10% rms", partial(spoiled.with_wrong_seeing, rms=0.10)),
    Spoiling("PSF_FWHM 5% too large", partial(spoiled.with_scaled_seeing, factor=1.05)),
    Spoiling("PSF_FWHM missing", spoiled.without_seeing),
    Spoiling("DMAG wrong by 0.01", partial(spoiled.with_wrong_dmag, error=0.01)),
    Spoiling("sky wrong by 0.1 of a pixel's noise", partial(spoiled.with_sky, sigmas=0.1)),
    Spoiling('positions wrong by 0.1"', partial(spoiled.with_wrong_positions, arcsec=0.1)),
)


@dataclass(frozen=True)
class Line(Record):
    """One perturbation. Changes are later minus earlier; SMAD's is a share of the earlier."""

    words: str
    galaxies: int
    smad_growth: float
    smad_growth_error: float
    bias_change: float
    bias_change_error: float
    coverage_68: float
    out_of_domain: float


@dataclass(frozen=True)
class Steadiness(Record):
    """The table of one bundle."""

    SCHEMA: ClassVar[int] = 1

    bundle: str
    version: str
    digest: str
    set: str
    galaxies: int
    tiles: int
    commit: str
    smad: float
    lines: tuple[Line, ...]
    schema: int = SCHEMA


@dataclass(frozen=True)
class Answers:
    """What a bundle says of a set, galaxy by galaxy."""

    z_N: Floats
    low_N: Floats
    high_N: Floats
    distance_N: Floats
    true_z_N: Floats
    tile_N: NDArray[np.str_]

    def of_tiles(self, tiles: NDArray[np.str_]) -> "Answers":
        """Those of the galaxies of these tiles."""
        rows_N = np.isin(self.tile_N, tiles)
        return Answers(*(getattr(self, part.name)[rows_N] for part in fields(self)))

    @property
    def smad(self) -> float:
        """Of dz / (1 + z)."""
        return float(smad(normalised_residual(self.z_N, self.true_z_N)))


def spoilings(examples: Examples) -> Iterator[Spoiling]:
    """All that is done to arrays; a band and a magnitude lost, each in turn."""
    yield from SPOILINGS
    rule = examples.facts.rule
    for band in rule.image_bands:
        yield Spoiling(f"no coadd in {band}", partial(spoiled.without_band, band=band))
    for band in rule.magnitude_bands:
        yield Spoiling(f"no magnitude in {band}", partial(spoiled.without_magnitude, band=band))


def answers(model: PhotozModel, examples: Examples) -> Answers:
    """Run a bundle over a set."""
    outputs = predict(model, examples, np.arange(len(examples)))
    return answers_of(outputs, model.contract.quantile_levels, examples)


def answers_of(outputs: Outputs, levels: Sequence[float], examples: Examples) -> Answers:
    """Outputs of a network for all galaxies of a set, as `Answers`."""
    z_N, quantiles_NQ, distance_N = outputs
    low_N, high_N = (quantiles_NQ[:, levels.index(level)] for level in (0.16, 0.84))
    return Answers(
        z_N.astype(np.float64),
        low_N.astype(np.float64),
        high_N.astype(np.float64),
        distance_N.astype(np.float64),
        examples.z_N.astype(np.float64),
        examples.tile_N,
    )


def line_of(words: str, before: Answers, after: Answers) -> Line:
    """What has changed, with 68% errors: tiles are drawn, each with its galaxies of both sets."""
    z_N = np.concatenate([before.z_N, after.z_N])
    true_z_N = np.concatenate([before.true_z_N, after.true_z_N])
    later_N = np.repeat([False, True], [len(before.z_N), len(after.z_N)])
    tile_N = np.concatenate([before.tile_N, after.tile_N])
    values = _changes(z_N, true_z_N, later_N)
    spans = group_bootstrap_intervals(_changes, [z_N, true_z_N, later_N], tile_N)
    errors = {name: (high - low) / 2 for name, (low, high) in spans.items()}
    return Line(
        words,
        len(after.z_N),
        float(values["smad"]),
        errors["smad"],
        float(values["bias"]),
        errors["bias"],
        float(coverage(after.true_z_N, after.low_N, after.high_N)),
        float(np.mean(after.distance_N > 1)),
    )


def _changes(z_N: Floats, true_z_N: Floats, later_N: NDArray[np.bool_]) -> dict[str, Floats]:
    error_N, dz_N = normalised_residual(z_N, true_z_N), z_N - true_z_N
    growth = smad(error_N[later_N]) / smad(error_N[~later_N]) - 1
    return {"smad": growth, "bias": mean(dz_N[later_N]) - mean(dz_N[~later_N])}


def steadiness(
    bundle: Path, model: PhotozModel, examples: Examples, others: dict[str, Examples]
) -> Steadiness:
    """The table of one bundle; ``others`` are the surveys that were simulated again, by words."""
    before = answers(model, examples)
    lines = [line_of("nothing", before, before)]
    for spoiling in spoilings(examples):
        after = answers(model, spoiling.change(examples))
        lines.append(line_of(spoiling.words, before, after))
    for words, other in others.items():
        same = before.of_tiles(np.unique(other.tile_N))
        lines.append(line_of(words, same, answers(model, other)))
    return Steadiness(
        bundle=bundle.name,
        version=model.contract.version,
        digest=model.digest,
        set=examples.facts.name,
        galaxies=len(examples),
        tiles=len(np.unique(examples.tile_N)),
        commit=program_commit(),
        smad=before.smad,
        lines=tuple(lines),
    )


def simulated(survey: Survey, tiles: int, jobs: int, work: Path) -> Examples:
    """The set of a survey, made unless it is there."""
    folder = work / survey.folder
    if not (folder / TRUTH_FILE).exists():
        print(f"simulating: {survey.words}", file=sys.stderr, flush=True)
        simulate_set(survey.settings, tiles, folder, jobs, lambda line: None, survey.treat)
    return load_examples(folder)


def as_page(table: Steadiness) -> str:
    """The page of the documentation."""
    text = PAGE.format(**{name: getattr(table, name) for name in NAMED})
    return text + "\n".join([HEAD, *map(_row, table.lines)]) + "\n"


HEAD = """\
| wrong | galaxies | SMAD | bias | coverage of 68% | out of domain |
|---|---|---|---|---|---|"""

NAMED = ("bundle", "version", "commit", "galaxies", "tiles", "set", "smad")
"""What the page says of the table."""

PAGE = """\
# Imperfect coadds

What errors of real coadds cost `{bundle}`, version {version}, which was trained on simulations.
Measured at {commit} on {galaxies:,} simulated galaxies of {tiles:,} tiles that it was not trained
on: {set}. Where nothing is wrong its SMAD is {smad:.5f}.

- SMAD: its growth. Bias: the change of the mean of z_phot - z_true. Errors are 68%, over tiles.
- Errors of headers and sky are drawn for each tile and band; signs of DMAG and sky are a coin's.
- The last five rows are of fewer tiles that are simulated again: the same sky, one setting
  changed. They are compared with the same tiles as they were.

"""


def _row(line: Line) -> str:
    cells = (
        line.words,
        f"{line.galaxies:,}",
        f"{line.smad_growth:+.1%} ± {line.smad_growth_error:.1%}",
        f"{line.bias_change:+.4f} ± {line.bias_change_error:.4f}",
        f"{line.coverage_68:.3f}",
        f"{line.out_of_domain:.1%}",
    )
    return "| " + " | ".join(cells) + " |"


def command_line() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = argparse.ArgumentParser(prog="python -m studies.steadiness")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="keeps the sets")
    parser.add_argument("--tiles", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument("--markdown", type=Path, required=True, metavar="FILE")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write the table as JSON and as a page."""
    options = command_line().parse_args(argv)
    [model] = load_bundles([options.bundle])
    made = partial(simulated, jobs=options.jobs, work=options.work)
    examples = made(AS_IT_IS, options.tiles)
    others = {survey.words: made(survey, options.tiles // AGAIN) for survey in SURVEYS}
    table = steadiness(options.bundle, model, examples, others)
    options.json.write_text(document_text(table), encoding="utf-8")
    options.markdown.write_text(as_page(table), encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except PhotozError as error:
        sys.exit(f"studies.steadiness: {error}")
