"""Pure numpy: stamps, photometry, selection, matching, statistics. No files, clock, logging, Dask or ONNX."""
