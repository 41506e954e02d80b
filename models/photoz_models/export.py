"""Seal trained networks into one ONNX file, with calibration, contract and golden values."""

import logging
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from photoz_models.calibration import level_matrix
from photoz_models.contract import (
    MAGNITUDES,
    OUTPUTS,
    QUANTILE_LEVELS,
    STAMPS,
    Domain,
    ModelContract,
    Training,
    write_contract,
)
from photoz_models.errors import BundleError
from photoz_models.examples import Examples, Split
from photoz_models.golden import Golden, Inputs, Outputs, golden_inputs, record
from photoz_models.network import PhotozNetwork, multiply_adds
from photoz_models.stamp_rule import StampRule
from photoz_models.training import FRACTION_INSIDE, evaluate
from photoz_models.training_settings import SplitName

OPSET = 18
GOLDEN_SEED = 1609
GOLDEN_NUMBER = 12
EXPORT_NUMBER = 3
"""Sources in the batch with which the graph is traced."""
LARGEST_DIFFERENCE = 1e-5
"""Between torch and ONNX Runtime, in redshift."""


class SealedNetwork(nn.Module):
    """Average of an ensemble, calibrated, between the redshift limits: all that the graph does.

    Parameters
    ----------
    levels_QQ
        The matrix of `level_matrix`.
    shift
        Mean error of the point redshift, in units of 1 + z; it is taken off.
    """

    def __init__(
        self,
        networks: Sequence[PhotozNetwork],
        levels_QQ: NDArray[np.float64],
        shift: float,
        z_range: tuple[float, float],
    ):
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.architecture = networks[0].architecture
        self.register_buffer(
            "levels_QQ", torch.as_tensor(levels_QQ, dtype=torch.float32).T.contiguous()
        )
        self.shift = shift
        self.z_range = z_range

    def forward(self, stamps: Tensor, magnitudes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """z_N, quantiles_NQ, domain_distance_N."""
        outputs = [network(stamps, magnitudes) for network in self.networks]
        sums = [sum(parts) for parts in zip(*outputs, strict=True)]
        z_N, quantiles_NQ, distance_N = (total / len(outputs) for total in sums)
        calibrated_NQ = _running_maximum(quantiles_NQ @ self.levels_QQ)
        z_N = z_N - self.shift * (1.0 + z_N)
        return z_N.clamp(*self.z_range), calibrated_NQ.clamp(*self.z_range), distance_N


def _running_maximum(x_NQ: Tensor) -> Tensor:
    # Calibrated quantiles could cross only by rounding: they are large far outside the set.
    for shift in (1, 2, 4, 8, 16):
        shifted_NQ = torch.cat([x_NQ[:, :1].expand(-1, shift), x_NQ[:, :-shift]], dim=1)
        x_NQ = torch.maximum(x_NQ, shifted_NQ)
    return x_NQ


@dataclass(frozen=True)
class Label:
    """What a contract says that no array knows."""

    name: str
    version: str
    date: str
    commit: str
    seed: int
    split: SplitName
    licence: str


def seal(networks: Sequence[PhotozNetwork], examples: Examples, split: Split) -> SealedNetwork:
    """Calibrate the ensemble and take its mean error off.

    Quantiles are calibrated on the validation galaxies. The point redshift minimises the Huber
    loss, which like the median does not feel how far outliers lie: where the errors are skewed,
    their mean is not zero. It is measured on training and validation galaxies together, because the
    galaxies of one tile share its zero-point errors: many tiles are needed. The redshift limits are
    0 and just beyond the set.
    """
    architecture = networks[0].architecture
    examples = examples.narrowed(architecture.image_bands, architecture.columns)
    rows_N = np.concatenate([split.validation_N, split.train_N])
    members = [evaluate(network, examples, rows_N) for network in networks]
    z_N, quantiles_NQ = (np.mean([member[k] for member in members], axis=0) for k in (0, 1))
    true_z_N = np.array(examples.z_N[rows_N])
    shift = float(np.mean(z_N - true_z_N) / np.mean(1 + z_N))
    validation = slice(len(split.validation_N))
    levels_QQ = level_matrix(quantiles_NQ[validation], true_z_N[validation], QUANTILE_LEVELS)
    z_max = float(np.ceil(20 * float(examples.z_N[split.train_N].max()) + 1) / 20)
    return SealedNetwork(networks, levels_QQ, shift, (0.0, z_max)).eval()


def export(
    sealed: SealedNetwork,
    examples: Examples,
    split: Split,
    label: Label,
    test_metrics: dict[str, float],
    out: Path,
) -> ModelContract:
    """Write the bundle ``out`` and return its contract.

    Raises
    ------
    BundleError
        If ONNX Runtime does not give what torch gives, within 1e-5.
    """
    architecture = sealed.architecture
    rule = examples.facts.rule.narrowed(architecture.image_bands, architecture.columns)
    golden = golden_values(sealed, rule)
    contract = _contract(sealed, rule, examples, split, label, test_metrics, golden)
    write_bundle(sealed, contract, out)
    return contract


def golden_values(sealed: SealedNetwork, rule: StampRule) -> Golden:
    """What a sealed network gives for the inputs that every machine can make again."""
    return record(GOLDEN_SEED, _outputs(sealed, _golden_inputs(rule, GOLDEN_NUMBER)))


def write_bundle(sealed: SealedNetwork, contract: ModelContract, out: Path) -> None:
    """Write graph and contract as the file ``out``.

    Raises
    ------
    BundleError
        If ONNX Runtime does not give what torch gives, within 1e-5.
    """
    inputs = _golden_inputs(contract, GOLDEN_NUMBER)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        graph, finished = Path(scratch) / "graph.onnx", Path(scratch) / "sealed.onnx"
        _to_onnx(sealed, _golden_inputs(contract, EXPORT_NUMBER), graph)
        _compare(graph, inputs, _outputs(sealed, inputs))
        write_contract(graph, contract, finished)
        finished.replace(out)


def _golden_inputs(rule: StampRule, number: int) -> Inputs:
    n_bands = len(rule.image_bands), len(rule.magnitude_bands)
    n_seeing = len(rule.seeing_bands)
    return golden_inputs(GOLDEN_SEED, number, *n_bands, rule.stamp_size, n_seeing)


def _outputs(sealed: SealedNetwork, inputs: Inputs) -> Outputs:
    tensors = [torch.as_tensor(array) for array in inputs]
    with torch.inference_mode():
        z_N, quantiles_NQ, distance_N = (output.numpy() for output in sealed(*tensors))
    return z_N, quantiles_NQ, distance_N


def _to_onnx(sealed: SealedNetwork, inputs: Inputs, graph: Path) -> None:
    batch = torch.export.Dim("N")
    # The exporter's remarks on itself (torchvision absent, axis names merged) are not for the user.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            sealed,
            tuple(torch.as_tensor(part) for part in inputs),
            graph,
            input_names=[STAMPS, MAGNITUDES],
            output_names=list(OUTPUTS),
            dynamic_shapes=({0: batch}, {0: batch}),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    model = onnx.load(graph)
    _drop_empty_inputs(model)
    _forget_sources(model)
    onnx.save(model, graph)


def _drop_empty_inputs(model: Any) -> None:
    # Without image bands, or without a table, an input has no elements: no part of the bundle.
    for value in list(model.graph.input):
        sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim if _is_fixed(dim)]
        if 0 in sizes:
            model.graph.input.remove(value)


