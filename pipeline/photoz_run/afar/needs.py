"""What must be fetched of a tile: the catalogue first, and of images no more than it asks for."""

import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from photoz_models.stamp_rule import StampRule
from photoz_run.afar.fetching import Portion
from photoz_run.afar.listing import AfarSurvey, RemoteFile
from photoz_run.afar.store import Tick
from photoz_run.afar.transfer import Manners, Transfer
from photoz_run.config import RunConfig
from photoz_run.errors import BadDataError, writing
from photoz_run.images.held import HEAD, Ranges, pieces, write_held
from photoz_run.images.mapped import MappedImage
from photoz_run.images.plan import ReadingPlan, Storage
from photoz_run.records import BandFiles, TileRef
from photoz_run.survey.catalogues import count_rows, selected_positions
from photoz_run.survey.coadds import open_coadds, stamp_corners
from photoz_run.survey.dmag import tile_dmag
from photoz_run.tile import pixel_policy

NETWORK = Storage(seek=0.02, stream=1e8)
"""What one more request costs (s), and a stream (bytes/s): where ranges are joined."""
_LOOKING = threading.Lock()
"""Of several tiles one after the other: each takes memory, and the interpreter."""
WORTH = 0.5
"""Ranges are asked for if they cost less than this part of whole files, which can be verified."""


def first_files(survey: AfarSurvey, ref: TileRef) -> tuple[Portion, ...]:
    """The catalogue of a tile, if it lies afar."""
    return tuple(Portion(file) for file in survey.files_of(ref) if file.path == ref.catalogue)


def all_other_files(survey: AfarSurvey, ref: TileRef) -> tuple[Portion, ...]:
    """The files of a tile beside the catalogue that lie afar, whole."""
    return tuple(Portion(file) for file in survey.files_of(ref) if file.path != ref.catalogue)


def other_files(
    survey: AfarSurvey,
    ref: TileRef,
    config: RunConfig,
    rule: StampRule,
    manners: Manners,
    tick: Tick = lambda _: None,
) -> tuple[Portion, ...]:
    """What is fetched of a tile whose catalogue is here: nothing, ranges of images, or all.

    With few sources the headers of the images are read, and then the ranges that their stamps need.
    A catalogue without a row needs no image.

    Raises
    ------
    BadDataError, TransientError, ConfigError, OutputError
        As `photoz_run.afar.fetching.fetch` does; `BadDataError` also for a bad catalogue.
    """
    whole = all_other_files(survey, ref)
    files = [portion.file for portion in whole]
    if not files or (ref.catalogue is not None and count_rows(ref.catalogue) == 0):
        return ()
    if any(file.bytes < HEAD or not file.facts.certain for file in files):
        return whole
    folder = files[0].path.parent
    with writing(folder), tempfile.TemporaryDirectory(dir=folder, prefix="heads-") as heads:
        places = {file.path: Path(heads, file.path.name) for file in files}
        for file in files:
            if not _head(file, places[file.path], manners, tick):
                return whole
        with _LOOKING:
            ranges = _ranges(_moved(ref, places), config, rule)
    if ranges is None:
        return whole
    # Of an image that nobody will read, headers are enough.
    some = tuple(Portion(file, ranges.get(file.path.name, ((0, HEAD),))) for file in files)
    return some if _seconds(some) < WORTH * _seconds(whole) else whole


def _head(file: RemoteFile, place: Path, manners: Manners, tick: Tick) -> bool:
    """A file with nothing but its first bytes; False if its server knows no ranges."""
    transfer = Transfer(file, manners, tick)
    with place.open("wb") as output:
        output.truncate(file.bytes)
        for at, chunk in transfer.chunks(0, HEAD):
            output.seek(at)
            output.write(chunk)
    write_held(place, ((0, HEAD),))
    return transfer.ranged


def _moved(ref: TileRef, places: Mapping[Path, Path]) -> TileRef:
    """A tile some of whose images lie elsewhere."""

    def now(path: Path | None) -> Path | None:
        return path if path is None else places.get(path, path)

    images = {
        band: BandFiles(places.get(files.sci, files.sci), now(files.wei), now(files.msk))
        for band, files in ref.images.items()
    }
    return replace(ref, images=images)


def _ranges(ref: TileRef, config: RunConfig, rule: StampRule) -> dict[str, Ranges] | None:
    """What is needed of each image by its name; ``None`` if that cannot be told by headers."""
    ranges: dict[str, Ranges] = {}
    # The scratch of workers need not exist where files are fetched.
    policy = pixel_policy(config.model_copy(update={"scratch": None}))
    try:
        with open_coadds(ref, rule, policy, look=False) as coadds:
            images = [image for coadd in coadds.images.values() for image in coadd.files]
            if not all(isinstance(image, MappedImage) for image in images):
                return None
            # With more sources stamps lie in most rows: it is plain that ranges do not pay.
            most = min((image.shape_YX[0] for image in images), default=0) // rule.stamp_size
            dmag_r = tile_dmag(ref, "r", policy.missing_dmag)
            positions = selected_positions(ref, coadds.i_images, dmag_r, config.select, most)
            if positions is None:
                return None
            for coadd in coadds.images.values():
                corners = stamp_corners(coadd.grid.pixels(*positions), rule)
                for image in coadd.files:
                    assert isinstance(image, MappedImage)
                    needed = pieces(image.layout, corners, rule.stamp_size, NETWORK)
                    ranges[image.path.name] = needed
    except BadDataError:
        # The worker meets it too, and says it of the whole files.
        return None
    return ranges


def _seconds(several: Sequence[Portion]) -> float:
    """What transfers cost."""
    seconds = 0.0
    for portion in several:
        ranges = ((0, portion.file.bytes),) if portion.ranges is None else portion.ranges
        number = sum(stop - start for start, stop in ranges)
        seconds += ReadingPlan("pages", number, len(ranges)).seconds(NETWORK)
    return seconds
