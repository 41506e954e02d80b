"""The survey's files from Python: tiles, sources, stamps and their redshifts."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_models.session import PhotozModel
from photoz_run import tile as one_tile
from photoz_run.catalogue.table import tile_table
from photoz_run.config import RunConfig, load_config
from photoz_run.errors import ConfigError, context
from photoz_run.facade.redshifts import predict
from photoz_run.images.opening import image_header
from photoz_run.places import as_place
from photoz_run.prediction import join_predictions
from photoz_run.records import Prediction, Sources, Stamps, TileRef
from photoz_run.science.matching import separations
from photoz_run.survey.catalogues import DERIVED, source_ids
from photoz_run.survey.coadds import open_coadds
from photoz_run.survey.columns import kept_fields
from photoz_run.survey.discovery import expand_tiles, find_tiles
from photoz_run.survey.names import tile_centre
from photoz_run.survey.sky_grid import sky_grid
from photoz_run.survey.stamps import cut_batch

PIXEL_SCALE = 0.2
"""Of KiDS coadds, arcsec."""
REACH = 1.0
"""deg: no pixel of a tile lies further from the position in its name than this."""
RADIUS = 3.0
"""arcsec: fifteen pixels; most neighbours with r < 20 lie further apart."""

_POSITION = re.compile(r"J(\d\d)(\d\d)(\d\d\.\d+)([-+])(\d\d)(\d\d)(\d\d\.\d+)$")
"""The end of a KiDS ID: hours, minutes, seconds; degrees, minutes, seconds."""


@dataclass(frozen=True)
class SurveyTile:
    """Sources of one tile, ready to be cut and measured by one bundle.

    ``sources`` has N rows in the order of a run: ``id_N``, ``ra_N`` and ``dec_N`` (deg),
    ``magnitudes_NB`` (AB, NaN where missing), ``flags_N``, and ``columns`` by name.
    """

    ref: TileRef
    bundle: PhotozModel = field(repr=False)
    config: RunConfig = field(repr=False)
    sources: Sources = field(repr=False)

    def __len__(self) -> int:
        return len(self.sources)

    def take(self, rows: slice | Sequence[int] | NDArray[Any]) -> "SurveyTile":
        """The tile with some of its sources: a slice, indices, or a mask of length N."""
        every_N = np.arange(len(self))
        try:
            chosen = every_N[rows if isinstance(rows, slice) else np.asarray(rows, _kind(rows))]
        except (IndexError, TypeError) as error:
            raise ConfigError(f"{self.ref.tile}: rows to take of {len(self)}: {error}") from error
        if chosen.ndim != 1:
            raise ConfigError(f"{self.ref.tile}: rows to take are a slice, indices or a mask")
        return replace(self, sources=self.sources.take(chosen))

    def near(self, ra: float, dec: float, radius: float = RADIUS) -> "SurveyTile":
        """Its sources within ``radius`` (arcsec) of a position (ICRS, deg), the nearest first."""
        if not (np.isfinite([ra, dec]).all() and radius > 0):
            raise ConfigError(f"{ra} {dec} within {radius} arcsec: no place on the sky")
        arcsec_N = separations(self.sources.ra_N, self.sources.dec_N, ra, dec)
        order = np.argsort(arcsec_N, kind="stable")
        return self.take(order[: int((arcsec_N <= radius).sum())])

    def with_ids(self, ids: str | Sequence[str]) -> "SurveyTile":
        """Its sources with these IDs, in the order of ``ids``; an ID that it lacks is left out."""
        ids = [ids] if isinstance(ids, str) else ids
        row_of = {name: row for row, name in enumerate(self.sources.id_N.tolist())}
        return self.take([row_of[name] for name in ids if name in row_of])

    def stamps(self) -> Stamps:
        """The stamps of all its sources: 26 kB a source in four bands of 36 pixels.

        Returns
        -------
        Stamps
            ``flux_NCHW`` (float32, maggies, NaN where a pixel cannot be used), ``covered_NCHW``
            (on the coadd), ``flags_N``, and ``seeing_S`` (arcsec).

        Raises
        ------
        BadDataError
            If a coadd is missing, unreadable, or not of this tile.
        """
        with self._opened() as tile:
            return cut_batch(tile.coadds, self.sources, tile.rule, tile.policy, tile.located)

    def predict(self) -> Prediction:
        """Redshifts of its sources, cut and measured in batches: memory does not grow with N.

        See `photoz_run.predict` for what it holds.
        """
        if not len(self):
            return predict(self.bundle, self.sources, self.stamps())
        with self._opened() as tile:
            batches = one_tile.ahead(tile.batches())
            parts = [one_tile.predict(self.bundle, *batch) for batch in batches]
        return join_predictions(parts)

    def measure(self) -> pa.Table:
        """Its sources with their redshifts as the table that a run writes of a tile.

        Names, types, units and descriptions are those of the documentation; what is missing is
        null. With the setting ``quantiles=True`` of `Survey.tile` it has all quantiles.
        """
        kept = [name for name in self.config.keep if name not in DERIVED]
        fields = kept_fields(self.ref.catalogue, kept) if self.ref.catalogue and kept else []
        levels = self.bundle.contract.quantile_levels
        return tile_table(
            self.ref.tile, self.sources, self.predict(), levels, fields, self.config.quantiles
        )

    @contextmanager
    def _opened(self) -> Iterator[one_tile.OpenTile]:
        rule, policy = self.bundle.contract, one_tile.pixel_policy(self.config)
        with open_coadds(self.ref, rule, policy) as coadds:
            located = coadds.locate(self.sources)
            plans = coadds.plan(located, rule, policy.storage)
            yield one_tile.OpenTile(self.sources, coadds, rule, policy, {}, located, plans)


@dataclass(frozen=True)
class Survey:
    """The tiles in data folders, by name."""

    folders: tuple[Path | str, ...]
    tiles: Mapping[str, TileRef] = field(repr=False)

    def tile(
        self, name: str, bundle: PhotozModel, select: str = "bright", **settings: Any
    ) -> SurveyTile:
        """Open a tile for a bundle: its selected sources, with what the bundle reads of them.

        Parameters
        ----------
        name
            ``KIDS_180.0_-0.5``, or shorter as for ``--tiles``.
        bundle
            From `photoz_run.load_bundle`.
        select
            ``bright``, ``all``, or an expression such as ``bright and not masked``.
        settings
            Further settings of a run, such as ``missing_band="flag"`` or ``keep=("Z_B",)``.

        Raises
        ------
        ConfigError
            If the tile, the selection or a setting is not known.
        BadDataError
            If a file of the tile is bad.
        """
        (known,) = expand_tiles([name], self.tiles)[:1]
        chosen = {"tiles": (known,), "data": self.folders, "out": Path(), "select": select}
        config = load_config(None, chosen | settings)
        with one_tile.open_tile(self.tiles[known], bundle.contract, config) as tile:
            return SurveyTile(self.tiles[known], bundle, config, tile.sources)

    def tiles_at(self, ra: float, dec: float) -> list[str]:
        """Names of the tiles whose coadds hold a position (ICRS, deg); tiles overlap.

        Raises
        ------
        BadDataError
            If the header of a coadd there cannot be read.
        """
        near = [name for name, distance in self._distances(ra, dec).items() if distance < REACH]
        return [name for name in near if _holds(self.tiles[name], ra, dec)]

    def tiles_with(self, source_id: str) -> list[str]:
        """Names of the tiles whose catalogues have an ID.

        The position in a KiDS ID tells where to look; for another ID all catalogues are read.
        """
        match = _POSITION.search(source_id)
        names = self.tiles_at(*degrees_of(match)) if match else list(self.tiles)
        refs = {name: self.tiles[name] for name in names}
        return [name for name, ref in refs.items() if (source_ids(ref) == source_id).any()]

    def nearest_tile(self, ra: float, dec: float) -> tuple[str, float]:
        """The tile whose name is nearest to a position, and its distance (deg)."""
        distances = self._distances(ra, dec)
        name = min(distances, key=distances.__getitem__)
        return name, distances[name]

    def _distances(self, ra: float, dec: float) -> dict[str, float]:
        """Distance (deg) of each tile's name from a position."""
        if not (np.isfinite(ra) and abs(dec) <= 90):
            raise ConfigError(f"position {ra} {dec}: give right ascension and declination, deg")
        ra_T, dec_T = np.array([tile_centre(name) for name in self.tiles]).T
        distance_T = separations(ra_T, dec_T, ra, dec) / 3600
        return dict(zip(self.tiles, distance_T.tolist(), strict=True))


