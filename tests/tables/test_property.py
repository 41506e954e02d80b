"""Any table, written and read by any pair of libraries, is equal, nulls included."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from photoz_run.science.selection import select
from photoz_run.tables.arrays import masked
from photoz_run.tables.opening import open_table

integers = st.integers(-(2**63) + 1, 2**63 - 1)
words = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"#,'), min_size=1
)
floats = st.floats(allow_nan=False, width=64)
rows = st.lists(
    st.tuples(
        st.none() | integers, st.none() | floats, st.none() | words, st.none() | st.booleans()
    ),
    min_size=1,
    max_size=20,
)
NAMES = ("I", "F", "T", "B")
TYPES = (pa.int64(), pa.float64(), pa.string(), pa.bool_())


def to_parquet(table, path):
    pq.write_table(table, path)


def to_csv(table, path):
    frame = table.to_pandas(types_mapper=__import__("pandas").ArrowDtype)
    frame.to_csv(path, index=False)


def to_fits(table, path):
    whole = table["I"].fill_null(-(2**63)).to_numpy()
    texts = [value or "" for value in table["T"].to_pylist()]
    width = max(len(text) for text in texts) + 1
    truth = [{True: 84, False: 70, None: 0}[value] for value in table["B"].to_pylist()]
    columns = [
        fits.Column("I", "K", null=-(2**63), array=whole),
        fits.Column("F", "D", array=table["F"].to_numpy()),
        fits.Column("T", f"{width}A", array=np.array(texts)),
        fits.Column("B", "B", array=np.array(truth, np.uint8)),
    ]
    out = io.BytesIO()
    fits.BinTableHDU.from_columns(columns).writeto(out)
    path.write_bytes(out.getvalue().replace(b"TFORM4  = 'B ", b"TFORM4  = 'L "))


@pytest.mark.parametrize("write", [to_parquet, to_csv, to_fits])
@given(rows=rows)
def test_values_and_nulls_come_back(tmp_path_factory, write, rows):
    table = pa.table(
        {
            name: pa.array(column, kind)
            for name, column, kind in zip(NAMES, zip(*rows, strict=True), TYPES, strict=True)
        }
    )
    path = tmp_path_factory.mktemp("t") / "t"
    write(table, path)
    names = NAMES if write is not to_csv else ("I", "F", "B")
    read = open_table(path, names).read(names)
    for name in names:
        expected, values = table[name].to_pylist(), read[name].to_pylist()
        assert len(values) == len(expected)
        assert [v is None for v in values] == [v is None for v in expected], name
        assert all(v == e for v, e in zip(values, expected, strict=True) if e is not None), name


@given(rows=rows, limit=floats)
def test_a_comparison_and_its_denial_leave_out_what_is_missing(rows, limit):
    values = [row[1] for row in rows]
    column = {"F": masked("t", pa.table({"F": pa.array(values, pa.float64())}), "F")}
    below = select(f"F < {limit!r}" if limit >= 0 else f"F < -{-limit!r}", column, len(values))
    denied = select(
        f"not F < {limit!r}" if limit >= 0 else f"not F < -{-limit!r}", column, len(values)
    )
    assert (below | denied).tolist() == [value is not None for value in values]
    assert not (below & denied).any()
