"""Nodes of a graph in the making, in operators that opsets from 13 on have in common."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from onnx import TensorProto, helper, numpy_helper

OLDEST_OPSET = 13


class Nodes:
    """Nodes and constants in the making; each method returns the name of its result."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: ArrayLike, dtype: DTypeLike = np.float32) -> str:
        """A constant; float32 unless ``dtype`` says otherwise."""
        name = f"{self.place}_constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, dtype=dtype), name))
        return name

    def integers(self, *values: int) -> str:
        """A constant list of int64, such as axes and shapes."""
        return self.constant(values, np.int64)

    def add(
        self, kind: str, *inputs: str, out: str | None = None, outputs: int = 1, **attributes: Any
    ) -> str:
        """A node of ``kind``; the first of its outputs is called ``out``."""
        name = out or f"{self.place}_{kind}_{len(self.nodes)}"
        names = [name, *(f"{name}_{k}" for k in range(1, outputs))]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return name

    def sum(self, values: str, axis: int) -> str:
        """The sum over ``axis``, which is kept."""
        return self.add("ReduceSum", values, self.integers(axis), keepdims=1)

    def extreme(self, values: str, largest: bool) -> str:
        """The largest or smallest along the last axis, which is kept."""
        return self.add("TopK", values, self.integers(1), outputs=2, axis=-1, largest=int(largest))


def float_value(name: str, *shape: int | str) -> Any:
    """An input or output of float32."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
