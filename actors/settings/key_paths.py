"""``projects."/a.b".trust_level``: keys joined by dots, as TOML writes them. Pure."""

from __future__ import annotations

import re

_KEY = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|([A-Za-z0-9_-]+))\s*')
_ESCAPED = re.compile(r"\\(.)")


class KeyPathError(ValueError):
    """What was given is no path of keys; the text says so."""


def split_key_path(text: str) -> tuple[str, ...]:
    """``projects."/a.b".trust_level`` -> its three keys. Raises KeyPathError."""
    keys: list[str] = []
    at = 0
    while True:
        found = _KEY.match(text, at)
        if found is None:
            raise KeyPathError(
                f"keyPath {text!r}: expected keys joined by dots, quoted where they hold other characters"
            )
        double, single, bare = found.groups()
        keys.append(_ESCAPED.sub(r"\1", double) if double is not None else single if single is not None else bare)
        at = found.end()
        if at == len(text):
            return tuple(keys)
        if text[at] != ".":
            raise KeyPathError(f"keyPath {text!r}: expected a dot after {text[:at]!r}")
        at += 1
