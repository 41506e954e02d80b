"""Sources of a tile: the right columns, rows and order, or a refusal that names the fault."""

import gzip
import subprocess
from dataclasses import replace

import fitsio
import numpy as np
import pytest
from astropy.io import fits

from photoz_models.stamp_rule import StampRule
from photoz_run.errors import BadDataError, ConfigError
from photoz_run.flags import decode
from photoz_run.survey.catalogues import (
    check_selection,
    column_names,
    count_rows,
    read_sources,
    selected_positions,
)
from photoz_run.survey.data_release import DR4, DR5
from photoz_run.survey.discovery import find_tiles
from support.faults import replace_column
from support.programs import needs
from support.tiles import (
    NINE,
    Tile,
    catalogue_magnitudes,
    change_rows,
    drop_column,
    make_tile,
    truncate,
)

RULE = StampRule(
    image_bands=("u", "g", "r", "i"),
    magnitude_bands=NINE,
    stamp_size=36,
    pixel_scale=0.2,
    dmag_applied=True,
    extinction_corrected=True,
)
SUFFIXES = {"DR4.0": NINE, "DR5.0": ("u", "g", "r", "i1", "Z", "Y", "J", "H", "Ks")}


def with_rule(**changes) -> StampRule:
    return RULE.model_copy(update=changes)


def read(
    tile: Tile, select: str = "all", keep: tuple[str, ...] = (), rule: StampRule = RULE, **options
):
    ref = find_tiles([tile.folder])[tile.name]
    return read_sources(ref, rule, ("i",), tile.dmag["r"], select, keep, **options)


@pytest.fixture(params=["DR4.0", "DR5.0"])
def tile(request, dr4_tile, dr5_tile) -> Tile:
    return {"DR4.0": dr4_tile, "DR5.0": dr5_tile}[request.param]


@pytest.fixture
def own_tile(tmp_path) -> Tile:
    """A tile without coadds, to be spoiled."""
    return make_tile(tmp_path, data_release="DR4.0", bands=("r",))


def test_all_sources_come_once_in_order_of_position(tile):
    sources = read(tile)
    order = np.argsort(tile.dec_N, kind="stable")
    np.testing.assert_array_equal(sources.id_N, tile.id_N[order])
    np.testing.assert_array_equal(sources.ra_N, tile.ra_N[order])
    np.testing.assert_array_equal(sources.dec_N, tile.dec_N[order])
    for c, band in enumerate(RULE.image_bands):
        np.testing.assert_array_equal(sources.extinction_NC[:, c], tile.extinction[band][order])


def test_magnitudes_are_those_of_the_release_with_codes_missing(tile):
    sources = read(tile)
    order = np.argsort(tile.dec_N, kind="stable")
    expected_NB = catalogue_magnitudes(tile, SUFFIXES[tile.data_release])[order]
    np.testing.assert_array_equal(sources.magnitudes_NB, expected_NB)
    assert np.isnan(expected_NB).sum() == 4
    for n in range(len(sources)):
        names = [
            f"MAG_{band.upper()}_MISSING"
            for b, band in enumerate(NINE)
            if np.isnan(expected_NB[n, b])
        ]
        assert decode(sources.flags_N[n]) == names


def test_the_order_of_rows_in_the_file_does_not_matter(tile, tmp_path):
    copy = make_tile(tmp_path, data_release=tile.data_release, bands=("r",))
    change_rows(copy.catalogue, lambda rows: rows[::-1].copy())
    one, other = read(tile), read(copy)
    np.testing.assert_array_equal(one.id_N, other.id_N)
    np.testing.assert_array_equal(one.magnitudes_NB, other.magnitudes_NB)


def test_total_magnitude_is_that_of_the_release_note(tile):
    sources = read(tile)
    rows = {row["ID"].strip(): row for row in fitsio.read(tile.catalogue, ext=1)}
    for name, total in zip(sources.id_N, sources.columns["MAG_AUTO_CALIB"], strict=True):
        row = rows[name]
        assert total == pytest.approx(
            row["MAG_AUTO"] + tile.dmag["r"] - row["EXTINCTION_r"], abs=1e-5
        )


def test_columns_asked_for_travel_unchanged(tile):
    sources = read(tile, keep=("SeqNr", "Z_B", "THELI_NAME", "MAGERR_AUTO"))
    assert sources.columns["SeqNr"].tolist() == (np.argsort(tile.dec_N, kind="stable") + 1).tolist()
    assert sources.columns["THELI_NAME"].dtype.kind == "U"
    assert sources.columns["SeqNr"].dtype.isnative


