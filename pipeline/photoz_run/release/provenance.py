"""How a release was made: all of it in ``provenance.json``, what every tile came from in a table of the FITS file."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from photoz_run import __version__
from photoz_run.catalogue.arrow_fields import about
from photoz_run.catalogue.release_record import ReleaseRecord, text_rows
from photoz_run.catalogue.table import dictionary_schema
from photoz_run.release.accounting import TileAccount, as_json, totals
from photoz_run.release.duplicates import RULE, SAME_SOURCE
from photoz_run.release.merge import Scan
from photoz_run.release.options import ReleaseOptions
from photoz_run.release.tiles import FinishedRun
from photoz_run.version import program_commit

SCHEMA = 1


def make_record(run: FinishedRun, found: Scan, options: ReleaseOptions) -> ReleaseRecord:
    """What the release says of itself; its time is now, or SOURCE_DATE_EPOCH, so that a build can be repeated."""
    return ReleaseRecord(
        name=options.name,
        run=found.run,
        program=f"photoz-run {__version__}",
        commit=program_commit(),
        date=_date(),
        input_releases=run.manifest.data_releases,
        tiles=len(run.done),
        missing=run.pending,
        quarantined=tuple(run.quarantined),
        reference=options.reference,
    )


def provenance(
    run: FinishedRun,
    found: Scan,
    record: ReleaseRecord,
    options: ReleaseOptions,
    accounts: Mapping[str, TileAccount],
    fields: pa.Schema,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of ``provenance.json``; ``facts`` are what only the assembly knows: products, area, flags ..."""
    made = record.run
    return {
        "schema": SCHEMA,
        "name": record.name,
        "program": record.program,
        "commit": record.commit,
        "date": record.date,
        "reference": record.reference,
        "input_releases": list(record.input_releases),
        "partial": record.partial,
        "missing": [{"tile": tile, "reason": reason} for tile, reason in run.missing.items()],
        "model": {
            "name": made.model,
            "version": made.model_version,
            "digest": made.model_digest,
            "training": made.model_training,
            "simulated_training": made.simulated_training,
            "redshift_range": list(run.manifest.redshift_range),
        },
        "run": {
            "program": f"{made.program} {made.version}",
            "commit": made.commit,
            "packages": list(found.packages),
            "run_digest": made.run_digest,
            "config_digest": made.config_digest,
            "config": run.manifest.config.model_dump(mode="json"),
        },
        "options": _options(options),
        "duplicates": {
            "rule": RULE,
            "largest_separation_arcsec": SAME_SOURCE,
            "sources": found.duplicates.sources,
            "rows_left_out": totals(accounts.values())["duplicates"],
        },
        "rows": totals(accounts.values())["released"],
        "accounting": totals(accounts.values()),
        "columns": [_column(field) for field in fields],
        **facts,
        "tiles": [{**one, **_sources_of(run, found, one["tile"])} for one in as_json(accounts)],
    }


def tile_rows(run: FinishedRun, found: Scan, accounts: Mapping[str, TileAccount]) -> pa.Table:
    """The table ``provenance`` of the dictionary: a row for each input file of each tile of the run."""
    release = ",".join(run.manifest.data_releases)
    rows = []
    for tile in sorted(accounts):
        sources = _sources_of(run, found, tile)
        common = {
            "TILE": tile,
            "RELEASE": release,
            "STATUS": accounts[tile].status,
            "INPUTS_DIGEST": sources["inputs_digest"],
            "TILE_FILE_SHA256": sources["tile_file_sha256"],
            "REASON": run.missing.get(tile, ""),
        }
        for file in sources["inputs"]:
            size = file["bytes"] if file["bytes"] >= 0 else None
            rows.append({**common, "FILE": file["name"], "BYTES": size})
    return pa.Table.from_pylist(rows, schema=dictionary_schema("provenance"))


def texts(run: FinishedRun, found: Scan, accounts: Mapping[str, TileAccount]) -> pa.Table:
    """The table ``texts`` of the dictionary: configuration, versions, the rule for duplicates, the accounting."""
    sums = totals(accounts.values())
    return text_rows(
        [
            ("configuration", run.manifest.config.resolved_toml()),
            ("packages", "\n".join(line for text in found.packages for line in text.split(", "))),
            ("duplicates", RULE.replace("; ", "\n")),
            ("accounting", "\n".join(f"{name} {number}" for name, number in sums.items())),
        ]
    )


def _date() -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def _options(options: ReleaseOptions) -> dict[str, Any]:
    return {
        "formats": list(options.formats),
        "margin_arcsec": options.margin,
        "pdf": options.pdf,
        "keep": list(options.keep),
        "partial": options.partial,
    }


def _column(field: pa.Field) -> dict[str, Any]:
    said = about(field)
    return {
        "name": field.name,
        "type": str(field.type),
        "null": field.nullable,
        **{key: said.get(key, "") for key in ("unit", "ucd", "description")},
    }


def _sources_of(run: FinishedRun, found: Scan, tile: str) -> dict[str, Any]:
    """Input files of a tile as its file names them, or as the run was planned, and digests."""
    recorded = run.done.get(tile) or run.idle.get(tile) or run.quarantined.get(tile)
    inputs = found.inputs.get(tile) or [
        {"name": file.name, "bytes": file.bytes} for file in run.manifest.inputs[tile]
    ]
    return {
        "inputs": inputs,
        "inputs_digest": recorded.inputs_digest if recorded else run.manifest.inputs_digests[tile],
        "tile_file_sha256": recorded.files.get(f"{tile}.parquet", "") if recorded else "",
    }
