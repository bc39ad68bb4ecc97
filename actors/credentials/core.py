"""Which headers authenticate a request: decided from a provider's settings, the environment and the logins. Pure.

In this order: the variable of ``env_key``, the token in the settings, the program of ``auth``, what was logged in with.
A login's access token is renewed some minutes before it ends, and once when the provider has refused it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from actors.credentials.entries import Entry, KeyEntry, TokenEntry
from messages.credentials import Account, CredentialState, Headers, SecretValue, StoreChoice, StoreKind
from messages.failure import Failure
from messages.settings import AuthCommand, ProviderSettings

EARLY_SECONDS = 300.0
"""A token is renewed so long before it ends: requests under way, and clocks that differ."""

UNKNOWN_LIFE_SECONDS = 8 * 24 * 3600.0
"""A token that does not say when it ends is renewed after this long (CORE §6)."""

ACCOUNT_HEADER = "chatgpt-account-id"
BETA_HEADER, OAUTH_BETA = "anthropic-beta", "oauth-2025-04-20"
"""What the Messages API wants beside a bearer token (WIRE §5)."""

MASK_START, MASK_END = 8, 5
"""Characters of a key that people are shown."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A login as the actor holds it."""

    entry: Entry
    generation: int = 0
    """Counts the lives of its token."""
    trouble: str | None = None
    """Why it cannot be used any more; a new login ends that."""


class AskCommand(msgspec.Struct, frozen=True, kw_only=True):
    """The provider's program has to be asked first."""

    command: AuthCommand


class Renew(msgspec.Struct, frozen=True, kw_only=True):
    """The login's token has to be renewed. ``meanwhile``: headers that may still do, should that not work."""

    meanwhile: Headers | None


Decision = Headers | Failure | AskCommand | Renew


def decide(
    provider_id: str,
    provider: ProviderSettings | None,
    environment: Mapping[str, str],
    held: Held | None,
    *,
    now: float,
    rejected: int | None = None,
    printed: SecretValue | None = None,
) -> Decision:
    """What to do about a request. ``printed``: what the provider's program has said."""
    if provider is None:
        return _unknown(provider_id)
    key = _environment_key(provider_id, provider, environment)
    if isinstance(key, Failure):
        return key
    if key is not None:
        return with_key(provider, environment, key)
    if provider.experimental_bearer_token:
        return with_key(provider, environment, SecretValue(provider.experimental_bearer_token), bearer=True)
    if provider.auth is not None:
        if printed is None:
            return AskCommand(command=provider.auth)
        return with_key(provider, environment, printed, bearer=True)
    if held is None:
        return _nothing(provider_id, provider) or with_key(provider, environment, None)
    if isinstance(held.entry, KeyEntry):
        return with_key(provider, environment, held.entry.key)
    if held.trouble is not None:
        return _dead(provider_id, held.trouble)
    headers = _with_tokens(provider, environment, held.entry, held.generation)
    ends = ends_at(held.entry)
    if held.entry.refresh_token is None:
        over = "has been refused" if rejected == held.generation else "has ended" if now >= ends else None
        return headers if over is None else _over(provider_id, over, borrowed=held.entry.borrowed)
    if rejected == held.generation:
        return Renew(meanwhile=None)
    if now < ends - EARLY_SECONDS:
        return headers
    return Renew(meanwhile=headers if now < ends else None)


def has_key(provider_id: str, provider: ProviderSettings | None, environment: Mapping[str, str]) -> bool:
    """Whether a key comes from somewhere that counts before a login."""
    if provider is None:
        return False
    key = _environment_key(provider_id, provider, environment)
    return key is not None or bool(provider.experimental_bearer_token) or provider.auth is not None


def ends_at(entry: TokenEntry) -> float:
    """When a token ends, in Unix seconds."""
    return entry.obtained_at + UNKNOWN_LIFE_SECONDS if entry.expires_at is None else entry.expires_at


def with_key(
    provider: ProviderSettings, environment: Mapping[str, str], key: SecretValue | None, *, bearer: bool = False
) -> Headers:
    """Headers with a fixed key, or none."""
    items: list[tuple[str, SecretValue]] = []
    if key is not None:
        if provider.key_header is None or bearer:
            items.append(("authorization", SecretValue(f"Bearer {key.reveal()}")))
        else:
            items.append((provider.key_header.lower(), key))
    return Headers((*items, *_configured(provider, environment)))


def _with_tokens(
    provider: ProviderSettings, environment: Mapping[str, str], entry: TokenEntry, generation: int
) -> Headers:
    items = [("authorization", SecretValue(f"Bearer {entry.access_token.reveal()}"))]
    if entry.service == "chatgpt" and entry.account_id is not None:
        items.append((ACCOUNT_HEADER, SecretValue(entry.account_id)))
    if provider.wire_api == "messages":
        items.append((BETA_HEADER, SecretValue(OAUTH_BETA)))
    return Headers((*items, *_configured(provider, environment)), generation)


