"""The weights of an older bundle of the default architecture in the graph of today's program.

``python -m studies.same_weights OLD.onnx NEW.onnx VERSION`` made version 5 of ``hybrid-sim`` from
version 4. Nothing is trained: the new bundle computes the same redshifts, faster. What the contract
says of training and test galaxies stays; the golden values are computed anew.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from photoz_models.contract import ModelContract, parse_contract
from photoz_models.export import SealedNetwork, golden_values, write_bundle
from photoz_models.network import ARCHITECTURES, PhotozNetwork

Weights = dict[str, NDArray[Any]]

LAYERS = {"image.2": "image.3", "image.3": "image.4", "image.4": "image.6", "image.6": "image.8"}
"""Layers of the image branch by their numbers today and in version 4, where poolings counted."""

CONSTANTS = ("windows_PK", "profiles_KP")
"""Buffers that no training changes: today's are used."""


def same_weights(old: Path, new: Path, version: str) -> ModelContract:
    """Write the bundle ``new`` with the weights of ``old``, and return its contract."""
    model = onnx.load(old)
    contract = parse_contract({entry.key: entry.value for entry in model.metadata_props}, str(old))
    weights = {each.name: numpy_helper.to_array(each).copy() for each in model.graph.initializer}
    sealed = _sealed(contract, weights, _shift(model, weights))
    golden = golden_values(sealed, contract)
    contract = contract.model_copy(update={"version": version, "golden": golden})
    write_bundle(sealed, contract, new)
    return contract


def _sealed(contract: ModelContract, weights: Weights, shift: float) -> SealedNetwork:
    architecture = replace(ARCHITECTURES["hybrid"], columns=contract.table_columns)
    network = PhotozNetwork(architecture)
    state = {name: _value(name, value, weights) for name, value in network.state_dict().items()}
    network.load_state_dict(state)
    z_range = (contract.z_min, contract.z_max)
    return SealedNetwork(
        [network], weights["levels_QQ"].T.astype(np.float64), shift, z_range
    ).eval()


def _value(name: str, default: torch.Tensor, weights: Weights) -> torch.Tensor:
    """What the old bundle holds for a parameter of today's network."""
    layer = ".".join(name.split(".")[:2])
    old_name = "networks.0." + name.replace(layer, LAYERS.get(layer, layer), 1)
    stem, _, kind = old_name.rpartition(".1.")
    if old_name in weights and not name.endswith(CONSTANTS):
        return torch.tensor(weights[old_name]).reshape(default.shape)
    # The exporter had folded normalisations into the convolutions before them.
    if kind == "bias":
        return torch.tensor(weights[f"{stem}.0.weight_bias"])
    if kind == "weight":
        return torch.full_like(default, float(np.sqrt(1 + torch.nn.BatchNorm2d(1).eps)))
    return default


def _shift(model: onnx.ModelProto, weights: Weights) -> float:
    """The mean error that the graph takes off the point redshift, in units of 1 + z."""
    [output] = [node for node in model.graph.node if "z_phot" in node.output]
    [difference] = [node for node in model.graph.node if output.input[0] in node.output]
    [product] = [node for node in model.graph.node if difference.input[1] in node.output]
    return float(weights[product.input[1]])


if __name__ == "__main__":
    same_weights(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
