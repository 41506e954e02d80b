"""Lists of addresses: one a line, with name, size and checksum in any order, or a web page."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urljoin

from photoz_run.afar.store import Entry, Facts
from photoz_run.places import base_name
from photoz_run.reading import BLOCK
from photoz_run.survey.names import is_archive_name, parse_file_name

_SEPARATORS = re.compile(r"[\s,;|\"']+")
_SIZE = re.compile(r"\d+")
_CHECKSUM = re.compile(r"(?:(?:md5|sha256):)?([0-9a-f]{64}|[0-9a-f]{32})", re.IGNORECASE)
_KINDS = {32: "md5", 64: "sha256"}


def read_list(text: str) -> list[Entry]:
    """The lines with an address; others, and what follows ``#`` after a blank, are passed over.

    Scripts of ESO's archive and of wget are such lists. Beside the address a line may hold the name
    of the file, its size in bytes, and its MD5 or SHA-256. A number that is too small for the size
    of a FITS file is something else.
    """
    lines = (_line(re.split(r"(?:^|\s)#", raw)[0]) for raw in text.splitlines())
    return [line for line in lines if line is not None]


def decoded(content: bytes) -> str:
    """The text of a list or a web page.

    Programs of Windows begin it with a mark; what stands beside addresses may have any encoding.

    Raises
    ------
    ValueError
        If it is no text.
    """
    if b"\0" in content:
        raise ValueError("a text has no null bytes")
    return content.decode("utf-8-sig", errors="replace")


def _line(text: str) -> Entry | None:
    words = [word for word in _SEPARATORS.split(text) if word]
    url = next((word for word in words if "://" in word), None)
    if url is None:
        return None
    name, size, checksum = file_name(url), -1, ""
    for word in words:
        if parse_file_name(Path(word)) or is_archive_name(Path(word)):
            name = word
        elif _SIZE.fullmatch(word) and int(word) >= BLOCK:
            size = int(word)
        elif match := _CHECKSUM.fullmatch(word):
            digits = match[1].lower()
            checksum = f"{_KINDS[len(digits)]}:{digits}"
    return Entry(url, name, Facts(size), checksum)


def links_below(page: str, url: str) -> list[str]:
    """Addresses on an index page of a web server that lie below ``url``, each once, in order."""
    parser = _Links()
    parser.feed(page)
    folder = urljoin(url, ".")
    links = (urldefrag(urljoin(url, link)).url for link in parser.links)
    below = (link for link in links if link.startswith(folder) and "?" not in link)
    return [link for link in dict.fromkeys(below) if link not in (folder, url)]


def file_name(url: str) -> str:
    """A file's name by its address; ESO's archive leaves the ending out."""
    name = base_name(url)
    return f"{name}.fits" if name.startswith("ADP.") and ".fits" not in name else name


class _Links(HTMLParser):
    """Collects the links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the address of an anchor."""
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]
