"""What the tiles of a release were computed on is told: a GPU may differ in last digits."""

import json
import shutil

from photoz_run.release.provenance import read_provenance
from photoz_run.run.ledger import RunDirectory
from photoz_run.run.summary import RunSummary
from support.photoz import OTHER, photoz


def test_tiles_computed_on_a_gpu_and_on_a_cpu_are_counted(run, tmp_path):
    copy, out = tmp_path / "run", tmp_path / "release"
    shutil.copytree(run, copy)
    (path,) = copy.glob(f"tiles/*/{OTHER}.json")
    outcome = json.loads(path.read_text())
    path.write_text(json.dumps(outcome | {"provider": "cuda on NVIDIA H100"}))
    name = ("--name", "sim", "--quiet", "--formats", "parquet")
    assert photoz("release", copy, "--out", out, *name) == 0
    tiles = read_provenance(out).run.computed_on
    assert tiles == {"cpu": sum(tiles.values()) - 1, "cuda on NVIDIA H100": 1}
    assert "; cuda on NVIDIA H100 (1 tile) |" in (out / "README.md").read_text()
    assert photoz("verify", out, "--run", copy) == 0
    mixture = RunSummary(copy, RunDirectory(copy).outcomes()).mixture
    assert mixture.startswith("computed on cpu (")
    assert mixture.endswith("photoz model equivalence says whether that can be seen")


def test_one_provider_is_no_mixture(run):
    summary = RunSummary(run, RunDirectory(run).outcomes())
    assert (summary.document.providers, summary.mixture) == (("cpu",), "")
