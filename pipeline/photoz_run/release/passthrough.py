"""``photoz release --keep``: columns of the input catalogues that the run did not carry."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from photoz_run.errors import ConfigError
from photoz_run.release.input_catalogues import InputCatalogues, input_catalogues
from photoz_run.run.manifest import RunManifest
from photoz_run.survey.catalogues import IDENTITY, column_names
from photoz_run.survey.columns import kept_fields, sayable_type
from photoz_run.tables.canonical import TEXT
from photoz_run.tables.keys import id_texts
from photoz_run.tables.opening import open_table


@dataclass(frozen=True)
class PassThrough:
    """Columns of the catalogues that were measured."""

    catalogues: InputCatalogues
    fields: list[pa.Field]
    """The columns as they come out, with unit, UCD and description of the catalogue."""

    def add(self, tile: str, table: pa.Table) -> pa.Table:
        """``table``, rows of ``tile``, with the further columns at its end.

        Raises
        ------
        ConfigError
            If a source is not in the catalogue, or a column has another type than in the others.
        BadDataError
            If the catalogue cannot be fetched or read, or lacks a column.
        """
        with self.catalogues.opened(tile) as path:
            return self._add(path, table)

    def _add(self, path: Path, table: pa.Table) -> pa.Table:
        names = [field.name for field in self.fields]
        rows = open_table(path, [*IDENTITY, *names]).read(["ID", *names])
        ids = id_texts(str(path), rows, "ID")
        place = pc.index_in(table["ID"].cast(TEXT), value_set=ids.combine_chunks())
        if place.null_count:
            first = table["ID"].filter(place.is_null())[0]
            raise ConfigError(
                f"{path}: no row for {place.null_count} of {len(table)} sources of the tile, the"
                f" first is '{first}'; it is not the catalogue that was measured"
            )
        for field in self.fields:
            values = rows[field.name]
            if sayable_type(values.type) != field.type:
                raise ConfigError(
                    f"{path}: column {field.name} is {values.type} here and {field.type} in other"
                    " catalogues"
                )
            table = table.append_column(field, values.take(place).cast(field.type))
        return table


def pass_through(
    manifest: RunManifest,
    tiles: Sequence[str],
    keep: Sequence[str],
    taken: Sequence[str],
    scratch: Path | None = None,
) -> PassThrough:
    """Find the catalogues of ``tiles`` by the run's settings, and the columns ``keep`` in them.

    Parameters
    ----------
    manifest
        The run's.
    tiles
        Tiles whose rows will come; at least one.
    keep
        Columns of the catalogues.
    taken
        Columns that the release has already.
    scratch
        Folder for a catalogue from afar; that of temporary files if ``None``.

    Raises
    ------
    ConfigError
        If a catalogue is not found or has changed since it was measured, or a column is not in it,
        or in the release already.
    BadDataError
        If a catalogue cannot be read, or a column holds lists.
    """
    refuse_taken("--keep", keep, taken, "leave it out, it is carried already")
    catalogues = input_catalogues(manifest, tiles, scratch)
    with catalogues.opened(tiles[0]) as first:
        _refuse_unknown(first, keep)
        return PassThrough(catalogues, kept_fields(first, keep))


def refuse_taken(option: str, names: Sequence[str], taken: Sequence[str], remedy: str) -> None:
    """Refuse columns that stand twice in a release; FITS does not tell capitals from small letters.

    Raises
    ------
    ConfigError
        With the first of them and the ``remedy``.
    """
    present = {name.lower(): name for name in taken}
    for name in names:
        if name.lower() in present:
            raise ConfigError(
                f"{option} {name}: the release has a column {present[name.lower()]} already;"
                f" {remedy}"
            )
        present[name.lower()] = name


def _refuse_unknown(path: Path, keep: Sequence[str]) -> None:
    present = column_names(path)
    for name in keep:
        if name not in present:
            close = get_close_matches(name, present, n=3)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise ConfigError(f"--keep: {path.name} has no column {name!r}{hint}")
