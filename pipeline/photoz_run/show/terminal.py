"""A galaxy, or a list of them, on a terminal of 80 columns or more."""

import os
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from photoz_models.stamp_rule import MAGNITUDE_BANDS
from photoz_run.science.intervals import density_polygon
from photoz_run.show.holdings import Holdings
from photoz_run.show.inline import protocol_of, sequence
from photoz_run.show.pictures import Picture
from photoz_run.show.sights import Galaxy, Sight
from photoz_run.show.words import (
    banner,
    change,
    domain_words,
    flag_names,
    flag_words,
    intervals,
    place,
    redshift,
    spec_words,
)

BLOCKS = " ▁▂▃▄▅▆▇█"
FLAGS = 3
"""Flags of each galaxy of a list."""
CURVE = 56
"""Columns of the curve."""
MARGIN = (0, 0, 0, 2)
STAMP = 14
"""Columns of a stamp; characters show two pixels in each, of the central ones."""
SIZE, GAP, ENLARGED = 36, 2, 6
"""Pixels of a stamp that a picture shows, and between two; how much larger each is drawn."""


def print_sights(sights: Sequence[Sight], holdings: Holdings, console: Console) -> None:
    """One galaxy with all that is known of it; a line for each of several."""
    galaxy = sights[0].galaxy if len(sights) == 1 else None
    if galaxy is None:
        console.print(_list(sights))
    else:
        console.print(_galaxy(galaxy))
        if galaxy.picture is not None:
            _print_stamps(galaxy.picture, console)
    for note in holdings.notes:
        console.print(Padding(Text(note, "yellow"), MARGIN))
    console.print(
        Padding(Text(banner(holdings), "bold yellow" if holdings.simulated else ""), MARGIN)
    )


def _galaxy(galaxy: Galaxy) -> RenderableType:
    parts: list[RenderableType] = [
        Text(str(galaxy.row["ID"]), "bold"),
        Text(place(galaxy), "dim"),
        Text(),
        Text.assemble(
            (redshift(galaxy.number("Z_PHOT")), "bold cyan"),
            f"   {intervals(galaxy, '   ')}",
        ),
    ]
    facts = _lines()
    for name, lines, style in (
        ("spec-z", [spec_words(galaxy)], ""),
        ("domain", [domain_words(galaxy)], "yellow" if galaxy.number("Z_DOMAIN") > 1 else ""),
        ("flags", flag_words(galaxy), "yellow"),
        ("notes", list(galaxy.notes), "yellow"),
    ):
        for k, words in enumerate(line for line in lines if line):
            facts.add_row(Text("" if k else name, "dim"), Text(words, style))
    parts += [facts, Text()]
    if galaxy.quantiles_Q:
        parts += [_curve(galaxy), Text()]
    if galaxy.magnitudes:
        parts += [_magnitudes(galaxy), Text()]
    if galaxy.without:
        parts += [_without(galaxy), Text()]
    return Padding(Group(*parts), (1, 0, 0, 2))


