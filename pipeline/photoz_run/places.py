"""Where the files of a survey are: folders of this machine, lists of addresses, and addresses."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import PlainValidator

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>]+")
_SECRET = re.compile(
    r"(?P<name>[^=&?]*(?:sig|token|secret|key|credential|passw|auth|policy|access)[^=&?]*)=[^&#]*",
    re.IGNORECASE,
)
"""What stands in a query to prove who asks: signatures, tokens, names of keys."""
HIDDEN = "***"


def as_place(value: str | Path) -> Path | str:
    """An address as it stands: a path would lose one of its slashes; anything else is a path."""
    if not isinstance(value, str | Path):
        raise ValueError("give a folder, or an address such as https://...")
    if "://" not in str(value):
        return Path(value)
    if masked(str(value)) != str(value):
        raise ValueError(
            "a password or a signature would stand in the files of the run; put it into ~/.netrc,"
            " fsspec's configuration, or a list of addresses"
        )
    return str(value)


Place = Annotated[Path | str, PlainValidator(as_place)]
"""A folder, a list of addresses in a file, or an address (``https://...``, ``s3://...``)."""


def absolute(place: Path | str) -> Path | str:
    """The same place, whatever the folder in which a command runs."""
    return place.absolute() if isinstance(place, Path) else place


def masked(text: str) -> str:
    """The same text, with passwords and signatures in its addresses hidden."""
    return _URL.sub(lambda match: _masked_url(match[0]), text)


def base_name(url: str) -> str:
    """The last part of an address, as a file would be called."""
    return unquote(urlsplit(url).path.rsplit("/", 1)[-1])


def _masked_url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    if "@" in place:
        place = f"{HIDDEN}@{place.rpartition('@')[2]}"
    path, mark, query = path.partition("?")
    query = _SECRET.sub(rf"\g<name>={HIDDEN}", query)
    return f"{scheme}://{place}{slash}{path}{mark}{query}"