BRIGHT_FAULTS = {
    "faint": ("MAG_AUTO", 20.2),
    "star by shape": ("CLASS_STAR", 0.5),
    "star by colour": ("SG2DPHOT", 1),
    "star by flag": ("SG_FLAG", 0),
    "not detected": ("MAG_GAAP_H", 99.0),
    "no data": ("MAG_GAAP_Z", -99.0),
    "not a number": ("MAG_GAAP_Ks", np.nan),
    "flagged": ("FLAG_GAAP_u", 1),
    "no total": ("MAG_AUTO", 99.0),
    "no class": ("CLASS_STAR", np.nan),
}


@pytest.mark.parametrize("fault", BRIGHT_FAULTS)
def test_each_condition_of_the_bright_sample_counts(own_tile, fault):
    column, value = BRIGHT_FAULTS[fault]
    before = set(read(own_tile, "bright").id_N)
    assert own_tile.id_N[10] in before

    def spoil(rows):
        rows[column][10] = value

    change_rows(own_tile.catalogue, spoil)
    assert set(read(own_tile, "bright").id_N) == before - {own_tile.id_N[10]}


def test_the_bright_sample_is_its_definition_written_out(tile):
    rows = fitsio.read(tile.catalogue, ext=1)
    valid = np.isfinite(catalogue_magnitudes(tile, SUFFIXES[tile.data_release])).all(axis=1)
    total = rows["MAG_AUTO"] + tile.dmag["r"] - rows["EXTINCTION_r"]
    bright = (
        (total < 20)
        & valid
        & (rows["CLASS_STAR"] < 0.5)
        & (rows["SG2DPHOT"] == 0)
        & (rows["SG_FLAG"] == 1)
    )
    assert set(read(tile, "bright").id_N) == set(tile.id_N[bright])
    masked = (rows["MASK"] & (1 << 14)) != 0
    assert masked.any()
    assert set(read(tile, "bright and not masked").id_N) == set(tile.id_N[bright & ~masked])
    assert set(read(tile, "masked").id_N) == set(tile.id_N[masked])


def test_without_sg_flag_the_sample_is_drawn_by_the_rest(own_tile):
    before = list(read(own_tile, "bright").id_N)
    drop_column(own_tile.catalogue, "SG_FLAG")
    assert list(read(own_tile, "bright").id_N) == before


def test_masked_bits_are_those_of_the_release():
    assert DR4.mask_value() == 28668
    # DR5: 1 stellar and halo, 2 manual, 3 void, 4 u, 5 g, 7 i1, 8 i2, 9-13 VISTA, 14 outside; not
    # 0 nor 6 (r).
    assert DR5.mask_value() == sum(1 << k for k in (1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14))


@pytest.mark.parametrize("k", range(15))
def test_each_mask_bit_masks_as_its_release_says(tmp_path, k):
    for release, facts in (("DR4.0", DR4), ("DR5.0", DR5)):
        tile = make_tile(tmp_path / release, data_release=release, bands=("r",), number=5)

        def spoil(rows):
            rows["MASK"] = 0
            rows["MASK"][2] = 1 << k

        change_rows(tile.catalogue, spoil)
        expected = [tile.id_N[2]] if facts.mask_value() >> k & 1 else []
        assert list(read(tile, "masked").id_N) == expected


def test_an_expression_may_use_any_column_and_the_derived_ones(tile):
    rows = fitsio.read(tile.catalogue, ext=1)
    total = rows["MAG_AUTO"] + tile.dmag["r"] - rows["EXTINCTION_r"]
    expected = (rows["SeqNr"] > 5) & (total < 18.5) & (rows["MAG_GAAP_Y"] < 18)
    found = read(tile, "SeqNr > 5 and MAG_AUTO_CALIB < 18.5 and MAG_GAAP_Y < 18")
    assert set(found.id_N) == set(tile.id_N[expected])
    assert 0 < len(found) < 40


@pytest.mark.parametrize("expression", ["MAG_AUTO <", "MAG_AUTO + 1", "exit(1)"])
def test_an_expression_that_means_nothing_is_the_users_fault(tile, expression):
    with pytest.raises(ConfigError, match="expression"):
        check_selection(tile.catalogue, expression)


def test_an_expression_is_tried_with_the_types_of_the_columns(tile):
    check_selection(tile.catalogue, "bright and MAG_AUTO_CALIB < 19 and not masked and ID != ''")
    for wrong in ("ID < 3", "9 ** 9 ** 9 > MAG_AUTO", "MAG_AUTO & 1 == 0 and ID"):
        with pytest.raises(ConfigError, match="cannot be evaluated"):
            check_selection(tile.catalogue, wrong)
    with pytest.raises(BadDataError, match="no column MAG_AUT0"):
        check_selection(tile.catalogue, "MAG_AUT0 < 19")


@pytest.mark.parametrize("kind", ["S4", ("i2", 2)])
def test_what_is_bright_is_not_told_by_texts_or_lists(own_tile, kind):
    replace_column(own_tile.catalogue, "SG2DPHOT", kind, 0)
    with pytest.raises(BadDataError, match=r"column SG2DPHOT holds .* is expected"):
        read(own_tile, "bright")


