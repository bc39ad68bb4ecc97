"""Whether a tool's schema can be carried by a wire: judged when the tool is loaded, not when a turn fails over it.

One bad schema makes a provider refuse the whole request, whatever the model wanted to call; so a tool that came from
outside (configuration, a client, an MCP server) is looked at before it is offered.

    faults(spec, wire)   what that wire would refuse; empty: it carries the tool
    carriers(spec)       the wires that carry it
    refusal(spec)        why it cannot be loaded; None: at least one wire carries it

A tool that some wires carry is loaded; a request leaves out what its own wire cannot carry (`carried`), because a
thread may change its provider at any turn.

What is judged: the name; that the schema is an object's, of bounded size and depth; that each keyword of JSON Schema
2020-12 has a value of its kind; that references lead somewhere inside the schema; and each wire's own rules. The rules
of the wires are the providers' own answers to requests: Responses and Chat Completions refuse an array without
`items`, Messages refuses property names outside ``[a-zA-Z0-9_.-]{1,64}``, all refuse a union as the whole schema.
References: JSON Schema 2020-12 (core §8-§10, validation §6); the errors are quoted beside each rule.

Rejected: mending schemas (a renamed property must be renamed back in every call, and a dropped union lets through what
the tool will refuse); a JSON Schema validator (it says that an instance fits the metaschema, not what a provider takes,
and costs 60 ms of import); fetching remote references (a schema must not make the daemon speak to strangers).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from messages.model import ToolSpec
from messages.settings import WireApi

WIRES: tuple[WireApi, ...] = ("responses", "chat", "messages")

SCHEMA_BYTES_MAX = 64 * 1024
"""Of one tool's schema as JSON. It is sent with every request: a hundred ordinary tools together are no larger."""

SCHEMA_DEPTH_MAX = 64
"""Of nested values. Real schemas have less than twenty; servers decode recursively and refuse or crash."""

DESCRIPTION_CHARS_MAX = 16 * 1024
"""Four thousand tokens in every request are not a description."""

NAME_CHARS: dict[WireApi, int] = {"responses": 64, "chat": 64, "messages": 128}
"""`string too long. Expected a string with maximum length 64`; `String should have at most 128 characters`."""

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_PROPERTY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
"""`Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'`; looked at in the outermost object only."""

TYPES = frozenset(("array", "boolean", "integer", "null", "number", "object", "string"))

UNIONS = ("oneOf", "anyOf", "allOf")
"""`input_schema does not support oneOf, allOf, or anyOf at the top level`; the OpenAI wires refuse these, `enum` and
`not` there."""

_ONE = frozenset(
    (
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    )
)
"""Keywords whose value is a schema."""

_LISTS = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
"""Keywords whose value is a list of schemas."""

_MAPS = frozenset(("$defs", "definitions", "dependentSchemas", "patternProperties", "properties"))
"""Keywords whose value maps names to schemas."""


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and value == int(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value) and len(set(value)) == len(value)


def _is_types(listed: list[Any]) -> bool:
    known = [each for each in listed if isinstance(each, str) and each in TYPES]
    return listed != [] and len(set(known)) == len(listed)


def _is_pattern(value: Any) -> bool:
    """Only what no dialect of regular expressions would take is refused: theirs is ECMAScript's, not Python's."""
    return isinstance(value, str) and value.count("\0") == 0


