"""The gallery shows the worst outliers, with the images of their tiles where these are at hand."""

import numpy as np
import pytest

from photoz_run.simulation.settings import SimulationSettings
from photoz_run.simulation.tile import simulate_tile
from photoz_run.validation.catalogue import take
from photoz_run.validation.gallery import colour_image, gallery, read_stamps, worst
from photoz_run.validation.inputs import tiles_of_run
from support.validation import survey


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tile")
    settings = SimulationSettings(size=400, density=30, data_release="DR4.0", seed=1)
    return folder, simulate_tile(settings, 0, folder, products=("sci",))


def rows_of(simulated):
    truth = simulated.truth.to_pydict()
    bright = np.argsort([-flux for flux in truth["flux_r"]])[:5]
    columns = {
        "RA": np.array(truth["ra"]),
        "DEC": np.array(truth["dec"]),
        "Z_SPEC": np.array(truth["z"]),
    }
    columns["Z_PHOT"] = columns["Z_SPEC"] + 0.2
    columns["KIDS_TILE"] = np.full(len(truth["ra"]), simulated.tile, dtype=object)
    return take(columns, bright)


def run_of(folder, data):
    (folder / "run.toml").write_text(f'tiles = ["all"]\ndata = ["{data}"]\nout = "{folder}"\n')
    return folder


def test_the_worst_come_first():
    columns, z = survey(500)
    columns = columns | {"Z_SPEC": z}
    columns["Z_PHOT"][[7, 9, 11]] = z[[7, 9, 11]] + np.array([0.3, 2.0, np.nan])
    ids = worst(columns)["ID"]
    assert len(ids) == 12
    assert ids[:2].tolist() == [columns["ID"][9], columns["ID"][7]]
    assert columns["ID"][11] not in ids


def test_stamps_show_the_source_in_the_middle(tile, tmp_path):
    data, simulated = tile
    rows = rows_of(simulated)
    for stamp in read_stamps(rows, tiles_of_run(run_of(tmp_path, data))):
        light = stamp.astype(float).sum(axis=2)
        centre = light[26:34, 26:34].mean()
        assert stamp.shape == (60, 60, 3)
        assert centre > 1.5 * np.median(light)


def test_without_images_there_are_magnitudes_and_without_both_no_gallery(tile, tmp_path):
    rows = rows_of(tile[1])
    assert gallery(rows, run_of(tmp_path, tmp_path / "gone")) == {}
    assert gallery(rows, tmp_path / "catalogue.parquet") == {}
    with_magnitudes = rows | {f"MAG_GAAP_{band}": np.full(5, 20.0) for band in ("g", "r", "i")}
    assert list(gallery(with_magnitudes, tmp_path / "catalogue.parquet")) == ["outliers_1"]


def test_stamps_without_magnitudes_leave_no_gap(tile, tmp_path):
    data, simulated = tile
    rows = rows_of(simulated)
    run = run_of(tmp_path, data)
    magnitudes = {f"MAG_GAAP_{band}": np.full(5, 20.0) for band in ("g", "r", "i")}
    both, stamps_alone = (gallery(part, run)["outliers_1"] for part in (rows | magnitudes, rows))
    assert [len(figure.axes) for figure in (both, stamps_alone)] == [12, 6]
    assert stamps_alone.get_figheight() < 0.7 * both.get_figheight()


def test_a_tile_that_cannot_be_read_leaves_its_place_empty(tile, tmp_path):
    data, simulated = tile
    rows = rows_of(simulated)
    broken = tmp_path / "data"
    broken.mkdir()
    for file in data.glob("*.fits"):
        (broken / file.name).write_bytes(
            file.read_bytes()[:2880] if "_r_sci" in file.name else file.read_bytes()
        )
    assert read_stamps(rows, tiles_of_run(run_of(tmp_path, broken))) == [None] * 5
    elsewhere = rows | {"KIDS_TILE": np.full(5, "KIDS_99.0_1.0", dtype=object)}
    assert read_stamps(elsewhere, tiles_of_run(run_of(tmp_path, data))) == [None] * 5


def test_missing_pixels_are_black():
    flux = np.full((3, 10, 10), 1e-10, np.float32)
    flux[:, :5] = np.nan
    image = colour_image(flux)
    assert image[:5].max() == 0
    assert image[5:].min() > 0
