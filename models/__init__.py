"""Photo-z networks and their sealed bundles: arrays and ONNX, nothing of tiles, surveys or Dask."""

import os

# Before ONNX Runtime is imported: its official builds report their use to their maker, and for that keep a data base
# in the home folder. A cluster's nodes have no business with either; who wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
