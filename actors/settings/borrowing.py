"""A configuration of the Codex CLI in our words: what is taken over, and why the rest is not. Pure.

Most names are the same, because clients of one want to configure the other; so a value is taken if it is valid here
under its name, and everything else is named, never dropped in silence. Secrets that stand in the file itself are left
where they are: they belong into an environment variable or the credential store.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

import msgspec

from actors.settings.checking import CLIENTS_OWN, KeyPath, check, convert, dotted
from actors.settings.layers import leaves, merge_into, nested
from messages.settings import SettingsEdit

RENAMED: dict[KeyPath, KeyPath] = {
    ("thread_unload_delay_secs",): ("thread_unload_delay_seconds",),
}

SECRETS = frozenset({"experimental_bearer_token", "bearer_token", "http_headers"})
"""Keys of a provider or a server under which a secret stands in the clear."""

ELSEWHERE = {
    "profile": "profiles are files here: put it into NAME.config.toml and use -p NAME",
    "profiles": "profiles are files here: put each into NAME.config.toml and use -p NAME",
}


class Borrowed(msgspec.Struct, frozen=True, kw_only=True):
    """What an import comes to."""

    edits: tuple[SettingsEdit, ...]
    left: dict[str, str]
    """Key -> why it is not taken over."""


def borrow(content: bytes, own: Mapping[str, Any]) -> Borrowed:
    """What of another program's file goes into ours, which says ``own`` so far. What is set there stays.

    Raises ValueError for what is no TOML.
    """
    wanted: dict[str, Any] = {}
    left: dict[str, str] = {}
    for path, value in _leaves(tomllib.loads(content.decode())):
        if path[0] in ELSEWHERE:
            left[path[0]] = ELSEWHERE[path[0]]
        elif SECRETS.intersection(path):
            at = next(number for number, key in enumerate(path, start=1) if key in SECRETS)
            left[dotted(path[:at])] = "it may hold a secret: name an environment variable instead (env_key …)"
        else:
            path = RENAMED.get(path, path)
            if _at(own, path) is not None:
                left[dotted(path)] = "it is set here already"
            else:
                merge_into(wanted, nested(path, value))
    checked = check(wanted)
    for finding in checked.unknown:
        left[dotted(finding.path)] = "nothing here goes by this name"
    for finding in checked.wrong:
        left[dotted(finding.path)] = finding.text
    taken = [
        (path, value)
        for path, value in _leaves(wanted)
        if not any(finding.path == path[: len(finding.path)] for finding in (*checked.unknown, *checked.wrong))
    ]
    taken = _complete(taken, own, left)
    return Borrowed(
        edits=tuple(SettingsEdit(key_path=dotted(path), value=value) for path, value in taken),
        left=left,
    )


def _complete(
    taken: list[tuple[KeyPath, Any]], own: Mapping[str, Any], left: dict[str, str]
) -> list[tuple[KeyPath, Any]]:
    """Without the tables that lack something without which they are of no use."""
    while True:
        whole: dict[str, Any] = {}
        merge_into(whole, {key: value for key, value in own.items() if key not in CLIENTS_OWN})
        for path, value in taken:
            if path[0] not in CLIENTS_OWN:
                merge_into(whole, nested(path, value))
        found = convert(check(whole).known)
        wrong = {finding.path: finding.text for finding in found if finding.path} if isinstance(found, tuple) else {}
        kept = [each for each in taken if not any(path == each[0][: len(path)] for path in wrong)]
        if len(kept) == len(taken):
            return taken
        left.update({dotted(path): text for path, text in wrong.items()})
        taken = kept


def _leaves(values: Mapping[str, Any]) -> list[tuple[KeyPath, Any]]:
    return [(path, _at(values, path)) for path in leaves(values)]


def _at(values: Any, path: KeyPath) -> Any:
    for key in path:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values
