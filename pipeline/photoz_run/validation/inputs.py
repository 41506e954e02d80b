"""Columns that a run did not carry, from the catalogues that it measured."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from photoz_run.catalogue.stated import stated_facts
from photoz_run.config import load_config
from photoz_run.errors import BadDataError, PhotozError
from photoz_run.records import TileRef
from photoz_run.survey.catalogues import IDENTITY
from photoz_run.survey.discovery import find_tiles
from photoz_run.tables.canonical import TEXT
from photoz_run.tables.extended import ExtendedTable
from photoz_run.tables.keys import id_texts
from photoz_run.tables.opening import open_table
from photoz_run.tables.table import Range, StackedTable, Table


class MeasuredTile(ExtendedTable):
    """A tile file of a run, with the further columns of the catalogue that was measured."""

    def __init__(self, own: Table, catalogue: Path, further: Sequence[str]) -> None:
        super().__init__(own, further)
        self._catalogue = catalogue

    def further_field(self, name: str) -> pa.Field:
        """As the catalogue says."""
        return open_table(self._catalogue, [*IDENTITY, name]).stored_field(name)

    def stored_parts(
        self, names: Sequence[str], rows: int, within: Range | None
    ) -> Iterator[pa.Table]:
        """The catalogue is read only for a column that the tile file lacks."""
        fetched = [name for name in names if name in self._further]
        if not fetched:
            yield from self._own.stored_parts(names, rows, within)
            return
        own = [name for name in names if name not in fetched]
        parts = self._own.stored_parts(list(dict.fromkeys(["ID", *own])), rows, None)
        table = pa.concat_tables(parts)
        catalogue = open_table(self._catalogue, [*IDENTITY, *fetched]).read(["ID", *fetched])
        ids = id_texts(str(self._catalogue), catalogue, "ID")
        place = pc.index_in(table["ID"].cast(TEXT), value_set=ids.combine_chunks())
        if place.null_count:
            raise BadDataError(
                f"{self._catalogue}: no row for {place.null_count} of {len(table)} sources of"
                f" {self.path.name}; it is not the catalogue that was measured"
            )
        columns = {name: table[name] for name in own}
        columns |= {name: catalogue[name].take(place) for name in fetched}
        yield pa.table({name: columns[name] for name in names})


def tiles_of_run(path: Path) -> dict[str, TileRef]:
    """The tiles that a run was made from, by its run.toml; none if they are not at hand."""
    if not (path / "run.toml").is_file():
        return {}
    try:
        config = load_config(path / "run.toml", {})
        return find_tiles(config.data, config.data_release)
    except PhotozError:
        # A report is complete without the images and the catalogues: they may have gone.
        return {}


def with_inputs(path: Path, table: Table, tiles: Mapping[str, TileRef]) -> tuple[Table, str]:
    """The table of a run with the columns of its catalogues.

    Parameters
    ----------
    path
        The run.
    table
        Its tile files.
    tiles
        Where its inputs lie now.

    Returns
    -------
    The table, and why it has no further columns: "" if it has, or is no table of a run.
    """
    if not tiles or not isinstance(table, StackedTable):
        reason = "its inputs are not where they were" if (path / "run.toml").is_file() else ""
        return table, reason
    catalogues = []
    for part in table.tables:
        ref = tiles.get(part.path.stem)
        catalogue = ref.catalogue if ref else None
        if catalogue is None or _has_changed(catalogue, part.path):
            return table, f"the catalogue of {part.path.stem} is not the one that was measured"
        catalogues.append(catalogue)
    try:
        known = open_table(catalogues[0], IDENTITY).names
    except PhotozError as error:
        return table, str(error)
    further = [name for name in known if name not in table.names]
    pairs = zip(table.tables, catalogues, strict=True)
    return StackedTable(path, [MeasuredTile(part, file, further) for part, file in pairs]), ""


def _has_changed(catalogue: Path, tile_file: Path) -> bool:
    """Whether the catalogue has another size than the tile file says."""
    inputs = json.loads(stated_facts(tile_file).get("inputs", "[]"))
    sizes = {file["name"]: file["bytes"] for file in inputs}
    return sizes.get(catalogue.name) != catalogue.stat().st_size
