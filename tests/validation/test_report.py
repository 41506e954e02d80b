"""The report is one page that needs nothing else, opens in a browser, and tells the findings."""

import base64
import re
import subprocess
from html.parser import HTMLParser
from io import BytesIO

import matplotlib.image
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from photoz_run.cli.validate import validate
from photoz_run.errors import ConfigError
from photoz_run.validation.document import read_metrics
from photoz_run.validation.metrics import Estimate
from photoz_run.validation.report import write_as_markdown
from photoz_run.validation.rows import format_estimate
from photoz_run.validation.settings import SpecSettings, ValidationSettings
from photoz_run.validation.summary import print_summary
from photoz_run.validation.validate import validate as run_validation
from support.programs import needs
from support.validation import (
    MODEL_OF_SIMULATIONS,
    gama,
    survey,
    write_fits,
    write_parquet,
    write_run,
)

FIGURES, PICTURES = 10, 15
"""Trends are five pictures side by side, outliers two."""
PROBE = """<script>addEventListener("load", () => {
  const images = [...document.images];
  document.title = [images.length, images.filter(i => i.complete && i.naturalWidth > 300).length,
    document.documentElement.scrollWidth, innerWidth].join(" ");
});</script>"""


class Page(HTMLParser):
    """Collects tags, image sources and links."""

    def __init__(self):
        super().__init__()
        self.tags, self.sources, self.open = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for key, value in attributes if key in ("src", "href")]
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of a faulty catalogue with another redshift column, in a folder to be escaped."""
    folder = tmp_path_factory.mktemp("report") / "run <b> & co"
    columns, z = survey(4000)
    rng = np.random.default_rng(1)
    bad = columns["KIDS_TILE"] == "KIDS_10.0_-31.2"
    columns["Z_PHOT"][bad] += 0.03 * rng.standard_normal(bad.sum()).astype(np.float32)
    columns["Z_B"] = (z + 0.03 * rng.standard_normal(4000)).astype(np.float32)
    columns["PSF_FWHM"] = rng.uniform(0.5, 0.9, 4000).astype(np.float32)
    write_run(folder, columns, MODEL_OF_SIMULATIONS)
    config = folder / "validation.toml"
    config.write_text("[gates]\nsmad_max = 0.01\n")
    app = typer.Typer()
    app.command()(validate)
    specz = write_fits(folder / "specz.fits", gama(columns, z))
    outcome = CliRunner().invoke(app, [str(folder), "--specz", str(specz), "--config", str(config)])
    assert outcome.exit_code == 4, outcome.output
    return folder / "validation"


@pytest.fixture(scope="module")
def page(report):
    return (report / "report.html").read_text()


def test_the_page_stands_alone(page):
    parsed = Page()
    parsed.feed(page)
    assert parsed.open == []
    assert not {"script", "link", "iframe", "b>"} & set(parsed.tags)
    assert parsed.tags.count("img") >= 8
    links = [source for source in parsed.sources if source.startswith("#")]
    assert all(f'id="{link[1:]}"' in page.replace("'", '"') for link in links)
    assert len(links) == 8
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in parsed.sources)
    assert "url(" not in page


def test_every_image_is_a_picture(page):
    for data in re.findall(r'src="data:image/png;base64,([^"]+)"', page):
        pixels = matplotlib.image.imread(BytesIO(base64.b64decode(data)))
        assert min(pixels.shape[:2]) > 300
        assert 0.02 < np.mean(pixels[..., :3] < 0.95) < 0.9


def test_every_figure_names_its_number_of_objects_and_is_saved_for_print(report, page):
    names = {path.stem for path in (report / "plots").glob("*.png")}
    assert names == {path.stem for path in (report / "plots").glob("*.pdf")}
    expected = {
        "photoz_specz",
        "residuals",
        "nz",
        *(f"trends_{number}" for number in ("r", "z_phot", "z_spec", "g_r", "psf")),
        "categories",
        "sky",
        "methods",
        "tomography",
        "pit",
        "outliers_1",
        "outliers_2",
    }
    assert names == expected
    assert page.count("<figure>") == FIGURES
    assert page.count("<img") == len(expected) == PICTURES


def test_it_says_what_was_found(page):
    assert '<div class="verdict failed">1 of 1 gates failed</div>' in page
    assert "tile KIDS_10.0_-31.2: SMAD is" in page
    assert "4,000" in page
    assert "Z_B" in page
    assert "approximated from five points" in page
    assert "By seeing (8)" in page


def test_a_model_of_simulations_says_so_wherever_its_numbers_stand(report, page):
    words = "hybrid-sim 4 was trained on simulations: not for science."
    assert page.index(words) < page.index('<div class="keys">')
    assert words in (report / "report.md").read_text().split("##")[0]
    subject = read_metrics(report / "metrics.json").subject
    assert words in subject.warning
    assert (subject.simulated_training, subject.model_digest) == (True, "ef" * 32)
    assert subject.run_digest == "ab" * 32
    assert "ef" * 32 in page


def test_a_model_of_galaxies_does_not(tmp_path, capsys):
    columns, z = survey(300)
    facts = MODEL_OF_SIMULATIONS | {"simulated_training": "False"}
    catalogue = write_parquet(tmp_path / "c.parquet", columns, facts)
    specz = write_fits(tmp_path / "specz.fits", gama(columns, z))
    settings = ValidationSettings(specz=(SpecSettings(file=specz),))
    result, _ = run_validation(catalogue, settings)
    write_as_markdown(result, (), {}, tmp_path / "report.md")
    print_summary(result, (), tmp_path)
    said = capsys.readouterr().out + (tmp_path / "report.md").read_text()
    assert "hybrid-sim 4" in said
    assert "simulations" not in said


def test_names_are_escaped(page):
    assert "run &lt;b&gt; &amp; co" in page
    assert "<b> & co" not in page


def test_the_markdown_report_has_the_same_figures_and_tables(report):
    text = (report / "report.md").read_text()
    assert "run &lt;b&gt; &amp; co" in text
    assert "<b>" not in text
    links = re.findall(r"\]\((plots/[^)]+)\)", text)
    assert len(links) == PICTURES
    assert all((report / link).is_file() for link in links)
    assert "| SMAD of normdz |" in text
    assert "tile KIDS_10.0_-31.2: SMAD is" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        cells = [len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()]
        assert len(set(cells)) == 1


def test_a_single_galaxy_makes_a_report(tmp_path):
    columns, z = survey(1)
    catalogue = write_parquet(
        tmp_path / "c.parquet", {name: columns[name] for name in ("RAJ2000", "DECJ2000", "Z_PHOT")}
    )
    specz = write_fits(tmp_path / "specz.fits", gama(columns, z))
    app = typer.Typer()
    app.command()(validate)
    outcome = CliRunner().invoke(app, [str(catalogue), "--specz", str(specz)])
    assert outcome.exit_code == 0, outcome.output
    page = (tmp_path / "c-validation" / "report.html").read_text()
    assert "no breakdown by tile: the catalogue lacks KIDS_TILE" in page
    assert "nan" not in re.sub(r'src="[^"]+"', "", page)


@pytest.mark.parametrize(("wide", "printed"), [(1280, False), (800, False), (700, True)])
def test_a_browser_shows_every_image_without_an_error_and_nothing_beyond_its_width(
    page, tmp_path, wide, printed
):
    needs("chromium")
    if printed:
        # As on paper, which has no scroll bar: every table is as narrow as the page.
        page = page.replace("@media print", "@media all").replace("<details>", "<details open>")
    (tmp_path / "report.html").write_text(page.replace("</body>", PROBE + "</body>"))
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--window-size={wide},4000",
        "--dump-dom",
    ]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--v=0"]
    done = subprocess.run(
        [*command, f"file://{tmp_path / 'report.html'}"],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    images, loaded, width, window = re.search(
        r"<title>(\d+) (\d+) (\d+) (\d+)</title>", done.stdout
    ).groups()
    assert int(images) == int(loaded) == PICTURES
    assert int(width) <= int(window) == wide
    assert "CONSOLE" not in done.stderr


def test_a_bias_that_rounds_to_nothing_has_no_sign():
    assert format_estimate(Estimate(-0.00001, -0.0006, 0.0004)).startswith("0.0000 ")


def test_errors_and_distributions_are_judged_bin_by_bin(report, page):
    section = page[page.index('<h2 id="uncertainty">') : page.index('<h2 id="bins">')]
    assert re.findall(r"<summary>By ([^<]+) \(", section) == [
        "r magnitude",
        "photometric redshift",
        "spectroscopic redshift",
        "colour class",
        "tile",
    ]
    assert "### Uncertainty by tile" in (report / "report.md").read_text()


def test_tomographic_bins_have_a_table(report, page):
    text = (report / "report.md").read_text()
    assert '<h2 id="nz">' in page
    table = text[text.index("## n(z) in tomographic bins") :].split("\n\n")[1]
    assert len(table.splitlines()) == 2 + 4


def test_nothing_is_written_inside_a_release(tmp_path):
    columns, z = survey(50)
    release = tmp_path / "release"
    catalogue = write_parquet(release / "c.parquet", columns)
    (release / "provenance.json").write_text("{}")
    specz = write_fits(tmp_path / "specz.fits", gama(columns, z))
    app = typer.Typer()
    app.command()(validate)
    for out in (release, release / "validation"):
        arguments = [str(catalogue), "--specz", str(specz), "--out", str(out)]
        outcome = CliRunner().invoke(app, arguments)
        assert isinstance(outcome.exception, ConfigError)
        assert "lies inside the release" in str(outcome.exception)
    assert sorted(path.name for path in release.iterdir()) == ["c.parquet", "provenance.json"]


def test_what_is_folded_on_the_screen_is_printed(page, tmp_path):
    needs("chromium")
    html = tmp_path / "report.html"
    html.write_text(page)
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={tmp_path / 'r.pdf'}"]
    subprocess.run([*command, f"file://{html}"], capture_output=True, timeout=600, check=True)
    opened = tmp_path / "open.html"
    opened.write_text(page.replace("<details>", "<details open>"))
    command[-1] = f"--print-to-pdf={tmp_path / 'open.pdf'}"
    subprocess.run([*command, f"file://{opened}"], capture_output=True, timeout=600, check=True)
    pages = [
        (tmp_path / name).read_bytes().count(b"/Type /Page\n") for name in ("r.pdf", "open.pdf")
    ]
    assert pages[0] == pages[1] > 3
