"""n(z) in tomographic bins: the report's table, and files that qp reads."""

from io import BytesIO

import numpy as np
import pytest
import qp
import typer
from typer.testing import CliRunner

from photoz_run.cli.validate import validate
from photoz_run.errors import ConfigError
from photoz_run.validation.document import read_metrics
from photoz_run.validation.figures.distributions import tomography_figure
from photoz_run.validation.nz_file import write_nz
from photoz_run.validation.settings import (
    SpecSettings,
    TomographySettings,
    ValidationSettings,
    load_settings,
)
from photoz_run.validation.validate import validate as run_validation
from support.validation import MODEL_OF_SIMULATIONS, gama, survey, write_fits, write_parquet

N = 3000
EDGES = [0.1, 0.2, 0.35]


def validated(folder, *more, config="", change=lambda columns, z: None):
    columns, z = survey(N)
    change(columns, z)
    catalogue = write_parquet(folder / "c.parquet", columns, MODEL_OF_SIMULATIONS)
    specz = write_fits(folder / "specz.fits", gama(columns, z))
    (folder / "v.toml").write_text(config)
    app = typer.Typer()
    app.command()(validate)
    arguments = [catalogue, "--specz", specz, "--config", folder / "v.toml", *more]
    outcome = CliRunner().invoke(app, [str(part) for part in arguments])
    assert outcome.exit_code == 0, outcome.output
    return columns, z, read_metrics(folder / "c-validation" / "metrics.json").tomography


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nz")
    config = f"[tomography]\nedges = {EDGES}\n"
    return *validated(folder, "--no-plots", config=config), folder / "c-validation"


def test_means_and_widths_are_those_of_the_galaxies_in_the_bin(measured):
    columns, z, nz, _ = measured
    z_phot, z_spec = columns["Z_PHOT"].astype(float), z.astype(np.float32).astype(float)
    for part, low, high in zip(nz.bins, EDGES[:-1], EDGES[1:], strict=True):
        rows = (z_phot >= low) & (z_phot < high)
        assert (part.sources, part.spectra) == (rows.sum(), rows.sum())
        assert part.mean_spectroscopic.value == pytest.approx(z_spec[rows].mean(), abs=1e-6)
        assert part.width_spectroscopic.value == pytest.approx(z_spec[rows].std(), abs=1e-6)
        # The quoted intervals are right: predicted and spectroscopic n(z) agree.
        assert part.mean_predicted.value == pytest.approx(z_phot[rows].mean(), abs=3e-4)
        sigma = 0.015 * (1 + z_phot[rows])
        width = np.sqrt(z_phot[rows].var() + np.mean(sigma**2))
        assert part.width_predicted.value == pytest.approx(width, rel=0.02)
        difference = part.mean_difference
        assert abs(difference.value) < 2 * (difference.high - difference.low)


def test_qp_reads_it_back(measured):
    _, _, nz, out = measured
    for name in ("predicted", "spectroscopic"):
        ensemble = qp.read(str(out / f"nz_{name}.hdf5"))
        grid = np.linspace(0, nz.cell_edges[-1], 20_001)
        np.testing.assert_allclose(np.trapezoid(ensemble.pdf(grid), grid, axis=1), 1, atol=2e-3)
        np.testing.assert_allclose(ensemble.cdf(nz.cell_edges[-1]).ravel(), 1, atol=1e-9)
        means = [getattr(part, f"mean_{name}").value for part in nz.bins]
        np.testing.assert_allclose(ensemble.mean().ravel(), means, atol=1.5e-3)
        np.testing.assert_allclose(ensemble.ancil["mean"], means)
        assert ensemble.ancil["z_low"].tolist() == EDGES[:-1]
        np.testing.assert_allclose(
            ensemble.dist.pdfs, [getattr(part, name) for part in nz.bins], rtol=1e-9
        )


def test_a_biased_bin_is_seen(tmp_path):
    def shift(columns, z):
        high = columns["Z_PHOT"] > 0.3
        for name in ("Z_PHOT", "Z_PHOT_LO68", "Z_PHOT_HI68", "Z_PHOT_LO95", "Z_PHOT_HI95"):
            columns[name][high] += 0.02

    config = "[tomography]\nedges = [0.1, 0.3, 0.6]\nby = 'mass'\n"
    _, _, nz = validated(tmp_path, "--no-plots", config=config, change=shift)
    good, bad = nz.bins
    assert abs(good.same_galaxies.value) < 0.004
    assert bad.same_galaxies.value == pytest.approx(0.02, abs=0.006)
    assert bad.same_galaxies.low > 0.01
    assert nz.assigned == "by most of the predicted distribution, edges as given"


def test_a_catalogue_without_distributions_has_a_note(tmp_path):
    def strip(columns, z):
        for end in ("LO68", "HI68", "LO95", "HI95"):
            del columns[f"Z_PHOT_{end}"]

    *_, nz = validated(tmp_path, "--no-plots", change=strip)
    assert nz is None
    assert not list((tmp_path / "c-validation").glob("nz_*"))


@pytest.fixture(scope="module")
def sparse(tmp_path_factory):
    """A survey in files, and what is needed to validate it with any edges."""
    folder = tmp_path_factory.mktemp("sparse")
    columns, z = survey(300)
    catalogue = write_parquet(folder / "c.parquet", columns)
    specz = write_fits(folder / "specz.fits", gama(columns, z))

    def measure(*edges):
        tomography = TomographySettings(edges=edges)
        settings = ValidationSettings(specz=(SpecSettings(file=specz),), tomography=tomography)
        return run_validation(catalogue, settings)[0]

    return measure


def test_a_bin_without_galaxies_has_no_numbers_and_is_told(sparse, tmp_path):
    result = sparse(0.1, 0.3, 3.0, 4.0)
    nz = result.tomography
    assert [part.sources > 0 for part in nz.bins] == [True, True, False]
    assert np.isnan([nz.bins[2].mean_predicted.value, nz.bins[2].same_galaxies.value]).all()
    assert "no source lies in the tomographic bin 3 to 4" in result.notes
    tomography_figure(nz, result.errors_over).savefig(BytesIO())
    for path in write_nz(nz, result.subject, tmp_path):
        ensemble = qp.read(str(path))
        assert ensemble.ancil["z_high"].tolist() == [0.3, 3.0]
        assert np.isfinite(ensemble.mean()).all()


def test_bins_without_any_galaxy_have_no_file(sparse, tmp_path):
    result = sparse(3.0, 4.0)
    assert result.tomography.bins[0].sources == 0
    assert write_nz(result.tomography, result.subject, tmp_path) == []
    tomography_figure(result.tomography, result.errors_over).savefig(BytesIO())


def test_edges_that_fall_are_refused(tmp_path):
    (tmp_path / "v.toml").write_text("[tomography]\nedges = [0.3, 0.1]\n")
    with pytest.raises(ConfigError, match=r"tomography\.edges: two or more increasing"):
        load_settings(tmp_path / "v.toml")
