"""``--bands``: which column of a table holds which magnitude."""

from photoz_run.errors import ConfigError

HELP = "Its magnitude columns, BAND=COLUMN,...; BAND alone where the column is called so"


def columns_of_bands(text: str) -> dict[str, str]:
    """Column of each band: ``u=MAG_u,g=MAG_g``, or column names that are the bands.

    Raises
    ------
    ConfigError
        If a band is named twice, or one has no name.
    """
    columns: dict[str, str] = {}
    for part in text.split(",") if text else ():
        band, _, column = (word.strip() for word in part.partition("="))
        if not band or band in columns:
            raise ConfigError(f"--bands {text}: name each band once, like u=MAG_u,g=MAG_g")
        columns[band] = column or band
    return columns
