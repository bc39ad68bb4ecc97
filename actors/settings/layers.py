"""How layers of configuration become one validated snapshot. Pure.

Low to high, the later replacing the earlier; tables merge key by key, anything else replaces:

    built-in
    system         /etc/callboard/config.toml
    user           $CALLBOARD_HOME/config.toml
    profile        $CALLBOARD_HOME/NAME.config.toml, chosen with -p NAME
    project        .callboard/config.toml, from the top of a trusted project down to a thread's folder
    environment    CALLBOARD_KEY, CALLBOARD_TABLE__KEY
    command line   -c a.b=v, and flags that mean settings
    client         what one request asks for the thread it starts

Values are checked where they come from, so a message names the file, line and key, not only the whole.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from actors.settings.checking import Finding, check, convert, dotted, field_type, plain, table_of
from actors.settings.key_paths import KeyPathError, split_key_path
from actors.settings.places import key_places
from messages.settings import LayerName, LayerView, Origin, Problem, Settings, SettingsSnapshot

CONFIG_FILE = "config.toml"
SYSTEM_FILE = "/etc/callboard/config.toml"
ENVIRONMENT_PREFIX = "CALLBOARD_"
NOT_SETTINGS = frozenset({"CALLBOARD_HOME", "CALLBOARD_TOKEN"})
"""Variables with our prefix that are no settings."""

_PLACE = re.compile(r"(.+) \((?:at line (\d+), column (\d+)|at end of document)\)", re.DOTALL)
"""How tomllib says where."""

COMMAND_LINE_PROVIDER = "command-line"
"""The provider that ``--base-url`` makes."""

Complete = Callable[[Settings], Settings]
"""Fills in what follows from several settings at once (which provider, which model). Raises ValueError."""

CompleteWith = Callable[[Settings, bytes | None], Settings]
"""The same, with the register of logins as it is on disk (None: there is none): who is logged in decides as well."""


class SettingsError(Exception):
    """Values nobody can work with: the text names for each the place, the key, what is wrong and what is accepted."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One source of values. ``where`` is for people: a path, a variable, a flag."""

    name: LayerName
    where: str
    values: dict[str, Any]
    text: str | None = None
    """Of a file: to say where in it a key stands."""
    disabled: str | None = None
    """Why it does not count."""

    @property
    def version(self) -> str:
        """Changes when the layer does."""
        return version_of(self.text if self.text is not None else msgspec.json.encode(self.values).decode())


