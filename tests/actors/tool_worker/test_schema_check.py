"""What each wire refuses is refused when a tool is loaded; what is ours is carried by all."""

from __future__ import annotations

from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.tool_worker.schema_check import (
    DESCRIPTION_CHARS_MAX,
    SCHEMA_BYTES_MAX,
    SCHEMA_DEPTH_MAX,
    WIRES,
    Fault,
    carried,
    carriers,
    faults,
    refusal,
)
from actors.tool_worker.tools import all_tools
from messages.model import ToolSpec
from messages.settings import WireApi

OPENAI: tuple[WireApi, ...] = ("responses", "chat")


def tool(schema: Any, name: str = "probe") -> ToolSpec:
    return ToolSpec(name=name, description="A probe.", parameters=schema)


def of_property(schema: Any) -> ToolSpec:
    return tool({"type": "object", "properties": {"x": schema}})


def test_every_tool_of_ours_is_carried_by_every_wire() -> None:
    ours = [spec for spec in all_tools().specs() if spec.hosted is None]
    assert {spec.name: carriers(spec) for spec in ours} == {spec.name: WIRES for spec in ours}


def test_a_search_of_the_provider_is_carried_where_there_is_a_form_for_it() -> None:
    [search] = [spec for spec in all_tools().specs() if spec.hosted is not None]
    assert carriers(search) == ("responses", "messages")


@pytest.mark.parametrize(
    ("schema", "refused_by", "where"),
    [
        ({"type": "array", "items": {}}, WIRES, "/type"),
        ({"properties": {}}, OPENAI, "/type"),
        ({"type": ["object"]}, WIRES, "/type"),
        ({"type": "object", "anyOf": [{"required": ["a"]}]}, WIRES, "/anyOf"),
        ({"type": "object", "enum": [{}]}, OPENAI, "/enum"),
        ({"type": "object", "properties": []}, WIRES, "/properties"),
        ({"type": "object", "properties": {"filter[id]": {}}}, ("messages",), "/properties/filter[id]"),
        ({"type": "object", "properties": {"x" * 65: {}}}, ("messages",), "/properties/" + "x" * 65),
        ({"type": "object", "required": ["a", "a"]}, WIRES, "/required"),
        ({"type": "object", "additionalProperties": "no"}, WIRES, "/additionalProperties"),
    ],
)
def test_what_a_wire_refuses_of_the_outermost_object(schema: Any, refused_by: tuple[WireApi, ...], where: str) -> None:
    assert tuple(wire for wire in WIRES if faults(tool(schema), wire)) == refused_by
    assert faults(tool(schema), refused_by[0])[0].where == where


@pytest.mark.parametrize(
    ("schema", "refused_by", "where"),
    [
        ({"type": "array"}, OPENAI, ""),
        ({"type": ["string", "array"]}, OPENAI, ""),
        ({"anyOf": [{"type": "null"}, {"type": "array", "prefixItems": [{}]}]}, OPENAI, "/anyOf/1"),
        ({"type": "text"}, WIRES, "/type"),
        ({"type": []}, WIRES, "/type"),
        ({"enum": []}, WIRES, "/enum"),
        ({"minLength": -1}, WIRES, "/minLength"),
        ({"minimum": True}, WIRES, "/minimum"),
        ({"multipleOf": 0}, WIRES, "/multipleOf"),
        ({"oneOf": []}, WIRES, "/oneOf"),
        ({"$ref": "#/$defs/gone"}, WIRES, "/$ref"),
        ({"$ref": "https://example.org/schema"}, WIRES, "/$ref"),
        ({"$ref": "#gone"}, WIRES, "/$ref"),
        ({"items": 5}, WIRES, "/items"),
        ({"description": 5}, WIRES, "/description"),
    ],
)
def test_what_a_wire_refuses_inside(schema: Any, refused_by: tuple[WireApi, ...], where: str) -> None:
    spec = of_property(schema)
    assert tuple(wire for wire in WIRES if faults(spec, wire)) == refused_by
    assert faults(spec, refused_by[0])[0].where == f"/properties/x{where}"


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": "object", "properties": {"x": True}, "additionalProperties": False},
        {"type": "object", "properties": {"type": {"type": "string"}, "enum": {"enum": [1]}}},
        {"type": "object", "properties": {"x": {"$ref": "#/$defs/a~1b"}}, "$defs": {"a/b": {"type": "string"}}},
        {"type": "object", "properties": {"x": {"$ref": "#/$defs/a%20b"}}, "$defs": {"a b": {"type": "string"}}},
        {"type": "object", "properties": {"x": {"$ref": "#here"}}, "$defs": {"y": {"$anchor": "here"}}},
        {"type": "object", "properties": {"x": {"$ref": "#"}}},
        {"type": "object", "properties": {"x": {"pattern": r"^(?<year>\d{4})$", "x-ours": [1]}}},
    ],
)
def test_what_all_wires_carry(schema: Any) -> None:
    assert carriers(tool(schema)) == WIRES


