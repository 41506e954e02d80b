"""Photo-z networks and their sealed bundles: arrays and ONNX, nothing of tiles or surveys."""

import os
from pathlib import Path

# Before ONNX Runtime is imported: its official builds report their use to their maker, and keep a
# data base in the home folder for that. Nodes of a cluster should do neither. Setting the variable
# to 0 allows it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

BUNDLED = Path(__file__).with_name("bundled")
"""The folder of the bundles that are installed with the program."""
