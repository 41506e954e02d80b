"""The page of a list sorts and filters in a real browser, and needs nothing from outside."""

import json
import re
import subprocess
from html import unescape

import numpy as np
import pytest

from support.photoz import AGAIN, FIELD, OTHER
from support.programs import needs

PROBE = """<script>
const shown = () => document.querySelectorAll("article:not([hidden]) h2");
const order = () => Array.from(shown(), heading => heading.textContent);
function choose(id, value) {
  const field = document.getElementById(id);
  if (field.type === "checkbox") field.checked = value; else field.value = value;
  field.dispatchEvent(new Event("input", {bubbles: true}));
}
const told = {start: order()};
choose("sort", "z"); told.rising = order();
choose("down", true); told.falling = order();
choose("sort", "order"); choose("down", false); told.back = order();
choose("kind", "flagged"); told.flagged = order();
choose("kind", "nothing"); told.nothing = order(); choose("kind", "");
choose("from", "0.2"); choose("to", "0.3"); told.between = order();
told.count = document.getElementById("count").textContent;
choose("from", ""); choose("to", ""); choose("find", "@FIND@"); told.find = order();
told.images = Array.from(document.images).filter(i => i.complete && i.naturalWidth > 0).length;
told.widths = [document.documentElement.scrollWidth, window.innerWidth];
told.visible = getComputedStyle(document.querySelector("article[hidden]")).display;
document.title = JSON.stringify(told);
</script></body>"""


@pytest.fixture(scope="module")
def targets(rows):
    return [*rows[OTHER][:8], *rows[FIELD][:4]]


@pytest.fixture
def page(targets, run, shown, tmp_path):
    table = tmp_path / "targets.csv"
    lines = "".join(f"{row['RAJ2000']},{row['DECJ2000']}\n" for row in targets)
    table.write_text(f"RA,DEC\n{lines}12,-3\n")
    code, _, _ = shown(table, "--run", run, "--out", tmp_path / "page.html")
    assert code == 0
    return (tmp_path / "page.html").read_text()


def browse(page, folder, width, find):
    needs("chromium")
    (folder / "probe.html").write_text(page.replace("</body>", PROBE.replace("@FIND@", find)))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--window-size={width},2000", f"--user-data-dir={folder / 'profile'}"]
    command += ["--enable-logging=stderr", "--v=0", f"file://{folder / 'probe.html'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    return json.loads(unescape(re.search(r"<title>(.*?)</title>", done.stdout)[1]))


def test_a_browser_sorts_and_filters_the_page(page, targets, tmp_path):
    find = targets[2]["ID"][-4:]
    told = browse(page, tmp_path, 1280, find)
    z_of = {row["ID"]: np.nan if row["Z_PHOT"] is None else row["Z_PHOT"] for row in targets}
    nothing = "12.00000 -3.00000"
    ids = [row["ID"] for row in targets]
    assert told["start"] == told["back"] == [*ids, nothing]
    known = sorted((name for name in ids if np.isfinite(z_of[name])), key=z_of.get)
    assert told["rising"][: len(known)] == known
    assert told["falling"][: len(known)] == known[::-1]
    assert told["rising"][-1] == told["falling"][-1] == nothing
    assert told["flagged"] == [row["ID"] for row in targets if row["PHOTOZ_FLAG"]]
    assert 0 < len(told["flagged"]) < len(targets)
    assert told["nothing"] == [nothing]
    between = [name for name in ids if 0.2 <= z_of[name] <= 0.3]
    assert told["between"] == between
    assert told["count"] == f"{len(between)} of {len(targets) + 1}"
    assert told["find"] == [name for name in ids if find in name]
    assert told["images"] == page.count("<img ") >= 4 * len(targets)
    assert told["visible"] == "none"


def test_it_fits_a_narrow_window(page, targets, tmp_path):
    told = browse(page, tmp_path, 800, targets[0]["ID"])
    assert told["widths"] == [800, 800]


def test_nothing_comes_from_outside_and_names_are_escaped(page, run, shown, tmp_path):
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert "@import" not in page
    assert "trained on simulations: not for science" in page
    table = tmp_path / "odd.csv"
    table.write_text('ID\n"<script>alert(1)</script>"\nKiDSDR5 J0.0 -31.2.0003\n')
    code, _, _ = shown(table, "--run", run, "--out", tmp_path / "odd.html")
    assert code == 0
    assert "<script>alert" not in (tmp_path / "odd.html").read_text()


def test_what_the_curves_show_is_in_the_page(page, targets):
    cards = page.split("<article")[1:]
    assert len(cards) == len(targets) + 1
    for row, card in zip(targets, cards, strict=False):
        if row["Z_PHOT"] is None:
            continue
        assert card.count("<circle") >= 8
        assert 'aria-label="redshift distribution"' in card
        assert f"z = {row['Z_PHOT']:.3f}" in card
    assert "nan" not in re.sub(r'src="[^"]+"', "", page)
    assert AGAIN in page
