"""Layers merge low to high, and a bad value is named with its place."""

from __future__ import annotations

import pytest

from actors.settings.layers import (
    Layer,
    SettingsError,
    client_layer,
    endpoint_layer,
    environment_layers,
    file_layer,
    merge,
    override_layer,
)
from messages.settings import ListenSettings, Origin, ProviderSettings, Settings, SettingsSnapshot


def snapshot(*layers: Layer) -> SettingsSnapshot:
    return merge("/home/u/.callboard", layers)


def test_no_layers_give_the_built_in_defaults() -> None:
    assert snapshot().settings == Settings()


def test_a_higher_layer_replaces_values_and_merges_tables_and_each_value_knows_its_origin() -> None:
    user = file_layer(
        "/c.toml", b'model = "a"\n[listen]\nmax_connections = 5\n[model_providers.x]\nbase_url = "http://x/v1"\n'
    )
    environment = environment_layers({"CALLBOARD_MODEL": "b", "CALLBOARD_HOME": "/h", "PATH": "/bin"})
    line = override_layer("model_providers.x.env_key=X_KEY")
    result = snapshot(user, *environment, line)
    assert result.settings == Settings(
        model="b",
        listen=ListenSettings(max_connections=5),
        model_providers={"x": ProviderSettings(base_url="http://x/v1", env_key="X_KEY")},
    )
    assert result.origins == {
        "model": Origin(layer="environment", where="CALLBOARD_MODEL"),
        "listen.max_connections": Origin(layer="user", where="/c.toml"),
        "model_providers.x.base_url": Origin(layer="user", where="/c.toml"),
        "model_providers.x.env_key": Origin(layer="command line", where="-c model_providers.x.env_key"),
    }


def test_merging_does_not_change_a_layer() -> None:
    user = file_layer("/c.toml", b"[listen]\nmax_connections = 5\n")
    snapshot(user, override_layer("listen.max_connections=6"))
    assert user.values == {"listen": {"max_connections": 5}}


def test_a_base_url_on_the_command_line_is_a_provider_of_its_own() -> None:
    result = snapshot(endpoint_layer("http://127.0.0.1:9/v1/", "responses", "mock")).settings
    assert (result.model_provider, result.model) == ("command-line", "mock")
    assert result.model_providers["command-line"] == ProviderSettings(
        name="command line", base_url="http://127.0.0.1:9/v1", wire_api="responses"
    )


def test_an_unknown_key_is_warned_of_with_the_nearest_name() -> None:
    result = snapshot(file_layer("/c.toml", b'modle = "a"\n[listen]\naddres = "x"\n'))
    assert result.settings == Settings()
    assert list(map(str, result.warnings)) == [
        "/c.toml:1:1: unknown setting 'modle'; did you mean 'model'? (ignored)",
        "/c.toml:3:1: unknown setting 'listen.addres'; did you mean 'address'? (ignored)",
    ]
    with pytest.raises(SettingsError, match="modle") as caught:
        merge("/h", (file_layer("/c.toml", b'modle = "a"\ntui.theme = "dark"\n'),), strict=True)
    assert len(caught.value.problems) == 1  # `tui` is the clients' own


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (lambda: file_layer("/c.toml", b"model = \n"), ["/c.toml:1:9: this is no TOML: invalid value"]),
        (lambda: file_layer("/c.toml", b"a = 1\nb = [1,\n"), ["/c.toml:2:8: this is no TOML: "]),
        (lambda: file_layer("/c.toml", b"\xff"), ["/c.toml", "UTF-8"]),
        (lambda: override_layer("model"), ["-c model", "KEY=VALUE"]),
        (lambda: override_layer("=3"), ["KEY=VALUE"]),
        (lambda: override_layer("approval_policy=maybe"), ["approval_policy", "'never'", "'on-request'"]),
        (
            lambda: override_layer("listen.max_connections=many"),
            ["listen.max_connections", "a whole number is expected, not a text"],
        ),
        (lambda: file_layer("/c.toml", b"[model_providers.x]\nname = 'y'\n"), ["model_providers", "base_url"]),
        (lambda: environment_layers({"CALLBOARD_DURABILITY": "none"})[0], ["CALLBOARD_DURABILITY", "'relaxed'"]),
    ],
)
def test_a_bad_value_is_named_with_its_place_and_what_is_accepted(layer, words) -> None:  # type: ignore[no-untyped-def]  # a table of thunks
    with pytest.raises(SettingsError) as caught:
        snapshot(layer())
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_sandbox_that_a_higher_layer_names_in_the_other_way_takes_the_place_of_the_lower_ones() -> None:
    mode = file_layer("/c.toml", b'sandbox_mode = "workspace-write"\n')
    profile = client_layer({"default_permissions": ":read-only"})
    asked = snapshot(mode, profile)
    assert (asked.settings.sandbox_mode, asked.settings.default_permissions) == (None, ":read-only")
    assert set(asked.origins) == {"default_permissions"}
    back = snapshot(mode, profile, override_layer("sandbox_mode=danger-full-access")).settings
    assert (back.sandbox_mode, back.default_permissions) == ("danger-full-access", None)
