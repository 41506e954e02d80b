"""Put somebody else's ONNX graph into a bundle: its preprocessing becomes nodes of the graph.

What it gives becomes a redshift and quantiles. A bundle is written only if it then does what every
bundle must: give its golden values in all company, and answer for all kinds of galaxies.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_models.calibration import level_matrix
from photoz_models.contract import (
    OUTPUTS,
    Domain,
    ModelContract,
    Wrapped,
)
from photoz_models.errors import BundleError
from photoz_models.examples import Examples
from photoz_models.golden import Inputs, Outputs, record
from photoz_models.independence import (
    BAKED,
    BATCH,
    COMPANIONS,
    brightened,
    check_rows,
    dependence,
    likely_maker,
    signs_in,
)
from photoz_models.runtime import GraphRunError, read_model
from photoz_models.sealing import (
    answers,
    check_place,
    graph_session,
    made_up_galaxies,
    write_proven,
)
from photoz_models.stamp_rule import StampRule
from photoz_models.trial import check_answers, check_influence
from photoz_models.wrapping.assembly import Foreign, assembled, compose, prepared, untyped
from photoz_models.wrapping.exporters import check_losses
from photoz_models.wrapping.foreign import (
    PREFIX,
    column_range,
    opset,
    read_foreign,
    references,
)
from photoz_models.wrapping.heads import FAR_SIGMAS, levels_of
from photoz_models.wrapping.nodes import Nodes
from photoz_models.wrapping.spec import LARGEST_Z, WrapSpec, checked, read_spec

__all__ = ["WrapSpec", "read_spec", "wrap"]

CANNOT = "the wrapped graph does not run"

GOLDEN_SEED = 1609
GOLDEN_NUMBER = 12

FREE = {"z_min": -0.999, "z_max": LARGEST_Z}
"""Limits of redshift that hide nothing."""

USUAL_BATCHES = (1, 2, 8, 10, 12, 16, 32, 50, 64, 100, 128, 256)
"""Batch sizes that are found baked into graphs."""

FEWEST_PAIRS = 200
"""Galaxies with which quantiles can be calibrated: the outermost levels are 0.01 and 0.99."""


def wrap(
    graph: Path,
    spec: WrapSpec,
    out: Path,
    calibration: Examples | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> ModelContract:
    """Write the bundle ``out`` from the ONNX file ``graph`` and return its contract.

    Parameters
    ----------
    calibration
        Labelled galaxies, which the network was not trained on, by which the quantiles are
        calibrated.
    say
        Is told what is strange and yet possible.

    Raises
    ------
    BundleError
        If the graph cannot be read, does not fit the specification, does not run, or is no sound
        network: the redshift of a row depends on other rows, or on nothing at all.
    OSError
        If ``out`` cannot be written.
    """
    spec = checked(spec)
    check_place(out)
    try:
        return _wrap(graph, spec, out, calibration, say)
    except GraphRunError as error:
        raise BundleError(f"{graph}: {error}") from error


def _wrap(
    graph: Path,
    spec: WrapSpec,
    out: Path,
    calibration: Examples | None,
    say: Callable[[str], None],
) -> ModelContract:
    sha256 = hashlib.sha256(read_model(graph)).hexdigest()
    model = read_foreign(graph, spec)
    check_losses(model, spec, graph)
    foreign = Foreign(model, _axes(model, spec, graph))
    matrix_QQ = None if calibration is None else _calibrated(foreign, spec, calibration)
    _check_without_limits(foreign, spec.model_copy(update=FREE), graph)
    composed = compose(foreign, spec, matrix_QQ)
    golden = _run(composed, made_up_galaxies(spec, GOLDEN_SEED, GOLDEN_NUMBER))
    contract = _contract(foreign, spec, golden)
    facts = _wrapped(spec, sha256, calibration)
    contract = contract.model_copy(update={"wrapped": facts})
    for remark in write_proven(composed, contract, out, check_answers, graph):
        say(f"{graph}: {remark}")
    return contract


def _axes(model: Any, spec: WrapSpec, graph: Path) -> dict[str, int]:
    """Run the graph behind its preparation; the number of axes of each output that is named."""
    names = [value.name for value in model.graph.output]
    used = [column_range(reference, names) for reference in references(spec)]
    wanted = list(dict.fromkeys(name for name, _ in used))
    before, _ = prepared(model, spec)
    values = [untyped(value) for value in model.graph.output if value.name in wanted]
    probe = assembled(model, spec, before, Nodes("after"), values)
    outputs = [PREFIX + name for name in wanted]
    try:
        given = _session_run(probe, outputs, made_up_galaxies(spec, 3, 6))
    except GraphRunError as error:
        raise _with_baked_batch(probe, outputs, spec, error) from error
    columns = {}
    for name, answer in zip(wanted, given, strict=True):
        if not isinstance(answer, np.ndarray) or answer.dtype.kind not in "fiu":
            raise BundleError(
                f"{graph}: the output {name!r} is no array of numbers (scikit-learn's"
                " classifiers: convert them with zipmap=False)"
            )
        if answer.ndim == 0 or len(answer) != 6:
            raise BundleError(
                f"{graph}: the output {name!r} has shape {answer.shape} for 6 galaxies"
            )
        columns[name] = answer.reshape(6, -1).shape[1]
    _check_columns(spec, columns, graph)
    return {name: answer.ndim for name, answer in zip(wanted, given, strict=True)}


def _with_baked_batch(
    probe: Any, outputs: list[str], spec: WrapSpec, error: GraphRunError
) -> BundleError:
    """The same error, or a better one if the graph runs with another number of rows."""
    for number in USUAL_BATCHES:
        try:
            _session_run(probe, outputs, made_up_galaxies(spec, 3, number))
        except GraphRunError:
            continue
        return GraphRunError(f"it runs with {number} galaxies and not with 6: {BAKED}")
    return error


def _check_without_limits(foreign: Foreign, spec: WrapSpec, graph: Path) -> None:
    """Limits of redshift could hide that rows depend on each other, or that none differ."""
    composed = compose(foreign, spec)
    session = graph_session(composed, CANNOT)
    inputs = made_up_galaxies(spec, GOLDEN_SEED, GOLDEN_NUMBER)

    def predict(stamps_NCHW: NDArray[np.float32], table_NT: NDArray[np.float32]) -> Outputs:
        z_N, quantiles_NQ, distance_N = answers(
            session, list(OUTPUTS), (stamps_NCHW, table_NT), CANNOT
        )
        return z_N, quantiles_NQ, distance_N

    outputs = predict(*inputs)
    if not np.isfinite(outputs[0]).any():
        raise BundleError(f"{graph}: the network gives no redshift to any of the golden galaxies")
    check_influence(outputs[0], graph)
    companions = brightened(made_up_galaxies(spec, GOLDEN_SEED + 2, COMPANIONS))
    problem = check_rows(predict, record(GOLDEN_SEED, outputs), inputs, companions)
    if problem:
        maker = likely_maker(signs_in(composed.SerializeToString()), problem)
        raise BundleError(dependence(graph, problem, maker))


def _check_columns(spec: WrapSpec, present: dict[str, int], graph: Path) -> None:
    """Each output must have as many columns as the head needs."""
    number = {}
    for reference in references(spec):
        name, columns = column_range(reference, list(present))
        if columns is not None and columns.stop > present[name]:
            raise BundleError(f"{graph}: {reference!r}: the output has {present[name]} columns")
        number[reference] = present[name] if columns is None else columns.stop - columns.start
    wanted = {
        "z": 1,
        "gaussian": 1,
        "mixture": number[spec.output],
        "quantiles": len(spec.levels),
        "histogram": len(spec.edges) - 1,
    }[spec.head]
    for reference, found in number.items():
        if found != wanted:
            raise BundleError(
                f"{graph}: {reference!r} has {found} columns, a head {spec.head!r} wants {wanted};"
                " columns are named as in z[0] or z[0:5]"
            )


def _run(model: Any, inputs: Inputs) -> Outputs:
    z_N, quantiles_NQ, distance_N = _session_run(model, list(OUTPUTS), inputs)
    return z_N, quantiles_NQ, distance_N


def _session_run(model: Any, names: list[str], inputs: Inputs) -> list[Any]:
    return answers(graph_session(model, CANNOT), names, inputs, CANNOT)


def _calibrated(foreign: Foreign, spec: WrapSpec, examples: Examples) -> NDArray[np.float64]:
    """The matrix that makes quantiles cover what they promise, on labelled galaxies."""
    if len(examples) < FEWEST_PAIRS:
        raise BundleError(
            f"{examples.facts.name} has {len(examples)} galaxies; at least {FEWEST_PAIRS}"
            " are needed to calibrate quantiles"
        )
    ours = examples.narrowed(spec.image_bands, spec.magnitude_bands)
    model = compose(foreign, spec.model_copy(update=FREE))
    parts = [
        _run(model, (ours.stamps_NCHW[rows], ours.table_NT[rows]))
        for rows in np.split(np.arange(len(ours)), range(BATCH, len(ours), BATCH))
    ]
    quantiles_NQ = np.concatenate([part[1] for part in parts])
    usable_N = np.isfinite(quantiles_NQ).all(axis=1) & np.isfinite(ours.z_N)
    return level_matrix(quantiles_NQ[usable_N], ours.z_N[usable_N], levels_of(spec))


def _wrapped(spec: WrapSpec, sha256: str, calibration: Examples | None) -> Wrapped:
    stretch = "none"
    if spec.stretch == "percentile":
        low, high = spec.percentiles
        stretch = f"percentiles {low:g} and {high:g}, epsilon {spec.epsilon:g}"
    return Wrapped(
        sha256=sha256,
        layout=spec.layout,
        flux_scale=spec.flux_scale,
        stretch=stretch,
        magnitude_mean=spec.magnitude_mean,
        magnitude_scale=spec.magnitude_scale,
        standardised=spec.standardised,
        missing=str(spec.missing),
        target=spec.target,
        head=spec.head,
        calibrated_on="" if calibration is None else calibration.facts.name,
    )


def _contract(foreign: Foreign, spec: WrapSpec, golden: Outputs) -> ModelContract:
    rule = {name: getattr(spec, name) for name in StampRule.model_fields}
    meaning = "not known: the network reads no magnitudes"
    if spec.magnitude_bands:
        distance = "largest distance of a magnitude from the training set's mean"
        meaning = f"{distance}, in {FAR_SIGMAS:g} standard deviations"
    return ModelContract(
        **rule,
        name=spec.name,
        version=spec.version,
        licence=spec.licence,
        z_min=spec.z_min,
        z_max=spec.z_max,
        training=spec.training,
        network=f"wrapped: {foreign.model.graph.name or 'unnamed'}",
        multiply_adds=0,
        opset=opset(foreign.model) or 0,
        quantile_levels=levels_of(spec),
        domain=Domain(meaning=meaning, fraction_inside=None),
        test_metrics={},
        golden=record(GOLDEN_SEED, golden),
    )
