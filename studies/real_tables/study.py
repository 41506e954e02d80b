"""One table: the network is trained by ``photoz train``, other methods on the same parts of it."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photoz_models.documents import Record
from photoz_models.examples import Examples, Split, split_examples
from photoz_models.session import PhotozModel
from photoz_run.errors import ConfigError
from photoz_run.science.statistics import (
    Floats,
    group_bootstrap_intervals,
    normalised_residual,
    smad,
)
from photoz_run.training.comparison import Row, load_bundles, measure, predict
from photoz_run.training.labelled import from_table
from photoz_run.validation.settings import SpecSettings
from studies.real_tables.peers import LEVELS
from studies.real_tables.sources import Galaxies, Source, fetch, galaxies_of, write_table

NETWORK = "magnitudes network"
TRAINED = ("--ensemble", "3")
"""What is said to ``photoz train`` beside the table: everything else is its default."""

PEERS = Path(__file__).with_name("peers.py")
METHODS = (NETWORK, "FlexZBoost", "CatBoost", "GPz", "GPz with errors", "kNN")


Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Line(Record):
    """A method: its statistics, its SMAD over the network's, and its settings by seed.

    The ratio is of the same galaxies, and its 68% error of the same drawn ones.
    """

    row: Row
    ratio: float
    ratio_error: float
    settings: tuple[str, ...]


@dataclass(frozen=True)
class RealTable(Record):
    """Figures of all methods on one table, over the test parts of all seeds."""

    name: str
    galaxies: int
    train: int
    validation: int
    test: int
    seeds: tuple[int, ...]
    command: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Answers:
    """What a method says of a test part; quantiles at `LEVELS`, or none of them."""

    z_N: Singles
    quantiles_NQ: Singles
    settings: str


@dataclass(frozen=True)
class Parts:
    """Galaxies by part; ``test_id_N`` numbers the galaxies of the test part."""

    train: Galaxies
    validation: Galaxies
    test: Galaxies
    test_id_N: NDArray[np.int64]


@dataclass(frozen=True)
class Study:
    """What is run, and where: `work` keeps answers, and what is there is not made again."""

    source: Source
    work: Path
    peers_python: str
    methods: Sequence[str] = METHODS
    trained: Sequence[str] = TRAINED

    @property
    def folder(self) -> Path:
        """Of this table."""
        return self.work / self.source.name

    def bundle(self, seed: int) -> Path:
        """Of the network trained with this seed."""
        return self.folder / f"network-{seed}.onnx"

    def command(self, seed: int) -> list[str]:
        """``photoz train`` with this seed."""
        bands = ",".join(f"{band}={column}" for band, column in self.source.bands.items())
        table = ["--table", str(self.folder / "table.parquet"), "--bands", bands, "--z", "z_spec"]
        kept = ["--checkpoints", str(self.folder / "checkpoints"), "--out", str(self.bundle(seed))]
        return ["photoz", "train", *table, *self.trained, "--seed", str(seed), *kept]


def measured(study: Study) -> RealTable:
    """The figures of one table: whatever is missing is fetched, trained and asked.

    Raises
    ------
    BadDataError
        If a file is not the one that was measured.
    """
    source, folder = study.source, study.folder
    fetch(source, folder)
    galaxies = galaxies_of(source, source.files, folder)
    evaluation = galaxies_of(source, source.evaluation, folder) if source.evaluation else None
    write_table(galaxies, source.bands, folder / "table.parquet")
    examples = _examples(study, folder / "table.parquet")
    splits = {seed: split_examples(examples, seed, "galaxy") for seed in source.seeds}
    parts_of = {seed: _parts(galaxies, evaluation, split) for seed, split in splits.items()}
    by_method = {method: _answers(study, method, examples, parts_of) for method in study.methods}
    first = parts_of[source.seeds[0]]
    return RealTable(
        name=source.name,
        galaxies=len(galaxies.z_N) + (len(evaluation.z_N) if evaluation else 0),
        train=len(first.train.z_N),
        validation=len(first.validation.z_N),
        test=len(first.test.z_N),
        seeds=source.seeds,
        command=" ".join(Path(word).name for word in study.command(source.seeds[0])),
        lines=tuple(lines(by_method, parts_of)),
    )


def _answers(
    study: Study, method: str, examples: Examples, parts_of: Mapping[int, Parts]
) -> dict[int, Answers]:
    if method == NETWORK:
        return {
            seed: _network_answers(study, seed, examples, parts.test)
            for seed, parts in parts_of.items()
        }
    return {seed: _peer_answers(study, method, seed, parts) for seed, parts in parts_of.items()}


def lines(
    by_method: Mapping[str, Mapping[int, Answers]], parts_of: Mapping[int, Parts]
) -> Iterator[Line]:
    """The figures of each method over the test parts of all seeds."""
    true_z_N = np.concatenate([parts.test.z_N for parts in parts_of.values()]).astype(np.float32)
    id_N = np.concatenate([parts.test_id_N for parts in parts_of.values()])
    network_z_N = _over_seeds(by_method[NETWORK])[0]
    for method, by_seed in by_method.items():
        z_N, quantiles_NQ = _over_seeds(by_seed)
        levels = LEVELS if quantiles_NQ.shape[1] else ()
        outputs = z_N, quantiles_NQ, z_N
        # A galaxy that several seeds test is drawn with all its answers.
        figures = measure(outputs, true_z_N, id_N, levels)
        columns = [array.astype(np.float64) for array in (z_N, network_z_N, true_z_N)]
        low, high = group_bootstrap_intervals(_ratio, columns, id_N)["ratio"]
        ratio, error = float(_ratio(*columns)["ratio"]), (high - low) / 2
        settings = tuple(answers.settings for answers in by_seed.values())
        yield Line(Row(method, figures).rounded(), round(ratio, 4), round(error, 4), settings)


def _ratio(z_N: Floats, network_z_N: Floats, true_z_N: Floats) -> dict[str, Floats]:
    later = smad(normalised_residual(z_N, true_z_N))
    return {"ratio": later / smad(normalised_residual(network_z_N, true_z_N))}


def _over_seeds(by_seed: Mapping[int, Answers]) -> tuple[Singles, Singles]:
    z_N = np.concatenate([answers.z_N for answers in by_seed.values()])
    quantiles_NQ = np.concatenate([answers.quantiles_NQ for answers in by_seed.values()])
    return z_N, quantiles_NQ


def _examples(study: Study, table: Path) -> Examples:
    """The set that ``photoz train`` makes of a table."""
    labels = SpecSettings(file=table, z="z_spec")
    return from_table(labels, study.source.bands, simulated=False, report=_report)


def _parts(galaxies: Galaxies, evaluation: Galaxies | None, split: Split) -> Parts:
    train, validation = galaxies.rows(split.train_N), galaxies.rows(split.validation_N)
    if evaluation is None:
        return Parts(train, validation, galaxies.rows(split.test_N), split.test_N)
    return Parts(train, validation, evaluation, np.arange(len(evaluation.z_N)))


def _network_answers(study: Study, seed: int, examples: Examples, test: Galaxies) -> Answers:
    bundle = study.bundle(seed)
    if not bundle.exists():
        _report(f"{study.source.name}: training the network with seed {seed}")
        program, *words = study.command(seed)
        subprocess.run([Path(sys.executable).with_name(program), *words], check=True)
    [model] = load_bundles([bundle])
    if model.contract.training.digest != examples.digest():
        raise ConfigError(f"{bundle}: trained on another table; delete it")
    return _predicted(model, study, test)


def _predicted(model: PhotozModel, study: Study, test: Galaxies) -> Answers:
    table = study.folder / "test.parquet"
    write_table(test, study.source.bands, table)
    z_N, quantiles_NQ, _ = predict(model, _examples(study, table), np.arange(len(test.z_N)))
    levels = model.contract.quantile_levels
    columns = [levels.index(level) for level in LEVELS]
    return Answers(z_N, quantiles_NQ[:, columns], "")


def _peer_answers(study: Study, method: str, seed: int, parts: Parts) -> Answers:
    stem = study.folder / f"{method.replace(' ', '-')}-{seed}"
    kept = stem.with_suffix(".npz")
    if not kept.exists():
        _report(f"{study.source.name}: {method} with seed {seed}")
        asked = study.folder / f"parts-{seed}.npz"
        np.savez(asked, allow_pickle=False, **_arrays(parts))
        unfinished = stem.with_suffix(".part.npz")
        subprocess.run([study.peers_python, PEERS, method, asked, unfinished], check=True)
        unfinished.rename(kept)
    with np.load(kept) as arrays:
        z_N, quantiles_NQ = arrays["z_N"], arrays["quantiles_NQ"]
        settings = str(arrays["settings"])
    return Answers(z_N.astype(np.float32), quantiles_NQ.astype(np.float32), settings)


def _arrays(parts: Parts) -> dict[str, Floats]:
    """What a method is given: of the test part no redshifts."""
    arrays = {}
    for name in ("train", "validation", "test"):
        part: Galaxies = getattr(parts, name)
        arrays[f"{name}_magnitudes_NB"] = part.magnitudes_NB
        arrays[f"{name}_errors_NB"] = part.errors_NB
        arrays[f"{name}_z_N"] = part.z_N if name != "test" else np.full(len(part.z_N), np.nan)
    return arrays


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
