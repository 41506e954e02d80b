"""A table of magnitudes that no tile can use stops the command before any tile."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from photoz_models.stamp_rule import StampRule
from photoz_run.alike import remarks_of
from photoz_run.config import RunConfig
from photoz_run.errors import ConfigError
from photoz_run.records import Status, TileOutcome
from photoz_run.run.plan import check_magnitudes
from photoz_run.survey.discovery import find_tiles
from photoz_run.tables.opening import open_table
from support.tiles import NINE

RULE = StampRule(
    image_bands=("u", "g", "r", "i"),
    magnitude_bands=NINE,
    stamp_size=36,
    pixel_scale=0.2,
    dmag_applied=True,
    extinction_corrected=True,
)


def check(tile, path, by="id", **names):
    config = RunConfig(
        tiles=("all",),
        data=(tile.folder,),
        out=Path("o"),
        select="all",
        magnitudes=path,
        magnitudes_by=by,
        **names,
    )
    check_magnitudes(find_tiles([tile.folder]), config, RULE)


@pytest.fixture
def own(dr4_tile):
    """The magnitudes of the tile's catalogue."""
    bands = [f"{kind}_GAAP_{band}" for band in NINE for kind in ("MAG", "FLAG")]
    return open_table(dr4_tile.catalogue).read(["ID", "RAJ2000", "DECJ2000", *bands])


@pytest.mark.parametrize("by", ["id", "position"])
def test_the_tiles_own_magnitudes_will_do(dr4_tile, own, tmp_path, by):
    pq.write_table(own, tmp_path / "m.parquet")
    check(dr4_tile, tmp_path / "m.parquet", by)


def test_columns_of_other_names_are_told(dr4_tile, own, tmp_path):
    names = [name.replace("MAG_GAAP", "mag") for name in own.column_names]
    pq.write_table(own.rename_columns(names), tmp_path / "m.parquet")
    with pytest.raises(ConfigError, match=r"magnitudes .*m.parquet: no column MAG_GAAP_u, "):
        check(dr4_tile, tmp_path / "m.parquet")


def test_ids_of_another_survey_are_told(dr4_tile, own, tmp_path):
    other = own.set_column(0, "ID", pa.array([f"X{k}" for k in range(len(own))]))
    pq.write_table(other, tmp_path / "m.parquet")
    with pytest.raises(
        ConfigError, match=r"0 of 40 sources of the tile find their magnitudes by id"
    ):
        check(dr4_tile, tmp_path / "m.parquet")


def test_the_key_may_be_named(dr4_tile, own, tmp_path):
    pq.write_table(own.rename_columns(["name", *own.column_names[1:]]), tmp_path / "m.parquet")
    with pytest.raises(ConfigError, match="no column ID; name it, --id"):
        check(dr4_tile, tmp_path / "m.parquet")
    check(dr4_tile, tmp_path / "m.parquet", magnitudes_id="name")


def test_a_full_tile_of_which_nothing_is_selected_is_said():
    outcome = TileOutcome(
        "KIDS_1", Status.NO_WORK, "", "", catalogue_rows=738, remarks=("FLAG_GAAP_r is set",)
    )
    assert remarks_of(outcome) == (
        "FLAG_GAAP_r is set",
        "none of its 738 sources is selected",
    )