def version_of(text: str) -> str:
    """Changes when the text does."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]


def file_layer(path: str, content: bytes, name: LayerName = "user") -> Layer:
    """A file. Raises SettingsError with the line of a syntax error."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        problem = Problem(where=path, text=f"byte {error.start} is not UTF-8; save the file as UTF-8")
        raise SettingsError(problem) from error
    try:
        return Layer(name=name, where=path, values=tomllib.loads(text), text=text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(_syntax(path, text, str(error))) from error
    except RecursionError as error:
        raise SettingsError(Problem(where=path, text="nested too deep")) from error


def _syntax(path: str, text: str, told: str) -> Problem:
    """What is no TOML, with its place as all other problems have it."""
    found = _PLACE.fullmatch(told)
    if found is None:
        return Problem(where=path, text=f"this is no TOML: {told}")
    what, line, column = found.groups()
    lines = text.splitlines()
    return Problem(
        where=path,
        text=f"this is no TOML: {what[0].lower()}{what[1:]}",
        line=int(line) if line else max(1, len(lines)),
        column=int(column) if column else len(lines[-1]) + 1 if lines else 1,
    )


def environment_layers(environment: Mapping[str, str]) -> tuple[Layer, ...]:
    """A layer for each ``CALLBOARD_SOME_KEY`` or ``CALLBOARD_TABLE__KEY`` that names a setting."""
    layers = []
    for variable, text in sorted(environment.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in NOT_SETTINGS:
            continue
        path = tuple(variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
        annotation = field_type(path)
        if annotation is not None and table_of(annotation)[0] is None:
            values = nested(path, fitting(text, annotation))
            layers.append(Layer(name="environment", where=variable, values=values))
    return tuple(layers)


def override_layer(override: str) -> Layer:
    """``a.b=v`` from the command line; ``v`` is TOML, or a bare string if it is no TOML."""
    name, equals, text = override.partition("=")
    try:
        path = split_key_path(name)
    except KeyPathError:
        path = ()
    if not equals or not path:
        where = f"-c {override}"
        raise SettingsError(Problem(where=where, text="expected KEY=VALUE, for example -c model=gpt-5.5"))
    values = nested(path, fitting(text.strip(), field_type(path)))
    return Layer(name="command line", where=f"-c {name.strip()}", values=values)


def client_layer(overrides: Mapping[str, Any]) -> Layer:
    """What a request asks for. Keys may have dots, as clients of the protocol write them, or be nested."""
    values: dict[str, Any] = {}
    for name, value in overrides.items():
        try:
            path = split_key_path(name)
        except KeyPathError:
            path = (name,)
        if value is not None:
            merge_into(values, nested(path, value))
    return Layer(name="client", where="the request", values=values)


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


SANDBOX_KEYS = {"sandbox_mode": "default_permissions", "default_permissions": "sandbox_mode"}
"""Two ways to say one thing: a layer that says it in one takes the place of what a lower one says in the other. (In one
file both are a mistake. The Codex TUI names a profile in each of its requests, whatever the file says.)"""


def merge(
    home: str,
    layers: Sequence[Layer],
    *,
    strict: bool = False,
    complete: Complete | None = None,
    warnings: Iterable[Problem] = (),
) -> SettingsSnapshot:
    """All layers, low to high, as one snapshot.

    Raises SettingsError with everything that is wrong; with ``strict`` names that nobody knows are wrong, too.
    """
    merged: dict[str, Any] = {}
    others: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    told: list[Problem] = list(warnings)
    wrong: list[Problem] = []
    for layer in layers:
        if layer.disabled is not None:
            continue
        checked = check(layer.values)
        unknown = [_problem(layer, finding, "" if strict else " (ignored)") for finding in checked.unknown]
        (wrong if strict and layer.name != "client" else told).extend(unknown)
        wrong.extend(_problem(layer, finding) for finding in checked.wrong)
        for key in {SANDBOX_KEYS[said] for said in checked.known.keys() & SANDBOX_KEYS.keys()} - checked.known.keys():
            merged.pop(key, None)
            origins.pop(key, None)
        merge_into(merged, checked.known)
        if layer.name in ("system", "user", "profile"):
            merge_into(others, checked.others)
        for path in leaves(checked.known):
            origins[dotted(path)] = Origin(layer=layer.name, where=layer.where)
    if wrong:
        raise SettingsError(*wrong)
    settings = convert(merged)
    if not isinstance(settings, Settings):
        raise SettingsError(*(_problem(_source(layers, finding), finding) for finding in settings))
    if complete is not None:
        try:
            settings = complete(settings)
        except ValueError as error:
            raise SettingsError(Problem(where="settings", text=str(error))) from error
    views = tuple(
        LayerView(
            layer=layer.name, where=layer.where, version=layer.version, values=layer.values, disabled=layer.disabled
        )
        for layer in layers
    )
    return SettingsSnapshot(
        settings=settings,
        home=home,
        origins=origins,
        warnings=tuple(told),
        layers=views,
        others=others,
        version=version_of("".join(view.where + view.version for view in views)),
    )


def wrong_in(layer: Layer) -> tuple[Problem, ...]:
    """What is wrong with a layer's own values."""
    return tuple(_problem(layer, finding) for finding in check(layer.values).wrong)


def _problem(layer: Layer, finding: Finding, more: str = "") -> Problem:
    place = None
    if layer.text is not None:
        places = key_places(layer.text)
        at = finding.path
        while at and place is None:
            place, at = places.get(at), at[:-1]
    return Problem(
        where=layer.where,
        key=dotted(finding.path),
        text=finding.text + more,
        line=None if place is None else place.line,
        column=None if place is None else place.column,
    )


def _source(layers: Sequence[Layer], finding: Finding) -> Layer:
    """The strongest layer that says something of it."""
    for layer in reversed(layers):
        values: Any = layer.values
        for key in finding.path:
            values = values.get(key) if isinstance(values, Mapping) else None
        if values is not None and layer.disabled is None:
            return layer
    return layers[-1]


def merge_into(target: dict[str, Any], source: Mapping[str, Any]) -> None:
    """Tables key by key, anything else replaced. ``source`` stays as it is, whatever happens to ``target`` later."""
    for key, value in source.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            merge_into(target[key], value)
        else:
            target[key] = _copy(value)


def leaves(values: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths of all values that are no tables, and of empty tables."""
    found: list[tuple[str, ...]] = []
    for key, value in values.items():
        path = (*prefix, key)
        found.extend(leaves(value, path) if isinstance(value, Mapping) and value else [path])
    return found


def _copy(value: Any) -> Any:
    return {key: _copy(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value


def nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    """The tables that hold ``value`` at ``path``."""
    for key in reversed(path):
        value = {key: value}
    return value  # type: ignore[no-any-return]  # a path is never empty


def fitting(text: str, annotation: Any) -> Any:
    """The value a bare text stands for: TOML, or itself when it is no TOML or a text is what is wanted."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return text if plain(annotation) is str and not isinstance(value, str) else value
