"""The README of a release, made of its provenance and the table of flags."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from photoz_run.alike import in_lines
from photoz_run.flags import FLAGS, USER_BITS
from photoz_run.records import Status
from photoz_run.release.folder import PROVENANCE
from photoz_run.release.provenance import AttachedFacts, ReleaseProvenance, UpdateFacts
from photoz_run.release.rows import IN_PARTS, WHOLE
from photoz_run.wording import counted

NAMED = 5
"""Tiles named in a line."""
SHOWN = 200
"""Missing tiles listed in the README; provenance.json has all."""
ACCOUNT_WORDS = {
    "catalogue": "rows of the input catalogues",
    "excluded": "excluded by the selection",
    "measured": "measured: with a redshift",
    "flagged": "flagged: selected, without a redshift",
    "quarantined": "in tiles in quarantine",
    "duplicates": "left out as duplicates",
    "released": "released",
}
SURVEY_PAPERS = {
    "DR4": "Kuijken et al. 2019, A&A 625, A2",
    "DR5": "Wright et al. 2024, A&A 686, A170",
}


MISSING = (
    "What is missing is null in Parquet; in FITS it is NaN, TNULL or a blank text. Logical columns"
    " are written as integers, because FITS readers show a missing logical as false."
)


def readme(provenance: ReleaseProvenance) -> str:
    """The text. It follows from the provenance alone: `photoz verify` makes it again to compare."""
    parts = [
        [f"# {provenance.name}", "", _opening(provenance)],
        _warnings(provenance),
        ["## Files", "", *_files(provenance)],
        ["## How to read it", "", *_reading(provenance)],
        _update(provenance),
        ["## Columns", "", *_columns(provenance)],
        _attached(provenance),
        ["## Quality flags", "", *_flags(provenance)],
        ["## Where every row went", "", *_accounting(provenance)],
        ["## Validation", "", *_validation(provenance)],
        ["## How it was made", "", *_making(provenance)],
        ["## How to cite", "", *_citing(provenance)],
        _remarks(provenance),
        _deviant(provenance),
        _missing(provenance),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def area_words(provenance: ReleaseProvenance) -> str:
    """The area in words, with digits that fit its size."""
    if provenance.area_deg2 is None:
        return "the area not known (no coadds were read)"
    digits = 2 if provenance.area_deg2 >= 10 else 4
    return f"{provenance.area_deg2:,.{digits}f} square degrees"


def _opening(provenance: ReleaseProvenance) -> str:
    released = sum(tile.status == Status.DONE for tile in provenance.tiles)
    model = provenance.model
    return (
        f"Photometric redshifts of {counted(provenance.rows, 'source')} in"
        f" {counted(released, 'tile')} of KiDS {' and '.join(provenance.input_releases)},"
        f" {area_words(provenance)}, by the model {model.name} {model.version}. One row per source;"
        " rows are sorted by their place on the sky (HEALPix, nested), alike in all files."
    )


def _warnings(provenance: ReleaseProvenance) -> list[str]:
    lines = []
    if provenance.model.simulated_training:
        lines.append(
            "> **The model was trained on simulations.** These redshifts show that the program"
            " works; of real galaxies they are not for science."
        )
    if provenance.partial:
        lines.append(
            "> **This release is partial:** it lacks"
            f" {counted(len(provenance.missing), 'tile')} of the run, listed at the end."
        )
    if odd := {tile for group in provenance.remarks for tile in group.tiles}:
        lines.append(f"> **There are remarks on {counted(len(odd), 'tile')}**, at the end.")
    return "\n>\n".join(lines).splitlines()


def _files(provenance: ReleaseProvenance) -> list[str]:
    rows = []
    for product in provenance.products:
        number = f"{product.rows:,}" if product.rows is not None else ""
        rows.append([f"`{product.path}`", number, product.what])
    return [
        *_table(["file", "rows", "what"], rows),
        "",
        "`sha256sum -c --quiet SHA256SUMS` checks that all files are whole, `photoz verify .` that"
        " they agree. Each page of the Parquet files has a checksum, which finds a flipped bit when"
        " the rows are read; readers look at it if they are told to, pyarrow and pandas with"
        " `page_checksum_verification=True`.",
    ]


def _reading(provenance: ReleaseProvenance) -> list[str]:
    name = provenance.name
    whole = provenance.has_product(f"{name}{WHOLE}")
    catalogue = f"{name}{WHOLE if whole else IN_PARTS}"
    lines = [
        "With pandas. Without Arrow's types a column of integers with nulls becomes one of floats,"
        " in which long identifiers are no longer told apart:",
        "",
        "```python",
        "import pandas as pd",
        "",
        f'galaxies = pd.read_parquet("{catalogue}", dtype_backend="pyarrow")',
        f"NOT_FOR_SCIENCE = {provenance.science_cut.mask}",
        "good = galaxies[(galaxies.PHOTOZ_FLAG & NOT_FOR_SCIENCE) == 0]",
        'print(good[["ID", "RAJ2000", "DECJ2000", "Z_PHOT", "Z_PHOT_ERR"]])',
        "```",
        "",
        "With astropy (and narwhals), masked where a value is missing. `Table.read` masks nothing"
        " in Parquet: it makes integers with nulls floats, and null texts `'None'`:",
        "",
        "```python",
        "import pyarrow.parquet as pq",
        "from astropy.table import Table",
        "",
        f'galaxies = Table.from_df(pq.read_table("{catalogue}"))',
        "```",
        "",
    ]
    return [*lines, *_other_readers(provenance)]


def _other_readers(provenance: ReleaseProvenance) -> list[str]:
    """A line for each further product."""
    name = provenance.name
    readers = {
        f"{name}.fits": (
            f"TOPCAT and astropy open `{name}.fits` as it is, and mask what is missing:"
            f" `Table.read('{name}.fits', hdu='PHOTOZ')`. fitsio shows the number in `TNULLn` of"
            " the header for a missing integer, NaN for a float, a blank text for a text."
        ),
        f"{name}_hats": (
            f"LSDB opens the folder: `lsdb.open_catalog('{name}_hats')`. Others take"
            f" `{name}_hats/{name}/dataset/**/*.parquet`, because other files of the folder"
            " repeat rows."
        ),
        f"{name}_pdf.hdf5": (
            f"qp opens the redshift distributions: `qp.read('{name}_pdf.hdf5')`. Their"
            " `ancil['ROW']` is the row of the catalogue, from 0."
        ),
        f"{name}_moc.fits": (
            f"Aladin, TOPCAT and mocpy read the area: `MOC.from_fits('{name}_moc.fits')`."
        ),
    }
    return [f"- {words}" for product, words in readers.items() if provenance.has_product(product)]


def _columns(provenance: ReleaseProvenance) -> list[str]:
    rows = []
    for column in provenance.columns:
        null = "yes" if column.null else ""
        rows.append([f"`{column.name}`", column.type, column.unit, null, column.description])
    head = ["column", "type", "unit", "may be missing", "description"]
    return [*_table(head, rows), "", MISSING]


def _attached(provenance: ReleaseProvenance) -> list[str]:
    lines = [_attached_line(table) for table in provenance.attached]
    return ["## Attached columns", "", *lines] if lines else []


def _attached_line(table: AttachedFacts) -> str:
    files = ", ".join(f"`{file.name}`" for file in table.files)
    columns = ", ".join(f"`{name}`" for name in table.columns.values())
    how = f"position within {table.radius_arcsec:g} arcsec" if table.by == "position" else "ID"
    return (
        f"{columns} from {files}, joined by {how}: {table.matched:,} sources have a row there, "
        f"{table.unmatched:,} have none, {table.ambiguous:,} have several."
    )


def _flags(provenance: ReleaseProvenance) -> list[str]:
    rows = []
    for flag in FLAGS:
        number = f"{provenance.flags.get(flag.name, 0):,}"
        rows.append([str(flag.bit), str(flag.value), f"`{flag.name}`", number, flag.description])
    rows.append([f"{USER_BITS[0]}-{USER_BITS[-1]}", "", "", "", "never set here: yours"])
    cut = provenance.science_cut
    sentence = (
        f"The recommended cut for science is `(PHOTOZ_FLAG & {cut.mask}) == 0`. The mask is called"
        f" `{cut.name}` and holds {', '.join(cut.flags)}."
    )
    head = ["bit of `PHOTOZ_FLAG`", "value", "name", "rows", "set when"]
    return [*_table(head, rows), "", sentence]


def _accounting(provenance: ReleaseProvenance) -> list[str]:
    counts = asdict(provenance.accounting)
    rows = [[words, f"{counts[name]:,}"] for name, words in ACCOUNT_WORDS.items()]
    duplicates = provenance.duplicates
    lines = [
        *_table(["rows", "number"], rows, right=1),
        "",
        "Rows of the catalogues = excluded + measured + flagged + in quarantine; measured +"
        " flagged = released + duplicates. `provenance.json` has the numbers of each tile.",
        "",
        f"Measured in more than one tile: {counted(duplicates.sources, 'source')}. One row of each"
        f" is kept: {duplicates.rule}.",
    ]
    not_counted = provenance.accounting.tiles_not_counted
    if not_counted:
        lines += [
            "",
            f"Catalogues that could not be counted and add to no sum: {not_counted}.",
        ]
    return lines


def _validation(provenance: ReleaseProvenance) -> list[str]:
    if not provenance.validation:
        return ["This run was not compared with spectroscopic redshifts."]
    rows = [list(line) for line in provenance.validation]
    return _table(["of the run, before duplicates were left out", ""], rows, right=1)


def _making(provenance: ReleaseProvenance) -> list[str]:
    run, model = provenance.run, provenance.model
    merged = f"{provenance.program}, commit {provenance.commit}, on {provenance.date} UTC"
    rows = [
        ["measured with", f"{run.program}, commit {run.commit}"],
        ["merged with", merged],
        ["libraries", "; ".join(run.packages)],
        *_computed_on(run.computed_on),
        ["model", f"{model.name} {model.version}, sha256 {model.digest}"],
        ["its training set", model.training],
        ["configuration", f"sha256 {run.config_digest}; in full in `provenance.json`"],
    ]
    return [*_table(["", ""], rows), "", "`provenance.json` names every input file of every tile."]


def _computed_on(tiles: Mapping[str, int]) -> list[list[str]]:
    words = (f"{name} ({counted(number, 'tile')})" for name, number in tiles.items())
    return [["the network ran on", "; ".join(words)]] if tiles else []


def _citing(provenance: ReleaseProvenance) -> list[str]:
    if provenance.reference:
        lines = [f"Cite {provenance.reference}."]
    else:
        lines = [
            f"There is no publication yet: give the name `{provenance.name}` and the sha256 of"
            " `provenance.json`."
        ]
    for name in provenance.input_releases:
        if name in SURVEY_PAPERS:
            paper = SURVEY_PAPERS[name]
            lines.append(f"Cite the survey's data release too ({name}: {paper}).")
    return lines


def update_lines(update: UpdateFacts) -> list[str]:
    """What differs from the older release, in lines for a terminal."""
    lines = [
        f"since {update.name} ({update.date}): {update.added:,} sources added,"
        f" {update.changed:,} changed, {update.removed:,} removed, {update.unchanged:,} as before"
    ]
    for status in ("added", "changed", "removed"):
        tiles = [tile.tile for tile in update.tiles if tile.status == status]
        if tiles:
            more = f" and {len(tiles) - NAMED:,} more" if len(tiles) > NAMED else ""
            lines.append(f"tiles {status}: {', '.join(tiles[:NAMED])}{more}")
    return lines


def _update(provenance: ReleaseProvenance) -> list[str]:
    update = provenance.update
    if update is None:
        return []
    lines = [f"- {line}" for line in update_lines(update)]
    if update.model_digest != provenance.model.digest:
        lines.append(f"- the model was {update.model}, sha256 {update.model_digest}")
    for what in ("added", "removed"):
        names = getattr(update, f"columns_{what}")
        if names:
            lines.append(f"- columns {what}: {', '.join(f'`{name}`' for name in names)}")
    return [
        "## What is new",
        "",
        *lines,
        "",
        f"`{provenance.name}_changes.parquet` has a row for each source that was added, changed or"
        " removed, with the columns that changed; `provenance.json` counts them by tile. Sources"
        " that did not change stand in the same order as before.",
    ]


def _remarks(provenance: ReleaseProvenance) -> list[str]:
    """What is odd about tiles; `photoz-run` and `photoz status` say the same."""
    lines = [f"- {line}" for line in in_lines(provenance.remarks, PROVENANCE)]
    if not lines:
        return []
    more = len(lines) - SHOWN
    rest = [f"- and {more} more: see `{PROVENANCE}`"] if more > 0 else []
    return [
        "## Remarks on tiles",
        "",
        "What was odd about tiles that could be used. Their redshifts may be worse than others.",
        "",
        *lines[:SHOWN],
        *rest,
    ]


def _deviant(provenance: ReleaseProvenance) -> list[str]:
    """Tiles to be looked at; `photoz status` names the same."""
    if not provenance.deviant:
        return []
    lines = [f"- {words}" for words in provenance.deviant[:SHOWN]]
    more = len(provenance.deviant) - len(lines)
    if more > 0:
        lines.append(f"- and {more} more: see `provenance.json`")
    return [
        "## Tiles with an unusual zero-point",
        "",
        "The fluxes of their pixels lie more than 5 sigma off their magnitudes, compared with the"
        " other tiles. Their redshifts may be off.",
        "",
        *lines,
    ]


def _missing(provenance: ReleaseProvenance) -> list[str]:
    if not provenance.missing:
        return []
    shown = provenance.missing[:SHOWN]
    rows = [[missing.tile, missing.reason.replace("|", "\\|")] for missing in shown]
    more = len(provenance.missing) - len(rows)
    rest = ["", f"... and {more} more: see `provenance.json`."] if more > 0 else []
    return ["## Missing tiles", "", *_table(["tile", "why"], rows), *rest]


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: int | None = None
) -> list[str]:
    rule = ["---:" if number == right else "---" for number in range(len(head))]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]
