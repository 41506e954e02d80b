"""`photoz show`: galaxies of a survey, a run, a release; and what is said where there is none."""

import base64
import re
import shutil
import subprocess
from io import BytesIO, StringIO
from pathlib import Path

import fitsio
import matplotlib.image
import numpy as np
import pytest
from astropy.io import fits
from PIL import Image
from rich.console import Console

from photoz_run.show.holdings import open_holdings
from photoz_run.show.sights import look
from photoz_run.show.targets import parse_targets
from photoz_run.show.terminal import print_sights
from support.bundles import closed_form_bundle
from support.photoz import AGAIN, FIELD, OTHER, measure
from support.runs import COMMAND
from support.tiles import make_tile

KITTY = re.compile(r"\x1b_G(?P<about>[^;]*);(?P<data>[^\x1b]*)\x1b\\")
ITERM = re.compile(r"\x1b]1337;File=(?P<about>[^:]*):(?P<data>[^\x07]*)\x07")
"""A picture as a terminal is sent it, by either protocol."""
PHOTOZ = str(Path(COMMAND).with_name("photoz"))


def flat(text: str) -> str:
    """What is printed, without the breaks of its lines."""
    return " ".join(text.split())


def position(row) -> tuple[str, str]:
    return f"{row['RAJ2000']:.6f}", f"{row['DECJ2000']:.6f}"


def interval(row, percent) -> str:
    return f"{row[f'Z_PHOT_LO{percent}']:.3f} to {row[f'Z_PHOT_HI{percent}']:.3f}"


@pytest.mark.parametrize("holdings", ["--data", "--run", "--release"])
def test_a_position_shows_the_redshift_of_the_run(
    holdings, survey, run, release, rows, shown, bundle
):
    row = rows[OTHER][3]
    where = {"--data": survey, "--run": run, "--release": release}[holdings]
    model = ["--model", bundle] if holdings == "--data" else []
    code, out, _ = shown(*position(row), holdings, where, *model)
    assert code == 0
    assert f"{row['ID']} {row['RAJ2000']:.5f}" in flat(out)
    assert f"z = {row['Z_PHOT']:.3f} 68%: {interval(row, 68)} 95%: {interval(row, 95)}" in flat(out)
    assert f"domain {row['Z_DOMAIN']:.2f}, within the training set; oddest is the" in flat(out)
    assert "model closed-form 1, trained on simulations: not for science" in flat(out)
    assert max(map(len, out.splitlines())) <= 80
    assert re.search(r"^ *GAaP( +\d\d\.\d\d){9} *$", out, re.MULTILINE)
    assert re.search(r"[▁▂▃▄▅▆▇█]{20}", out)


