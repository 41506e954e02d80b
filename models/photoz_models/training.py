"""Training of one network: loss, augmentation, schedule, early stopping, checkpoint, resume."""

import io
import pickle
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from photoz_models.augmentation import augment, with_errors
from photoz_models.contract import QUANTILE_LEVELS
from photoz_models.errors import TrainingError
from photoz_models.examples import Examples, Split
from photoz_models.golden import Outputs
from photoz_models.inputs import fit_scales
from photoz_models.network import Architecture, PhotozNetwork
from photoz_models.robust import SMAD_FACTOR
from photoz_models.training_settings import Settings
from photoz_models.whole_files import written_whole

FRACTION_INSIDE = 0.99
"""Share of the training galaxies with all features that get a domain distance of at most 1."""

EVALUATION_BATCH = 512


@dataclass
class Epoch:
    """One line of the training history."""

    epoch: int
    learning_rate: float
    train_loss: float
    validation_loss: float
    validation_smad: float


@dataclass
class TrainingState:
    """State of a training that can be interrupted and taken up again."""

    network: PhotozNetwork
    optimiser: torch.optim.Optimizer
    history: list[Epoch] = field(default_factory=list)
    best_loss: float = float("inf")
    best_state: dict[str, Any] = field(default_factory=dict)
    best_epoch: int = 0


def train(
    architecture: Architecture,
    examples: Examples,
    split: Split,
    settings: Settings,
    checkpoint: Path | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_batch: Callable[[float], None] = lambda share: None,
) -> tuple[PhotozNetwork, list[Epoch]]:
    """Train one network.

    Parameters
    ----------
    checkpoint
        Written after each epoch. If it exists, training goes on from there, to the same result as
        without a break.
    on_epoch, on_batch
        Called after each epoch, and after each batch with the share of the epoch that is done.

    Returns
    -------
    network, history
        The network with the weights of its best epoch, ready to evaluate; all epochs.

    Raises
    ------
    TrainingError
        If the checkpoint belongs to another architecture, training set or setting.
    """
    examples = examples.narrowed(architecture.image_bands, architecture.columns)
    gpu, _ = gpu_here()
    if settings.mixed_precision is None:
        settings = settings.model_copy(update={"mixed_precision": bool(gpu)})
    identity = _identity(architecture, examples, split, settings)
    with _gpu_explained():
        device = torch.device("cuda" if gpu else "cpu")
        # Else convolutions in float32 keep 10 bits of their numbers, as TF32.
        torch.backends.cudnn.allow_tf32 = False
        progress = _begin(architecture, examples, split, settings, device)
        if checkpoint is not None and checkpoint.exists():
            _restore(progress, checkpoint, identity)
        while not _finished(progress, settings):
            epoch = _run_epoch(progress, examples, split, settings, on_batch)
            if checkpoint is not None:
                _store(progress, checkpoint, identity)
            on_epoch(epoch)
        progress.network.load_state_dict(progress.best_state)
        return progress.network.eval().cpu(), progress.history


