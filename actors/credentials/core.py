"""Which headers authenticate a request, decided from the provider's settings and the captured environment."""

from __future__ import annotations

from collections.abc import Mapping

from messages.credentials import CredentialState, Headers, SecretValue
from messages.failure import Failure
from messages.settings import ProviderSettings


def headers(provider_id: str, provider: ProviderSettings | None, environment: Mapping[str, str]) -> Headers | Failure:
    """Ready headers, or a failure that names what is missing and how to give it."""
    if provider is None:
        return _unknown(provider_id)
    items: list[tuple[str, SecretValue]] = []
    if provider.env_key is not None:
        key = environment.get(provider.env_key, "").strip()
        if not key:
            return Failure(
                kind="missing_key",
                message=(
                    f"Provider {provider_id!r} needs a key in the environment variable {provider.env_key}, "
                    "which is not set where the daemon was started. Set it and start the daemon again."
                ),
            )
        if not key.isprintable() or not key.isascii():
            return Failure(
                kind="missing_key",
                message=(
                    f"The environment variable {provider.env_key} for provider {provider_id!r} holds characters "
                    "that no HTTP header can carry. Set it to the key alone."
                ),
            )
        if provider.key_header is None:
            items.append(("authorization", SecretValue(f"Bearer {key}")))
        else:
            items.append((provider.key_header.lower(), SecretValue(key)))
    items.extend((name, SecretValue(value)) for name, value in provider.http_headers.items())
    items.extend(
        (name, SecretValue(environment[variable]))
        for name, variable in provider.env_http_headers.items()
        if environment.get(variable)
    )
    return Headers(tuple(items))


def state(provider_id: str, provider: ProviderSettings | None, environment: Mapping[str, str]) -> CredentialState:
    """What may be said of a provider's credentials."""
    if provider is None or provider.env_key is None:
        return CredentialState(provider=provider_id, needed=False, present=False)
    return CredentialState(
        provider=provider_id,
        needed=True,
        present=bool(environment.get(provider.env_key, "").strip()),
        source=f"environment variable {provider.env_key}",
    )


def _unknown(provider_id: str) -> Failure:
    return Failure(
        kind="missing_key",
        message=(
            f"There is no provider {provider_id!r}. Define it under [model_providers.{provider_id}] in config.toml, "
            "or choose another with model_provider."
        ),
    )
