"""How configuration layers become one validated snapshot.

Low to high: built-in < ``$CALLBOARD_HOME/config.toml`` < environment < ``-c a.b=v``. Tables merge key by key, anything
else replaces. Values are checked where they come from, so an error names the layer, the place and the key.

Rejected: failing on unknown keys (an older daemon must start on a newer file): they are warned of, with the nearest
name that exists.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import msgspec

from messages.settings import Origin, ProviderSettings, Settings, SettingsSnapshot

CONFIG_FILE = "config.toml"
ENVIRONMENT_PREFIX = "CALLBOARD_"
NOT_SETTINGS = frozenset({"CALLBOARD_HOME"})
"""Variables with our prefix that are no settings."""

COMMAND_LINE_PROVIDER = "command-line"
"""The provider that ``--base-url`` makes."""

LayerName = Literal["built-in", "user", "environment", "command line"]


class SettingsError(Exception):
    """A value nobody can work with: the text names the layer, the key, what is wrong and what is accepted."""


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One source of values. ``where`` is for people: a path, a variable, a flag."""

    name: LayerName
    where: str
    values: dict[str, Any]


def file_layer(path: str, content: bytes) -> Layer:
    """The user's file. Raises SettingsError with the line of a syntax error."""
    try:
        values = tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: {error}") from error
    return Layer(name="user", where=path, values=values)


def environment_layers(environment: Mapping[str, str]) -> tuple[Layer, ...]:
    """A layer for each ``CALLBOARD_SOME_KEY`` whose lower-case rest is a top-level setting."""
    known = {name for name in Settings.__struct_fields__ if name not in {"model_providers", "listen", "projects"}}
    layers = []
    for variable, text in sorted(environment.items()):
        key = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in NOT_SETTINGS and key in known:
            layers.append(Layer(name="environment", where=variable, values={key: _scalar(text)}))
    return tuple(layers)


def override_layer(override: str) -> Layer:
    """``a.b=v`` from the command line; ``v`` is TOML, or a bare string if it is no TOML."""
    path, equals, text = override.partition("=")
    keys = _split_path(path.strip())
    if not equals or not keys:
        raise SettingsError(f"-c {override}: expected KEY=VALUE, for example -c model=gpt-5.5")
    values: Any = _scalar(text.strip())
    for key in reversed(keys):
        values = {key: values}
    return Layer(name="command line", where=f"-c {path.strip()}", values=values)


def endpoint_layer(base_url: str, wire: str, model: str | None) -> Layer:
    """What ``--base-url URL --wire W --model M`` means: a provider of its own without a key, chosen."""
    values: dict[str, Any] = {
        "model_provider": COMMAND_LINE_PROVIDER,
        "model_providers": {
            COMMAND_LINE_PROVIDER: {"name": "command line", "base_url": base_url.rstrip("/"), "wire_api": wire}
        },
    }
    if model is not None:
        values["model"] = model
    return Layer(name="command line", where="--base-url", values=values)


def merge(home: str, layers: tuple[Layer, ...]) -> SettingsSnapshot:
    """All layers, low to high, as one snapshot. Raises SettingsError for the first value that is no good."""
    merged: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    warnings: list[str] = []
    for layer in layers:
        values = _known_only(layer.values, Settings, layer.where, "", warnings)
        _check(_without_partial_providers(values), layer)
        _merge_into(merged, values)
        for key in _leaves(values, ""):
            origins[key] = Origin(layer=layer.name, where=layer.where)
    everywhere = Layer(name="user", where=" + ".join(layer.where for layer in layers) or "settings", values=merged)
    settings = _check(merged, everywhere)
    return SettingsSnapshot(settings=settings, home=home, origins=origins, warnings=tuple(warnings))


def _check(values: dict[str, Any], layer: Layer) -> Settings:
    try:
        return msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        message, _, at = str(error).rpartition(" - at ")
        key = at.strip("`").removeprefix("$").lstrip(".") if message else ""
        reason = message or str(error)
        accepted = _accepted(key)
        raise SettingsError(
            f"{layer.where}: {key or 'settings'}: {reason[0].lower() + reason[1:]}"
            + (f"; accepted: {', '.join(accepted)}" if accepted else "")
        ) from error


def _without_partial_providers(values: dict[str, Any]) -> dict[str, Any]:
    """A layer may set one key of a provider that another layer defines: only the merged whole must be complete."""
    providers = values.get("model_providers")
    if not isinstance(providers, dict):
        return values
    complete = {
        name: {"base_url": "", **provider} if isinstance(provider, dict) else provider
        for name, provider in providers.items()
    }
    return {**values, "model_providers": complete}


def _accepted(key: str) -> tuple[str, ...]:
    annotation: Any = Settings
    for part in key.split("."):
        if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
            annotation = next((f.type for f in msgspec.structs.fields(annotation) if f.encode_name == part), None)
        elif get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
    if get_origin(annotation) is Literal:
        return tuple(repr(value) for value in get_args(annotation))
    return ()


def _known_only(
    values: dict[str, Any], struct: type[msgspec.Struct], where: str, prefix: str, warnings: list[str]
) -> dict[str, Any]:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    kept: dict[str, Any] = {}
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            warnings.append(f"{where}: unknown setting {prefix + key!r} is ignored{hint}")
            continue
        inner = fields[key]
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            value = _known_only(value, inner, where, f"{prefix}{key}.", warnings)
        elif isinstance(value, dict) and get_args(inner)[1:] == (ProviderSettings,):
            value = {
                name: _known_only(provider, ProviderSettings, where, f"{prefix}{key}.{name}.", warnings)
                if isinstance(provider, dict)
                else provider
                for name, provider in value.items()
            }
        kept[key] = value
    return kept


def _merge_into(target: dict[str, Any], source: dict[str, Any]) -> None:
    for key, value in source.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge_into(target[key], value)
        else:
            target[key] = _copy(value)


def _copy(value: Any) -> Any:
    return {key: _copy(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def _leaves(values: dict[str, Any], prefix: str) -> list[str]:
    leaves: list[str] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        leaves.extend(_leaves(value, f"{name}.") if isinstance(value, dict) and value else [name])
    return leaves


def _scalar(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _split_path(path: str) -> list[str]:
    """``a."b.c".d`` -> a, b.c, d; empty when it is no path."""
    parts = re.findall(r'"([^"]*)"|([^."]+)', path)
    keys = [quoted or bare.strip() for quoted, bare in parts]
    return keys if all(keys) else []
