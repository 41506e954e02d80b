"""What is known of a release when it is made, gathered from the run, its tiles and the options."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import pyarrow as pa

from photoz_run import __version__
from photoz_run.alike import remarks_of
from photoz_run.catalogue.table import dictionary_schema
from photoz_run.release.accounting import TileAccount, totals
from photoz_run.release.duplicates import RULE, SAME_SOURCE
from photoz_run.release.eso_cards import read_cards
from photoz_run.release.merge import Scan
from photoz_run.release.options import ReleaseOptions
from photoz_run.release.provenance import (
    AttachedFacts,
    ColumnFacts,
    DuplicateFacts,
    MissingTile,
    ModelFacts,
    OptionFacts,
    ProductFacts,
    ReleaseProvenance,
    RunFacts,
    SourceFile,
    TileFacts,
    remark_lines,
    text_lines,
)
from photoz_run.release.record import ReleaseRecord, text_rows
from photoz_run.release.tiles import FinishedRun
from photoz_run.run.summary import tiles_by_provider
from photoz_run.science.zero_point import deviant_words
from photoz_run.version import program_commit


def make_record(run: FinishedRun, scan: Scan, options: ReleaseOptions) -> ReleaseRecord:
    """What the release says of itself.

    Its date is now, or SOURCE_DATE_EPOCH, so that a release can be made again byte by byte.
    """
    return ReleaseRecord(
        name=options.name,
        run=scan.run,
        program=f"photoz-run {__version__}",
        commit=program_commit(),
        date=_date(),
        input_releases=run.manifest.data_releases,
        tiles=len(run.done),
        missing=run.pending,
        quarantined=tuple(run.quarantined),
        reference=options.reference,
        cards=read_cards(options.cards) if options.cards else {},
    )


@dataclass(frozen=True)
class Results:
    """What is known when the products are written."""

    fields: pa.Schema
    accounts: Mapping[str, TileAccount]
    area_deg2: float | None
    flags: Mapping[str, int]
    attached: Sequence[AttachedFacts]
    products: Sequence[ProductFacts]
    validation: Sequence[tuple[str, str]]


def make_provenance(
    run: FinishedRun,
    scan: Scan,
    record: ReleaseRecord,
    options: ReleaseOptions,
    results: Results,
) -> ReleaseProvenance:
    """The content of ``provenance.json``."""
    sums = totals(results.accounts.values())
    return ReleaseProvenance(
        schema=ReleaseProvenance.SCHEMA,
        name=record.name,
        program=record.program,
        commit=record.commit,
        date=record.date,
        reference=record.reference,
        input_releases=record.input_releases,
        partial=record.partial,
        missing=tuple(MissingTile(tile, reason) for tile, reason in run.missing.items()),
        model=model_facts(run, scan),
        run=run_facts(run, scan),
        options=_options(options, record),
        duplicates=DuplicateFacts(
            RULE, SAME_SOURCE, scan.duplicates.sources, rows_left_out=sums.duplicates
        ),
        rows=sums.released,
        accounting=sums,
        columns=tuple(ColumnFacts.of(field) for field in results.fields),
        area_deg2=results.area_deg2,
        flags=dict(sorted(results.flags.items())),
        attached=tuple(results.attached),
        products=tuple(results.products),
        validation=tuple(results.validation),
        tiles=tuple(
            tile_facts(run, scan, results.accounts[tile]) for tile in sorted(results.accounts)
        ),
        authors=options.authors,
        deviant=deviant_words(run.done),
    )


def provenance_table(run: FinishedRun, scan: Scan, accounts: Mapping[str, TileAccount]) -> pa.Table:
    """The table ``provenance`` of the dictionary: a row for each input file of each tile."""
    data_releases = ",".join(run.manifest.data_releases)
    rows = []
    for name in sorted(accounts):
        tile = tile_facts(run, scan, accounts[name])
        common = {
            "TILE": name,
            "RELEASE": data_releases,
            "STATUS": tile.status,
            "INPUTS_DIGEST": tile.inputs_digest,
            "TILE_FILE_SHA256": tile.tile_file_sha256,
            "REASON": run.missing.get(name, ""),
        }
        for file in tile.inputs:
            size = file.bytes if file.bytes >= 0 else None
            rows.append({**common, "FILE": file.name, "BYTES": size})
    return pa.Table.from_pylist(rows, schema=dictionary_schema("provenance"))


def texts_table(run: FinishedRun, scan: Scan, accounts: Mapping[str, TileAccount]) -> pa.Table:
    """The table ``texts`` of the dictionary: settings, versions, sums, what is odd."""
    packages = [line for text in scan.packages for line in text.split(", ")]
    tiles = (tile_facts(run, scan, accounts[tile]) for tile in sorted(accounts))
    return text_rows(
        [
            ("configuration", run.manifest.config.resolved_toml().splitlines()),
            ("packages", packages),
            ("duplicates", RULE.split("; ")),
            ("accounting", text_lines(totals(accounts.values()))),
            ("remarks", remark_lines(tiles)),
        ]
    )


def _date() -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def model_facts(run: FinishedRun, scan: Scan) -> ModelFacts:
    """The model of a run."""
    return ModelFacts(
        name=scan.run.model,
        version=scan.run.model_version,
        digest=scan.run.model_digest,
        training=scan.run.model_training,
        simulated_training=scan.run.simulated_training,
        redshift_range=run.manifest.redshift_range,
    )


def run_facts(run: FinishedRun, scan: Scan) -> RunFacts:
    """What measured its tiles."""
    return RunFacts(
        program=f"{scan.run.program} {scan.run.version}",
        commit=scan.run.commit,
        packages=scan.packages,
        run_digest=scan.run.run_digest,
        config_digest=scan.run.config_digest,
        config=run.manifest.config.model_dump(mode="json"),
        computed_on=tiles_by_provider(run.done.values()),
    )


def _options(options: ReleaseOptions, record: ReleaseRecord) -> OptionFacts:
    return OptionFacts(
        formats=options.formats,
        margin_arcsec=options.margin,
        pdf=options.pdf,
        keep=options.keep,
        partial=options.partial,
        cards=record.cards,
        extends=options.extend,
        extends_id=options.extend_column,
    )


def tile_facts(run: FinishedRun, scan: Scan, account: TileAccount) -> TileFacts:
    """A tile with its input files as its own file names them, or as the run was planned."""
    tile = account.tile
    measured = run.done.get(tile) or run.idle.get(tile)
    outcome = measured or run.quarantined.get(tile)
    planned = [SourceFile(file.name, file.bytes) for file in run.manifest.inputs[tile]]
    planned_digest = run.manifest.inputs_digests[tile]
    return TileFacts(
        **asdict(account),
        inputs=tuple(scan.inputs.get(tile) or planned),
        inputs_digest=outcome.inputs_digest if outcome else planned_digest,
        tile_file_sha256=outcome.files.get(f"{tile}.parquet", "") if outcome else "",
        footprint=measured.footprint if measured else (),
        remarks=remarks_of(outcome) if outcome else (),
    )
