"""Two catalogues side by side: what changed, for whom, in which tiles, and whether it is better."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from photoz_run.cli.validate import validate
from photoz_run.config import model_path
from photoz_run.errors import ConfigError
from photoz_run.science.statistics import normalised_residual, smad
from photoz_run.tables.opening import open_table
from photoz_run.validation.changes.columns import ReadRows, column_changes
from photoz_run.validation.changes.document import read_changes
from support.validation import (
    MODEL_OF_SIMULATIONS,
    SIGMA,
    gama,
    survey,
    write_fits,
    write_parquet,
    write_run,
)

N = 4000
SHIFTED = "KIDS_10.0_-31.2"


def run(*arguments):
    app = typer.Typer()
    app.command()(validate)
    return CliRunner().invoke(app, [str(part) for part in arguments])


def older(columns, seed=7):
    """The catalogue before: noisier redshifts, a tile that is off, a flag, lost rows."""
    rng = np.random.default_rng(seed)
    old = {name: values.copy() for name, values in columns.items()}
    z = old["Z_PHOT"]
    z += (0.02 * rng.standard_normal(N) * (1 + z)).astype(np.float32)
    z[old["KIDS_TILE"] == SHIFTED] += 0.03
    old["Z_PHOT"][::100] = np.nan
    old["PHOTOZ_FLAG"][:40] |= 8
    old["KIDS_NOTE"] = np.full(N, "old")
    return {name: values[5:] for name, values in old.items()}


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """New columns, old columns, spec-z, the outcome of the command, and what it wrote."""
    folder = tmp_path_factory.mktemp("changes")
    columns, z = survey(N)
    old = older(columns)
    order = np.random.default_rng(1).permutation(N)
    a = write_run(folder / "new", {name: values[order] for name, values in columns.items()})
    b = write_parquet(folder / "old.parquet", old, MODEL_OF_SIMULATIONS)
    specz = write_fits(folder / "specz.fits", gama(columns, z))
    outcome = run(a, "--against", b, "--specz", specz, "--out", folder / "out")
    assert outcome.exit_code == 0, outcome.output
    return columns, old, z, outcome.output, folder / "out"


def test_rows_are_paired_by_id_and_counted(changed):
    document = read_changes(changed[4] / "changes.json")
    assert (document.shared, document.a.only, document.b.only) == (N - 5, 5, 0)
    missing = np.isnan(changed[1]["Z_PHOT"]).sum()
    assert (document.appeared, document.vanished) == (missing, 0)
    assert document.b.only_columns == ["KIDS_NOTE"]


def test_columns_say_how_many_rows_changed_and_how_far(changed):
    columns, old, _, _, out = changed
    new = {name: values[5:] for name, values in columns.items()}
    change = {part.name: part for part in read_changes(out / "changes.json").columns}
    assert set(change) == set(columns)
    for name in ("ID", "MASK", "Z_PHOT_LO68", "KIDS_TILE", "RAJ2000"):
        assert change[name].changed == 0
    missing = np.isnan(old["Z_PHOT"])
    difference = (new["Z_PHOT"] - old["Z_PHOT"]).astype(float)[~missing]
    z = change["Z_PHOT"]
    assert (z.changed, z.gained, z.lost) == (N - 5, missing.sum(), 0)
    assert z.median == pytest.approx(np.median(difference), abs=1e-6)
    assert z.far == pytest.approx(np.quantile(np.abs(difference), 0.99), rel=1e-4)
    flag = new["PHOTOZ_FLAG"] != old["PHOTOZ_FLAG"]
    assert change["PHOTOZ_FLAG"].changed == flag.sum() == 35


def test_accuracy_is_that_of_the_same_galaxies(changed):
    columns, old, z, _, out = changed
    measured = read_changes(out / "changes.json").accuracy
    known = ~np.isnan(old["Z_PHOT"])
    truth = z.astype(np.float32)[5:][known]
    a = smad(normalised_residual(columns["Z_PHOT"][5:][known], truth))
    b = smad(normalised_residual(old["Z_PHOT"][known], truth))
    change = measured.statistics["smad"]
    assert measured.n == known.sum()
    assert (change.a, change.b) == pytest.approx((float(a), float(b)), rel=1e-5)
    assert change.a_minus_b.value == pytest.approx(float(a - b), rel=1e-4)
    assert change.verdict == "better"
    assert measured.without_redshift_in_b == (~known).sum()


def test_redshifts_moved_for_whom(changed):
    columns, old, _, _, out = changed
    moves = read_changes(out / "changes.json").moves
    tiles = {move.label: move for move in moves if move.breakdown == "tile"}
    shift = (columns["Z_PHOT"][5:] - old["Z_PHOT"]).astype(float) / (1 + old["Z_PHOT"])
    rows = old["KIDS_TILE"] == SHIFTED
    assert tiles[SHIFTED].n == np.isfinite(shift[rows]).sum()
    assert tiles[SHIFTED].median == pytest.approx(np.nanmedian(shift[rows]), abs=1e-6)
    assert {move.breakdown for move in moves} >= {"all", "r", "z_phot", "colour", "flag", "tile"}
    everything = next(move for move in moves if move.breakdown == "all")
    scatter = read_changes(out / "changes.json").scatter
    assert everything.over_scatter == pytest.approx(
        np.mean(np.abs(shift[np.isfinite(shift)]) > scatter), abs=3e-4
    )


def test_the_tile_that_moved_is_named(changed):
    said = read_changes(changed[4] / "changes.json").findings
    assert any(f"tile {SHIFTED}: mean of normdz" in one for one in said)


def test_flags_that_came_and_went(changed):
    (known,) = [flag for flag in read_changes(changed[4] / "changes.json").flags if flag.only_b]
    assert (known.only_a, known.only_b) == (0, 35)


def test_report_markdown_and_terminal_say_it(changed):
    _, _, _, said, out = changed
    page, text = ((out / name).read_text() for name in ("changes.html", "changes.md"))
    for words in (said, page, text):
        assert "3,995 sources in both A and B, 5 only in A, 0 only in B" in words
        assert "B: The model hybrid-sim 4 was trained on simulations: not for science." in words
        assert SHIFTED in words
        assert "better" in words
    assert all(len(line) <= 80 for line in said.splitlines() if " +- " in line)
    assert page.count("<figure>") == 2
    assert all((out / "plots" / f"{name}.pdf").is_file() for name in ("changes_moved", "changes_r"))


def test_without_spectra_it_says_what_changed(changed, tmp_path):
    folder = changed[4].parent
    outcome = run(
        folder / "old.parquet", "--against", folder / "new", "--out", tmp_path, "--no-plots"
    )
    assert outcome.exit_code == 0, outcome.output
    document = read_changes(tmp_path / "changes.json")
    assert document.accuracy is None
    assert (document.a.only, document.b.only) == (0, 5)
    assert document.scatter == pytest.approx(SIGMA, rel=0.03)
    assert "nothing is said of accuracy" in outcome.output
    assert [path.name for path in tmp_path.iterdir()] == ["changes.json"]


def test_a_catalogue_against_itself_has_not_changed(changed, tmp_path):
    folder = changed[4].parent
    specz = folder / "specz.fits"
    outcome = run(
        folder / "new",
        "--against",
        folder / "new",
        "--specz",
        specz,
        "--out",
        tmp_path,
        "--no-plots",
    )
    assert outcome.exit_code == 0, outcome.output
    document = read_changes(tmp_path / "changes.json")
    assert not any(part.changed for part in document.columns)
    assert document.findings == []
    assert {one.verdict for one in document.accuracy.statistics.values()} == {
        "no change beyond chance"
    }


def test_no_id_in_common_is_one_line(tmp_path):
    columns, _ = survey(30)
    a = write_parquet(tmp_path / "a.parquet", columns)
    b = write_parquet(tmp_path / "b.parquet", columns | {"ID": np.arange(30)})
    outcome = run(a, "--against", b, "--out", tmp_path / "out")
    assert isinstance(outcome.exception, ConfigError)
    assert outcome.exception.exit_code == 2
    assert "30 sources and 30, but no ID in common; the first are 'KiDSDR5 J000000000' and '0'" in (
        str(outcome.exception)
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("side", [0, 1])
def test_a_bundle_is_no_catalogue(tmp_path, side):
    a, b = write_parquet(tmp_path / "a.parquet", survey(30)[0]), model_path("hybrid-sim")
    first, second = (a, b) if side else (b, a)
    outcome = run(first, "--against", second, "--out", tmp_path / "out")
    assert isinstance(outcome.exception, ConfigError)
    assert str(outcome.exception) == (
        f"{b}: a model bundle is no catalogue; measure the tiles with it (photoz-run --model"
        f" {b.name}) and give the run"
    )


def test_a_catalogue_without_ids_is_told(tmp_path):
    columns, _ = survey(30)
    a = write_parquet(tmp_path / "a.parquet", columns)
    b = write_parquet(tmp_path / "b.parquet", {n: v for n, v in columns.items() if n != "ID"})
    outcome = run(a, "--against", b, "--out", tmp_path / "out")
    assert f"{b}: no column ID" in str(outcome.exception)


@pytest.mark.parametrize("more", [["--against", "there.parquet"], ["--specz", "there.fits"]])
def test_a_directory_that_cannot_be_written_is_told_before_anything_is_read(tmp_path, more):
    (tmp_path / "file").write_text("")
    outcome = run("nowhere.parquet", *more, "--out", tmp_path / "file" / "out")
    assert isinstance(outcome.exception, ConfigError)
    assert "cannot be written" in str(outcome.exception)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([True, False, None]),
        pa.array([1, 0, None], pa.int8()),
        pa.array([1.0, 0.0, None]),
        pa.array(["1", "0", None]),
    ],
)
@pytest.mark.parametrize("other", [pa.array([1, 0, None]), pa.array([1.0, 0.0, None])])
def test_the_same_values_of_another_type_are_no_change(tmp_path, values, other):
    """Releases write truth values as 0 and 1, pandas integers beside a null as floats."""
    parts = []
    for name, column in (("a", values), ("b", other)):
        pq.write_table(pa.table({"N": column}), tmp_path / f"{name}.parquet")
        table = open_table(tmp_path / f"{name}.parquet")
        parts.append(ReadRows(table, np.arange(3)))
    for a, b in (parts, parts[::-1]):
        (change,) = column_changes(a, b, np.full(3, 0.1), 0.01)
        assert (change.changed, change.lost, change.gained) == (0, 0, 0)
