"""The first layers of every network: from raw inputs to numbers of order one, with gaps filled.

They are torch modules, so that they become nodes of the exported graph: what was trained is what
is served.

Axes: N sources, C image bands, T columns of the table, F features (columns, then apertures),
G growth, H W and P pixels, K apertures.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from photoz_models.robust import SMAD_FACTOR

STRETCH_SIGMAS = 3.0
"""Pixels enter linearly up to about this many times the sky noise, logarithmically beyond."""

FAINTEST = 50.0
"""Magnitudes at or beyond this, on either side, are missing: 99, -99, NaN and infinities."""

BRIGHTEST_PIXEL = 1.0
"""Pixels at or beyond this (maggies: a star of magnitude 0) are no measurements, nor is NaN."""

APERTURE_SIGMA = 3.5
"""Width of the Gaussian aperture in pixels: 0.7 arcsec, the scale of the GAaP magnitudes."""

GROWTH_SIGMAS = (1.5, 2.5, 5.0, 7.5, 11.0)
"""Further apertures: how light grows outwards, band by band.

Total colours and sizes are most of what a stamp tells beyond GAaP. Sums of pixels give them to a
per cent or better; convolutions of logarithmic pixels do not.
"""

PROFILE_SIGMAS = (4.0, 7.0, 9.0)
"""Apertures shaped like the source gather its light with little sky noise: total colours.

Each is the light in all bands times a Gaussian of this width in pixels; with the widest, the square
root of the light.
"""

LEAST_LIGHT = 1e-3
"""In units of `STRETCH_SIGMAS`: where a stamp shows no light, the profile is the Gaussian."""

FURTHER = len(GROWTH_SIGMAS) + len(PROFILE_SIGMAS)

DEEPEST = -10.0
"""Negative light beyond so many `STRETCH_SIGMAS` is no measurement."""

FAR = 6.0
"""Growth beyond so many standard deviations, as beside a bright star, is cut off there."""

EIGENVALUE_FLOOR = 1e-5
"""Of the correlation matrix: keeps the inverse harmless where two bands say the same."""

FAINTEST_WEIGHT = 1e-30
"""Weights of a window below this are 0. Products with numbers so small that float32 holds them with
fewer bits cost a processor a hundred times as much: 92 of them took a tenth of the whole network.
"""

SMALLEST = 1e-20
"""Divisors stay above this by a clamp: the exporter drops the addition of so small a number."""


@dataclass(frozen=True)
class Scales:
    """Constants of the training set that travel with the weights.

    Growth G is that of each band in turn to each of `GROWTH_SIGMAS`, then of `PROFILE_SIGMAS`.
    """

    noise_C: NDArray[np.float64]
    growth_mean_G: NDArray[np.float64]
    growth_deviation_G: NDArray[np.float64]
    mean_F: NDArray[np.float64]
    deviation_F: NDArray[np.float64]
    whitening_FF: NDArray[np.float64]
    distance_one: float
    """Mahalanobis distance that is called 1."""
    z_mean: float
    z_deviation: float


def asinh(x: Tensor) -> Tensor:
    """Inverse hyperbolic sine from Log and Sqrt, which every execution provider has.

    Below `DEEPEST` it is constant: the sum would be rounded away. No sky is so dark.
    """
    x = torch.clamp(x, min=DEEPEST)
    return torch.log(x + torch.sqrt(x * x + 1.0))


class Stretch(nn.Module):
    """Pixels in maggies to asinh(flux / 3 sigma), gaps to 0 (sky), and aperture fluxes."""

    scale_C11: Tensor
    windows_PK: Tensor
    profiles_KP: Tensor

    def __init__(self, n_bands: int, stamp_size: int):
        super().__init__()
        self.register_buffer("scale_C11", torch.ones(n_bands, 1, 1))
        sigmas_K = (APERTURE_SIGMA, *GROWTH_SIGMAS)
        windows_KP = torch.stack([_window(stamp_size, sigma) for sigma in sigmas_K])
        profiles_KP = torch.stack([_window(stamp_size, sigma) for sigma in PROFILE_SIGMAS])
        self.register_buffer("windows_PK", windows_KP.T.contiguous())
        self.register_buffer("profiles_KP", profiles_KP)

    def set_noise(self, noise_C: NDArray[np.float64]) -> None:
        """Take the sky noise per pixel of each band, in maggies."""
        self.scale_C11.copy_(torch.as_tensor(1.0 / (STRETCH_SIGMAS * noise_C))[:, None, None])

    @property
    def noise_C(self) -> Tensor:
        """What `set_noise` was given."""
        return 1.0 / (STRETCH_SIGMAS * self.scale_C11[:, 0, 0])

    def forward(self, stamps_NCHW: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Stretched pixels NCHW, aperture features NC, growth NG, and which features are known NC.

        An aperture feature is asinh(signal to noise / 3) within `APERTURE_SIGMA`; growth is the
        difference of the same in the further apertures.
        """
        good_NCHW = torch.abs(stamps_NCHW) < BRIGHTEST_PIXEL
        scaled_NCHW = torch.where(good_NCHW, stamps_NCHW * self.scale_C11, 0.0)
        scaled_NCP, good_NCP = scaled_NCHW.flatten(2), good_NCHW.to(stamps_NCHW.dtype).flatten(2)
        # What is lost of a window of the source's shape is taken to be what its Gaussian lost.
        gaussians_PK = torch.cat([self.windows_PK, self.profiles_KP.T], dim=1)
        share_NCK = good_NCP @ (gaussians_PK / gaussians_PK.sum(dim=0))
        number = self.windows_PK.shape[1]
        flux_NCK = _signal(scaled_NCP @ self.windows_PK, share_NCK[:, :, :number])
        profile_NCK = _signal(
            _profile_flux(scaled_NCP, self._shapes(scaled_NCHW)), share_NCK[:, :, number:]
        )
        known_NC = (share_NCK[:, :, 0] > 0.5).to(stamps_NCHW.dtype)
        further_NCK = torch.cat([flux_NCK[:, :, 1:], profile_NCK], dim=2)
        growth_NG = ((further_NCK - flux_NCK[:, :, :1]) * known_NC[:, :, None]).flatten(1)
        return asinh(scaled_NCHW), flux_NCK[:, :, 0] * known_NC, growth_NG, known_NC

    def _shapes(self, scaled_NCHW: Tensor) -> Tensor:
        """Windows NKP of the shape of each source."""
        light_N1HW = scaled_NCHW.sum(dim=1, keepdim=True)
        # Smoothed by about the seeing: a profile follows the source, not the noise of its pixels.
        smooth_N1HW = functional.avg_pool2d(functional.avg_pool2d(light_N1HW, 3, 1, 1), 3, 1, 1)
        light_N1P = torch.clamp(smooth_N1HW, min=LEAST_LIGHT).flatten(2)
        narrow_NKP = light_N1P * self.profiles_KP[:-1]
        widest_N1P = torch.sqrt(light_N1P) * self.profiles_KP[-1:]
        return torch.cat([narrow_NKP, widest_N1P], dim=1)