_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "$comment": (lambda value: isinstance(value, str), "a string"),
    "$id": (lambda value: isinstance(value, str), "a string"),
    "$ref": (lambda value: isinstance(value, str), "a string"),
    "$schema": (lambda value: isinstance(value, str), "a string"),
    "description": (lambda value: isinstance(value, str), "a string"),
    "enum": (lambda value: isinstance(value, list) and value != [], "a list that is not empty"),
    "exclusiveMaximum": (_is_number, "a number"),
    "exclusiveMinimum": (_is_number, "a number"),
    "format": (lambda value: isinstance(value, str), "a string"),
    "maxItems": (_is_count, "a whole number"),
    "maxLength": (_is_count, "a whole number"),
    "maxProperties": (_is_count, "a whole number"),
    "maximum": (_is_number, "a number"),
    "minItems": (_is_count, "a whole number"),
    "minLength": (_is_count, "a whole number"),
    "minProperties": (_is_count, "a whole number"),
    "minimum": (_is_number, "a number"),
    "multipleOf": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    "pattern": (_is_pattern, "a regular expression"),
    "required": (_is_names, "a list of different names"),
    "title": (lambda value: isinstance(value, str), "a string"),
    "uniqueItems": (lambda value: isinstance(value, bool), "true or false"),
}
"""Keywords with a value of a certain kind, and the kind in words."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What a wire would refuse. ``where`` is a JSON pointer into the schema ("" is the whole), or `name`."""

    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.where or 'the schema'}: {self.problem}"


def faults(spec: ToolSpec, wire: WireApi) -> tuple[Fault, ...]:
    """Everything that keeps this wire from carrying the tool, in the order it is found. Never raises."""
    if spec.hosted is not None:
        return (Fault(where="name", problem="this wire has no form for a hosted tool"),) if wire == "chat" else ()
    found = [*_name_faults(spec.name, wire), *_text_faults(spec)]
    if spec.parameters is not None:
        unbounded = _unbounded(spec.parameters)
        found += [unbounded] if unbounded is not None else _schema_faults(spec.parameters, wire)
    return tuple(found)


def carriers(spec: ToolSpec) -> tuple[WireApi, ...]:
    """The wires that carry the tool."""
    return tuple(wire for wire in WIRES if not faults(spec, wire))


def carried(specs: Iterable[ToolSpec], wire: WireApi) -> tuple[ToolSpec, ...]:
    """Those of the tools that this wire carries, in order."""
    return tuple(spec for spec in specs if not faults(spec, wire))


def refusal(spec: ToolSpec) -> str | None:
    """Why the tool cannot be loaded, for whoever configured or offered it; None: some wire carries it."""
    if carriers(spec):
        return None
    by_wire = {wire: faults(spec, wire)[0] for wire in WIRES}
    if len(set(by_wire.values())) == 1:
        reason = str(by_wire[WIRES[0]])
    else:
        reason = "; ".join(f"{wire}: {fault}" for wire, fault in by_wire.items())
    return f"the tool {spec.name!r} cannot be offered to any model: {reason}"


def _name_faults(name: str, wire: WireApi) -> Iterator[Fault]:
    if not _NAME.fullmatch(name):
        yield Fault(where="name", problem=f"{name!r} has characters other than letters, digits, _ and -, or none")
    elif len(name) > NAME_CHARS[wire]:
        yield Fault(where="name", problem=f"it has {len(name)} characters; at most {NAME_CHARS[wire]} are taken")


def _text_faults(spec: ToolSpec) -> Iterator[Fault]:
    if len(spec.description) > DESCRIPTION_CHARS_MAX:
        yield Fault(
            where="description",
            problem=f"it has {len(spec.description)} characters; at most {DESCRIPTION_CHARS_MAX} are taken",
        )
    for where, text in (("description", spec.description), ("grammar", spec.grammar or "")):
        if not _is_utf8(text):
            yield Fault(where=where, problem="it is not valid Unicode")


