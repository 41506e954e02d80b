"""What a lost magnitude costs a bundle, beside the bound that never had it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from photoz_models.documents import read_document
from photoz_models.kept_sets import save_examples
from photoz_models.training_settings import Settings
from photoz_run.errors import ConfigError
from studies import bound, lost_magnitudes
from studies.lost_magnitudes import LostMagnitudes, as_page
from studies.structure import CLUMPS, STRUCTURE_FILE
from support.galaxies import toy_examples

DOCS = Path(__file__).parents[2] / "docs"


def test_page_and_figures_of_the_documentation_agree():
    documented = read_document(LostMagnitudes, DOCS / "lost-magnitudes.json")
    assert (DOCS / "lost-magnitudes.md").read_text() == as_page(documented)


@pytest.fixture
def galaxies(tmp_path, monkeypatch):
    """A set whose magnitude in Ks alone knows the width of a galaxy; bounds are trained briefly."""
    monkeypatch.setattr(bound, "SETTINGS", Settings(epochs=6, batch=64, lost_magnitudes=0.0))
    examples = toy_examples(1000, size=36)
    colour_N = (examples.magnitudes_NB[:, 1] - examples.magnitudes_NB[:, 3]) / 0.6
    width_N = 10 * (examples.z_N - 0.1) - colour_N
    table_NT = examples.table_NT.copy()
    table_NT[:, 8] += 3 * width_N
    save_examples(replace(examples, table_NT=table_NT), tmp_path)
    nothing_N = np.random.default_rng(1).normal(size=1000)
    structure = {"disc_radius": np.exp(nothing_N), CLUMPS: nothing_N}
    pq.write_table(pa.table(structure), tmp_path / STRUCTURE_FILE)
    return tmp_path


def table_of(galaxies, bundle):
    words = [bundle, "--test", galaxies, "--training", galaxies]
    words += ["--json", galaxies / "lost.json", "--markdown", galaxies / "lost.md"]
    lost_magnitudes.main([str(word) for word in words])
    return read_document(LostMagnitudes, galaxies / "lost.json")


def test_a_bundle_loses_what_it_read_and_a_bound_what_nothing_else_tells(galaxies, bundle):
    table = table_of(galaxies, bundle)
    network = {lost.band: lost.network.smad_growth for lost in table.magnitudes}
    limit = {lost.band: lost.bound.smad_growth for lost in table.magnitudes}
    # The closed form reads g - r alone, and the bound learns the colour from any two magnitudes.
    assert [band for band, growth in network.items() if growth] == ["g", "r"]
    width = limit.pop("Ks")
    assert width > 3
    assert width > 4 * max(limit.values())
    assert (galaxies / "lost.md").read_text() == as_page(table)


def test_the_bound_is_that_of_what_stamps_show(galaxies, bundle):
    columns = lost_magnitudes.seen_in_stamps(lost_magnitudes.load_examples(galaxies), galaxies)
    assert CLUMPS not in columns.facts.columns
    (galaxies / STRUCTURE_FILE).unlink()
    pq.write_table(pa.table({"disc_radius": np.ones(3)}), galaxies / STRUCTURE_FILE)
    with pytest.raises(ConfigError, match="has 3 rows, the set 1000; make it again"):
        table_of(galaxies, bundle)
