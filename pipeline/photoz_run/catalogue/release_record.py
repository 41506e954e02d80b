"""What the files of a release say of themselves, short enough for header cards."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from photoz_run.catalogue.provenance import Provenance
from photoz_run.catalogue.table import dictionary_schema
from photoz_run.catalogue.tile_files import PROVENANCE_KEY


@dataclass(frozen=True)
class ReleaseRecord:
    """A release: what it is called, what made it, and what it lacks.

    Parameters
    ----------
    name
        Name of the release and of its files.
    run
        Provenance that its tiles have in common.
    program, commit
        Program, with its version, that merges, and the commit of its code.
    date
        When it was merged: ISO 8601, UTC, without fractions of seconds.
    input_releases
        Releases of the survey that its tiles come from.
    tiles
        How many tiles are in the catalogue.
    missing, quarantined
        Tiles of the run that are not, because they have no result or are in quarantine.
    reference
        Bibcode or DOI of the publication; empty before there is one, as ESO's archive asks.
    origin
        Who answers for it.
    """

    name: str
    run: Provenance
    program: str
    commit: str
    date: str
    input_releases: tuple[str, ...]
    tiles: int
    missing: tuple[str, ...] = ()
    quarantined: tuple[str, ...] = ()
    reference: str = ""
    origin: str = "photoz-run"

    @property
    def partial(self) -> bool:
        """Whether tiles of the run are not in it."""
        return bool(self.missing or self.quarantined)

    def texts(self) -> dict[str, str]:
        """All of it as texts by name: what a tile file says of its run, and the release's own."""
        return {
            **{key: str(value) for key, value in asdict(self.run).items()},
            "release": ",".join(self.input_releases),
            "release_name": self.name,
            "release_program": self.program,
            "release_commit": self.commit,
            "release_date": self.date,
            "tiles": str(self.tiles),
            "partial": str(self.partial),
            "missing": ",".join(self.missing),
            "quarantined": ",".join(self.quarantined),
            "reference": self.reference,
            "origin": self.origin,
        }

    def metadata(self) -> dict[str, str]:
        """The same under the keys that the metadata of a Parquet file have.

        Without the date: a release that is made again has the same Parquet files, byte by byte.
        """
        texts = {key: value for key, value in self.texts().items() if key != "release_date"}
        return {f"{PROVENANCE_KEY.decode()}.{key}": value for key, value in texts.items()}


def text_rows(texts: Sequence[tuple[str, str]]) -> pa.Table:
    """The table ``texts`` of the dictionary: each (name, text) line by line."""
    rows = [
        {"NAME": name, "LINE": number, "TEXT": line}
        for name, text in texts
        for number, line in enumerate(text.splitlines(), start=1)
    ]
    return pa.Table.from_pylist(rows, schema=dictionary_schema("texts"))
