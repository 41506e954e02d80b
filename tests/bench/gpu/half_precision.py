"""A bundle's graph with the image branch in float16.

The converter of ONNX Runtime (1.31) leads every tensor between two nodes through float16, those of
its block list, too: pixels of 1e-12 maggies become 0, and sums over a stamp infinite.
"""

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

HALVED = ("Conv", "Relu", "MaxPool")


def image_branch(model: Any) -> Any:
    """Convolutions, and what lies between them, in float16; casts before and behind.

    Parameters
    ----------
    model : onnx.ModelProto
        Changed in place.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    halved: set[str] = set()
    nodes = []
    for node in graph.node:
        joins = node.op_type == "Concat" and set(node.input) <= halved
        in_branch = node.op_type in HALVED or joins
        for index, name in enumerate(node.input):
            if in_branch and name in weights:
                _halve(weights[name])
            elif in_branch != (name in halved) and name not in weights:
                wanted = TensorProto.FLOAT16 if in_branch else TensorProto.FLOAT
                cast = f"{node.name}_{index}_cast"
                nodes.append(helper.make_node("Cast", [name], [cast], name=cast, to=wanted))
                node.input[index] = cast
        nodes.append(node)
        if in_branch:
            halved |= set(node.output)
    graph.ClearField("node")
    graph.ClearField("value_info")
    graph.node.extend(nodes)
    return model


def _halve(tensor: Any) -> None:
    values = numpy_helper.to_array(tensor).astype(np.float16)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
