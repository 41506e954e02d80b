"""A bundle answers as its contract says, or is refused with one clear line."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state as native

from photoz_models import providers, session
from photoz_models.bundle import read_bundle
from photoz_models.contract import METADATA_KEY, QUANTILE_LEVELS, parse_contract, write_contract
from photoz_models.errors import BundleError
from photoz_models.golden import golden_inputs
from photoz_models.session import PhotozModel, available_threads, check_runtime
from support.bundles import closed_form, closed_form_bundle
from support.gpus import NO_CUDNN, NO_MEMORY, FailingGpu


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "closed.onnx"
    closed_form_bundle(path)
    return path


def test_a_bundle_answers_by_its_formula_whatever_is_missing(bundle):
    model = PhotozModel.load(bundle, provider="cpu", threads=1)
    stamps_NCHW, magnitudes_NB = golden_inputs(7, 12, 4, 9, 36)
    stamps_NCHW[3] = np.nan
    magnitudes_NB[5] = np.nan

    found = model.predict(stamps_NCHW, magnitudes_NB)

    for got, expected in zip(found, closed_form(stamps_NCHW, magnitudes_NB), strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-6)
    assert found[1].shape == (12, len(QUANTILE_LEVELS))


def test_digest_provider_and_contract_are_those_of_the_file(bundle):
    model = PhotozModel.load(bundle, provider="cpu")
    assert model.digest == hashlib.sha256(bundle.read_bytes()).hexdigest()
    assert model.provider == "cpu"
    assert model.contract.name == "closed-form"


def test_one_source_and_no_source_are_answered(bundle):
    model = PhotozModel.load(bundle, provider="cpu", threads=1)
    for number in (0, 1):
        stamps_NCHW, magnitudes_NB = golden_inputs(7, 3, 4, 9, 36)
        z_N, quantiles_NQ, domain_N = model.predict(stamps_NCHW[:number], magnitudes_NB[:number])
        assert z_N.shape == domain_N.shape == (number,)
        assert quantiles_NQ.shape == (number, len(QUANTILE_LEVELS))


def test_contract_survives_the_file(tmp_path):
    written = closed_form_bundle(
        tmp_path / "a.onnx", name="other", image_bands=("g", "r"), stamp_size=12, z_max=0.4
    )
    model = PhotozModel.load(tmp_path / "a.onnx", provider="cpu")
    assert model.contract == written
    assert model.contract.stamp_shape() == (2, 12, 12)


def test_a_file_without_contract_is_refused(bundle):
    graph = onnx.load(bundle)
    del graph.metadata_props[:]
    onnx.save(graph, bundle)
    with pytest.raises(BundleError, match=r"closed\.onnx: no contract"):
        PhotozModel.load(bundle, provider="cpu")


def test_changed_weights_are_refused(bundle):
    graph = onnx.load(bundle)
    slope = next(t for t in graph.graph.initializer if t.name == "slope")
    slope.CopyFrom(numpy_helper.from_array(np.float32(0.101), "slope"))
    onnx.save(graph, bundle)
    with pytest.raises(BundleError, match="golden values do not come back on cpu"):
        PhotozModel.load(bundle, provider="cpu")


def test_an_unknown_key_in_the_contract_is_refused(bundle):
    graph = onnx.load(bundle)
    prop = next(p for p in graph.metadata_props if p.key == METADATA_KEY)
    prop.value = prop.value.replace('"z_max"', '"z_maximum"')
    onnx.save(graph, bundle)
    with pytest.raises(BundleError, match="the contract is not valid: z_max: Field required"):
        PhotozModel.load(bundle, provider="cpu")


@pytest.mark.parametrize(
    ("sealed", "by_hand"),
    [
        ('"dmag_applied":true', '"dmag_applied":false'),
        ('"image_bands":["u","g","r","i"]', '"image_bands":["i","g","r","u"]'),
        ('"name":"', '"name":"un'),
    ],
)
def test_a_contract_changed_by_hand_is_refused_by_all_who_read_it(bundle, sealed, by_hand):
    graph = onnx.load(bundle)
    prop = next(p for p in graph.metadata_props if p.key == METADATA_KEY)
    assert sealed in prop.value
    prop.value = prop.value.replace(sealed, by_hand)
    onnx.save(graph, bundle)
    for read in (PhotozModel.load, read_bundle):
        with pytest.raises(BundleError, match=r"closed\.onnx: the contract was changed after"):
            read(bundle)


def test_a_contract_without_seal_is_read_and_one_written_otherwise_is_the_same(bundle):
    graph = onnx.load(bundle)
    sealed = read_bundle(bundle).contract
    (prop,) = (prop for prop in graph.metadata_props if prop.key == METADATA_KEY)
    fields = json.loads(prop.value)
    assert fields["seal"] == sealed.seal != ""
    for kept, seal in ((set(fields), sealed.seal), (set(fields) - {"seal"}, None)):
        prop.value = json.dumps({name: fields[name] for name in sorted(kept)}, indent=1)
        onnx.save(graph, bundle)
        contract = sealed.model_copy(update={"seal": seal})
        assert PhotozModel.load(bundle).contract == read_bundle(bundle).contract == contract


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("stamp_size", 37, "multiple of 2"),
        ("quantile_levels", (0.5, 0.2), "increase"),
        ("z_max", -1.0, "z_max must lie above"),
        ("image_bands", ("u", "g", "r", "r"), "named twice"),
        ("flux_unit", "jansky", "maggies"),
    ],
)
def test_impossible_contracts_are_refused(bundle, field, value, complaint):
    contract = PhotozModel.load(bundle, provider="cpu").contract.model_copy(update={field: value})
    with pytest.raises(BundleError, match=complaint):
        parse_contract({METADATA_KEY: contract.model_dump_json()}, "here")


def test_a_graph_that_contradicts_its_contract_is_refused(bundle):
    contract = PhotozModel.load(bundle, provider="cpu").contract
    write_contract(bundle, contract.model_copy(update={"stamp_size": 32}), bundle)
    with pytest.raises(BundleError, match="the graph's inputs"):
        PhotozModel.load(bundle, provider="cpu")


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "not.onnx").write_bytes(b"SIMPLE  =                    T" * 50)
    with pytest.raises(BundleError, match=r"not\.onnx: not a usable ONNX model"):
        PhotozModel.load(tmp_path / "not.onnx", provider="cpu")
    with pytest.raises(BundleError, match="cannot read the model: No such file"):
        PhotozModel.load(tmp_path / "absent.onnx", provider="cpu")


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo.onnx")
    for path, complaint in (
        (tmp_path / "fifo.onnx", "it is no regular file"),
        (Path("/dev/zero"), "it is no regular file"),
        (tmp_path, "it is a folder"),
        (Path("a\0b.onnx"), ".*embedded null"),
    ):
        with pytest.raises(BundleError, match=f"cannot read the model: {complaint}"):
            PhotozModel.load(path, provider="cpu")


def test_metadata_and_graphs_that_the_runtime_cannot_take_are_one_line(bundle):
    graph = onnx.load(bundle)
    graph.opset_import[0].version = 999
    onnx.save(graph, bundle)
    with pytest.raises(BundleError, match=r"closed\.onnx: not a usable ONNX model: ") as refusal:
        PhotozModel.load(bundle, provider="cpu")
    assert "\n" not in str(refusal.value)
    content = bundle.read_bytes()
    bundle.write_bytes(content.replace(b'"closed-form"', b'"closed-f\xff\xfem"'))
    with pytest.raises(BundleError, match=r"closed\.onnx: "):
        PhotozModel.load(bundle, provider="cpu")


def test_stamps_of_another_shape_are_refused(bundle):
    model = PhotozModel.load(bundle, provider="cpu")
    with pytest.raises(BundleError, match=r"stamps has shape \(2, 4, 32, 32\)"):
        model.predict(np.zeros((2, 4, 32, 32), np.float32), np.zeros((2, 9), np.float32))


def test_cuda_that_is_not_there_is_an_error_unless_fallback_is_allowed(bundle):
    if PhotozModel.load(bundle, provider="auto").provider == "cuda":
        assert PhotozModel.load(bundle, provider="cuda").provider == "cuda"
        return
    with pytest.raises(BundleError, match="CUDA was asked for"):
        PhotozModel.load(bundle, provider="cuda")
    assert PhotozModel.load(bundle, provider="cuda", allow_fallback=True).provider == "cpu"


def test_cuda_that_starts_and_cannot_compute_is_left_by_auto_and_named_to_who_insists(
    bundle, monkeypatch
):
    """As without cuDNN, or on a card that this CUDA does not know."""
    here = providers.open_session

    def with_broken_gpu(content, where, provider, threads):
        opened = here(content, where, "cpu", threads)
        if provider == "cpu":
            return opened
        session = FailingGpu(opened.session, native.NotImplemented(NO_CUDNN))
        return providers.StartedSession(session, "cuda", "H100")

    monkeypatch.setattr(session, "open_session", with_broken_gpu)
    assert PhotozModel.load(bundle, "auto").provider == "cpu"
    with pytest.raises(BundleError, match=r"cannot be used here \(.*: cuDNN is unavailable"):
        PhotozModel.load(bundle, "cuda")
    assert "cuDNN is unavailable" in PhotozModel.load(bundle, "cuda", allow_fallback=True).problem


def test_a_gpu_without_memory_for_a_whole_batch_is_not_the_fault_of_the_graph(bundle, monkeypatch):
    here = providers.open_session

    def with_little_memory(content, where, provider, threads):
        opened = here(content, where, "cpu", threads)
        if provider == "cpu":
            return opened
        failing = FailingGpu(opened.session, native.RuntimeException(NO_MEMORY))
        enough, failing.run = (
            failing.run,
            lambda names, feeds: (
                opened.session.run(names, feeds) if len(feeds["stamps"]) < 256 else enough()
            ),
        )
        return providers.StartedSession(failing, "cuda", "H100")

    monkeypatch.setattr(session, "open_session", with_little_memory)
    model = PhotozModel.load(bundle, "auto")
    assert model.provider == "cpu"
    assert "filled up with NaN" in model.problem
    assert "CUDA failure 2: out of memory" in model.problem


def test_a_gpu_that_fails_amid_a_run_is_not_replaced_by_the_cpu_in_silence(bundle):
    """ONNX Runtime's own sessions would print a page and compute on with the CPU."""
    model = PhotozModel.load(bundle, "cpu", threads=1)
    model.session._sess = FailingGpu(model.session._sess, native.EPFail(NO_MEMORY))
    with pytest.raises(BundleError, match=r"computed: CUDA failure 2: out of memory$"):
        model.predict(*golden_inputs(7, 12, 4, 9, 36))


