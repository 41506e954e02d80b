"""A run over a list of signed addresses, and one that logs in: secrets stand nowhere."""

from pathlib import Path

import pytest

from support.runs import assert_nowhere, in_process, options, outcome
from support.servers import nginx
from support.tiles import make_tile

NAME = "KIDS_180.0_-0.5"
SECRET = "d41d8cd98f00b204"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "dr5"
    make_tile(folder, NAME, number=8)
    return folder


def afar(place: object, bundle: Path, out: Path) -> list[str]:
    places = ("--window", "1GB", "--scratch-shared", str(out.parent / "shared"))
    return options(str(place), bundle, out, *places)


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


def test_a_password_of_netrc_stands_nowhere(data, bundle, tmp_path, monkeypatch, capfd):
    """Not even if it is wrong, and the run ends."""
    (tmp_path / "users").write_text(f"anna:{{PLAIN}}{SECRET}\n")
    netrc = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(netrc))
    asks = f'auth_basic "archive"; auth_basic_user_file {tmp_path / "users"};'
    with nginx(data, tmp_path / "nginx", asks) as address:
        for password, status in ((f"{SECRET}x", 2), (SECRET, 0)):
            netrc.write_text(f"machine 127.0.0.1 login anna password {password}")
            arguments = afar(f"{address}/", bundle, tmp_path / "run")
            assert in_process(monkeypatch, arguments) == status
    said = capfd.readouterr()
    assert "refused (401 Unauthorized); credentials are missing or wrong" in said.err
    assert SECRET not in said.out + said.err
    assert_nowhere(SECRET, tmp_path / "run", tmp_path / "shared")
