"""The README of a release, made from the column dictionary, the table of flags and the provenance."""

from collections.abc import Mapping, Sequence
from typing import Any

from photoz_run.flags import BY_NAME, FLAGS, USER_BITS

SHOWN = 200
"""Missing tiles listed in the README; provenance.json has all."""
UNUSABLE = sum(BY_NAME[name].value for name in ("NO_REDSHIFT", "Z_LIMIT", "OUT_OF_DOMAIN"))
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


def readme(made: Mapping[str, Any]) -> str:
    """The text, from the content of provenance.json alone: `photoz verify` makes it again and compares."""
    parts = [
        [f"# {made['name']}", "", _opening(made)],
        _warnings(made),
        ["## Files", "", *_files(made)],
        ["## How to read it", "", *_reading(made)],
        ["## Columns", "", *_columns(made)],
        _attached(made),
        ["## Quality flags", "", *_flags(made)],
        ["## Where every row went", "", *_accounting(made)],
        ["## Validation", "", *_validation(made["validation"])],
        ["## How it was made", "", *_making(made)],
        ["## How to cite", "", *_citing(made)],
        _missing(made),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def area_words(made: Mapping[str, Any]) -> str:
    """The area in words, with digits that fit its size."""
    return f"{made['area_deg2']:,.{2 if made['area_deg2'] >= 10 else 4}f} square degrees"


def _opening(made: Mapping[str, Any]) -> str:
    return (
        f"Photometric redshifts of {made['rows']:,} sources in {len(_released(made)):,} tiles of"
        f" KiDS {' and '.join(made['input_releases'])}, {area_words(made)}, by the model"
        f" {made['model']['name']} {made['model']['version']}. One row per source; rows are sorted by their place on"
        " the sky (HEALPix, nested), alike in all files."
    )


def _warnings(made: Mapping[str, Any]) -> list[str]:
    lines = []
    if made["model"]["simulated_training"]:
        lines.append(
            "> **The model was trained on simulations.** These redshifts show that the program works; of real galaxies"
            " they are not for science."
        )
    if made["partial"]:
        number = len(made["missing"])
        lines.append(
            f"> **This release is partial:** {number} tiles of the run are missing, listed at the end."
        )
    return "\n>\n".join(lines).splitlines()


def _files(made: Mapping[str, Any]) -> list[str]:
    rows = [
        [f"`{one['path']}`", f"{one['rows']:,}" if one["rows"] is not None else "", one["what"]]
        for one in made["products"]
    ]
    return [
        *_table(["file", "rows", "what"], rows),
        "",
        "`sha256sum -c --quiet SHA256SUMS` checks that all files are whole, `photoz verify .` that they agree.",
    ]


def _reading(made: Mapping[str, Any]) -> list[str]:
    name = made["name"]
    lines = [
        "With pyarrow and pandas:",
        "",
        "```python",
        "import pyarrow.parquet as pq",
        "",
        f'galaxies = pq.read_table("{name}.parquet").to_pandas()',
        f"good = galaxies[(galaxies.PHOTOZ_FLAG & {UNUSABLE}) == 0]  # with a redshift that is no extrapolation",
        'print(good[["ID", "RAJ2000", "DECJ2000", "Z_PHOT", "Z_PHOT_ERR"]])',
        "```",
        "",
    ]
    if any(one["path"] == f"{name}.fits" for one in made["products"]):
        lines.append(
            f"TOPCAT and astropy open `{name}.fits` as it is: `Table.read('{name}.fits', hdu='PHOTOZ')`."
        )
    if any(one["path"] == f"{name}_hats" for one in made["products"]):
        lines.append(f"LSDB opens the folder: `lsdb.open_catalog('{name}_hats')`.")
    return lines


def _columns(made: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            f"`{one['name']}`",
            one["type"],
            one["unit"],
            "yes" if one["null"] else "",
            one["description"],
        ]
        for one in made["columns"]
    ]
    head = ["column", "type", "unit", "may be missing", "description"]
    return [*_table(head, rows), "", "What is missing is null in Parquet, NaN or TNULL in FITS."]


