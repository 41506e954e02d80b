"""Sources of one tile as the network sees them, with all that can be measured of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_models.session import PhotozModel
from photoz_models.stamp_rule import MAGNITUDE_BANDS
from photoz_run.catalogue.table import tile_table
from photoz_run.prediction import blind, join_predictions, judged
from photoz_run.records import Sources, Stamps, TileRef
from photoz_run.science.matching import separations
from photoz_run.science.photometry import valid_magnitudes
from photoz_run.science.selection import names_in, select
from photoz_run.show.holdings import Holdings
from photoz_run.show.pictures import Picture, cut_pictures
from photoz_run.show.targets import Target
from photoz_run.show.without import (
    Without,
    bands_and_seeing,
    measure_without,
    oddest,
    single_inputs,
)
from photoz_run.survey.catalogues import DERIVED, check_names, column_names, magnitude_suffixes
from photoz_run.survey.stamps import cut_batch
from photoz_run.tile import OpenTile, open_tile


@dataclass(frozen=True)
class Magnitude:
    """A magnitude (AB) and its error; NaN where the catalogue has none."""

    value: float
    error: float = np.nan


@dataclass(frozen=True)
class Measurement:
    """A source as the network sees it in one tile."""

    tile: str
    separation: float
    row: Mapping[str, Any]
    """As a run writes it, with quantiles."""
    selected: bool
    magnitudes: Mapping[str, Magnitude]
    seeing: Mapping[str, float]
    without: tuple[Without, ...]
    odd: Without | None
    picture: Picture | None
    notes: tuple[str, ...] = ()


def measure(
    holdings: Holdings, tile: str, targets: Sequence[Target], radius: float
) -> list[Measurement | None]:
    """The source of each target in one tile, measured; None where there is none."""
    bundle, survey = holdings.bundle, holdings.survey
    if bundle is None or survey is None:
        return [None] * len(targets)
    ref = survey.tiles[tile]
    suffixes = _suffixes(ref)
    present = column_names(ref.catalogue) if ref.catalogue is not None else []
    named = names_in(holdings.config.select)
    if ref.catalogue is not None:
        check_names(ref.catalogue, "select", named, [*present, *DERIVED])
    columns = tuple(dict.fromkeys((*_magnitude_columns(present, suffixes), *named)))
    config = holdings.config.model_copy(update={"select": "all", "keep": columns})
    with open_tile(ref, bundle.contract, config) as opened:
        places = [_nearest(opened.sources, target, radius) for target in targets]
        rows = [row for row, _ in places if row is not None]
        if not rows:
            return [None] * len(targets)
        chosen = opened.take(np.array(rows))
        selected_N = select(holdings.config.select, chosen.sources.columns, len(rows))
        sources = iter(_measure_all(bundle, chosen, ref, suffixes, selected_N))
    return [
        None if row is None else replace(next(sources), separation=apart) for row, apart in places
    ]


def _measure_all(
    bundle: PhotozModel,
    tile: OpenTile,
    ref: TileRef,
    suffixes: Mapping[str, str],
    selected_N: NDArray[np.bool_],
) -> list[Measurement]:
    """Every source of a tile that was opened with all its columns of magnitudes."""
    rule, sources = bundle.contract, tile.sources
    stamps = _stamps(tile)
    table_NT = stamps.beside(sources.magnitudes_NB)
    pictures = cut_pictures(ref, sources.ra_N, sources.dec_N, tile.policy)
    notes = (f"no picture: {pictures}",) if isinstance(pictures, str) else ()
    seeing = zip(rule.seeing_bands, stamps.seeing_S.tolist(), strict=True)
    known_seeing = {band: value for band, value in seeing if np.isfinite(value)}
    bands, single = bands_and_seeing(rule), single_inputs(rule)
    # A batch for each: the source as it is, and without each input.
    each = [
        measure_without(bundle, stamps.flux_NCHW[n], table_NT[n], single | bands)
        for n in range(len(sources))
    ]
    blind_N = blind(rule, stamps.flux_NCHW, table_NT)
    flags_N = sources.flags_N | stamps.flags_N
    prediction = join_predictions(
        [
            judged(rule, own, blind_N[n : n + 1], flags_N[n : n + 1])
            for n, (own, _) in enumerate(each)
        ]
    )
    table = tile_table(ref.tile, sources, prediction, rule.quantile_levels, (), quantiles=True)
    measured = []
    for n, row in enumerate(table.to_pylist()):
        # Without a redshift there is none that could change.
        without = [] if row["Z_PHOT"] is None else each[n][1]
        domain = np.nan if row["Z_DOMAIN"] is None else row["Z_DOMAIN"]
        magnitudes = _magnitudes(sources, n, suffixes)
        told = zip(rule.magnitude_bands, sources.magnitudes_NB[n].tolist(), strict=True)
        for band, value in told:
            magnitudes[band] = replace(magnitudes.get(band, Magnitude(value)), value=value)
        measured.append(
            Measurement(
                ref.tile,
                np.nan,
                row,
                bool(selected_N[n]),
                {band: one for band, one in magnitudes.items() if np.isfinite(one.value)},
                known_seeing,
                tuple(one for one in without if one.name in bands),
                oddest(domain, [one for one in without if one.name in single]),
                None if isinstance(pictures, str) else pictures[n],
                notes,
            )
        )
    return measured


def _stamps(tile: OpenTile) -> Stamps:
    """The stamps of the sources of a tile; files are read for them alone."""
    tile.coadds.plan(tile.located, tile.rule, tile.policy.storage)
    stamps = cut_batch(tile.coadds, tile.sources, tile.rule, tile.policy, tile.located)
    tile.coadds.finish()
    return stamps


def _nearest(sources: Sources, target: Target, radius: float) -> tuple[int | None, float]:
    """The row of a target among sources, and its distance from the position asked for."""
    if target.id:
        rows = np.flatnonzero(sources.id_N == target.id)
        if not len(rows):
            return None, np.nan
        row = int(rows[0])
        here = sources.ra_N[rows[:1]], sources.dec_N[rows[:1]]
        return row, float(separations(*here, target.ra, target.dec)[0])
    if not len(sources):
        return None, np.nan
    apart_N = separations(sources.ra_N, sources.dec_N, target.ra, target.dec)
    row = int(np.argmin(apart_N))
    return (row, float(apart_N[row])) if apart_N[row] <= radius else (None, np.nan)


def _suffixes(ref: TileRef) -> dict[str, str]:
    """The suffix of each band's columns; of two epochs of i the first whose image there is."""
    images = [name for name in ("i", "i2") if name in ref.images] or ["i"]
    suffixes = magnitude_suffixes(ref.data_release, MAGNITUDE_BANDS, images[:1])
    return {band: names[0] for band, names in suffixes.items()}


