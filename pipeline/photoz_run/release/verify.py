"""A release is read again, all of it, and everything it says is proven or refuted, in memory that hardly grows with it.

Nothing is believed because ``SHA256SUMS`` says so: whoever changes a file can write that file anew. Every value stands
in several products and every number in several files, and these are compared.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from photoz_run.catalogue.hats import margin_name
from photoz_run.catalogue.moc import square_degrees
from photoz_run.catalogue.pdf import quantile_levels
from photoz_run.catalogue.table import QUANTILES
from photoz_run.errors import ConfigError, PhotozError
from photoz_run.release.folder import SUMS
from photoz_run.release.progress import Progress
from photoz_run.release.proof.carried import (
    check_fits_statements,
    check_hats_statements,
    check_parquet_statements,
    check_pdf_statements,
)
from photoz_run.release.proof.check import UNREADABLE, Check, in_one_line, proven, unwarned, verdict
from photoz_run.release.proof.columns import (
    check_fits_columns,
    check_hats_columns,
    check_parquet_columns,
)
from photoz_run.release.proof.copies import Copy, FitsCopy, HatsCopy, PdfCopy, counted
from photoz_run.release.proof.files import (
    check_fits_sums,
    check_products,
    check_sums,
    present_files,
)
from photoz_run.release.proof.identity import Identities
from photoz_run.release.proof.margin import MarginCopy
from photoz_run.release.proof.rows import RowProof, check_tiles
from photoz_run.release.proof.rules import Limits
from photoz_run.release.proof.statements import (
    check_accounting,
    check_complete,
    check_partial,
    check_readme,
    record_of,
)
from photoz_run.release.proof.streams import parquet_rows, partitions
from photoz_run.release.provenance import SCHEMA
from photoz_run.survey.data_release import find_data_release

NEEDED = (
    "name",
    "products",
    "options",
    "tiles",
    "missing",
    "model",
    "run",
    "columns",
    "rows",
    "flags",
    "accounting",
)
"""What `provenance.json` must say before anything can be compared with it."""


@dataclass(frozen=True)
class Opened:
    """A release as its provenance describes it; a product that was not made is ``None``."""

    folder: Path
    made: Mapping[str, Any]

    def product(self, ending: str) -> Path | None:
        """The place of a product by the end of its name."""
        name = f"{self.made['name']}{ending}"
        return (
            self.folder / name
            if any(one["path"] == name for one in self.made["products"])
            else None
        )

    @property
    def parts(self) -> list[Path]:
        """The Parquet files in order; `FileNotFoundError` if there is none."""
        folder = self.folder / f"{self.made['name']}.parquet"
        found = sorted(folder.glob("*.parquet"))
        if not found:
            raise FileNotFoundError(f"{folder.name} holds no Parquet file")
        return found


def verify(folder: Path, progress: Progress) -> list[Check]:
    """Every check of the release in ``folder``, in the order in which they were made.

    Raises
    ------
    ConfigError
        If there is no release, or it has PDFs and what reads them is not installed.
    """
    if not folder.is_dir() or not any(
        (folder / name).is_file() for name in (SUMS, "provenance.json")
    ):
        raise ConfigError(f"{folder} is no release: it has neither {SUMS} nor provenance.json")
    with progress.shown():
        return list(_checks(folder, progress))


def _checks(folder: Path, progress: Progress) -> Iterator[Check]:
    size = sum((folder / name).stat().st_size for name in present_files(folder))
    with progress.step("bytes summed up", size) as tick:
        yield from proven("files", lambda: check_sums(folder, tick))
    try:
        opened = Opened(folder, _read_provenance(folder))
    except (*UNREADABLE, PhotozError) as error:
        yield Check("provenance.json", False, f"cannot be read: {in_one_line(error)}")
        return
    if opened.product("_pdf.hdf5") and find_spec("h5py") is None:
        raise ConfigError(
            "this release has PDFs: install photoz-run with the extra 'pdf' to verify it"
        )
    yield from proven("products", lambda: [check_products(folder, opened.made)])
    names = [path.name for ending in (".fits", "_moc.fits") if (path := opened.product(ending))]
    with progress.step(
        "bytes of FITS added up", sum(_size(folder / name) for name in names)
    ) as tick:
        yield check_fits_sums(folder, names, tick)
    yield from _statements(opened)
    yield from _columns(opened)
    yield from proven("rows", lambda: _rows(opened, progress))


def _read_provenance(folder: Path) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((folder / "provenance.json").read_text())
    if made["schema"] != SCHEMA:
        raise ConfigError(f"schema {made['schema']!r} is not known to this version of the program")
    if lacking := [key for key in NEEDED if key not in made]:
        raise ConfigError(f"it says nothing of {', '.join(lacking)}")
    return made


def _statements(opened: Opened) -> Iterator[Check]:
    folder, made = opened.folder, opened.made
    yield from proven("provenance complete", lambda: [check_complete(made)])
    yield from proven("accounting", lambda: [check_accounting(made)])
    yield from proven("completeness", lambda: [check_partial(folder, made)])
    yield from proven("README", lambda: [check_readme(folder, made)])
    yield from proven(
        "provenance in Parquet",
        lambda: [check_parquet_statements(opened.parts[0], record_of(made))],
    )
    if path := opened.product(".fits"):
        yield from proven(
            "provenance in FITS", lambda: [check_fits_statements(path, record_of(made), made)]
        )
    if hats := opened.product("_hats"):
        yield from proven(
            "provenance in HATS",
            lambda: [check_hats_statements(hats, record_of(made), made["rows"])],
        )
    if pdf := opened.product("_pdf.hdf5"):
        yield from proven(
            "provenance in the PDFs", lambda: [check_pdf_statements(pdf, record_of(made))]
        )
    yield from proven("covered area", lambda: [_check_area(opened)])


def _columns(opened: Opened) -> Iterator[Check]:
    yield from proven(
        "columns of Parquet", lambda: check_parquet_columns(opened.parts, opened.made)
    )
    if path := opened.product(".fits"):
        yield from proven(
            "columns of FITS", lambda: [check_fits_columns(path, pq.read_schema(opened.parts[0]))]
        )
    if hats := opened.product("_hats"):
        yield from proven(
            "columns of HATS", lambda: [check_hats_columns(hats, pq.read_schema(opened.parts[0]))]
        )


def _rows(opened: Opened, progress: Progress) -> Iterator[Check]:
    """One pass over the rows of Parquet, with all other products going by beside them."""
    parts, made = opened.parts, opened.made
    fields = pq.read_schema(parts[0])
    total = sum(pq.read_metadata(part).num_rows for part in parts)
    proof = RowProof(_limits(opened, fields), _covered(opened), Identities(total))
    with ExitStack() as stack, progress.step("rows compared", total) as tick:
        copies = list(_copies(opened, fields, stack))
        for batch in parquet_rows(parts):
            index_N = proof.add(batch)
            for copy in copies:
                copy.compare(batch, index_N)
            tick(len(batch))
        yield counted("rows of Parquet", proof.rows, made["rows"])
        yield check_tiles(proof.tiles, made)
        yield from proof.checks(made, parquet_rows(parts, ["ID"]))
        for copy in copies:
            yield from copy.checks()


class _Beside:
    """A product beside Parquet that may turn out to be unreadable at any moment."""

    def __init__(self, name: str, open_copy: Callable[[], Copy]) -> None:
        self._name = name
        self._copy: Copy | None = None
        self._failure = ""
        self._try(lambda: self._keep(open_copy()))

    def compare(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Compare the next rows, unless the product could not be read before."""
        if self._copy is not None and not self._failure:
            copy = self._copy
            self._try(lambda: copy.compare(batch, index_N))

    def checks(self) -> Iterator[Check]:
        """What was found, or that nothing could be."""
        if self._copy is None or self._failure:
            yield Check(self._name, False, f"cannot be read: {self._failure}")
        else:
            yield from proven(self._name, self._copy.checks)

    def _keep(self, copy: Copy) -> None:
        self._copy = copy

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except (*UNREADABLE, PhotozError) as error:
            self._failure = in_one_line(error)


