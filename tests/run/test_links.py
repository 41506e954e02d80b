"""Links inside a run directory lead nowhere: nothing outside is written, read or deleted."""

import shutil

import pytest

from photoz_run.errors import ConfigError
from photoz_run.run.ledger import RunDirectory
from support.runs import in_process, options, tile_file


@pytest.fixture(scope="module")
def finished(dr4_tile, bundle, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "out"
    with pytest.MonkeyPatch.context() as patch:
        assert in_process(patch, options(dr4_tile.folder, bundle, out)) == 0
    return out


@pytest.fixture
def run(finished, dr4_tile, bundle, tmp_path):
    """A copy of a finished run, and the options that resume it."""
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    return out, options(dr4_tile.folder, bundle, out)


@pytest.mark.parametrize("name", ["tiles", "quarantine", "logs", "locks", "tiles/KIDS_180"])
@pytest.mark.parametrize("more", [[], ["--restart"]])
def test_a_folder_that_is_a_link_is_refused(
    run, dr4_tile, tmp_path, monkeypatch, capsys, name, more
):
    out, arguments = run
    folder = out / name.replace("KIDS_180", dr4_tile.name.partition(".")[0])
    elsewhere = tmp_path / "elsewhere"
    shutil.move(folder, elsewhere)
    folder.symlink_to(elsewhere)
    (elsewhere / ".mine.part").touch()
    before = sorted(elsewhere.rglob("*"))
    assert in_process(monkeypatch, [*arguments, *more]) == 2
    said = capsys.readouterr().err
    assert f"{folder} is a link: a run writes into its own directory alone" in said
    assert sorted(elsewhere.rglob("*")) == before


def test_a_tile_file_that_is_a_link_is_made_anew_and_its_target_stays(
    run, dr4_tile, tmp_path, monkeypatch
):
    out, arguments = run
    file, target = tile_file(out, dr4_tile.name), tmp_path / "elsewhere.parquet"
    shutil.move(file, target)
    file.symlink_to(target)
    whole = target.read_bytes()
    assert in_process(monkeypatch, arguments) == 0
    assert not file.is_symlink()
    assert file.read_bytes() == target.read_bytes() == whole


def test_a_record_that_is_a_link_is_none(run, dr4_tile, tmp_path):
    out, _ = run
    mark, target = tile_file(out, dr4_tile.name, ".json"), tmp_path / "elsewhere.json"
    shutil.move(mark, target)
    mark.symlink_to(target)
    assert RunDirectory(out).outcomes() == {}


def test_a_directory_may_itself_be_reached_by_a_link(run, tmp_path, monkeypatch):
    out, arguments = run
    shutil.move(out, tmp_path / "large-disk")
    out.symlink_to(tmp_path / "large-disk")
    assert in_process(monkeypatch, arguments) == 0
    with pytest.raises(ConfigError):
        RunDirectory(tmp_path / "nothing").read_manifest()
