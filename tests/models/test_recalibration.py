"""Recalibrated bundles: intervals hold what they promise, at each magnitude, on other tiles."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from photoz_models.calibration import level_matrix
from photoz_models.contract import QUANTILE_LEVELS
from photoz_models.errors import BundleError
from photoz_models.examples import Examples, SetFacts
from photoz_models.kept_sets import save_examples
from photoz_models.level_map import LabelledQuantiles, fit, held_out, shares_of_knots
from photoz_models.recalibration import recalibrate
from photoz_models.session import PhotozModel
from photoz_run.catalogue.table import quantile_array, quantile_field
from photoz_run.cli.photoz import app
from photoz_run.errors import ConfigError
from photoz_run.training.labelled import NO_STAMPS
from support.bundles import closed_form_bundle
from support.validation import gama, write_fits, write_run

LEVELS = np.array(QUANTILE_LEVELS)


def galaxies(seed, tiles=40, per_tile=300):
    """Magnitudes, redshifts of the closed form, true ones, tiles.

    The scatter grows with r, and tiles share an offset each.
    """
    dice = np.random.default_rng(seed)
    n = tiles * per_tile
    table_NT = np.full((n, 9), 18.0, np.float32)
    table_NT[:, 2] = 20 - dice.exponential(0.8, n).clip(0, 4)
    table_NT[:, 1] = table_NT[:, 2] + 1 + 2 * dice.random(n)
    tile_N = np.repeat(np.arange(tiles), per_tile)
    z_N = 0.1 + 0.1 * (table_NT[:, 1] - table_NT[:, 2])
    scatter_N = 0.005 + 0.003 * (table_NT[:, 2] - 16)
    error_N = scatter_N * dice.standard_t(5, n) + 0.001 * dice.normal(size=tiles)[tile_N]
    return table_NT, z_N, z_N + error_N, tile_N


def labelled(seed, **options):
    """The same with the quantiles of the closed form."""
    table_NT, z_N, true_N, tile_N = galaxies(seed, **options)
    quantiles_NQ = z_N[:, None] + 0.04 * (LEVELS - 0.5)
    return LabelledQuantiles(quantiles_NQ, true_N, table_NT[:, 2], tile_N, "pairs", "ab" * 32)


def coverage(quantiles_NQ, z_N, low, high):
    ends = [QUANTILE_LEVELS.index(level) for level in (low, high)]
    return np.mean((quantiles_NQ[:, ends[0]] <= z_N) & (z_N <= quantiles_NQ[:, ends[1]]))


def assert_calibrated(quantiles_NQ, z_N, r_N):
    """Within 1 point overall and within 3 in each of six bins of magnitude."""
    for low, high in ((0.16, 0.84), (0.025, 0.975)):
        promised = high - low
        assert coverage(quantiles_NQ, z_N, low, high) == pytest.approx(promised, abs=0.01)
        for part in np.array_split(np.argsort(r_N), 6):
            share = coverage(quantiles_NQ[part], z_N[part], low, high)
            assert share == pytest.approx(promised, abs=0.03), (low, r_N[part].mean())


@pytest.fixture
def bundle(tmp_path):
    closed_form_bundle(tmp_path / "parent.onnx", image_bands=())
    return tmp_path / "parent.onnx"


def no_stamps(number):
    return np.zeros((number, 0, 36, 36), np.float32)


def test_intervals_on_other_tiles_hold_what_they_promise(bundle, tmp_path):
    out = tmp_path / "new.onnx"
    recalibrate(bundle, labelled(1), out, [])
    table_NT, _, true_N, _ = galaxies(2, per_tile=500)
    stamps = no_stamps(len(true_N))
    before = PhotozModel.load(bundle).predict(stamps, table_NT)
    after = PhotozModel.load(out).predict(stamps, table_NT)
    faint = table_NT[:, 2] > 19.5
    assert abs(coverage(before[1][faint], true_N[faint], 0.16, 0.84) - 0.68) > 0.05
    assert_calibrated(after[1], true_N, table_NT[:, 2])
    assert (np.diff(after[1], axis=1) >= 0).all()
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_array_equal(after[2], before[2])


@pytest.mark.parametrize("number", [300, 1500, 9000])
def test_the_graph_is_the_map_with_and_without_magnitude(bundle, tmp_path, number):
    some = labelled(3).of(np.arange(number))
    out = tmp_path / "new.onnx"
    contract = recalibrate(bundle, some, out, [])
    assert len(contract.recalibrated.magnitudes) == min(number // 1000, 8)
    table_NT = galaxies(4, 2)[0]
    table_NT[::5, 2], table_NT[1::5, 2], table_NT[2::5, 2] = np.nan, 99, -99
    own_NQ = PhotozModel.load(bundle).predict(no_stamps(600), table_NT)[1]
    mapped_NQ = fit(some, QUANTILE_LEVELS).of(own_NQ, table_NT[:, 2]).clip(0, 1)
    answer_NQ = PhotozModel.load(out).predict(no_stamps(600), table_NT)[1]
    np.testing.assert_allclose(answer_NQ, mapped_NQ, atol=2e-6)


def test_a_bundle_that_reads_no_magnitude_in_r_has_one_map(tmp_path):
    parent, out = tmp_path / "parent.onnx", tmp_path / "new.onnx"
    closed_form_bundle(parent, image_bands=(), magnitude_bands=("u", "g", "i"))
    pairs = replace(labelled(5), r_N=np.full(12_000, np.nan))
    assert recalibrate(parent, pairs, out, []).recalibrated.magnitudes == ()
    own = PhotozModel.load(parent).predict(no_stamps(9), np.full((9, 3), 18, np.float32))[1]
    new = PhotozModel.load(out).predict(no_stamps(9), np.full((9, 3), 18, np.float32))[1]
    assert np.ptp(new[0]) > np.ptp(own[0])


def test_shares_are_hats():
    r_N = np.array([10.0, 17.0, 17.5, 18.0, 30.0, np.nan, 99.0, -99.0, np.inf])
    expected = [[1, 0, 0], [1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 1, 0], *[[0, 0, 1]] * 4]
    np.testing.assert_allclose(shares_of_knots(r_N, (17.0, 18.0)), expected)


def test_a_galaxy_that_counts_half_twice_counts_once():
    some = labelled(6).of(np.arange(500))
    rows = np.repeat(np.arange(500), 2)
    once = level_matrix(some.quantiles_NQ, some.z_N, QUANTILE_LEVELS)
    halves = level_matrix(
        some.quantiles_NQ[rows], some.z_N[rows], QUANTILE_LEVELS, np.full(1000, 0.5)
    )
    quantiles_Q = np.linspace(0.2, 0.3, len(LEVELS))
    # In the tails a step of half a galaxy counts.
    middle = slice(3, -3)
    expected = quantiles_Q @ once[middle].T
    np.testing.assert_allclose(quantiles_Q @ halves[middle].T, expected, atol=0.0005)


def test_what_is_held_out_is_measured_by_tile_and_magnitude():
    overall, *bins = held_out(labelled(7), QUANTILE_LEVELS)
    assert overall.after["coverage_68"] == pytest.approx(0.68, abs=0.015)
    assert [part.number for part in bins] == [3000] * 4
    assert bins[-1].before["coverage_68"] < overall.before["coverage_68"] - 0.05
    assert all(part.after["coverage_68"] == pytest.approx(0.68, abs=0.03) for part in bins)
    assert held_out(labelled(7, tiles=1), QUANTILE_LEVELS) == []


def test_quantiles_at_a_limit_do_not_stretch_the_others(bundle, tmp_path):
    """Redshifts below the limit lie infinitely far beyond quantiles that are all at it."""
    pairs = labelled(8)
    pairs.quantiles_NQ[:600], pairs.z_N[:600] = 0.0, -0.001
    recalibrate(bundle, pairs, tmp_path / "new.onnx", [])
    quantiles_NQ = fit(pairs, QUANTILE_LEVELS).of(pairs.quantiles_NQ[600:], pairs.r_N[600:])
    assert np.ptp(quantiles_NQ, axis=1).max() < 5


def test_refusals(bundle, tmp_path):
    out = tmp_path / "new.onnx"
    with pytest.raises(BundleError, match=r"pairs has 150 galaxies .* at least 200 are needed"):
        recalibrate(bundle, labelled(9).of(np.arange(150)), out, [])
    for place, reason in (("no/new.onnx", "the folder .*no does not exist"), (".", "is a folder")):
        with pytest.raises(BundleError, match=reason):
            recalibrate(bundle, labelled(9), tmp_path / place, [])
    recalibrate(bundle, labelled(9), out, [])
    with pytest.raises(BundleError, match=r"is recalibrated already, on pairs; .* its parent"):
        recalibrate(out, labelled(9), tmp_path / "third.onnx", [])


def run_with_quantiles(folder, digest):
    """A run of some tiles with the quantiles of the bundle, and the spec-z of its galaxies."""
    table_NT, z_N, true_N, tile_N = galaxies(11, tiles=12, per_tile=400)
    n = len(z_N)
    columns = {
        "ID": np.array([f"J{k:06d}" for k in range(n)]),
        "RAJ2000": 180 + 0.01 * (np.arange(n) % 400) + 5.0 * tile_N,
        "DECJ2000": np.zeros(n),
        "KIDS_TILE": np.array([f"KIDS_{180 + 5 * k}.0_-0.5" for k in tile_N]),
        "Z_PHOT": z_N.astype(np.float32),
        "PHOTOZ_FLAG": np.zeros(n, np.int32),
        "MAG_GAAP_r": table_NT[:, 2],
    }
    run = write_run(folder / "run", columns, {"model": "closed-form", "model_digest": digest})
    quantiles_NQ = (z_N[:, None] + 0.04 * (LEVELS - 0.5)).astype(np.float32)
    for file in sorted(run.rglob("*.parquet")):
        table = pq.read_table(file)
        rows = np.isin(columns["ID"], table["ID"].to_numpy())
        column = quantile_array(quantiles_NQ[rows])
        pq.write_table(table.append_column(quantile_field(QUANTILE_LEVELS), column), file)
    return run, write_fits(folder / "specz.fits", gama(columns, true_N))


def photoz(*words):
    outcome = CliRunner().invoke(app, [str(word) for word in words])
    if outcome.exception and not isinstance(outcome.exception, SystemExit):
        raise outcome.exception
    return outcome.stdout


def test_from_a_run_to_a_bundle(bundle, tmp_path):
    """The pairs of a validation recalibrate the bundle of its run, and say so in the contract."""
    digest = PhotozModel.load(bundle).digest
    run, specz = run_with_quantiles(tmp_path, digest)
    photoz("validate", run, "--specz", specz, "--no-plots", "--pairs")
    pairs, out = run / "validation" / "pairs.parquet", tmp_path / "new.onnx"
    assert "68% before" in photoz("model", "recalibrate", bundle, "--with", pairs)
    assert not out.exists()
    said = photoz("model", "recalibrate", bundle, "--with", pairs, "--out", out)
    assert f"{out}: closed-form, version 1+recalibrated." in said
    contract = PhotozModel.load(out).contract
    assert (contract.recalibrated.parent, contract.recalibrated.number) == (digest, 4800)
    assert contract.recalibrated.tiles == 12
    shown = photoz("model", "show", out)
    assert "on 4,800 galaxies in 12 tiles: pairs.parquet" in shown
    assert all(len(line) <= 80 for line in said.splitlines() if str(tmp_path) not in line)
    held = json.loads(photoz("model", "show", out, "--json"))["recalibrated"]["held_out"]
    assert held["coverage_68_after"] == pytest.approx(0.68, abs=0.02)
    table_NT, _, true_N, _ = galaxies(12, per_tile=500)
    quantiles_NQ = PhotozModel.load(out).predict(no_stamps(len(true_N)), table_NT)[1]
    assert coverage(quantiles_NQ, true_N, 0.16, 0.84) == pytest.approx(0.68, abs=0.02)


def test_a_kept_set_does_too(bundle, tmp_path):
    table_NT, _, true_N, tile_N = galaxies(13)
    bands = ("u", "g", "r", "i", "Z", "Y", "J", "H", "Ks")
    facts = SetFacts("gama", False, NO_STAMPS.model_copy(update={"magnitude_bands": bands}))
    names_N = np.array([f"tile {k}" for k in tile_N])
    examples = Examples(facts, no_stamps(len(true_N)), table_NT, true_N.astype("f4"), names_N)
    save_examples(examples, tmp_path / "set")
    out = tmp_path / "new.onnx"
    photoz("model", "recalibrate", bundle, "--with", tmp_path / "set", "--out", out)
    facts = PhotozModel.load(out).contract.recalibrated
    assert (facts.pairs, facts.number, facts.tiles) == ("gama", 12_000, 40)
    quantiles_NQ = PhotozModel.load(out).predict(no_stamps(len(true_N)), table_NT)[1]
    assert_calibrated(quantiles_NQ, true_N, table_NT[:, 2])


def write_pairs(path, columns, digest):
    facts = {"photoz-run.model_digest": digest} if digest else {}
    pq.write_table(pa.table(columns).replace_schema_metadata(facts), path)
    return path


@pytest.mark.parametrize(
    ("columns", "digest", "message"),
    [
        (("Z_SPEC",), "", "does not say which bundle its redshifts are from"),
        (("Z_SPEC",), "ab" * 32, "those of the bundle with sha256 abababababab.*, not of closed"),
        (("Z_SPEC",), "own", "no column Z_QUANTILES: run the bundle with --quantiles"),
        (("Z_SPEC", "Z_QUANTILES"), "own", "Z_QUANTILES has 3 values, the bundle gives 21"),
        (("Z_QUANTILES",), "own", "no column Z_SPEC"),
    ],
)
def test_pairs_that_cannot_be_used_are_one_line(bundle, tmp_path, columns, digest, message):
    values = {"Z_SPEC": [0.1] * 300, "Z_QUANTILES": [[0.1, 0.2, 0.3]] * 300}
    own = PhotozModel.load(bundle).digest if digest == "own" else digest
    path = write_pairs(tmp_path / "p.parquet", {name: values[name] for name in columns}, own)
    with pytest.raises(ConfigError, match=message):
        photoz("model", "recalibrate", bundle, "--with", path)
