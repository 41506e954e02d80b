"""Fixtures that several parts share, and what a session of tests says of skips."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from photoz_models.session import PhotozModel
from support.bundles import closed_form_bundle
from support.programs import skipped_for_programs
from support.tiles import Tile, make_tile

os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],  # so is any machine that has other work
)
settings.load_profile("repeatable")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI a skipped test is a failed one: what it would have shown was not shown."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped, which CI does not allow: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter):
    """Say after all else which programs tests were skipped for, and what installs them."""
    yield
    reports = [
        report for kind in ("skipped", "failed") for report in terminalreporter.stats.get(kind, ())
    ]
    # A skip carries its place and reason; what CI makes of it, a text; a real failure neither.
    reasons = [
        str(report.longrepr) for report in reports if isinstance(report.longrepr, tuple | str)
    ]
    said = skipped_for_programs(reasons)
    if said:
        terminalreporter.write_line(said, yellow=True)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory) -> Path:
    """A valid bundle whose redshifts are those of `support.bundles.closed_form`."""
    path = tmp_path_factory.mktemp("bundle") / "closed-form.onnx"
    closed_form_bundle(path)
    return path


@pytest.fixture(scope="session")
def model(bundle) -> PhotozModel:
    return PhotozModel.load(bundle, provider="cpu", threads=1)


@pytest.fixture(scope="session")
def dr5_tile(tmp_path_factory) -> Tile:
    """A DR5 tile that nobody may change; make or copy one to spoil it."""
    return make_tile(tmp_path_factory.mktemp("dr5"))


@pytest.fixture(scope="session")
def dr4_tile(tmp_path_factory) -> Tile:
    return make_tile(tmp_path_factory.mktemp("dr4"), data_release="DR4.0")
