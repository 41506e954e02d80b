"""The networks: Inception modules on stamps and a dense network on the table, joined by one head.

Axes: N sources, C image bands, T columns of the table, H W pixels, F features, Q quantiles.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from photoz_models import published
from photoz_models.contract import QUANTILE_LEVELS
from photoz_models.inputs import Features, Scales
from photoz_models.stamp_rule import IMAGE_BANDS, MAGNITUDE_BANDS

MEDIAN = len(QUANTILE_LEVELS) // 2


@dataclass(frozen=True)
class Architecture:
    """What a network is made of; no ``image_bands`` means no image branch.

    ``stem`` is (channels, kernel, stride). A 3 x 3 convolution to ``halved`` channels halves the
    image, and ``widths`` are the output channels of the Inception modules after it. ONNX Runtime
    computes in blocks of 16 channels: every convolution of the default has whole ones.
    """

    name: str
    image_bands: tuple[str, ...] = IMAGE_BANDS
    columns: tuple[str, ...] = MAGNITUDE_BANDS
    """Columns of the table, by the names of `photoz_models.stamp_rule.column_names`."""
    stamp_size: int = 36
    stem: tuple[int, int, int] = (48, 7, 3)
    halved: int = 64
    widths: tuple[int, ...] = (80,)
    dense: int = 256
    published: bool = False
    """The layers of `photoz_models.published`, whatever ``stem`` and ``widths`` are."""


ARCHITECTURES = {
    "hybrid": Architecture("hybrid"),
    "hybrid-z": Architecture("hybrid-z", dense=1024, published=True),
    "images": Architecture("images", columns=()),
    "magnitudes9": Architecture("magnitudes9", image_bands=()),
    "magnitudes4": Architecture("magnitudes4", image_bands=(), columns=("u", "g", "r", "i")),
}


class ConvUnit(nn.Sequential):
    """Convolution, batch normalisation, ReLU; the size stays unless there is a stride."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int = 1):
        super().__init__(
            nn.Conv2d(n_in, n_out, kernel, stride, padding=(kernel - 1) // 2, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
        )


class Inception(nn.Module):
    """Parallel 1x1, 3x3, 5x5 and pooled branches; the larger kernels see reduced channels.

    The 3x3 branch gives two fifths of ``n_out``, the others one fifth each.
    """

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        fifth = n_out // 5
        self.one = ConvUnit(n_in, fifth, 1)
        self.three = nn.Sequential(ConvUnit(n_in, 2 * fifth, 1), ConvUnit(2 * fifth, 2 * fifth, 3))
        self.five = nn.Sequential(ConvUnit(n_in, fifth, 1), ConvUnit(fifth, fifth, 5))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), ConvUnit(n_in, fifth, 1))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Channels ``n_out`` at the same size."""
        branches = self.one, self.three, self.five, self.pooled
        return torch.cat([branch(x_NCHW) for branch in branches], dim=1)


class ImageBranch(nn.Sequential):
    """Stem, halving, Inception modules, and a dense layer that knows places in the stamp."""

    def __init__(self, architecture: Architecture):
        channels, kernel, stride = architecture.stem
        layers: list[nn.Module] = [
            ConvUnit(len(architecture.image_bands), channels, kernel, stride),
            ConvUnit(channels, architecture.halved, 3, 2),
        ]
        channels = architecture.halved
        for width in architecture.widths:
            layers.append(Inception(channels, width))
            channels = width
        size = (architecture.stamp_size // stride + 1) // 2
        layers += [
            ConvUnit(channels, 32, 1),
            nn.Flatten(),
            nn.Linear(32 * size * size, architecture.dense),
            nn.SiLU(),
        ]
        super().__init__(*layers)


class Head(nn.Module):
    """Point redshift and quantiles.

    Quantiles are a median and positive steps outwards from it, so that they never cross.
    """

    z_mean: Tensor
    z_deviation: Tensor

    def __init__(self, n_in: int):
        super().__init__()
        self.linear = nn.Linear(n_in, 1 + len(QUANTILE_LEVELS))
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("z_mean", torch.zeros(()))
        self.register_buffer("z_deviation", torch.ones(()))

    def forward(self, x_NF: Tensor) -> tuple[Tensor, Tensor]:
        """z_N and quantiles_NQ."""
        raw_NF = self.linear(x_NF)
        z_N1 = self.z_mean + self.z_deviation * raw_NF[:, :1]
        median_N1 = z_N1 + 0.1 * self.z_deviation * raw_NF[:, 1 + MEDIAN : 2 + MEDIAN]
        # A trained network needs about a twentieth of the deviation: it starts close.
        below_NQ = 0.05 * self.z_deviation * functional.softplus(raw_NF[:, 1 : 1 + MEDIAN])
        above_NQ = 0.05 * self.z_deviation * functional.softplus(raw_NF[:, 2 + MEDIAN :])
        lower_NQ = median_N1 - torch.flip(torch.cumsum(torch.flip(below_NQ, (1,)), 1), (1,))
        upper_NQ = median_N1 + torch.cumsum(above_NQ, 1)
        return z_N1[:, 0], torch.cat([lower_NQ, median_N1, upper_NQ], 1)


class PhotozNetwork(nn.Module):
    """Raw stamps (maggies) and the table to redshifts, uncalibrated quantiles, domain distances."""

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.architecture = architecture
        dense = architecture.dense
        self.features = Features(
            len(architecture.image_bands),
            len(architecture.columns),
            architecture.stamp_size,
            with_growth=not architecture.published,
        )
        self.image: nn.Module | None = None
        if architecture.published:
            self.table = published.table_branch(self.features.n_table)
            self.image = published.image_branch(len(architecture.image_bands))
            self.joined = published.joined(dense)
        else:
            self.table = _dense(self.features.n_table, dense, dense)
            self.image = ImageBranch(architecture) if architecture.image_bands else None
            self.joined = _dense(2 * dense if self.image else dense, dense, dense)
        self.head = Head(dense)

    def set_scales(self, scales: Scales) -> None:
        """Take the constants of the training set."""
        self.features.set_scales(scales)
        self.head.z_mean.copy_(torch.as_tensor(scales.z_mean))
        self.head.z_deviation.copy_(torch.as_tensor(scales.z_deviation))

    def forward(
        self, stamps_NCHW: Tensor, table_NT: Tensor, mixed_precision: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """z_N, quantiles_NQ, domain_distance_N.

        With ``mixed_precision`` the image branch computes in bfloat16.
        """
        stretched_NCHW, table_NF, distance_N = self.features(stamps_NCHW, table_NT)
        hidden_NF = self.table(table_NF)
        if self.image is not None:
            precision: AbstractContextManager[object] = nullcontext()
            if mixed_precision:
                precision = torch.autocast(stretched_NCHW.device.type, torch.bfloat16)
            with precision:
                image_NF = self.image(stretched_NCHW)
            # Redshifts have to resolve 1e-4, and bfloat16 has eight bits: the rest is float32.
            hidden_NF = torch.cat([hidden_NF, image_NF.float()], dim=1)
        z_N, quantiles_NQ = self.head(self.joined(hidden_NF))
        return z_N, quantiles_NQ, distance_N


def _dense(n_in: int, *widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(n_in, width), nn.SiLU()]
        n_in = width
    return nn.Sequential(*layers)


def multiply_adds(network: PhotozNetwork) -> int:
    """Multiply-adds of all convolutions and dense layers for one source."""
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        total += weight.numel() * (output[0, 0].numel() if output.dim() == 4 else 1)

    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    architecture = network.architecture
    size = architecture.stamp_size
    stamps_1CHW = torch.zeros(1, len(architecture.image_bands), size, size)
    table_1T = torch.zeros(1, len(architecture.columns))
    with torch.no_grad():
        network.eval()(stamps_1CHW, table_1T)
    for hook in hooks:
        hook.remove()
    return total
