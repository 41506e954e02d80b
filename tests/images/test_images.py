"""Plain, packed and gzipped images: the same stamps, the same rows, the same refusals."""

import gzip
import subprocess
import sys
from pathlib import Path

import fitsio
import numpy as np
import pytest
from astropy.io import fits

from photoz_run.errors import BadDataError, ConfigError, TransientError
from photoz_run.images.opening import open_image
from photoz_run.science.cutouts import stamp_start
from support.programs import needs
from support.tiles import cutout, truncate, write_image

SIZE = 36
SHAPE = (1150, 90)
"""Higher than two of the strips in which compressed images are read."""


def pixels() -> np.ndarray:
    image = np.random.default_rng(11).normal(0, 3e-12, SHAPE).astype(np.float32)
    image[600, 40] = np.nan
    return image


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, Path]:
    cards = {"DMAG": 0.25, "CRPIX1": 4.5}
    names = {
        ending: tmp_path_factory.mktemp("image") / f"image.fits{ending}"
        for ending in ("", ".fz", ".gz")
    }
    return {ending: write_image(path, pixels(), cards) for ending, path in names.items()}


class ImageContract:
    """What every kind of image file must do; a subclass names its ending."""

    ending: str

    @pytest.fixture
    def path(self, written) -> Path:
        return written[self.ending]

    @pytest.fixture
    def image(self, path):
        opened = open_image(path)
        yield opened
        opened.close()

    def test_shape_and_header_are_those_of_the_image(self, image):
        assert image.shape_YX == SHAPE
        assert image.header["DMAG"] == 0.25
        assert image.header["CRPIX1"] == 4.5

    def test_it_closes_though_somebody_looks_at_the_frames_that_read_it(self, path):
        """Dask's profiler does, in a thread of its own."""
        frames = []
        sys.setprofile(lambda frame, *_: frames.append(frame))
        try:
            opened = open_image(path)
            opened.rows(0, 5)
            opened.stamps((np.array([0]), np.array([0])), SIZE)
        finally:
            sys.setprofile(None)
        assert frames
        opened.close()

    def test_stamps_are_those_of_the_pixels(self, image):
        rng = np.random.default_rng(21)
        y_N, x_N = np.sort(rng.uniform(-60, 1250, 150)), rng.uniform(-60, 160, 150)
        values, covered = image.stamps((stamp_start(y_N, SIZE), stamp_start(x_N, SIZE)), SIZE)
        for n in range(len(x_N)):
            expected = cutout(pixels(), (x_N[n], y_N[n]), SIZE)
            found = np.where(covered[n], values[n], np.nan)
            np.testing.assert_array_equal(found, expected.astype(np.float32))

    @pytest.mark.parametrize(
        "rows", [(0,), (-20, 0, 3), (-20, 100), (470, 490, 512, 520), (1000, 1140), (-900, 2000)]
    )
    def test_stamps_at_both_ends_and_across_strips(self, image, rows):
        y0_N, x0_N = np.array(rows), np.arange(len(rows)) * 20
        values, covered = image.stamps((y0_N, x0_N), SIZE)
        for n, (y0, x0) in enumerate(zip(y0_N, x0_N, strict=True)):
            expected = cutout(pixels(), (x0 + SIZE / 2, y0 + SIZE / 2), SIZE)
            np.testing.assert_array_equal(
                np.where(covered[n], values[n], np.nan), expected.astype(np.float32)
            )

    def test_the_order_of_calls_does_not_matter(self, image):
        first = image.stamps((np.array([700]), np.array([5])), SIZE)[0]
        image.stamps((np.array([-10, 20]), np.array([5, 5])), SIZE)
        np.testing.assert_array_equal(
            image.stamps((np.array([700]), np.array([5])), SIZE)[0], first
        )

    def test_no_source_no_stamp(self, image):
        values, covered = image.stamps((np.zeros(0, np.int64), np.zeros(0, np.int64)), SIZE)
        assert values.shape == covered.shape == (0, SIZE, SIZE)

    def test_rows_are_the_rows_in_native_order(self, image):
        found = image.rows(1100, 1103)
        assert found.dtype == np.float32
        assert found.dtype.isnative
        np.testing.assert_array_equal(found, pixels()[1100:1103])
        assert image.sample.shape == (16, SHAPE[1])

    @pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32])
    def test_integer_images_keep_their_values(self, tmp_path, kind):
        flags = np.arange(60 * 50).reshape(60, 50).astype(kind)
        opened = open_image(write_image(tmp_path / f"flags.fits{self.ending}", flags))
        values, _ = opened.stamps((np.array([-3, 12]), np.array([2, 14])), SIZE)
        opened.close()
        np.testing.assert_array_equal(values[1], flags[12:48, 14:50])
        np.testing.assert_array_equal(values[0, 3:], flags[:33, 2:38])

    @pytest.mark.parametrize("share", [0.9, 0.5, 0.05])
    def test_a_truncated_file_is_refused(self, tmp_path, path, share):
        short = tmp_path / path.name
        short.write_bytes(path.read_bytes())
        truncate(short, share)
        with pytest.raises(BadDataError) as refused:
            read_all(short)
        assert str(short) in str(refused.value)
        assert "\n" not in str(refused.value)

    @pytest.mark.parametrize("content", [b"", b"SIMPLE  =", b"this is no survey image\n" * 400])
    def test_what_is_not_fits_is_refused(self, tmp_path, content):
        path = tmp_path / f"image.fits{self.ending}"
        path.write_bytes(content)
        with pytest.raises(BadDataError) as refused:
            read_all(path)
        assert str(path) in str(refused.value)
        assert "\n" not in str(refused.value)

    def test_a_file_that_is_not_there_is_refused(self, tmp_path):
        with pytest.raises(BadDataError, match="file not found"):
            open_image(tmp_path / f"image.fits{self.ending}")

    def test_a_folder_is_no_image(self, tmp_path):
        with pytest.raises(BadDataError, match=str(tmp_path)):
            open_image(tmp_path)


