"""Real tiles are not measured by a model of simulations without a word."""

import numpy as np
import pytest
from astropy.io import fits

from photoz_run.records import BandFiles, TileRef
from photoz_run.run.plan import simulated_model_warning
from support.bundles import closed_form_contract

WARNING = (
    "the model closed-form 1 was trained on simulations: the redshifts of these tiles are not for"
    " science"
)


def coadd(path, **cards):
    fits.PrimaryHDU(np.zeros((4, 4), np.float32), fits.Header(cards)).writeto(path)
    return {"T": TileRef("T", "DR4", None, {"r": BandFiles(path)})}


@pytest.mark.parametrize(
    ("cards", "trained_on_simulations", "warning"),
    [
        ({}, True, WARNING),
        ({"SIMULATD": True}, True, ""),
        ({"SIMULATD": False}, True, WARNING),
        ({}, False, ""),
    ],
)
def test_only_real_tiles_and_a_model_of_simulations_are_warned_of(
    tmp_path, cards, trained_on_simulations, warning
):
    contract = closed_form_contract()
    training = contract.training.model_copy(update={"simulated": trained_on_simulations})
    contract = contract.model_copy(update={"training": training})
    assert simulated_model_warning(coadd(tmp_path / "r.fits", **cards), contract) == warning


def test_a_tile_that_cannot_be_read_counts_as_real(tmp_path):
    tiles = coadd(tmp_path / "r.fits")
    (tmp_path / "r.fits").write_bytes(b"no image")
    assert simulated_model_warning(tiles, closed_form_contract()) == WARNING