def _unbounded(schema: Any) -> Fault | None:
    """What makes a schema impossible to look into, or to send."""
    level: list[Any] = [schema]
    for _ in range(SCHEMA_DEPTH_MAX + 1):
        level = [
            below
            for value in level
            if isinstance(value, dict | list)
            for below in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            break
    else:
        return Fault(where="", problem=f"it is nested more than {SCHEMA_DEPTH_MAX} levels deep")
    try:
        size = len(msgspec.json.encode(schema))
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        return Fault(where="", problem=f"it cannot be written as JSON ({error})")
    if size > SCHEMA_BYTES_MAX:
        return Fault(where="", problem=f"it has {size} bytes as JSON; at most {SCHEMA_BYTES_MAX} are taken")
    return None


def _schema_faults(schema: Any, wire: WireApi) -> Iterator[Fault]:
    if not isinstance(schema, dict):
        yield Fault(where="", problem="it is not a JSON object")
        return
    if not schema:
        return  # every wire's adapter sends the schema of an object without properties for it
    kind = schema.get("type", None)
    if kind != "object" and not (kind is None and wire == "messages"):  # that adapter adds the type
        # `schema must be a JSON Schema of 'type: "object"', got 'type: "array"'`
        yield Fault(where="/type", problem='it must be "object": arguments are always an object')
    for union in (*UNIONS, *(("enum", "not") if wire != "messages" else ())):
        if union in schema:
            yield Fault(where=f"/{union}", problem="it cannot stand in the outermost object; move it into a property")
    if wire == "messages" and isinstance(schema.get("properties"), dict):
        for name in schema["properties"]:
            if not _PROPERTY.fullmatch(name):
                yield Fault(
                    where=f"/properties/{_escaped(name)}",
                    problem="a property's name may have up to 64 letters, digits, _, . and -",
                )
    yield from _walk(schema, "", schema, wire)


def _walk(schema: Any, where: str, root: dict[str, Any], wire: WireApi) -> Iterator[Fault]:
    """Each schema inside: a bool, or an object whose keywords have values of their kinds."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        yield Fault(where=where, problem="a schema is an object, true or false")
        return
    types = schema.get("type", ())
    listed = types if isinstance(types, list) else [types] if types != () else []
    if "type" in schema and not _is_types(listed):
        yield Fault(where=f"{where}/type", problem=f"it must be one of {', '.join(sorted(TYPES))}, or a list of such")
    elif "array" in listed and "items" not in schema and wire != "messages":
        # `In context=('properties', 'paths'), array schema missing items`
        yield Fault(where=where, problem="an array must say what its `items` are")
    for keyword, value in schema.items():
        below = f"{where}/{_escaped(keyword)}"
        if keyword in _KINDS and not _KINDS[keyword][0](value):
            yield Fault(where=below, problem=f"it must be {_KINDS[keyword][1]}")
        elif keyword == "$ref":
            if not _leads_somewhere(value, root):
                yield Fault(where=below, problem=f"{value!r} is nowhere in this schema")
        elif keyword in _ONE:
            yield from _walk(value, below, root, wire)
        elif keyword in _LISTS:
            if not isinstance(value, list) or not value:
                yield Fault(where=below, problem="it must be a list of schemas that is not empty")
            else:
                for index, each in enumerate(value):
                    yield from _walk(each, f"{below}/{index}", root, wire)
        elif keyword in _MAPS:
            if not isinstance(value, dict):
                yield Fault(where=below, problem="it must be an object of schemas")
            else:
                for name, each in value.items():
                    yield from _walk(each, f"{below}/{_escaped(name)}", root, wire)


def _leads_somewhere(reference: str, root: dict[str, Any]) -> bool:
    """Whether a reference is a pointer to a part of this very schema (RFC 6901), or to one of its anchors."""
    if not reference.startswith("#"):
        return False
    pointer = reference[1:]
    if pointer and not pointer.startswith("/"):
        return pointer in _anchors(root)
    node: Any = root
    for step in pointer.split("/")[1:]:
        name = _unescaped(step)
        if isinstance(node, dict) and name in node:
            node = node[name]
        elif isinstance(node, list) and name.isdecimal() and int(name) < len(node):
            node = node[int(name)]
        else:
            return False
    return isinstance(node, dict | bool)


def _anchors(node: Any) -> set[str]:
    found: set[str] = set()
    pending = [node]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            if isinstance(each.get("$anchor"), str):
                found.add(each["$anchor"])
            pending += each.values()
        elif isinstance(each, list):
            pending += each
    return found


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _unescaped(step: str) -> str:
    """A step of a pointer inside a URI fragment."""
    plain = re.sub(
        r"(?:%[0-9A-Fa-f]{2})+",
        lambda match: bytes.fromhex(match.group().replace("%", "")).decode("utf-8", "replace"),
        step,
    )
    return plain.replace("~1", "/").replace("~0", "~")
