"""A row's redshift may not depend on the rows beside it: shown with rows in several company.

A run feeds `BATCH` rows at a time, the last of them filled up with NaN. What a graph computes from
the batch as a whole would change with every selection of galaxies.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photoz_models.golden import (
    Golden,
    Inputs,
    Outputs,
    in_given_order,
    largest_difference,
    uniform,
)
from photoz_models.runtime import GraphRunError

BATCH = 256
"""Sources that a run cuts and infers together; every batch is padded to it."""

COMPANIONS = 52
"""Other galaxies among which the golden ones are set."""

BRIGHTER = 5.0
"""Magnitudes by which half of the companions are brighter: batch statistics move far."""

DYNAMIC = (b"DynamicQuantize", b"MatMulIntegerToFloat")
RANDOM = (b"RandomNormal", b"RandomUniform", b"Bernoulli", b"Multinomial")
DROPOUT = b"Dropout"
BATCH_NORMALIZATION = b"BatchNormalization"
TRAINING_MODE = b"training_mode\x18\x01"
"""The attribute ``training_mode = 1`` as protobuf writes it."""

SIGNS = (*DYNAMIC, *RANDOM, DROPOUT, BATCH_NORMALIZATION, TRAINING_MODE)

BAKED = (
    "a batch size is baked into the graph: export it with a free first axis"
    " (torch: dynamic_shapes or dynamic_axes; Keras: an input of shape (None, ...))"
)

Predict = Callable[[NDArray[np.float32], NDArray[np.float32]], Outputs]


@dataclass(frozen=True)
class Arrangement:
    """Batches that hold each golden row once, and where the answers to these rows are.

    Attributes
    ----------
    words
        How the rows are laid, to go on from "z differs by x when ...".
    batches
        Inputs, and of each the places of the golden rows in it.
    order_N
        Golden row of each answer, all batches one after the other.
    """

    words: str
    batches: tuple[tuple[Inputs, NDArray[np.int64]], ...]
    order_N: NDArray[np.int64]


def arrangements(inputs: Inputs, companions: Inputs) -> Iterator[Arrangement]:
    """The golden rows in another order, in parts, alone, padded as a run pads, in company."""
    number = len(inputs[0])
    every_N = np.arange(number)
    shuffled_N = np.argsort(uniform(number, number), kind="stable")
    if np.array_equal(shuffled_N, every_N):
        shuffled_N = every_N[::-1]
    third = max(1, number // 3)
    parts = (every_N[:third], every_N[third:])
    singles = tuple(every_N[k : k + 1] for k in every_N)
    yield _parted("the same rows are computed once more", inputs, (every_N,))
    yield _parted("the rows come in another order", inputs, (shuffled_N,))
    yield _parted("the rows come in two parts", inputs, parts)
    yield _parted("the rows come one by one", inputs, singles)
    yield _filled("the batch is filled up with NaN", inputs, _blank(inputs, BATCH - number))
    yield _filled("other galaxies are in the batch", inputs, companions)


def check_rows(predict: Predict, golden: Golden, inputs: Inputs, companions: Inputs) -> str:
    """What changes the redshift of a row beyond the tolerance, or nothing.

    Parameters
    ----------
    predict
        The graph.
    golden
        Expected outputs; they came back for ``inputs`` as one batch.
    inputs, companions
        The golden rows, and other galaxies.

    Returns
    -------
    str
        Words that go on from "the redshift of a row depends on the rows beside it: "; empty if
        rows are independent.
    """
    for arrangement in arrangements(inputs, companions):
        try:
            outputs = _answers(predict, arrangement)
        except GraphRunError as error:
            return f"it cannot be computed when {arrangement.words} ({error})"
        in_z, in_domain = largest_difference(golden, outputs)
        if in_z > golden.tolerance_z:
            return f"z differs by {in_z:.2g} when {arrangement.words}"
        if in_domain > golden.tolerance_domain:
            return f"the domain distance differs by {in_domain:.2g} when {arrangement.words}"
    return ""


def signs_in(content: bytes) -> frozenset[bytes]:
    """Which of `SIGNS` an ONNX file has: names in its bytes, so that no parser is needed."""
    return frozenset(sign for sign in SIGNS if sign in content)


def likely_maker(signs: frozenset[bytes], problem: str) -> str:
    """What probably makes rows depend on each other, and what to do.

    Parameters
    ----------
    signs
        Of the file, see `signs_in`.
    problem
        The answer of `check_rows`.
    """
    varies = "once more" in problem
    if "cannot be computed" in problem:
        return BAKED
    if signs & set(DYNAMIC):
        return (
            "onnxruntime's quantize_dynamic takes the scale of activations from the batch:"
            " use quantize_static"
        )
    if BATCH_NORMALIZATION in signs and TRAINING_MODE in signs:
        return "BatchNormalization is in training mode: export it for inference (model.eval())"
    if DROPOUT in signs:
        return "Dropout is in training mode: export it for inference (model.eval())"
    if varies or signs & set(RANDOM):
        return "the graph draws random numbers: export it for inference"
    return (
        "the graph takes a mean or another statistic over the batch, as BatchNormalization in"
        " training mode or a scaler that is fitted at prediction do"
    )


def dependence(where: object, problem: str, maker: str) -> str:
    """The whole message, on the file ``where``."""
    return f"{where}: the redshift of a row depends on the rows beside it: {problem}; {maker}"


def _parted(words: str, inputs: Inputs, parts: tuple[NDArray[np.int64], ...]) -> Arrangement:
    stamps_NCHW, table_NT = inputs
    batches = tuple(((stamps_NCHW[rows], table_NT[rows]), np.arange(len(rows))) for rows in parts)
    return Arrangement(words, batches, np.concatenate(parts))


def _filled(words: str, inputs: Inputs, others: Inputs) -> Arrangement:
    """Golden rows first, in one batch with others."""
    stamps_NCHW, table_NT = (
        np.concatenate([ours, theirs]) for ours, theirs in zip(inputs, others, strict=True)
    )
    every_N = np.arange(len(inputs[0]))
    return Arrangement(words, (((stamps_NCHW, table_NT), every_N),), every_N)


def _blank(inputs: Inputs, number: int) -> Inputs:
    stamps_NCHW, table_NT = (
        np.full((max(0, number), *array.shape[1:]), np.nan, np.float32) for array in inputs
    )
    return stamps_NCHW, table_NT


def brightened(companions: Inputs) -> Inputs:
    """The same galaxies, every second one five magnitudes brighter."""
    stamps_NCHW, table_NT = (np.array(array) for array in companions)
    stamps_NCHW[::2] *= np.float32(10 ** (0.4 * BRIGHTER))
    table_NT[::2] -= np.float32(BRIGHTER)
    return stamps_NCHW, table_NT


def _answers(predict: Predict, arrangement: Arrangement) -> Outputs:
    parts = []
    for inputs, places in arrangement.batches:
        outputs = predict(*inputs)
        parts.append(tuple(output[places] for output in outputs))
    z_N, quantiles_NQ, distance_N = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return in_given_order((z_N, quantiles_NQ, distance_N), arrangement.order_N)
