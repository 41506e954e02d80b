"""One file from its server into the window, with everything a server can do wrong."""

import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from photoz_run.afar.fetching import Portion, fetch
from photoz_run.afar.listing import RemoteFile
from photoz_run.afar.opening import open_store
from photoz_run.afar.transfer import Manners
from photoz_run.errors import BadDataError, ConfigError, OutputError, TransientError
from photoz_run.images.opening import open_image
from support.servers import WrongServer, nginx

HASTY = Manners(silence=60.0, attempts=3, pause=0.01)
IMPATIENT = replace(HASTY, silence=3.0)
"""With a server that stalls."""


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """An image of 3 MB with DATASUM: aiohttp drops some 100 kB where a connection breaks."""
    path = tmp_path_factory.mktemp("image") / "a.fits"
    pixels = np.random.default_rng(1).normal(0, 1e-12, (860, 870)).astype(np.float32)
    fits.PrimaryHDU(pixels).writeto(path, checksum=True)
    return path.read_bytes()


@pytest.fixture
def server(content):
    with WrongServer().running() as wrong:
        wrong.files["/a.fits"] = content
        yield wrong


def planned(server, path, checksum=""):
    """The file as a run was planned with it."""
    url = f"{server.url}/a.fits"
    return RemoteFile(url, path, open_store(url).look(url), checksum)


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(".part"))


def test_a_file_comes_with_size_time_and_digest(server, content, tmp_path):
    file = planned(server, tmp_path / "tile" / "a.fits")
    ticks = []
    fetched = fetch(Portion(file), HASTY, ticks.append)
    assert file.path.read_bytes() == content
    assert file.path.stat().st_mtime == 1.7e9
    assert sum(ticks) == fetched.moved == fetched.bytes == len(content)
    assert fetched.digest == hashlib.sha256(content).hexdigest()
    assert fetched.verified == "DATASUM"
    assert (fetched.url, fetched.etag) == (file.url, file.facts.etag)
    assert fetched.modified == "2023-11-14T22:13:20+00:00"
    # It is there: nothing comes again.
    assert fetch(Portion(file), HASTY) == replace(
        fetched, moved=0, seconds=pytest.approx(0, abs=60)
    )


@pytest.mark.parametrize("fault", ["truncate", "reset", "stall", 500, 503, 429])
def test_what_passes_is_tried_again_and_goes_on_where_it_was(server, content, tmp_path, fault):
    server.faults["/a.fits"] = [fault, fault]
    file = planned(server, tmp_path / "a.fits")
    fetched = fetch(Portion(file), IMPATIENT if fault == "stall" else HASTY)
    assert file.path.read_bytes() == content
    assert fetched.digest == hashlib.sha256(content).hexdigest()
    if fault in ("truncate", "stall"):  # a reset may lose all that has come
        starts = [asked for method, _, asked in server.requests if method == "GET"]
        assert starts[0] == ""
        assert all(asked.startswith("bytes=") for asked in starts[1:])
        assert len(content) <= fetched.moved < 1.3 * len(content)


def test_a_server_without_ranges_begins_anew(server, content, tmp_path):
    server.ranges = False
    server.faults["/a.fits"] = ["truncate"]
    file = planned(server, tmp_path / "a.fits")
    fetched = fetch(Portion(file), HASTY)
    assert file.path.read_bytes() == content
    assert fetched.digest == hashlib.sha256(content).hexdigest()
    assert fetched.moved > 1.2 * len(content)


def test_a_server_that_tells_no_size(server, content, tmp_path):
    server.sizes = server.ranges = False
    file = planned(server, tmp_path / "a.fits")
    assert file.bytes == -1
    assert fetch(Portion(file), HASTY).verified == "DATASUM"
    assert file.path.read_bytes() == content
    server.files["/a.fits"] = b"no FITS file"
    file = planned(server, tmp_path / "b.fits")
    assert fetch(Portion(file), HASTY).verified == "nothing"


