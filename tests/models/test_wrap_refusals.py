"""What can only be a mistake is refused at wrap, in one line, and no bundle is written."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
import tomli_w
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline

from photoz_models.errors import BundleError
from photoz_models.session import PhotozModel
from photoz_models.wrap import WrapSpec, read_spec, wrap
from support.foreign import DEPENDENT, MEANS, NODE, SCALES, SIZE, TRAINING, foreign_file, model_of

FIELDS = {
    "name": "theirs",
    "licence": "none",
    "image_input": "img",
    "magnitude_input": "mags",
    "output": "z",
    "stretch": "none",
    "flux_scale": 1e10,
    "magnitude_mean": MEANS,
    "magnitude_scale": SCALES,
    "standardised": False,
    "target": "z",
    "scatter": 0.02,
    "stamp_size": SIZE,
    "training": TRAINING.model_dump(),
}
SPEC = WrapSpec(**FIELDS)

SPOILT = {
    "batch_mean": "takes a mean or another statistic over the batch",
    "batch_size": "a batch size is baked into the graph",
    "batch_norm": "BatchNormalization is in training mode",
    "dropout": "Dropout is in training mode",
    "random": "the graph draws random numbers",
}


def test_a_sound_network_is_wrapped(tmp_path):
    graph = foreign_file(tmp_path / "theirs.onnx")
    said: list[str] = []
    wrap(graph, SPEC, tmp_path / "bundle.onnx", say=said.append)
    assert max(PhotozModel.load(tmp_path / "bundle.onnx", "cpu", threads=1).verify("here")) < 1e-6
    assert said == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle.onnx", "theirs.onnx"]


@pytest.mark.parametrize("kind", DEPENDENT)
def test_rows_that_depend_on_each_other_are_refused(tmp_path, kind):
    refused(foreign_file(tmp_path / "theirs.onnx", kind), SPEC, SPOILT[kind])


@pytest.mark.parametrize("limits", [{"z_min": 0.9}, {"z_max": 0.001}])
def test_limits_of_redshift_do_not_hide_that_rows_depend_on_each_other(tmp_path, limits):
    graph = foreign_file(tmp_path / "theirs.onnx", "batch_mean")
    refused(graph, SPEC.model_copy(update=limits), SPOILT["batch_mean"])


def test_quantize_dynamic_is_refused(tmp_path):
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(foreign_file(tmp_path / "theirs.onnx"), tmp_path / "int8.onnx")
    refused(tmp_path / "int8.onnx", SPEC, "onnxruntime's quantize_dynamic")


def refused(graph: Path, spec: WrapSpec, complaint: str) -> None:
    out = graph.with_name("bundle.onnx")
    with pytest.raises(BundleError) as refusal:
        wrap(graph, spec, out)
    message = str(refusal.value)
    assert complaint in message
    assert "\n" not in message
    assert "/tmp" not in message.replace(str(graph.parent), "")
    assert not out.exists()


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"magnitude_scale": (0.0, *SCALES[1:])}, "magnitude_scale.0: Input should be greater"),
        ({"magnitude_scale": (-1.0, *SCALES[1:])}, "magnitude_scale.0: Input should be greater"),
        ({"magnitude_scale": (INF, *SCALES[1:])}, "magnitude_scale.0: Input should be a finite"),
        ({"magnitude_mean": (NAN, *MEANS[1:])}, "magnitude_mean.0: Input should be a finite"),
        ({"magnitude_mean": MEANS[:8]}, "one value for each of 9 magnitude bands"),
        ({"percentiles": (98.0, 2.0)}, "percentiles must increase within 0 to 100"),
        ({"percentiles": (2.0, 102.0)}, "percentiles must increase within 0 to 100"),
        ({"percentiles": (50.0, 50.0)}, "percentiles must increase within 0 to 100"),
        ({"epsilon": -1e-8}, "epsilon: Input should be greater"),
        ({"epsilon": NAN}, "epsilon: Input should be"),
        ({"flux_scale": 0.0}, "flux_scale: Input should be greater"),
        ({"flux_scale": 1e300}, "flux_scale: Input should be less"),
        ({"scatter": 1e30}, "scatter: Input should be less"),
        ({"z_max": 1e308}, "z_max: Input should be less"),
        ({"name": "two\nlines"}, "name: String should match"),
        ({"flux_scale": INF}, "flux_scale: Input should be"),
        ({"scatter": NAN}, "scatter: Input should be"),
        ({"scatter": None}, "a head 'z' needs scatter"),
        ({"sigma": "s"}, "a head 'z' has no sigma"),
        ({"head": "gaussian", "scatter": None}, "a head 'gaussian' needs sigma"),
        (
            {"head": "quantiles", "scatter": None, "levels": (0.9, 0.1)},
            "levels must be two or more",
        ),
        (
            {"head": "quantiles", "scatter": None, "levels": (0.0, 0.5)},
            "levels must be two or more",
        ),
        ({"head": "histogram", "scatter": None, "edges": (0.2, 0.1, 0.3)}, "edges must be three"),
        ({"z_min": 1.0}, "z_max must lie above z_min"),
        ({"z_max": INF}, "z_max: Input should be"),
        ({"z_min": -1.5}, "z_min: Input should be greater"),
        ({"magnitude_bands": ("u", "g", "r", "i", "z", "Y", "J", "H", "Ks")}, "'z' is none of the"),
        ({"image_bands": ("u", "g", "r", "y")}, "'y' is none of the bands u g r i"),
        ({"image_bands": ("u", "g", "r", "r")}, "a band is named twice"),
        ({"image_bands": ()}, "image_bands and image_input belong together"),
        ({"image_input": None, "magnitude_input": None}, "must name an input of the graph"),
        ({"image_input": "mags"}, "are the same input"),
        ({"stamp_size": 0}, "stamp_size: Input should be greater"),
        ({"stamp_size": 100_000}, "stamp_size: Input should be less"),
        ({"pixel_scale": -0.2}, "pixel_scale: Input should be greater"),
        ({"missing": INF}, "missing"),
        ({"name": ""}, "name: String should have at least 1"),
        ({"stray": 1}, "stray: Extra inputs are not permitted"),
        ({"stamp_size": 36}, "by the specification it is N x (36, 36, 4)"),
        ({"layout": "NCHW"}, "by the specification it is N x (4, 12, 12)"),
        ({"image_bands": ("g", "r")}, "by the specification it is N x (12, 12, 2)"),
        ({"magnitude_input": "table"}, "no 'table'; inputs are ['img', 'mags']"),
        (
            {
                "magnitude_input": None,
                "magnitude_bands": (),
                "magnitude_mean": (),
                "magnitude_scale": (),
            },
            "the graph also wants the inputs ['mags']",
        ),
        ({"ignored_outputs": ("z",), "output": "y"}, "no 'y' among the outputs ['z']"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_mistake_in_the_specification_is_refused(tmp_path, change, complaint):
    fields = {key: value for key, value in (FIELDS | change).items() if value is not None}
    (tmp_path / "spec.toml").write_text(tomli_w.dumps(fields))
    graph = foreign_file(tmp_path / "theirs.onnx")
    with pytest.raises(BundleError) as refusal:
        wrap(graph, read_spec(tmp_path / "spec.toml"), tmp_path / "bundle.onnx")
    assert complaint in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "bundle.onnx").exists()


def table_graph(path: Path, *nodes, **constants) -> Path:
    outputs = {nodes[-1].output[0]: ("N", 1)}
    onnx.save(model_of(nodes, constants, {"mags": ("N", 9)}, outputs), path)
    return path


TABLE_SPEC = WrapSpec(
    **{key: value for key, value in FIELDS.items() if key not in ("image_input", "stretch")}
)


def test_a_network_that_answers_nothing_or_always_the_same_is_refused(tmp_path):
    slope = np.full((9, 1), 0.01, np.float32)
    for constants, complaint in (
        ({"slope": slope * np.float32(np.nan)}, "gives no redshift to any of the golden galaxies"),
        ({"slope": slope * 0}, "every galaxy gets z = 0"),
    ):
        graph = table_graph(
            tmp_path / "theirs.onnx", NODE("MatMul", ["mags", "slope"], ["z"]), **constants
        )
        refused(graph, TABLE_SPEC, complaint)


def test_pixels_that_do_not_reach_the_network_are_told(tmp_path):
    said: list[str] = []
    update = {"flux_scale": 1e-30}
    spec = SPEC.model_copy(update=update)
    wrap(foreign_file(tmp_path / "theirs.onnx"), spec, tmp_path / "b.onnx", say=said.append)
    assert ["the same whatever the stamps are" in line for line in said] == [True]


def test_files_that_are_no_graph_are_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo.onnx")
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "text.onnx").write_text("not a model")
    whole = foreign_file(tmp_path / "half.onnx").read_bytes()
    (tmp_path / "half.onnx").write_bytes(whole[: len(whole) // 2])
    for name in ("fifo", "empty", "text", "half", "absent"):
        refused(tmp_path / f"{name}.onnx", SPEC, f"{name}.onnx: cannot ")
    refused(Path("/dev/zero"), SPEC, "it is no regular file")
    with pytest.raises(BundleError, match="it is no regular file"):
        read_spec(tmp_path / "fifo.onnx")
    with pytest.raises(BundleError, match="is a folder; name a file"):
        wrap(foreign_file(tmp_path / "half.onnx"), SPEC, tmp_path)
    with pytest.raises(BundleError, match=r"the folder .* does not exist"):
        wrap(foreign_file(tmp_path / "half.onnx"), SPEC, tmp_path / "no" / "bundle.onnx")


@pytest.mark.parametrize(
    ("model", "missing", "refusal"),
    [
        (RandomForestRegressor(5, max_depth=4, random_state=0), "nan", "left out which way"),
        (RandomForestRegressor(5, max_depth=4, random_state=0), 20.0, ""),
        (make_pipeline(SimpleImputer(), RandomForestRegressor(5, random_state=0)), "nan", ""),
        (KNeighborsRegressor(5, weights="distance"), 20.0, "the same weight"),
        (KNeighborsRegressor(5), 20.0, ""),
    ],
    ids=["forest", "forest without NaN", "imputer", "neighbours by distance", "neighbours"],
)
def test_what_skl2onnx_loses_is_refused(tmp_path, model, missing, refusal):
    rng = np.random.default_rng(3)
    table_NB = rng.normal(20, 1, (500, 9)).astype(np.float32)
    z_N = 0.3 + 0.1 * (table_NB[:, 0] - table_NB[:, 1])
    gaps_NB = rng.random(table_NB.shape) < 0.1
    table_NB[gaps_NB] = np.nan if missing == "nan" else missing
    graph = tmp_path / "theirs.onnx"
    onnx.save(to_onnx(model.fit(table_NB, z_N), table_NB[:1]), graph)
    update = {"magnitude_input": "X", "output": "variable", "z_min": -0.9, "missing": missing}
    spec = TABLE_SPEC.model_copy(update=update)
    if refusal:
        refused(graph, spec, refusal)
    else:
        wrap(graph, spec, tmp_path / "bundle.onnx")


def test_outputs_and_inputs_that_are_no_numbers_are_refused(tmp_path):
    graph = table_graph(tmp_path / "theirs.onnx", NODE("SequenceConstruct", ["mags"], ["z"]))
    model = onnx.load(graph)
    kind = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    model.graph.output[0].type.CopyFrom(helper.make_sequence_type_proto(kind))
    onnx.save(model, graph)
    refused(graph, TABLE_SPEC, "the output 'z' is no array of numbers")
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING
    onnx.save(model, graph)
    refused(graph, TABLE_SPEC, "the input 'mags' does not take numbers")


def test_what_the_runtime_cannot_compute_is_one_line_with_the_file(tmp_path):
    graph = table_graph(
        tmp_path / "theirs.onnx",
        NODE("Reshape", ["mags", "seven"], ["z"]),
        seven=np.int64([-1, 7]),
    )
    refused(graph, TABLE_SPEC, "theirs.onnx: the wrapped graph does not run")
    node = helper.make_node("Magic", ["mags"], ["z"], domain="their.own")
    model = model_of([node], {}, {"mags": ("N", 9)}, {"z": ("N", 1)})
    model.opset_import.append(helper.make_opsetid("their.own", 1))
    onnx.save(model, graph)
    refused(graph, TABLE_SPEC, "theirs.onnx: the wrapped graph does not run")