def _lines() -> Table:
    """Names and what is said of them; a long path is broken rather than cut."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _curve(galaxy: Galaxy) -> Text:
    """The distribution in blocks, with the redshifts of its ends below."""
    z_K, density_K = density_polygon(
        np.array(galaxy.levels_Q), np.array(galaxy.quantiles_Q, np.float64)
    )
    grid = np.linspace(z_K[0], z_K[-1], CURVE)
    density = np.interp(grid, z_K, density_K)
    height = np.round(density / density.max() * (len(BLOCKS) - 1)).astype(int)
    bars = "".join(BLOCKS[k] for k in height)
    low, middle, high = f"{max(z_K[0], 0):.3f}", f"{(z_K[0] + z_K[-1]) / 2:.3f}", f"{z_K[-1]:.3f}"
    axis = f"{low}{middle:^{CURVE - len(low) - len(high)}}{high}"
    return Text.assemble((bars, "cyan"), "\n", (axis, "dim"))


def _magnitudes(galaxy: Galaxy) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    bands = [band for band in MAGNITUDE_BANDS if band in galaxy.magnitudes]
    for name in ("", *MAGNITUDE_BANDS):
        table.add_column(name, justify="right", header_style="dim")
    values = {band: f"{galaxy.magnitudes[band].value:.2f}" for band in bands}
    errors = {band: f"{galaxy.magnitudes[band].error:.2f}" for band in bands}
    table.add_row(Text("GAaP", "dim"), *(values.get(band, "-") for band in MAGNITUDE_BANDS))
    lines = [("±", {band: text for band, text in errors.items() if text != "nan"})]
    lines.append(("seeing", {band: f"{fwhm:.2f}" for band, fwhm in galaxy.seeing.items()}))
    for name, texts in lines:
        if texts:
            row = (Text(texts.get(band, ""), "dim") for band in MAGNITUDE_BANDS)
            table.add_row(Text(name, "dim"), *row)
    return table


def _without(galaxy: Galaxy) -> Table:
    """What changes without an input, in two columns side by side."""
    half = -(-len(galaxy.without) // 2)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for _ in range(2):
        table.add_column("without", header_style="dim")
        table.add_column("z", justify="right", header_style="dim")
        table.add_column("change", justify="right", header_style="dim")
        table.add_column("domain", justify="right", header_style="dim")
    for k in range(half):
        cells: list[str | Text] = []
        for one in galaxy.without[k::half]:
            words, large = change(galaxy, one)
            cells += [one.name, f"{one.z:.3f}", Text(words, "bold yellow" if large else "")]
            cells.append(f"{one.domain:.2f}")
        table.add_row(*cells)
    return table


def _print_stamps(picture: Picture, console: Console) -> None:
    """The stamps as a picture where the terminal shows one, else in characters, else not."""
    protocol = protocol_of(os.environ) if console.is_terminal else "none"
    if protocol != "none":
        strip, names = _strip(picture)
        titles = "".join(f"{name:{STAMP + 1}}" for name in names)
        console.print(Padding(Text(titles, "dim"), MARGIN))
        columns = (STAMP + 1) * len(names) - 1
        console.file.write(
            " " * MARGIN[3] + sequence(strip, protocol, columns, STAMP // 2) + "\n\n"
        )
    elif console.color_system in ("truecolor", "256"):
        console.print(Padding(_characters(picture), MARGIN))
        console.print()


def _images(picture: Picture, size: int) -> dict[str, NDArray[np.uint8]]:
    """The central pixels of each band, and of the colour image if there is one."""
    images = {band: picture.grey(c, size) for c, band in enumerate(picture.bands)}
    if (colour := picture.colour()) is not None:
        middle = (len(colour) - size) // 2
        images["gri"] = colour[middle:-middle, middle:-middle]
    return images


def _strip(picture: Picture) -> tuple[bytes, list[str]]:
    """All stamps beside each other as one PNG, and their names."""
    from PIL import Image

    images = _images(picture, SIZE)
    gap = np.zeros((SIZE, GAP, 4), np.uint8)
    opaque = np.full((SIZE, SIZE, 1), 255, np.uint8)
    parts = [part for rgb in images.values() for part in (np.dstack([rgb, opaque]), gap)]
    strip = np.hstack(parts[:-1])
    # Terminals would blur what they enlarge.
    large = strip.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
    buffer = BytesIO()
    Image.fromarray(large).save(buffer, "png")
    return buffer.getvalue(), list(images)


def _characters(picture: Picture) -> Table:
    """Stamps in half blocks: two pixels of the screen in each character."""
    images = _images(picture, 2 * STAMP)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in images:
        table.add_column(name, header_style="dim", no_wrap=True)
    table.add_row(
        *(_half_blocks(image[::2, ::2] // 2 + image[1::2, 1::2] // 2) for image in images.values())
    )
    return table


def _half_blocks(rgb_HW3: NDArray[np.uint8]) -> Text:
    if len(rgb_HW3) % 2:
        rgb_HW3 = np.vstack([rgb_HW3, rgb_HW3[-1:]])
    text = Text()
    for k in range(0, len(rgb_HW3), 2):
        for upper, lower in zip(rgb_HW3[k].tolist(), rgb_HW3[k + 1].tolist(), strict=True):
            text.append("▀", Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower)))
        text.append("\n" if k + 2 < len(rgb_HW3) else "")
    return text


def _list(sights: Sequence[Sight]) -> RenderableType:
    """A line for each galaxy; notes, and what is not there, below."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("ID", no_wrap=True, header_style="dim")
    for name in ("z", "±", "domain", "spec-z"):
        table.add_column(name, justify="right", header_style="dim", no_wrap=True)
    table.add_column("flags", overflow="fold", header_style="dim")
    below = _lines()
    for sight in sights:
        galaxy = sight.galaxy
        if galaxy is None:
            below.add_row(Text(sight.target.words, "yellow"), Text(sight.problem, "yellow"))
            continue
        columns = ("Z_PHOT", "Z_PHOT_ERR", "Z_DOMAIN")
        numbers = [*(galaxy.number(name) for name in columns), galaxy.z_spec]
        flags = "\n".join(flag_names(galaxy, FLAGS))
        name = str(galaxy.row["ID"])
        table.add_row(name, *(_plain(number) for number in numbers), flags)
        for note in galaxy.notes:
            below.add_row(name, note)
    return Group(table, below) if below.row_count else table


def _plain(number: float) -> str:
    return "-" if np.isnan(number) else f"{number:.3f}"