def test_parts_of_two_versions_are_not_put_together_where_nothing_tells_them_apart(
    server, content, tmp_path
):
    """There is no DATASUM either."""
    old, new = (np.random.default_rng(seed).bytes(400_000) for seed in (1, 2))
    server.etags = server.times = False
    server.files["/a.fits"], server.faults["/a.fits"] = old, ["truncate"]
    file = planned(server, tmp_path / "a.fits")

    def change(number):
        server.files["/a.fits"] = new

    fetched = fetch(Portion(file), HASTY, change)
    assert file.path.read_bytes() == new
    assert fetched.digest == hashlib.sha256(new).hexdigest()
    assert [asked for _, _, asked in server.requests if asked] == []


@pytest.mark.parametrize("fault", ["elsewhere", "nowhere"])
def test_a_range_that_begins_elsewhere_is_not_taken(server, tmp_path, fault):
    """There is no DATASUM that would tell."""
    server.files["/a.fits"] = np.random.default_rng(1).bytes(400_000)
    server.faults["/a.fits"] = ["truncate", fault]
    file = planned(server, tmp_path / "a.fits")
    with pytest.raises(BadDataError, match="its bytes from 200,000 on, the server sends others"):
        fetch(Portion(file), HASTY)
    assert not file.path.exists()
    assert leftovers(tmp_path) == []
    server.faults["/a.fits"] = [fault]
    assert fetch(Portion(file, ((4096, 8192),)), HASTY).verified == "size"
    assert file.path.read_bytes() == server.files["/a.fits"]


def test_a_server_that_calls_files_empty_unless_they_are_read(server, content, tmp_path):
    server.faults["HEAD /a.fits"] = ["empty"]
    assert planned(server, tmp_path / "a.fits").bytes == len(content)


def test_a_web_page_may_begin_with_a_mark(server, tmp_path):
    server.page, server.faults["/a.fits"] = b"\xef\xbb\xbf<!DOCTYPE html>", ["page"]
    file = planned(server, tmp_path / "a.fits")
    with pytest.raises(BadDataError, match="a web page instead of the file"):
        fetch(Portion(file), HASTY)


@pytest.mark.parametrize("fault", ["truncate", "reset", "stall", 500])
def test_a_server_that_fails_without_end_is_given_up(server, tmp_path, fault):
    server.ranges = False
    server.faults["/a.fits"] = [fault] * 20
    file = planned(server, tmp_path / "a.fits")
    with pytest.raises(TransientError, match=r"a.fits: .*given up after 3 failures in a row"):
        fetch(Portion(file), IMPATIENT if fault == "stall" else HASTY)
    assert not file.path.exists()


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (404, BadDataError, "not there .404"),
        (401, ConfigError, "refused .401.*credentials are missing or wrong"),
        (403, ConfigError, "refused .403"),
        ("page", BadDataError, "a web page instead of the file"),
        ("shorter", BadDataError, "its size has changed since the run was planned"),
        ("changed", BadDataError, "its ETag has changed since the run was planned"),
    ],
)
def test_what_does_not_pass_ends_at_once(server, tmp_path, fault, error, words):
    server.faults["/a.fits"] = [fault] * 2
    file = planned(server, tmp_path / "a.fits")
    with pytest.raises(error, match=words):
        fetch(Portion(file), HASTY)
    assert not file.path.exists()
    assert len(server.requests) == 2


def test_a_file_that_changes_between_two_ranges_is_refused(server, content, tmp_path):
    server.faults["/a.fits"] = ["truncate"]
    file = planned(server, tmp_path / "a.fits")

    def change(number):
        server.files["/a.fits"] = content[:-2880] + bytes(2880)

    with pytest.raises(BadDataError, match="its ETag has changed"):
        fetch(Portion(file), HASTY, change)
    assert not file.path.exists()


def test_retry_after_is_honoured(server, tmp_path):
    server.faults["/a.fits"] = [503]
    server.retry_after = "2"
    file = planned(server, tmp_path / "a.fits")
    assert fetch(Portion(file), HASTY).seconds >= 2
    server.faults["/a.fits"], server.retry_after = [503], "86400"
    with pytest.raises(TransientError, match="it asks to wait for 86,400 s"):
        fetch(Portion(replace(file, path=tmp_path / "b.fits")), HASTY)


