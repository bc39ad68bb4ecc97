"""Which settings are secrets, and what people and clients see of them."""

from __future__ import annotations

from typing import Any

import pytest

from actors.settings.key_paths import split_key_path
from actors.settings.secrets import is_secret, is_secret_variable, may_hold_secret, shown, without_secrets


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("model_providers.a.experimental_bearer_token", True),
        ("model_providers.a.http_headers", True),
        ("model_providers.a.http_headers.x-team", True),
        ("model_providers.a.query_params.key", True),
        ("model_providers.a.auth.args", True),
        ("model_providers.a.auth.command", False),
        ("model_providers.a.env_key", False),
        ("model_providers.a.env_http_headers.x-team", False),
        ("model_providers.args.name", False),
        ("oauth.a.extra_params.audience", True),
        ("oauth.a.client_id", False),
        ("mcp_servers.a.env.TOKEN", True),
        ("mcp_servers.a.bearer_token", True),
        ("mcp_servers.a.command", False),
        ("shell_environment_policy.set.TOKEN", True),
        ("shell_environment_policy.exclude", False),
        ("model", False),
    ],
)
def test_a_value_is_a_secret_by_where_it_stands(key: str, *, secret: bool) -> None:
    assert is_secret(split_key_path(key)) is secret


SETTINGS: dict[str, Any] = {
    "model": "m",
    "model_providers": {
        "a": {
            "base_url": "https://me:pass@host.example/v1?key=k",
            "http_headers": {"x-team": "h"},
            "experimental_bearer_token": None,
            "auth": {"command": "op", "args": ["read", "s"]},
        }
    },
    "shell_environment_policy": {"inherit": "core", "set": {"TOKEN": "t"}},
}


def test_people_see_that_there_is_something_and_clients_nothing_that_they_could_write_back() -> None:
    assert shown((), SETTINGS) == {
        "model": "m",
        "model_providers": {
            "a": {
                "base_url": "https://host.example/v1",
                "http_headers": {"x-team": "…"},
                "experimental_bearer_token": None,
                "auth": {"command": "op", "args": "…"},
            }
        },
        "shell_environment_policy": {"inherit": "core", "set": {"TOKEN": "…"}},
    }
    assert without_secrets(SETTINGS) == {
        "model": "m",
        "model_providers": {"a": {"experimental_bearer_token": None, "auth": {"command": "op"}}},
        "shell_environment_policy": {"inherit": "core"},
    }


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("CALLBOARD_TOKEN", True),
        ("CALLBOARD_MODEL_PROVIDERS__A__EXPERIMENTAL_BEARER_TOKEN", True),
        ("CALLBOARD_MODEL_PROVIDERS__A__BASE_URL", True),
        ("CALLBOARD_MODEL", False),
        ("CALLBOARD_HOME", False),
        ("OPENAI_API_KEY", False),  # known by the provider that has it
    ],
)
def test_variables_of_ours_that_commands_do_not_get(name: str, *, secret: bool) -> None:
    assert is_secret_variable(name) is secret


def test_a_table_above_a_secret_may_hold_it() -> None:
    assert may_hold_secret(("model_providers",))
    assert may_hold_secret(("model_providers", "a"))
    assert not may_hold_secret(("model_providers", "a", "name"))
    assert not may_hold_secret(("model",))