def open_survey(*folders: str | Path, data_release: str | None = None) -> Survey:
    """Find the tiles below data folders, as `photoz-run --data` does.

    Parameters
    ----------
    folders
        One or more, searched with their sub-folders.
    data_release
        ``DR4``, ``DR5`` ...; from the names of the files if it is not said.

    Raises
    ------
    ConfigError
        If a folder does not exist or holds no KiDS file.
    """
    if not folders:
        raise ConfigError("open_survey: give at least one folder of tiles")
    paths = tuple(as_place(folder) for folder in folders)
    return Survey(paths, find_tiles(paths, data_release))


def _holds(ref: TileRef, ra: float, dec: float) -> bool:
    """Whether a position lies on the r coadd of a tile, or on the first coadd that it has."""
    files = ref.images.get("r") or next(iter(ref.images.values()), None)
    if files is None:
        return False
    header = image_header(files.sci)
    with context(str(files.sci)):
        x_N, y_N = sky_grid(header, PIXEL_SCALE).pixels(np.array([ra]), np.array([dec]))
    inside = (x_N > -0.5) & (x_N < header["NAXIS1"] - 0.5)
    return bool((inside & (y_N > -0.5) & (y_N < header["NAXIS2"] - 0.5))[0])


def degrees_of(match: "re.Match[str]") -> tuple[float, float]:
    """The position (deg) in the seven parts of hours, minutes, seconds; sign, degrees ..."""
    hours, minutes, seconds, sign, degrees, arcmin, arcsec = match.groups()
    ra = 15 * (int(hours) + int(minutes) / 60 + float(seconds) / 3600)
    dec = int(degrees) + int(arcmin) / 60 + float(arcsec) / 3600
    return ra, -dec if sign == "-" else dec


def _kind(rows: Sequence[int] | NDArray[Any]) -> Any:
    """The type of an index: an empty list has none of its own."""
    return np.intp if len(rows) == 0 else None
