"""Which tiles lie behind an address or in a list: the same as in a folder."""

import hashlib
import shutil

import fsspec
import pytest

from photoz_run.afar.fetching import Portion, fetch
from photoz_run.afar.listing import find_afar, looked_at
from photoz_run.afar.transfer import Manners
from photoz_run.catalogue.provenance import look_at_inputs
from photoz_run.errors import ConfigError, InterruptedRunError
from photoz_run.survey.discovery import find_tiles
from support.servers import WrongServer, nginx
from support.tiles import make_tile

HASTY = Manners(silence=2, attempts=2, pause=0.01)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A folder of two tiles with a sub-folder, a name with a blank, and files of others."""
    root = tmp_path_factory.mktemp("survey")
    make_tile(root, "KIDS_180.0_-0.5", number=4)
    make_tile(root / "more tiles", "KIDS_181.0_-0.5", number=4, seed=2)
    (root / "README.txt").write_text("Kilo-Degree Survey")
    (root / "SDSS_r.fits").write_bytes(b"SIMPLE  =")
    return root


@pytest.fixture(scope="module")
def web(survey, tmp_path_factory):
    with nginx(survey, tmp_path_factory.mktemp("nginx") / "state") as url:
        yield url


def names(tiles):
    return {tile: [path.name for path in ref.paths()] for tile, ref in tiles.items()}


@pytest.mark.parametrize("ending", ["", "/"])
def test_an_index_of_a_web_server_is_a_folder(survey, web, ending, tmp_path):
    said = []
    afar = find_afar([web + ending], tmp_path / "window", say=said.append)
    assert said == []
    assert names(afar.tiles) == names(find_tiles([survey]))
    for path, file in afar.remote.items():
        assert path.parent.parent == tmp_path / "window"
        assert "README" not in file.url


def test_what_is_fetched_is_the_input_that_was_planned(survey, web, tmp_path):
    """So a run's digests of inputs hold, and are those of the same files here."""
    afar = looked_at(find_afar([web], tmp_path / "window"), ["KIDS_180.0_-0.5"])
    (ref,) = afar.tiles.values()
    planned = afar.inputs_of(ref)
    for file in afar.files_of(ref):
        assert fetch(Portion(file), HASTY).etag
    assert look_at_inputs({"a": ref})["a"] == planned
    original = find_tiles([survey])["KIDS_180.0_-0.5"]
    for here, there in zip(ref.paths(), original.paths(), strict=True):
        assert here.read_bytes() == there.read_bytes()


def test_files_that_lie_here_are_not_fetched(survey, web, tmp_path):
    here = tmp_path / "here"
    shutil.copytree(survey / "more tiles", here)
    afar = find_afar([web, here], tmp_path / "window")
    assert names(afar.tiles) == names(find_tiles([survey]))
    assert {path.parent.name for path in afar.remote} == {"KIDS_180.0_-0.5"}


def listed(tmp_path, *lines):
    path = tmp_path / "list.txt"
    path.write_text("\n".join(lines))
    return path


def test_a_list_names_files_sizes_and_checksums_in_any_order(survey, web, tmp_path):
    tile = find_tiles([survey])["KIDS_180.0_-0.5"]
    catalogue, sci = tile.catalogue, tile.images["r"].sci
    digest = hashlib.md5(sci.read_bytes()).hexdigest()
    path = listed(
        tmp_path,
        "# KiDS, from the archive",
        f'curl -O "{web}/{catalogue.name}"',
        "",
        f"{digest}, {sci.stat().st_size}, {web}/{sci.name}?token=abc",
        f"{web}/SDSS_r.fits",
    )
    said = []
    afar = find_afar([path], tmp_path / "window", say=said.append)
    assert names(afar.tiles) == {tile.tile: [catalogue.name, sci.name]}
    coadd = afar.remote[tmp_path / "window" / tile.tile / sci.name]
    assert (coadd.bytes, coadd.checksum) == (sci.stat().st_size, f"md5:{digest}")
    assert coadd.shown.endswith("?token=***")
    assert "abc" not in repr(coadd)
    assert said == [f"{path}: 1 address of no tile of KiDS, the first is {web}/SDSS_r.fits"]


