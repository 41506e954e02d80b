"""The configuration: complete, frozen, one name for an option wherever it stands."""

import inspect
from pathlib import Path

import pytest

from photoz_run.afar_settings import AfarConfig
from photoz_run.cli.run import run as command
from photoz_run.config import RESULT_FIELDS, ClusterConfig, RunConfig, load_config
from photoz_run.errors import ConfigError

EVERY_FIELD = """
tiles = ["KIDS_18*", "@more.txt"]
data = ["/data/kids", "https://archive.eso.org/kids"]
out = "run"
model = "my.onnx"
data_release = "DR5"
select = "bright and not masked"
formats = ["parquet", "fits"]
keep = ["Z_B", "SeqNr"]
quantiles = true
magnitudes = "mags.parquet"
magnitudes_by = "id"
magnitudes_radius = 0.5
magnitudes_ra = "lon"
magnitudes_dec = "lat"
magnitudes_id = "name"
missing_band = "flag"
missing_dmag = "zero"
bad_pixel_bits = 3
use_weights = false
reading = "rows"
storage_seek = 150.0
storage_stream = 5000.0
provider = "cuda"
allow_fallback = true
workers = "3:7"
shard = "2/8"
attempts = 5
tile_minutes = 30
worker_memory = "2GB"
worker_wait = 5
scratch = "/local"

[afar]
window = "200GB"
scratch_shared = "/scratch"
fetchers = 8
fetch_rate = 100.0
keep_quarantined = true

[cluster]
kind = "slurm"
queue = "main"
cores = 4
gpus = 1
tls = false
"""
LEAST = {"tiles": ["all"], "data": ["d"], "out": "o"}


def test_every_field_can_stand_in_the_toml_and_comes_back(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(EVERY_FIELD)
    config = load_config(path, {})
    assert config.model_fields_set == set(RunConfig.model_fields)
    defaults = RunConfig.model_validate(LEAST)
    assert all(getattr(config, name) != getattr(defaults, name) for name in RunConfig.model_fields)
    path.write_text(config.resolved_toml())
    assert load_config(path, {}) == config


def test_the_resolved_defaults_come_back(tmp_path):
    path = tmp_path / "run.toml"
    config = load_config(None, LEAST)
    path.write_text(config.resolved_toml())
    assert load_config(path, {}) == config
    assert load_config(path, {}).digest() == config.digest()


def test_every_option_of_the_command_is_a_field_of_the_same_name():
    actions = {"config", "dry_run", "restart", "as_json", "version"}
    of_jobs = {"queue", "account", "walltime", "memory"}
    tables = set(ClusterConfig.model_fields) | set(AfarConfig.model_fields)
    fields = set(RunConfig.model_fields) | tables | of_jobs
    assert set(inspect.signature(command).parameters) - actions <= fields


def test_options_of_the_cluster_join_its_table_in_the_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(EVERY_FIELD)
    cluster = load_config(path, {"cluster": {"queue": "long", "walltime": "04:00:00"}}).cluster
    assert (cluster.kind, cluster.gpus) == ("slurm", 1)
    assert cluster.job_keys == {"queue": "long", "cores": 4, "walltime": "04:00:00"}


@pytest.mark.parametrize(
    ("given", "range_"), [(4, (4, 4)), ("4", (4, 4)), ("0:9", (0, 9)), ("2:40", (2, 40))]
)
def test_workers_are_a_number_or_a_range(given, range_):
    assert load_config(None, LEAST | {"workers": given}).worker_range == range_


def test_a_share_is_counted_from_one():
    config = load_config(None, LEAST | {"shard": "3/32"})
    assert (config.share, config.share_name) == ((3, 32), "-shard-3-of-32")
    whole = load_config(None, LEAST)
    assert (whole.share, whole.share_name) == ((1, 1), "")


def test_every_field_says_what_it_is():
    assert all(field.description for field in RunConfig.model_fields.values())


def test_the_command_line_wins_over_the_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(EVERY_FIELD)
    config = load_config(path, {"select": "all", "workers": None, "out": Path("other")})
    assert (config.select, config.workers, config.out) == ("all", "3:7", Path("other"))


def test_it_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load_config(None, LEAST).out = Path("x")


@pytest.mark.parametrize(
    "field", ["workers", "provider", "attempts", "scratch", "allow_fallback", "cluster", "shard"]
)
def test_where_and_how_often_a_run_computes_does_not_make_it_another(field):
    values = {
        "workers": 2,
        "provider": "cpu",
        "attempts": 1,
        "scratch": "/x",
        "allow_fallback": True,
    }
    values |= {"cluster": {"kind": "slurm", "queue": "long"}, "shard": "2/3"}
    assert (
        load_config(None, LEAST | {field: values[field]}).digest()
        == load_config(None, LEAST).digest()
    )


@pytest.mark.parametrize("field", RESULT_FIELDS)
def test_what_changes_a_result_changes_the_digest(field, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(EVERY_FIELD)
    other = getattr(load_config(path, {}), field)
    assert load_config(None, LEAST | {field: other}).digest() != load_config(None, LEAST).digest()


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"tile": ["x"]}, "unknown key 'tile'; known keys are tiles, data, out, model"),
        ({"tiles": []}, "tiles: "),
        ({"data": []}, "data: "),
        ({"bad_pixel_bits": 256}, "bad_pixel_bits: .*255"),
        ({"magnitudes_radius": 0}, "magnitudes_radius: .*greater than 0"),
        ({"formats": ["fits"]}, "formats must include parquet"),
        ({"workers": 1.5}, "workers: give N or MIN:MAX, in whole numbers"),
        ({"workers": "4:"}, "workers: give N or MIN:MAX, in whole numbers"),
        ({"workers": "4:2"}, "workers: MIN:MAX needs MIN <= MAX"),
        ({"workers": 0}, "workers: MIN:MAX needs MIN <= MAX and MAX of at least 1"),
        ({"shard": "0/3"}, "shard: shards are counted from 1"),
        ({"shard": "4/3"}, "shard: shards are counted from 1"),
        ({"shard": "a/3"}, "shard: give I/N, in whole numbers"),
        ({"cluster": "slurm"}, "cluster: "),
        ({"cluster": {"kind": "moab"}}, "cluster.kind: .*'slurm', 'pbs'"),
        ({"cluster": {"queue": "main"}}, "queue is a setting of worker jobs: give --cluster slurm"),
        ({"cluster": {"gpus": 1}}, "gpus is a setting of worker jobs"),
        (
            {"cluster": {"scheduler": "tls://a:1", "kind": "pbs"}},
            "a scheduler that runs already has its own workers",
        ),
        (
            {"cluster": {"scheduler": "tls://a:1", "scheduler_file": "s.json"}},
            "name the same thing",
        ),
        ({"attempts": 0}, "attempts: "),
        ({"worker_memory": "lots"}, "worker_memory: give a size such as 4GB"),
        ({"tile_minutes": 0}, "tile_minutes: "),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(setting, complaint):
    with pytest.raises(ConfigError, match=complaint) as refused:
        load_config(None, LEAST | setting)
    assert "\n" not in str(refused.value)
