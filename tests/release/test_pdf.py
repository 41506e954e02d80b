"""The PDFs of a release: qp opens them, and says of each galaxy what the catalogue says."""

from contextlib import closing

import h5py
import numpy as np
import pyarrow as pa
import pytest
import qp
from qp.metrics.concrete_metric_classes import CDELossMetric
from qp.metrics.pit import PIT
from scipy import stats

from photoz_models.contract import QUANTILE_LEVELS
from photoz_run.errors import BadDataError, ConfigError
from photoz_run.release.distributions import LEAST_STEP, moved_apart, quantile_levels
from photoz_run.release.products.pdf import PdfWriter
from photoz_run.science.calibration import pit

LEVELS = np.array(QUANTILE_LEVELS)
MIDDLE = QUANTILE_LEVELS.index(0.5)
LOST = (1, 7)
N = 9
ENDS = (0.0, 0.7)


def quantiles() -> np.ndarray:
    """Gaussians of several widths, one as narrow as the photo-z of KiDS are at their best."""
    centre_N, width_N = np.linspace(0.1, 0.5, N), np.linspace(0.012, 0.05, N)
    return (centre_N[:, None] + width_N[:, None] * stats.norm.ppf(LEVELS)).astype(np.float32)


def rows(quantiles_NQ: np.ndarray, lost=LOST) -> pa.Table:
    """The columns that PDFs are made of; the rows of ``lost`` have no redshift."""
    n, q = quantiles_NQ.shape
    mask_N = np.isin(np.arange(n), lost)
    flat = pa.array(quantiles_NQ.ravel())
    return pa.table(
        {
            "ID": [f"KiDSDR5 J{k:09d}" for k in range(n)],
            "Z_PHOT": pa.array(quantiles_NQ[:, MIDDLE], mask=mask_N),
            "Z_QUANTILES": pa.FixedSizeListArray.from_arrays(flat, q, mask=pa.array(mask_N)),
        }
    )


def write(path, table: pa.Table, batch: int = 4):
    """Write in batches; the path as a text, as qp wants it."""
    with closing(PdfWriter(path, QUANTILE_LEVELS, 30, {"model": "closed-form"}, ENDS)) as writer:
        for start in range(0, table.num_rows, batch):
            writer.append(table.slice(start, batch))
    return str(path)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pdf") / "pdf.hdf5", rows(quantiles()))


def assert_proper(ensemble) -> None:
    """Nowhere negative, one in all, and a distribution that rises from 0 to 1 between quantiles."""
    x_NK, density_NK = ensemble.dist.xvals, ensemble.dist.yvals
    assert (density_NK >= 0).all()
    np.testing.assert_allclose(np.trapezoid(density_NK, x_NK, axis=1), 1, atol=1e-3)
    grid_G = np.linspace(x_NK.min() - 0.01, x_NK.max() + 0.01, 20_001)
    cumulative_NG = ensemble.cdf(grid_G)
    assert (np.diff(cumulative_NG, axis=1) >= -1e-12).all()
    assert (cumulative_NG[:, 0] == 0).all()
    np.testing.assert_allclose(cumulative_NG[:, -1], 1, atol=1e-9)
    redshift_NP = ensemble.ppf(np.linspace(0.001, 0.999, 999))
    assert (np.diff(redshift_NP, axis=1) >= 0).all()


def test_the_distributions_are_distributions(written):
    ensemble = qp.read(written)
    assert_proper(ensemble)
    grid_G = np.linspace(*ENDS, 70_001)
    np.testing.assert_allclose(np.trapezoid(ensemble.pdf(grid_G), grid_G, axis=1), 1, atol=0.01)
    assert ENDS[0] <= ensemble.dist.xvals.min() <= ensemble.dist.xvals.max() <= ENDS[1]


def test_integrals_over_the_steps_give_mean_and_width_as_documented(written):
    ensemble = qp.read(written)
    z, density = ensemble.objdata["xvals"], ensemble.objdata["yvals"]
    mean_N = np.trapezoid(z * density, z)
    width_N = np.sqrt(np.trapezoid((z - mean_N[:, None]) ** 2 * density, z))
    present = [k for k in range(N) if k not in LOST]
    np.testing.assert_allclose(mean_N, np.linspace(0.1, 0.5, N)[present], atol=1e-4)
    np.testing.assert_allclose(width_N, np.linspace(0.012, 0.05, N)[present], rtol=0.06)


