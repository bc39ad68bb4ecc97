"""Edits of the user's configuration file, and what they do to the settings in force. Pure; comments stay."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from messages.client.config import ConfigEdit
from messages.settings import Settings

_KEY = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|([A-Za-z0-9_-]+))\s*')
_ESCAPED = re.compile(r"\\(.)")


class EditError(ValueError):
    """An edit that cannot be made; the text says which and why."""


def split_key_path(text: str) -> tuple[str, ...]:
    """``projects."/a.b".trust_level`` -> its three keys. Raises EditError."""
    keys: list[str] = []
    at = 0
    while True:
        found = _KEY.match(text, at)
        if found is None:
            raise EditError(f"keyPath {text!r}: expected keys joined by dots, quoted where they hold other characters")
        double, single, bare = found.groups()
        keys.append(_ESCAPED.sub(r"\1", double) if double is not None else single if single is not None else bare)
        at = found.end()
        if at == len(text):
            return tuple(keys)
        if text[at] != ".":
            raise EditError(f"keyPath {text!r}: expected a dot after {text[:at]!r}")
        at += 1


def edited_text(text: str, edits: Iterable[ConfigEdit]) -> str:
    """The file's text with the edits made. Raises EditError."""
    import tomlkit  # a second of nothing for the many daemons nobody ever configures through a client
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        for edit in edits:
            _edit(document, edit, tomlkit.table)
        return tomlkit.dumps(document)
    except (TOMLKitError, TypeError) as error:
        raise EditError(f"the configuration file cannot be edited: {error}") from error


def edited_values(values: Mapping[str, Any], edits: Iterable[ConfigEdit]) -> dict[str, Any]:
    """Plain tables with the edits made."""
    copy: dict[str, Any] = msgspec.to_builtins(values)
    for edit in edits:
        _edit(copy, edit, dict)
    return copy


def _edit(table: Any, edit: ConfigEdit, new_table: Any) -> None:
    *parents, last = split_key_path(edit.key_path)
    given = msgspec.to_builtins(edit.value)  # a copy: a later edit may change what this one has put in
    for key in parents:
        if key not in table:
            if edit.value is None:
                return
            table[key] = new_table()
        table = table[key]
        if not isinstance(table, Mapping):
            raise EditError(f"keyPath {edit.key_path!r}: {key!r} holds a value, not a table")
    if edit.value is None:
        table.pop(last, None)
    elif edit.merge_strategy == "upsert" and isinstance(given, dict) and isinstance(table.get(last), Mapping):
        for key, value in given.items():
            table[last][key] = value
    else:
        table[last] = given


def checked_settings(values: Mapping[str, Any]) -> Settings:
    """The settings that these values make, leaving out what are none of ours. Raises EditError naming what is wrong."""
    known = {key: value for key, value in values.items() if key in Settings.__struct_fields__ and value is not None}
    try:
        return msgspec.convert(known, Settings)
    except msgspec.ValidationError as error:
        raise EditError(str(error)) from error


def version_of(text: str) -> str:
    """Changes when the file does."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]
