"""Copies of a bundle with a changed graph: sealed as what they are, and no other network."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_dynamic, quantize_static
from typer.testing import CliRunner

from bench.gpu.half_precision import image_branch
from photoz_models import BUNDLED
from photoz_models.contract import METADATA_KEY, OUTPUTS
from photoz_models.copies import reseal
from photoz_models.description import describe
from photoz_models.errors import BundleError
from photoz_models.golden import golden_inputs
from photoz_models.kept_sets import save_examples
from photoz_models.session import PhotozModel
from photoz_run.cli.model import app
from support.bundles import closed_form_bundle
from support.galaxies import toy_examples

SHIPPED = BUNDLED / "hybrid-sim.onnx"


class Galaxies(CalibrationDataReader):
    """256 made-up galaxies for a quantiser."""

    def __init__(self):
        stamps, table = golden_inputs(5, 256, 4, 9, 36, 4)
        self.batches = iter(
            {"stamps": stamps[k : k + 64], "magnitudes": table[k : k + 64]}
            for k in range(0, 256, 64)
        )

    def get_next(self):
        return next(self.batches, None)


def call(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def changed(source, path, **factors):
    """The graph of a bundle with these constants multiplied."""
    model = onnx.load(source)
    for value in model.graph.initializer:
        array = numpy_helper.to_array(value) * np.float32(factors.get(value.name, 1))
        if value.name in factors:
            value.CopyFrom(numpy_helper.from_array(array.astype(np.float32), value.name))
    onnx.save(model, path)
    return path


def write_bundle(path, **overrides):
    """The closed form, its quantiles within the limits of redshift as a bundle's must be."""
    closed_form_bundle(path, **{"stamp_size": 12, **overrides})
    model = onnx.load(path)
    (last,) = (node for node in model.graph.node if OUTPUTS[1] in node.output)
    last.output[0] = "wide"
    limits = ["wide", "z_min", "z_max"]
    model.graph.node.append(onnx.helper.make_node("Clip", limits, [OUTPUTS[1]]))
    onnx.save(model, path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    write_bundle(folder / "a.onnx")
    save_examples(toy_examples(1500), folder / "set")
    return folder


def test_int8_and_float16_become_bundles_with_golden_values_of_their_own(tmp_path):
    int8, half = tmp_path / "int8.onnx", tmp_path / "half.onnx"
    quantize_static(SHIPPED, int8, Galaxies(), op_types_to_quantize=["Conv"], per_channel=True)
    onnx.save(image_branch(onnx.load(SHIPPED)), half)
    parent = PhotozModel.load(SHIPPED)
    with pytest.raises(BundleError, match="golden values do not come back"):
        PhotozModel.load(int8).verify("copy")
    kept = parent.contract.model_dump(
        exclude={"version", "test_metrics", "golden", "copied", "seal"}
    )
    for graph, largest in ((int8, 0.02), (half, 1e-4)):
        out = tmp_path / f"resealed-{graph.name}"
        code, printed = call("reseal", graph, "--of", "hybrid-sim", "--out", out)
        assert code == 0
        assert "redshifts of 200 made-up galaxies shift by" in printed
        copy = PhotozModel.load(out)
        copy.verify("copy")
        contract = copy.contract
        assert contract.copied.parent == parent.digest
        assert contract.version.startswith(parent.contract.version + "+copy.")
        assert contract.test_metrics == {}
        assert {name: contract.model_dump()[name] for name in kept} == kept
        assert ("copy of", f"sha256 {parent.digest}, its graph changed") in describe(contract)
        inputs = golden_inputs(6, 60, 4, 9, 36, 4)
        shift_N = np.abs(copy.predict(*inputs)[0] - parent.predict(*inputs)[0])
        assert 0 < shift_N.max() < largest


def test_a_copy_can_be_judged_beside_its_parent_before_it_is_used(folder, tmp_path):
    graph = changed(folder / "a.onnx", tmp_path / "changed.onnx", slope=1.0005)
    code, printed = call("reseal", graph, "--of", folder / "a.onnx", "--out", tmp_path / "b.onnx")
    assert code == 0
    words = folder / "a.onnx", tmp_path / "b.onnx", "--set", folder / "set"
    code, printed = call("equivalence", *words)
    assert (code, printed.rstrip().endswith(": may be used for a release")) == (0, True)


def test_another_network_is_no_copy(folder, tmp_path):
    graph, out = changed(folder / "a.onnx", tmp_path / "g.onnx", slope=1.5), tmp_path / "b.onnx"
    with pytest.raises(BundleError, match=r"g\.onnx: redshifts shift by .* another network"):
        reseal(graph, folder / "a.onnx", out)
    graph = changed(folder / "a.onnx", graph, flux_slope=0)
    with pytest.raises(BundleError, match=r"g\.onnx: redshifts are the same whatever the stamps"):
        reseal(graph, folder / "a.onnx", out)
    graph = changed(folder / "a.onnx", graph, half=np.nan)
    with pytest.raises(BundleError, match=r"g\.onnx: it gives numbers to other galaxies"):
        reseal(graph, folder / "a.onnx", out)
    assert not out.exists()


@pytest.mark.parametrize("other", [{"dmag_applied": False}, {"name": "another"}])
def test_a_copy_is_never_sealed_as_that_of_another_bundle(folder, tmp_path, other):
    write_bundle(tmp_path / "other.onnx", **other)
    with pytest.raises(BundleError, match="name the bundle that it is a copy of"):
        reseal(folder / "a.onnx", tmp_path / "other.onnx", tmp_path / "b.onnx")
    # A tool that drops the metadata leaves the names and shapes.
    model = onnx.load(folder / "a.onnx")
    kept = {prop.key: prop.value for prop in model.metadata_props if prop.key != METADATA_KEY}
    onnx.helper.set_model_props(model, kept)
    onnx.save(model, tmp_path / "plain.onnx")
    write_bundle(tmp_path / "other.onnx", stamp_size=36)
    with pytest.raises(BundleError, match=r"plain\.onnx: .*36"):
        reseal(tmp_path / "plain.onnx", tmp_path / "other.onnx", tmp_path / "b.onnx")
    reseal(tmp_path / "plain.onnx", folder / "a.onnx", tmp_path / "b.onnx")


def test_a_scale_that_is_taken_from_the_batch_is_refused_and_named(tmp_path):
    model = onnx.load(SHIPPED)
    model.graph.ClearField("value_info")
    onnx.save(model, tmp_path / "plain.onnx")
    quantize_dynamic(tmp_path / "plain.onnx", tmp_path / "dynamic.onnx")
    with pytest.raises(BundleError, match=r"dynamic\.onnx: .*use quantize_static"):
        reseal(tmp_path / "dynamic.onnx", SHIPPED, tmp_path / "b.onnx")


def test_what_cannot_be_read_or_written_is_one_line(folder, tmp_path):
    (tmp_path / "text.onnx").write_text("no graph\n")
    for graph, out in (("text.onnx", "b.onnx"), ("absent.onnx", "b.onnx"), (".", "b.onnx")):
        with pytest.raises(BundleError, match=r"^[^\n]+$"):
            reseal(tmp_path / graph, folder / "a.onnx", tmp_path / out)
    with pytest.raises(BundleError, match="does not exist"):
        call("reseal", folder / "a.onnx", "--of", folder / "a.onnx", "--out", tmp_path / "x" / "b")
    assert not list(tmp_path.glob("b*"))


def test_no_bundle_is_lost_under_another(folder):
    parent = folder / "a.onnx"
    before = parent.read_bytes()
    with pytest.raises(BundleError, match=r"a\.onnx: it is there already; delete it, or name"):
        call("reseal", parent, "--of", parent, "--out", parent)
    assert parent.read_bytes() == before
