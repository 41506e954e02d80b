"""The page of a list sorts and filters in a real browser, and needs nothing from outside."""

import json
import re
import subprocess
from html import unescape

import numpy as np
import pytest

from photoz_run.flags import NOT_FOR_SCIENCE
from support.photoz import AGAIN, FIELD, OTHER, photoz
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
choose("kind", "science"); told.science = order();
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
    return [*rows[OTHER][:8], *rows[FIELD][:2]]


@pytest.fixture(scope="module")
def page(targets, run, tmp_path_factory):
    """A page of twelve targets: one of them lies nowhere, one has a name that is no name."""
    folder = tmp_path_factory.mktemp("page")
    table = folder / "targets.csv"
    lines = "".join(f"{row['ID']},{row['RAJ2000']},{row['DECJ2000']}\n" for row in targets)
    table.write_text(f"ID,RA,DEC\n{lines},12,-3\n<script>alert(1)</script>,180,-0.5\n")
    assert photoz("show", table, "--run", run, "--out", folder / "page.html") == 0
    return (folder / "page.html").read_text()


def browse(page, folder, find):
    needs("chromium")
    (folder / "probe.html").write_text(page.replace("</body>", PROBE.replace("@FIND@", find)))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--window-size=800,2000", f"--user-data-dir={folder / 'profile'}"]
    command += ["--enable-logging=stderr", "--v=0", f"file://{folder / 'probe.html'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert "CONSOLE" not in done.stderr
    return json.loads(unescape(re.search(r"<title>(.*?)</title>", done.stdout)[1]))


def test_a_browser_sorts_and_filters_the_page(page, targets, tmp_path):
    find = targets[2]["ID"][-4:]
    told = browse(page, tmp_path, find)
    z_of = {row["ID"]: np.nan if row["Z_PHOT"] is None else row["Z_PHOT"] for row in targets}
    nothing = ["12.00000 -3.00000", "<script>alert(1)</script>"]
    ids = [row["ID"] for row in targets]
    assert told["start"] == told["back"] == [*ids, *nothing]
    known = sorted((name for name in ids if np.isfinite(z_of[name])), key=z_of.get)
    assert told["rising"][: len(known)] == known
    assert told["falling"][: len(known)] == known[::-1]
    assert told["rising"][-2:] == told["falling"][-2:] == nothing
    assert told["flagged"] == [row["ID"] for row in targets if row["PHOTOZ_FLAG"]]
    assert 0 < len(told["flagged"]) < len(targets)
    good = [row["ID"] for row in targets if not row["PHOTOZ_FLAG"] & NOT_FOR_SCIENCE]
    assert told["science"] == good
    assert 0 < len(good) < len(targets)
    assert told["nothing"] == nothing
    between = [name for name in ids if 0.2 <= z_of[name] <= 0.3]
    assert told["between"] == between
    assert told["count"] == f"{len(between)} of {len(targets) + 2}"
    assert told["find"] == [name for name in ids if find in name]
    assert told["images"] == page.count("<img ") >= 4 * len(targets)
    assert told["visible"] == "none"
    assert told["widths"] == [800, 800]


def test_nothing_comes_from_outside_and_names_are_escaped(page):
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert "@import" not in page
    assert "trained on simulations: not for science" in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_what_the_curves_show_is_in_the_page(page, targets):
    cards = page.split("<article")[1:]
    assert len(cards) == len(targets) + 2
    for row, card in zip(targets, cards, strict=False):
        if row["Z_PHOT"] is None:
            continue
        assert card.count("<circle") >= 8
        assert 'aria-label="redshift distribution"' in card
        assert f"z = {row['Z_PHOT']:.3f}" in card
    assert "nan" not in re.sub(r'src="[^"]+"', "", page)
    assert AGAIN in page