def test_a_list_may_come_from_windows(survey, web, tmp_path):
    """With its line ends and its mark at the beginning, and a remark in another encoding."""
    tile = find_tiles([survey])["KIDS_180.0_-0.5"]
    catalogue, sci = tile.catalogue.name, tile.images["r"].sci.name
    path = tmp_path / "list.txt"
    lines = f"{web}/{catalogue}\r\n# f\xfcr M\xfcnchen\r\n{web}/{sci.replace('_', '%5F')}\r\n"
    path.write_bytes(b"\xef\xbb\xbf" + lines.encode("latin-1"))
    afar = find_afar([path], tmp_path / "window")
    assert names(afar.tiles) == {tile.tile: [catalogue, sci]}
    assert all(file.url.startswith(web) for file in afar.remote.values())
    path.write_bytes(b"\0" * 9)
    with pytest.raises(ConfigError, match="is neither a folder nor a list of addresses"):
        find_afar([path], tmp_path / "window")


def test_a_list_behind_an_address(survey, web, tmp_path):
    name = find_tiles([survey])["KIDS_180.0_-0.5"].catalogue.name
    (survey / "files.txt").write_text(f"{web}/{name}\n")
    try:
        afar = find_afar([f"{web}/files.txt"], tmp_path)
    finally:
        (survey / "files.txt").unlink()
    assert names(afar.tiles) == {"KIDS_180.0_-0.5": [name]}


def test_a_duplicate_in_a_list_is_left_out(survey, web, tmp_path):
    name = find_tiles([survey])["KIDS_180.0_-0.5"].catalogue.name
    said = []
    path = listed(tmp_path, f"{web}/{name}", f"{web}/old/{name}?signature=s")
    afar = find_afar([path], tmp_path, say=said.append)
    assert [file.url for file in afar.remote.values()] == [f"{web}/{name}"]
    assert said == [
        f"{path}: 1 file listed before, not fetched from here; the first is"
        f" {web}/old/{name}?signature=***"
    ]


def test_archive_names_are_known_by_origfile(survey, tmp_path):
    """Names of ESO's archive, with and without an ending; 64 kB of each file are read."""
    from astropy.io import fits

    tile = find_tiles([survey])["KIDS_180.0_-0.5"]
    server = WrongServer()
    for k, path in enumerate([tile.catalogue, tile.images["r"].sci, tile.images["g"].sci]):
        copy = tmp_path / path.name
        shutil.copy(path, copy)
        fits.setval(copy, "ORIGFILE", value=path.name, ext=0)
        server.files[f"/file/ADP.2023-05-05T13:24:24.48{k}"] = copy.read_bytes()
    with server.running():
        path = listed(tmp_path, *(f"{server.url}{name}" for name in server.files))
        afar = find_afar([path], tmp_path / "window")
    assert list(afar.tiles) == [tile.tile]
    ref = afar.tiles[tile.tile]
    assert ref.catalogue.name == "ADP.2023-05-05T13:24:24.480.fits"
    assert sorted(ref.images) == ["g", "r"]
    assert {asked for _, _, asked in server.requests} == {"bytes=0-65535"}


def test_another_size_than_listed_is_refused(survey, web, tmp_path):
    name = find_tiles([survey])["KIDS_180.0_-0.5"].catalogue.name
    afar = find_afar([listed(tmp_path, f"{web}/{name} 999999")], tmp_path)
    with pytest.raises(ConfigError, match="bytes where the list says 999,999"):
        looked_at(afar, afar.tiles)


def test_a_file_that_is_gone_has_no_size(web, tmp_path):
    name = "KiDS_DR5.0_1.0_-0.5_r_sci.fits"
    afar = find_afar([listed(tmp_path, f"{web}/{name}")], tmp_path)
    survey = looked_at(afar, afar.tiles)
    (file,) = survey.files_of(survey.tiles["KIDS_1.0_-0.5"])
    assert file.bytes == -1


@pytest.mark.parametrize(
    ("place", "error", "words"),
    [
        ("nowhere/", ConfigError, "nowhere/: not there .404"),
        ("SDSS_r.fits", ConfigError, "neither a folder nor a list of addresses"),
        ("more%20tiles/../README.txt", ConfigError, "no KiDS file"),
    ],
)
def test_places_that_are_no_surveys(web, tmp_path, place, error, words):
    with pytest.raises(error, match=words):
        find_afar([f"{web}/{place}"], tmp_path)


