"""What is unpacked of a compressed image, and how often: once."""

from collections import Counter

import numpy as np
import pytest

from photoz_models import BUNDLED
from photoz_models.session import PhotozModel
from photoz_run import tile as tile_module
from photoz_run.config import RunConfig
from photoz_run.images.opening import open_image
from photoz_run.images.plan import Storage
from photoz_run.images.streamed import StreamedImage
from photoz_run.images.unpacking import Strip, UnpackerPool
from photoz_run.survey.discovery import find_tiles
from photoz_run.tile import open_tile
from support.tiles import make_tile, write_image

SIZE = 36
RNG = np.random.default_rng(5)


@pytest.fixture
def unpacked(monkeypatch) -> Counter:
    """How often each row of each file was asked of the children."""
    counts: Counter = Counter()
    submit = UnpackerPool.submit

    def counted(pool: UnpackerPool, strip: Strip):
        counts.update((strip.path, row) for span in strip.spans for row in range(*span))
        return submit(pool, strip)

    monkeypatch.setattr(UnpackerPool, "submit", counted)
    return counts


@pytest.mark.parametrize("threads", [1, 2])
def test_rows_of_stamps_are_unpacked_once_and_no_others(tmp_path, unpacked, threads):
    pixels = RNG.normal(0, 3e-12, (2100, 50)).astype(np.float32)
    path = write_image(tmp_path / "image.fits.fz", pixels)
    # Sources go by declination, which a curved sky lets run some rows against an image.
    y0_N = np.sort(RNG.integers(-30, 2090, 60)) + RNG.integers(-11, 12, 60)
    x0_N = RNG.integers(-20, 40, 60)
    image = open_image(path, threads=threads)
    plan = image.plan((y0_N, x0_N), SIZE, Storage())
    for batch in np.split(np.arange(60), 6):
        values, covered = image.stamps((y0_N[batch], x0_N[batch]), SIZE)
        for k, n in enumerate(batch):
            y, x = y0_N[n] + np.arange(SIZE)[:, None], x0_N[n] + np.arange(SIZE)
            np.testing.assert_array_equal(
                values[k][covered[k]], pixels[np.clip(y, 0, 2099), np.clip(x, 0, 49)][covered[k]]
            )
    image.close()
    needed = np.unique(y0_N[:, None] + np.arange(SIZE))
    needed = needed[(needed >= 0) & (needed < len(pixels))]
    assert len(needed) < 0.7 * len(pixels)
    assert unpacked == {(path, row): 1 for row in needed.tolist()}
    assert image.bytes_read == plan.bytes


def test_a_stamp_that_was_not_planned_is_right_all_the_same(tmp_path):
    pixels = RNG.normal(0, 3e-12, (300, 50)).astype(np.float32)
    image = open_image(write_image(tmp_path / "image.fits.fz", pixels))
    image.plan((np.array([5]), np.array([0])), SIZE, Storage())
    for y0 in (5, 60, 5):
        values, _ = image.stamps((np.array([y0]), np.array([3])), SIZE)
        np.testing.assert_array_equal(values[0], pixels[y0 : y0 + SIZE, 3 : 3 + SIZE])
    image.close()


def test_a_tile_unpacks_each_row_of_its_files_once(tmp_path, unpacked, monkeypatch):
    made = make_tile(tmp_path, data_release="DR4.0", compression=".fz")
    monkeypatch.setattr(tile_module, "BATCH", 8)
    model = PhotozModel.load(BUNDLED / "hybrid-sim.onnx", provider="cpu", threads=1)
    config = RunConfig(tiles=("all",), data=(tmp_path,), out=tmp_path, select="all")
    (ref,) = find_tiles([made.folder]).values()
    with open_tile(ref, model.contract, config, threads=2) as tile:
        unpacked.clear()  # some rows were looked at to judge the image
        assert len(list(tile.batches())) == 5
    assert len({path for path, _ in unpacked}) == 12
    assert set(unpacked.values()) == {1}


def test_a_gzipped_tile_is_read_once_and_not_unpacked_to_scratch(tmp_path, monkeypatch):
    made = make_tile(tmp_path, data_release="DR4.0", compression=".gz")
    monkeypatch.setattr(tile_module, "BATCH", 8)
    starts: Counter = Counter()
    read = StreamedImage._read_strip

    def counted(image: StreamedImage):
        starts[image.path, image._next] += 1
        return read(image)

    def refused(*_: object) -> None:
        pytest.fail("a copy on scratch")

    monkeypatch.setattr(StreamedImage, "_read_strip", counted)
    monkeypatch.setattr("photoz_run.images.streamed.unpacked", refused)
    model = PhotozModel.load(BUNDLED / "hybrid-sim.onnx", provider="cpu", threads=1)
    config = RunConfig(tiles=("all",), data=(tmp_path,), out=tmp_path, select="all")
    (ref,) = find_tiles([made.folder]).values()
    with open_tile(ref, model.contract, config) as tile:
        assert len(list(tile.batches())) == 5
    assert len({path for path, _ in starts}) == 12
    assert set(starts.values()) == {1}
