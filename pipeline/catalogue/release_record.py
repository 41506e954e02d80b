"""What the files of a release say of themselves, short enough for header cards."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from pipeline.catalogue.provenance import Provenance
from pipeline.catalogue.table import dictionary_schema


@dataclass(frozen=True)
class ReleaseRecord:
    """A release: what it is called, what made it, and what it lacks.

    ``run`` is the provenance common to its tiles, ``date`` the time of writing (ISO 8601, UTC, whole seconds),
    ``program`` and ``commit`` those of the program that merged. ``reference`` is a bibcode or DOI, empty before
    publication.
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

    @property
    def partial(self) -> bool:
        """Whether tiles of the run are not in it."""
        return bool(self.missing or self.quarantined)

    def texts(self) -> dict[str, str]:
        """The record as short texts by name, for Parquet metadata: those of a tile file, and the release's own."""
        return {
            **{key: str(value) for key, value in asdict(self.run).items()},
            "release_name": self.name,
            "release_program": self.program,
            "commit": self.commit,
            "date": self.date,
            "release": ",".join(self.input_releases),
            "tiles": str(self.tiles),
            "partial": str(self.partial),
            "missing": ",".join(self.missing),
            "quarantined": ",".join(self.quarantined),
            "reference": self.reference,
        }


def text_rows(texts: Sequence[tuple[str, str]]) -> pa.Table:
    """The table ``texts`` of the dictionary: each (name, text) line by line."""
    rows = [
        {"NAME": name, "LINE": number, "TEXT": line}
        for name, text in texts
        for number, line in enumerate(text.splitlines(), start=1)
    ]
    return pa.Table.from_pylist(rows, schema=dictionary_schema("texts"))
