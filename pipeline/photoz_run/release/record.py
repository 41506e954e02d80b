"""What the files of a release say of themselves, in the forms that the formats have for it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import pyarrow as pa

from photoz_run import schema
from photoz_run.catalogue.fits_cards import Card, card, provenance_cards
from photoz_run.catalogue.provenance import Provenance
from photoz_run.catalogue.table import dictionary_schema
from photoz_run.catalogue.tile_files import PROVENANCE_KEY
from photoz_run.release.eso_cards import CardValue, fits_cards

NAMED = 20
"""Absent tiles that are named in cards; the table of provenance names all of them."""
CARDS = {
    "DATE": ("release_date", "when this was written (UTC)"),
    "ORIGIN": ("origin", "who answers for it"),
    "REFERENC": ("reference", "bibcode or DOI of the publication"),
    "PROGRAM": ("program", "program that measured the tiles"),
    "PROGVERS": ("version", "its version"),
    "COMMIT": ("commit", "its git commit"),
    "INPUTREL": ("release", "data releases of the input"),
    "PZMODEL": ("model", "photo-z model"),
    "PZMODVER": ("model_version", "its version"),
    "PZTRAIN": ("model_training", "training set of the model"),
    "PZSIMUL": ("simulated_training", "trained on simulations?"),
    "PZMODSHA": ("model_digest", ""),
    "PZCFGSHA": ("config_digest", ""),
    "PZRUNSHA": ("run_digest", ""),
    "PARTIAL": ("partial", "are tiles of the run missing?"),
}
"""Text of the record and comment by keyword; a digest leaves no room for a comment."""


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
        Program, with its version, that merged the tiles, and the commit of its code.
    date
        When it was merged: ISO 8601, UTC, without fractions of seconds.
    input_releases
        Data releases of the survey that its tiles come from.
    tiles
        How many tiles are in the catalogue.
    missing, quarantined
        Tiles of the run that are not in it: without a result, or in quarantine.
    reference
        Bibcode or DOI of the publication; empty before there is one, as ESO's archive asks.
    cards
        Keywords of ESO's archive and their values.
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
    cards: Mapping[str, CardValue] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Who answers for it."""
        return str(self.cards.get("ORIGIN", "photoz-run"))

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
        """The texts under the keys that they have in the metadata of a Parquet file.

        Without the date: a release that is made again has the same Parquet files, byte by byte.
        """
        texts = self.texts()
        del texts["release_date"]
        return prefixed(texts)


def prefixed(texts: Mapping[str, str]) -> dict[str, str]:
    """Texts by the keys that they have in the metadata of Parquet files."""
    return {f"{PROVENANCE_KEY.decode()}.{key}": text for key, text in texts.items()}


def release_cards(record: ReleaseRecord) -> list[Card]:
    """What the headers of the first two HDUs of the FITS file say of the release."""
    program = f"{record.program} ({record.commit})"
    return [
        card("OBJECT", record.name, "name of the release"),
        card("RADESYS", "ICRS", "system of the coordinates"),
        card("PROCSOFT", program, "program that merged, commit"),
        *provenance_cards(record.texts(), CARDS),
        card("NTILES", record.tiles, "tiles in the catalogue"),
        *_absent("QUAR", record.quarantined, "in quarantine"),
        *_absent("MISS", record.missing, "without a result"),
        *fits_cards({name: value for name, value in record.cards.items() if name != "ORIGIN"}),
    ]


def area_cards(record: ReleaseRecord) -> list[Card]:
    """What the header of the MOC says of the release."""
    return [
        card("OBJECT", record.name, "name of the release"),
        card("DATE", record.date, "when this file was written (UTC)"),
        card(
            "PROCSOFT",
            f"{record.program} ({record.commit})",
            "program that wrote this file, commit",
        ),
    ]


def hats_properties(record: ReleaseRecord) -> dict[str, str]:
    """The properties of a HATS collection: columns to load first, and the provenance."""
    principal = [column.name for column in schema.COLUMNS if column.principal]
    texts = {f"photoz_{key}": text for key, text in record.texts().items() if text}
    return {
        "obs_title": f"Photometric redshifts: {record.name}",
        "hats_cols_default": ",".join(principal),
        **texts,
    }


def margin_name(name: str) -> str:
    """The folder of the margin cache beside the HATS catalogue ``name``."""
    return f"{name}_margin"


def extension_name(name: str) -> str:
    """What LSDB calls the HATS catalogue ``name`` where it extends one of others."""
    return f"{name}_photoz"


def text_rows(texts: Sequence[tuple[str, Sequence[str]]]) -> pa.Table:
    """The table ``texts`` of the dictionary: each (name, lines) line by line."""
    rows = [
        {"NAME": name, "LINE": number, "TEXT": line}
        for name, lines in texts
        for number, line in enumerate(lines, start=1)
    ]
    return pa.Table.from_pylist(rows, schema=dictionary_schema("texts"))


def _absent(keyword: str, tiles: Sequence[str], why: str) -> list[Card]:
    """How many tiles are not in the catalogue, and the first of them."""
    cards = [card(f"N{keyword}", len(tiles), f"tiles {why}")]
    for number, tile in enumerate(tiles[:NAMED], start=1):
        cards.append(card(f"{keyword}{number}", tile, f"tile {why}"))
    return cards
