"""What the run said of a tile that is odd goes with its rows into the release."""

import json
import shutil

import pytest
from astropy.io import fits

from photoz_models.documents import document_text
from photoz_run.cli.validate import tile_notes
from photoz_run.progress import StepProgress
from photoz_run.release.provenance import read_provenance
from photoz_run.release.verify import verify
from support.forgery import resum
from support.photoz import AGAIN, FIELD, OTHER, photoz

SAID = {FIELD: "u light is +0.6, +0.1 pixels off", AGAIN: "u light is +0.7, +0.2 pixels off"}
BAND = "g pixels give no flux at any source"


@pytest.fixture
def odd(run, tmp_path):
    """The run, in which two tiles have like remarks and a third another."""
    copy = shutil.copytree(run, tmp_path / "run")
    for tile, remark in {**SAID, OTHER: BAND}.items():
        (path,) = copy.glob(f"tiles/*/{tile}.json")
        path.write_text(json.dumps(json.loads(path.read_text()) | {"remarks": [remark]}))
    return copy


def test_the_remarks_of_a_run_are_in_its_release_and_proven(odd, tmp_path, capsys):
    out = tmp_path / "release"
    assert photoz("release", odd, "--out", out, "--name", "sim", "--quiet") == 0
    told = capsys.readouterr().out
    lines = [f"{FIELD}, {AGAIN}: u light is #, # pixels off", f"{OTHER}: {BAND}"]
    readme = (out / "README.md").read_text()
    assert "> **There are remarks on 3 tiles**" in readme
    for line in lines:
        assert f"\n{line}\n" in told
        assert f"\n- {line}\n" in readme
    assert tile_notes(out) == lines
    stated = {tile.tile: tile.remarks for tile in read_provenance(out).tiles}
    assert {tile: stated[tile] for tile in SAID} == {tile: (SAID[tile],) for tile in SAID}
    texts = fits.getdata(out / "sim.fits", "TEXTS")
    rows = {row["TEXT"] for row in texts if row["NAME"] == "remarks"}
    assert f"{FIELD}: {SAID[FIELD]}" in rows
    assert not [check for check in verify(out, StepProgress(quiet=True), odd) if check.failed]


def test_a_release_of_before_remarks_were_told_agrees_with_its_run(odd, tmp_path, monkeypatch):
    out = tmp_path / "release"
    monkeypatch.setattr("photoz_run.release.facts.remarks_of", lambda outcome: None)
    monkeypatch.setattr("photoz_run.release.facts.program_commit", lambda: "1234567")
    assert photoz("release", odd, "--out", out, "--name", "sim", "--quiet") == 0
    said = json.loads(document_text(read_provenance(out)))
    for tile in said["tiles"]:
        del tile["remarks"]
    (out / "provenance.json").write_text(json.dumps(said))
    resum(out)
    assert not [check for check in verify(out, StepProgress(quiet=True), odd) if check.failed]
    assert tile_notes(out) == []
