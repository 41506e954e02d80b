"""Simulated tiles that several tests look at and nobody changes."""

import pytest

from support.simulation import Written, write_tile


@pytest.fixture(scope="session")
def small_dr5(tmp_path_factory) -> Written:
    return write_tile(
        tmp_path_factory.mktemp("small_dr5"), 0, size=600, density=30, data_release="DR5.0", seed=3
    )


@pytest.fixture(scope="session")
def tile_dr4(tmp_path_factory) -> Written:
    return write_tile(
        tmp_path_factory.mktemp("tile_dr4"), 1, size=2000, density=20, data_release="DR4.0", seed=3
    )
