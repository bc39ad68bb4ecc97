"""The settings described from their structs: a reference for people, a JSON schema for editors. Pure.

What a setting does is said once, in the text below its field; msgspec knows types and defaults. So neither can say what
the daemon does not do, and a setting nobody has described fails a test.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from actors.settings.checking import CLIENTS_OWN, accepted, dotted, plain, table_of
from messages.settings import NEEDS_RESTART, PROJECT_MAY_SET, PROJECT_MAY_TIGHTEN, Settings

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"

ANY_NAME = "ID"
"""Stands for a name of one's choice."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting, for people."""

    path: tuple[str, ...]
    kind: str
    default: str
    """As TOML; empty: there is none."""
    text: str
    required: bool = False


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One table of the file, or its top level."""

    path: tuple[str, ...]
    text: str
    settings: tuple[Setting, ...]


def tables(struct: type[msgspec.Struct] = Settings, path: tuple[str, ...] = ()) -> Iterator[Table]:
    """The top level, and each table below it."""
    texts = field_texts(struct)
    own: list[Setting] = []
    inner: list[tuple[type[msgspec.Struct], tuple[str, ...]]] = []
    for field in msgspec.structs.fields(struct):
        at = (*path, field.encode_name)
        table, named = table_of(field.type)
        if table is not None:
            inner.append((table, (*at, ANY_NAME) if named else at))
            continue
        own.append(
            Setting(
                path=at,
                kind=kind_of(field.type),
                default=_default(field),
                text=texts.get(field.name, ""),
                required=field.required,
            )
        )
    yield Table(path=path, text=_one_line(inspect.getdoc(struct) or ""), settings=tuple(own))
    for table, at in inner:
        yield from tables(table, at)


@cache
def field_texts(struct: type[msgspec.Struct]) -> Mapping[str, str]:
    """The text below each field, as one line."""
    body = ast.parse(inspect.getsource(struct)).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for statement, below in zip(body.body, body.body[1:], strict=False):
        match statement, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = _one_line(text)
            case _:
                pass
    return found


def kind_of(annotation: Any) -> str:
    """What a value is, in words."""
    choices = accepted(annotation)
    if choices:
        return " \\| ".join(_toml(choice) for choice in choices)
    annotation = plain(annotation)
    words = {str: "text", bool: "true or false", int: "whole number", float: "number", Any: "anything"}
    if annotation in words:
        return words[annotation]
    match get_origin(annotation):
        case origin if origin is tuple:
            return f"list of {kind_of(get_args(annotation)[0])}"
        case origin if origin is dict:
            return f"table of {kind_of(get_args(annotation)[1])}"
        case origin if origin in (Union, UnionType):
            return " or ".join(kind_of(each) for each in get_args(annotation) if each is not NoneType)
        case origin if origin in (Annotated, Literal):
            return kind_of(plain(annotation))
        case _:
            return "table"


def markdown() -> str:
    """The reference, as docs/settings.md shows it."""
    lines: list[str] = []
    for table in tables():
        if table.path:
            name = dotted(table.path) if ANY_NAME not in table.path else ".".join(table.path)
            lines += [f"### `[{name}]`", "", table.text, ""]
        if table.settings:
            lines += ["| key | value | default | |", "|---|---|---|---|"]
            lines += [
                f"| `{setting.path[-1]}` | {setting.kind} | {_cell(setting)} | {setting.text}{_marks(setting)} |"
                for setting in table.settings
            ]
            lines.append("")
    return "\n".join(lines)


def schema() -> dict[str, Any]:
    """JSON schema of the file, for editors (draft 2020-12)."""
    made = msgspec.json.schema(Settings)
    structs = {struct.__name__: struct for struct in _structs(Settings)}
    for name, definition in made["$defs"].items():
        texts = field_texts(structs[name])
        for key, value in definition.get("properties", {}).items():
            if key in texts:
                value["description"] = texts[key]
    top = made["$defs"][Settings.__name__]
    top["properties"] |= {name: {"description": "A client's own."} for name in sorted(CLIENTS_OWN)}
    return {"$schema": SCHEMA_DIALECT, "title": "callboard: config.toml", **made}


def _structs(struct: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    yield struct
    for field in msgspec.structs.fields(struct):
        yield from _structs_in(field.type)


def _structs_in(annotation: Any) -> Iterator[type[msgspec.Struct]]:
    annotation = plain(annotation)
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield from _structs(annotation)
    for inner in get_args(annotation):
        yield from _structs_in(inner)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default is not msgspec.NODEFAULT:
        return "" if field.default is None else _toml(field.default)
    if field.default_factory is not msgspec.NODEFAULT:
        return _toml(field.default_factory())
    return ""


def _toml(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _cell(setting: Setting) -> str:
    if setting.required:
        return "needed"
    return f"`{setting.default}`" if setting.default else ""


def _marks(setting: Setting) -> str:
    key, told = setting.path[0], ""
    if ".".join(setting.path) in NEEDS_RESTART:
        told += " In force at the next start."
    if key in PROJECT_MAY_SET:
        told += " A trusted project may set it."
    if key in PROJECT_MAY_TIGHTEN:
        told += " A trusted project may make it stricter."
    return told


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")
