"""YAML that astropy writes, without its objects: each is the mapping of what it was made of."""

from typing import Any

import yaml


class _PlainLoader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML whose objects of Python are mappings, or left out."""


def _parts(loader: Any, _: str, node: Any) -> Any:
    is_mapping = isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True) if is_mapping else None


_PlainLoader.add_multi_constructor("", _parts)


def read_yaml(content: bytes | str) -> Any:
    """A document.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        return yaml.load(content, _PlainLoader)
    except yaml.YAMLError as error:
        raise ValueError(str(error).splitlines()[0]) from error
