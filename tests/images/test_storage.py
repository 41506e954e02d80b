"""What a storage is like, measured; and the reading plans that follow from it."""

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from photoz_models import BUNDLED
from photoz_models.session import PhotozModel
from photoz_run.catalogue.provenance import Provenance, input_files
from photoz_run.config import RunConfig
from photoz_run.images import storage as storage_module
from photoz_run.images.opening import open_image
from photoz_run.images.plan import PAGE, PixelLayout, Storage, merged
from photoz_run.images.storage import measure_storage
from photoz_run.science.cutouts import cut_stamps
from photoz_run.survey.discovery import find_tiles
from photoz_run.tile import process_tile
from support.tiles import make_tile

SIZE = 36
LAYOUT = PixelLayout(2880, (19500, 18500), 4)
RNG = np.random.default_rng(2)


def corners(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.sort(RNG.integers(-40, 19500, n)), RNG.integers(-40, 18500, n)


@pytest.mark.parametrize(
    ("number", "storage", "way"),
    [
        (100, Storage(), "pages"),
        (1_200, Storage(), "pages"),
        (20_000, Storage(), "rows"),
        (100, Storage(seek=5e-3), "rows"),
        (1_200, Storage(seek=0.5), "stream"),
        (1_200, Storage(reading="rows"), "rows"),
        (20_000, Storage(reading="pages"), "pages"),
        (3, Storage(reading="stream"), "stream"),
    ],
)
def test_the_way_follows_from_the_number_of_sources_and_the_storage(number, storage, way):
    assert LAYOUT.plan(*corners(number), SIZE, storage).way == way


def test_pages_are_those_that_hold_pixels_of_stamps():
    layout = PixelLayout(2880, (300, 5000), 4)
    y0_N, x0_N = np.array([-10, 40, 290]), np.array([4990, 1000, -20])
    image = np.zeros(layout.stop, np.uint8)
    for y0, x0 in zip(y0_N, x0_N, strict=True):
        for y in range(max(0, y0), min(300, y0 + SIZE)):
            start = layout.offset + y * layout.row_bytes + 4 * max(0, x0)
            image[start : layout.offset + y * layout.row_bytes + 4 * min(5000, x0 + SIZE)] = 1
    expected = np.unique(np.flatnonzero(image) // PAGE)
    np.testing.assert_array_equal(layout.pages(y0_N, x0_N, SIZE), expected)


@pytest.mark.parametrize("itemsize", [1, 4])
@pytest.mark.parametrize("number", [100, 1_200, 5_000])
@pytest.mark.parametrize("seek", [0, 5e-6, 20e-6])
def test_a_plan_by_pages_never_reads_many_more_than_hold_stamps(itemsize, number, seek):
    layout = PixelLayout(2880, LAYOUT.shape_YX, itemsize)
    y0_N, x0_N = corners(number)
    needed = len(layout.pages(y0_N, x0_N, SIZE)) * PAGE
    plan = layout.plan(y0_N, x0_N, SIZE, Storage(seek, 1e9, "pages"))
    assert needed <= plan.bytes <= 1.3 * needed


def test_ranges_join_over_gaps():
    assert merged(np.array([3, 4, 6, 10]), 0).tolist() == [[3, 5], [6, 7], [10, 11]]
    assert merged(np.array([3, 4, 6, 10]), 1).tolist() == [[3, 7], [10, 11]]
    assert merged(np.zeros(0, int), 1).tolist() == []


@pytest.mark.parametrize("reading", ["pages", "rows", "stream", "auto"])
def test_stamps_are_the_same_whatever_the_plan(tmp_path, reading):
    pixels = RNG.normal(size=(1200, 700)).astype(np.float32)
    fits.PrimaryHDU(pixels).writeto(tmp_path / "image.fits")
    image = open_image(tmp_path / "image.fits")
    y0_N, x0_N = np.sort(RNG.integers(-40, 1200, 300)), RNG.integers(-40, 700, 300)
    plan = image.plan((y0_N, x0_N), SIZE, Storage(reading=reading))
    for part in np.split(np.arange(300), 3):
        image.announce((y0_N[part], x0_N[part]), SIZE)
        values, covered = image.stamps((y0_N[part], x0_N[part]), SIZE)
        expected, on_image = cut_stamps(pixels, y0_N[part], x0_N[part], SIZE)
        np.testing.assert_array_equal(values, expected)
        np.testing.assert_array_equal(covered, on_image)
    image.close()
    assert 0.9 * plan.bytes <= image.bytes_read <= 1.1 * plan.bytes + 4 * PAGE


def resident(field: str) -> int:
    """Bytes of this process that are in memory now (VmRSS), or were at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


def mapped_bytes(path: Path) -> int:
    """Bytes of a mapped file that count as memory of this process."""
    _, _, entry = Path("/proc/self/smaps").read_text().partition(f"{path}\n")
    return next(int(line.split()[1]) << 10 for line in entry.splitlines() if line[:4] == "Rss:")


@pytest.mark.parametrize("reading", ["pages", "rows"])
def test_stamps_from_all_over_a_file_take_little_memory(tmp_path, reading):
    path, size = tmp_path / "image.fits", 444 << 20
    header = fits.PrimaryHDU(np.zeros((1, 18500), np.float32)).header
    header["NAXIS2"] = 6000
    path.write_bytes(header.tostring().encode())
    os.truncate(path, size)
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass  # from now on the file is in memory, and the kernel maps neighbours of a page
    y0_N, x0_N = np.sort(RNG.integers(0, 5900, 256)), RNG.integers(0, 18400, 256)
    image = open_image(path)
    image.plan((y0_N, x0_N), SIZE, Storage(reading=reading))
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    image.stamps((y0_N, x0_N), SIZE)
    assert resident("VmHWM") - before < 128 << 20
    assert mapped_bytes(path) == 0
    image.close()


@pytest.mark.parametrize("there", [True, False])
def test_a_storage_is_measured_and_nothing_stays_behind(tmp_path, monkeypatch, there):
    monkeypatch.setattr(storage_module, "STREAMED", 1 << 23)
    if there:
        (tmp_path / "a.fits").write_bytes(b"0" * (1 << 24))
    before = sorted(tmp_path.rglob("*"))
    found = measure_storage(tmp_path)
    assert 0 < found.seek < 1
    assert 1e6 < found.stream < 1e12
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(OSError, match="no such folder"):
        measure_storage(tmp_path / "nowhere")


def test_the_catalogue_is_the_same_byte_for_byte_whatever_the_plan(tmp_path):
    made = make_tile(tmp_path / "data", data_release="DR4.0")
    model = PhotozModel.load(BUNDLED / "hybrid-sim.onnx", provider="cpu", threads=1)
    run = Provenance("photoz-run", "0", "0", "", "run", "c", "model", "1", "model", "none", True)
    (ref,) = find_tiles([made.folder]).values()
    written = {}
    for reading in ("auto", "pages", "rows", "stream"):
        out = tmp_path / reading
        out.mkdir()
        config = RunConfig(
            tiles=("all",), data=(made.folder,), out=out, select="all", reading=reading
        )
        result = process_tile(ref, config, model, out, run, input_files(ref.paths()))
        assert result.bytes_read > 0
        written[reading] = {path.name: path.read_bytes() for path in out.iterdir()}
    assert written["auto"]
    assert all(files == written["auto"] for files in written.values())
