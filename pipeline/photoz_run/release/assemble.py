"""A run becomes a release: its tiles are merged, every product written, every row accounted for."""

from dataclasses import dataclass, replace
from pathlib import Path

from photoz_models.documents import document_text
from photoz_run.catalogue.on_disk import file_digest
from photoz_run.errors import BadDataError, ConfigError
from photoz_run.progress import StepProgress
from photoz_run.release.attach import Attachment, attach
from photoz_run.release.changes import OlderRelease, update_facts
from photoz_run.release.companions import COMPANIONS
from photoz_run.release.coverage import square_degrees
from photoz_run.release.distributions import quantile_levels
from photoz_run.release.draft import Draft
from photoz_run.release.facts import Results, make_provenance, make_record
from photoz_run.release.folder import PROVENANCE, built_aside, write_sums
from photoz_run.release.listing import chosen
from photoz_run.release.merge import FurtherColumns, Scan, deal_out, scan_tiles
from photoz_run.release.options import ReleaseOptions
from photoz_run.release.passthrough import pass_through
from photoz_run.release.provenance import ProductFacts, ReleaseProvenance
from photoz_run.release.tiles import FinishedRun, open_run
from photoz_run.release.validated import validation_summary
from photoz_run.tables.keys import Names


@dataclass(frozen=True)
class FinishedRelease:
    """The folder of a release, and what its ``provenance.json`` says."""

    out: Path
    provenance: ReleaseProvenance


def make_release(
    path: Path, out: Path, options: ReleaseOptions, progress: StepProgress
) -> FinishedRelease:
    """Merge the tiles of the run in ``path`` into a release in ``out``.

    Raises
    ------
    ConfigError
        If something cannot be used, or a sum does not close; nothing stays in ``out``.
    OutputError
        If ``out`` cannot be written.
    """
    chosen(options)
    options.check()
    if options.update is not None:
        OlderRelease.of(options.update)
    run = open_run(path, options.partial)
    try:
        with built_aside(out) as (folder, scratch), progress.shown():
            draft, further = _merge(run, options, folder, scratch, progress)
            provenance = _write(draft, further)
            with progress.step("files summed up", 1):
                write_sums(folder)
    except BadDataError as error:
        # Here no tile is put into quarantine: what cannot be used is the user's to replace.
        raise ConfigError(str(error)) from error
    return FinishedRelease(out, provenance)


def _merge(
    run: FinishedRun,
    options: ReleaseOptions,
    folder: Path,
    scratch: Path,
    progress: StepProgress,
) -> tuple[Draft, list[FurtherColumns]]:
    """The rows of all tiles without their duplicates, dealt out by place, with further columns."""
    with progress.step("tiles checked", len(run.done)) as tick:
        scan = scan_tiles(run, scratch, tick)
    further = _further_columns(run, scan, options, scratch)
    with progress.step("tiles merged", len(run.done)) as tick:
        buckets = deal_out(run, scan, further, scratch, tick, "hats" in options.formats)
    for columns in further:
        if isinstance(columns, Attachment):
            columns.check_matched()
    record = make_record(run, scan, options)
    draft = Draft(run, scan, options, record, buckets, folder, scratch, progress)
    for writer in chosen(options):
        writer.refuse(draft)
    return draft, further


def _further_columns(
    run: FinishedRun, scan: Scan, options: ReleaseOptions, scratch: Path
) -> list[FurtherColumns]:
    """What is kept and attached. What cannot be had is refused before anything large is written."""
    if options.pdf:
        quantile_levels(scan.fields)
    further: list[FurtherColumns] = []
    taken = list(scan.fields.names)
    if options.keep:
        kept = pass_through(run.manifest, list(run.done), options.keep, taken, scratch)
        taken += [field.name for field in kept.fields]
        further.append(kept)
    if options.attach is not None:
        named = Names(options.ra, options.dec, options.id)
        try:
            further.append(
                attach(options.attach, options.attach_by, options.attach_columns, taken, named)
            )
        except BadDataError as error:
            # Here no tile is put into quarantine: the table is the user's to mend.
            raise ConfigError(f"--attach {error}") from error
    return further


def _write(draft: Draft, further: list[FurtherColumns]) -> ReleaseProvenance:
    """Write every product, ``provenance.json`` and the README."""
    listed = []
    for writer in chosen(draft.options):
        if not writer.possible(draft):
            continue
        name = writer.name(draft)
        rows = writer.write(draft, draft.folder / name)
        listed.append(ProductFacts(name, rows, writer.what))
    results = Results(
        fields=draft.buckets.fields,
        accounts=draft.accounts,
        area_deg2=None if draft.area is None else round(square_degrees(draft.area), 4),
        flags=draft.tally.flags,
        attached=[columns.facts() for columns in further if isinstance(columns, Attachment)],
        products=listed,
        validation=validation_summary(draft.run),
    )
    provenance = make_provenance(draft.run, draft.scan, draft.record, draft.options, results)
    if draft.options.update is not None:
        digest = file_digest(draft.older.folder / PROVENANCE)
        update = update_facts(draft.older, digest, provenance, draft.changes)
        provenance = replace(provenance, update=update)
    (draft.folder / PROVENANCE).write_text(document_text(provenance))
    for name, text_of in COMPANIONS.items():
        (draft.folder / name).write_text(text_of(provenance))
    return provenance