def _configured(provider: ProviderSettings, environment: Mapping[str, str]) -> tuple[tuple[str, SecretValue], ...]:
    fixed = [(name, SecretValue(value)) for name, value in provider.http_headers.items()]
    found = [
        (name, SecretValue(environment[variable]))
        for name, variable in provider.env_http_headers.items()
        if environment.get(variable)
    ]
    return (*fixed, *found)


def _environment_key(
    provider_id: str, provider: ProviderSettings, environment: Mapping[str, str]
) -> SecretValue | Failure | None:
    """The key; a failure for one that cannot be sent; None if there is none."""
    key = environment.get(provider.env_key, "").strip() if provider.env_key is not None else ""
    if not key:
        return None
    why = unusable(key)
    if why is not None:
        return Failure(
            kind="missing_key",
            message=(
                f"The environment variable {provider.env_key} for provider {provider_id!r} {why}. "
                "Set it to the key alone."
            ),
        )
    return SecretValue(key)


def unusable(key: str) -> str | None:
    """Why a key cannot be sent; None if it can."""
    if not key:
        return "is empty"
    if any(letter.isspace() for letter in key):
        return "holds blanks or more than one line"
    return None if key.isprintable() and key.isascii() else "holds characters that no HTTP header can carry"


def state(
    provider_id: str, provider: ProviderSettings | None, environment: Mapping[str, str], held: Held | None = None
) -> CredentialState:
    """What may be said of a provider's credentials."""
    if provider is None or not (
        provider.env_key or provider.experimental_bearer_token or provider.auth or provider.oauth or held
    ):
        return CredentialState(provider=provider_id, needed=False, present=False)
    if provider.env_key is not None and environment.get(provider.env_key, "").strip():
        source: str | None = f"environment variable {provider.env_key}"
    elif provider.experimental_bearer_token:
        source = "the settings"
    elif provider.auth is not None:
        source = f"the program {provider.auth.command}"
    elif held is not None and held.trouble is None:
        source = "a kept key" if isinstance(held.entry, KeyEntry) else "a login"
    else:
        missing = None if provider.env_key is None else f"environment variable {provider.env_key}"
        return CredentialState(provider=provider_id, needed=True, present=False, source=missing)
    return CredentialState(provider=provider_id, needed=True, present=True, source=source)


def account(provider_id: str, held: Held) -> Account:
    """A login as it may be shown."""
    entry = held.entry
    if isinstance(entry, KeyEntry):
        return Account(provider=provider_id, kind="api_key", masked=masked(entry.key))
    return Account(
        provider=provider_id,
        kind="oauth",
        service=entry.service,
        email=entry.email,
        plan=entry.plan,
        account_id=entry.account_id,
        expires_at=entry.expires_at,
        borrowed=entry.borrowed,
        trouble=held.trouble,
    )


def masked(key: SecretValue) -> str:
    """The beginning and the end of a key; a short one shows nothing."""
    text = key.reveal()
    return f"{text[:MASK_START]}***{text[-MASK_END:]}" if len(text) >= 3 * (MASK_START + MASK_END) // 2 else "***"


def _unknown(provider_id: str) -> Failure:
    return Failure(
        kind="missing_key",
        message=(
            f"There is no provider {provider_id!r}. Define it under [model_providers.{provider_id}] in config.toml, "
            "or choose another with model_provider."
        ),
    )


def _nothing(provider_id: str, provider: ProviderSettings) -> Failure | None:
    """What to say where there is neither key nor login; None if the provider needs none."""
    if provider.env_key is not None:
        text = (
            f"Provider {provider_id!r} needs a key in the environment variable {provider.env_key}, "
            "which is not set where the daemon was started. Set it and start the daemon again, or keep a key with: "
            f"callboard login --provider {provider_id} --with-api-key"
        )
    elif provider.oauth is not None:
        text = f"{provider.name or provider_id} needs a login. Log in with: callboard login --provider {provider_id}"
    else:
        return None
    return Failure(kind="missing_key", message=text)


def other_store(choice: StoreChoice, wanted: StoreKind) -> str:
    """Why logins are not moved into a store in which they would not be looked for."""
    return (
        f'cli_auth_credentials_store is "{choice}", so logins would not be found in the other place; nothing '
        f"was moved. First: callboard config set cli_auth_credentials_store {wanted}"
    )


def _over(provider_id: str, over: str, *, borrowed: bool) -> Failure:
    if not borrowed:
        return _dead(provider_id, f"its token {over}, and came without one to renew it")
    return Failure(
        kind="unauthorized",
        message=f"The token that {provider_id!r} was given by another program {over}, and only that program can renew "
        "it: use that program, then callboard login import --borrow; or log in for callboard itself: "
        f"callboard login --provider {provider_id}",
    )


def _dead(provider_id: str, trouble: str) -> Failure:
    return Failure(
        kind="unauthorized",
        message=f"The login of {provider_id!r} cannot be renewed: {trouble}. "
        f"Log in again with: callboard login --provider {provider_id}",
    )
