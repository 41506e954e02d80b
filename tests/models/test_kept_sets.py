"""Training sets on disk: what is written comes back, earlier sets too, and damage is noticed."""

import json
from pathlib import Path

import numpy as np
import pytest

from photoz_models.errors import DocumentError, TrainingError
from photoz_models.examples import Examples
from photoz_models.kept_sets import load_examples, save_examples
from support.galaxies import toy_examples, with_seeing


def test_a_kept_set_comes_back_and_damage_is_noticed(tmp_path):
    examples = toy_examples(1000)
    save_examples(examples, tmp_path / "set")
    back = load_examples(tmp_path / "set")
    assert back.facts == examples.facts
    assert back.digest() == examples.digest()
    np.testing.assert_array_equal(back.stamps_NCHW, examples.stamps_NCHW)

    stamps = tmp_path / "set" / "stamps_NCHW.npy"
    whole = stamps.read_bytes()
    stamps.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrainingError, match="truncated or damaged"):
        load_examples(tmp_path / "set")
    stamps.write_bytes(whole[:-4] + b"\x00\x00\x80\x3f")
    with pytest.raises(TrainingError, match=r"not those that set\.json describes"):
        load_examples(tmp_path / "set")
    stamps.unlink()
    with pytest.raises(TrainingError, match=r"stamps_NCHW\.npy is missing"):
        load_examples(tmp_path / "set")
    (tmp_path / "set" / "set.json").write_text(json.dumps({})[:-1])
    with pytest.raises(TrainingError, match="truncated or damaged"):
        load_examples(tmp_path / "set")


def save_as_before_schemas(examples: Examples, folder: Path) -> None:
    """The files of a set as they were while the names of the seeing stood among the bands."""
    folder.mkdir()
    rule = examples.facts.rule
    np.save(folder / "stamps_NCHW.npy", examples.stamps_NCHW)
    np.save(folder / "magnitudes_NB.npy", examples.table_NT)
    np.save(folder / "z_N.npy", examples.z_N)
    np.save(folder / "tile_N.npy", examples.tile_N)
    facts = {
        "number": len(examples),
        "digest": examples.digest(),
        "name": examples.facts.name,
        "simulated": examples.facts.simulated,
        "image_bands": rule.image_bands,
        "magnitude_bands": (*rule.magnitude_bands, "seeing_g", "seeing_i"),
        "pixel_scale": rule.pixel_scale,
        "dmag_applied": rule.dmag_applied,
        "extinction_corrected": rule.extinction_corrected,
        "i_epoch": rule.i_epoch,
    }
    (folder / "set.json").write_text(json.dumps(facts, indent=1))


def test_a_set_of_an_earlier_version_is_read_as_the_same_set(tmp_path):
    seeing_NS = np.random.default_rng(1).uniform(0.6, 1.0, (1000, 2)).astype(np.float32)
    examples = with_seeing(toy_examples(1000), ("g", "i"), seeing_NS)
    save_as_before_schemas(examples, tmp_path / "old")
    back = load_examples(tmp_path / "old")
    assert back.facts == examples.facts
    assert back.digest() == examples.digest()
    np.testing.assert_array_equal(back.seeing_NS, seeing_NS)
    np.testing.assert_array_equal(back.magnitudes_NB, examples.magnitudes_NB)


def test_columns_are_chosen_by_name():
    seeing_NS = np.random.default_rng(1).uniform(0.6, 1.0, (1000, 2)).astype(np.float32)
    examples = with_seeing(toy_examples(1000), ("g", "i"), seeing_NS)
    few = examples.narrowed(("i", "g"), ("r", "u", "seeing_i"))
    assert few.facts.columns == ("r", "u", "seeing_i")
    assert few.facts.rule.magnitude_bands == ("r", "u")
    assert few.facts.rule.seeing_bands == ("i",)
    np.testing.assert_array_equal(few.stamps_NCHW, examples.stamps_NCHW[:, [3, 1]])
    np.testing.assert_array_equal(few.magnitudes_NB, examples.magnitudes_NB[:, [2, 0]])
    np.testing.assert_array_equal(few.seeing_NS, seeing_NS[:, 1:])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"digest": 5}, r"set\.json: field digest: Input should be a valid string"),
        ({"sha": ""}, r"set\.json: field sha is not known"),
        ({"schema": 3, "moon": 0.5}, "written by a newer version of photoz-run"),
        ({"facts": {}}, r"set\.json: field facts\.name is missing"),
    ],
)
def test_facts_that_do_not_fit_are_named(tmp_path, change, complaint):
    save_examples(toy_examples(1000), tmp_path)
    facts = json.loads((tmp_path / "set.json").read_text())
    (tmp_path / "set.json").write_text(json.dumps({**facts, **change}))
    with pytest.raises(DocumentError, match=complaint):
        load_examples(tmp_path)
