"""Positions are matched as the haversine formula says, everywhere on the sphere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photoz_run.errors import BadDataError
from photoz_run.science import matching
from photoz_run.science.matching import match_positions, separations

RADIUS = 1.0


def haversine_arcsec(ra1, dec1, ra2, dec2):
    ra1, dec1, ra2, dec2 = (np.radians(x) for x in (ra1, dec1, ra2, dec2))
    h = np.sin((dec1 - dec2) / 2) ** 2 + np.cos(dec1) * np.cos(dec2) * np.sin((ra1 - ra2) / 2) ** 2
    return np.degrees(2 * np.arcsin(np.sqrt(h))) * 3600


@st.composite
def crowded_fields(draw):
    """Two lists of positions within a few arcsec of a random centre, often a pole or RA 0."""
    ra0 = draw(st.sampled_from([0.0, 360.0, 13.5, 180.0]))
    dec0 = draw(st.sampled_from([90.0, -90.0, 0.0, -31.2, 89.9999, 59.999]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(st.tuples(st.integers(0, 30), st.integers(0, 30)))

    def field(n):
        dec = np.clip(dec0 + rng.normal(0, 1.5 / 3600, n), -90, 90)
        shrink = np.maximum(np.cos(np.radians(dec)), 1e-3)
        ra = (
            rng.uniform(0, 360, n)
            if abs(dec0) == 90
            else ra0 + rng.normal(0, 1.5 / 3600, n) / shrink
        )
        return ra % 360, dec

    return *field(sizes[0]), *field(sizes[1])


@given(crowded_fields())
@settings(derandomize=True, max_examples=150, deadline=None)
def test_agrees_with_brute_force(field):
    ra_N, dec_N, ra_M, dec_M = field
    match = match_positions(ra_N, dec_N, ra_M, dec_M, RADIUS)
    separation_NM = haversine_arcsec(ra_N[:, None], dec_N[:, None], ra_M[None], dec_M[None])
    inside_NM = separation_NM <= RADIUS
    np.testing.assert_array_equal(match.candidates_N, inside_NM.sum(axis=1))
    np.testing.assert_array_equal(match.matched_N, inside_NM.any(axis=1))
    for row in np.flatnonzero(match.matched_N):
        assert match.separation_N[row] == pytest.approx(separation_NM[row].min(), abs=1e-7)
        assert separation_NM[row, match.index_N[row]] == pytest.approx(
            separation_NM[row].min(), abs=1e-7
        )
    assert np.all(np.isinf(match.separation_N[~match.matched_N]))


@given(crowded_fields())
@settings(derandomize=True, max_examples=50, deadline=None)
def test_the_separation_from_one_position_is_that_of_the_haversine_formula(field):
    ra_N, dec_N, ra_M, dec_M = field
    for ra, dec in zip(ra_M[:3], dec_M[:3], strict=True):
        expected_N = haversine_arcsec(ra_N, dec_N, ra, dec)
        np.testing.assert_allclose(separations(ra_N, dec_N, ra, dec), expected_N, atol=1e-7)


def test_the_separation_from_a_missing_position_is_missing():
    assert np.isnan(separations(np.array([np.nan]), np.array([0.0]), 1.0, 0.0)).all()
    assert separations(np.array([0.0]), np.array([0.0]), 180.0, 0.0)[0] == 180 * 3600


def test_over_ra_zero():
    match = match_positions(
        np.array([359.9999]), np.array([0.0]), np.array([0.0001]), np.array([0.0]), 1.0
    )
    assert match.index_N[0] == 0
    assert match.separation_N[0] == pytest.approx(0.72, abs=1e-6)


def test_at_the_pole_right_ascension_does_not_matter():
    dec = np.array([90 - 0.3 / 3600])
    match = match_positions(np.array([10.0]), dec, np.array([190.0]), dec, 1.0)
    assert match.separation_N[0] == pytest.approx(0.6, abs=1e-6)


def test_radius_is_inclusive_and_candidates_are_counted():
    at = np.array([0.0, 0.5, 0.99, 1.01]) / 3600
    match = match_positions(np.array([0.0]), np.array([0.0]), np.zeros(4), at, 1.0)
    assert (match.index_N[0], match.candidates_N[0]) == (0, 3)


def test_rows_that_are_not_finite_match_nothing_and_keep_the_numbering():
    ra_M, dec_M = np.array([np.nan, 10.0]), np.array([0.0, 0.0])
    match = match_positions(np.array([10.0, np.nan]), np.zeros(2), ra_M, dec_M, 1.0)
    np.testing.assert_array_equal(match.index_N, [1, -1])
    np.testing.assert_array_equal(match.candidates_N, [1, 0])


def test_empty_sides():
    none, one = np.empty(0), np.zeros(1)
    assert len(match_positions(none, none, one, one, 1.0).index_N) == 0
    assert match_positions(one, one, none, none, 1.0).index_N[0] == -1


@pytest.mark.parametrize("radius", [0.0, -1.0, 3601.0, np.nan])
def test_refuses_a_senseless_radius(radius):
    with pytest.raises(BadDataError, match="matching radius"):
        match_positions(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1), radius)


def test_refuses_lengths_that_differ():
    with pytest.raises(BadDataError, match="same number of rows"):
        match_positions(np.zeros(2), np.zeros(1), np.zeros(1), np.zeros(1), 1.0)


def test_matching_by_zones_is_matching_at_once(monkeypatch):
    """Many more rows than one zone holds, over the poles and RA 0."""
    rng = np.random.default_rng(8)
    ra_M, dec_M = rng.random(4000) * 360, np.degrees(np.arcsin(2 * rng.random(4000) - 1))
    ra_N, dec_N = ra_M[:3000] + rng.normal(0, 2e-4, 3000), dec_M[:3000]
    dec_N[5] = np.nan
    whole = match_positions(ra_N, dec_N, ra_M, dec_M, 3000.0)
    monkeypatch.setattr(matching, "ZONE", 170)
    parts = match_positions(ra_N, dec_N, ra_M, dec_M, 3000.0)
    np.testing.assert_array_equal(parts.index_N, whole.index_N)
    np.testing.assert_array_equal(parts.candidates_N, whole.candidates_N)
    np.testing.assert_array_equal(parts.separation_N, whole.separation_N)
