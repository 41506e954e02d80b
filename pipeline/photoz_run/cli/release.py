"""``photoz release``: the tiles of a run as one catalogue."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from photoz_run.release.assemble import Release

SEVERAL = ("--keep", "--attach-columns")
LISTED = 40
"""Tiles printed one by one; provenance.json has all."""


def release(
    run: Annotated[
        Path, typer.Argument(help="Run directory. Stands before --keep and --attach-columns.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the release; must not exist.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the release (default: that of the run directory).")
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Go on without the tiles that the run lacks.")
    ] = False,
    formats: Annotated[
        str, typer.Option(help="fits, parquet, hats; hats needs the extra 'hats'.")
    ] = "fits,parquet",
    margin: Annotated[
        float | None,
        typer.Option(help="Width of a margin cache beside the HATS catalogue.", metavar="ARCSEC"),
    ] = None,
    pdf: Annotated[
        bool,
        typer.Option(
            "--pdf", help="Write the redshift distributions for qp; needs --quantiles in the run."
        ),
    ] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Columns to take over from the input catalogues.", metavar="COLUMN..."),
    ] = None,
    attach: Annotated[
        Path | None, typer.Option(help="Another table, Parquet or FITS, to join to the sources.")
    ] = None,
    attach_by: Annotated[
        Literal["id", "position"],
        typer.Option(help="By its column ID, or by position within 1 arcsec."),
    ] = "id",
    attach_columns: Annotated[
        list[str] | None,
        typer.Option(help="Its columns, or COLUMN=NEWNAME (default: all).", metavar="COLUMN..."),
    ] = None,
    reference: Annotated[str, typer.Option(help="Bibcode or DOI of the publication.")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Merge the tiles of the run in RUN into one catalogue of unique sources, with the proof of how it was made.

    Writes FITS and Parquet (and HATS) with the same rows, the area covered, README.md, provenance.json and SHA256SUMS.
    Refuses while tiles are missing or in quarantine, unless --partial is given.

    Examples: photoz release my-run --out dr5-photoz

    photoz release my-run --out dr5-photoz --formats fits,parquet,hats --margin 10 --keep MAG_GAAP_r Z_B

    Exit status: 0 done, 2 wrong usage, or a run that cannot be released, 75 interrupted or the disk is full.
    """
    from photoz_run.cli.extras import need
    from photoz_run.release.assemble import make_release
    from photoz_run.release.options import ReleaseOptions
    from photoz_run.release.progress import Progress
    from photoz_run.run.cluster import local_client
    from photoz_run.run.interruption import interruptible

    options = ReleaseOptions(
        name=name or run.resolve().name,
        partial=partial,
        formats=tuple(part.strip() for part in formats.split(",")),
        margin=margin,
        pdf=pdf,
        keep=tuple(keep or ()),
        attach=attach,
        attach_by=attach_by,
        attach_columns=tuple(attach_columns or ()),
        reference=reference,
    )
    if "hats" in options.formats:
        need("hats", "hats_import", extra="hats")
    if pdf:
        need("h5py", extra="pdf")
    with interruptible("nothing was written, start the same command again"):
        made = make_release(run, out, options, Progress(quiet), local_client)
    print_release(made)


def print_release(release: "Release") -> None:
    """Print where every row went, in all and tile by tile, and what lies in the folder."""
    from photoz_run.release.accounting import COUNTS
    from photoz_run.release.readme import area_words
    from photoz_run.validation.summary import plain_table

    made = release.made
    accounts = [{"tile": "all", **made["accounting"]}, *made["tiles"][:LISTED]]
    numbers = [
        ["?" if one[name] is None else f"{one[name]:,}" for name in COUNTS] for one in accounts
    ]
    rows = [[one["tile"], *row] for one, row in zip(accounts, numbers, strict=True)]
    typer.echo(plain_table([["rows", *COUNTS], *rows]))
    if len(made["tiles"]) > LISTED:
        typer.echo(f"... and {len(made['tiles']) - LISTED:,} more tiles, in provenance.json")
    typer.echo(f"{made['rows']:,} sources in {len(made['tiles']):,} tiles, {area_words(made)}")
    if made["partial"]:
        typer.secho(f"partial: {len(made['missing'])} tiles are missing, see README.md", fg="red")
    if made["model"]["simulated_training"]:
        typer.echo("the model was trained on simulations: not for science")
    for product in made["products"]:
        typer.echo(f"{release.out / product['path']}  {product['what']}")
    typer.echo(f"{release.out / 'README.md'}")
