"""A file system that answers late: many questions are asked at once."""

import os
import threading
from typing import Any

from photoz_run.run.manifest import make_manifest
from photoz_run.run.plan import find_run_tiles
from support.hosts import config_of
from support.many_tiles import stub_tiles

TILES, FILES = 40, 16
AT_ONCE = 16
PATIENCE = 60.0
"""Seconds after which nobody else asks."""


def test_the_inputs_of_a_run_are_looked_at_many_at_once(bundle, model, tmp_path, monkeypatch):
    """The storage answers no question about a file before many were asked."""
    stub_tiles(tmp_path / "data", TILES)
    config = config_of(tmp_path / "data", bundle, tmp_path / "out")
    asked: list[Any] = []
    asking, genuine = threading.Condition(), os.stat

    def stat(path: Any, **options: Any) -> os.stat_result:
        if "KiDS_" in str(path):
            with asking:
                asked.append(path)
                asking.notify_all()
                assert asking.wait_for(lambda: len(asked) >= AT_ONCE, PATIENCE)
        return genuine(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    tiles = find_run_tiles(config)
    assert asked == []
    manifest = make_manifest(config, tiles, model)
    assert sum(map(len, manifest.inputs.values())) == len(asked) == TILES * FILES