def test_a_selection_that_nothing_satisfies_gives_no_source(tile):
    sources = read(tile, "MAG_AUTO_CALIB < 3")
    assert len(sources) == 0
    assert sources.magnitudes_NB.shape == (0, 9)


def test_the_codes_never_pass_for_magnitudes_in_the_total(own_tile):
    def spoil(rows):
        rows["MAG_AUTO"][:3] = [99, -99, np.nan]

    change_rows(own_tile.catalogue, spoil)
    sources = read(own_tile)
    missing = set(sources.id_N[np.isnan(sources.columns["MAG_AUTO_CALIB"])])
    assert missing == set(own_tile.id_N[:3])
    assert not missing & set(read(own_tile, "MAG_AUTO_CALIB < 20").id_N)


NEEDED = [
    "ID",
    "RAJ2000",
    "DECJ2000",
    "MAG_AUTO",
    "EXTINCTION_r",
    "EXTINCTION_u",
    "MASK",
    "MAG_GAAP_J",
    "FLAG_GAAP_Ks",
]


@pytest.mark.parametrize("column", NEEDED)
def test_a_missing_column_is_named_with_its_file(own_tile, column):
    drop_column(own_tile.catalogue, column)
    with pytest.raises(BadDataError, match=rf"{own_tile.catalogue}: no column {column}; .*it has"):
        read(own_tile)


@pytest.mark.parametrize("column", ["CLASS_STAR", "SG2DPHOT"])
def test_columns_of_the_bright_sample_are_needed_only_for_it(own_tile, column):
    drop_column(own_tile.catalogue, column)
    assert len(read(own_tile)) == 40
    with pytest.raises(BadDataError, match=f"no column {column}"):
        read(own_tile, "bright")


def test_magnitudes_need_not_be_there_if_they_come_from_elsewhere(own_tile):
    drop_column(own_tile.catalogue, "MAG_GAAP_J")
    sources = read(own_tile, with_magnitudes=False)
    assert len(sources) == 40
    assert np.isnan(sources.magnitudes_NB).all()


def test_models_may_ask_for_fewer_bands_in_another_order(tile):
    rule = with_rule(image_bands=("r", "g"), magnitude_bands=("Ks", "r"))
    sources = read(tile, rule=rule)
    order = np.argsort(tile.dec_N, kind="stable")
    np.testing.assert_array_equal(
        sources.magnitudes_NB, catalogue_magnitudes(tile, ("Ks", "r"))[order]
    )
    np.testing.assert_array_equal(sources.extinction_NC[:, 1], tile.extinction["g"][order])


def test_models_may_ask_for_no_images_or_no_magnitudes(tile):
    assert read(tile, rule=with_rule(image_bands=())).extinction_NC.shape == (40, 0)
    assert read(tile, rule=with_rule(magnitude_bands=())).magnitudes_NB.shape == (40, 0)


@pytest.mark.parametrize("row", [0, 17, 39])
def test_duplicate_ids_are_refused_with_the_first_of_them(own_tile, row):
    def spoil(rows):
        rows["ID"][row] = rows["ID"][20]

    change_rows(own_tile.catalogue, spoil)
    with pytest.raises(
        BadDataError, match=f"IDs that stand more than once: 1, the first is '{own_tile.id_N[20]}'"
    ):
        read(own_tile)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("RAJ2000", np.nan),
        ("DECJ2000", np.nan),
        ("DECJ2000", 91.0),
        ("RAJ2000", -3.0),
        ("RAJ2000", np.inf),
    ],
)
def test_positions_off_the_sky_are_refused(own_tile, column, value):
    def spoil(rows):
        rows[column][3] = value

    change_rows(own_tile.catalogue, spoil)
    with pytest.raises(
        BadDataError, match=r"1 of 40 positions are not on the sky \(RAJ2000, DECJ2000 in deg\)"
    ):
        read(own_tile)


@pytest.mark.parametrize(
    ("column", "unit", "expected"),
    [("DECJ2000", "rad", "degrees are"), ("MAG_AUTO", "uJy", "mag is")],
)
def test_a_column_in_another_unit_is_refused(own_tile, column, unit, expected):
    with fits.open(own_tile.catalogue, mode="update") as hdus:
        hdus[1].columns[column].unit = unit
    with pytest.raises(
        BadDataError, match=f"column {column} has the unit '{unit}', where {expected} expected"
    ):
        read(own_tile)


def test_an_empty_catalogue_has_no_rows_and_no_sources(own_tile):
    change_rows(own_tile.catalogue, lambda rows: rows[:0].copy())
    assert count_rows(own_tile.catalogue) == 0
    assert len(read(own_tile)) == 0
    assert len(read(own_tile, "bright", keep=("SeqNr",))) == 0


