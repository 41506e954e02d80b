"""Of a tile no more is fetched than its sources ask for, and it is measured all the same."""

import numpy as np
import pytest

from photoz_models.stamp_rule import StampRule
from photoz_run.afar.fetching import fetch
from photoz_run.afar.listing import find_afar, looked_at
from photoz_run.afar.needs import first_files, other_files
from photoz_run.afar.transfer import Manners
from photoz_run.config import RunConfig
from photoz_run.survey.discovery import find_tiles
from photoz_run.tile import open_tile
from support.large_tiles import make_large_tile
from support.servers import WrongServer, bytes_sent, nginx
from support.tiles import NINE, change_rows, make_tile

MANNERS = Manners(silence=10, attempts=2, pause=0.01)
RULE = StampRule(
    image_bands=("g", "r"),
    magnitude_bands=NINE,
    stamp_size=36,
    pixel_scale=0.2,
    dmag_applied=True,
    extinction_corrected=True,
)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    root = tmp_path_factory.mktemp("large") / "survey"
    make_large_tile(root, 20)
    return root


def config(folder):
    return RunConfig(tiles=("all",), data=(folder,), out=folder, select="all")


def fetched(url, window, settings):
    """The only tile behind an address, fetched; with what was recorded of each file."""
    survey = find_afar([url], window)
    survey = looked_at(survey, survey.tiles)
    (ref,) = survey.tiles.values()
    records = [fetch(portion, MANNERS) for portion in first_files(survey, ref)]
    settings = settings.model_copy(update={"scratch": window / "of workers alone"})
    portions = other_files(survey, ref, settings, RULE, MANNERS)
    records += [fetch(portion, MANNERS) for portion in portions]
    return ref, records


def stamps(ref, settings):
    with open_tile(ref, RULE, settings) as tile:
        return [(sources.id_N, cut.flux_NCHW, cut.flags_N) for sources, cut in tile.batches()]


def assert_alike(ref, other, settings):
    batches, others = stamps(ref, settings), stamps(other, settings)
    assert sum(len(ids) for ids, _, _ in batches) > 0
    for batch, another in zip(batches, others, strict=True):
        for array, same in zip(batch, another, strict=True):
            np.testing.assert_array_equal(array, same)


def test_stamps_of_few_sources_move_less_than_a_twentieth(large, tmp_path):
    (here,) = find_tiles([large]).values()
    with nginx(large, tmp_path / "state") as url:
        ref, records = fetched(url, tmp_path / "window", config(large))
        sent = bytes_sent(tmp_path / "state")
    # Two of its four bands are read: of these, and of all, less than a twentieth comes.
    size = sum(path.stat().st_size for name in "gr" for path in here.images[name].paths())
    assert sent < 0.05 * size
    assert sum(record.moved for record in records) < sent
    unread = [record for record in records if "_u_" in record.name or "_i_" in record.name]
    assert {record.moved for record in unread} == {65536}
    assert {record.verified for record in records} == {"ranges", "size"}
    assert_alike(ref, here, config(large))
    # What lies in the window takes as little room there.
    paths = [path for files in ref.images.values() for path in files.paths()]
    assert sum(path.stat().st_blocks * 512 for path in paths) < 1.1 * sent


@pytest.fixture
def small(tmp_path):
    root = tmp_path / "survey"
    make_tile(root, data_release="DR4.0", number=12)
    return root


def test_many_sources_for_their_images_move_whole_files(small, tmp_path):
    (here,) = find_tiles([small]).values()
    with nginx(small, tmp_path / "state") as url:
        ref, records = fetched(url, tmp_path / "window", config(small))
    assert {record.verified for record in records} == {"size"}
    assert_alike(ref, here, config(small))


def test_a_catalogue_without_rows_costs_no_image(small, tmp_path):
    (here,) = find_tiles([small]).values()
    change_rows(here.catalogue, lambda rows: rows[:0])
    with nginx(small, tmp_path / "state") as url:
        _, records = fetched(url, tmp_path / "window", config(small))
    assert [record.name for record in records] == [here.catalogue.name]


def test_a_tile_of_which_nothing_is_selected_costs_headers_and_a_few_rows(large, tmp_path):
    settings = config(large).model_copy(update={"select": "MAG_AUTO < 3"})
    with nginx(large, tmp_path / "state") as url:
        ref, records = fetched(url, tmp_path / "window", settings)
    assert sum(record.moved for record in records[1:]) < 0.001 * sum(r.bytes for r in records[1:])
    with open_tile(ref, RULE, settings) as tile:
        assert len(tile.sources) == 0
        assert tile.coadds.footprint


def test_a_server_without_ranges_sends_whole_files(small, tmp_path):
    server = WrongServer()
    server.ranges = False
    server.files = {f"/{path.name}": path.read_bytes() for path in small.iterdir()}
    links = "".join(f'<a href="{name}">' for name in server.files)
    server.files["/"] = f"<html>{links}".encode()
    (here,) = find_tiles([small]).values()
    with server.running():
        ref, records = fetched(server.url, tmp_path / "window", config(small))
    assert {record.pieces for record in records} == {1}
    assert_alike(ref, here, config(small))


def test_where_no_change_would_show_files_come_whole(large, tmp_path):
    """Ranges of two versions would look like one file."""
    blind = 'etag off; add_header Last-Modified "";'
    with nginx(large, tmp_path / "state", blind) as url:
        survey = find_afar([url], tmp_path / "window")
        survey = looked_at(survey, survey.tiles)
        (ref,) = survey.tiles.values()
        for portion in first_files(survey, ref):
            fetch(portion, MANNERS)
        portions = other_files(survey, ref, config(large), RULE, MANNERS)
    assert {portion.ranges for portion in portions} == {None}


@pytest.mark.parametrize("compression", [".fz", ".gz"])
def test_compressed_images_come_whole(tmp_path, compression):
    root = tmp_path / "survey"
    make_tile(root, data_release="DR4.0", number=4, compression=compression)
    (here,) = find_tiles([root]).values()
    with nginx(root, tmp_path / "state") as url:
        ref, records = fetched(url, tmp_path / "window", config(root))
    assert {record.pieces for record in records} == {1}
    assert "ranges" not in {record.verified for record in records}
    assert_alike(ref, here, config(root))
