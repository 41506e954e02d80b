"""Every check of a release, side by side as far as they do not need one another.

Every value stands in several products and every number in several files, and these are compared.
Memory grows by some ten bytes a row.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from photoz_run.errors import PhotozError
from photoz_run.progress import StepProgress
from photoz_run.release.against_run import RunProof
from photoz_run.release.against_tables import TableCopy, not_compared, table_copies
from photoz_run.release.folder import PROVENANCE
from photoz_run.release.listing import PRODUCTS
from photoz_run.release.proof.check import Check, as_many, in_one_line, proven, unwarned
from photoz_run.release.proof.file_sums import FileSums
from photoz_run.release.proof.files import (
    check_products,
    check_sums,
    fits_files,
)
from photoz_run.release.proof.fits_sums import FitsSums, check_fits_sums
from photoz_run.release.proof.judge import Beside, Judge
from photoz_run.release.proof.opened import Opened
from photoz_run.release.proof.parquet import RowProof, check_tiles, indices
from photoz_run.release.proof.statements import (
    check_accounting,
    check_companions,
    check_complete,
    check_partial,
)
from photoz_run.release.provenance import read_provenance
from photoz_run.release.rows import parquet_rows
from photoz_run.release.side_by_side import THREADS, InTurn, in_background, one_ahead
from photoz_run.release.tiles import FinishedRun, open_run


def prove(
    folder: Path,
    sums: FileSums,
    progress: StepProgress,
    run: Path | None = None,
    attached: Sequence[Path] = (),
) -> list[Check]:
    """Every check of the release in ``folder``, in the order in which they were made.

    Parameters
    ----------
    folder, progress, run, attached
        As `photoz_run.release.verify.verify` has them.
    sums
        The sums of its files.
    """
    origins = Origins(None if run is None else open_run(run, partial=True), attached)
    with unwarned():
        return list(_checks(folder, sums, progress, origins))


@dataclass(frozen=True)
class Origins:
    """What the rows of a release came from, as far as it is at hand."""

    run: FinishedRun | None
    attached: Sequence[Path]


def _checks(
    folder: Path, sums: FileSums, progress: StepProgress, origins: Origins
) -> Iterator[Check]:
    try:
        provenance = read_provenance(folder)
    except PhotozError as error:
        yield from _sums(folder, lambda: sums.rest({}))
        yield Check(PROVENANCE, False, in_one_line(error))
        return
    with ExitStack() as stack:
        fits_sums = {}
        for name in sorted(set(sums.names).intersection(fits_files(provenance.products))):
            fits_sums[name] = stack.enter_context(closing(FitsSums(folder / name, sums.tick)))
        opened = Opened(folder, provenance, fits_sums)
        yield from _proofs(opened, sums, progress, origins)


def _proofs(
    opened: Opened, sums: FileSums, progress: StepProgress, origins: Origins
) -> Iterator[Check]:
    """All checks; FITS files are summed up while their rows are compared, the others beside it.

    Statements are looked at meanwhile: half of a second goes into importing what reads them.
    """
    judges = list(_judges(opened))
    for judge in judges:
        judge.require()
    rows = in_background(lambda: list(_row_checks(opened, judges, progress, origins)))
    contents = [*_contents(opened, judges), *rows.result()]
    fits_sums = opened.fits_sums
    yield from _sums(
        opened.folder,
        lambda: sums.rest({name: file.sha256() for name, file in fits_sums.items()}),
    )
    yield from proven("FITS checksums", lambda: check_fits_sums(fits_sums))
    yield from contents


def _sums(folder: Path, sums: Callable[[], dict[str, str]]) -> Iterator[Check]:
    yield from proven("files", lambda: check_sums(folder, sums()))


def _contents(opened: Opened, judges: list[Judge]) -> Iterator[Check]:
    """What the files say beside their rows."""
    folder, provenance = opened.folder, opened.provenance
    yield from proven("products", lambda: [check_products(folder, provenance)])
    yield from proven("provenance complete", lambda: [check_complete(provenance)])
    yield from proven("accounting", lambda: [check_accounting(provenance)])
    yield from proven("completeness", lambda: [check_partial(folder, provenance)])
    yield from proven("README", lambda: check_companions(folder, provenance))
    for judge in judges:
        yield from judge.statements()
    for judge in judges:
        yield from judge.columns()


def _row_checks(
    opened: Opened, judges: list[Judge], progress: StepProgress, origins: Origins
) -> Iterator[Check]:
    """What the rows say, beside those of the run and the tables if these are at hand."""
    provenance = opened.provenance
    run = RunProof.of(origins.run, provenance, progress) if origins.run else None
    tables = _tables(opened, origins.attached)
    yield from proven("rows", lambda: _rows(opened, judges, progress, run, tables))
    yield from not_compared(provenance.attached, tables)


def _judges(opened: Opened) -> Iterator[Judge]:
    """A judge for each product that the release has."""
    for product in PRODUCTS:
        for ending in product.writer.endings:
            path = opened.product(ending)
            if path is not None:
                yield product.judge(opened, path)


def _tables(opened: Opened, paths: Sequence[Path]) -> list[TableCopy]:
    attached = opened.provenance.attached
    joined = {name for table in attached for name in table.columns.values()}
    names = [column.name for column in opened.provenance.columns]
    return list(table_copies(attached, paths, [name for name in names if name not in joined]))


def _rows(
    opened: Opened,
    judges: list[Judge],
    progress: StepProgress,
    run: RunProof | None,
    tables: list[TableCopy],
) -> Iterator[Check]:
    """Read the rows of Parquet once, and with them those of all other products."""
    parts, provenance = opened.parts, opened.provenance
    total = sum(pq.read_metadata(part).num_rows for part in parts)
    proof = RowProof.of(opened, total)
    with (
        ExitStack() as stack,
        ThreadPoolExecutor(THREADS) as threads,
        progress.step("rows compared", total) as tick,
    ):
        copies: list[Beside] = []
        for judge in judges:
            copies += judge.copies(stack)
        copies += [Beside("attached = table", partial(_itself, table)) for table in tables]
        works = [proof.add, *([run.add] if run else []), *(copy.compare for copy in copies)]
        sides = [stack.enter_context(InTurn(work)) for work in works]
        for batch in one_ahead(parquet_rows(parts), threads):
            index_N = indices(batch)
            for side in sides:
                side.add(batch, index_N)
            tick(len(batch))
        for side in sides:
            side.finish()
        yield as_many("rows of Parquet", proof.rows, provenance.rows)
        yield check_tiles(proof.tiles, provenance.tiles)
        yield from proof.checks(provenance.flags, parquet_rows(parts, ["ID"]))
        for copy in copies:
            yield from copy.checks()
        if run is not None:
            yield from run.checks(opened, proof.tiles)


def _itself(table: TableCopy) -> TableCopy:
    return table