def _attached(made: Mapping[str, Any]) -> list[str]:
    lines = []
    for one in made["attached"]:
        files = ", ".join(f"`{file['name']}`" for file in one["files"])
        how = (
            f"position within {one['radius_arcsec']:g} arcsec" if one["by"] == "position" else "ID"
        )
        columns = ", ".join(f"`{name}`" for name in one["columns"].values())
        lines.append(
            f"{columns} from {files}, joined by {how}: {one['matched']:,} sources have a row there, "
            f"{one['unmatched']:,} have none, {one['ambiguous']:,} have several."
        )
    return ["## Attached columns", "", *lines] if lines else []


def _flags(made: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            str(flag.bit),
            str(flag.value),
            f"`{flag.name}`",
            f"{made['flags'].get(flag.name, 0):,}",
            flag.description,
        ]
        for flag in FLAGS
    ]
    rows.append([f"{USER_BITS[0]}-{USER_BITS[-1]}", "", "", "", "never set here: yours"])
    cut = f"A first cut for science: `(PHOTOZ_FLAG & {UNUSABLE}) == 0`."
    return [*_table(["bit of `PHOTOZ_FLAG`", "value", "name", "rows", "set when"], rows), "", cut]


def _accounting(made: Mapping[str, Any]) -> list[str]:
    sums = made["accounting"]
    rows = [[words, f"{sums[name]:,}"] for name, words in ACCOUNT_WORDS.items()]
    lines = [
        *_table(["rows", "number"], rows, right=1),
        "",
        "Rows of the catalogues = excluded + measured + flagged + in quarantine; measured + flagged = released +"
        " duplicates. `provenance.json` has the numbers of each tile.",
        "",
        f"{made['duplicates']['sources']:,} sources were measured in more than one tile. One row of each is kept:"
        f" {made['duplicates']['rule']}.",
    ]
    if sums["tiles_not_counted"]:
        lines += [
            "",
            f"The catalogues of {sums['tiles_not_counted']} tiles could not be counted and add to no sum.",
        ]
    return lines


def _validation(lines: Sequence[Sequence[str]]) -> list[str]:
    if not lines:
        return ["This run was not compared with spectroscopic redshifts."]
    return _table(
        ["of the run, before duplicates were left out", ""], [list(line) for line in lines], right=1
    )


def _making(made: Mapping[str, Any]) -> list[str]:
    rows = [
        ["measured with", f"{made['run']['program']}, commit {made['run']['commit']}"],
        ["merged with", f"{made['program']}, commit {made['commit']}, on {made['date']} UTC"],
        ["libraries", "; ".join(made["run"]["packages"])],
        [
            "model",
            f"{made['model']['name']} {made['model']['version']}, sha256 {made['model']['digest']}",
        ],
        ["its training set", made["model"]["training"]],
        ["configuration", f"sha256 {made['run']['config_digest']}; in full in `provenance.json`"],
    ]
    return [*_table(["", ""], rows), "", "`provenance.json` names every input file of every tile."]


def _citing(made: Mapping[str, Any]) -> list[str]:
    survey = [
        f"{one}: {SURVEY_PAPERS[one]}" for one in made["input_releases"] if one in SURVEY_PAPERS
    ]
    if made["reference"]:
        lines = [f"Cite {made['reference']}."]
    else:
        lines = [
            f"There is no publication yet: give the name `{made['name']}` and the sha256 of `provenance.json`."
        ]
    return [*lines, *(f"Cite the survey's data release too ({one})." for one in survey)]


def _missing(made: Mapping[str, Any]) -> list[str]:
    if not made["missing"]:
        return []
    rows = [[one["tile"], one["reason"].replace("|", "\\|")] for one in made["missing"][:SHOWN]]
    more = len(made["missing"]) - len(rows)
    rest = ["", f"... and {more} more: see `provenance.json`."] if more > 0 else []
    return ["## Missing tiles", "", *_table(["tile", "why"], rows), *rest]


def _released(made: Mapping[str, Any]) -> list[Any]:
    return [one for one in made["tiles"] if one["status"] == "DONE"]


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: int | None = None
) -> list[str]:
    rule = ["---:" if k == right else "---" for k in range(len(head))]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]
