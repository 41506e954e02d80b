"""`process_tile`: every selected source has a row, its redshift a closed formula of its pixels."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from photoz_models import BUNDLED
from photoz_models.session import PhotozModel
from photoz_run import tile as tile_module
from photoz_run.catalogue.provenance import Provenance, input_files
from photoz_run.config import RunConfig
from photoz_run.errors import BadDataError
from photoz_run.flags import bit, decode
from photoz_run.schema import COLUMNS
from photoz_run.survey.discovery import find_tiles
from photoz_run.tile import process_tile
from support.bundles import closed_form, closed_form_bundle
from support.tiles import (
    OPTICAL,
    SEEING,
    Tile,
    catalogue_magnitudes,
    change_rows,
    make_tile,
    read_image,
    reference_stamps,
    set_cards,
    set_pixels,
)

SUFFIXES = {
    "DR4.0": ("u", "g", "r", "i", "Z", "Y", "J", "H", "Ks"),
    "DR5.0": ("u", "g", "r", "i1", "Z", "Y", "J", "H", "Ks"),
}
MODELS = ["closed-form", *sorted(path.name for path in BUNDLED.glob("*.onnx"))]
RUN = Provenance(
    program="photoz-run",
    version="0",
    commit="0",
    packages="numpy 2",
    run_digest="run",
    config_digest="config",
    model="closed-form",
    model_version="1",
    model_digest="model",
    model_training="none",
    simulated_training=True,
)


def load(name: str, bundle: Path) -> PhotozModel:
    return PhotozModel.load(
        bundle if name == "closed-form" else BUNDLED / name, provider="cpu", threads=1
    )


def measure(tile: Tile, model: PhotozModel, folder: Path, **settings):
    """Rows by ID and the result of one tile, without any cluster."""
    folder.mkdir(exist_ok=True)
    config = RunConfig(
        **{"tiles": ("all",), "data": (tile.folder,), "out": folder, "select": "all"} | settings
    )
    ref = find_tiles(config.data)[tile.name]
    result = process_tile(ref, config, model, folder, RUN, input_files(ref.paths()))
    if not result.files:
        return {}, result
    table = pq.read_table(folder / f"{tile.name}.parquet")
    return {row["ID"]: row for row in table.to_pylist()}, result


def number(value) -> float:
    return np.nan if value is None else value


@pytest.mark.parametrize("release", ["DR4.0", "DR5.0"])
def test_every_row_is_the_closed_formula_of_its_own_pixels(
    release, dr4_tile, dr5_tile, model, tmp_path
):
    tile = {"DR4.0": dr4_tile, "DR5.0": dr5_tile}[release]
    rows, result = measure(tile, model, tmp_path)
    stamps_NCHW = reference_stamps(tile)
    magnitudes_NB = catalogue_magnitudes(tile, SUFFIXES[release])
    levels = model.contract.quantile_levels
    z_N, quantiles_NQ, domain_N = closed_form(stamps_NCHW, magnitudes_NB, levels)
    assert len(rows) == result.rows_in == result.rows_out == 40
    assert len(np.unique(z_N)) > 30
    for n, name in enumerate(tile.id_N):
        row = rows[name]
        values = [row["Z_PHOT"], row["Z_DOMAIN"], row["Z_PHOT_LO68"], row["Z_PHOT_HI68"]]
        lo68, hi68, lo95, hi95 = (
            quantiles_NQ[n, levels.index(p)] for p in (0.16, 0.84, 0.025, 0.975)
        )
        np.testing.assert_allclose(values, [z_N[n], domain_N[n], lo68, hi68], atol=3e-6)
        assert row["Z_PHOT_LO95"] == pytest.approx(lo95, abs=3e-6)
        assert row["Z_PHOT_HI95"] == pytest.approx(hi95, abs=3e-6)
        assert row["Z_PHOT_ERR"] == pytest.approx((hi68 - lo68) / 2, abs=3e-6)
        assert row["KIDS_TILE"] == tile.name
        assert (row["RAJ2000"], row["DECJ2000"]) == (tile.ra_N[n], tile.dec_N[n])
        assert bool(row["PHOTOZ_FLAG"] & bit("OUT_OF_DOMAIN")) == (domain_N[n] > 1)
    assert [field.name for field in COLUMNS] == list(next(iter(rows.values())))


def test_counts_say_how_often_each_flag_was_set(dr5_tile, model, tmp_path):
    rows, result = measure(dr5_tile, model, tmp_path)
    names = [name for row in rows.values() for name in decode(row["PHOTOZ_FLAG"])]
    assert result.flag_counts == {name: names.count(name) for name in set(names)}
    assert result.flag_counts["MAG_J_MISSING"] == 1
    assert "NO_REDSHIFT" not in result.flag_counts
    assert set(result.zero_points) <= set(OPTICAL)
    assert result.seeing == {band: SEEING[band] for band in result.seeing}
    assert set(result.seeing) >= {"u", "g", "r"}
    assert np.shape(result.footprint) == (4, 2)
    assert all(abs(shift) < 0.3 for shift in result.zero_points.values())
    assert {"read", "cut", "infer", "write"} <= set(result.seconds)


def test_a_tile_in_which_nothing_is_selected_was_searched_all_the_same(dr5_tile, model, tmp_path):
    rows, result = measure(dr5_tile, model, tmp_path, select="MAG_AUTO_CALIB < 0")
    assert (rows, result.catalogue_rows, result.rows_in) == ({}, 40, 0)
    assert np.shape(result.footprint) == (4, 2)


def bits(row) -> dict[str, bytes]:
    """A row as bytes: equal only if every number is the same to the last bit."""
    return {
        name: np.array(number(value)).tobytes() if not isinstance(value, str) else value
        for name, value in row.items()
    }


def test_a_redshift_does_not_depend_on_the_batch(dr5_tile, model, tmp_path, monkeypatch):
    whole, _ = measure(dr5_tile, model, tmp_path / "whole")
    for size in (1, 7, 1000):
        monkeypatch.setattr(tile_module.OpenTile.batches, "__defaults__", (size,))
        split, _ = measure(dr5_tile, model, tmp_path / str(size))
        assert {name: bits(row) for name, row in split.items()} == {
            name: bits(row) for name, row in whole.items()
        }


def assert_same_to_rounding(row, other):
    """Large matrix products round by the place in the batch: the last bit of float32."""
    for name, value in row.items():
        if isinstance(value, float):
            assert value == pytest.approx(other[name], abs=1e-6), name
        else:
            assert value == other[name], name


@pytest.mark.parametrize("name", MODELS)
def test_the_number_of_threads_changes_no_bit(dr5_tile, bundle, tmp_path, name):
    path = bundle if name == "closed-form" else BUNDLED / name
    results = []
    for threads in (1, 2, 3):
        model = PhotozModel.load(path, provider="cpu", threads=threads)
        rows, _ = measure(dr5_tile, model, tmp_path / str(threads))
        results.append({source: bits(row) for source, row in rows.items()})
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("name", MODELS)
def test_a_redshift_does_not_depend_on_the_neighbours(dr5_tile, bundle, tmp_path, name):
    model = load(name, bundle)
    whole, _ = measure(dr5_tile, model, tmp_path / "whole")
    alone, _ = measure(dr5_tile, model, tmp_path / "alone", select="SeqNr == 12")
    some, _ = measure(dr5_tile, model, tmp_path / "some", select="SeqNr > 9 and SeqNr < 31")
    assert len(alone) == 1
    assert len(some) == 21
    for source, row in (alone | some).items():
        if name == "closed-form":
            assert bits(row) == bits(whole[source])
        else:
            assert_same_to_rounding(row, whole[source])


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_of_one_is_a_batch_of_a_thousand(name, bundle):
    model = load(name, bundle)
    contract = model.contract
    rng = np.random.default_rng(8)
    n = 1000
    stamps_NCHW = rng.normal(0, 3e-12, (n, *contract.stamp_shape())).astype(np.float32)
    stamps_NCHW += (10 ** (-0.4 * rng.uniform(17, 20, n)) / 200).astype(np.float32)[
        :, None, None, None
    ]
    magnitudes_NB = rng.uniform(16, 20, (n, len(contract.magnitude_bands))).astype(np.float32)
    seeing_NS = rng.uniform(0.6, 1.1, (n, len(contract.seeing_bands))).astype(np.float32)
    magnitudes_NB = np.hstack([magnitudes_NB, seeing_NS])
    together = model.predict(*padded(stamps_NCHW, magnitudes_NB, 1024))
    for k in (0, 1, 499, 999):
        alone = model.predict(*padded(stamps_NCHW[k : k + 1], magnitudes_NB[k : k + 1], 256))
        for single, many in zip(alone, together, strict=True):
            np.testing.assert_allclose(
                single[0],
                many[k],
                rtol=0 if name == "closed-form" else 1e-6,
                atol=0 if name == "closed-form" else 1e-6,
            )


def padded(stamps_NCHW, magnitudes_NB, size):
    gap = size - len(stamps_NCHW)
    return (
        np.concatenate([stamps_NCHW, np.full((gap, *stamps_NCHW.shape[1:]), np.nan, np.float32)]),
        np.concatenate([magnitudes_NB, np.full((gap, magnitudes_NB.shape[1]), np.nan, np.float32)]),
    )


def test_a_source_without_pixels_or_magnitudes_keeps_its_row_without_redshift(model, tmp_path):
    tile = make_tile(tmp_path / "data", data_release="DR4.0")

    def spoil(rows):
        rows["RAJ2000"][0] = 181.0
        for band in SUFFIXES["DR4.0"]:
            rows[f"MAG_GAAP_{band}"][1] = 99

    change_rows(tile.catalogue, spoil)
    rows, result = measure(tile, model, tmp_path / "out")
    assert len(rows) == 40
    for name, cause in ((tile.id_N[0], "NO_COVERAGE"), (tile.id_N[1], "MAG_KS_MISSING")):
        row = rows[name]
        assert {cause, "NO_REDSHIFT"} <= set(decode(row["PHOTOZ_FLAG"]))
        assert [row[column] for column in row if column.startswith("Z_")] == [None] * 7
        assert row["MAG_AUTO_CALIB"] is not None
    assert result.flag_counts["NO_REDSHIFT"] == 2


def test_a_redshift_at_the_end_of_the_range_is_said(dr5_tile, tmp_path):
    closed_form_bundle(tmp_path / "short.onnx", z_min=0.13, z_max=0.16)
    short = PhotozModel.load(tmp_path / "short.onnx", provider="cpu", threads=1)
    rows, _ = measure(dr5_tile, short, tmp_path / "out")
    limited = {name for name, row in rows.items() if "Z_LIMIT" in decode(row["PHOTOZ_FLAG"])}
    z_N, _, _ = closed_form(
        reference_stamps(dr5_tile), catalogue_magnitudes(dr5_tile, SUFFIXES["DR5.0"])
    )
    assert limited == set(dr5_tile.id_N[(z_N <= 0.13) | (z_N >= 0.16)])
    assert 0 < len(limited) < 40


def test_beyond_a_domain_distance_of_one_it_is_extrapolation(model, tmp_path):
    tile = make_tile(tmp_path / "data", data_release="DR4.0")

    def redden(rows):
        for row, distance in ((10, 1.1), (11, 0.9)):
            rows["MAG_GAAP_g"][row] = rows["MAG_GAAP_r"][row] + 0.5 + distance

    change_rows(tile.catalogue, redden)
    rows, result = measure(tile, model, tmp_path / "out")
    assert result.flag_counts["OUT_OF_DOMAIN"] == 1
    assert "OUT_OF_DOMAIN" in decode(rows[tile.id_N[10]]["PHOTOZ_FLAG"])
    assert rows[tile.id_N[10]]["Z_DOMAIN"] == pytest.approx(1.1, abs=1e-5)
    assert rows[tile.id_N[10]]["Z_PHOT"] is not None


def test_a_missing_band_can_be_gone_without(model, tmp_path):
    tile = make_tile(tmp_path / "data", data_release="DR4.0", bands=("u", "r", "i"))
    with pytest.raises(BadDataError, match="the tile has no g coadd"):
        measure(tile, model, tmp_path / "out")
    rows, _ = measure(tile, model, tmp_path / "out", missing_band="flag")
    stamps_NCHW = np.full((40, 4, 36, 36), np.nan)
    stamps_NCHW[:, [0, 2, 3]] = reference_stamps(tile, ("u", "r", "i"))
    z_N, _, _ = closed_form(stamps_NCHW, catalogue_magnitudes(tile, SUFFIXES["DR4.0"]))
    np.testing.assert_allclose([rows[name]["Z_PHOT"] for name in tile.id_N], z_N, atol=3e-6)
    assert all(
        {"BAND_MISSING", "NO_COVERAGE"} <= set(decode(row["PHOTOZ_FLAG"])) for row in rows.values()
    )


def test_a_kept_column_carries_unit_and_description_of_its_catalogue(model, tmp_path):
    tile = make_tile(tmp_path / "data", data_release="DR4.0")
    with fits.open(tile.catalogue, mode="update") as hdus:
        number = hdus[1].columns.names.index("MAG_AUTO") + 1
        hdus[1].header[f"TUNIT{number}"] = "mag"
        hdus[1].header[f"TCOMM{number}"] = "Kron-like total magnitude"
    measure(tile, model, tmp_path / "out", keep=("MAG_AUTO", "SeqNr"), formats=("parquet", "fits"))
    fields = pq.read_schema(tmp_path / "out" / f"{tile.name}.parquet")
    assert fields.field("MAG_AUTO").metadata == {
        b"unit": b"mag",
        b"description": b"Kron-like total magnitude",
    }
    assert fields.field("SeqNr").metadata == {b"description": b"SeqNr of the input catalogue"}
    assert fits.getheader(tmp_path / "out" / f"{tile.name}.fits", 1)["TUNIT15"] == "mag"


def test_nothing_to_do_is_a_result(model, tmp_path):
    tile = make_tile(tmp_path / "data", data_release="DR4.0")
    rows, result = measure(tile, model, tmp_path / "out", select="MAG_AUTO_CALIB < 2")
    assert (rows, result.rows_in, result.rows_out, dict(result.files)) == ({}, 0, 0, {})
    change_rows(tile.catalogue, lambda rows: rows[:0].copy())
    assert measure(tile, model, tmp_path / "out")[0] == {}
    assert list((tmp_path / "out").iterdir()) == []


def moved_away(rows):
    rows["RAJ2000"] += 2


def moved_a_little(rows):
    rows["DECJ2000"] += 0.5 / 3600


def turn(tile, band, turned, matrix_22):
    """Turn the images of a band, and their WCS with them."""
    for product in ("sci", "wei", "msk"):
        pixels_YX, header = read_image(tile.image(band, product))
        height, width = pixels_YX.shape
        middle = (np.array([width, height]) + 1) / 2
        plane = WCS(header)
        plane.wcs.cd = plane.wcs.cd @ np.linalg.inv(matrix_22)
        pixels_YX = turned(pixels_YX)
        new_middle = (np.array(pixels_YX.shape[::-1]) + 1) / 2
        plane.wcs.crpix = matrix_22 @ (plane.wcs.crpix - middle) + new_middle
        for key, value in plane.to_header().items():
            header[key] = value
        for axis in "12":
            for other in "12":
                header.remove(f"CD{axis}_{other}", ignore_missing=True)
        fits.PrimaryHDU(pixels_YX, header).writeto(tile.image(band, product), overwrite=True)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (
            lambda tile: set_pixels(tile.image("r"), lambda pixels: pixels * 1e12),
            r"r pixels are -29\.8 mag off",
        ),
        (lambda tile: set_cards(tile.image("g"), CRPIX1=160.0), r"g pixels are \+.* mag off"),
        (
            lambda tile: set_cards(tile.image("g"), CRPIX1=99.5 + 3),
            r"g light is -[23]\.\d, \+?-?0\.\d pixels \(x, y\) off the catalogue's positions",
        ),
        (
            lambda tile: change_rows(tile.catalogue, moved_a_little),
            r"u light is .* pixels \(x, y\) off the catalogue's positions",
        ),
        (
            lambda tile: set_cards(tile.image("u"), CRVAL1=182.0),
            r"_u_sci\.fits: 40 of 40 sources lie off this coadd",
        ),
        (
            lambda tile: turn(tile, "g", np.flipud, [[1, 0], [0, -1]]),
            r"_g_sci\.fits: its pixel axes are turned or mirrored against those of K.*_r_sci\.fits",
        ),
        (
            lambda tile: turn(tile, "i", np.rot90, [[0, 1], [-1, 0]]),
            r"_i_sci\.fits: its pixel axes are turned or mirrored",
        ),
        (
            lambda tile: change_rows(tile.catalogue, moved_away),
            "40 of 40 sources lie outside the coadds; is it the catalogue of this tile",
        ),
    ],
)
def test_pixels_and_catalogue_that_do_not_belong_together_are_refused(
    model, tmp_path, spoil, complaint
):
    tile = make_tile(tmp_path / "data", data_release="DR4.0")
    spoil(tile)
    with pytest.raises(BadDataError, match=complaint):
        measure(tile, model, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_light_that_is_a_little_off_is_told(model, tmp_path):
    tile = make_tile(tmp_path / "data", data_release="DR4.0")
    _, good = measure(tile, model, tmp_path / "out")
    assert good.remarks == ()
    set_cards(tile.image("g"), CRPIX1=99.5 + 0.8)
    _, off = measure(tile, model, tmp_path / "out")
    assert len(off.remarks) == 1
    assert re.match(r"g light is -[01]\.\d, ", off.remarks[0])
    assert off.remarks[0].endswith("off the catalogue's positions (median)")


def test_files_under_the_name_of_another_tile_are_told(model, tmp_path):
    tile = make_tile(tmp_path / "data", "KIDS_359.9_-31.2", "DR4.0")
    _, good = measure(tile, model, tmp_path / "out")
    assert good.remarks == ()
    for path in tile.folder.iterdir():
        path.rename(path.with_name(path.name.replace("359.9_-31.2", "1.0_-31.2")))
    _, renamed = measure(replace(tile, name="KIDS_1.0_-31.2"), model, tmp_path / "out")
    assert renamed.remarks == ()
    for path in tile.folder.iterdir():
        path.rename(path.with_name(path.name.replace("1.0_-31.2", "12.5_-31.2")))
    _, renamed = measure(replace(tile, name="KIDS_12.5_-31.2"), model, tmp_path / "out")
    said = "its coadds lie around 359.9 -31.2, 10.8 deg from where its name says"
    assert renamed.remarks == (said,)


def test_a_tile_without_weights_or_flag_images_is_told(model, tmp_path):
    tile = make_tile(tmp_path / "data", data_release="DR4.0")
    tile.image("g", "wei").unlink()
    tile.image("r", "msk").unlink()
    _, result = measure(tile, model, tmp_path / "out")
    assert result.remarks == ("no weights in g, no flag image in r",)
    _, asked = measure(tile, model, tmp_path / "out", use_weights=False, bad_pixel_bits=0)
    assert asked.remarks == ()


def test_a_band_that_is_lost_in_the_whole_tile_is_told(model, tmp_path):
    tile = make_tile(tmp_path / "data", data_release="DR4.0", number=60)
    _, good = measure(tile, model, tmp_path / "out")
    assert good.remarks == ()
    with fits.open(tile.image("g", "wei"), mode="update") as hdus:
        hdus[0].data[...] = 0
    rows, lost = measure(tile, model, tmp_path / "out")
    assert all(row["Z_PHOT"] is not None for row in rows.values())
    assert lost.remarks == (
        "g pixels give no flux at any source",
        "more than half of the rows have NO_COVERAGE, BAD_PIXELS, CENTRE_BAD",
    )


def test_kept_columns_and_quantiles_stand_behind_the_others(dr5_tile, model, tmp_path):
    rows, _ = measure(dr5_tile, model, tmp_path, keep=("SeqNr", "THELI_NAME"), quantiles=True)
    names = [column.name for column in COLUMNS]
    assert list(next(iter(rows.values()))) == [*names, "SeqNr", "THELI_NAME", "Z_QUANTILES"]
    for n, name in enumerate(dr5_tile.id_N):
        row = rows[name]
        assert row["SeqNr"] == n + 1
        assert len(row["Z_QUANTILES"]) == len(model.contract.quantile_levels)
        assert row["Z_QUANTILES"][model.contract.quantile_levels.index(0.16)] == pytest.approx(
            row["Z_PHOT_LO68"]
        )


def test_external_magnitudes_replace_those_of_the_catalogue(dr4_tile, model, tmp_path):
    table = {
        "ID": dr4_tile.id_N[:30].tolist(),
        "RAJ2000": dr4_tile.ra_N[:30],
        "DECJ2000": dr4_tile.dec_N[:30],
    }
    expected_NB = np.full((40, 9), np.nan, np.float32)
    for b, band in enumerate(SUFFIXES["DR4.0"]):
        expected_NB[:30, b] = dr4_tile.magnitudes[band][:30] + 0.1 * b - 0.3
        table[f"MAG_GAAP_{band}"] = expected_NB[:30, b]
    pq.write_table(pa.table(table), tmp_path / "mags.parquet")
    z_N, _, _ = closed_form(reference_stamps(dr4_tile), expected_NB)
    apart_NN = np.hypot(
        np.subtract.outer(dr4_tile.ra_N, dr4_tile.ra_N),
        np.subtract.outer(dr4_tile.dec_N, dr4_tile.dec_N),
    )
    close_pairs = ((apart_NN[:, :30] < 1 / 3600).sum(axis=1) > 1).sum()
    for by in ("position", "id"):
        rows, result = measure(
            dr4_tile, model, tmp_path / by, magnitudes=tmp_path / "mags.parquet", magnitudes_by=by
        )
        for n, name in enumerate(dr4_tile.id_N):
            z = rows[name]["Z_PHOT"]
            assert z == pytest.approx(z_N[n], abs=3e-6) if n < 30 else z is None
        assert (result.counts["magnitudes_matched"], result.counts["magnitudes_unmatched"]) == (
            30,
            10,
        )
        assert result.counts["magnitudes_ambiguous"] == (close_pairs if by == "position" else 0)
        assert sum("MAG_UNMATCHED" in decode(row["PHOTOZ_FLAG"]) for row in rows.values()) == 10


class Bare:
    """A model that asks for images alone or magnitudes alone, with outputs of the right shapes."""

    def __init__(self, contract):
        self.contract = contract

    def predict(self, stamps_NCHW, magnitudes_NB):
        n = len(magnitudes_NB)
        quantiles_NQ = np.tile(
            np.linspace(0.1, 0.2, len(self.contract.quantile_levels), dtype=np.float32), (n, 1)
        )
        return np.full(n, 0.15, np.float32), quantiles_NQ, np.zeros(n, np.float32)


@pytest.mark.parametrize("bands", [{"image_bands": ()}, {"magnitude_bands": ()}])
def test_models_of_images_alone_and_of_magnitudes_alone_run(dr5_tile, model, tmp_path, bands):
    rows, result = measure(dr5_tile, Bare(model.contract.model_copy(update=bands)), tmp_path)
    assert len(rows) == 40
    assert {row["Z_PHOT"] for row in rows.values()} == {float(np.float32(0.15))}
    assert "NO_REDSHIFT" not in result.flag_counts


def test_a_model_that_reads_the_seeing_gets_it_after_the_magnitudes(dr5_tile, model, tmp_path):
    tables = []

    class Watching(Bare):
        def predict(self, stamps_NCHW, magnitudes_NB):
            tables.append(magnitudes_NB)
            return super().predict(stamps_NCHW, magnitudes_NB)

    rows, result = measure(
        dr5_tile,
        Watching(model.contract.model_copy(update={"seeing_bands": ("i", "u")})),
        tmp_path / "known",
    )
    [table_NB] = tables
    assert table_NB.shape == (256, 11)
    by_id = dict(zip(dr5_tile.id_N, catalogue_magnitudes(dr5_tile, SUFFIXES["DR5.0"]), strict=True))
    np.testing.assert_array_equal(table_NB[:40, :9], [by_id[name] for name in rows])
    np.testing.assert_array_equal(
        table_NB[:40, 9:], np.tile(np.float32([SEEING["i"], SEEING["u"]]), (40, 1))
    )
    assert "SEEING_UNKNOWN" not in result.flag_counts
    silent = make_tile(tmp_path / "tile")
    fits.delval(silent.image("u"), "PSF_FWHM")
    _, result = measure(
        silent,
        Watching(model.contract.model_copy(update={"seeing_bands": ("u",)})),
        tmp_path / "not",
    )
    assert np.isnan(tables[1][:, 9]).all()
    assert result.flag_counts["SEEING_UNKNOWN"] == 40
    assert "NO_REDSHIFT" not in result.flag_counts


def test_the_model_sees_what_the_contract_names(dr5_tile, bundle, tmp_path):
    closed_form_bundle(
        tmp_path / "other.onnx",
        stamp_size=20,
        i_epoch="second",
        dmag_applied=False,
        extinction_corrected=False,
    )
    other = PhotozModel.load(tmp_path / "other.onnx", provider="cpu", threads=1)
    rows, _ = measure(dr5_tile, other, tmp_path / "out")
    stamps_NCHW = reference_stamps(dr5_tile, ("u", "g", "r", "i2"), size=20, calibrated=False)
    z_N, _, _ = closed_form(stamps_NCHW, catalogue_magnitudes(dr5_tile, SUFFIXES["DR5.0"]))
    np.testing.assert_allclose([rows[name]["Z_PHOT"] for name in dr5_tile.id_N], z_N, atol=3e-6)


def test_weights_of_nan_give_no_redshift_rather_than_a_wrong_one(dr5_tile, model, tmp_path):
    class Broken(Bare):
        def predict(self, stamps_NCHW, magnitudes_NB):
            z_N, quantiles_NQ, domain_N = super().predict(stamps_NCHW, magnitudes_NB)
            return (
                np.where(np.arange(len(z_N)) % 2, np.nan, z_N).astype(np.float32),
                quantiles_NQ,
                domain_N,
            )

    rows, result = measure(dr5_tile, Broken(model.contract), tmp_path)
    assert result.flag_counts["NO_REDSHIFT"] == 20
    assert sum(row["Z_PHOT_LO68"] is None for row in rows.values()) == 20
