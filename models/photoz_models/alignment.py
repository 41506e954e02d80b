"""Channels filled up with zeros, so that a graph computes the same with fewer copies.

ONNX Runtime keeps the channels of convolutions in blocks. Where a branch of an Inception module is
no whole number of blocks wide, it copies the branch into another layout to join it with the others.
Channels of zero weights cost it nothing: it computes whole blocks anyway.

Axes: O output channels, I input channels, H W pixels.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from photoz_models.network import ConvUnit, ImageBranch, Inception

BLOCK = 16
"""Channels of a block on processors with AVX-512. Those with AVX2 take 8."""


@dataclass(frozen=True)
class Channels:
    """Where the channels of a layer lie among the ``total`` that it has once it is aligned."""

    places: tuple[int, ...]
    total: int


def align(branch: ImageBranch) -> None:
    """Make the convolutions of ``branch`` whole blocks of channels wide.

    It then serves for inference alone, and gives what it gave.
    """
    first, *_, last = (layer for layer in branch if isinstance(layer, ConvUnit))
    n_bands = first.convolution.in_channels
    channels = Channels(tuple(range(n_bands)), n_bands)
    for layer in branch:
        if isinstance(layer, Inception):
            channels = _align_inception(layer, channels)
        elif isinstance(layer, ConvUnit):
            # A dense layer reads the last one: it keeps its width.
            channels = _align_unit(layer, channels, 1 if layer is last else BLOCK)


def _align_inception(module: Inception, channels: Channels) -> Channels:
    places: list[int] = []
    total = 0
    for branch in module.branches():
        of_branch = channels
        for unit in branch.modules():
            if isinstance(unit, ConvUnit):
                of_branch = _align_unit(unit, of_branch, BLOCK)
        places += [total + place for place in of_branch.places]
        total += of_branch.total
    return Channels(tuple(places), total)


def _align_unit(unit: ConvUnit, channels: Channels, block: int) -> Channels:
    fused = fuse_conv_bn_eval(unit.convolution, unit.normalisation)
    n_out = fused.out_channels
    total = -(-n_out // block) * block
    kernel, stride = fused.kernel_size[0], fused.stride[0]
    wide = nn.Conv2d(channels.total, total, kernel, stride, (kernel - 1) // 2)
    with torch.no_grad():
        wide.weight.zero_()[:n_out, channels.places] = fused.weight
        cast(Tensor, wide.bias).zero_()[:n_out] = cast(Tensor, fused.bias)
    unit[0], unit[1] = wide, nn.Identity()
    return Channels(tuple(range(n_out)), total)
