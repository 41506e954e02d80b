"""Releases of a run whose tiles lay on a server: --keep fetches their catalogues again."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from support.photoz import photoz
from support.runs import in_process, options
from support.servers import nginx
from support.tiles import make_tile

TILES = ("KIDS_180.0_-0.5", "KIDS_181.0_-0.5")
KEEP = ("--keep", "SeqNr", "MAG_AUTO")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The survey's files."""
    top = tmp_path_factory.mktemp("afar")
    for k, name in enumerate(TILES):
        make_tile(top / "data", name, number=6, seed=k)
    return top


@pytest.fixture(scope="module")
def released(folder, bundle) -> Path:
    """A release with kept and attached columns, proven beside its run while the server lives."""
    out = folder / "release"
    table = folder / "more.parquet"
    with nginx(folder / "data", folder / "nginx") as address:
        window = ("--window", "1", "--scratch-shared", str(folder / "shared"))
        with pytest.MonkeyPatch.context() as patch:
            assert in_process(patch, options(f"{address}/", bundle, folder / "run", *window)) == 0
        _table(folder / "data", table)
        attach = ("--attach", table, "--attach-columns", "Z_SPEC")
        assert photoz("release", folder / "run", "--out", out, "--quiet", *KEEP, *attach) == 0
        assert photoz("verify", out, "--run", folder / "run", "--attached", table, "--json") == 0
    return out


def _table(data: Path, path: Path) -> None:
    """A spec-z for each source of the first catalogue."""
    ids = sorted(row["ID"] for row in _rows(data)[:6])
    pq.write_table(pa.table({"ID": ids, "Z_SPEC": np.linspace(0.1, 0.5, len(ids))}), path)


def _rows(data: Path) -> list[dict]:
    rows = []
    for path in sorted(data.glob("*_cat.fits")):
        table = fits.getdata(path)
        for row in table:
            rows.append({name: row[name] for name in ("ID", "SeqNr", "MAG_AUTO")})
    return rows


def test_kept_and_attached_columns_are_those_of_the_catalogues_on_the_server(folder, released):
    rows = pq.read_table(released / "run.parquet").to_pylist()
    expected = {row["ID"]: row for row in _rows(folder / "data")}
    assert len(rows) == len(expected)
    for row in rows:
        measured = expected[row["ID"]]
        assert row["SeqNr"] == measured["SeqNr"]
        assert row["MAG_AUTO"] == pytest.approx(measured["MAG_AUTO"])
    assert sum(row["Z_SPEC"] is not None for row in rows) == 6


def test_nothing_that_was_fetched_stays(folder, released):
    fits_files = [path for path in folder.rglob("*_cat.fits") if path.parent.name != "data"]
    assert fits_files == []


def test_without_the_server_kept_columns_are_refused_and_not_compared(folder, released, capsys):
    out = folder / "again"
    assert photoz("release", folder / "run", "--out", out, "--quiet", *KEEP) == 75
    message = capsys.readouterr().err
    assert "try again later" in message
    assert not out.exists()
    assert photoz("verify", released, "--run", folder / "run") == 0
    assert "SKIP  kept columns = catalogues" in capsys.readouterr().out


def test_another_catalogue_on_the_server_is_refused(folder, released, capsys):
    """The last test of this module: it changes a file."""
    (first, *_) = sorted((folder / "data").glob("*_cat.fits"))
    first.touch()
    run = folder / "run"
    manifest = run / "manifest.json"
    text = manifest.read_text()
    with nginx(folder / "data", folder / "nginx2") as address:
        manifest.write_text(text.replace(_address(text), address))
        assert photoz("release", run, "--out", folder / "other", "--quiet", *KEEP) == 2
    assert "has changed since it was measured" in capsys.readouterr().err


def _address(manifest: str) -> str:
    """The server of a run."""
    start = manifest.index("http://")
    return manifest[start : manifest.index("/", start + len("http://"))]