@pytest.mark.parametrize("seed", range(3))
def test_quantiles_of_any_shape_give_distributions(tmp_path, seed):
    """Wide and narrow steps side by side, equal ones, and all of them at an end of the range."""
    rng = np.random.default_rng(seed)
    step_NQ = rng.choice([0, 1e-7, 1e-4, 0.02], (40, len(LEVELS)))
    quantiles_NQ = np.minimum(np.cumsum(step_NQ, axis=1), ENDS[1]).astype(np.float32)
    ensemble = qp.read(write(tmp_path / "pdf.hdf5", rows(quantiles_NQ, lost=())))
    assert_proper(ensemble)
    apart_NQ, _ = moved_apart(quantiles_NQ, LEVELS)
    np.testing.assert_allclose(ensemble.cdf(apart_NQ), np.tile(LEVELS, (40, 1)), atol=1e-6)


def test_the_distribution_at_the_quantiles_is_their_levels(written):
    ensemble = qp.read(written)
    kept = np.delete(quantiles(), LOST, axis=0)
    assert ensemble.npdf == len(kept)
    np.testing.assert_allclose(ensemble.cdf(kept), np.tile(LEVELS, (len(kept), 1)), atol=1e-6)
    np.testing.assert_allclose(ensemble.ppf(LEVELS), kept, atol=1e-6)


def test_point_estimate_and_intervals_are_those_of_the_catalogue(written):
    ensemble = qp.read(written)
    kept = np.delete(quantiles(), LOST, axis=0)
    np.testing.assert_allclose(np.ravel(ensemble.median()), ensemble.ancil["Z_PHOT"], atol=1e-6)
    for level in (0.025, 0.16, 0.84, 0.975):
        np.testing.assert_allclose(
            ensemble.ppf(level).ravel(), kept[:, QUANTILE_LEVELS.index(level)], atol=1e-6
        )
    inside = ensemble.cdf(kept[:, [-1]]) - ensemble.cdf(kept[:, [0]])
    np.testing.assert_allclose(inside, LEVELS[-1] - LEVELS[0], atol=1e-6)


def test_it_says_which_source_each_distribution_belongs_to(written):
    table = rows(quantiles())
    ancil = qp.read(written).ancil
    kept = [k for k in range(N) if k not in LOST]
    assert ancil["ROW"].tolist() == kept
    assert ancil["ID"].tolist() == table["ID"].take(kept).to_pylist()
    np.testing.assert_array_equal(ancil["Z_PHOT"], table["Z_PHOT"].take(kept).to_numpy())


def test_what_the_evaluation_of_rail_does_with_it_works(written):
    kept = np.delete(quantiles(), LOST, axis=0)
    z_spec = kept[:, MIDDLE] + np.linspace(-0.01, 0.01, len(kept))
    losses = []
    for start, end, part in qp.iterator(written, chunk_size=4):
        np.testing.assert_array_equal(part.ancil["zmode"], part.ancil["Z_PHOT"])
        found = np.asarray(PIT(part, z_spec[start:end]).pit_samps).ravel()
        np.testing.assert_allclose(
            found, pit(z_spec[start:end], kept[start:end], LEVELS), atol=0.02
        )
        losses.append(CDELossMetric(np.linspace(0, 1, 2001)).evaluate(part, z_spec[start:end]))
    assert len(losses) == 2
    assert max(losses) < 0


def test_batches_and_time_leave_no_trace(tmp_path, written):
    whole = write(tmp_path / "whole.hdf5", rows(quantiles()), batch=N)
    again = write(tmp_path / "again.hdf5", rows(quantiles()), batch=N)
    with open(whole, "rb") as first_file, open(again, "rb") as other:
        assert first_file.read() == other.read()
    with h5py.File(whole) as first_file, h5py.File(written) as other:
        for name in ("data/xvals", "data/yvals", "ancil/ID", "ancil/ROW", "ancil/Z_PHOT"):
            np.testing.assert_array_equal(first_file[name][()], other[name][()])


def test_the_file_counts_what_is_not_as_in_the_catalogue(tmp_path, written):
    with h5py.File(written) as file:
        found = {
            name: file.attrs[name]
            for name in ("rows_of_catalogue", "without_redshift", "moved", "model")
        }
    assert found == {
        "rows_of_catalogue": N,
        "without_redshift": 2,
        "moved": 0,
        "model": "closed-form",
    }


