"""What an exporter loses without a word: such a graph answers otherwise than its model."""

from pathlib import Path
from typing import Any

from photoz_models.errors import BundleError
from photoz_models.wrapping.foreign import nodes_of
from photoz_models.wrapping.spec import WrapSpec

FILLS = {"Imputer", "IsNaN"}
"""Operators by which a graph fills gaps itself."""

WEIGHTS = ("TopK", "Mul", "Max", "Reciprocal")
"""Neighbours' weights as skl2onnx 1.20 writes them: distances times -1, and at least 1e-6."""


def check_losses(model: Any, spec: WrapSpec, path: Path) -> None:
    """Refuse what skl2onnx 1.20 and onnxmltools 1.16 write otherwise than the model computes.

    Raises
    ------
    BundleError
        If trees have lost where NaN goes and would be fed NaN, neighbours their weights, or an
        output all of its trees.
    """
    _check_targets(model, path)
    if model.producer_name != "skl2onnx":
        return
    if spec.missing == "nan" and _trees_without_a_way_for_nan(model):
        raise BundleError(
            f'{path}: missing = "nan": skl2onnx left out which way the trees send a missing'
            " magnitude; train with a number in its place and name that (missing = 99.0)"
        )
    if _neighbours_of_equal_weight(model):
        raise BundleError(
            f'{path}: skl2onnx gives all neighbours the same weight, where weights="distance" was'
            " learned; train with uniform weights, or write the graph by other means"
        )


def _check_targets(model: Any, path: Path) -> None:
    """Refuse columns to which no tree adds, as of XGBoost's quantiles by onnxmltools."""
    for node in nodes_of(model):
        of_node = {attribute.name: attribute for attribute in node.attribute}
        if node.op_type != "TreeEnsembleRegressor" or "n_targets" not in of_node:
            continue
        number, used = of_node["n_targets"].i, set(of_node["target_ids"].ints)
        if len(used) < number:
            raise BundleError(
                f"{path}: {number - len(used)} of the {number} columns of its trees have none, as"
                " onnxmltools writes XGBoost's several quantiles; train one model for each"
            )


def _trees_without_a_way_for_nan(model: Any) -> bool:
    operators = {node.op_type for node in nodes_of(model)}
    trees = any(operator.startswith("TreeEnsemble") for operator in operators)
    ways = [
        way
        for node in nodes_of(model)
        for attribute in node.attribute
        if attribute.name == "nodes_missing_value_tracks_true"
        for way in attribute.ints
    ]
    return trees and not any(ways) and not operators & FILLS


def _neighbours_of_equal_weight(model: Any) -> bool:
    makers = {name: node for node in nodes_of(model) for name in node.output}
    return any(_chain(node, makers) == WEIGHTS for node in nodes_of(model))


def _chain(node: Any, makers: dict[str, Any]) -> tuple[str, ...]:
    """Operators of a node and of the three before it, each by its first input."""
    operators = [node.op_type]
    while len(operators) < len(WEIGHTS) and node.input and node.input[0] in makers:
        node = makers[node.input[0]]
        operators.insert(0, node.op_type)
    return tuple(operators)
