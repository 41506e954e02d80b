"""Runs over an object store, and over a list of signed addresses: as over local files."""

from pathlib import Path

import boto3
import pyarrow.parquet as pq
import pytest
import s3fs

from support.runs import in_process, options, outcome, tile_file
from support.servers import moto, nginx
from support.tiles import make_tile

NAME = "KIDS_180.0_-0.5"
SECRET = "d41d8cd98f00b204"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "dr5"
    make_tile(folder, NAME, number=8)
    return folder


@pytest.fixture(scope="module")
def local(data, bundle) -> Path:
    out = data.parent / "local"
    with pytest.MonkeyPatch.context() as patch:
        assert in_process(patch, options(data, bundle, out)) == 0
    return out


def afar(place: object, bundle: Path, out: Path) -> list[str]:
    places = ("--window", "1GB", "--scratch-shared", str(out.parent / "shared"))
    return options(str(place), bundle, out, *places)


def test_a_run_over_an_object_store(data, local, bundle, tmp_path, monkeypatch):
    with moto() as url:
        keys = {"AWS_ACCESS_KEY_ID": "anna", "AWS_SECRET_ACCESS_KEY": SECRET}
        for name, value in (keys | {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1"}).items():
            monkeypatch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        client = boto3.client("s3")
        client.create_bucket(Bucket="kids")
        for path in data.iterdir():
            client.upload_file(str(path), "kids", f"dr5/{path.name}")
        assert in_process(monkeypatch, afar("s3://kids/dr5", bundle, tmp_path / "run")) == 0
    ours, theirs = (pq.read_table(tile_file(out, NAME)) for out in (tmp_path / "run", local))
    assert ours.equals(theirs)
    for file in outcome(tmp_path / "run", NAME)["fetched"]:
        assert file["url"] == f"s3://kids/dr5/{file['name']}"
        assert file["digest"]
    assert_nowhere(SECRET, tmp_path / "run")


def test_signatures_of_a_list_stand_nowhere(data, bundle, tmp_path, monkeypatch, capfd):
    """Not in files and messages of a run, not even of one that fails."""
    listed = tmp_path / "list.txt"

    def run(out: str, lines: str) -> int:
        listed.write_text(lines)
        return in_process(monkeypatch, afar(listed, bundle, tmp_path / out))

    with nginx(data, tmp_path / "nginx", f"if ($arg_token != {SECRET}) {{ return 403; }}") as url:
        good = "".join(f"{url}/{path.name}?token={SECRET}\n" for path in data.iterdir())
        absent = good.replace("_r_sci.fits", "_r_sci.fits.gz")
        assert run("run", good) == 0
        assert run("absent", absent) == 3
        assert run("refused", good.replace(SECRET, f"{SECRET}x")) == 2
    first = outcome(tmp_path / "run", NAME)["fetched"][0]
    assert first["url"].endswith("_cat.fits?token=***")
    said = capfd.readouterr()
    assert "_r_sci.fits.gz?token=***: not there (404 Not Found)" in said.out
    assert "?token=***: refused (403 Forbidden)" in said.err
    assert SECRET not in said.out + said.err
    assert_nowhere(SECRET, tmp_path / "run", tmp_path / "absent", tmp_path / "shared")


def assert_nowhere(secret: str, *folders: Path) -> None:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if secret.encode() in path.read_bytes()] == []
