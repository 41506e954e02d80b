"""Photo-z networks and their sealed bundles: arrays and ONNX, nothing of tiles, surveys or Dask."""

import os
from pathlib import Path

# Before ONNX Runtime is imported: its official builds report their use to their maker, and for that keep a data base
# in the home folder. A cluster's nodes have no business with either; who wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

BUNDLED = Path(__file__).with_name("bundled")
"""The folder of the bundles that are installed with the program."""
