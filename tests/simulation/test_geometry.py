"""Tiles on the sky: names, overlap, abutting catalogues, the line of RA 0."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photoz_run.errors import ConfigError
from photoz_run.simulation import geometry
from photoz_run.simulation.geometry import Cell
from photoz_run.simulation.settings import FULL_SIZE, SimulationSettings
from photoz_run.survey.names import canonical_tile_name

SIZES = [300, 600, 2000, 3000, FULL_SIZE]


@pytest.mark.parametrize("size", SIZES)
def test_names_are_valid_and_different(size):
    settings = SimulationSettings(size=size)
    count = 200 if size < FULL_SIZE else 40
    names = [
        geometry.name_of_cell(geometry.cell_of_tile(k, settings), settings) for k in range(count)
    ]
    assert [canonical_tile_name(name) for name in names] == names
    assert len(set(names)) == count
    assert names[0] == "KIDS_0.0_-31.2"
    assert names[1] == "KIDS_180.0_-0.5"


def test_real_tiles_have_the_real_spacing():
    settings = SimulationSettings(size=FULL_SIZE)
    assert geometry.cell_steps(settings, 1)[1] == pytest.approx(1.0, abs=0.003)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("index", [0, 1, 2, 3, 4])
def test_every_point_of_a_catalogue_has_pixels_around_it_in_every_band(size, index):
    settings = SimulationSettings(size=size)
    cell = geometry.cell_of_tile(index, settings)
    area = geometry.catalogue_rectangle(cell, settings)
    u, v = np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 1, 21))
    ra, dec = area.place(u.ravel(), v.ravel())
    for band in ("u", "g", "r", "i", "i2"):
        x, y = geometry.pixels(geometry.band_header(band, cell, settings), ra, dec)
        height, width = geometry.band_shape(band, settings)
        assert x.min() > 18
        assert y.min() > 18
        assert x.max() < width - 19
        assert y.max() < height - 19


def test_bands_differ_in_shape_and_reference_pixel_but_agree_on_the_sky():
    settings = SimulationSettings(size=2000)
    cell = geometry.cell_of_tile(0, settings)
    headers = [geometry.band_header(band, cell, settings) for band in geometry.BAND_OFFSETS]
    assert len({geometry.band_shape(band, settings) for band in geometry.BAND_OFFSETS}) == 5
    assert len({(h["CRPIX1"] % 1, h["CRPIX2"] % 1) for h in headers}) == 5
    for header in headers:
        x, y = geometry.pixels(header, np.array([0.0]), np.array([-31.2]))
        np.testing.assert_allclose(
            [x[0] + 1, y[0] + 1], [header["CRPIX1"], header["CRPIX2"]], atol=1e-6
        )


@pytest.mark.parametrize("size", [2000, FULL_SIZE])
def test_neighbouring_cells_abut_and_their_coadds_overlap(size):
    settings = SimulationSettings(size=size)
    for block in (0, 1):
        here, right = (
            geometry.cell_rectangle(Cell(block, 0, column), settings) for column in (0, 1)
        )
        above = geometry.cell_rectangle(Cell(block, 1, 0), settings)
        assert here.ra + here.half_ra == pytest.approx(right.ra - right.half_ra)
        assert abs(here.dec - above.dec) == pytest.approx(here.half_dec + above.half_dec)
        shared = [right.ra - right.half_ra], [here.dec]
        for column in (0, 1):
            header = geometry.band_header("r", Cell(block, 0, column), settings)
            x, _ = geometry.pixels(header, *(np.array(value) for value in shared))
            assert 18 < x[0] < geometry.band_shape("r", settings)[1] - 19


@given(st.floats(0, 1), st.floats(0, 1))
def test_places_lie_in_their_rectangle_also_across_ra_0(u, v):
    area = geometry.Rectangle(0.0, -31.2, 0.5, 0.5)
    ra, dec = area.place(np.array([0.002 + 0.996 * u]), np.array([0.002 + 0.996 * v]))
    assert area.contains(ra % 360, dec).all()
    assert not area.contains(ra + 1.01, dec).any()


def test_area_agrees_with_the_sphere():
    cap = geometry.Rectangle(180.0, 45.0, 180.0, 45.0)
    assert cap.area == pytest.approx(2 * np.pi * (180 / np.pi) ** 2)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"size": 100}, "size 100"),
        ({"density": 0}, "density 0"),
        ({"density": 1000}, "density 1000"),
        ({"seed": -1}, "seed -1"),
        ({"data_release": "DR6"}, "DR6"),
    ],
)
def test_settings_that_make_no_sense_are_refused(choices, message):
    with pytest.raises(ConfigError, match=message):
        SimulationSettings(**choices)


def test_more_tiles_than_fit_on_the_sky_are_refused():
    with pytest.raises(ConfigError, match="does not fit on the sky"):
        geometry.cell_of_tile(3000, SimulationSettings(size=FULL_SIZE))


def test_where_two_rows_are_full_the_next_two_begin():
    settings = SimulationSettings(size=FULL_SIZE)
    cells = [geometry.cell_of_tile(k, settings) for k in range(2000)]
    assert len(set(cells)) == 2000
    for block in (0, 1):
        rows = [cell.row for cell in cells if cell.block == block]
        full = rows.index(2)
        assert set(rows[:full]) == {0, 1}
        assert rows.count(0) == rows.count(1) == full // 2
        assert max(rows) > 3
    names = {geometry.name_of_cell(cell, settings) for cell in cells}
    assert len(names) == 2000