def _magnitude_columns(present: Sequence[str], suffixes: Mapping[str, str]) -> tuple[str, ...]:
    """The columns of magnitudes, errors and flags that a catalogue has."""
    kinds = ("MAG_GAAP", "MAGERR_GAAP", "FLAG_GAAP")
    names = (f"{kind}_{suffix}" for suffix in suffixes.values() for kind in kinds)
    return tuple(name for name in names if name in present)


def _magnitudes(sources: Sources, n: int, suffixes: Mapping[str, str]) -> dict[str, Magnitude]:
    """The catalogue's magnitudes of one source, with their errors."""
    magnitudes = {}
    for band, suffix in suffixes.items():
        value, error, flag = (
            _one(sources.columns.get(f"{kind}_GAAP_{suffix}"), n)
            for kind in ("MAG", "MAGERR", "FLAG")
        )
        pair = np.array([value]), np.array([0 if np.isnan(flag) else int(flag)])
        valid = float(valid_magnitudes(*pair)[0])
        magnitudes[band] = Magnitude(valid, error if 0 < error < 10 else np.nan)
    return magnitudes


def _one(values_N: NDArray[Any] | None, n: int) -> float:
    """A value as a float, NaN where it is missing."""
    if values_N is None:
        return np.nan
    value = values_N[n]
    return np.nan if value is np.ma.masked else float(value)