def gpu_here() -> tuple[str, str]:
    """Name of the GPU on which networks are trained here, and why not if PyTorch finds one broken.

    Both are empty where there is none.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return str(torch.cuda.get_device_name()), ""
    return "", str(said[0].message).partition("\n")[0] if said else ""


@contextmanager
def _gpu_explained() -> Iterator[None]:
    """What a GPU failed at in the block becomes a `TrainingError`."""
    try:
        yield
    except RuntimeError as error:
        said = str(error).partition("\n")[0]
        if not re.search("CUDA|cuDNN|cuBLAS", said):
            raise
        lacks_memory = "out of memory" in said
        advice = "give a smaller --batch" if lacks_memory else "see what nvidia-smi says of it"
        raise TrainingError(
            f"the GPU failed: {said[:300]}; {advice}, or train on the CPU: CUDA_VISIBLE_DEVICES="
        ) from error


def evaluate(network: torch.nn.Module, examples: Examples, rows_N: NDArray[np.int64]) -> Outputs:
    """Run a network over rows of ``examples``, which must be narrowed to its inputs."""
    device = next(network.parameters()).device
    parts = []
    with torch.inference_mode():
        network.eval()
        for start in range(0, len(rows_N), EVALUATION_BATCH):
            batch_N = rows_N[start : start + EVALUATION_BATCH]
            stamps_NCHW, table_NT, _ = _tensors(examples, batch_N, device)
            parts.append([output.cpu().numpy() for output in network(stamps_NCHW, table_NT)])
    z_N, quantiles_NQ, distance_N = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return z_N, quantiles_NQ, distance_N


def loss_of(z_N: Tensor, quantiles_NQ: Tensor, true_z_N: Tensor, alpha: float) -> Tensor:
    """Huber loss of the point plus mean pinball loss of the quantiles, in units of alpha.

    Both are of e = dz/(1+z). Huber (1964): e^2/2 for |e| <= alpha, alpha (|e| - alpha/2) beyond;
    divided by alpha^2, so that the two losses keep their ratio for every alpha.
    """
    unit_N = alpha * (1.0 + true_z_N)
    huber = functional.huber_loss((z_N - true_z_N) / unit_N, torch.zeros_like(z_N))
    levels_Q = torch.tensor(QUANTILE_LEVELS, device=z_N.device)
    above_NQ = (true_z_N[:, None] - quantiles_NQ) / unit_N[:, None]
    return huber + torch.maximum(levels_Q * above_NQ, (levels_Q - 1.0) * above_NQ).mean()


def learning_rate(settings: Settings, share: float) -> float:
    """One cycle: linear rise over the first tenth, cosine fall to a thousandth at ``share`` = 1."""
    if share < 0.1:
        return settings.learning_rate * (0.1 + 9.0 * share)
    return settings.learning_rate * float(0.5005 + 0.4995 * np.cos(np.pi * (share - 0.1) / 0.9))


def _begin(
    architecture: Architecture,
    examples: Examples,
    split: Split,
    settings: Settings,
    device: torch.device,
) -> TrainingState:
    torch.manual_seed(settings.seed)
    network = PhotozNetwork(architecture)
    rows_N = split.train_N
    arrays = examples.stamps_NCHW[rows_N], examples.table_NT[rows_N], examples.z_N[rows_N]
    network.set_scales(fit_scales(*arrays, FRACTION_INSIDE))
    # Channels last is twice as fast on the CPU, and what tensor cores want.
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    return TrainingState(network, optimiser)


def _finished(progress: TrainingState, settings: Settings) -> bool:
    done = len(progress.history)
    return done >= settings.epochs or done - progress.best_epoch >= settings.patience


def _run_epoch(
    progress: TrainingState,
    examples: Examples,
    split: Split,
    settings: Settings,
    on_batch: Callable[[float], None],
) -> Epoch:
    number = len(progress.history)
    # Seeded by epoch: a resumed training draws what an unbroken one would.
    dice = np.random.default_rng([settings.seed, number])
    batches = list(_batches(dice.permutation(split.train_N), settings.batch))
    losses = []
    for step, rows_N in enumerate(batches):
        rate = learning_rate(settings, (number + step / len(batches)) / settings.epochs)
        losses.append(_step(progress, examples, rows_N, settings, rate, dice))
        on_batch((step + 1) / len(batches))
    validation_loss, smad = _validate(progress.network, examples, split, settings)
    epoch = Epoch(number + 1, rate, float(np.mean(losses)), validation_loss, smad)
    progress.history.append(epoch)
    if validation_loss < progress.best_loss:
        state = progress.network.state_dict()
        progress.best_loss, progress.best_epoch = validation_loss, epoch.epoch
        progress.best_state = {key: value.detach().clone() for key, value in state.items()}
    return epoch


def _validate(
    network: PhotozNetwork, examples: Examples, split: Split, settings: Settings
) -> tuple[float, float]:
    """Loss and SMAD on the validation part."""
    outputs = evaluate(network, examples, split.validation_N)
    true_z_N = np.array(examples.z_N[split.validation_N])
    z_N, quantiles_NQ, target_N = (torch.as_tensor(array) for array in (*outputs[:2], true_z_N))
    loss = float(loss_of(z_N, quantiles_NQ, target_N, settings.alpha))
    return loss, _smad((outputs[0] - true_z_N) / (1 + true_z_N))


def _batches(rows_N: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(rows_N) - size + 1, size):
        yield rows_N[start : start + size]


def _step(
    progress: TrainingState,
    examples: Examples,
    rows_N: NDArray[np.int64],
    settings: Settings,
    rate: float,
    dice: np.random.Generator,
) -> float:
    network = progress.network.train()
    device = next(network.parameters()).device
    stamps_NCHW, table_NT, true_z_N = _tensors(examples, rows_N, device)
    rule, noise_C = examples.facts.rule, network.features.stretch.noise_C
    stamps_NCHW, table_NT = with_errors(stamps_NCHW, table_NT, settings, rule, noise_C, dice)
    stamps_NCHW, table_NT = augment(stamps_NCHW, table_NT, settings, rule, dice)
    z_N, quantiles_NQ, _ = network(stamps_NCHW, table_NT, bool(settings.mixed_precision))
    loss = loss_of(z_N, quantiles_NQ, true_z_N, settings.alpha)
    for group in progress.optimiser.param_groups:
        group["lr"] = rate
    progress.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    progress.optimiser.step()
    return float(loss.detach())


def _tensors(
    examples: Examples, rows_N: NDArray[np.int64], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    stamps_NCHW = torch.as_tensor(np.ascontiguousarray(examples.stamps_NCHW[rows_N]))
    if stamps_NCHW.shape[1]:
        stamps_NCHW = stamps_NCHW.contiguous(memory_format=torch.channels_last)
    table_NT = torch.as_tensor(examples.table_NT[rows_N])
    z_N = torch.as_tensor(examples.z_N[rows_N])
    return stamps_NCHW.to(device), table_NT.to(device), z_N.to(device)


def _smad(x_N: NDArray[np.float32]) -> float:
    return float(SMAD_FACTOR * np.median(np.abs(x_N - np.median(x_N))))


def _identity(
    architecture: Architecture, examples: Examples, split: Split, settings: Settings
) -> dict[str, Any]:
    return {
        "architecture": asdict(architecture),
        "settings": settings.model_dump(),
        "set": examples.facts.name,
        "galaxies": [len(part) for part in (split.train_N, split.validation_N, split.test_N)],
    }


def _store(progress: TrainingState, checkpoint: Path, identity: dict[str, Any]) -> None:
    state = {
        "identity": identity,
        "network": progress.network.state_dict(),
        "optimiser": progress.optimiser.state_dict(),
        "history": [asdict(epoch) for epoch in progress.history],
        "best": (progress.best_loss, progress.best_epoch, progress.best_state),
    }
    # Not into the file: of one that it cannot write torch does not say why.
    content = io.BytesIO()
    torch.save(state, content)
    with written_whole(checkpoint) as beside:
        beside.write_bytes(content.getbuffer())


def _restore(progress: TrainingState, checkpoint: Path, identity: dict[str, Any]) -> None:
    try:
        # A checkpoint made on a GPU goes on without one.
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{checkpoint}: is damaged; remove it to start over") from error
    if state["identity"] != identity:
        raise TrainingError(
            f"{checkpoint}: made with another {_differences(state['identity'], identity)};"
            " remove it to start over"
        )
    progress.network.load_state_dict(state["network"])
    progress.optimiser.load_state_dict(state["optimiser"])
    progress.history = [Epoch(**epoch) for epoch in state["history"]]
    progress.best_loss, progress.best_epoch, progress.best_state = state["best"]


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs between two identities, settings one by one."""
    other = [key for key in now if before.get(key) != now[key] and key != "settings"]
    old, new = before.get("settings", {}), now["settings"]
    other += [f"{key} ({old.get(key)}, now {new[key]})" for key in new if old.get(key) != new[key]]
    return ", ".join(other or ["settings"])
