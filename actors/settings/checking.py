"""Whether values fit the settings: unknown names with the nearest there is, wrong values with what is accepted. Pure.

Everything that is wrong is found, not only the first: a person corrects a file once. Each table is checked for itself,
so a finding has the path of its key, which msgspec's own messages leave out for tables with names of one's choice.

Rejected: failing on unknown names by default (an older daemon must start on a newer file).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from actors.tool_worker.confinement import profiles
from messages.settings import Settings

KeyPath = tuple[str, ...]

CLIENTS_OWN = frozenset(
    {
        "analytics",
        "apps",
        "audio",
        "browser_use",
        "check_for_update_on_startup",
        "computer_use",
        "desktop",
        "disable_paste_burst",
        "feedback",
        "file_opener",
        "hide_agent_reasoning",
        "marketplaces",
        "memories",
        "notice",
        "plugins",
        "show_raw_agent_reasoning",
        "suppress_unstable_features_warning",
        "tui",
        "windows",
    }
)
"""Names under which clients of the protocol keep things of their own in the daemon's file, and read them back. They say
nothing to us, and nobody needs to be warned of them."""

HINTS = {
    "profile": "profiles are files of their own here: NAME.config.toml in the home, chosen with -p NAME",
    "profiles": "profiles are files of their own here: NAME.config.toml in the home, chosen with -p NAME",
}
"""Names that mean something elsewhere, and how it is said here."""


class Finding(NamedTuple):
    """One thing that is wrong, and where."""

    path: KeyPath
    text: str


class Checked(NamedTuple):
    """What came of it: the values whose names are known, and what is wrong."""

    known: dict[str, Any]
    others: dict[str, Any]
    """Top-level names that are no settings of ours."""
    unknown: tuple[Finding, ...]
    wrong: tuple[Finding, ...]


def check(values: Mapping[str, Any]) -> Checked:
    """One layer's values. What a table needs may be in another layer, so nothing is missed yet."""
    unknown: list[Finding] = []
    wrong: list[Finding] = []
    known = _known(values, Settings, (), unknown)
    _look(known, Settings, (), wrong)
    others = {key: value for key, value in values.items() if key not in known}
    return Checked(known, others, tuple(unknown), tuple(wrong))


def convert(values: Mapping[str, Any]) -> Settings | tuple[Finding, ...]:
    """All layers together, each of them checked: the settings, or what is missing or does not go together."""
    found: list[Finding] = []
    _whole(values, Settings, (), found)
    if found:
        return tuple(found)
    settings = msgspec.convert(values, Settings)
    return _permissions(settings) or settings


def _permissions(settings: Settings) -> tuple[Finding, ...]:
    """Permission profiles that cannot be what they say, and a choice that is none."""
    found = [
        Finding(("permissions", *fault.path), f"{dotted(('permissions', *fault.path))}: {fault.text}")
        for fault in profiles.faults(settings.permissions)
    ]
    chosen = settings.default_permissions
    if chosen is not None and chosen not in (*profiles.BUILT_IN, *settings.permissions):
        known = ", ".join((*profiles.BUILT_IN, *settings.permissions))
        found.append(
            Finding(
                ("default_permissions",),
                f"default_permissions: there is no permission profile {chosen!r}; known are {known}",
            )
        )
    if chosen is not None and settings.sandbox_mode is not None:
        found.append(
            Finding(
                ("default_permissions",),
                "default_permissions and sandbox_mode say two things of one sandbox; remove one of them",
            )
        )
    return tuple(found)


def field_type(path: KeyPath) -> Any:
    """The type of the setting at ``path``; None if there is none."""
    annotation: Any = Settings
    for key in path:
        table, named = table_of(annotation)
        if named:
            annotation = table
        elif table is not None:
            annotation = next((f.type for f in msgspec.structs.fields(table) if f.encode_name == key), None)
        else:
            return None
    return annotation


def table_of(annotation: Any) -> tuple[type[msgspec.Struct] | None, bool]:
    """The struct of a table, and whether it is one of many under names of one's choice; None for any other value."""
    annotation = plain(annotation)
    if get_origin(annotation) is dict:
        value = plain(get_args(annotation)[1])
        if isinstance(value, type) and issubclass(value, msgspec.Struct):
            return value, True
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation, False
    return None, False


def plain(annotation: Any) -> Any:
    """Without ``Annotated`` and ``| None``."""
    if get_origin(annotation) is Annotated:
        return plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        rest = [each for each in get_args(annotation) if each is not NoneType]
        return plain(rest[0]) if len(rest) == 1 else annotation
    return annotation


