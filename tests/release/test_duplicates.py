"""Which row stays where tiles overlap: the stated rule, whatever the order of the rows."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photoz_run.errors import ConfigError
from photoz_run.flags import bit
from photoz_run.release import duplicates
from photoz_run.release.buckets import Buckets
from photoz_run.release.duplicates import Claims, centre_of, claims_of, losers, separation
from photoz_run.release.identity import id_numbers

TILES = ("KIDS_10.0_0.0", "KIDS_11.0_0.0", "KIDS_9.0_0.0")
CENTRES = ((10.0, 0.0), (11.0, 0.0), (9.0, 0.0))
DEFECTS = ("EDGE", "MASKED_PIXELS", "MAG_U_MISSING", "MAG_AMBIGUOUS")
ABOUT_RESULTS = ("OUT_OF_DOMAIN", "Z_LIMIT")


@dataclass(frozen=True)
class Row:
    """A measurement as the rule sees it; positions of one source differ by 0.01 arcsec or so."""

    source: int
    tile: int
    measured: bool
    flags: tuple[str, ...]
    shift: int

    @property
    def ra(self) -> float:
        return 9.6 + 0.1 * self.source + self.shift * 1e-5

    def key(self):
        """The rule, said once more in plain Python."""
        defects = sum(name in DEFECTS for name in self.flags)
        return (
            not self.measured,
            defects,
            round(abs(self.ra - CENTRES[self.tile][0]) * 3600, 2),
            TILES[self.tile],
        )


def table(rows: list[Row]) -> pa.Table:
    """The rows of one tile."""
    value = [
        sum(int(bit(name)) for name in row.flags) + (0 if row.measured else int(bit("NO_REDSHIFT")))
        for row in rows
    ]
    return pa.table(
        {
            "ID": pa.array([f"J{row.source}" for row in rows], pa.string()),
            "RAJ2000": pa.array([row.ra for row in rows], pa.float64()),
            "DECJ2000": pa.array([0.0] * len(rows), pa.float64()),
            "Z_PHOT": pa.array([0.3 if row.measured else None for row in rows], pa.float32()),
            "PHOTOZ_FLAG": pa.array(value, pa.int32()),
        }
    )


def kept(tiles: dict[int, list[Row]], folder, files: int) -> set[Row]:
    """Rows that stay."""
    claims = Claims(Buckets(folder, files))
    for tile, rows in tiles.items():
        if rows:
            claims.add(table(rows), tile, CENTRES[tile])
    found = claims.settle(TILES)
    return {
        row
        for tile, rows in tiles.items()
        for k, row in enumerate(rows)
        if k not in found.rows.get(tile, ())
    }


rows_of_a_source = st.builds(
    Row,
    source=st.integers(0, 5),
    tile=st.integers(0, 2),
    measured=st.booleans(),
    flags=st.sets(st.sampled_from(DEFECTS + ABOUT_RESULTS)).map(lambda names: tuple(sorted(names))),
    shift=st.integers(-3, 3),
)


@given(
    rows=st.lists(rows_of_a_source, max_size=14, unique_by=lambda row: (row.source, row.tile)),
    order=st.permutations(range(3)),
    files=st.integers(1, 3),
    dice=st.randoms(use_true_random=False),
)
def test_the_best_measured_row_stays_in_any_order(rows, order, files, dice, tmp_path_factory):
    expected = {
        min((row for row in rows if row.source == source), key=Row.key)
        for source in {r.source for r in rows}
    }
    dice.shuffle(rows)
    tiles = {tile: [row for row in rows if row.tile == tile] for tile in order}
    assert kept(tiles, tmp_path_factory.mktemp("claims") / "files", files) == expected


def one(tile: int, *flags: str, measured: bool = True, source: int = 2) -> Row:
    return Row(source, tile, measured, flags, 0)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (one(1, "EDGE", "MASKED_PIXELS"), one(0, measured=False)),
        (one(1, "EDGE"), one(0, "EDGE", "MASKED_PIXELS")),
        (one(0, "Z_LIMIT", "OUT_OF_DOMAIN"), one(1)),
        (one(0), one(1)),
        (one(0, source=9), one(1, source=9)),
    ],
    ids=[
        "with a redshift",
        "fewer defects",
        "the redshift has no vote",
        "nearer to the centre",
        "name of the tile",
    ],
)
def test_the_rule_in_its_steps(better, worse, tmp_path):
    assert kept({0: [], better.tile: [better], worse.tile: [worse]}, tmp_path / "files", 2) == {
        better
    }


def test_sources_with_different_ids_are_never_merged_however_near(tmp_path):
    near = [Row(1, 0, True, (), shift) for shift in range(2)]
    claims = Claims(Buckets(tmp_path / "files", 1))
    rows = table(near).set_column(0, "ID", pa.array(["J1", "J1 "]))
    claims.add(rows, 0, CENTRES[0])
    claims.add(rows.set_column(0, "ID", pa.array(["j1", "J1\0"])), 1, CENTRES[1])
    assert claims.settle(TILES).rows == {}


def test_ids_that_name_two_places_are_refused(tmp_path):
    claims = Claims(Buckets(tmp_path / "files", 4))
    for tile in range(2):
        rows = [Row(source, tile, True, (), 0) for source in range(3)]
        moved = table(rows).set_column(1, "RAJ2000", pa.array([CENTRES[tile][0]] * 3))
        claims.add(moved, tile, None)
    with pytest.raises(
        ConfigError,
        match=r"ID 'J\d' stands at two places, 1\.000 deg apart, in KIDS_10.0_0.0 and KIDS_11",
    ):
        claims.settle(TILES)


def test_without_a_known_centre_the_name_of_the_tile_decides():
    rows = pa.concat_tables([claims_of(table([one(tile)]), tile, None) for tile in (1, 0)])
    lost, sources = losers(rows, TILES)
    assert (lost.to_pylist(), sources) == ([{"tile": 1, "row": 0}], 1)


@given(
    st.lists(st.text(max_size=20).filter(lambda text: "\0" not in text), max_size=20),
    st.integers(0, 5),
)
def test_an_id_has_the_same_hash_among_any_others(texts, start):
    array = pa.array(["first", *texts, "KiDSDR5 J123456.789-012345.67"], pa.string())
    alone = [int(id_numbers(pa.array([text], pa.string()))[0]) for text in array.to_pylist()]
    assert id_numbers(array).tolist() == alone
    assert id_numbers(array.slice(start)).tolist() == alone[start:]


def test_hashes_spread_ids_evenly():
    ids = pa.array([f"KiDSDR5 J{k:06d}.000-312345.67" for k in range(20000)])
    number = np.bincount((id_numbers(ids) % np.uint64(7)).astype(int))
    assert np.all(np.abs(number / 20000 * 7 - 1) < 0.1)


def test_the_centre_of_a_coadd_is_found_across_ra_0():
    centre = centre_of(((359.5, -31.5), (359.5, -30.5), (0.5, -30.5), (0.5, -31.5)))
    assert separation(np.array([0.0]), np.array([-31.0]), *centre)[0] < 20
    assert centre_of(()) is None


def test_every_flag_about_pixels_and_magnitudes_counts():
    assert duplicates.DEFECTS & int(bit("NO_REDSHIFT")) == 0
    assert all(duplicates.DEFECTS & int(bit(name)) for name in DEFECTS)
    assert not any(duplicates.DEFECTS & int(bit(name)) for name in ABOUT_RESULTS)