def cut_off(z_min: float = 0.0) -> np.ndarray:
    """Distributions that a model's range cuts off, as networks with clipped outputs give them."""
    quantiles_NQ = quantiles()
    quantiles_NQ[3] = np.maximum(quantiles_NQ[3] - quantiles_NQ[3, MIDDLE - 4], z_min)
    quantiles_NQ[5] = z_min
    return quantiles_NQ


def test_equal_quantiles_are_moved_apart_so_that_qp_can_use_them(tmp_path):
    quantiles_NQ = cut_off()
    path = write(tmp_path / "pdf.hdf5", rows(quantiles_NQ, lost=()))
    with h5py.File(path) as file:
        assert file.attrs["moved"] == 2
        locs_NQ = file["data/xvals"][:, 1:-1:2]
    assert (np.diff(locs_NQ) > 0.99 * LEAST_STEP).all()
    assert_proper(qp.read(path))
    np.testing.assert_array_equal(locs_NQ[:, MIDDLE], quantiles_NQ[:, MIDDLE])
    np.testing.assert_array_equal(
        np.delete(locs_NQ, (3, 5), axis=0), np.delete(quantiles_NQ, (3, 5), axis=0)
    )
    assert np.abs(locs_NQ - quantiles_NQ).max() < 1.001 * MIDDLE * LEAST_STEP
    ensemble = qp.read(path)
    np.testing.assert_allclose(ensemble.cdf(locs_NQ), np.tile(LEVELS, (N, 1)), atol=1e-6)
    assert np.isfinite(ensemble.pdf(np.linspace(0, 1, 101))).all()


def test_levels_without_a_median_are_moved_from_the_nearest():
    apart_NQ, moved_N = moved_apart(
        np.array([[0.2, 0.2, 0.2], [0.1, 0.2, 0.3]], np.float32), np.array([0.6, 0.7, 0.8])
    )
    np.testing.assert_allclose(
        apart_NQ[0], [0.2, 0.2 + LEAST_STEP, 0.2 + 2 * LEAST_STEP], atol=1e-7
    )
    assert moved_N.tolist() == [True, False]


def test_a_catalogue_without_any_redshift_gives_an_empty_ensemble(tmp_path):
    path = write(tmp_path / "pdf.hdf5", rows(quantiles(), lost=range(N)))
    with h5py.File(path) as file:
        assert file["data/xvals"].shape == (0, 2 * len(LEVELS) + 2)
        assert file.attrs["without_redshift"] == N


@pytest.mark.parametrize("whole", [True, False])
def test_a_list_of_nulls_is_no_distribution_either(tmp_path, whole):
    """Parquet files of a release have lists of nulls where tile files have null lists."""
    table = rows(quantiles())
    lists = [
        None if whole and k in LOST else [None] * len(LEVELS) if k in LOST else q.tolist()
        for k, q in enumerate(quantiles())
    ]
    column = pa.array(lists, pa.list_(pa.float32(), len(LEVELS)))
    path = write(tmp_path / "pdf.hdf5", table.set_column(2, "Z_QUANTILES", column))
    with h5py.File(path) as file:
        assert file["ancil/ROW"][()].tolist() == [k for k in range(N) if k not in LOST]


def test_a_text_too_long_for_an_attribute_is_left_out(tmp_path):
    texts = {"missing": ",".join(["KIDS_180.0_-0.5"] * 20_000), "model": "closed-form"}
    with closing(PdfWriter(tmp_path / "pdf.hdf5", QUANTILE_LEVELS, 30, texts)) as writer:
        writer.append(rows(quantiles()))
    with h5py.File(tmp_path / "pdf.hdf5") as file:
        assert "missing" not in file.attrs
        assert file.attrs["model"] == "closed-form"


def test_an_id_that_does_not_fit_is_refused_not_shortened(tmp_path):
    with (
        closing(PdfWriter(tmp_path / "pdf.hdf5", QUANTILE_LEVELS, 10, {})) as writer,
        pytest.raises(BadDataError, match="ID"),
    ):
        writer.append(rows(quantiles()))


def test_levels_come_from_the_field_and_a_run_without_quantiles_is_told_so():
    about = {"levels": "0.025,0.16,0.5,0.84,0.975"}
    field = pa.field("Z_QUANTILES", pa.list_(pa.float32(), 5), True, about)
    assert quantile_levels(pa.schema([field])) == [0.025, 0.16, 0.5, 0.84, 0.975]
    with pytest.raises(
        ConfigError, match=r"no quantiles .*--quantiles, or leave --pdf out"
    ) as told:
        quantile_levels(pa.schema([("ID", pa.string())]))
    assert "\n" not in str(told.value)
