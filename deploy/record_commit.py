"""Build hook: records the git commit in the package, where an installed program can find it."""

import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class RecordCommit(BuildHookInterface):
    """Puts ``photoz_run/commit.txt`` into what is built, unless the source already brings it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a build; an editable installation asks git itself."""
        package = Path(self.root) / "pipeline" / "photoz_run"
        if version == "editable" or (package / "commit.txt").exists():
            return
        commit = runpy.run_path(str(package / "version.py"))["program_commit"]()
        self._folder = tempfile.TemporaryDirectory()
        recorded = Path(self._folder.name) / "commit.txt"
        recorded.write_text(commit + "\n")
        # A source distribution keeps the source root, a wheel does not.
        folder = "pipeline/photoz_run" if self.target_name == "sdist" else "photoz_run"
        build_data["force_include"][str(recorded)] = f"{folder}/commit.txt"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called after a build."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()
