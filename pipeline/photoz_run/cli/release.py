"""``photoz release``: the tiles of a run as one catalogue."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photoz_run.cli.options import Shown, from_record
from photoz_run.release.options import ReleaseOptions

if TYPE_CHECKING:
    from photoz_run.release.assemble import FinishedRelease

LISTED = 40
"""Tiles printed one by one; provenance.json has all."""
SHOWN = ("catalogue", "measured", "duplicates", "released")
"""Their counts that are printed: as many as fit beside a name."""


RELEASE = {
    "name": Shown("NAME"),
    "partial": Shown(),
    "formats": Shown("FORMATS", comma=True),
    "margin": Shown("ARCSEC"),
    "extend": Shown("HATS"),
    "extend_id": Shown("COLUMN"),
    "pdf": Shown(),
    "keep": Shown("COLUMN..."),
    "attach": Shown("FILE"),
    "attach_by": Shown(),
    "attach_columns": Shown("COLUMN..."),
    "ra": Shown("COLUMN"),
    "dec": Shown("COLUMN"),
    "id": Shown("COLUMN"),
    "reference": Shown("TEXT"),
    "update": Shown("OLD"),
    "cards": Shown("FILE"),
    "authors": Shown("NAME..."),
}


@from_record(ReleaseOptions, RELEASE)
def release(
    run: Annotated[Path, typer.Argument(help="Run directory.", metavar="RUN")],
    out: Annotated[
        Path, typer.Option(help="Folder of the release; must not exist.", metavar="DIR")
    ],
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    **chosen: Any,
) -> None:
    """Merge the tiles of the run in RUN into one catalogue of unique sources.

    Writes FITS and Parquet (and HATS) with the same rows, the area covered,
    README.md, provenance.json and SHA256SUMS. `photoz verify` proves them.
    Refuses while tiles are missing or in quarantine, unless --partial is given.

    Examples: photoz release my-run --out dr5-photoz

    photoz release my-run --out dr5 --formats fits,parquet,hats --keep Z_B

    Exit status: 0 done, 2 wrong usage, or a run that cannot be released,
    75 interrupted or the disk is full.
    """
    from photoz_run.cli.extras import need
    from photoz_run.progress import StepProgress
    from photoz_run.release.assemble import make_release
    from photoz_run.run.interruption import interruptible

    options = ReleaseOptions(**{"name": run.resolve().name} | chosen)
    if "hats" in options.formats:
        need("hats", extra="hats")
    if options.pdf:
        need("h5py", extra="pdf")
    with interruptible("nothing was written, start the same command again"):
        finished = make_release(run, out, options, StepProgress(quiet, "photoz release"))
    with interruptible(f"the release is complete: {out}"):
        print_release(finished)


def print_release(release: "FinishedRelease") -> None:
    """Print where every row went, in all and tile by tile, and what lies in the folder."""
    from photoz_run.alike import in_lines, named
    from photoz_run.cli.tables import print_aligned
    from photoz_run.release.accounting import COUNTS
    from photoz_run.release.folder import PROVENANCE
    from photoz_run.release.readme import area_words, update_lines
    from photoz_run.validation.summary import plain_table
    from photoz_run.wording import counted

    provenance = release.provenance
    tiles = provenance.tiles
    for name in COUNTS:
        typer.echo(f"{name:<12}{getattr(provenance.accounting, name):>13,} rows")
    rows = [["tile", *SHOWN]]
    for tile in tiles[:LISTED]:
        counts = [getattr(tile, name) for name in SHOWN]
        rows.append([tile.tile, *("?" if count is None else f"{count:,}" for count in counts)])
    typer.echo(plain_table(rows))
    if len(tiles) > LISTED:
        more = counted(len(tiles) - LISTED, "more tile")
        typer.echo(f"... and {more}; provenance.json has all counts of all tiles")
    sources, where = counted(provenance.rows, "source"), counted(len(tiles), "tile")
    typer.echo(f"{sources} in {where}, {area_words(provenance)}")
    for one in provenance.attached:
        found = f"{one.matched:,} matched, {one.unmatched:,} unmatched, {one.ambiguous:,} ambiguous"
        typer.echo(f"attached by {one.by}: {found}")
    if provenance.update:
        for line in update_lines(provenance.update):
            typer.echo(line)
    for line in in_lines(provenance.remarks, PROVENANCE):
        typer.secho(line, fg="yellow")
    if provenance.deviant:
        words = f"zero-point unlike the other tiles': {named(provenance.deviant, PROVENANCE)}"
        typer.secho(words, fg="yellow")
    if provenance.partial:
        missing = counted(len(provenance.missing), "tile")
        typer.secho(f"partial: {missing} missing, see README.md", fg="red")
    if provenance.model.simulated_training:
        typer.echo("the model was trained on simulations: not for science")
    products = [(str(release.out / one.path), one.what) for one in provenance.products]
    print_aligned([*products, (str(release.out / "README.md"), "what the folder holds")])
