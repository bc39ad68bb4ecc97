"""Ready headers come out; secrets do not."""

from __future__ import annotations

import pickle

import msgspec
import pytest

from actors.credentials.core import Held, decide, state
from actors.credentials.entries import KeyEntry, TokenEntry
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


def test_where_a_key_comes_from_goes_in_order_and_one_that_cannot_be_sent_hides_nothing_behind_it() -> None:
    token = msgspec.structs.replace(PROVIDER, experimental_bearer_token="from-the-settings", http_headers={})
    kept = Held(entry=KeyEntry(key=SecretValue("kept"), saved_at=1.0))
    plain = msgspec.structs.replace(PROVIDER, http_headers={})

    def sent(provider: ProviderSettings, **environment: str) -> object:
        found = decide("x", provider, environment, kept, now=0)
        return found.message if isinstance(found, Failure) else revealed(found)[0][1]

    assert sent(token, X_KEY="sk-1") == "Bearer sk-1"
    assert sent(token) == "Bearer from-the-settings"
    assert sent(plain) == "Bearer kept"
    assert sent(plain, X_KEY="a b") == (
        "The environment variable X_KEY for provider 'x' holds blanks or more than one line. Set it to the key alone."
    )


@pytest.mark.parametrize(
    ("borrowed", "said"),
    [
        (False, "The login of 'x' cannot be renewed: its token {}, and came without one to renew it. Log in again"),
        (True, "The token that 'x' was given by another program {}, and only that program can renew it: use that"),
    ],
)
def test_a_token_that_nothing_here_can_renew_is_used_until_it_ends_or_is_refused(borrowed: bool, said: str) -> None:
    entry = TokenEntry(
        service="s",
        client_id="",
        access_token=SecretValue("at"),
        expires_at=1000.0,
        obtained_at=0.0,
        borrowed=borrowed,
    )
    provider, held = ProviderSettings(base_url="https://x/v1", oauth="s"), Held(entry=entry, generation=3)
    assert revealed(decide("x", provider, {}, held, now=999.0)) == [("authorization", "Bearer at")]
    for found, why in (
        (decide("x", provider, {}, held, now=1000.0), "has ended"),
        (decide("x", provider, {}, held, now=1.0, rejected=3), "has been refused"),
    ):
        assert isinstance(found, Failure)
        assert (found.kind, found.retryable) == ("unauthorized", False)
        assert found.message.startswith(said.format(why))


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
