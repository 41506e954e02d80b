"""What a worker imports, for the process of which workers are forks.

The runtime of networks is not among it: what that may start does not outlive a fork.
"""

import gc

import pyarrow as pa
import pyarrow.dataset  # PyArrow reads Parquet with it

import photoz_run.catalogue.tile_files
import photoz_run.run.worker  # noqa: F401 - imported for the forks

pa.array([])  # PyArrow imports pandas with its first array, where pandas is installed
gc.collect()
gc.freeze()  # no fork looks through all this for what can be freed
