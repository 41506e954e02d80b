"""Cells of the sky against those of the library hats."""

import numpy as np
import pytest
from hats.pixel_math import HealpixPixel, generate_alignment, get_margin
from hypothesis import given
from hypothesis import strategies as st

from photoz_run.release.cells import Cells, partition_cells, whole_sky
from photoz_run.release.sky import ORDER

DEPTH = 3
CELLS = 12 * 4**DEPTH

counts = st.dictionaries(st.integers(0, CELLS - 1), st.integers(1, 20), min_size=1, max_size=40)


def count_of(rows: dict[int, int]) -> np.ndarray:
    count_K = np.zeros(CELLS, np.int64)
    count_K[list(rows)] = list(rows.values())
    return count_K


def pixels(cells: Cells) -> list[HealpixPixel]:
    places = zip(cells.order_C.tolist(), cells.cell_C.tolist(), strict=True)
    return [HealpixPixel(*place) for place in places]


@given(rows=counts, most=st.integers(20, 300))
def test_the_partitions_are_those_of_hats(rows, most):
    count_K = count_of(rows)
    expected = generate_alignment(
        count_K, DEPTH, 0, most, drop_empty_siblings=True, use_lower_order=True
    )
    held = {HealpixPixel(int(o), int(c)) for o, c, rows in filter(None, expected) if rows}
    cells = partition_cells(count_K, most)
    assert set(pixels(cells)) == held
    assert (np.diff(cells.first_C) > 0).all()


def test_a_cell_that_cannot_be_divided_may_hold_more():
    cells = partition_cells(count_of({100: 50, 101: 2}), most=10)
    assert pixels(cells) == [HealpixPixel(DEPTH, 100), HealpixPixel(DEPTH, 101)]


def test_no_rows_have_no_partitions():
    assert pixels(partition_cells(count_of({}), most=10)) == []


@given(rows=counts, most=st.integers(20, 300))
def test_the_rest_of_the_sky_is_filled_with_few_cells(rows, most):
    cells = partition_cells(count_of(rows), most)
    every = whole_sky(cells)
    stop_C = (every.cell_C + 1) << 2 * (ORDER - every.order_C)
    assert [0, *stop_C] == [*every.first_C, 12 << 2 * ORDER]
    assert set(pixels(cells)) <= set(pixels(every))
    for pixel in set(pixels(every)) - set(pixels(cells)):
        larger = Cells(np.array([pixel.order - 1]), np.array([pixel.pixel >> 2]))
        within_C = (cells.first_C >= larger.first_C) & (
            cells.first_C < larger.first_C + (1 << 2 * (ORDER - larger.order_C))
        )
        assert pixel.order == 0 or within_C.any()


@pytest.mark.parametrize("order", [DEPTH + 1, DEPTH + 3])
def test_what_lies_beside_a_cell_is_what_hats_calls_its_margin(order):
    rng = np.random.default_rng(order)
    sky = whole_sky(partition_cells(count_of({int(k): 9 for k in rng.choice(CELLS, 40)}), 30))
    fine_F = np.arange(12 * 4**order) << 2 * (ORDER - order)
    row_M, cell_M = sky.beside(fine_F, order)
    for number, pixel in enumerate(pixels(sky)):
        expected = get_margin(pixel.order, pixel.pixel, order - pixel.order)
        assert sorted(row_M[cell_M == number]) == expected