def _is_fixed(dim: Any) -> bool:
    return bool(dim.HasField("dim_value"))


def _forget_sources(model: Any) -> None:
    # The exporter notes the file and line that made each node: paths of the training machine.
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    graph = model.graph
    for value in (*graph.value_info, *graph.input, *graph.output, *graph.initializer):
        value.ClearField("metadata_props")


def _compare(graph: Path, inputs: Inputs, outputs: Outputs) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    arrays = dict(zip((STAMPS, MAGNITUDES), inputs, strict=True))
    feeds = {node.name: arrays[node.name] for node in session.get_inputs()}
    answers = session.run(list(OUTPUTS), feeds)
    # The domain distance has a unit of its own and is left to the golden values.
    differences = [
        float(np.max(np.abs(answer - expected)))
        for answer, expected in zip(answers[:2], outputs[:2], strict=True)
    ]
    worst = max(differences)
    if not worst <= LARGEST_DIFFERENCE:
        raise BundleError(f"ONNX Runtime differs from torch by {worst:.2g} in redshift")


def _contract(
    sealed: SealedNetwork,
    rule: StampRule,
    examples: Examples,
    split: Split,
    label: Label,
    test_metrics: dict[str, float],
    golden: Golden,
) -> ModelContract:
    networks = [network for network in sealed.networks if isinstance(network, PhotozNetwork)]
    name, number = sealed.architecture.name, len(networks)
    known = "magnitudes and aperture fluxes"
    if rule.seeing_bands:
        known = "magnitudes, aperture fluxes and seeing"
    return ModelContract(
        **dict(rule),
        name=label.name,
        version=label.version,
        network=name if number == 1 else f"{number} x {name}",
        multiply_adds=sum(multiply_adds(network) for network in networks),
        opset=OPSET,
        quantile_levels=QUANTILE_LEVELS,
        z_min=sealed.z_range[0],
        z_max=sealed.z_range[1],
        domain=Domain(
            meaning=f"Mahalanobis distance of the known {known} from the training set",
            fraction_inside=FRACTION_INSIDE,
        ),
        training=Training(
            set_name=examples.facts.name,
            digest=examples.digest(),
            simulated=examples.facts.simulated,
            number=len(split.train_N),
            date=label.date,
            commit=label.commit,
            seed=label.seed,
            split=label.split,
        ),
        test_metrics=test_metrics,
        licence=label.licence,
        golden=golden,
    )
