"""Do the pixels of a tile and its catalogue belong together? Judged after the last batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from photoz_models.stamp_rule import StampRule
from photoz_run.errors import BadDataError
from photoz_run.flags import MANY
from photoz_run.records import Sources, Stamps
from photoz_run.science import centring, zero_point
from photoz_run.science.matching import separations, unit_vectors
from photoz_run.survey.names import tile_centre

FARTHEST_NAME = 1.0
"""deg. The name of a tile is its centre to 0.1 deg, and tiles are one degree wide."""


@dataclass(frozen=True)
class Belonging:
    """What the comparison of pixels and catalogue gave, by image band."""

    zero_points: Mapping[str, float]
    """Median of stamp minus catalogue magnitude."""
    zero_point_errors: Mapping[str, float]
    """Their standard errors."""
    shifts: Mapping[str, tuple[float, float]]
    """Median of the light's place minus the catalogue's position, x and y in pixels."""
    remarks: tuple[str, ...] = ()
    """What is odd, though not enough to refuse the tile."""


@dataclass(frozen=True)
class PixelEvidence:
    """What the stamps of ``number`` sources say of fluxes and places."""

    number: int
    _magnitudes_NC: list[NDArray[np.float64]] = field(default_factory=list)
    _shifts_NC2: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, stamps: Stamps) -> None:
        """Take in the next batch."""
        flux_NCHW = stamps.flux_NCHW
        start = sum(len(part) for part in self._magnitudes_NC)
        self._magnitudes_NC.append(zero_point.aperture_magnitudes(flux_NCHW))
        shift_NC2 = np.full((*flux_NCHW.shape[:2], 2), np.nan)
        # Sources spread over the whole tile, but no more than needed.
        step = max(1, self.number // centring.SAMPLE)
        looked_at = slice(-start % step, None, step)
        shift_NC2[looked_at] = centring.light_shifts(flux_NCHW[looked_at])
        self._shifts_NC2.append(shift_NC2)

    def judge(self, sources: Sources, rule: StampRule) -> Belonging:
        """Compare with the catalogue, after the last batch.

        Raises
        ------
        BadDataError
            If magnitudes or places are off by more than galaxies and noise can explain.
        """
        zero_points, errors, shifts, remarks = {}, {}, {}, []
        # Stamps that start one pixel lower show the light one pixel higher.
        late = 1.0 if rule.centring.startswith("floor") else 0.0
        magnitudes_NC = np.concatenate(self._magnitudes_NC)
        shifts_NC2 = np.concatenate(self._shifts_NC2)
        for c, band in enumerate(rule.image_bands):
            if np.isnan(magnitudes_NC[:, c]).all():
                if self.number >= MANY:
                    remarks.append(f"{band} pixels give no flux at any source")
                continue
            if band not in rule.magnitude_bands:
                continue
            catalogue_N = sources.magnitudes_NB[:, rule.magnitude_bands.index(band)]
            offset = zero_point.offset(magnitudes_NC[:, c], catalogue_N)
            if offset is not None:
                _check_offset(band, offset[0])
                zero_points[band], errors[band] = (round(value, 4) for value in offset)
            with np.errstate(invalid="ignore"):
                bright_N = catalogue_N < zero_point.FAINTEST_OF_FEW
            shift_K2 = shifts_NC2[bright_N, c] - late
            shift = centring.median_shift(shift_K2)
            if shift is not None:
                _check_shift(band, shift)
                shifts[band] = round(shift[0], 2), round(shift[1], 2)
                if centring.is_notable(shift_K2):
                    remarks.append(_off(band, shift))
        return Belonging(zero_points, errors, shifts, tuple(remarks))


def misnamed(tile: str, footprint: Sequence[tuple[float, float]]) -> tuple[str, ...]:
    """A remark if the corners of a tile's coadds (RA and Dec, deg) lie elsewhere than its name."""
    if not footprint:
        return ()
    x, y, z = unit_vectors(*np.transpose(footprint)).mean(axis=0)
    ra, dec = np.degrees([np.arctan2(y, x) % (2 * np.pi), np.arctan2(z, np.hypot(x, y))])
    off = separations(np.array([ra]), np.array([dec]), *tile_centre(tile))[0] / 3600
    if off < FARTHEST_NAME:
        return ()
    return (f"its coadds lie around {ra:.1f} {dec:+.1f}, {off:.1f} deg from where its name says",)


def _check_offset(band: str, offset: float) -> None:
    if abs(offset) > zero_point.LARGEST_OFFSET:
        raise BadDataError(
            f"{band} pixels are {offset:+.1f} mag off the catalogue's magnitudes (median);"
            " the coadd has another zero-point or WCS, or belongs to another field"
        )


def _check_shift(band: str, shift: tuple[float, float]) -> None:
    if np.hypot(*shift) > centring.LARGEST_SHIFT:
        raise BadDataError(
            f"{_off(band, shift)}; the WCS of the coadd is off, or the positions are"
        )


def _off(band: str, shift: tuple[float, float]) -> str:
    return (
        f"{band} light is {shift[0]:+.1f}, {shift[1]:+.1f} pixels (x, y) off the catalogue's"
        " positions (median)"
    )
