"""`photoz release --keep`: columns of the input catalogues come to their sources, or none."""

import os
import shutil
from dataclasses import replace

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from photoz_run.catalogue.provenance import input_files
from photoz_run.errors import ConfigError
from photoz_run.release.passthrough import pass_through
from photoz_run.run.ledger import RunDirectory
from support.runs import in_process, options, tile_file
from support.tiles import change_rows, make_tile

TILES = ("KIDS_180.0_-0.5", "KIDS_181.0_-0.5")


@pytest.fixture(scope="module")
def made(tmp_path_factory, bundle):
    """A run over two tiles that carried no further column."""
    folder = tmp_path_factory.mktemp("passthrough")
    for k, name in enumerate(TILES):
        tile = make_tile(folder / "data", name, seed=k)
        describe(tile.catalogue)
    with pytest.MonkeyPatch.context() as patch:
        assert in_process(patch, options(folder / "data", bundle, folder / "run")) == 0
    return folder


@pytest.fixture
def again(made, tmp_path):
    """A copy of it that a test may spoil; the catalogues are as old as they were."""
    shutil.copytree(made, tmp_path / "copy")
    manifest = tmp_path / "copy" / "run" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(str(made), str(tmp_path / "copy")))
    return tmp_path / "copy"


def describe(catalogue):
    with fits.open(catalogue, mode="update") as hdus:
        for name, unit, comment in (
            ("MAG_AUTO", "mag", "Kron-like total magnitude"),
            ("FLUX_RADIUS", "pixel", ""),
        ):
            number = hdus[1].columns.names.index(name) + 1
            hdus[1].header[f"TUNIT{number}"], hdus[1].header[f"TCOMM{number}"] = unit, comment


def manifest_of(folder):
    return RunDirectory(folder / "run").read_manifest()


def rows_of(folder, tile) -> pa.Table:
    return pq.read_table(tile_file(folder / "run", tile))


def catalogue_of(folder, tile):
    (path,) = (folder / "data").glob(f"*_{tile.removeprefix('KIDS_')}_*_cat.fits")
    return path


@pytest.mark.parametrize("tile", TILES)
def test_every_source_gets_the_values_of_its_own_id(made, tile):
    columns = ["MAG_AUTO", "SeqNr", "FLAG_GAAP_u"]
    step = pass_through(manifest_of(made), TILES, columns, ["ID", "KIDS_TILE"])
    rows = rows_of(made, tile)
    some = rows.slice(3, 20).take(list(range(20))[::-1])
    kept = step.add(tile, some)
    truth = {str(row["ID"]).strip(): row for row in fitsio.read(catalogue_of(made, tile), ext=1)}
    assert kept.column_names == [*rows.column_names, *columns]
    assert kept.select(rows.column_names).equals(some)
    assert len(set(kept["SeqNr"].to_pylist())) == 20
    for row in kept.to_pylist():
        for name in columns:
            assert row[name] == truth[row["ID"]][name]


def test_unit_and_description_of_the_catalogue_come_along(made):
    step = pass_through(manifest_of(made), TILES, ["MAG_AUTO", "FLUX_RADIUS"], ["ID"])
    kept = step.add(TILES[0], rows_of(made, TILES[0]))
    assert kept.field("MAG_AUTO").metadata == {
        b"unit": b"mag",
        b"description": b"Kron-like total magnitude",
    }
    about = {b"unit": b"pixel", b"description": b"FLUX_RADIUS of the input catalogue"}
    assert kept.field("FLUX_RADIUS").metadata == about
    assert list(kept.schema)[-2:] == step.fields


def test_missing_values_become_null(made):
    step = pass_through(manifest_of(made), TILES, ["MAG_GAAP_H"], ["ID"])
    kept = step.add(TILES[0], rows_of(made, TILES[0]))
    assert kept["MAG_GAAP_H"].null_count == 1
    assert not np.isnan(kept["MAG_GAAP_H"].drop_null().to_numpy()).any()


def test_a_catalogue_that_changed_since_is_refused(again):
    catalogue = catalogue_of(again, TILES[1])
    manifest = manifest_of(again)
    pass_through(manifest, TILES, ["SeqNr"], ["ID"])
    os.utime(catalogue)
    with pytest.raises(
        ConfigError, match=rf"the catalogue of {TILES[1]} has changed since it was measured"
    ):
        pass_through(manifest, TILES, ["SeqNr"], ["ID"])
    pass_through(manifest, TILES[:1], ["SeqNr"], ["ID"])


def test_a_catalogue_that_is_gone_is_refused(again):
    catalogue_of(again, TILES[0]).unlink()
    with pytest.raises(
        ConfigError, match=rf"--keep: 1 of 2 tiles have no catalogue in .*, the first is {TILES[0]}"
    ):
        pass_through(manifest_of(again), TILES, ["SeqNr"], ["ID"])
    shutil.rmtree(again / "data")
    with pytest.raises(ConfigError, match=r"data folder .* does not exist"):
        pass_through(manifest_of(again), TILES, ["SeqNr"], ["ID"])


def spoil_quietly(folder, tile, change):
    """Change a catalogue and let the manifest say that it was always so."""
    catalogue = catalogue_of(folder, tile)
    change_rows(catalogue, change)
    manifest = manifest_of(folder)
    (now,) = input_files([catalogue])
    files = tuple(now if file.name == now.name else file for file in manifest.inputs[tile])
    return replace(manifest, inputs={**manifest.inputs, tile: files})


def test_a_source_that_the_catalogue_does_not_hold_is_refused(again):
    rows = rows_of(again, TILES[0])
    step = pass_through(
        spoil_quietly(again, TILES[0], lambda rows: rows[2:].copy()), TILES, ["SeqNr"], ["ID"]
    )
    with pytest.raises(
        ConfigError, match=r"no row for 2 of 40 sources of the tile, the first is 'KiDSDR5 J180"
    ):
        step.add(TILES[0], rows)


def test_a_type_that_differs_between_catalogues_is_refused(again):
    def widen(rows):
        kinds = [(name, "f8" if name == "SeqNr" else rows.dtype[name]) for name in rows.dtype.names]
        return rows.astype(kinds)

    step = pass_through(spoil_quietly(again, TILES[1], widen), TILES, ["SeqNr"], ["ID"])
    step.add(TILES[0], rows_of(again, TILES[0]))
    with pytest.raises(
        ConfigError, match="column SeqNr is double here and int32 in other catalogues"
    ):
        step.add(TILES[1], rows_of(again, TILES[1]))


@pytest.mark.parametrize(
    ("keep", "complaint"),
    [
        (["SeqNrr"], r"_cat\.fits has no column 'SeqNrr'; did you mean SeqNr"),
        (["SeqNr", "SEQNR"], "--keep SEQNR: the release has a column SeqNr already"),
        (["Mask"], "--keep Mask: the release has a column MASK already; leave it out"),
    ],
)
def test_columns_that_cannot_be_kept_are_refused_in_one_line(made, keep, complaint):
    with pytest.raises(ConfigError, match=complaint) as told:
        pass_through(manifest_of(made), TILES, keep, ["ID", "MASK"])
    assert "\n" not in str(told.value)
