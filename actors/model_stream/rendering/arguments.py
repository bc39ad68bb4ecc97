"""Arguments on their way back. A model can write arguments that are no JSON; the tool has told it so, and the history
keeps them. Servers that parse what is replayed to them still want an object."""

from __future__ import annotations

import msgspec
from msgspec.json import Decoder

INVALID_FIELD = "invalid_arguments"
"""Holds the text of arguments that are no JSON object, so that the model sees what it wrote."""

_object: Decoder[dict[str, msgspec.Raw]] = Decoder(dict[str, msgspec.Raw])


def arguments_object(arguments: str) -> bytes:
    """The JSON text of an object: the arguments themselves wherever they are one."""
    text = arguments.strip()
    if not text:
        return b"{}"
    try:
        encoded = text.encode()
        _object.decode(encoded)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return msgspec.json.encode({INVALID_FIELD: arguments.encode("utf-8", "replace").decode()})
    return encoded


def valid_arguments(arguments: str) -> str:
    """The same as text."""
    return arguments_object(arguments).decode()
