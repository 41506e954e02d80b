"""Every reader gives the same table back, whoever wrote it."""

import numpy as np
import pytest

from photoz_run.tables.arrays import floats
from photoz_run.tables.opening import open_table
from support.tables import EXPECTED, ROWS, STILTS, WRITERS

ALL = [*WRITERS, *STILTS]


@pytest.fixture(params=ALL, ids=[writer.name for writer in ALL])
def written(request, tmp_path):
    path = tmp_path / request.param.file
    request.param.write(path)
    return path, [name for name in EXPECTED if name not in request.param.lost]


def test_what_was_written_is_read_back_with_its_nulls(written):
    path, names = written
    rows = open_table(path, names).read(names)
    for name in names:
        read = rows[name].to_pylist()
        if isinstance(EXPECTED[name][0], float):
            read = [None if value is None else round(value, 6) for value in read]
        assert read == EXPECTED[name], name


def test_a_table_knows_its_rows_and_its_names(written):
    path, names = written
    table = open_table(path, names)
    assert len(table) == ROWS
    assert set(names) <= set(table.names) <= set(EXPECTED)


def test_integers_stay_integers(written):
    path, names = written
    table = open_table(path, names)
    for name in {"BIG", "SHORT"} & set(names):
        assert all(
            type(v) in (int, type(None)) or v == int(v)
            for v in table.read([name])[name].to_pylist()
        )


def test_batches_hold_the_rows_in_order(written):
    path, names = written
    batches = list(open_table(path, names).batches(["RA"], rows=3))
    assert np.concatenate([floats("", b, "RA") for b in batches]).tolist() == pytest.approx(
        EXPECTED["RA"]
    )


def test_chosen_rows_are_taken(written):
    path, names = written
    rows = open_table(path, names).take(["RA"], np.array([1, 4, 6]))
    assert floats("", rows, "RA").tolist() == pytest.approx([EXPECTED["RA"][k] for k in (1, 4, 6)])


def test_a_missing_column_is_named_in_the_same_words(written):
    path, _ = written
    with pytest.raises(Exception, match=r"no column RAA; did you mean RA\? it has ") as error:
        open_table(path, ["RAA"])
    assert str(error.value).startswith(f"{path}: no column RAA")
    assert "\n" not in str(error.value)
