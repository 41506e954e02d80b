"""Commands that need more than a plain install say so in one line."""

from importlib.util import find_spec

from photoz_run.errors import ConfigError


def need(*modules: str, extra: str) -> None:
    """Refuse to start without ``modules``, which come with an extra of the distribution.

    Raises
    ------
    ConfigError
        If one of them is not installed.
    """
    lacking = [module for module in modules if find_spec(module) is None]
    if lacking:
        raise ConfigError(
            f"this needs {' and '.join(lacking)}: install photoz-run with the extra '{extra}'"
        )