def test_the_installed_command_takes_a_southern_position(run, rows):
    row = rows[OTHER][0]
    assert row["DECJ2000"] < 0
    command = [PHOTOZ, "show", *position(row), "--run", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert f"z = {row['Z_PHOT']:.3f}" in done.stdout


def test_a_source_in_two_tiles_is_said_to_be(survey, run, rows, shown, bundle):
    row = rows[FIELD][2]
    (other,) = (other for other in rows[AGAIN] if other["ID"] == row["ID"])
    code, out, _ = shown(*position(row), "--data", survey, "--model", bundle)
    assert code == 0
    names = {FIELD: row, AGAIN: other}
    (shown_tile,) = re.findall(r"KIDS_180\.0_-0\.[56](?=\s+AUTO r = )", out)
    (second,) = set(names) - {shown_tile}
    assert f"also in {second}: z = {names[second]['Z_PHOT']:.3f}" in flat(out)
    code, out, _ = shown(row["ID"], "--run", run)
    assert code == 0
    assert "also in KIDS_180.0_-0." in out


def test_an_unselected_source_is_shown_and_said_to_be_none_of_the_sample(
    survey, run, release, rows, shown, bundle
):
    catalogue = fitsio.read(next(survey.glob("*_0.0_-31.2_*cat.fits")), ext=1)
    selected = {row["ID"] for row in rows[OTHER]}
    faint = next(row for row in catalogue if row["ID"].strip() not in selected)
    words = [f"{faint['RAJ2000']:.6f}", f"{faint['DECJ2000']:.6f}"]
    select = ("--select", "MAG_AUTO_CALIB < 19.5")
    for holdings in (["--run", run], ["--release", release], ["--data", survey, *select]):
        model = ["--model", bundle] if holdings[0] == "--data" else []
        code, out, _ = shown(*words, *holdings, *model)
        assert code == 0
        assert "not selected: 'MAG_AUTO_CALIB < 19.5' leaves it out" in flat(out)
        assert re.search(r"z = 0\.\d{3}", out)


def test_what_is_not_there_is_said_in_one_line(survey, run, release, shown, bundle):
    here = ("--data", survey, "--model", bundle)
    for words, message in (
        (("12", "-3", *here), f"12 -3: in no tile of survey {survey}; the nearest is {OTHER}"),
        (("180", "-0.5", *here, "--radius", "0.01"), "no source within 0.01 arcsec in"),
        (("nobody", *here), "nobody: no source of this ID in survey"),
        (("nobody", "--run", run), "nobody: no source of this ID in run"),
        (("12", "-3", "--run", run), "in no tile of run"),
        (("12", "-3", "--release", release), "in no tile of release"),
    ):
        code, out, err = shown(*words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert message in err


def test_wrong_words_are_refused_in_one_line(rows, survey, run, release, shown, tmp_path):
    many, none, strange = (tmp_path / name for name in ("many.csv", "none.csv", "strange.csv"))
    many.write_text("RA,DEC\n" + "180,0\n" * 501)
    none.write_text("RA,DEC\n")
    strange.write_text("a,b\n1,2\n")
    few = tmp_path / "few.csv"
    few.write_text("RA,DEC\n180,-0.5\n181,-0.5\n")
    here = ("--data", survey)
    known = rows[OTHER][0]["ID"]
    for words, message in (
        (("180", "-0.5"), "say where to look: --data DIR, --run RUN or --release DIR"),
        (("180", "-0.5", "--run", run, "--release", release), "give --run or --release, not both"),
        (("180", "-0.5", "--run", run, "--model", "hybrid-sim"), "--model goes with --data alone"),
        (("180", *here), "180: give right ascension and declination, deg"),
        (("180", "95", *here), "180 95: no position on the sky"),
        (("12:00", "-00:30", *here), "declination in degrees, or HH:MM:SS"),
        (("12:15:00", "95:30:00", *here), "no position on the sky"),
        (("12:75:00", "-00:30:00", *here), "in degrees, or HH:MM:SS"),
        ((known, *here, "--select", "MAG_AUT_CALIB < 20"), "did you mean MAG_AUTO_CALIB"),
        ((many, *here), "501 rows; photoz show looks at 500 at most"),
        ((none, *here), "no rows"),
        ((strange, *here), "neither a column ID nor positions"),
        ((tmp_path, *here), "is a folder; give a table of targets"),
        (("180", "0", *here, "--out", tmp_path / "x.gif"), "ends in .html, .png, .pdf"),
        (("180", "0", *here, "--out", tmp_path / "no" / "x.png"), "the folder does not exist"),
        ((few, *here, "--out", tmp_path / "x.png"), "2 targets make no picture"),
        (("180", "0", "--data", tmp_path / "gone"), "does not exist"),
        (("180", "0", "--run", tmp_path), "is not a run directory"),
        (("180", "0", "--release", tmp_path), "is not a release: it has no provenance.json"),
        (("180", "0", *here, "--specz", tmp_path / "gone.fits"), "gone.fits"),
        (("180", "0", *here, "--select", "bright and"), "bright and"),
        (("180", "0", *here, "--model", "none"), "no shipped model of this name"),
    ):
        code, out, err = shown(*words)
        assert (code, out) == (2, ""), words
        assert err.count("\n") == 1
        assert message in err


def test_without_the_files_of_the_survey_a_run_still_shows_its_row(
    survey, run, rows, shown, tmp_path
):
    row = rows[OTHER][1]
    away = survey.with_name("away")
    survey.rename(away)
    try:
        code, out, _ = shown(*position(row), "--run", run)
        assert code == 0
        assert f"z = {row['Z_PHOT']:.3f}" in out
        assert "no stamps and magnitudes: data folder" in flat(out)
        assert "without" not in out
        code, out, _ = shown(*position(row), "--run", run, "--data", away)
        assert "no stamps" not in out
        assert re.search(r"^ *without", out, re.MULTILINE)
    finally:
        away.rename(survey)


def test_another_bundle_of_the_same_name_measures_nothing(survey, rows, shown, bundle, tmp_path):
    """A run whose bundle was replaced: nothing of the new one is shown as the run's."""
    own = tmp_path / "own.onnx"
    shutil.copy(bundle, own)
    make_tile(tmp_path / "data", "KIDS_20.0_0.5")
    assert measure(tmp_path / "data", own, tmp_path / "run") == 0
    closed_form_bundle(own, name="another")
    name = "KiDSDR5 J20.0 0.5.0003"
    code, out, _ = shown(name, "--run", tmp_path / "run")
    assert code == 0
    # The terminal may break the line within the path.
    assert "own.onnxhaschangedsince" in "".join(out.split())
    assert "model closed-form 1" in flat(out)


def test_a_spec_z_is_shown_with_its_survey(run, rows, shown, tmp_path):
    row = rows[OTHER][3]
    table = tmp_path / "gama.csv"
    near = row["DECJ2000"] + 0.5 / 3600
    table.write_text(f"RA,DEC,Z,NQ\n{row['RAJ2000']},{near},0.1234,4\n10,10,0.2,4\n")
    code, out, _ = shown(*position(row), "--run", run, "--specz", table)
    assert code == 0
    off = (row["Z_PHOT"] - 0.1234) / 1.1234
    assert re.search(
        rf"spec-z 0\.1234 \(\S+\); \(z - spec-z\) / \(1 \+ spec-z\) = {off:+.3f}".replace(
            "+0", r"\+0"
        ),
        flat(out),
    )


def test_a_source_without_a_redshift_says_why_and_nothing_hangs_on_anything(run, rows, shown):
    row = next(row for row in rows[OTHER] if row["Z_PHOT"] is None)
    code, out, _ = shown(row["ID"], "--run", run)
    assert code == 0
    assert "no redshift" in out
    missing = ", ".join(f"MAG_{band}_MISSING" for band in ("U", "G", "R", "I", "Z", "Y", "J", "H"))
    assert f"{missing}, MAG_KS_MISSING: no valid GAaP magnitude (99, -99" in flat(out)
    assert "NO_REDSHIFT: no redshift: no usable pixel" in flat(out)
    assert not re.search(r"^ *(without|mag|domain)|68%|nan", out, re.MULTILINE)


def test_a_bundle_of_magnitudes_alone_is_shown_with_stamps_all_the_same(
    survey, rows, shown, tmp_path
):
    closed_form_bundle(tmp_path / "ugi.onnx", image_bands=(), magnitude_bands=("u", "g", "i"))
    code, out, _ = shown(rows[OTHER][3]["ID"], "--data", survey, "--model", tmp_path / "ugi.onnx")
    assert code == 0
    assert re.search(r"^ *GAaP( +\d\d\.\d\d){9} *$", out, re.MULTILINE)
    assert re.findall(r"\b(u|g|i|r|Z|seeing) +0\.\d{3} +[+-]0", out) == ["u", "i", "g"]


def test_a_seeing_that_no_header_tells_is_no_number(shown, tmp_path):
    tile = make_tile(tmp_path / "survey")
    for path in tile.folder.glob("*_r_sci.fits"):
        fits.delval(path, "PSF_FWHM")
    place = f"{tile.ra_N[0]:.6f}", f"{tile.dec_N[0]:.6f}"
    code, out, _ = shown(*place, "--data", tile.folder, "--model", "hybrid-sim")
    assert code == 0
    assert "SEEING_UNKNOWN" in out
    assert re.search(r"^ +seeing +\d", out, re.MULTILINE)
    assert "nan" not in out


def test_a_list_has_a_line_for_each_target_and_says_what_is_not_there(run, rows, shown, tmp_path):
    table = tmp_path / "targets.csv"
    chosen = rows[OTHER][:4]
    lines = "".join(f"{row['RAJ2000']},{row['DECJ2000']}\n" for row in chosen)
    table.write_text(f"RA,DEC\n{lines}12,-3\n")
    code, out, _ = shown(table, "--run", run)
    assert code == 0
    for row in chosen:
        z = "-" if row["Z_PHOT"] is None else f"{row['Z_PHOT']:.3f}"
        assert re.search(rf"{re.escape(row['ID'])} +{z}", out)
    assert "12.00000 -3.00000 in no tile of run" in flat(out)
    assert max(map(len, out.splitlines())) <= 80


def test_a_figure_as_png_and_pages_as_pdf(run, rows, shown, tmp_path):
    row = rows[OTHER][3]
    code, out, _ = shown(*position(row), "--run", run, "--out", tmp_path / "one.png")
    assert code == 0
    assert str(tmp_path / "one.png") in out
    image = matplotlib.image.imread(tmp_path / "one.png")
    assert image.shape[1] == 1650
    assert image.std() > 0.1
    table = tmp_path / "targets.csv"
    table.write_text("ID\n" + "".join(f"{row['ID']}\n" for row in rows[OTHER][:2]))
    code, _, _ = shown(table, "--run", run, "--out", tmp_path / "two.pdf")
    assert code == 0
    assert len(re.findall(rb"/Type /Page\b", (tmp_path / "two.pdf").read_bytes())) == 2


def test_a_damaged_tile_is_said_and_the_others_are_shown(survey, shown, bundle, rows, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(survey, data)
    broken = next(data.glob("*_0.0_-31.2_r_sci.fits"))
    broken.write_bytes(broken.read_bytes()[:4000])
    table = tmp_path / "targets.csv"
    first, second = rows[OTHER][3], rows[FIELD][3]
    table.write_text(f"ID\n{first['ID']}\n{second['ID']}\n")
    code, out, _ = shown(table, "--data", data, "--model", bundle)
    assert code == 0
    assert f"{broken.name}:" in "".join(out.split())
    assert f"{second['Z_PHOT']:.3f}" in out


def test_a_terminal_with_colours_shows_the_stamps(run, rows, monkeypatch):
    """Half blocks, two pixels each: five pictures of fourteen columns fit 80."""
    holdings = open_holdings((), run, None, None, "bright")
    sights = look(parse_targets([rows[OTHER][3]["ID"]]), holdings)
    for width in (80, 120):
        console = Console(
            record=True, width=width, color_system="truecolor", force_terminal=True, file=StringIO()
        )
        print_sights(sights, holdings, console)
        text = console.export_text()
        assert max(map(len, text.splitlines())) <= width
        assert len(re.findall(r"▀{14} ▀{14} ▀{14} ▀{14} ▀{14}", text)) == 7
        assert "…" not in text


@pytest.fixture
def galaxy(run, rows):
    holdings = open_holdings((), run, None, None, "bright")
    return look(parse_targets([rows[OTHER][3]["ID"]]), holdings), holdings


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({"TERM": "xterm-kitty"}, KITTY),
        ({"TERM": "xterm-ghostty"}, KITTY),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, ITERM),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, ITERM),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, ITERM),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "screen", "TERM_PROGRAM": "iTerm.app", "TMUX": "/tmp/tmux"}, None),
    ],
)
def test_a_terminal_that_shows_pictures_gets_the_stamps_as_one(
    galaxy, monkeypatch, environment, shown
):
    for name in ("TERM", "TERM_PROGRAM", "LC_TERMINAL", "TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    console = Console(width=80, color_system="truecolor", force_terminal=True, file=StringIO())
    print_sights(*galaxy, console)
    text = console.file.getvalue()
    if shown is None:
        assert "▀" in text
        assert not KITTY.search(text)
        assert not ITERM.search(text)
        return
    assert "▀" not in text
    sent = "".join(match["data"] for match in shown.finditer(text))
    image = np.asarray(Image.open(BytesIO(base64.b64decode(sent))))
    # Four stamps and the colour image, each pixel six wide, two pixels between them.
    assert image.shape == (6 * 36, 6 * (5 * 36 + 4 * 2), 4)
    picture = galaxy[0][0].galaxy.picture
    for c in range(4):
        start = 6 * 38 * c
        pixels = image[3::6, start + 3 : start + 6 * 36 : 6, :3]
        np.testing.assert_array_equal(pixels, picture.grey(c, 36))
    assert (image[:, 6 * 36 : 6 * 38, 3] == 0).all()
    about = shown.search(text)["about"]
    assert ("c=74,r=7" if shown is KITTY else "width=74;height=7;") in about
    if shown is KITTY:
        more = [match["about"][-1] for match in shown.finditer(text)]
        assert more == ["1"] * (len(more) - 1) + ["0"]
