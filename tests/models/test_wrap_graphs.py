"""Valid graphs stay valid in a bundle, whatever they are made of."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from photoz_models.errors import BundleError
from photoz_models.golden import golden_inputs
from photoz_models.session import PhotozModel
from photoz_models.wrap import WrapSpec, wrap
from support.foreign import MEANS, NODE, SCALES, TRAINING, model_of

TABLE = golden_inputs(5, 30, 0, 9, 36)
SLOPE = np.random.default_rng(1).normal(0, 0.05, (9, 1)).astype(np.float32)
Z0 = np.float32([[0.3]])
SPEC = WrapSpec(
    name="theirs",
    licence="none",
    magnitude_input="mags",
    output="z",
    magnitude_mean=MEANS,
    magnitude_scale=SCALES,
    target="z",
    scatter=0.02,
    training=TRAINING,
)


def expected() -> np.ndarray:
    standard_NB = np.nan_to_num((TABLE[1] - np.array(MEANS)) / np.array(SCALES))
    return np.clip(standard_NB @ SLOPE[:, 0] + Z0[0, 0], 0, 1)


def answers(graph: Path, tmp_path: Path, spec: WrapSpec = SPEC) -> np.ndarray:
    wrap(graph, spec, tmp_path / "bundle.onnx")
    return PhotozModel.load(tmp_path / "bundle.onnx", "cpu", threads=1).predict(*TABLE)[0]


def linear(opset: int = 18) -> onnx.ModelProto:
    nodes = [NODE("MatMul", ["mags", "slope"], ["sum"]), NODE("Add", ["sum", "z0"], ["z"])]
    constants = {"slope": SLOPE, "z0": Z0}
    return model_of(nodes, constants, {"mags": ("N", 9)}, {"z": ("N", 1)}, opset)


def value(name: str, *shape: int | str, kind: int = TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def with_if() -> onnx.ModelProto:
    """A body of ``If`` that uses the outer initializers ``slope`` and ``z0``, and outer values."""
    inner = helper.make_graph(
        [NODE("Add", ["sum", "z0"], ["then_z"])], "then", [], [value("then_z", "N", 1)]
    )
    other = helper.make_graph(
        [NODE("Neg", ["sum"], ["else_z"])], "else", [], [value("else_z", "N", 1)]
    )
    nodes = [
        NODE("MatMul", ["mags", "slope"], ["sum"]),
        NODE("If", ["yes"], ["z"], then_branch=inner, else_branch=other),
    ]
    yes = helper.make_node(
        "Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True), "t")
    )
    constants = {"slope": SLOPE, "z0": Z0}
    model = model_of([yes, *nodes], constants, {"mags": ("N", 9)}, {"z": ("N", 1)})
    model.graph.initializer.append(numpy_helper.from_array(Z0, "z0"))
    return model


def with_loop() -> onnx.ModelProto:
    """A ``Loop`` that adds a ninth of ``z0`` nine times; its body has names of the outer graph."""
    body = helper.make_graph(
        [
            NODE("Div", ["z0", "nine"], ["part"]),
            NODE("Add", ["state", "part"], ["next"]),
            NODE("Identity", ["go"], ["go_on"]),
        ],
        "body",
        [
            value("k", kind=TensorProto.INT64),
            value("go", kind=TensorProto.BOOL),
            value("state", "N", 1),
        ],
        [value("go_on", kind=TensorProto.BOOL), value("next", "N", 1)],
    )
    nodes = [
        NODE("MatMul", ["mags", "slope"], ["sum"]),
        NODE("Loop", ["times", "", "sum"], ["z"], body=body),
    ]
    model = model_of(
        nodes, {"slope": SLOPE, "times": np.int64(9)}, {"mags": ("N", 9)}, {"z": ("N", 1)}
    )
    for name, array in (("z0", Z0), ("nine", np.float32(9))):
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model


def with_scan() -> onnx.ModelProto:
    """A ``Scan`` over the bands that sums m * slope; the mean offset is an outer initializer."""
    body = helper.make_graph(
        [
            NODE("Mul", ["band", "weight"], ["product"]),
            NODE("Mul", ["z0", "ninth"], ["part"]),
            NODE("Add", ["product", "part"], ["step"]),
            NODE("Add", ["state", "step"], ["next"]),
        ],
        "body",
        [value("state", "N", 1), value("band", "N", 1), value("weight", 1, 1)],
        [value("next", "N", 1)],
    )
    nodes = [
        NODE("Transpose", ["mags"], ["turned"], perm=[1, 0]),
        NODE("Unsqueeze", ["turned", "two"], ["bands"]),
        NODE("Mul", ["first", "zero"], ["start"]),
        NODE("Scan", ["start", "bands", "weights"], ["z"], body=body, num_scan_inputs=2),
    ]
    nodes.insert(2, NODE("Gather", ["mags", "column"], ["first"], axis=1))
    constants = {
        "two": np.int64([2]),
        "column": np.int64([0]),
        "zero": np.float32(0),
        "weights": SLOPE[:, :, None],
    }
    model = model_of(nodes, constants, {"mags": ("N", 9)}, {"z": ("N", 1)})
    for name, array in (("z0", Z0), ("ninth", np.float32(1 / 9))):
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model


def with_function() -> onnx.ModelProto:
    """The sum is a function, whose inner names are also those of the outer graph."""
    model = linear()
    del model.graph.node[:]
    function = helper.make_function(
        "their.own",
        "Line",
        ["z0", "mags", "slope"],
        ["z"],
        [NODE("MatMul", ["mags", "slope"], ["sum"]), NODE("Add", ["sum", "z0"], ["z"])],
        [helper.make_opsetid("", 18)],
    )
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("their.own", 1))
    model.graph.node.append(
        helper.make_node("Line", ["z0", "mags", "slope"], ["z"], domain="their.own")
    )
    return model


def with_our_names() -> onnx.ModelProto:
    """Names of the graph are those that a bundle has itself."""
    nodes = [
        NODE("MatMul", ["magnitudes", "stamps"], ["z_phot"]),
        NODE("Add", ["z_phot", "before_constant_0"], ["z"]),
    ]
    constants = {"stamps": SLOPE, "before_constant_0": Z0}
    return model_of(nodes, constants, {"magnitudes": ("N", 9)}, {"z": ("N", 1)})


GRAPHS = {
    "if": with_if,
    "loop": with_loop,
    "scan": with_scan,
    "function": with_function,
    "old opset": lambda: linear(7),
    "new opset": lambda: linear(27),
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_valid_graph_gives_what_it_gave(tmp_path, kind):
    model = GRAPHS[kind]()
    onnx.checker.check_model(model)
    onnx.save(model, tmp_path / "theirs.onnx")
    np.testing.assert_allclose(answers(tmp_path / "theirs.onnx", tmp_path), expected(), atol=2e-6)


def test_names_of_the_graph_may_be_those_of_a_bundle(tmp_path):
    onnx.save(with_our_names(), tmp_path / "theirs.onnx")
    spec = SPEC.model_copy(update={"magnitude_input": "magnitudes"})
    np.testing.assert_allclose(
        answers(tmp_path / "theirs.onnx", tmp_path, spec), expected(), atol=2e-6
    )


def test_a_newer_format_is_written_older(tmp_path):
    model = linear()
    model.ir_version = onnx.IR_VERSION
    onnx.save(model, tmp_path / "theirs.onnx")
    answers(tmp_path / "theirs.onnx", tmp_path)
    assert onnx.load(tmp_path / "bundle.onnx").ir_version == 10


def test_initializers_of_the_oldest_format_are_no_inputs(tmp_path):
    model = linear(9)
    model.ir_version = 3
    model.graph.input.extend([value("slope", 9, 1), value("z0", 1, 1)])
    onnx.save(model, tmp_path / "theirs.onnx")
    np.testing.assert_allclose(answers(tmp_path / "theirs.onnx", tmp_path), expected(), atol=2e-6)


def test_external_data_is_folded_in_and_metadata_is_kept(tmp_path):
    model = linear()
    helper.set_model_props(model, {"trained by": "them"})
    model.doc_string = "their words"
    folder = tmp_path / "theirs"
    folder.mkdir()
    onnx.save(
        model,
        folder / "net.onnx",
        save_as_external_data=True,
        location="net.data",
        size_threshold=0,
    )
    assert (folder / "net.data").exists()
    np.testing.assert_allclose(answers(folder / "net.onnx", tmp_path), expected(), atol=2e-6)
    bundle = onnx.load(tmp_path / "bundle.onnx", load_external_data=False)
    assert all(not tensor.external_data for tensor in bundle.graph.initializer)
    assert {prop.key: prop.value for prop in bundle.metadata_props}["trained by"] == "them"
    assert bundle.doc_string == "their words"
    (folder / "net.data").unlink()
    with pytest.raises(BundleError, match=r"net\.onnx: cannot be read as ONNX") as refusal:
        wrap(folder / "net.onnx", SPEC, tmp_path / "another.onnx")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "tolerance"),
    [(TensorProto.DOUBLE, 2e-6), (TensorProto.FLOAT16, 2e-3), (TensorProto.INT64, 0.2)],
)
def test_inputs_of_other_numbers_are_cast_in_the_graph(tmp_path, kind, tolerance):
    floats = TensorProto.DOUBLE if kind == TensorProto.INT64 else kind
    dtype = helper.tensor_dtype_to_np_dtype(floats)
    nodes = [
        NODE("Cast", ["mags"], ["numbers"], to=floats),
        NODE("MatMul", ["numbers", "slope"], ["sum"]),
        NODE("Add", ["sum", "z0"], ["z"]),
    ]
    constants = {"slope": SLOPE.astype(dtype), "z0": Z0.astype(dtype)}
    model = model_of(nodes, constants, {"mags": ("N", 9)}, {"z": ("N", 1)})
    model.graph.input[0].type.tensor_type.elem_type = kind
    model.graph.output[0].type.tensor_type.elem_type = floats
    onnx.save(model, tmp_path / "theirs.onnx")
    z_N = answers(tmp_path / "theirs.onnx", tmp_path)
    np.testing.assert_allclose(z_N, expected(), atol=tolerance)


def trees(path: Path, threshold: float = 0.0, n_targets: int = 1) -> Path:
    """z = 0.2 for r below the threshold, 0.4 above, 0.7 without r; no default opset."""
    tree = helper.make_node(
        "TreeEnsembleRegressor",
        ["mags"],
        ["z"],
        domain="ai.onnx.ml",
        n_targets=n_targets,
        nodes_treeids=[0] * 5,
        nodes_nodeids=[0, 1, 2, 3, 4],
        nodes_featureids=[2, 2, 0, 0, 0],
        nodes_modes=["BRANCH_LT", "BRANCH_LT", "LEAF", "LEAF", "LEAF"],
        nodes_values=[1000.0, threshold, 0.0, 0.0, 0.0],
        nodes_truenodeids=[1, 3, 0, 0, 0],
        nodes_falsenodeids=[2, 4, 0, 0, 0],
        nodes_missing_value_tracks_true=[0, 0, 0, 0, 0],
        target_treeids=[0] * 3,
        target_nodeids=[2, 3, 4],
        target_ids=[0] * 3,
        target_weights=[0.7, 0.2, 0.4],
    )
    columns = value("z", "N", n_targets)
    graph = helper.make_graph([tree], "trees", [value("mags", "N", 9)], [columns])
    opsets = [helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.mark.parametrize(("missing", "lost"), [("nan", 0.7), ("mean", 0.4), (12.0, 0.2)])
def test_trees_take_missing_magnitudes_as_the_specification_says(tmp_path, missing, lost):
    graph = trees(tmp_path / "theirs.onnx", threshold=18.5)
    spec = SPEC.model_copy(update={"missing": missing, "standardised": False})
    z_N = answers(graph, tmp_path, spec)
    r_N = TABLE[1][:, 2]
    wanted_N = np.where(r_N < 18.5, 0.2, 0.4)
    # The mean of r, 18.6, stands above the threshold.
    wanted_N[np.isnan(r_N)] = lost
    assert np.isnan(r_N).any()
    np.testing.assert_allclose(z_N, wanted_N, atol=1e-6)


def test_columns_to_which_no_tree_adds_are_refused(tmp_path):
    graph = trees(tmp_path / "theirs.onnx", threshold=18.5, n_targets=3)
    update = {"head": "quantiles", "levels": (0.16, 0.5, 0.84), "scatter": None}
    with pytest.raises(BundleError, match="2 of the 3 columns of its trees have none"):
        wrap(graph, SPEC.model_copy(update=update), tmp_path / "bundle.onnx")


def test_images_alone_are_enough(tmp_path):
    nodes = [
        NODE("Flatten", ["img"], ["flat"]),
        NODE("MatMul", ["flat", "slope"], ["z"]),
    ]
    slope = np.random.default_rng(3).normal(0, 1e8, (4 * 12 * 12, 1)).astype(np.float32)
    model = model_of(nodes, {"slope": slope}, {"img": ("N", 4, 12, 12)}, {"z": ("N", 1)})
    onnx.save(model, tmp_path / "theirs.onnx")
    spec = WrapSpec(
        name="images",
        licence="none",
        image_input="img",
        output="z",
        layout="NCHW",
        stretch="none",
        stamp_size=12,
        target="z",
        scatter=0.02,
        z_max=9.0,
        training=TRAINING,
    )
    contract = wrap(tmp_path / "theirs.onnx", spec, tmp_path / "bundle.onnx")
    assert contract.magnitude_bands == ()
    model = PhotozModel.load(tmp_path / "bundle.onnx", "cpu", threads=1)
    stamps_NCHW, table_NT = golden_inputs(5, 30, 4, 0, 12)
    z_N, _, distance_N = model.predict(stamps_NCHW, table_NT)
    wanted_N = np.nan_to_num(stamps_NCHW).reshape(30, -1) @ slope[:, 0]
    np.testing.assert_allclose(z_N, np.clip(wanted_N, 0, 9), rtol=1e-3, atol=1e-4)
    assert not distance_N.any()
