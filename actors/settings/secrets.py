"""Which settings may hold a secret, and how they look to somebody who only wants an overview. Pure.

Decided by where a value stands, not by what it looks like: whoever writes a header or a parameter of a URL may write a
key there. What belongs to other programs (an `mcp_servers` table that came with an imported file) is judged by the
names that hold secrets there.

Rejected: guessing by entropy (it misses passwords and hides model names).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.model_stream.unsaid import bare_url
from actors.settings.layers import ENVIRONMENT_PREFIX

HIDDEN = "…"

TABLES = frozenset({"mcp_servers", "model_providers", "oauth", "otel", "plugins"})

SECRET_KEYS = frozenset(
    {
        "args",
        "bearer_token",
        "env",
        "experimental_bearer_token",
        "extra_params",
        "headers",
        "http_headers",
        "query_params",
    }
)
"""Values and whole tables of these names, wherever they stand in a table of one of `TABLES`."""

ENVIRONMENT = ("shell_environment_policy", "set")
"""Values that are given to commands: tokens for the tools that they are."""

TOKEN_VARIABLE = "CALLBOARD_TOKEN"  # noqa: S105  # the name of a variable, not a secret
"""Where clients find the capability token."""


def is_secret(path: tuple[str, ...]) -> bool:
    """Whether the value at ``path`` (the keys from the top) may be a secret as a whole."""
    return path[:2] == ENVIRONMENT or (path[:1] != () and path[0] in TABLES and not SECRET_KEYS.isdisjoint(path[2:]))


def shown(path: tuple[str, ...], value: Any) -> Any:
    """A value for people: `HIDDEN` in place of what may be secret. Tables keep their keys, and addresses what is
    neither user nor password nor query."""
    if isinstance(value, Mapping):
        return {key: shown((*path, key), each) for key, each in value.items()}
    if not value:
        return value
    if is_secret(path):
        return HIDDEN
    return bare_url(value) if _is_url(path) and isinstance(value, str) else value


def without_secrets(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[str, Any]:
    """A table for clients, who may write back what they read: what may be secret is not there at all."""
    kept: dict[str, Any] = {}
    for key, value in values.items():
        at = (*path, key)
        if isinstance(value, Mapping) and not is_secret(at):
            kept[key] = without_secrets(value, at)
        elif shown(at, value) == value:
            kept[key] = value
    return kept


def is_secret_variable(name: str) -> bool:
    """Whether an environment variable of ours may hold a secret: the token of clients, or a setting."""
    if name == TOKEN_VARIABLE:
        return True
    path = tuple(name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
    return name.startswith(ENVIRONMENT_PREFIX) and may_hold_secret(path)


def may_hold_secret(path: tuple[str, ...]) -> bool:
    """Whether the value at ``path`` may be a secret or hold one. A table above such a place may."""
    return is_secret(path) or _is_url(path) or (len(path) < 3 and path[0] in TABLES)


def _is_url(path: tuple[str, ...]) -> bool:
    return path[-1:] != () and (path[-1] == "url" or path[-1].endswith("_url"))
