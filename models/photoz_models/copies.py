"""A bundle's graph changed by some tool (quantised, in half precision): sealed as a copy of it."""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from photoz_models.bundle import metadata_of
from photoz_models.contract import METADATA_KEY, Copied, ModelContract, parse_contract
from photoz_models.errors import BundleError
from photoz_models.golden import Outputs
from photoz_models.runtime import GraphRunError, read_model
from photoz_models.sealing import (
    check_place,
    golden_of,
    graph_session,
    made_up_galaxies,
    write_proven,
)
from photoz_models.session import PhotozModel, check_signature
from photoz_models.trial import check_answers
from photoz_models.wrapping.foreign import load_graph, opset

SEED = 78
NUMBER = 200
"""Of the made-up galaxies on which a copy is set beside its parent."""

LARGEST_SHIFT = 0.2
"""Of the half-width of the parent's 68% intervals; redshifts of a copy shift by less (medians).

What may stand in for its parent in a release shifts by a tenth of it (`photoz model equivalence`).
Beyond this limit it is another network.
"""


@dataclass(frozen=True)
class Shifts:
    """How far redshifts of made-up galaxies are from the parent's, and domain distances."""

    median_z: float
    largest_z: float
    largest_distance: float


def reseal(graph: Path, parent: Path, out: Path) -> tuple[ModelContract, Shifts]:
    """Write the bundle ``out``: ``graph`` with the contract of ``parent`` and golden values anew.

    Test statistics are left out, as nobody measured them with the copy.

    Raises
    ------
    BundleError
        If the graph cannot be read or computed, has the contract of another bundle, takes or gives
        something else than ``parent``, answers as another network does, or is no sound bundle.
    OSError
        If ``out`` cannot be written.
    """
    check_place(out)
    original = PhotozModel.load(parent, provider="cpu")
    content = read_model(graph)
    _check_origin(content, graph, parent, original.contract)
    model = load_graph(graph)
    try:
        session = graph_session(model, "it does not run")
        check_signature(session, original.contract, str(graph))
        golden = golden_of(session, original.contract, "it does not run")
    except GraphRunError as error:
        raise BundleError(f"{graph}: {error}") from error
    copied = Copied(parent=original.digest, graph=hashlib.sha256(content).hexdigest())
    version = original.contract.version
    update = {
        "version": f"{version}{'.' if '+' in version else '+'}copy.{copied.graph[:8]}",
        "opset": opset(model) or original.contract.opset,
        "test_metrics": {},
        "golden": golden,
        "copied": copied,
    }
    contract = original.contract.model_copy(update=update)
    shifts = write_proven(model, contract, out, partial(_shifts, original, graph), graph)
    return contract, shifts


def _check_origin(content: bytes, graph: Path, parent: Path, contract: ModelContract) -> None:
    """Tools keep the metadata: a copy that has a contract has that of its parent."""
    metadata = metadata_of(content, str(graph))
    if METADATA_KEY not in metadata:
        return
    own = parse_contract(metadata, str(graph))
    if own != contract:
        raise BundleError(
            f"{graph}: has the contract of {own.name}, version {own.version}, which is not that of"
            f" {parent}: name the bundle that it is a copy of"
        )


def _shifts(original: PhotozModel, graph: Path, copy: PhotozModel) -> Shifts:
    """How far a copy is from its parent, if it is sound and the same network."""
    known = check_answers(original)
    for remark in check_answers(copy):
        if remark not in known:
            raise BundleError(f"{graph}: {remark.partition(':')[0]}, unlike those of its parent")
    inputs = made_up_galaxies(original.contract, SEED, NUMBER)
    before, after = original.predict(*inputs), copy.predict(*inputs)
    if any(
        not np.array_equal(np.isfinite(old), np.isfinite(new))
        for old, new in zip(before, after, strict=True)
    ):
        raise BundleError(f"{graph}: it gives numbers to other galaxies than its parent does")
    shift_N, _, distance_N = (
        np.abs(new - old)[np.isfinite(old)] for old, new in zip(before, after, strict=True)
    )
    allowed = LARGEST_SHIFT * _half_width(before, original.contract.quantile_levels)
    median = float(np.median(shift_N))
    if not median <= allowed:
        raise BundleError(
            f"{graph}: redshifts shift by {median:.2g} (median; of a copy at most {allowed:.2g}):"
            " it is no copy of its parent, but another network"
        )
    return Shifts(median, float(shift_N.max()), float(distance_N.max(initial=0)))


def _half_width(outputs: Outputs, levels: tuple[float, ...]) -> float:
    """Median half-width of the central 68%, or of what the levels hold of it."""
    quantiles_NQ = outputs[1][np.isfinite(outputs[1]).all(axis=1)]
    ends = [[np.interp(level, levels, row) for row in quantiles_NQ] for level in (0.16, 0.84)]
    return float(np.median(np.subtract(ends[1], ends[0]))) / 2
