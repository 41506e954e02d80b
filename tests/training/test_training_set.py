"""Training stamps are the stamps of a run; spec-z are matched once, to the nearest source."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from photoz_models.examples import SetFacts
from photoz_models.stamp_rule import IMAGE_BANDS
from photoz_run.config import RunConfig
from photoz_run.errors import BadDataError
from photoz_run.survey.discovery import find_tiles, is_simulated
from photoz_run.training.training_set import (
    Redshifts,
    build_training_set,
    join_examples,
    training_rule,
)
from support.tiles import NINE, SEEING, catalogue_magnitudes, make_tile, reference_stamps

RULE = training_rule(IMAGE_BANDS, NINE, 36)
FACTS = SetFacts("test", False, RULE)
ARCSEC = 1 / 3600


def built(tile, redshifts: Redshifts):
    config = RunConfig(tiles=("all",), data=(tile.folder,), out=Path("unused"), select="all")
    made = build_training_set(find_tiles([tile.folder]).values(), redshifts, config, FACTS)
    return join_examples("test", [examples for examples, _ in made])


def test_stamps_and_magnitudes_are_those_of_the_survey_in_the_order_of_a_run(dr4_tile):
    # The catalogue's order number serves as redshift, so that every example names its source.
    number = len(dr4_tile.id_N)
    examples = built(dr4_tile, Redshifts(dr4_tile.ra_N, dr4_tile.dec_N, 0.001 * np.arange(number)))
    rows_N = np.rint(1000 * examples.z_N).astype(int)
    assert sorted(rows_N) == list(range(number))
    expected = reference_stamps(dr4_tile)[rows_N]
    np.testing.assert_array_equal(np.isnan(examples.stamps_NCHW), np.isnan(expected))
    np.testing.assert_allclose(examples.stamps_NCHW, expected, rtol=1e-5, atol=1e-17)
    np.testing.assert_array_equal(
        examples.magnitudes_NB, catalogue_magnitudes(dr4_tile, NINE)[rows_N]
    )
    assert set(examples.tile_N) == {dr4_tile.name}


def test_the_seeing_of_the_coadds_stands_beside_the_magnitudes_where_a_header_knows_it(
    dr4_tile, tmp_path
):
    redshifts = Redshifts(dr4_tile.ra_N, dr4_tile.dec_N, np.full(len(dr4_tile.id_N), 0.2))
    examples = built(dr4_tile, redshifts)
    assert examples.facts.columns == (*NINE, "seeing_u", "seeing_g", "seeing_r", "seeing_i")
    expected_S = np.array([SEEING[band] for band in IMAGE_BANDS], np.float32)
    np.testing.assert_array_equal(examples.seeing_NS, np.tile(expected_S, (len(examples), 1)))
    silent = make_tile(tmp_path, data_release="DR4.0")
    fits.delval(silent.image("g"), "PSF_FWHM")
    blind = built(silent, redshifts)
    assert blind.facts.columns == (*NINE, "seeing_u", "seeing_r", "seeing_i")
    np.testing.assert_array_equal(
        blind.seeing_NS, np.tile(expected_S[[0, 2, 3]], (len(examples), 1))
    )


def test_a_specz_serves_one_source_the_nearest_within_an_arcsecond(dr4_tile):
    ra_N, dec_N = dr4_tile.ra_N, dr4_tile.dec_N
    ra_M = np.array([ra_N[0], ra_N[1], ra_N[2], ra_N[2]])
    dec_M = np.array(
        [dec_N[0] + 0.9 * ARCSEC, dec_N[1] + 1.1 * ARCSEC, dec_N[2] + 0.5 * ARCSEC, dec_N[2]]
    )
    examples = built(dr4_tile, Redshifts(ra_M, dec_M, np.array([0.1, 0.2, 0.3, 0.4])))
    assert sorted(np.round(examples.z_N, 3)) == [np.float32(0.1), np.float32(0.4)]


def test_a_table_that_matches_nothing_is_refused_in_one_line(dr4_tile):
    with pytest.raises(BadDataError, match=r"no selected source has a spec-z within 1\.0 arcsec"):
        built(
            dr4_tile,
            Redshifts(dr4_tile.ra_N + 10, dr4_tile.dec_N, np.full(len(dr4_tile.id_N), 0.2)),
        )


def test_observed_tiles_are_not_called_simulated(dr4_tile):
    assert not is_simulated(next(iter(find_tiles([dr4_tile.folder]).values())))
