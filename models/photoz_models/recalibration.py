"""A bundle whose quantiles cover what they promise: a map of levels behind those of another one.

Axes: N galaxies, Q quantiles, K knots in magnitude and, last, one for galaxies without magnitude.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from photoz_models.contract import MAGNITUDES, OUTPUTS, ModelContract, Recalibration
from photoz_models.errors import BundleError
from photoz_models.level_map import (
    BAND,
    FAINTEST,
    INTERVALS,
    HeldOut,
    LabelledQuantiles,
    LevelMap,
    fit,
)
from photoz_models.sealing import check_place, golden_of, graph_session, write_proven
from photoz_models.session import PhotozModel
from photoz_models.trial import check_answers
from photoz_models.wrapping.nodes import Nodes

CANNOT = "the recalibrated graph does not run"


def recalibrate(
    bundle: Path, labelled: LabelledQuantiles, out: Path, measured: list[HeldOut]
) -> ModelContract:
    """Write the bundle ``out``: the graph of ``bundle`` and, behind its quantiles, the map.

    The point redshift and the domain distance are those of ``bundle``.

    Parameters
    ----------
    measured
        What `held_out` gives, for the contract.

    Raises
    ------
    BundleError
        If the bundle was recalibrated before, or there are too few galaxies.
    OSError
        If ``out`` cannot be written.
    """
    check_place(out)
    parent = PhotozModel.load(bundle, provider="cpu")
    refuse_second(parent, bundle)
    level_map = fit(labelled, parent.contract.quantile_levels)
    model = onnx.load(bundle)
    _append(model.graph, level_map, parent.contract)
    contract = _contract(parent, labelled, level_map, measured, model)
    write_proven(model, contract, out, check_answers)
    return contract


def refuse_second(model: PhotozModel, bundle: Path) -> None:
    """A recalibrated bundle is not recalibrated again: its parent is."""
    earlier = model.contract.recalibrated
    if earlier is not None:
        raise BundleError(
            f"{bundle}: is recalibrated already, on {earlier.pairs}; recalibrate its parent"
            f" (sha256 {earlier.parent[:12]}...)"
        )


def _append(graph: Any, level_map: LevelMap, contract: ModelContract) -> None:
    """Put the map behind the quantiles of a graph, in place."""
    own = "parent_" + OUTPUTS[1]
    _rename(graph, OUTPUTS[1], own)
    g = Nodes("recalibration")
    each_KNQ = g.add("MatMul", own, g.constant(level_map.matrices_KQQ.transpose(0, 2, 1)))
    if level_map.knots:
        shares_KN1 = _shares(g, level_map.knots, contract.magnitude_bands.index(BAND))
        each_KNQ = g.add("Mul", each_KNQ, shares_KN1)
    mapped = g.add("ReduceSum", each_KNQ, g.integers(0), keepdims=0)
    # Equal quantiles can change places by rounding.
    number = g.integers(len(contract.quantile_levels))
    ordered = g.add("TopK", mapped, number, outputs=2, axis=1, largest=0)
    missing = g.add("IsNaN", ordered)
    clipped = g.add("Clip", ordered, g.constant(contract.z_min), g.constant(contract.z_max))
    # Clipping may make a number of NaN; a missing quantile has to stay missing.
    g.add("Where", missing, g.constant(np.nan), clipped, out=OUTPUTS[1])
    graph.node.extend(g.nodes)
    graph.initializer.extend(g.constants)


def _shares(g: Nodes, knots: tuple[float, ...], column: int) -> str:
    """`shares_of_knots` as nodes, shape (K, N, 1)."""
    r_N1 = g.add("Gather", MAGNITUDES, g.integers(column), axis=1)
    # Not a number is not below the limit.
    known_N1 = g.add("Less", g.add("Abs", r_N1), g.constant(FAINTEST))
    filled_N1 = g.add("Where", known_N1, r_N1, g.constant(knots[0]))
    known_N1 = g.add("Cast", known_N1, to=TensorProto.FLOAT)
    one = g.constant(1)
    passed = [one]
    for low, high in pairwise(knots):
        way = g.add("Div", g.add("Sub", filled_N1, g.constant(low)), g.constant(high - low))
        passed.append(g.add("Clip", way, g.constant(0), one))
    hats = [g.add("Sub", here, further) for here, further in pairwise(passed)]
    # The last hat is what was passed of the last interval; of one knot it is 1 for all.
    hats.append(passed[-1])
    shares = [g.add("Mul", hat, known_N1) for hat in hats]
    shares_NK = g.add("Concat", *shares, g.add("Sub", one, known_N1), axis=1)
    return g.add("Unsqueeze", g.add("Transpose", shares_NK, perm=[1, 0]), g.integers(2))


def _rename(graph: Any, old: str, new: str) -> None:
    """Call a value otherwise wherever nodes give or read it, in bodies of nodes too."""
    for node in graph.node:
        for names in (node.input, node.output):
            for k, name in enumerate(names):
                if name == old:
                    names[k] = new
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                _rename(body, old, new)


def _contract(
    parent: PhotozModel,
    labelled: LabelledQuantiles,
    level_map: LevelMap,
    measured: list[HeldOut],
    model: Any,
) -> ModelContract:
    contract = parent.contract
    shares = {}
    for name in INTERVALS if measured else ():
        shares[f"{name}_before"] = measured[0].before[name]
        shares[f"{name}_after"] = measured[0].after[name]
    facts = Recalibration(
        parent=parent.digest,
        pairs=labelled.name,
        digest=labelled.digest,
        number=len(labelled),
        tiles=len(np.unique(labelled.tile_N)),
        magnitudes=level_map.knots,
        held_out=shares,
    )
    # What the test set said of the parent's intervals is no longer so.
    kept = {name: x for name, x in contract.test_metrics.items() if not name.startswith("coverage")}
    update = {
        "version": f"{contract.version}+recalibrated.{labelled.digest[:8]}",
        "test_metrics": kept,
        "golden": golden_of(graph_session(model, CANNOT), contract, CANNOT),
        "recalibrated": facts,
    }
    return contract.model_copy(update=update)
