"""A bundle's contract is read without ONNX Runtime, as ONNX Runtime reads it."""

import subprocess
import sys

import pytest

from photoz_models.bundle import metadata_of, read_bundle
from photoz_models.errors import BundleError
from photoz_models.session import PhotozModel
from support.bundles import closed_form_bundle


@pytest.fixture
def bundle(tmp_path):
    closed_form_bundle(tmp_path / "closed.onnx")
    return tmp_path / "closed.onnx"


def test_contract_and_digest_are_those_that_the_runtime_reads(bundle):
    model, read = PhotozModel.load(bundle, provider="cpu"), read_bundle(bundle)
    assert (read.contract, read.digest) == (model.contract, model.digest)
    runtime = model.session.get_modelmeta().custom_metadata_map
    assert metadata_of(bundle.read_bytes(), "here") == runtime


def test_the_runtime_is_not_imported(bundle):
    program = (
        "import sys\n"
        "from photoz_models.bundle import read_bundle\n"
        "from pathlib import Path\n"
        "read_bundle(Path(sys.argv[1]))\n"
        "assert 'onnxruntime' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, str(bundle)], check=True)


def test_what_is_no_bundle_is_refused_in_one_line(bundle, tmp_path):
    content = bundle.read_bytes()
    for wrong in (b"\x7f" * 9, b"<html>" * 50, content[: len(content) // 2], content + b"\x0a"):
        (tmp_path / "wrong.onnx").write_bytes(wrong)
        with pytest.raises(BundleError, match=r"wrong\.onnx: (not a usable|no contract)"):
            read_bundle(tmp_path / "wrong.onnx")
