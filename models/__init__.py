"""Photo-z networks and their sealed bundles: arrays and ONNX, nothing of tiles, surveys or Dask."""
