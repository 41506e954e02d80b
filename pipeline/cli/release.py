"""``photoz release``: the tiles of a run as one catalogue."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from pipeline.release.assemble import Release

SEVERAL = ("--keep", "--attach-columns")


def release(
    run: Annotated[Path, typer.Argument(help="Run directory. Stands before --keep and --attach-columns.")],
    out: Annotated[Path, typer.Option(help="Folder of the release; must not exist.")],
    name: Annotated[str | None, typer.Option(help="Name of the release (default: that of the run directory).")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Go on without the tiles that the run lacks.")] = False,
    formats: Annotated[str, typer.Option(help="fits, parquet, hats; hats needs the extra 'hats'.")] = "fits,parquet",
    margin: Annotated[
        float | None, typer.Option(help="Width of a margin cache beside the HATS catalogue.", metavar="ARCSEC")
    ] = None,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Write the redshift distributions for qp; needs --quantiles in the run.")
    ] = False,
    keep: Annotated[
        list[str] | None, typer.Option(help="Columns to take over from the input catalogues.", metavar="COLUMN...")
    ] = None,
    attach: Annotated[Path | None, typer.Option(help="Another table, Parquet or FITS, to join to the sources.")] = None,
    attach_by: Annotated[
        Literal["id", "position"], typer.Option(help="By its column ID, or by position within 1 arcsec.")
    ] = "id",
    attach_columns: Annotated[
        list[str] | None, typer.Option(help="Its columns, or COLUMN=NEWNAME (default: all).", metavar="COLUMN...")
    ] = None,
    reference: Annotated[str, typer.Option(help="Bibcode or DOI of the publication.")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    r"""Merge the tiles of the run in RUN into one catalogue of unique sources, with the proof of how it was made.

    Writes into the folder of --out: FITS and Parquet (and HATS) with the same rows, the area covered, README.md,
    provenance.json and SHA256SUMS. Refuses while tiles are missing or in quarantine, unless --partial is given.

    \b
    photoz release my-run --out dr5-photoz
    photoz release my-run --out dr5-photoz --formats fits,parquet,hats --margin 10 --reference 2026A&A...700A...1X
    """
    from pipeline.cli.extras import need
    from pipeline.release.assemble import make_release
    from pipeline.release.options import ReleaseOptions
    from pipeline.release.progress import Progress
    from pipeline.run.cluster import local_client
    from pipeline.run.interruption import interruptible

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
    """Print where every row went, and what lies in the folder."""
    from rich.console import Console
    from rich.table import Table

    from pipeline.release.readme import ACCOUNT_WORDS, area_words

    console = Console(highlight=False)
    table = Table("rows", "number", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for name, words in ACCOUNT_WORDS.items():
        table.add_row(words, f"{release.made['accounting'][name]:,}")
    console.print(table)
    typer.echo(f"{area_words(release.made)}, {len(release.made['tiles']):,} tiles")
    if release.made["partial"]:
        console.print(f"partial: {len(release.made['missing'])} tiles are missing, see README.md", style="red")
    if release.made["model"]["simulated_training"]:
        typer.echo("the model was trained on simulations: not for science")
    for product in release.made["products"]:
        typer.echo(f"{release.out / product['path']}  {product['what']}")
    typer.echo(f"{release.out / 'README.md'}")