def test_a_transfer_that_was_killed_goes_on(server, content, tmp_path):
    file = planned(server, tmp_path / "a.fits")

    class Killed(BaseException):
        """As a signal."""

    def kill(number):
        raise Killed

    server.faults["/a.fits"] = ["truncate"]
    with pytest.raises(Killed):
        fetch(Portion(file), replace(HASTY, pause=5.0), lambda number: number or kill(number))
    assert not file.path.exists()
    assert len(leftovers(tmp_path)) == 1
    fetched = fetch(Portion(file), HASTY)
    assert file.path.read_bytes() == content
    assert leftovers(tmp_path) == []
    assert fetched.moved < len(content)
    assert fetched.digest == hashlib.sha256(content).hexdigest()


def test_the_part_of_another_version_is_not_continued(server, content, tmp_path):
    file = planned(server, tmp_path / "a.fits")
    server.faults["/a.fits"] = ["truncate"] + [500] * 9
    with pytest.raises(TransientError):
        fetch(Portion(file), HASTY)
    server.files["/a.fits"], server.faults["/a.fits"] = content[:2880] + content[2880:][::-1], []
    with pytest.raises(BadDataError, match="ETag has changed"):
        fetch(Portion(file), HASTY)
    newly = planned(
        server, file.path, "sha256:" + hashlib.sha256(server.files["/a.fits"]).hexdigest()
    )
    assert fetch(Portion(newly), HASTY).moved == len(content)
    assert file.path.read_bytes() == server.files["/a.fits"]
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_the_checksum_of_a_list_decides(server, content, tmp_path, kind):
    right = f"{kind}:{hashlib.new(kind, content).hexdigest()}"
    assert fetch(Portion(planned(server, tmp_path / "a.fits", right)), HASTY).verified == kind
    wrong = planned(server, tmp_path / "b.fits", f"{kind}:{hashlib.new(kind, b'').hexdigest()}")
    with pytest.raises(
        BadDataError, match=r"fetched twice, .* not that of the checksum of the list"
    ):
        fetch(Portion(wrong), HASTY)
    assert not wrong.path.exists()
    assert leftovers(tmp_path) == []


def test_bytes_that_change_on_the_way_are_found_by_datasum(server, content, tmp_path):
    file = planned(server, tmp_path / "a.fits")
    damaged = bytearray(content)
    damaged[5000] ^= 1
    part = next(iter_part(file, bytes(damaged)))
    assert part.exists()
    fetched = fetch(Portion(file), HASTY)
    assert fetched.verified == "DATASUM"
    assert file.path.read_bytes() == content


def iter_part(file, content):
    """Bytes that are taken for those of an earlier transfer."""
    from photoz_run.afar.fetching import _part

    part = _part(file)
    part.write_bytes(content)
    yield part


def test_a_file_whose_datasum_is_wrong_at_home_is_taken(server, content, tmp_path):
    damaged = bytearray(content)
    damaged[5000] ^= 1
    server.files["/a.fits"] = bytes(damaged)
    file = planned(server, tmp_path / "a.fits")
    assert fetch(Portion(file), HASTY).verified == "fetched twice"
    assert file.path.read_bytes() == bytes(damaged)


def test_a_rate_is_kept(server, content, tmp_path):
    file = planned(server, tmp_path / "a.fits")
    fetched = fetch(Portion(file), replace(HASTY, rate=len(content) / 0.5))
    assert fetched.seconds >= 0.45


def test_a_folder_that_cannot_be_written_ends_the_run(server, tmp_path):
    (tmp_path / "tile").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match="cannot be written"):
        fetch(Portion(planned(server, tmp_path / "tile" / "a.fits")), HASTY)


def test_a_server_that_gives_no_range_sends_the_whole_file(server, content, tmp_path):
    server.ranges = False
    file = planned(server, tmp_path / "a.fits")
    fetched = fetch(Portion(file, ((0, 65536), (131072, 135168))), HASTY)
    assert (fetched.verified, fetched.pieces) == ("DATASUM", 1)
    assert file.path.read_bytes() == content


def test_what_came_of_ranges_is_not_taken_for_the_beginning_of_a_whole_file(server, tmp_path):
    """There is no DATASUM that would tell."""
    content = np.random.default_rng(3).bytes(400_000)
    server.files["/a.fits"] = content
    file = planned(server, tmp_path / "a.fits")

    class Killed(BaseException):
        """As a signal."""

    def kill(number):
        if number:
            raise Killed

    with pytest.raises(Killed):
        fetch(Portion(file, ((0, 1000), (200_000, 201_000))), HASTY, kill)
    assert len(leftovers(tmp_path)) == 1
    assert fetch(Portion(file), HASTY).moved == len(content)
    assert file.path.read_bytes() == content
    assert leftovers(tmp_path) == []


