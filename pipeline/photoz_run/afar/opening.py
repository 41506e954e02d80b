"""The store that speaks the protocol of an address."""

from importlib.util import find_spec

from photoz_run.afar.store import SILENCE, Facts, Store
from photoz_run.errors import ConfigError
from photoz_run.places import masked

NEEDED = ("fsspec", "aiohttp")


def open_store(url: str) -> Store:
    """What speaks the protocol of an address.

    Raises
    ------
    ConfigError
        If what it needs is not installed, or nobody knows the protocol.
    """
    if lacking := [module for module in NEEDED if find_spec(module) is None]:
        raise ConfigError(
            f"{masked(url)}: this needs {' and '.join(lacking)}: install photoz-run with the extra"
            " 'remote'"
        )
    if url.partition("://")[0] in ("http", "https"):
        # aiohttp and fsspec are parts of an extra.
        from photoz_run.afar.http import HttpStore

        return HttpStore()
    from photoz_run.afar.filesystems import FileSystemStore

    return FileSystemStore()


def read_range(url: str, start: int, stop: int, known: Facts) -> bytes:
    """Bytes of a file at once; fewer at its end."""
    with open_store(url).read(url, start, stop, known, SILENCE, lambda _: None) as answer:
        content = bytearray()
        for chunk in answer.chunks:
            content += chunk
            if len(content) >= stop - answer.start:
                break
        return bytes(content[start - answer.start : stop - answer.start])
