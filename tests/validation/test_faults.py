"""Planted faults fail the gates, and the report points at them; a clean catalogue passes."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from photoz_run.cli.validate import validate
from photoz_run.errors import ConfigError
from support.validation import gama, survey, write_fits, write_run

GATES = """
[gates]
smad_max = 0.018
bias_max = 0.0015
outlier_max = 0.01
coverage_68 = [0.63, 0.73]
coverage_95 = [0.92, 0.97]
completeness_min = 0.99
pairs_min = 1000
spike_max = 5

[gates.per_bin.colour]
bias_max = 0.003
[gates.per_bin.tile]
smad_max = 0.02
"""


def bad_tile(columns, z, rng):
    rows = columns["KIDS_TILE"] == "KIDS_181.0_-0.5"
    columns["Z_PHOT"][rows] += 0.025 * rng.standard_normal(rows.sum()).astype(np.float32)


def biased_blue(columns, z, rng):
    blue = columns["MAG_GAAP_g"] - columns["MAG_GAAP_r"] <= 0.65 + 2.3 * z
    columns["Z_PHOT"][blue] += 0.006


def spike(columns, z, rng):
    near = (np.abs(columns["Z_PHOT"] - 0.2) < 0.015) & (rng.random(len(z)) < 0.6)
    columns["Z_PHOT"][near] = 0.2


def missing(columns, z, rng):
    columns["Z_PHOT"][rng.random(len(z)) < 0.05] = np.nan


def narrow(columns, z, rng):
    for end in ("LO68", "HI68", "LO95", "HI95"):
        columns[f"Z_PHOT_{end}"] = columns["Z_PHOT"] + 0.5 * (
            columns[f"Z_PHOT_{end}"] - columns["Z_PHOT"]
        )


def nothing(columns, z, rng):
    pass


@pytest.fixture
def run_validate(tmp_path):
    def run(fault, gates=GATES, *options):
        columns, z = survey(6000)
        fault(columns, z, np.random.default_rng(3))
        catalogue = write_run(tmp_path / "run", columns)
        config = tmp_path / "validation.toml"
        config.write_text(gates)
        specz = write_fits(tmp_path / "specz.fits", gama(columns, z))
        app = typer.Typer()
        app.command()(validate)
        arguments = [
            str(catalogue),
            "--specz",
            str(specz),
            "--config",
            str(config),
            "--no-plots",
            *options,
        ]
        outcome = CliRunner().invoke(app, arguments)
        if outcome.exception and not isinstance(outcome.exception, SystemExit):
            raise outcome.exception
        metrics = json.loads((catalogue / "validation" / "metrics.json").read_text())
        return outcome, metrics

    return run


def failed(metrics):
    return {(gate["gate"], gate["where"]) for gate in metrics["gates"] if not gate["passed"]}


def findings_of(metrics):
    return [
        (finding["kind"], finding["breakdown"], finding["label"]) for finding in metrics["findings"]
    ]


def test_a_clean_catalogue_passes_without_findings(run_validate):
    outcome, metrics = run_validate(nothing)
    assert outcome.exit_code == 0
    assert metrics["passed"] is True
    assert (failed(metrics), findings_of(metrics)) == (set(), [])
    assert metrics["statistics"]["smad"]["value"] == pytest.approx(0.015, rel=0.05)


def test_a_bad_tile(run_validate):
    outcome, metrics = run_validate(bad_tile)
    assert outcome.exit_code == 4
    assert ("smad_max", "tile: KIDS_181.0_-0.5") in failed(metrics)
    assert not any(
        where.startswith("tile") and "181.0" not in where for _, where in failed(metrics)
    )
    assert findings_of(metrics)[0] == ("scatter", "tile", "KIDS_181.0_-0.5")
    assert "stands out: tile KIDS_181.0_-0.5: SMAD is" in outcome.stdout


def test_a_bias_of_blue_galaxies(run_validate):
    outcome, metrics = run_validate(biased_blue)
    assert outcome.exit_code == 4
    assert ("bias_max", "colour: blue") in failed(metrics)
    assert ("bias_max", "colour: red") not in failed(metrics)
    assert findings_of(metrics) == [("bias", "colour", "blue")]


def test_a_spike(run_validate):
    outcome, metrics = run_validate(spike)
    assert outcome.exit_code == 4
    ((gate, where),) = failed(metrics)
    ((kind, _, label),) = findings_of(metrics)
    assert (gate, kind) == ("spike_max", "spike")
    assert where == f"n(z_phot) at {label}"
    assert float(label.removeprefix("z = ")) == pytest.approx(0.2, abs=0.006)


def test_missing_redshifts(run_validate):
    outcome, metrics = run_validate(missing)
    assert (outcome.exit_code, failed(metrics)) == (4, {("completeness_min", "all objects")})


def test_intervals_too_narrow(run_validate):
    outcome, metrics = run_validate(narrow)
    assert outcome.exit_code == 4
    assert failed(metrics) == {("coverage_68", "all objects"), ("coverage_95", "all objects")}


def test_without_gates_nothing_fails(run_validate):
    outcome, metrics = run_validate(bad_tile, "")
    assert (outcome.exit_code, metrics["gates"]) == (0, [])


def test_the_plain_table_is_readable_where_there_is_no_terminal(run_validate):
    outcome, _ = run_validate(bad_tile)
    lines = outcome.stdout.splitlines()
    assert lines[0].startswith("6000 galaxies with photo-z and spec-z")
    (smad,) = [line for line in lines if line.startswith("SMAD")]
    assert smad.split()[2] == "+-"
    assert all(len(line) <= 80 for line in lines if " +- " in line)
    assert any("errors over 32 regions of the sky" in line for line in lines)
    assert any(line.startswith("FAILED") and "smad_max" in line for line in lines)
    assert "\x1b" not in outcome.stdout


def test_parquet_and_json_say_the_same(run_validate, tmp_path):
    _, metrics = run_validate(nothing)
    rows = pq.read_table(tmp_path / "run" / "validation" / "metrics.parquet").to_pylist()
    values = {(row["breakdown"], row["bin"], row["statistic"]): row["value"] for row in rows}
    for name, estimate in metrics["statistics"].items():
        assert values["all", "all", name] == estimate["value"]
    for name, groups in metrics["breakdowns"].items():
        for group in groups:
            assert values[name, group["bin"], "smad"] == group["statistics"]["smad"]["value"]


def test_a_second_run_says_the_same_and_the_order_of_rows_changes_no_value(run_validate):
    def shuffled(columns, z, rng):
        order = rng.permutation(len(z))
        z[:] = z[order]
        columns |= {name: value[order] for name, value in columns.items()}

    first, second, other = (
        run_validate(fault)[1]["statistics"] for fault in (nothing, nothing, shuffled)
    )
    assert first == second
    for name, estimate in first.items():
        assert other[name]["value"] == pytest.approx(estimate["value"], abs=1e-9), name


@pytest.mark.parametrize(
    ("gates", "error", "message"),
    [
        (
            "smad = 0.02",
            ConfigError,
            r"validation.toml: smad: unknown key; there are z_phot, compare, select",
        ),
        (
            "[gates]\nsmad = 0.02",
            ConfigError,
            r"gates.smad: unknown key; there are smad_max, .*completeness_min",
        ),
        (
            "[gates.per_bin.r]\nsmad = 1",
            ConfigError,
            r"per_bin.r.smad: unknown key; there are smad_max, .*coverage_95$",
        ),
        (
            '[[specz]]\nfile = "x.fits"\nredshift = "Z"',
            ConfigError,
            r"specz.0.redshift: unknown key; there are file",
        ),
        ("edges = { r = [20, 15] }", ConfigError, "edges: r needs two or more increasing numbers"),
        ("edges = { r = [20] }", ConfigError, "edges: r needs two or more increasing numbers"),
        (
            'select = "MASK < 0"',
            ConfigError,
            "no row with a redshift satisfies select = 'MASK < 0'",
        ),
        ('red = "W > 0"', ConfigError, r"no column W; it has"),
        ('compare = ["ID"]', ConfigError, "column ID holds text"),
        ('weight = "ID"', ConfigError, "column ID holds text"),
        ('training_nz = "nowhere.parquet"', ConfigError, "nowhere.parquet: no such file"),
        (
            "[gates]\nsmad_max = -1",
            ConfigError,
            r"validation.toml: gates.smad_max: Input should be greater than 0",
        ),
        ("[gates", ConfigError, "not valid TOML"),
        (
            "[gates.per_bin.tiles]\nsmad_max = 1",
            ConfigError,
            r"gates.per_bin.tiles: no such breakdown.*tile",
        ),
        ('red = "MAG_GAAP_g >"', ConfigError, "is not valid: invalid syntax"),
        ('z_phot = "Z_BEST"', ConfigError, r"no column Z_BEST; .*it has .*Z_PHOT"),
        ('compare = ["Z_B"]', ConfigError, r"no column Z_B; .*it has"),
    ],
)
def test_settings_that_cannot_be_used(run_validate, gates, error, message):
    with pytest.raises(error, match=message):
        run_validate(nothing, gates)


def test_a_directory_that_cannot_be_made(run_validate, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file is a file; choose another --out"):
        run_validate(nothing, "", "--out", str(tmp_path / "file" / "report"))


def test_a_gate_without_its_columns_does_not_pass(run_validate):
    def no_intervals(columns, z, rng):
        for end in ("LO68", "HI68", "LO95", "HI95"):
            del columns[f"Z_PHOT_{end}"]

    outcome, metrics = run_validate(no_intervals, "[gates]\ncoverage_68 = [0.6, 0.7]")
    assert (outcome.exit_code, failed(metrics)) == (4, {("coverage_68", "all objects")})


def test_a_gate_on_bins_that_are_all_too_small_does_not_pass(run_validate):
    gates = "[gates]\nbin_pairs_min = 100000\n[gates.per_bin.tile]\nsmad_max = 1"
    outcome, metrics = run_validate(nothing, gates)
    assert (outcome.exit_code, failed(metrics)) == (
        4,
        {("per_bin.tile", "no bin of 100000 objects")},
    )


def test_a_failure_code_is_no_redshift_and_a_magnitude_code_no_colour(run_validate):
    def codes(columns, z, rng):
        columns["Z_PHOT"][:100], columns["Z_PHOT"][100:200] = -99, -1
        columns["MAG_GAAP_g"][200:1200] = 99

    _, metrics = run_validate(codes)
    assert metrics["match"]["without_photoz"] == 200
    assert abs(metrics["statistics"]["bias"]["value"]) < 0.002
    _, sound = run_validate(nothing)
    red, red_sound = (m["breakdowns"]["colour"][0]["n"] for m in (metrics, sound))
    assert red < red_sound
    assert max(group["high_edge"] for group in metrics["breakdowns"]["g_r"]) < 5


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (lambda n: np.where(np.arange(n) == 7, np.inf, 1.0), "1 infinite, 0 negative"),
        (lambda n: np.where(np.arange(n) < 3, -1.0, 1.0), "0 infinite, 3 negative"),
        (np.zeros, "weight W is 0 or missing for all 6000 galaxies"),
    ],
)
def test_weights_that_no_mean_can_have_are_refused(run_validate, weight, message):
    def weighted(columns, z, rng):
        columns["W"] = weight(len(z))

    with pytest.raises(ConfigError, match=message):
        run_validate(weighted, 'weight = "W"')


def test_weights_count(run_validate):
    """With weight on red galaxies alone, a bias of blue ones is not seen."""

    def weighted(columns, z, rng):
        biased_blue(columns, z, rng)
        blue = columns["MAG_GAAP_g"] - columns["MAG_GAAP_r"] <= 0.65 + 2.3 * z
        columns["W"] = np.where(blue, 0.0, 2.0)

    biased = run_validate(biased_blue, "")[1]["statistics"]["bias"]["value"]
    unbiased = run_validate(weighted, 'weight = "W"')[1]["statistics"]["bias"]["value"]
    assert biased > 0.002
    assert abs(unbiased) < 0.001


def test_a_redshift_column_without_values_is_noted_and_left_out(run_validate):
    def empty(columns, z, rng):
        columns["Z_B"] = np.full(len(z), -99.0, np.float32)

    _, metrics = run_validate(empty)
    assert metrics["comparisons"] == {}
    assert "Z_B: no galaxy has this redshift" in metrics["notes"]


def test_spec_z_without_a_redshift(run_validate):
    def no_redshifts(columns, z, rng):
        z[:] = -9

    with pytest.raises(ConfigError, match="none of its 6000 rows has a usable redshift"):
        run_validate(no_redshifts)