def test_an_etag_that_is_weak_for_a_moment_is_no_other(server, content, tmp_path):
    """Apache calls that of a file weak within a second of its last change."""
    file = planned(server, tmp_path / "a.fits")
    weak = replace(file.facts, etag=f"W/{file.facts.etag}")
    assert fetch(Portion(replace(file, facts=weak)), HASTY).bytes == len(content)


def test_ranges_leave_holes_that_nobody_reads(server, content, tmp_path):
    file = planned(server, tmp_path / "a.fits")
    server.faults["/a.fits"] = ["truncate"]
    fetched = fetch(Portion(file, ((0, 65536), (131072, 135168))), HASTY)
    assert (fetched.verified, fetched.digest, fetched.pieces) == ("ranges", "", 2)
    assert fetched.bytes == len(content)
    assert fetched.moved < 80_000
    here = file.path.read_bytes()
    assert here[:65536] == content[:65536]
    assert here[131072:135168] == content[131072:135168]
    image = open_image(file.path)
    row = 131072 // image.layout.row_bytes
    with pytest.raises(BadDataError, match="pixels are asked for that were not fetched"):
        image.rows(row - 3, row)
    assert image.rows(2, 5).shape[0] == 3
    image.close()
    # The whole of it later: no hole stays.
    assert fetch(Portion(file), HASTY).verified == "DATASUM"
    assert file.path.read_bytes() == content
    assert sorted(os.listdir(tmp_path)) == ["a.fits"]


def test_a_large_file_takes_little_memory(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    with (root / "KiDS_DR5.0_180.0_-0.5_r_sci.fits").open("wb") as file:
        file.truncate(250_000_000)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from photoz_run.afar.fetching import Portion, fetch\n"
        "from photoz_run.afar.listing import find_afar\n"
        "from photoz_run.afar.transfer import Manners\n"
        "(file,) = find_afar([sys.argv[1]], Path(sys.argv[2])).remote.values()\n"
        "assert fetch(Portion(file), Manners()).moved == 250_000_000\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    )
    with nginx(root, tmp_path / "state") as url:
        words = [sys.executable, "-c", program, url, str(tmp_path / "window")]
        peak = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert int(peak) < 200_000


def test_a_plain_install_says_what_is_missing(monkeypatch):
    monkeypatch.setattr("photoz_run.afar.opening.find_spec", {"fsspec": 1}.get)
    with pytest.raises(ConfigError) as caught:
        open_store("https://me:pw@host/a.fits")
    assert str(caught.value) == (
        "https://***@host/a.fits: this needs aiohttp: install photoz-run with the extra 'remote'"
    )


FAULTS = ["truncate", "reset", 500, 429, "page", "shorter", "changed", "elsewhere", "nowhere", 404]


@settings(max_examples=40, deadline=None)
@given(
    faults=st.lists(st.sampled_from(FAULTS), max_size=5),
    ranges=st.booleans(),
    etags=st.booleans(),
    changes=st.integers(0, 6),
)
def test_whatever_happens_a_file_is_right_or_not_there(faults, ranges, etags, changes):
    """Also one that changes on its server after some chunks, without an ETag that tells."""
    old, new = np.random.default_rng(1).bytes(200_000), np.random.default_rng(2).bytes(200_000)
    server = WrongServer()
    server.ranges, server.etags, server.lingers = ranges, etags, 0.0
    server.files["/a.fits"] = old
    with (
        server.running(),
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("photoz_run.afar.http.CHUNK", 16384)
        file = planned(server, Path(folder, "a.fits"))
        file = replace(file, checksum="sha256:" + hashlib.sha256(old).hexdigest())
        server.faults["/a.fits"] = list(faults)
        left = [changes]

        def change(number):
            left[0] -= 1
            if left[0] == 0:
                server.files["/a.fits"] = new

        try:
            fetched = fetch(Portion(file), replace(HASTY, pause=0.0), change)
        except (BadDataError, TransientError):
            assert not file.path.exists()
        else:
            assert file.path.read_bytes() == old
            assert fetched.digest == hashlib.sha256(old).hexdigest()