def test_a_catalogue_that_is_no_table_is_refused(own_tile):
    for content in (b"", b"not a table at all" * 300):
        own_tile.catalogue.write_bytes(content)
        with pytest.raises(BadDataError, match=str(own_tile.catalogue)):
            count_rows(own_tile.catalogue)
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(own_tile.catalogue, overwrite=True)
    with pytest.raises(BadDataError, match="a FITS file without a table"):
        read(own_tile)


def test_texts_padded_with_blanks_come_without_them(own_tile):
    def pad(rows):
        rows["ID"] = [f"{name:<30}" for name in own_tile.id_N]

    change_rows(own_tile.catalogue, pad)
    assert sorted(read(own_tile).id_N) == sorted(own_tile.id_N)


@pytest.mark.parametrize("share", [0.97, 0.5, 0.1])
def test_a_truncated_catalogue_is_refused(own_tile, share):
    truncate(own_tile.catalogue, share)
    with pytest.raises(BadDataError, match=str(own_tile.catalogue)) as refused:
        read(own_tile)
    assert "\n" not in str(refused.value)


def test_text_that_is_not_ascii_is_refused(own_tile):
    content = own_tile.catalogue.read_bytes()
    assert content.count(b"-0.5.0007") == 1
    own_tile.catalogue.write_bytes(content.replace(b"-0.5.0007", b"-0.5.\xff\xfe07"))
    with pytest.raises(BadDataError, match=str(own_tile.catalogue)):
        read(own_tile)


def test_a_tile_without_catalogue_is_refused(own_tile):
    own_tile.catalogue.unlink()
    with pytest.raises(BadDataError, match=r"no catalogue \(\.\.\._cat\.fits\)"):
        read(own_tile)


def test_a_table_in_a_later_hdu_and_a_big_endian_one_are_read(own_tile):
    before = read(own_tile)
    table = fits.getdata(own_tile.catalogue, 1)
    hdus = [
        fits.PrimaryHDU(),
        fits.ImageHDU(np.zeros((3, 3))),
        fits.BinTableHDU(table, name="OBJECTS"),
    ]
    fits.HDUList(hdus).writeto(own_tile.catalogue, overwrite=True)
    after = read(own_tile)
    np.testing.assert_array_equal(before.magnitudes_NB, after.magnitudes_NB)
    np.testing.assert_array_equal(before.id_N, after.id_N)


@pytest.mark.parametrize("ending", [".gz", ".fz"])
def test_a_compressed_catalogue_is_read(own_tile, ending):
    before = read(own_tile, "bright")
    packed = own_tile.catalogue.with_name(own_tile.catalogue.name + ending)
    if ending == ".gz":
        packed.write_bytes(gzip.compress(own_tile.catalogue.read_bytes(), 1))
        own_tile.catalogue.unlink()
    else:
        needs("fpack")
        subprocess.run(
            ["fpack", "-D", "-Y", str(own_tile.catalogue)], check=True, capture_output=True
        )
    assert packed.exists()
    assert not own_tile.catalogue.exists()
    after = read(own_tile, "bright")
    np.testing.assert_array_equal(before.id_N, after.id_N)
    np.testing.assert_array_equal(before.magnitudes_NB, after.magnitudes_NB)


@pytest.mark.parametrize("folder", ["tiles[1]", "tiles$HOME", "a(b)+c", "!tiles", "~"])
def test_a_catalogue_in_a_folder_with_signs_that_cfitsio_takes_for_commands(tmp_path, folder):
    made = make_tile(tmp_path / "plain", data_release="DR4.0", products=("sci",))
    tile = replace(made, folder=made.folder.rename(tmp_path / folder))
    assert count_rows(tile.catalogue) == len(tile.id_N)
    assert "MAG_AUTO" in column_names(tile.catalogue)
    assert len(read(tile)) == len(tile.id_N)


@pytest.mark.parametrize("select", ["all", "bright", "not masked and MAG_AUTO_CALIB < 20", "none"])
@pytest.mark.parametrize("part", [7, 2000])
def test_positions_in_parts_are_those_of_the_selected_sources(tile, select, part, monkeypatch):
    monkeypatch.setattr("photoz_run.survey.catalogues.PART", part)
    select = "MAG_AUTO < 0" if select == "none" else select
    sources = read(tile, select)
    ref = find_tiles([tile.folder])[tile.name]

    def positions(most: int):
        return selected_positions(ref, ("i",), tile.dmag["r"], select, most)

    ra_N, dec_N = positions(len(sources))
    order = np.lexsort((ra_N, dec_N))
    np.testing.assert_array_equal(ra_N[order], sources.ra_N)
    np.testing.assert_array_equal(dec_N[order], sources.dec_N)
    if len(sources):
        assert positions(len(sources) - 1) is None