def accepted(annotation: Any) -> tuple[Any, ...]:
    """The values of a choice; empty for any other type."""
    annotation = plain(annotation)
    # A type, or one of several: `"never" | "on-request" | {granular = ...}`.
    choices = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return tuple(value for each in choices if get_origin(each) is Literal for value in get_args(each))


def _known(
    values: Mapping[str, Any], struct: type[msgspec.Struct], prefix: KeyPath, unknown: list[Finding]
) -> dict[str, Any]:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    kept: dict[str, Any] = {}
    for key, value in values.items():
        path = (*prefix, key)
        if key not in fields:
            if prefix or key not in CLIENTS_OWN:
                unknown.append(Finding(path, f"unknown setting {dotted(path)!r}{_hint(key, path, fields)}"))
            continue
        table, named = table_of(fields[key])
        if table is None or not isinstance(value, Mapping):
            kept[key] = value
        elif named:
            kept[key] = {
                name: _known(each, table, (*path, name), unknown) if isinstance(each, Mapping) else each
                for name, each in value.items()
            }
        else:
            kept[key] = _known(value, table, path, unknown)
    return kept


def _hint(key: str, path: KeyPath, fields: Mapping[str, Any]) -> str:
    if len(path) == 1 and key in HINTS:
        return f"; {HINTS[key]}"
    near = difflib.get_close_matches(key, fields, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _look(values: Mapping[str, Any], struct: type[msgspec.Struct], prefix: KeyPath, wrong: list[Finding]) -> None:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    for key, value in values.items():
        path = (*prefix, key)
        table, named = table_of(fields[key])
        if table is None:
            _convert(value, fields[key], path, wrong)
        elif not isinstance(value, Mapping):
            wrong.append(Finding(path, f"{dotted(path)} is a table of settings, not {_kind(value)}"))
        elif named:
            for name, each in value.items():
                if isinstance(each, Mapping):
                    _look(each, table, (*path, name), wrong)
                else:
                    inside = (*path, name)
                    wrong.append(Finding(inside, f"{dotted(inside)} is a table of settings, not {_kind(each)}"))
        else:
            _look(value, table, path, wrong)


def _whole(values: Mapping[str, Any], struct: type[msgspec.Struct], prefix: KeyPath, found: list[Finding]) -> None:
    before = len(found)
    for field in msgspec.structs.fields(struct):
        if field.encode_name not in values:
            if field.required:
                path = (*prefix, field.encode_name)
                found.append(Finding(prefix, f"{dotted(path)} is missing: without it {dotted(prefix)} is of no use"))
            continue
        table, named = table_of(field.type)
        inner = values[field.encode_name]
        path = (*prefix, field.encode_name)
        if table is not None and named:
            for name, each in inner.items():
                _whole(each, table, (*path, name), found)
        elif table is not None:
            _whole(inner, table, path, found)
    if len(found) == before:
        _convert(values, struct, prefix, found)  # what goes together only its own table knows


def _convert(value: Any, annotation: Any, path: KeyPath, wrong: list[Finding]) -> None:
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError as error:
        message, _, at = str(error).rpartition(" - at ")
        reason = message or str(error)
        place = dotted(path) + (at.strip("`").removeprefix("$") if message else "")
        choices = accepted(annotation)
        if choices:
            reason = f"{_shown(value)} is not accepted; accepted: {', '.join(repr(each) for each in choices)}"
        else:
            reason = _in_words(reason)
        wrong.append(Finding(path, f"{place or 'settings'}: {reason}"))


_EXPECTED = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_WORDS = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "object": "a table",
    "str": "a text",
}


def _in_words(reason: str) -> str:
    """``Expected `int | null`, got `str``` -> ``a whole number is expected, not a text``: as files are written."""
    found = _EXPECTED.fullmatch(reason)
    if found is None:
        return reason[0].lower() + reason[1:].replace("`", "")
    wanted = " or ".join(_WORDS.get(each, each) for each in found[1].split(" | ") if each != "null")
    return f"{wanted} is expected, not {_WORDS.get(found[2], found[2])}"


_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


def dotted(path: KeyPath) -> str:
    """``("projects", "/a.b")`` -> ``projects."/a.b"``, as one writes it in TOML."""
    return ".".join(key if key and _BARE.issuperset(key) else _quoted(key) for key in path)


def _quoted(key: str) -> str:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


SHOWN_CHARS = 30
"""Of a wrong choice that is quoted: a word with a slip of the pen is shorter, and a key that was put into the wrong
place is longer."""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else "what is there"


def _kind(value: Any) -> str:
    """What it is instead; not what it says, for what stands in the place of a table may be a key."""
    return {str: "a text", bool: "true or false", int: "a number", float: "a number", list: "a list"}.get(
        type(value), "a value"
    )