def test_what_cuda_lacks_is_not_printed_into_the_answer_of_a_command(bundle, tmp_path, monkeypatch):
    (tmp_path / "nvidia").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    code = f"from photoz_models.session import PhotozModel as M; M.load({str(bundle)!r})"
    places = os.pathsep.join([*filter(None, sys.path), str(tmp_path)])
    environment = {**os.environ, "PYTHONPATH": places, "CUDA_VISIBLE_DEVICES": ""}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert (said.returncode, said.stdout, said.stderr) == (0, b"", b"")


def test_two_runtimes_at_once_are_named(monkeypatch):
    check_runtime()
    monkeypatch.setattr(session, "version", lambda distribution: "1.23")
    with pytest.raises(BundleError, match="onnxruntime and onnxruntime-gpu are both installed"):
        check_runtime()


def test_threads_that_wait_for_work_take_no_processor(bundle):
    model = PhotozModel.load(bundle, "cpu", threads=2)
    taken = []
    for _ in range(5):  # threads of other tests may end meanwhile
        model.predict(*golden_inputs(1, 256, 4, 9, 36))
        before = time.process_time()
        time.sleep(0.2)
        taken.append(time.process_time() - before)
    assert min(taken) < 0.015


def test_threads_are_those_of_the_affinity():
    assert available_threads() == len(os.sched_getaffinity(0))


def test_golden_inputs_are_the_same_on_every_machine():
    stamps_NCHW, magnitudes_NB = golden_inputs(1, 3, 4, 9, 36)
    np.testing.assert_allclose(magnitudes_NB[0, :3], [20.443033, 19.171322, 18.535465], rtol=1e-6)
    np.testing.assert_allclose(
        stamps_NCHW[0, 2, 18, 16:19], [2.7718128e-10, 3.0155084e-10, 3.0642758e-10], rtol=1e-5
    )
    assert np.isnan(magnitudes_NB).sum() == 2
    assert np.isnan(stamps_NCHW[:2]).sum() == 0
    assert np.isnan(stamps_NCHW[2, 2]).all()
