"""A run becomes a release: merge, write every product, account for every row, sum up, and only then name it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photoz_run.catalogue.pdf import quantile_levels
from photoz_run.errors import BadDataError, ConfigError
from photoz_run.release.accounting import settle
from photoz_run.release.attach import Attachment, attach
from photoz_run.release.folder import built_aside, write_sums
from photoz_run.release.merge import FurtherColumns, Scan, Tally, scan, split
from photoz_run.release.options import ReleaseOptions
from photoz_run.release.passthrough import pass_through
from photoz_run.release.products import (
    Clients,
    Products,
    write_area,
    write_fits,
    write_hats_collection,
    write_parquet,
    write_pdf,
)
from photoz_run.release.progress import Progress
from photoz_run.release.provenance import make_record, provenance, texts, tile_rows
from photoz_run.release.readme import readme
from photoz_run.release.tiles import FinishedRun, open_run
from photoz_run.release.validated import validation_summary


@dataclass(frozen=True)
class Release:
    """A finished release, and what its ``provenance.json`` says."""

    out: Path
    made: Mapping[str, Any]


def make_release(
    path: Path, out: Path, options: ReleaseOptions, progress: Progress, clients: Clients
) -> Release:
    """Merge the tiles of the run in ``path`` into a release in ``out``.

    Raises
    ------
    ConfigError
        If something cannot be used, or a sum does not close; nothing stays in ``out``.
    OutputError
        If ``out`` cannot be written.
    """
    options.check()
    run = open_run(path, options.partial)
    try:
        with built_aside(out) as (folder, scratch), progress.shown():
            return Release(out, _build(run, options, folder, scratch, progress, clients))
    except BadDataError as error:
        # Here no tile is put into quarantine: what cannot be used is the user's to replace.
        raise ConfigError(str(error)) from error


def _build(
    run: FinishedRun,
    options: ReleaseOptions,
    folder: Path,
    scratch: Path,
    progress: Progress,
    clients: Clients,
) -> dict[str, Any]:
    with progress.step("tiles checked", len(run.done)) as tick:
        found = scan(run, scratch, tick)
    further = _further_columns(run, found, options)
    with progress.step("tiles merged", len(run.done)) as tick:
        parted = split(run, found, further, scratch, tick)
    tally = Tally()
    products = Products(folder, scratch, make_record(run, found, options), progress)
    write_parquet(products, parted, tally)
    accounts = settle(found.accounts, found.dropped(list(run.done)), tally.rows)
    if "fits" in options.formats:
        tables = {
            "provenance": tile_rows(run, found, accounts),
            "texts": texts(run, found, accounts),
        }
        write_fits(products, parted, tables)
    if "hats" in options.formats:
        write_hats_collection(products, options.margin, clients)
    if options.pdf:
        write_pdf(products, parted.fields)
    area = write_area(products, [one.footprint for one in (*run.done.values(), *run.idle.values())])
    facts = {
        "area_deg2": round(area, 4),
        "flags": dict(sorted(tally.flags.items())),
        "attached": [one.facts() for one in further if isinstance(one, Attachment)],
        "products": products.listed,
        "validation": validation_summary(run),
    }
    made = provenance(run, found, products.record, options, accounts, parted.fields, facts)
    (folder / "provenance.json").write_text(json.dumps(made, indent=1) + "\n")
    (folder / "README.md").write_text(readme(made))
    with progress.step("files summed up", 1):
        write_sums(folder)
    return made


def _further_columns(
    run: FinishedRun, found: Scan, options: ReleaseOptions
) -> list[FurtherColumns]:
    """What is kept and attached. What cannot be had is refused before anything large is written."""
    if options.pdf:
        quantile_levels(found.fields)
    further: list[FurtherColumns] = []
    taken = list(found.fields.names)
    if options.keep:
        further.append(pass_through(run.manifest, list(run.done), options.keep, taken))
        taken += [one.name for one in further[-1].fields]
    if options.attach is not None:
        further.append(attach(options.attach, options.attach_by, options.attach_columns, taken))
    return further
