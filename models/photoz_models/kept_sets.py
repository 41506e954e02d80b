"""Training sets on disk: one .npy file for each array, and ``set.json``, which is written last."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from photoz_models.documents import Record, document_text, parse_document
from photoz_models.errors import TrainingError
from photoz_models.examples import ARRAYS, Examples, SetFacts
from photoz_models.stamp_rule import StampRule, column_names
from photoz_models.whole_files import written_whole

FACTS_FILE = "set.json"


@dataclass(frozen=True)
class SetDocument(Record):
    """``set.json``: what the arrays mean, how many galaxies they hold, and their sha256."""

    SCHEMA: ClassVar[int] = 2

    number: int
    digest: str
    facts: SetFacts
    schema: int = SCHEMA


@dataclass(frozen=True)
class _FirstDocument(Record):
    """``set.json`` as it was before it had a schema.

    The table was called ``magnitudes_NB``, and the names of its columns ``magnitude_bands``,
    those of the seeing among them.
    """

    number: int
    digest: str
    name: str
    simulated: bool
    image_bands: tuple[str, ...]
    magnitude_bands: tuple[str, ...]
    pixel_scale: float
    dmag_applied: bool
    extinction_corrected: bool
    i_epoch: Literal["first", "second", "better", "mean"] = "first"

    def updated(self, stamp_size: int) -> SetDocument:
        """The same facts as `SetDocument`."""
        columns = self.magnitude_bands
        possible = zip(self.image_bands, column_names((), self.image_bands), strict=True)
        seeing = {name: band for band, name in possible if name in columns}
        rule = StampRule(
            image_bands=self.image_bands,
            i_epoch=self.i_epoch,
            magnitude_bands=tuple(name for name in columns if name not in seeing),
            seeing_bands=tuple(seeing[name] for name in columns if name in seeing),
            stamp_size=stamp_size,
            pixel_scale=self.pixel_scale,
            dmag_applied=self.dmag_applied,
            extinction_corrected=self.extinction_corrected,
        )
        return SetDocument(self.number, self.digest, SetFacts(self.name, self.simulated, rule))


def save_examples(examples: Examples, folder: Path) -> None:
    """Write the set into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ARRAYS:
        with written_whole(folder / f"{name}.npy") as beside:
            np.save(beside, getattr(examples, name))
    document = SetDocument(len(examples), examples.digest(), examples.facts)
    with written_whole(folder / FACTS_FILE) as beside:
        beside.write_text(document_text(document), encoding="utf-8")


def load_examples(folder: Path) -> Examples:
    """Read a set written by `save_examples`, of this version or an earlier one.

    The stamps stay on disk and are mapped.

    Raises
    ------
    TrainingError
        If it is absent, truncated, or not what it was when it was written.
    DocumentError
        If ``set.json`` does not fit its record; the message names the field.
    """
    try:
        content = (folder / FACTS_FILE).read_bytes()
        first = "schema" not in json.loads(content)
        stamps_NCHW = _mapped(folder, "stamps_NCHW")
        table_NT = _mapped(folder, "magnitudes_NB" if first else "table_NT")
        z_N, tile_N = _mapped(folder, "z_N"), _mapped(folder, "tile_N")
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise TrainingError(
            f"{folder}: no complete training set here: {missing} is missing"
        ) from error
    except (ValueError, TypeError, EOFError) as error:
        raise TrainingError(
            f"{folder}: the training set is truncated or damaged: {error}"
        ) from error
    where = str(folder / FACTS_FILE)
    if first:
        document = parse_document(_FirstDocument, content, where).updated(stamps_NCHW.shape[-1])
    else:
        document = parse_document(SetDocument, content, where)
    examples = Examples(document.facts, stamps_NCHW, table_NT, z_N, tile_N)
    complete = all(len(getattr(examples, name)) == document.number for name in ARRAYS)
    if not complete or examples.digest() != document.digest:
        raise TrainingError(
            f"{folder}: the arrays are not those that {FACTS_FILE} describes; build the set again"
        )
    return examples


def _mapped(folder: Path, name: str) -> Any:
    return np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
