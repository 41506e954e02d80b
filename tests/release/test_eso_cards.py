"""``--cards``: keywords of ESO's archive are checked by name, type and form, and proven."""

import re
import subprocess
from pathlib import Path

import pytest
from astropy.io import fits

from photoz_run.errors import ConfigError
from photoz_run.progress import StepProgress
from photoz_run.release.eso_cards import read_cards, wrong_cards
from photoz_run.release.verify import verify
from support.forgery import forge_fits, resum
from support.photoz import photoz
from support.programs import needs

CARDS = """
PRODCATG = "SCIENCE.CATALOG"
ORIGIN = "ESO-PARANAL"
PROG_ID = "177.A-3016(A)"
TELESCOP = "MULTI"
TELESC1 = "ESO-VST"
TELESC2 = "ESO-VISTA"
OBSTECH = "IMAGE"
PHOTSYS = "AB"
MJD-OBS = 55800
MJD-END = 58700.5
M_EPOCH = false
EQUINOX = 2000
OBID1 = 100123456
FPRA1 = 10.0
FPRA1B = 20.0
NOESODAT = false
"""
NOT_ALLOWED = re.compile(r"(TZERO|TSCAL)\d+|EXTVER|EXTLEVEL")
"""What no extension with a catalogue may have."""
WRONG = {
    'PRODCAT = "SCIENCE.CATALOG"': "PRODCAT is no keyword of ESO's catalogues; did you mean PROD",
    'PRODCATG = "SCIENCE.IMAGE"': "PRODCATG is 'SCIENCE.IMAGE'; it must look like SCIENCE.CATALOG",
    'PROG_ID = "KiDS"': "PROG_ID is 'KiDS'; it must look like 177.A-3016(A)",
    "PROG_ID = 177": "PROG_ID is 177; it must be a text",
    'MJD-OBS = "55800"': "MJD-OBS is '55800'; it must be a number",
    "M_EPOCH = 0": "M_EPOCH is 0; it must be true or false",
    "MJD-OBS = true": "MJD-OBS is True; it must be a number",
    "MJD-OBS = 58000\nMJD-END = 57000": "MJD-END lies before MJD-OBS",
    "MJD-OBS = 2011.5": "MJD-OBS and MJD-END are days from 40587 on",
    "MJD-END = 99999": "MJD-OBS and MJD-END are days of the past",
    'PROV1 = "x.fits[1]"': "PROV1 is 'x.fits[1]'; it must look like OMEGA.2012",
    'ASSOM1 = "x"': "ASSOM1 is 'x'; it must look like 0000",
    'OBID1 = "x"': "OBID1 is 'x'; it must be a whole number",
    "PROVXTN = true": "PROVXTN is not for this file: a release has no extension PHASE3PROV",
    "EXT_OBJ = false": "EXT_OBJ is no keyword of ESO's catalogues",
    "FILTER1A = 1": "FILTER1A is no keyword of ESO's catalogues",
    "EQUINOX = 1950": "EQUINOX must be 2000.0",
    'TELESCOP = "MULTI"': "TELESCOP is MULTI: name them with TELESC1, TELESC2 ...",
    'INSTR1 = "OMEGACAM"\nINSTR2 = "VIRCAM"': "INSTRUME must be MULTI",
    'REFERENC = "x"': "REFERENC is not for this file: give it with --reference",
    'FILTER0 = "r"': "FILTER0 is no keyword of ESO's catalogues",
    'OBSTECH = "naïve"': "is not printable ASCII",
    f'OBSTECH = "{"x" * 70}"': "OBSTECH is longer than 67 characters; ESO allows no CONTINUE",
    "PRODCATG": "no TOML file",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_eso_would_refuse_is_refused_with_the_keyword(tmp_path, text):
    path = tmp_path / "cards.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_cards(path)
    assert WRONG[text] in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    "programme", ["177.A-3016(A)", "60.A-9038(A)", "0102.A-0001", "108.22A2.001", "177.A-3016"]
)
def test_programmes_of_every_age_are_known(programme):
    assert not list(wrong_cards({"PROG_ID": programme}))


def test_they_stand_in_the_file_and_are_proven(run, tmp_path, capsys):
    needs("fitsverify")
    (tmp_path / "cards.toml").write_text(CARDS)
    out = tmp_path / "release"
    more = ("--name", "sim", "--cards", tmp_path / "cards.toml", "--quiet")
    assert photoz("release", run, "--out", out, *more) == 0
    for number in (0, 1):
        header = fits.getheader(out / "sim.fits", number)
        assert (header["PRODCATG"], header["ORIGIN"]) == ("SCIENCE.CATALOG", "ESO-PARANAL")
        assert isinstance(header["MJD-OBS"], float)
        assert header["M_EPOCH"] is False
    check_columns(fits.getheader(out / "sim.fits", "PHOTOZ"))
    told = subprocess.run(["fitsverify", "-q", out / "sim.fits"], capture_output=True, text=True)
    assert told.stdout.startswith("verification OK"), told.stdout
    assert failed(out) == set()
    forge_fits(out, lambda rows: rows, {"PROG_ID": "188.A-0001(A)"})
    resum(out)
    assert failed(out) == {"provenance in FITS"}


def check_columns(header: fits.Header) -> None:
    """Every column says its unit, an empty text if it has none, what it holds, and its UCD."""
    for number in range(1, header["TFIELDS"] + 1):
        for keyword in ("TTYPE", "TFORM", "TCOMM", "TUCD"):
            assert header[f"{keyword}{number}"]
        assert isinstance(header[f"TUNIT{number}"], str)
    assert not [keyword for keyword in header if NOT_ALLOWED.fullmatch(keyword)]


def failed(folder: Path) -> set[str]:
    return {check.name for check in verify(folder, StepProgress(quiet=True)) if check.failed}


def test_without_fits_there_is_no_place_for_them(run, tmp_path, capsys):
    (tmp_path / "cards.toml").write_text(CARDS)
    more = ("--formats", "parquet", "--cards", tmp_path / "cards.toml")
    assert photoz("release", run, "--out", tmp_path / "release", *more) == 2
    assert "--cards belongs to the FITS file" in capsys.readouterr().err
