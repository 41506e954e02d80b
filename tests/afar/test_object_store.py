"""Tiles in an object store: the same transfers through fsspec and s3fs, on a store of moto."""

import urllib.request

import boto3
import pyarrow.parquet as pq
import pytest
import s3fs

from photoz_run.afar.fetching import Portion, fetch
from photoz_run.afar.listing import find_afar, looked_at
from photoz_run.afar.transfer import Manners
from photoz_run.errors import BadDataError, ConfigError, TransientError
from photoz_run.survey.discovery import find_tiles
from support.runs import assert_nowhere, in_process, options, outcome, tile_file
from support.servers import CuttingProxy, moto
from support.tiles import make_tile

HASTY = Manners(silence=2, attempts=2, pause=0.01)
BUCKET, SECRET = "kids", "d41d8cd98f00b204"


@pytest.fixture(scope="module")
def store():
    with moto() as url:
        yield url


@pytest.fixture
def client(store, monkeypatch):
    """A client of the empty store; its address and keys stand where those of users do."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", store)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3fs.S3FileSystem.clear_instance_cache()
    urllib.request.urlopen(urllib.request.Request(f"{store}/moto-api/reset", method="POST"))
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    return client


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    root = tmp_path_factory.mktemp("survey")
    make_tile(root, number=4, bands=("r",))
    return root


@pytest.fixture
def filled(client, survey):
    for path in survey.iterdir():
        client.upload_file(str(path), BUCKET, f"dr5/{path.name}")
    return client


def planned(window):
    afar = find_afar([f"s3://{BUCKET}/dr5"], window)
    return looked_at(afar, afar.tiles)


def test_a_bucket_is_a_folder(filled, survey, tmp_path):
    afar = planned(tmp_path / "window")
    here = find_tiles([survey])
    assert list(afar.tiles) == list(here)
    for path, file in afar.remote.items():
        fetched = fetch(Portion(file), HASTY)
        assert path.read_bytes() == (survey / path.name).read_bytes()
        assert fetched.url == f"s3://{BUCKET}/dr5/{path.name}"
        assert fetched.moved == fetched.bytes == file.bytes
        assert fetched.etag
    for tile, ref in afar.tiles.items():
        assert [path.name for path in ref.paths()] == [path.name for path in here[tile].paths()]


def test_ranges_and_resumed_transfers(filled, survey, tmp_path):
    afar = planned(tmp_path)
    file = next(file for path, file in afar.remote.items() if "r_sci" in path.name)
    content = (survey / file.path.name).read_bytes()
    some = fetch(Portion(file, ((0, 4096), (8192, 12288))), HASTY)
    assert (some.moved, some.pieces) == (8192, 2)
    assert file.path.read_bytes()[8192:12288] == content[8192:12288]
    assert fetch(Portion(file), HASTY).moved == len(content)
    assert file.path.read_bytes() == content


def test_an_object_that_changes_or_goes_is_refused(filled, tmp_path):
    first, second = list(planned(tmp_path).remote.values())[:2]
    filled.put_object(Bucket=BUCKET, Key=f"dr5/{first.path.name}", Body=b"another")
    with pytest.raises(BadDataError, match="has changed since the run was planned"):
        fetch(Portion(first), HASTY)
    filled.delete_object(Bucket=BUCKET, Key=f"dr5/{second.path.name}")
    with pytest.raises(BadDataError, match="not there"):
        fetch(Portion(second), HASTY)
    assert not first.path.exists()


def test_an_object_that_changes_while_it_is_read_is_refused(filled, survey, tmp_path, monkeypatch):
    monkeypatch.setattr("photoz_run.afar.filesystems.PIECE", 4096)
    file = next(iter(planned(tmp_path).remote.values()))
    content = (survey / file.path.name).read_bytes()

    def change(number):
        if number:
            body = content[:-1] + b"?"
            filled.put_object(Bucket=BUCKET, Key=f"dr5/{file.path.name}", Body=body)

    with pytest.raises(BadDataError, match="its ETag has changed since the run was planned"):
        fetch(Portion(file), HASTY, change)
    assert list(tmp_path.glob("*/*")) == []
    with pytest.raises(BadDataError, match="its ETag has changed since the run was planned"):
        fetch(Portion(file, ((0, 4096),)), HASTY)
    assert not file.path.exists()


@pytest.mark.parametrize("times", [1, 1000])
def test_an_answer_that_is_cut_off_is_asked_for_again(
    filled, store, survey, tmp_path, monkeypatch, times
):
    proxy = CuttingProxy(store, times)
    with proxy.running() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        s3fs.S3FileSystem.clear_instance_cache()
        file = next(file for path, file in planned(tmp_path).remote.items() if "r_sci" in path.name)
        if times == 1:
            fetch(Portion(file), HASTY)
            assert file.path.read_bytes() == (survey / file.path.name).read_bytes()
        else:
            with pytest.raises(TransientError, match="given up after 2 failures in a row"):
                fetch(Portion(file), HASTY)
            assert not file.path.exists()
    assert proxy.left < times


def test_places_that_are_no_buckets(filled, tmp_path):
    with pytest.raises(ConfigError, match="s3://nowhere/dr5"):
        find_afar(["s3://nowhere/dr5"], tmp_path)
    with pytest.raises(ConfigError, match="no KiDS file"):
        find_afar([f"s3://{BUCKET}/dr4"], tmp_path)
    with pytest.raises(ConfigError, match="nosuch://a/b: "):
        find_afar(["nosuch://a/b"], tmp_path)


def test_missing_credentials_are_one_line(filled, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(ConfigError, match=r"refused .*credentials are missing or wrong"):
        find_afar([f"s3://{BUCKET}/dr5"], tmp_path)


def test_wrong_credentials_are_one_line(filled, store, tmp_path):
    def enforce(after):
        address = f"{store}/moto-api/reset-auth"
        headers = {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(address, after, headers, method="POST"))

    enforce(b"0")
    try:
        with pytest.raises(ConfigError, match=r"refused .*credentials are missing or wrong"):
            find_afar([f"s3://{BUCKET}/dr5"], tmp_path)
    finally:
        enforce(b"inf")


def test_a_run_reads_catalogues_here_and_coadds_from_a_store(
    client, bundle, tmp_path, monkeypatch, capfd
):
    tile = make_tile(tmp_path / "all", number=4)
    here = tmp_path / "catalogues"
    here.mkdir()
    for path in tile.folder.glob("*_[ugri]_*"):
        client.upload_file(str(path), BUCKET, f"dr5/{path.name}")
    (here / tile.catalogue.name).write_bytes(tile.catalogue.read_bytes())
    window = ("--window", "1GB", "--scratch-shared", str(tmp_path / "shared"))
    arguments = options(here, bundle, tmp_path / "afar", *window)
    arguments[4:4] = [f"s3://{BUCKET}/dr5"]
    assert in_process(monkeypatch, arguments) == 0
    assert in_process(monkeypatch, options(tile.folder, bundle, tmp_path / "local")) == 0
    ours, theirs = (
        pq.read_table(tile_file(tmp_path / name, tile.name)) for name in ("afar", "local")
    )
    assert ours.equals(theirs)
    fetched = outcome(tmp_path / "afar", tile.name)["fetched"]
    assert len(fetched) == 12
    for file in fetched:
        assert file["url"] == f"s3://{BUCKET}/dr5/{file['name']}"
        assert file["digest"]
        assert file["etag"]
    said = capfd.readouterr()
    assert SECRET not in said.out + said.err
    assert_nowhere(SECRET, tmp_path / "afar", tmp_path / "shared")