class TestPlainImage(ImageContract):
    ending = ""

    def test_scaled_integers_are_scaled(self, tmp_path):
        values = np.arange(50 * 50, dtype=np.int16).reshape(50, 50)
        with fitsio.FITS(str(tmp_path / "scaled.fits"), "rw") as hdus:
            hdus.write(values, header={"BSCALE": 0.5, "BZERO": 10.0})
        opened = open_image(tmp_path / "scaled.fits")
        np.testing.assert_allclose(opened.rows(3, 4)[0], values[3] * 0.5 + 10)
        np.testing.assert_allclose(
            opened.stamps((np.array([3]), np.array([0])), SIZE)[0][0, 0], values[3, :36] * 0.5 + 10
        )
        opened.close()

    def test_an_image_in_a_later_hdu_is_found(self, tmp_path):
        hdus = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.eye(40, dtype=np.float32))])
        hdus.writeto(tmp_path / "second.fits")
        opened = open_image(tmp_path / "second.fits")
        np.testing.assert_array_equal(opened.rows(0, 40), np.eye(40))
        opened.close()

    def test_a_file_without_image_is_refused(self, tmp_path):
        fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([])]).writeto(
            tmp_path / "table.fits"
        )
        with pytest.raises(BadDataError, match="no two-dimensional image in any HDU"):
            open_image(tmp_path / "table.fits")

    def test_an_unreadable_file_is_refused_and_a_failing_disk_is_tried_again(
        self, tmp_path, monkeypatch
    ):
        path = write_image(tmp_path / "image.fits", pixels())

        def fails_with(error: OSError):
            def fail(*_args: object, **_kwargs: object) -> None:
                raise error

            return fail

        monkeypatch.setattr(Path, "open", fails_with(OSError(5, "Input/output error")))
        with pytest.raises(TransientError, match="Input/output error"):
            open_image(path)
        monkeypatch.setattr(Path, "open", fails_with(PermissionError(13, "Permission denied")))
        with pytest.raises(BadDataError, match="no permission"):
            open_image(path)


class TestPackedImage(ImageContract):
    ending = ".fz"

    def test_the_default_of_fpack_loses_less_than_its_noise_and_keeps_gaps(self, tmp_path):
        write_image(tmp_path / "image.fits", pixels())
        needs("fpack")
        subprocess.run(["fpack", str(tmp_path / "image.fits")], check=True, capture_output=True)
        opened = open_image(tmp_path / "image.fits.fz")
        found = opened.rows(590, 610)
        opened.close()
        np.testing.assert_array_equal(np.isnan(found), np.isnan(pixels()[590:610]))
        assert np.nanmax(np.abs(found - pixels()[590:610])) < 1e-12


class TestGzippedImage(ImageContract):
    ending = ".gz"

    def test_the_scratch_folder_is_empty_when_the_image_is_closed(self, tmp_path):
        path = write_image(tmp_path / "image.fits.gz", pixels())
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        opened = open_image(path, scratch)
        np.testing.assert_array_equal(opened.rows(0, 2), pixels()[:2])
        opened.close()
        assert list(scratch.iterdir()) == []

    def test_a_damaged_stream_is_refused(self, tmp_path):
        path = write_image(tmp_path / "image.fits.gz", pixels())
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(bytes(content))
        with pytest.raises(BadDataError, match="gzip stream is damaged"):
            read_all(path)
        with pytest.raises(BadDataError, match="gzip stream is damaged"):
            stream_all(path)

    def test_a_scratch_folder_that_cannot_be_used_is_not_the_files_fault(self, tmp_path):
        path = write_image(tmp_path / "image.fits.gz", pixels())
        with pytest.raises(ConfigError, match=r"scratch folder .*nowhere does not exist"):
            open_image(path, tmp_path / "nowhere")

    def test_a_full_scratch_folder_is_tried_again(self, tmp_path, monkeypatch):
        path = write_image(tmp_path / "image.fits.gz", pixels())

        def full(*_args: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("shutil.copyfileobj", full)
        with pytest.raises(TransientError, match=r"no room to unpack it .*set scratch"):
            read_all(path)

    def test_text_in_gzip_is_refused(self, tmp_path):
        path = tmp_path / "image.fits.gz"
        path.write_bytes(gzip.compress(b"hello"))
        with pytest.raises(BadDataError, match=str(path)):
            open_image(path)


def read_all(path: Path) -> None:
    """Open an image and touch all of its pixels."""
    opened = open_image(path)
    try:
        opened.rows(0, opened.shape_YX[0])
    finally:
        opened.close()


def stream_all(path: Path) -> None:
    """Cut one stamp in order and see the stream to its end."""
    opened = open_image(path)
    try:
        opened.stamps((np.array([0]), np.array([0])), SIZE)
        opened.finish()
    finally:
        opened.close()
