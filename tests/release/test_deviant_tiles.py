"""A tile whose zero-point stands out is named by status, release and validation alike."""

import json
import shutil

from photoz_run.cli.validate import tile_notes
from photoz_run.release.provenance import read_provenance
from photoz_run.run.status import read_status
from photoz_run.science import zero_point
from support.photoz import AGAIN, FIELD, OTHER, photoz


def test_a_tile_with_an_unusual_zero_point_is_named_everywhere(run, tmp_path, monkeypatch):
    copy, out = tmp_path / "run", tmp_path / "release"
    shutil.copytree(run, copy)
    monkeypatch.setattr(zero_point, "FEWEST_TILES", 3)
    for tile, offset in {FIELD: 0.2, AGAIN: 0.2, OTHER: 0.5}.items():
        (path,) = copy.glob(f"tiles/*/{tile}.json")
        outcome = json.loads(path.read_text())
        path.write_text(
            json.dumps(outcome | {"zero_points": {"r": offset}, "zero_point_errors": {"r": 0.015}})
        )
    words = f"{OTHER} r +12.0 sigma"
    assert read_status(copy).deviant == (words,)
    assert tile_notes(copy) == [f"unusual zero-point: {words}"]
    name = ("--name", "sim", "--quiet", "--formats", "parquet")
    assert photoz("release", copy, "--out", out, *name) == 0
    assert read_provenance(out).deviant == (words,)
    assert tile_notes(out) == tile_notes(copy)
    section = (out / "README.md").read_text().partition("## Tiles with an unusual zero-point")[2]
    assert f"- {words}\n" in section
    assert photoz("verify", out) == 0
    (copy / "manifest.json").write_text("{}")
    (note,) = tile_notes(copy)
    assert note.startswith("tiles that are missing or have an unusual zero-point are not known: ")


def test_a_release_without_such_tiles_says_nothing(release):
    assert read_provenance(release).deviant == ()
    assert "unusual zero-point" not in (release / "README.md").read_text()