def _profile_flux(scaled_NCP: Tensor, shape_NKP: Tensor) -> Tensor:
    # Noise of one unit per pixel gives noise of one unit. Few numbers are scaled, not pixels.
    noise_N1K = torch.sqrt(_total(shape_NKP * shape_NKP)).transpose(1, 2)
    return (scaled_NCP @ shape_NKP.transpose(1, 2)) / noise_N1K


def _signal(flux_NCK: Tensor, share_NCK: Tensor) -> Tensor:
    """Stretched flux in windows of which a share could be used: what was lost is made up for."""
    return asinh(flux_NCK / torch.clamp(share_NCK, min=1e-3))


class Completion(nn.Module):
    """Missing features replaced by their conditional mean under the training set's Gaussian.

    With precision matrix P the conditional mean of the missing features minimises y'Py. The minimum
    is the squared Mahalanobis distance of the known ones, their domain distance. It is found by
    conjugate gradients: as many steps as features are missing, all plain matrix products.
    """

    mean_F: Tensor
    deviation_F: Tensor
    whitening_FF: Tensor
    distance_one: Tensor

    def __init__(self, n_features: int):
        super().__init__()
        self.register_buffer("mean_F", torch.zeros(n_features))
        self.register_buffer("deviation_F", torch.ones(n_features))
        self.register_buffer("whitening_FF", torch.eye(n_features))
        self.register_buffer("distance_one", torch.ones(()))
        self.steps = min(n_features, 8)

    def set_scales(self, scales: Scales) -> None:
        """Take mean, deviation and whitening of the training set."""
        for name in ("mean_F", "deviation_F", "whitening_FF", "distance_one"):
            getattr(self, name).copy_(torch.as_tensor(getattr(scales, name)))

    def forward(self, features_NF: Tensor, known_NF: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Completed features in units of their deviation NF, whitened NF, domain distance N."""
        standard_NF = (features_NF - self.mean_F) / self.deviation_F
        observed_NF = torch.where(known_NF > 0.5, standard_NF, 0.0)
        completed_NF = observed_NF + self._conditional_mean(observed_NF, 1.0 - known_NF)
        whitened_NF = completed_NF @ self.whitening_FF
        distance_N = torch.sqrt(_total(whitened_NF * whitened_NF)[:, 0]) / self.distance_one
        return completed_NF, whitened_NF, distance_N

    def _conditional_mean(self, observed_NF: Tensor, missing_NF: Tensor) -> Tensor:
        precision_FF = self.whitening_FF @ self.whitening_FF.T
        solution_NF = torch.zeros_like(observed_NF)
        residual_NF = -missing_NF * (observed_NF @ precision_FF)
        direction_NF = residual_NF
        square_N1 = _total(residual_NF * residual_NF)
        for _ in range(self.steps):
            image_NF = missing_NF * (direction_NF @ precision_FF)
            curvature_N1 = _total(direction_NF * image_NF)
            step_N1 = square_N1 / torch.clamp(curvature_N1, min=SMALLEST)
            solution_NF = solution_NF + step_N1 * direction_NF
            residual_NF = residual_NF - step_N1 * image_NF
            new_square_N1 = _total(residual_NF * residual_NF)
            turn_N1 = new_square_N1 / torch.clamp(square_N1, min=SMALLEST)
            direction_NF = residual_NF + turn_N1 * direction_NF
            square_N1 = new_square_N1
        return solution_NF


def _total(x: Tensor) -> Tensor:
    """Sums along the last axis, which keeps a length of 1.

    As a matrix product: ONNX Runtime's sums go by the place of a row in memory where its length is
    odd, and the last bit of a domain distance would depend on the rows before it.
    """
    return x @ x.new_ones(x.shape[-1], 1)


class Features(nn.Module):
    """Raw inputs to stretched stamps, table features and domain distance.

    Either input may be empty: no image band, or no column.
    """

    growth_mean_G: Tensor
    growth_deviation_G: Tensor

    def __init__(
        self, n_image_bands: int, n_columns: int, stamp_size: int, with_growth: bool = True
    ):
        super().__init__()
        self.n_image_bands, self.n_columns = n_image_bands, n_columns
        self.with_growth = with_growth and n_image_bands > 0
        self.stretch = Stretch(n_image_bands, stamp_size)
        self.completion = Completion(n_image_bands + n_columns)
        n_growth = n_image_bands * FURTHER
        self.register_buffer("growth_mean_G", torch.zeros(n_growth))
        self.register_buffer("growth_deviation_G", torch.ones(n_growth))
        self.n_table = 3 * (n_image_bands + n_columns) + n_growth * self.with_growth

    def set_scales(self, scales: Scales) -> None:
        """Take the constants of the training set."""
        self.stretch.set_noise(scales.noise_C)
        self.completion.set_scales(scales)
        self.growth_mean_G.copy_(torch.as_tensor(scales.growth_mean_G))
        self.growth_deviation_G.copy_(torch.as_tensor(scales.growth_deviation_G))

    def forward(self, stamps_NCHW: Tensor, table_NT: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Stretched stamps NCHW, table features NF and domain distance N.

        Table features are the completed ones, the whitened ones, which were missing, and growth.
        """
        stretched_NCHW, features_NF, growth_NG, known_NF = self.summary(stamps_NCHW, table_NT)
        completed_NF, whitened_NF, distance_N = self.completion(features_NF, known_NF)
        table_NF = torch.cat([completed_NF, whitened_NF, 1.0 - known_NF], dim=1)
        if self.with_growth:
            standard_NG = (growth_NG - self.growth_mean_G) / self.growth_deviation_G
            known_NG = torch.repeat_interleave(known_NF[:, self.n_columns :], FURTHER, dim=1)
            table_NF = torch.cat([table_NF, (standard_NG * known_NG).clamp(-FAR, FAR)], dim=1)
        return stretched_NCHW, table_NF, distance_N

    def summary(
        self, stamps_NCHW: Tensor, table_NT: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Stretched stamps NCHW, features NF (0 where unknown), growth NG, and what is known NF."""
        good_NT = torch.abs(table_NT) < FAINTEST
        known_NT = good_NT.to(table_NT.dtype)
        filled_NT = torch.where(good_NT, table_NT, 0.0)
        if not self.n_image_bands:
            return stamps_NCHW, filled_NT, filled_NT[:, :0], known_NT
        stretched_NCHW, aperture_NC, growth_NG, known_NC = self.stretch(stamps_NCHW)
        features_NF = torch.cat([filled_NT, aperture_NC], 1)
        return stretched_NCHW, features_NF, growth_NG, torch.cat([known_NT, known_NC], 1)


def fit_scales(
    stamps_NCHW: NDArray[np.float32],
    table_NT: NDArray[np.float32],
    z_N: NDArray[np.float32],
    fraction_inside: float,
) -> Scales:
    """Measure the constants on the training galaxies.

    ``noise_C`` is the scaled median absolute deviation of the outermost pixels. Mean and covariance
    of the features come from the galaxies that have all of them. ``distance_one`` is the quantile
    ``fraction_inside`` of their distances.
    """
    noise_C = sky_noise(stamps_NCHW)
    features = Features(stamps_NCHW.shape[1], table_NT.shape[1], stamps_NCHW.shape[2])
    features.stretch.set_noise(noise_C)
    values_NF, growth_NG, known_NF = _summaries(features, stamps_NCHW, table_NT)
    complete_N = known_NF.all(axis=1)
    complete_NF = values_NF[complete_N].astype(np.float64)
    mean_F, deviation_F = complete_NF.mean(axis=0), complete_NF.std(axis=0)
    standard_NF = (complete_NF - mean_F) / deviation_F
    correlation_FF = np.cov(standard_NF, rowvar=False).reshape(len(mean_F), -1)
    eigenvalues_F, vectors_FF = np.linalg.eigh(correlation_FF)
    whitening_FF = vectors_FF / np.sqrt(np.maximum(eigenvalues_F, EIGENVALUE_FLOOR))
    distance_N = np.linalg.norm(standard_NF @ whitening_FF, axis=1)
    return Scales(
        noise_C,
        growth_NG[complete_N].mean(axis=0, dtype=np.float64),
        growth_NG[complete_N].std(axis=0, dtype=np.float64),
        mean_F,
        deviation_F,
        whitening_FF,
        float(np.quantile(distance_N, fraction_inside)),
        float(np.mean(z_N)),
        float(np.std(z_N)),
    )


def sky_noise(stamps_NCHW: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scaled median absolute deviation of the border pixels of each band, in maggies."""
    border_NCP = np.concatenate([stamps_NCHW[:, :, 0], stamps_NCHW[:, :, -1]], axis=2)
    middle_C = np.nanmedian(border_NCP, axis=(0, 2))
    deviation_NCP = np.abs(border_NCP - middle_C[:, None])
    noise_C: NDArray[np.float64] = SMAD_FACTOR * np.nanmedian(deviation_NCP, axis=(0, 2))
    return noise_C


def _summaries(
    features: Features,
    stamps_NCHW: NDArray[np.float32],
    table_NT: NDArray[np.float32],
    chunk: int = 2000,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    parts = []
    with torch.no_grad():
        for start in range(0, len(table_NT), chunk):
            rows = slice(start, start + chunk)
            stamps, table = torch.as_tensor(stamps_NCHW[rows]), torch.as_tensor(table_NT[rows])
            parts.append([part.numpy() for part in features.summary(stamps, table)[1:]])
    values_NF, growth_NG, known_NF = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return values_NF, growth_NG, known_NF > 0.5


def _window(stamp_size: int, sigma: float) -> Tensor:
    offset = torch.arange(stamp_size) - (stamp_size - 1) / 2
    radius2_HW = offset[:, None] ** 2 + offset[None, :] ** 2
    window_HW = torch.exp(-radius2_HW / (2 * sigma**2))
    # So that noise of one unit per pixel gives noise of one unit.
    window_P = (window_HW / window_HW.square().sum().sqrt()).flatten()
    return torch.where(window_P < FAINTEST_WEIGHT, 0.0, window_P)
