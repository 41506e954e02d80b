"""The layers of the published Hybrid-z network (A&A 698, A276), in its smaller variant.

It has 67 million multiply-adds and 10.5 million weights, and serves for comparison. Scaling of the
inputs, head and loss are this project's: the comparison is of architectures. Unlike the project's
own network it has no batch normalisation among its convolutions, and is not told how light grows
from aperture to aperture.
"""

import torch
from torch import Tensor, nn

SHARED = 64
FLAT = 256 * 6 * 6


class PublishedInception(nn.Module):
    """Branches of 1x1, 3x3 and 5x5 convolutions and of pooling; 256 channels in all."""

    def __init__(self, n_in: int):
        super().__init__()
        self.one = _conv(n_in, 64, 1)
        self.three = nn.Sequential(_conv(n_in, 96, 1), _conv(96, 128, 3))
        self.five = nn.Sequential(_conv(n_in, 16, 1), _conv(16, 32, 5))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), _conv(n_in, 32, 1))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """256 channels at the same size."""
        branches = (self.one, self.three, self.five, self.pooled)
        return torch.cat([branch(x_NCHW) for branch in branches], dim=1)


def image_branch(n_bands: int) -> nn.Module:
    """Stamps of 36 x 36 pixels to 9216 numbers."""
    inceptions = [PublishedInception(192), *(PublishedInception(256) for _ in range(3))]
    return nn.Sequential(
        _conv(n_bands, 64, 7),
        nn.MaxPool2d(3),
        _conv(64, 64, 1),
        _conv(64, 192, 3),
        nn.MaxPool2d(3, 2, 1),
        *inceptions,
        nn.Flatten(),
    )


def table_branch(n_in: int) -> nn.Module:
    """Dense 512, 256, batch normalisation, dropout, 128, 64."""
    layers: list[nn.Module] = [
        nn.Linear(n_in, 512),
        nn.ReLU(),
        nn.Linear(512, 256),
        nn.ReLU(),
        nn.BatchNorm1d(256),
    ]
    layers += [nn.Dropout(0.2), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, SHARED), nn.ReLU()]
    return nn.Sequential(*layers)


def joined(n_out: int) -> nn.Module:
    """Dense layer over both branches."""
    return nn.Sequential(nn.Linear(FLAT + SHARED, n_out), nn.ReLU())


def _conv(n_in: int, n_out: int, kernel: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2), nn.ReLU())
