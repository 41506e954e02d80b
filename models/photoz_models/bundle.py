"""What the file of a bundle says of itself, read without ONNX Runtime, which takes 30 MB.

An ONNX file is a message of protobuf: fields, each with a number and a kind. Those on top are
passed over, but for the metadata.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from photoz_models.contract import ModelContract, parse_contract
from photoz_models.errors import BundleError
from photoz_models.runtime import read_model

METADATA, KEY, VALUE = 14, 1, 2
"""Numbers of fields: ``metadata_props`` of a model; key and value of an entry."""
VARINT, FIXED_64, WITH_LENGTH, FIXED_32 = 0, 1, 2, 5
"""Kinds of fields."""


@dataclass(frozen=True)
class Bundle:
    """A bundle; ``digest`` is the sha256 of the file, ``provider`` where it would be computed."""

    contract: ModelContract
    digest: str
    provider: Literal["cpu", "cuda"]


def read_bundle(path: Path) -> Bundle:
    """The bundle at ``path`` for who computes nothing with it: its graph is not looked at.

    Raises
    ------
    BundleError
        If it cannot be read, is no ONNX file, or has no valid contract.
    """
    content = read_model(path)
    contract = parse_contract(metadata_of(content, str(path)), str(path))
    return Bundle(contract, hashlib.sha256(content).hexdigest(), "cpu")


def metadata_of(content: bytes, where: str) -> dict[str, str]:
    """The metadata of an ONNX file; ``where`` names it in messages.

    Raises
    ------
    BundleError
        If the content is not that of an ONNX file.
    """
    metadata = {}
    try:
        for number, field in _fields(memoryview(content)):
            if number == METADATA:
                entry = dict(_fields(field))
                metadata[str(entry[KEY], "utf-8")] = str(entry[VALUE], "utf-8")
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise BundleError(f"{where}: not a usable ONNX model") from error
    return metadata


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and bytes of each field; `IndexError` if the message ends within one."""
    start = 0
    while start < len(message):
        key, start = _varint(message, start)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            _, end = _varint(message, start)
        elif kind == WITH_LENGTH:
            length, start = _varint(message, start)
            end = start + length
        elif kind in (FIXED_64, FIXED_32):
            end = start + (8 if kind == FIXED_64 else 4)
        else:
            raise IndexError(f"kind {kind} of a field")
        if end > len(message):
            raise IndexError(f"field {number}")
        yield number, message[start:end]
        start = end


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, the last byte below 128, and the place after it."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
