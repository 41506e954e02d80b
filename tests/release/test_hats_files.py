"""The files of the HATS collection: the release's date, and pages with checksums."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from photoz_run.release.proof.hats_partitions import read_properties
from support.forgery import flip_byte, partitions


def test_its_properties_tell_the_date_of_the_release(release):
    date = json.loads((release / "provenance.json").read_text())["date"]
    files = sorted(release.glob("sim_hats/**/*properties"))
    assert len(files) == 5
    dates = {read_properties(path)["hats_creation_date"] for path in files}
    assert dates == {f"{date[:16]}UTC"}


def test_a_flipped_byte_in_floats_is_found_by_its_checksum(release, tmp_path):
    source = partitions(release)[0]
    metadata = pq.read_metadata(source)
    chunks = [metadata.row_group(0).column(k) for k in range(metadata.num_columns)]
    (chunk,) = [chunk for chunk in chunks if chunk.path_in_schema == "RAJ2000"]
    path = tmp_path / "part.parquet"
    path.write_bytes(source.read_bytes())
    start = min(filter(None, (chunk.dictionary_page_offset, chunk.data_page_offset)))
    place = start + int(0.8 * chunk.total_compressed_size)
    flip_byte(path, (place + 0.5) / path.stat().st_size)
    with pytest.raises((OSError, pa.ArrowException), match="CRC"):
        pq.read_table(path, columns=["RAJ2000"], page_checksum_verification=True)
