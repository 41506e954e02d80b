"""A flipped bit in a Parquet file is found by the one who reads the rows."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from photoz_run.catalogue.tile_files import write_tile
from photoz_run.errors import BadDataError
from photoz_run.tables.opening import open_table

N = 5000
FLIPS = 40


@pytest.fixture(scope="module")
def tile_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tile")
    rng = np.random.default_rng(1)
    columns = {"ID": [f"G{k:05d}" for k in range(N)], "Z_PHOT": rng.random(N).astype(np.float32)}
    write_tile(pa.table(columns), folder, "T", ("parquet",), {})
    return folder / "T.parquet"


@pytest.mark.parametrize("flip", range(FLIPS))
def test_no_flipped_bit_of_a_float_is_read_as_a_value(tile_file, tmp_path, flip):
    chunk = pq.read_metadata(tile_file).row_group(0).column(1)
    content = bytearray(tile_file.read_bytes())
    start = min(filter(None, (chunk.dictionary_page_offset, chunk.data_page_offset)))
    # The header of the first page is not covered, and holds no value.
    place = start + 80 + flip * (chunk.total_compressed_size - 120) // FLIPS
    content[place] ^= 1 << flip % 8
    path = tmp_path / "flipped.parquet"
    path.write_bytes(content)
    with pytest.raises(BadDataError, match=r"flipped\.parquet"):
        open_table(path).read(["Z_PHOT"])