@pytest.mark.parametrize(
    ("name", "wires"),
    [("a" * 64, WIRES), ("a" * 65, ("messages",)), ("a" * 129, ()), ("", ()), ("a.b", ()), ("a b", ()), ("ä", ())],
)
def test_a_name_is_judged_by_each_wire(name: str, wires: tuple[WireApi, ...]) -> None:
    assert carriers(tool({"type": "object"}, name)) == wires


def test_sizes_are_bounded() -> None:
    deep: Any = {"type": "string"}
    for _ in range(SCHEMA_DEPTH_MAX):
        deep = {"items": deep}
    assert faults(of_property(deep), "chat") == (
        Fault(where="", problem=f"it is nested more than {SCHEMA_DEPTH_MAX} levels deep"),
    )
    large = of_property({"description": "x" * SCHEMA_BYTES_MAX})
    assert faults(large, "chat")[0].problem.endswith(f"at most {SCHEMA_BYTES_MAX} are taken")
    wordy = ToolSpec(name="probe", description="x" * (DESCRIPTION_CHARS_MAX + 1), parameters={})
    assert faults(wordy, "chat")[0].where == "description"
    assert faults(of_property({"description": "\ud800"}), "chat")[0].where == ""


def test_a_refusal_names_the_tool_and_each_reason_once() -> None:
    assert refusal(tool({"type": "object"})) is None
    assert refusal(of_property({"type": "array"})) is None  # the Messages wire carries it
    assert refusal(of_property({"type": "text"})) == (
        "the tool 'probe' cannot be offered to any model: /properties/x/type: it must be one of array, boolean, "
        "integer, null, number, object, string, or a list of such"
    )
    both = {"type": "object", "properties": {"a b": {}, "x": {"type": "array"}}}
    assert refusal(tool(both)) == (
        "the tool 'probe' cannot be offered to any model: responses: /properties/x: an array must say what its `items` "
        "are; chat: /properties/x: an array must say what its `items` are; messages: /properties/a b: a property's "
        "name may have up to 64 letters, digits, _, . and -"
    )


def test_a_request_leaves_out_what_its_wire_cannot_carry() -> None:
    plain, bare = tool({"type": "object"}), of_property({"type": "array"})
    assert carried((plain, bare), "chat") == (plain,)
    assert carried((plain, bare), "messages") == (plain, bare)


def test_a_freeform_tool_has_no_schema_to_refuse() -> None:
    assert carriers(ToolSpec(name="free", description="Free text.", grammar="start: /.+/")) == WIRES


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["object", "array", "string", "#", "#/$defs/a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "properties", "items", "required", "anyOf", "enum", "$ref", "$defs", "a", "minimum", "not"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_json.filter(lambda schema: schema is not None))  # None is a freeform tool
def test_what_is_carried_is_valid_json_schema(schema: Any) -> None:
    """Against a validator we did not write: nothing the metaschema refuses is called carried."""
    for wire in WIRES:
        if not faults(tool(schema), wire):
            jsonschema.Draft202012Validator.check_schema(schema)
            msgspec.json.encode(schema)
