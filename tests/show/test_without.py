"""What a closed formula gives without its inputs is known."""

import numpy as np
import pytest

from photoz_run.show.without import bands_and_seeing, measure_without, oddest, single_inputs
from support.bundles import closed_form

MAGNITUDES = np.array([20, 19.2, 18.3, 18, 17.9, 17.8, 17.7, 17.6, 17.5], np.float32)


@pytest.fixture
def galaxy():
    rng = np.random.default_rng(2)
    return rng.normal(2e-10, 5e-11, (4, 36, 36)).astype(np.float32), MAGNITUDES


def expected(flux_CHW, table_T, band):
    flux, table = flux_CHW.copy(), table_T.copy()
    bands = ["u", "g", "r", "i", "Z", "Y", "J", "H", "Ks"]
    if band in bands[:4]:
        flux[bands.index(band)] = np.nan
    table[bands.index(band)] = np.nan
    return closed_form(flux[None], table[None])


def test_each_band_is_left_out_with_its_stamp_and_its_magnitude(model, galaxy):
    groups = bands_and_seeing(model.contract)
    without = measure_without(model, *galaxy, groups)[1]
    assert [one.name for one in without] == ["u", "g", "r", "i", "Z", "Y", "J", "H", "Ks"]
    for one in without:
        z_N, quantiles_NQ, domain_N = expected(*galaxy, one.name)
        assert one.z == pytest.approx(z_N[0], abs=1e-6)
        assert one.domain == pytest.approx(domain_N[0], abs=1e-6)
        assert one.low68 == pytest.approx(quantiles_NQ[0, 4], abs=1e-6)


def test_the_oddest_input_is_the_one_that_takes_the_galaxy_away(model, galaxy):
    base = float(closed_form(galaxy[0][None], galaxy[1][None])[2][0])
    odd = oddest(base, measure_without(model, *galaxy, single_inputs(model.contract))[1])
    assert odd.name == "g magnitude"
    assert odd.domain == 0
    assert oddest(0.0, measure_without(model, *galaxy, single_inputs(model.contract))[1]) is None
    assert oddest(np.nan, []) is None


def test_what_a_galaxy_has_not_is_not_left_out(model, galaxy):
    flux_CHW, table_T = galaxy[0].copy(), galaxy[1].copy()
    flux_CHW[0], table_T[0] = np.nan, np.nan
    names = [
        one.name
        for one in measure_without(model, flux_CHW, table_T, bands_and_seeing(model.contract))[1]
    ]
    assert "u" not in names
    assert "g" in names
    flux_CHW[:], table_T[1:] = np.nan, np.nan
    table_T[4] = 18
    assert measure_without(model, flux_CHW, table_T, bands_and_seeing(model.contract))[1] == []
