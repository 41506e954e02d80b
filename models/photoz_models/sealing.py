"""The last steps of a bundle that is made of a graph: golden values, contract, proof, name."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import onnx

from photoz_models.contract import MAGNITUDES, OUTPUTS, STAMPS, ModelContract, write_contract
from photoz_models.errors import BundleError
from photoz_models.golden import Golden, Inputs, Outputs, golden_inputs, record
from photoz_models.providers import CPU, FATAL_ONLY
from photoz_models.runtime import GraphRunError, one_line
from photoz_models.session import PhotozModel
from photoz_models.stamp_rule import StampRule

T = TypeVar("T")


def check_place(out: Path) -> None:
    """Refuse a place that a bundle cannot be written to, and one where a file is lost by it."""
    if not out.parent.is_dir():
        raise BundleError(f"{out}: the folder {out.parent} does not exist")
    if out.is_dir():
        raise BundleError(f"{out}: is a folder; name a file")
    if out.exists():
        raise BundleError(f"{out}: it is there already; delete it, or name another file")


def made_up_galaxies(rule: StampRule, seed: int, number: int) -> Inputs:
    """`golden_inputs` as a bundle with this rule takes them."""
    bands = len(rule.image_bands), len(rule.magnitude_bands)
    return golden_inputs(seed, number, *bands, rule.stamp_size, len(rule.seeing_bands))


def graph_session(model: Any, what: str) -> Any:
    """ONNX Runtime on the CPU for a model that has no contract yet.

    Raises
    ------
    GraphRunError
        If it cannot be computed; ``what`` begins the message.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    with one_line(what, GraphRunError):
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[CPU])


def answers(session: Any, names: list[str], inputs: Inputs, what: str) -> list[Any]:
    """Outputs ``names`` of a session for stamps and table, of which it takes what it wants."""
    feeds = dict(zip((STAMPS, MAGNITUDES), inputs, strict=True))
    wanted = [node.name for node in session.get_inputs()]
    with one_line(what, GraphRunError):
        return list(session.run(names, {name: feeds[name] for name in wanted}))


def golden_of(session: Any, contract: ModelContract, what: str) -> Golden:
    """What a graph gives for the galaxies of a contract's golden values."""
    golden = contract.golden
    inputs = made_up_galaxies(contract, golden.seed, golden.number)
    z_N, quantiles_NQ, distance_N = answers(session, list(OUTPUTS), inputs, what)
    outputs: Outputs = (z_N, quantiles_NQ, distance_N)
    return record(golden.seed, outputs)


def write_proven(
    model: Any,
    contract: ModelContract,
    out: Path,
    prove: Callable[[PhotozModel], T],
    named: Path | None = None,
) -> T:
    """Write a bundle, which gets its name when it has proved to be one, and return the proof.

    Parameters
    ----------
    model
        The graph.
    prove
        Raises if the bundle is not what it should be.
    named
        The file that messages name, if not ``out``.
    """
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        sealed = Path(scratch) / out.name
        onnx.save(model, sealed)
        write_contract(sealed, contract, sealed)
        try:
            proof = prove(PhotozModel.load(sealed, provider="cpu"))
        except BundleError as error:
            raise BundleError(str(error).replace(str(sealed), str(named or out))) from error
        sealed.replace(out)
    return proof
