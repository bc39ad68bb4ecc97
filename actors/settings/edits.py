"""Edits of a configuration file: comments, order and layout stay. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from actors.settings.key_paths import KeyPathError, split_key_path
from messages.settings import SettingsEdit


class EditError(ValueError):
    """An edit that cannot be made; the text says which and why."""


def edited_text(text: str, edits: Iterable[SettingsEdit]) -> str:
    """The file's text with the edits made, in order. Raises EditError."""
    import tomlkit  # 100 ms of nothing for the many daemons nobody ever configures through a client
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        for edit in edits:
            _edit(document, edit, tomlkit.table)
        return tomlkit.dumps(document)
    except KeyPathError as error:
        raise EditError(str(error)) from error
    except (TOMLKitError, TypeError) as error:
        raise EditError(f"the configuration file cannot be edited: {error}") from error


def _edit(document: Any, edit: SettingsEdit, new_table: Any) -> None:
    *parents, last = split_key_path(edit.key_path)
    given = msgspec.to_builtins(edit.value)  # a copy: a later edit may change what this one has put in
    table = document
    for key in parents:
        if key not in table:
            if edit.value is None:
                return
            table[key] = new_table(is_super_table=True) if key != parents[-1] else new_table()
        table = table[key]
        if not isinstance(table, Mapping):
            raise EditError(f"keyPath {edit.key_path!r}: {key!r} holds a value, not a table")
    if edit.value is None:
        table.pop(last, None)
    elif edit.merge and isinstance(given, dict) and isinstance(table.get(last), Mapping):
        for key, value in given.items():
            if value is None:
                table[last].pop(key, None)
            else:
                table[last][key] = _without_nulls(value)
    else:
        table[last] = _without_nulls(given)


def _without_nulls(value: Any) -> Any:
    """TOML has no null: what is null is not there."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value
