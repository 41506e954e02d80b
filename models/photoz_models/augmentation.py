"""What is done to galaxies each time a network is trained on them: errors, symmetries, gaps.

Axes: N galaxies, C image bands, T columns of the table, S seeing columns, H W pixels.
"""

import numpy as np
import torch
from torch import Tensor

from photoz_models.stamp_rule import StampRule
from photoz_models.training_settings import Settings

MOST_FURTHER = 0.5
"""A galaxy that loses a column of the table loses a share of the others, from none to this one."""


def with_errors(
    stamps_NCHW: Tensor,
    table_NT: Tensor,
    settings: Settings,
    rule: StampRule,
    noise_C: Tensor,
    dice: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Errors like those of real coadds, drawn for each galaxy and band: see `Settings`.

    ``noise_C`` is the sky noise per pixel (maggies).
    """
    if rule.seeing_bands and settings.seeing_error:
        table_NT = _with_seeing_errors(table_NT, settings, rule, dice)
    if not rule.image_bands:
        return stamps_NCHW, table_NT

    def normal_NC11(rms: float) -> Tensor:
        drawn = dice.normal(0.0, rms, (*stamps_NCHW.shape[:2], 1, 1)).astype(np.float32)
        return torch.as_tensor(drawn, device=stamps_NCHW.device)

    noise_C11 = noise_C[:, None, None]
    if settings.position_error:
        stamps_NCHW = moved(stamps_NCHW, settings.position_error / rule.pixel_scale, dice)
    if settings.dmag_error:
        stamps_NCHW = stamps_NCHW * 10 ** (-0.4 * normal_NC11(settings.dmag_error))
    if settings.sky_error:
        stamps_NCHW = stamps_NCHW + noise_C11 * normal_NC11(settings.sky_error)
    if settings.extra_noise:
        drawn = dice.standard_normal(tuple(stamps_NCHW.shape), np.float32)
        share_NC11 = dice.uniform(0, settings.extra_noise, (*stamps_NCHW.shape[:2], 1, 1))
        further = (share_NC11.astype(np.float32) * drawn).astype(np.float32)
        stamps_NCHW = stamps_NCHW + noise_C11 * torch.as_tensor(further, device=noise_C.device)
    return stamps_NCHW, table_NT


def _with_seeing_errors(
    table_NT: Tensor, settings: Settings, rule: StampRule, dice: np.random.Generator
) -> Tensor:
    first, number = len(rule.magnitude_bands), len(rule.seeing_bands)
    factor_NT = np.ones(tuple(table_NT.shape), np.float32)
    drawn_NS = dice.normal(1.0, settings.seeing_error, (len(table_NT), number))
    factor_NT[:, first : first + number] = drawn_NS
    return table_NT * torch.as_tensor(factor_NT, device=table_NT.device)


def moved(stamps_NCHW: Tensor, rms: float, dice: np.random.Generator) -> Tensor:
    """Stamps of positions that are off by ``rms`` pixels along rows and along columns.

    A stamp starts at a whole pixel, and a source lies anywhere in one: a shift by a part of a pixel
    moves that part of the stamps by a pixel. Pixels that come in from outside are NaN.
    """
    number = len(stamps_NCHW)
    place_N2, shift_N2 = dice.random((number, 2)), dice.normal(0.0, rms, (number, 2))
    move_N2 = np.floor(place_N2 + shift_N2).astype(int)
    result_NCHW = stamps_NCHW.clone()
    for row in np.flatnonzero(move_N2.any(axis=1)):
        for axis, move in enumerate(move_N2[row].tolist(), 1):
            rolled_CHW = torch.roll(result_NCHW[row], -move, axis)
            size = rolled_CHW.shape[axis]
            outside = range(max(0, size - move), size) if move > 0 else range(min(size, -move))
            rolled_CHW.transpose(1, axis)[:, list(outside)] = float("nan")
            result_NCHW[row] = rolled_CHW
    return result_NCHW


def augment(
    stamps_NCHW: Tensor,
    table_NT: Tensor,
    settings: Settings,
    rule: StampRule,
    dice: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Turn and mirror the stamps, and put gaps in.

    Lost columns of the table, image bands with their seeing, and edges become NaN.
    """
    if table_NT.shape[1]:
        table_NT = _with_lost_columns(table_NT, settings, dice)
    if not rule.image_bands:
        return stamps_NCHW, table_NT
    stamps_NCHW = _turned(stamps_NCHW)
    stamps_NCHW, table_NT = _with_lost_bands(stamps_NCHW, table_NT, settings, rule, dice)
    for row in np.flatnonzero(dice.random(len(stamps_NCHW)) < settings.lost_edge):
        # The centre stays: at most 3/8 of the width is lost, on any side.
        width = int(dice.integers(1, stamps_NCHW.shape[3] * 3 // 8))
        lost = slice(width) if dice.random() < 0.5 else slice(-width, None)
        stamps_NCHW[row].transpose(1, int(dice.integers(1, 3)))[:, lost] = float("nan")
    return stamps_NCHW, table_NT


def _with_lost_columns(table_NT: Tensor, settings: Settings, dice: np.random.Generator) -> Tensor:
    number, n_columns = table_NT.shape
    # A catalogue may lack a column, or all that came from one telescope: few are lost, or many.
    share_N1 = dice.uniform(0, MOST_FURTHER, (number, 1))
    lost_NT = dice.random((number, n_columns)) < share_N1
    lost_NT[np.arange(number), dice.integers(n_columns, size=number)] = True
    lost_NT &= dice.random((number, 1)) < settings.lost_magnitudes
    return table_NT.masked_fill(torch.as_tensor(lost_NT, device=table_NT.device), float("nan"))


def _with_lost_bands(
    stamps_NCHW: Tensor,
    table_NT: Tensor,
    settings: Settings,
    rule: StampRule,
    dice: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """A coadd that is not there has no header either: its seeing is lost with its pixels."""
    table_NT = table_NT.clone()
    for row in np.flatnonzero(dice.random(len(stamps_NCHW)) < settings.lost_band):
        channel = int(dice.integers(len(rule.image_bands)))
        stamps_NCHW[row, channel] = float("nan")
        table_NT[row, rule.seeing_columns(rule.image_bands[channel])] = float("nan")
    return stamps_NCHW, table_NT


def _turned(stamps_NCHW: Tensor) -> Tensor:
    """Eight groups, one for each symmetry of the square; the order of the galaxies is random."""
    turned = []
    for k, group in enumerate(torch.tensor_split(stamps_NCHW, 8)):
        mirrored = torch.flip(group, (3,)) if k % 2 else group
        turned.append(torch.rot90(mirrored, k // 2, (2, 3)))
    return torch.cat(turned).contiguous(memory_format=torch.channels_last)
