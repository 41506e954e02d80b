"""Pure numpy: stamps, photometry, selection, matching, statistics. No files, no Dask, no ONNX."""
