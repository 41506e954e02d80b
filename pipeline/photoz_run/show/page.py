"""One self-contained HTML page of galaxies, to be sorted and filtered; no outside scripts."""

import base64
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from string import Template

import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray

from photoz_models.whole_files import written_whole
from photoz_run import __version__
from photoz_run.errors import writing
from photoz_run.show.curves import distribution_svg, sed_svg
from photoz_run.show.holdings import Holdings
from photoz_run.show.pictures import Picture
from photoz_run.show.sights import Galaxy, Sight
from photoz_run.show.words import (
    banner,
    change,
    domain_words,
    flag_words,
    interval,
    redshift,
    spec_words,
    total_magnitude,
)

STAMP = 36
"""Pixels of the stamps shown: 7.2 arcsec, what the project's networks see."""


def write_page(sights: Sequence[Sight], holdings: Holdings, out: Path) -> None:
    """Write the page; `OutputError` if the disk refuses."""
    template = Template(files("photoz_run.show").joinpath("page.html").read_text("utf-8"))
    number = len(sights)
    text = template.substitute(
        title=f"{number} galaxies" if number != 1 else escape(sights[0].target.words),
        subject=escape(banner(holdings)),
        kind="simulated" if holdings.simulated else "",
        notes="".join(f"<p class='note'>{escape(note)}</p>" for note in holdings.notes),
        number=number,
        cards="\n".join(_card(k, sight) for k, sight in enumerate(sights)),
        version=__version__,
    )
    with writing(out), written_whole(out) as beside:
        beside.write_text(text, encoding="utf-8")


def _card(order: int, sight: Sight) -> str:
    galaxy = sight.galaxy
    if galaxy is None:
        text = escape(sight.target.words.lower(), quote=True)
        words = f"<h2>{escape(sight.target.words)}</h2><p class='note'>{escape(sight.problem)}</p>"
        told = f'data-order="{order}" data-kind="nothing" data-text="{text}"'
        return f"<article {told}>{words}</article>"
    return (
        f"<article {_attributes(order, sight, galaxy)}>"
        f"{_heading(sight, galaxy)}"
        f'<div class="body"><div class="images">{_images(galaxy.picture)}</div>'
        f'<div class="facts">{_facts(galaxy)}</div>'
        f'<div class="plots"><figure>{sed_svg(galaxy)}</figure>'
        f"<figure>{distribution_svg(galaxy)}</figure></div></div>"
        f"{_without(galaxy)}</article>"
    )


def _attributes(order: int, sight: Sight, galaxy: Galaxy) -> str:
    """What the page sorts and filters by; a number that is missing is left out."""
    off = abs(galaxy.number("Z_PHOT") - galaxy.z_spec) / (1 + galaxy.z_spec)
    numbers = {
        "order": float(order),
        "z": galaxy.number("Z_PHOT"),
        "error": galaxy.number("Z_PHOT_ERR"),
        "domain": galaxy.number("Z_DOMAIN"),
        "magnitude": galaxy.number("MAG_AUTO_CALIB"),
        "off": off,
    }
    kinds = ["flagged" if galaxy.flags else "clean"]
    kinds += ["science"] if galaxy.for_science else []
    kinds += ["outside"] if galaxy.number("Z_DOMAIN") > 1 else []
    kinds += ["noted"] if galaxy.notes else []
    kinds += ["spec"] if np.isfinite(galaxy.z_spec) else []
    flags = [name for name, _ in galaxy.flags]
    row = galaxy.row
    words = [sight.target.words, str(row["ID"]), str(row.get("KIDS_TILE")), *flags, *galaxy.notes]
    parts = [f'data-{name}="{value:.6g}"' for name, value in numbers.items() if np.isfinite(value)]
    parts.append(f'data-kind="{" ".join(kinds)}"')
    parts.append(f'data-text="{escape(" ".join(words).lower(), quote=True)}"')
    return " ".join(parts)


def _heading(sight: Sight, galaxy: Galaxy) -> str:
    ra, dec = galaxy.number("RAJ2000"), galaxy.number("DECJ2000")
    parts = [f"{ra:.5f} {dec:+.5f}", str(galaxy.row.get("KIDS_TILE") or "")]
    if np.isfinite(galaxy.separation):
        parts.append(f"{galaxy.separation:.2f}″ from the position")
    parts.append(total_magnitude(galaxy))
    words = "".join(f"<span>{escape(part)}</span>" for part in parts if part)
    return f"<h2>{escape(str(galaxy.row['ID']))}</h2><p class='where'>{words}</p>"


def _images(picture: Picture | None) -> str:
    if picture is None:
        return "<p class='none'>no stamps at hand</p>"
    colour = picture.colour()
    images = []
    if colour is not None:
        images.append(_image(colour, "colour of g, r and i, 12 arcsec", "colour"))
    for c, band in enumerate(picture.bands):
        covered = picture.covered_CHW[c].any()
        words = f"{band} band, 7.2 arcsec" if covered else f"no {band} coadd"
        images.append(
            f"<div class='stamp'>{_image(picture.grey(c, STAMP), words, 'grey')}<b>{band}</b></div>"
        )
    return "".join(images)


def _image(rgb_HW3: NDArray[np.uint8], words: str, kind: str) -> str:
    buffer = BytesIO()
    imsave(buffer, rgb_HW3, format="png")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img class="{kind}" alt="{words}" title="{words}" src="data:image/png;base64,{data}">'


def _facts(galaxy: Galaxy) -> str:
    lines = [
        ("68%", interval(galaxy, 68)),
        ("95%", interval(galaxy, 95)),
        ("spec-z", spec_words(galaxy)),
        ("domain", domain_words(galaxy)),
    ]
    rows = "".join(f"<dt>{name}</dt><dd>{escape(words)}</dd>" for name, words in lines if words)
    remarks = [*flag_words(galaxy), *galaxy.notes]
    notes = "".join(f"<li>{escape(words)}</li>" for words in remarks)
    z = redshift(galaxy.number("Z_PHOT"))
    return f"<p class='z'>{z}</p><dl>{rows}</dl>" + (
        f"<ul class='note'>{notes}</ul>" if notes else ""
    )


def _without(galaxy: Galaxy) -> str:
    """What changes without each input, one column each."""
    if not galaxy.without:
        return ""
    names, changes, domains = [], [], []
    for one in galaxy.without:
        words, large = change(galaxy, one)
        names.append(f"<th>{escape(one.name)}</th>")
        changes.append(f"<td{' class=large' if large else ''}>{words}</td>")
        domains.append(f"<td>{one.domain:.2f}</td>")
    rows = [("without", names), ("change of z", changes), ("domain", domains)]
    lines = "".join(f"<tr><th>{name}</th>{''.join(cells)}</tr>" for name, cells in rows)
    return f"<table class='without'>{lines}</table>"
