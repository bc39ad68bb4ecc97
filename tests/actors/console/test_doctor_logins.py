"""What ``callboard doctor`` says of keys and logins: which provider new threads use, and whether it has what it needs."""

from __future__ import annotations

import pytest

from actors.console.doctor import credentials_finding
from actors.model_stream.providers import choose
from messages.credentials import Login, StoreKind
from messages.settings import AuthCommand, ProviderSettings, Settings


def login(provider: str = "openai", store: StoreKind = "file") -> Login:
    return Login(provider=provider, kind="oauth" if provider == "chatgpt" else "api_key", store=store, at=1.0)


def said(
    settings: Settings | None = None, environment: dict[str, str] | None = None, *logins: Login
) -> tuple[str, str, str | None]:
    settings, environment = settings or Settings(), environment or {}
    found = credentials_finding(settings, choose(settings, environment, logins), environment, logins)
    return found.status, found.summary, found.remediation


def own(**fields: object) -> Settings:
    provider = ProviderSettings(base_url="http://x/v1", **fields)  # type: ignore[arg-type]  # as each case names them
    return Settings(model_provider="own", model="m", model_providers={"own": provider})


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        (said()[:2], ("warning", "no provider is set: the rehearsed model answers, from a script")),
        (said(None, {"OPENAI_API_KEY": "k"}), ("ok", "OPENAI_API_KEY is set for openai", None)),
        (said(None, {}, login()), ("ok", "a key for openai is kept", None)),
        (said(None, {}, login("chatgpt", "keyring")), ("ok", "there is a login for chatgpt", None)),
        (said(own()), ("ok", "own needs no key", None)),
        (said(own(experimental_bearer_token="t")), ("ok", "the settings hold a token for own", None)),
        (said(own(auth=AuthCommand(command="pass"))), ("ok", "pass is asked for the token of own", None)),
        (
            said(own(env_key="OWN_KEY")),
            (
                "fail",
                "own needs a key, and OWN_KEY is not set",
                "callboard login --provider own --with-api-key, or export OWN_KEY=… before you start the daemon",
            ),
        ),
        (
            said(Settings(model_provider="chatgpt")),
            ("fail", "chatgpt needs a login, and there is none", "callboard login --provider chatgpt"),
        ),
    ],
)
def test_it_names_where_the_key_of_new_threads_comes_from_or_how_to_get_one(finding: object, expected: object) -> None:
    assert finding == expected


def test_a_login_in_another_store_than_the_one_that_is_set_is_found_without_opening_any() -> None:
    file = Settings(cli_auth_credentials_store="file")
    assert said(file, {}, login(store="keyring")) == (
        "fail",
        'the login for openai is not in the store that is set ("file")',
        "callboard login migrate",
    )
    assert said(file, {"OPENAI_API_KEY": "k"}, login(store="keyring")) == (
        "warning",
        'OPENAI_API_KEY is set for openai; not in the store that is set ("file"): openai',
        "callboard login migrate",
    )
    assert said(Settings(), {}, login(store="keyring"))[0] == "ok", "auto looks in both"