def test_servers_that_do_not_answer(tmp_path):
    with pytest.raises(InterruptedRunError, match="nothing was begun, try again later"):
        find_afar(["http://127.0.0.1:9/"], tmp_path)


def test_credentials_come_from_netrc(survey, tmp_path, monkeypatch):
    state = tmp_path / "state"
    (tmp_path / "users").write_text("me:{PLAIN}secret")
    settings = f'auth_basic "archive"; auth_basic_user_file {tmp_path}/users;'
    with nginx(survey, state, settings) as url:
        with pytest.raises(ConfigError, match=r"refused .401.*~/.netrc"):
            find_afar([url], tmp_path)
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        assert len(find_afar([url], tmp_path).tiles) == 2


def test_a_token_comes_from_the_configuration_of_fsspec(survey, tmp_path, monkeypatch):
    settings = 'if ($http_authorization != "Bearer abc") { return 403; }'
    with nginx(survey, tmp_path / "state", settings) as url:
        with pytest.raises(ConfigError, match=r"refused .403 Forbidden.; credentials"):
            find_afar([url], tmp_path)
        headers = {"headers": {"Authorization": "Bearer abc"}}
        monkeypatch.setitem(fsspec.config.conf, "https", headers)
        afar = find_afar([url], tmp_path / "window")
        file = next(iter(afar.remote.values()))
        assert fetch(Portion(file), HASTY).bytes > 0


def test_a_server_may_send_to_another_one_which_gets_no_token(survey, tmp_path, monkeypatch):
    headers = {"headers": {"Authorization": "Bearer abc"}}
    monkeypatch.setitem(fsspec.config.conf, "https", headers)
    refuses = "if ($http_authorization) { return 403; }"
    with nginx(survey, tmp_path / "store", refuses) as store:
        other = store.replace("127.0.0.1", "localhost")
        sends = (
            'if ($http_authorization != "Bearer abc") { return 403; }'
            f" location /dr5/ {{ rewrite ^/dr5(.*) {other}$1?signature=s redirect; }}"
            " location /loop/ { return 302 /loop/; }"
        )
        with nginx(survey, tmp_path / "archive", sends) as archive:
            name = find_tiles([survey])["KIDS_180.0_-0.5"].catalogue.name
            afar = find_afar([listed(tmp_path, f"{archive}/dr5/{name}")], tmp_path / "window")
            (file,) = looked_at(afar, afar.tiles).remote.values()
            assert fetch(Portion(file), HASTY).url == f"{archive}/dr5/{name}"
            assert file.path.read_bytes() == (survey / name).read_bytes()
            with pytest.raises(ConfigError, match="redirected again and again; does its server"):
                find_afar([f"{archive}/loop/"], tmp_path)


def test_sizes_are_known_where_only_get_is_allowed(survey, tmp_path):
    """As of signed addresses: their signature is for one method."""
    settings = "if ($request_method = HEAD) { return 403; }"
    with nginx(survey, tmp_path / "state", settings) as url:
        afar = find_afar([url], tmp_path / "window")
        survey_afar = looked_at(afar, ["KIDS_180.0_-0.5"])
    here = find_tiles([survey])["KIDS_180.0_-0.5"]
    sizes = [file.bytes for file in survey_afar.files_of(afar.tiles[here.tile])]
    assert sizes == [path.stat().st_size for path in here.paths()]


def test_a_server_that_is_busy_for_a_moment_is_asked_again(survey, tmp_path, monkeypatch):
    monkeypatch.setattr("photoz_run.afar.listing.PAUSES", (0.01, 0.01))
    server = WrongServer()
    path = find_tiles([survey])["KIDS_180.0_-0.5"].catalogue
    server.files[f"/{path.name}"] = path.read_bytes()
    server.faults[f"HEAD /{path.name}"] = [503, 503]
    server.faults[f"/{path.name}"] = [503, 503]
    with server.running():
        afar = find_afar([listed(tmp_path, f"{server.url}/{path.name}")], tmp_path)
        (file,) = looked_at(afar, afar.tiles).remote.values()
        assert file.bytes == path.stat().st_size
        server.faults[f"HEAD /{path.name}"] = [503] * 9
        server.faults[f"/{path.name}"] = [503] * 9
        with pytest.raises(InterruptedRunError, match="answers 503"):
            looked_at(afar, afar.tiles)