def _copies(opened: Opened, fields: pa.Schema, stack: ExitStack) -> Iterator[_Beside]:
    if path := opened.product(".fits"):
        yield _Beside("FITS = Parquet", lambda: stack.enter_context(FitsCopy(path)))
    if hats := opened.product("_hats"):
        catalogue = hats / opened.made["name"]
        yield _Beside("HATS = Parquet", lambda: HatsCopy(partitions(catalogue)))
        margin = hats / margin_name(opened.made["name"])
        if opened.made["options"]["margin_arcsec"]:
            yield _Beside("margin cache = Parquet", lambda: MarginCopy(margin))
    if pdf := opened.product("_pdf.hdf5"):
        yield _Beside("PDFs = Parquet", lambda: stack.enter_context(PdfCopy(pdf, fields)))


def _limits(opened: Opened, fields: pa.Schema) -> Limits:
    z_min, z_max = opened.made["model"]["redshift_range"]
    bits = max(
        len(find_data_release(release).mask_bits) for release in opened.made["input_releases"]
    )
    return Limits(
        z_min, z_max, bits, tuple(quantile_levels(fields)) if QUANTILES in fields.names else ()
    )


def _area(opened: Opened) -> Any:
    from mocpy import MOC

    return MOC.from_fits(opened.folder / f"{opened.made['name']}_moc.fits")


def _covered(opened: Opened) -> NDArray[np.uint64]:
    ranges: NDArray[np.uint64] = _area(opened).to_depth29_ranges
    return ranges


def _check_area(opened: Opened) -> Check:
    with unwarned():
        found, stated = round(square_degrees(_area(opened)), 4), opened.made["area_deg2"]
    problems = (
        []
        if found == stated
        else [f"the MOC covers {found} square degrees, provenance.json says {stated}"]
    )
    return verdict("covered area", problems, f"{found} square degrees")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
