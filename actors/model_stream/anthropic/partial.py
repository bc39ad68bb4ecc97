"""JSON that was cut off: as much of it as is certain. For eyes only; nothing is ever run on it.

Whole values and whole entries stay; a string, number or word that was being written is left out with its key; what was
open is closed. This is how the official SDK shows the input of a call while it streams.
"""

from __future__ import annotations

import json
from typing import Any

_decoder = json.JSONDecoder()
_BLANKS = " \t\r\n"

MAX_DEPTH = 64
"""Nesting that is followed; arguments of tools have two or three."""


class _CutError(Exception):
    """The text ends here."""


def certain(text: str) -> Any:
    """The value, without what is not certain; None when nothing is, or when it is no JSON even so far."""
    try:
        return _decoder.raw_decode(text.lstrip(_BLANKS))[0]
    except (ValueError, RecursionError):
        pass
    try:
        value, _ = _value(text, _skip(text, 0), 0)
    except (_CutError, ValueError, RecursionError):
        return None
    return value


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANKS:
        at += 1
    return at


def _value(text: str, at: int, depth: int) -> tuple[Any, int]:
    if at >= len(text) or depth > MAX_DEPTH:
        raise _CutError
    if text[at] == "{":
        return _object(text, at + 1, depth)
    if text[at] == "[":
        return _array(text, at + 1, depth)
    try:
        value, end = _decoder.raw_decode(text, at)
    except ValueError:
        raise _CutError from None
    if end == len(text) and not isinstance(value, str):
        raise _CutError  # more digits might have followed
    return value, end


def _array(text: str, at: int, depth: int) -> tuple[list[Any], int]:
    values: list[Any] = []
    try:
        while True:
            at = _skip(text, at)
            if text[at : at + 1] == "]":
                return values, at + 1
            value, at = _value(text, at, depth + 1)
            values.append(value)
            at = _behind(text, at, "]")
    except _CutError:
        return values, len(text)


def _object(text: str, at: int, depth: int) -> tuple[dict[str, Any], int]:
    entries: dict[str, Any] = {}
    try:
        while True:
            at = _skip(text, at)
            if text[at : at + 1] == "}":
                return entries, at + 1
            key, at = _key(text, at)
            value, at = _value(text, at, depth + 1)
            entries[key] = value
            at = _behind(text, at, "}")
    except _CutError:
        return entries, len(text)


def _key(text: str, at: int) -> tuple[str, int]:
    """An entry's name, and where its value begins."""
    key, at = _value(text, at, MAX_DEPTH)
    at = _skip(text, at)
    if text[at : at + 1] != ":" or not isinstance(key, str):
        raise _CutError
    return key, _skip(text, at + 1)


def _behind(text: str, at: int, end: str) -> int:
    """Behind the comma after a value, or at what ends the container."""
    at = _skip(text, at)
    if text[at : at + 1] == ",":
        return at + 1
    if text[at : at + 1] == end:
        return at
    raise _CutError
