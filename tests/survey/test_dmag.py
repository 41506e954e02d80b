"""DMAG under the keys that headers and catalogues use, and never what is no number."""

import pytest
from astropy.io import fits

from photoz_run.errors import BadDataError
from photoz_run.survey.dmag import Dmag, dmag_cards, find_dmag

NONE = fits.Header()


def header(**cards) -> fits.Header:
    return fits.Header(cards)


@pytest.mark.parametrize(
    ("image", "coadd", "catalogue", "expected"),
    [
        ("r", {"DMAG": 0.02}, {"DMAG_R": 0.5}, Dmag(0.02, "DMAG of the coadd")),
        ("r", {"DMAG_R": 0.02}, {}, Dmag(0.02, "DMAG_R of the coadd")),
        ("r", {}, {"DMAG_R": 0.5}, Dmag(0.5, "DMAG_R of the catalogue")),
        ("r", {}, {"DMAG_R_1": 0.5}, Dmag(0.5, "DMAG_R_1 of the catalogue")),
        ("i", {}, {"DMAG_I": 0.5}, Dmag(0.5, "DMAG_I of the catalogue")),
        ("i", {}, {"DMAG_I1": 0.1, "DMAG_I2": 0.2}, Dmag(0.1, "DMAG_I1 of the catalogue")),
        ("i2", {}, {"DMAG_I1": 0.1, "DMAG_I2": 0.2}, Dmag(0.2, "DMAG_I2 of the catalogue")),
        ("r", {"DMAG": True}, {"DMAG_R": 0.5}, Dmag(0.5, "DMAG_R of the catalogue")),
        ("r", {"DMAG": "unknown"}, {"DMAG_R": 0.5}, Dmag(0.5, "DMAG_R of the catalogue")),
        ("r", {"DMAG": "-4.27d-3"}, {}, Dmag(-0.00427, "DMAG of the coadd")),
        ("r", {"DMAG": 0}, {}, Dmag(0.0, "DMAG of the coadd")),
    ],
)
def test_the_first_number_under_a_known_key_is_taken_and_named(image, coadd, catalogue, expected):
    assert find_dmag(header(**coadd), header(**catalogue), image) == expected


def test_i2_never_takes_the_first_epochs_dmag():
    with pytest.raises(BadDataError, match="no DMAG_I2 in the catalogue's"):
        find_dmag(NONE, header(DMAG_I=0.1, DMAG_I1=0.1), "i2")


def test_what_is_no_number_is_shown():
    with pytest.raises(BadDataError, match=r"DMAG is T in the coadd, DMAG_R is 'none'"):
        find_dmag(header(DMAG=True), header(DMAG_R="none"), "r")
    assert find_dmag(header(DMAG=True), NONE, "r", "zero") == Dmag(0.0, "missing_dmag")


@pytest.mark.parametrize("card", ["DMAG_R  =               -4.27d-3", "dmag_r  = -0.00427"])
@pytest.mark.parametrize("extension", [0, 1])
def test_cards_of_a_catalogue_as_they_stand_in_its_files(tmp_path, card, extension):
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([])])
    hdus[extension].header["DMAGHERE"] = 1
    hdus.writeto(tmp_path / "cat.fits")
    content = (tmp_path / "cat.fits").read_bytes()
    start = content.index(b"DMAGHERE")
    changed = content[:start] + card.ljust(80).encode() + content[start + 80 :]
    (tmp_path / "cat.fits").write_bytes(changed)
    found = find_dmag(NONE, dmag_cards(tmp_path / "cat.fits"), "r")
    assert found.value == pytest.approx(-0.00427)
    assert found.card.upper() == "DMAG_R OF THE CATALOGUE"


def test_a_catalogue_that_cannot_be_read_has_no_cards(tmp_path):
    (tmp_path / "cat.fits").write_bytes(b"nothing")
    assert len(dmag_cards(tmp_path / "cat.fits")) == 0
    assert len(dmag_cards(None)) == 0
