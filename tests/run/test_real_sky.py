"""The real command on real KiDS and VIKING pixels: a row for each source, flags that make sense."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import fitsio
import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from photoz_run.flags import bit, decode
from support.programs import needs
from support.runs import command, options, tile_file

LAYOUT = Path(__file__).parents[3] / "shared" / "real" / "lay_out_tile.py"
TILE = "KIDS_180.0_-0.5"
KINDS = ("DR4.0", "DR5.0", "DR5.0 packed")

pytestmark = pytest.mark.skipif(
    not LAYOUT.exists(), reason=f"no real sky here: {LAYOUT} does not exist"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, bundle):
    """Data folder, run directory and process of a run over each kind of tile."""
    skies = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp("sky")
        data, out = folder / "data", folder / "out"
        if kind.endswith("packed"):
            shutil.copytree(skies["DR5.0"][0], data)
            for path in sorted(data.glob("*_[ugri]_[sm]*.fits")):
                needs("fpack")
                subprocess.run(
                    ["fpack", "-g", "-q", "0", "-D", "-Y", str(path)],
                    check=True,
                    capture_output=True,
                )
        else:
            lay_out = [sys.executable, str(LAYOUT), str(data), "--release", kind]
            subprocess.run(lay_out, check=True, capture_output=True)
        arguments = options(data, bundle, out)
        if kind == "DR4.0":
            # As a person types it: with the shipped network.
            arguments = [
                "--tiles",
                "all",
                "--data",
                str(data),
                "--select",
                "all",
                "--out",
                str(out),
            ]
        skies[kind] = (
            data,
            out,
            command([*arguments, "--formats", "parquet,fits", "--workers", "1"]),
        )
    yield skies
    for data, _, _ in skies.values():
        shutil.rmtree(data)


def rows_of(runs, kind):
    return pq.read_table(tile_file(runs[kind][1], TILE))


@pytest.mark.parametrize("kind", KINDS)
def test_every_source_of_the_catalogue_has_one_row(runs, kind):
    data, out, said = runs[kind]
    assert said.returncode == 0, said.stderr
    catalogue = fitsio.read(next(data.glob("*_cat.fits")), columns=["ID"])
    rows = rows_of(runs, kind)
    assert len(catalogue) > 1500
    assert sorted(rows["ID"].to_pylist()) == sorted(
        name.strip() for name in catalogue["ID"].tolist()
    )
    record = json.loads((tile_file(out, TILE, ".json")).read_text())
    assert record["rows_in"] == record["rows_out"] == len(catalogue)
    assert all(abs(shift) < 0.3 for shift in record["zero_points"].values())
    assert set(record["zero_points"]) == {"u", "g", "r", "i"}


@pytest.mark.parametrize("kind", KINDS)
def test_flags_are_sane(runs, kind):
    data, _, _ = runs[kind]
    rows = rows_of(runs, kind)
    flags_N = rows["PHOTOZ_FLAG"].to_numpy()
    ra_N, dec_N = rows["RAJ2000"].to_numpy(), rows["DECJ2000"].to_numpy()
    edge_N = np.zeros(len(flags_N), bool)
    for band in "ugri":
        with fits.open(next(data.glob(f"*_{band}_sci.fits*"))) as hdus:
            header = hdus[-1].header
        x_N, y_N = WCS(header).all_world2pix(ra_N, dec_N, 0)
        x0_N, y0_N = np.ceil(x_N - 18), np.ceil(y_N - 18)
        edge_N |= (
            (x0_N < 0)
            | (y0_N < 0)
            | (x0_N + 36 > header["NAXIS1"])
            | (y0_N + 36 > header["NAXIS2"])
        )
    np.testing.assert_array_equal((flags_N & bit("EDGE")) != 0, edge_N)
    assert 0.01 < edge_N.mean() < 0.1
    shares = {
        name: np.mean((flags_N & bit(name)) != 0)
        for name in ("NO_REDSHIFT", "NO_COVERAGE", "CENTRE_BAD")
    }
    assert shares["NO_REDSHIFT"] < 0.01, shares
    assert shares["NO_COVERAGE"] < 0.01, shares
    assert shares["CENTRE_BAD"] < 0.1, shares
    assert not any(
        name.startswith("BIT_") for value in set(flags_N.tolist()) for name in decode(value)
    )
    assert not (
        flags_N & (bit("BAND_MISSING") | bit("I_EPOCH_SUBSTITUTED") | bit("MAG_UNMATCHED"))
    ).any()


@pytest.mark.parametrize("kind", KINDS)
def test_missing_magnitudes_are_those_of_the_catalogue(runs, kind):
    data, _, _ = runs[kind]
    rows = rows_of(runs, kind)
    catalogue = fitsio.read(next(data.glob("*_cat.fits")))
    place = {name.strip(): n for n, name in enumerate(catalogue["ID"].tolist())}
    order = [place[name] for name in rows["ID"].to_pylist()]
    flags_N = rows["PHOTOZ_FLAG"].to_numpy()
    for band in ("u", "J", "Ks"):
        mag_N = catalogue[f"MAG_GAAP_{band}"][order]
        missing_N = (
            (mag_N == 99)
            | (mag_N == -99)
            | ~np.isfinite(mag_N)
            | (catalogue[f"FLAG_GAAP_{band}"][order] != 0)
        )
        np.testing.assert_array_equal(
            (flags_N & bit(f"MAG_{band.upper()}_MISSING")) != 0, missing_N
        )
        assert missing_N.any()


def test_packing_without_loss_changes_no_redshift(runs):
    plain, packed = rows_of(runs, "DR5.0"), rows_of(runs, "DR5.0 packed")
    assert plain.equals(packed.replace_schema_metadata(plain.schema.metadata))


@pytest.mark.parametrize("kind", KINDS)
def test_fitsverify_has_nothing_to_say(runs, kind):
    path = tile_file(runs[kind][1], TILE, ".fits")
    needs("fitsverify")
    said = subprocess.run(["fitsverify", str(path)], capture_output=True, text=True, check=False)
    assert "found 0 warning(s) and 0 error(s)" in said.stdout
