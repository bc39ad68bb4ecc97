"""Ready headers come out; secrets do not."""

from __future__ import annotations

import pickle

import pytest

from actors.credentials.core import decide, state
from messages.credentials import CredentialState, Headers, SecretValue
from messages.failure import Failure
from messages.settings import ProviderSettings

PROVIDER = ProviderSettings(
    base_url="https://x/v1",
    env_key="X_KEY",
    http_headers={"x-plain": "1"},
    env_http_headers={"x-set": "SET", "x-unset": "UNSET"},
)


def revealed(found: object) -> list[tuple[str, str]]:
    assert isinstance(found, Headers)
    return [(name, value.reveal()) for name, value in found.items]


def test_a_key_from_the_environment_becomes_a_bearer_header_beside_the_configured_ones() -> None:
    assert revealed(decide("x", PROVIDER, {"X_KEY": " sk-1 ", "SET": "2", "UNSET": ""}, None, now=0)) == [
        ("authorization", "Bearer sk-1"),
        ("x-plain", "1"),
        ("x-set", "2"),
    ]


def test_a_provider_without_a_key_needs_no_header() -> None:
    assert revealed(decide("x", ProviderSettings(base_url="http://x"), {}, None, now=0)) == []


@pytest.mark.parametrize("environment", [{}, {"X_KEY": ""}, {"X_KEY": "  "}, {"X_KEY": "a\nb"}])
def test_a_missing_or_unusable_key_is_an_error_that_names_the_variable_and_not_its_value(
    environment: dict[str, str],
) -> None:
    found = decide("x", PROVIDER, environment, None, now=0)
    assert isinstance(found, Failure)
    assert found.kind == "missing_key"
    assert "X_KEY" in found.message
    assert "a\nb" not in found.message


def test_an_unknown_provider_is_named() -> None:
    found = decide("nobody", None, {}, None, now=0)
    assert isinstance(found, Failure)
    assert "nobody" in found.message


def test_the_state_of_credentials_tells_where_they_come_from_but_not_what_they_are() -> None:
    assert state("x", PROVIDER, {"X_KEY": "sk-1"}) == CredentialState(
        provider="x", needed=True, present=True, source="environment variable X_KEY"
    )


def test_a_secret_cannot_be_printed_formatted_or_serialized() -> None:
    secret = SecretValue("sk-1")
    assert "sk-1" not in f"{secret} {secret!r} {secret!s} {[secret]}"
    with pytest.raises(TypeError, match="cannot be serialized"):
        pickle.dumps(secret)
