"""What a model is told can be called is what can be called, in valid TypeScript."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.sandbox_pool.declarations import declarations, describe, script_name, scripted, search, type_of
from actors.sandbox_pool.inside.typescript import erase_types
from actors.tool_worker.tools import all_tools
from messages.model import ToolSpec
from messages.script import ScriptTool
from tests.actors.sandbox_pool.stage import echo, play


def spec(name: str, parameters: dict[str, Any] | None = None, description: str = "") -> ToolSpec:
    return ToolSpec(name=name, description=description, parameters=parameters)


def declared(text: str) -> list[str]:
    """The names of the methods of `tools`."""
    tools, _, _ = text.partition("\n};")
    return re.findall(r"^  (\w+)\(args", tools, re.MULTILINE)


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ("apply_patch", "applyPatch"),
        ("exec", "exec"),
        ("mcp__my-server__do.it", "mcpMyServerDoIt"),
        ("Read", "read"),
        ("2fa", "tool2fa"),
        ("then", "toolThen"),
        ("search", "toolSearch"),
        ("日本", "tool"),
    ],
)
def test_a_tool_has_a_name_that_a_script_can_write(tool: str, name: str) -> None:
    assert script_name(tool) == name


def test_two_tools_never_share_a_name() -> None:
    assert [tool.name for tool in scripted([spec("a_b"), spec("a-b"), spec("aB"), spec("a_b2")])] == [
        *("aB", "aB2", "aB3", "aB22", "search", "describe"),
    ]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "string"),
        ({"type": ["integer", "null"]}, "number | null"),
        ({"enum": ["a", 'b"', 1, None]}, '"a" | "b\\"" | 1 | null'),
        ({"const": True}, "true"),
        ({"type": "array", "items": {"type": "string"}}, "string[]"),
        ({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "(string | null)[]"),
        ({"type": "array", "prefixItems": [{"type": "string"}], "items": False}, "[string]"),
        ({"type": "array"}, "unknown[]"),
        ({"type": "object", "additionalProperties": False}, "{}"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "Record<string, number>"),
        (
            {"type": "object", "properties": {"a": {"type": "string"}, "b-c": {}}, "required": ["a"]},
            '{ a: string; "b-c"?: unknown }',
        ),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "boolean"}}}, "boolean"),
        (True, "unknown"),
        ({"type": 5, "enum": [], "required": "x", "properties": {}}, "Record<string, unknown>"),
    ],
)
def test_a_schema_becomes_a_type(schema: object, expected: str) -> None:
    assert type_of(schema) == expected


def test_a_schema_that_refers_to_itself_ends() -> None:
    schema = {"$ref": "#/$defs/A", "$defs": {"A": {"type": "array", "items": {"$ref": "#/$defs/A"}}}}
    assert type_of(schema) == "(unknown[])[]"


def test_a_declaration_reads_like_one() -> None:
    tool, *_ = scripted(
        [
            spec(
                "read_file",
                {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
                "Read.\n*/ It.",
            )
        ]
    )
    assert describe(tool) == "  /** Read. * / It. */\n  readFile(args: { path: string }): Promise<Text>;"
    tool, *_ = scripted([spec("patch")])
    assert describe(tool) == "  patch(args: { input: string }): Promise<Text>;"


def valid(text: str) -> bool:
    """Declarations are types only: nothing of them is left."""
    return set(erase_types(text).replace("declare", "")) <= set(" \n;")


def check(tools: Sequence[ScriptTool], *, budget: int = 12_000) -> None:
    text = declarations(tools, budget=budget)
    assert sorted(declared(text)) == sorted(tool.name for tool in tools)
    assert valid(text), text


async def test_what_is_declared_is_what_can_be_called(autojump_clock: MockClock) -> None:
    tools = scripted(all_tools().specs())
    assert len(tools) > 5
    for budget in (0, 1000, 100_000):
        check(tools, budget=budget)
    show = await play("return Object.keys(tools)", plays={tool.name: echo for tool in tools})
    assert show.value == declared(declarations(tools))


def test_what_does_not_fit_is_named_and_can_be_found() -> None:
    tools = scripted([spec("send_mail", description="Send a letter."), spec("read_mail", description="Fetch letters.")])
    text = declarations(tools, budget=100)
    assert declared(text) == ["sendMail", "readMail", "search", "describe"]
    assert text.count("/**") == 1
    assert search(tools, "fetch mail") == (describe(tools[1]), describe(tools[0]))
    assert search(tools, "weather") == ()


SCHEMAS = st.recursive(
    st.one_of(
        st.sampled_from(
            [{"type": kind} for kind in ("string", "number", "integer", "boolean", "null", "array", "object")]
        ),
        st.lists(st.one_of(st.text(max_size=5), st.integers(), st.none(), st.booleans()), min_size=1, max_size=3).map(
            lambda values: {"enum": values}
        ),
        st.sampled_from([{}, True, None, {"$ref": "#/$defs/none"}, {"type": ["string", "null"]}]),
    ),
    lambda inner: st.one_of(
        inner.map(lambda item: {"type": "array", "items": item}),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
        st.dictionaries(st.text(max_size=6), inner, max_size=3).map(
            lambda properties: {"type": "object", "properties": properties, "required": list(properties)[:1]}
        ),
    ),
    max_leaves=8,
)


@given(st.lists(st.tuples(st.text(max_size=12), SCHEMAS, st.text(max_size=30)), max_size=4))
def test_whatever_a_server_offers_is_declared_validly(offers: list[tuple[str, Any, str]]) -> None:
    check(
        scripted(
            spec(name, {"type": "object", "properties": {"x": schema}}, description)
            for name, schema, description in offers
        )
    )
