"""What a model is told of `tools` and `context`: TypeScript declarations, made from the tools' own JSON schemas.

`scripted` gives the tools their names in scripts, and both the declarations and the callable set come from its result,
so they cannot differ. A tool keeps its own schema; only a freeform tool's text and a command line get a script's form.
A schema that says more than a type can (ranges, patterns) loses that here, and keeps it where the arguments are
checked; one that is odd, too deep or refers to itself becomes `unknown`, which is always true.

Declarations cost tokens on every request. What does not fit the budget is listed by name; `describe` gives the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from messages.base import JsonObject
from messages.model import ToolSpec
from messages.script import ScriptTool

BUDGET_CHARACTERS = 12_000
"""About 3,000 tokens: some twenty tools with their descriptions."""

DESCRIPTION_CHARACTERS = 300
"""Of a tool's description, its first sentences: the rest is in the structured tool's own."""

DEPTH_MAX = 5
"""Of nested objects that are spelled out."""

RESERVED = frozenset(("then", "toJSON", "spawn", "search", "describe", "constructor"))
"""Names in `tools` that mean something else: to a promise, to JSON, or to us."""

TEXT_NAMES = {"apply_patch": "patch"}
"""What a freeform tool's text is called as a script's argument; others have ``input``."""

COMMAND_TOOL = "exec_command"
"""Behind `tools.exec`, which takes a command the way programs do and waits for its end."""

COMMAND: JsonObject = {
    "type": "object",
    "properties": {
        "command": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]},
        "cwd": {"type": "string"},
        "timeoutMs": {"type": "integer"},
        "justification": {"type": "string"},
    },
    "required": ["command"],
    "additionalProperties": False,
}
COMMAND_RESULT: JsonObject = {
    "type": "object",
    "properties": {
        "output": {"$ref": "Text"},
        "exitCode": {"type": ["integer", "null"]},
        "sessionId": {"type": "integer"},
    },
    "required": ["output", "exitCode"],
}
"""Of every call that runs a command. ``sessionId``: it has not ended; it does with the script."""

TEXT_RESULT: JsonObject = {"$ref": "Text"}
SLICE_RESULT: JsonObject = {"type": "string"}
IMAGE_RESULT: JsonObject = {
    "type": "object",
    "properties": {"text": TEXT_RESULT, "images": {"type": "array", "items": TEXT_RESULT}},
    "required": ["text", "images"],
}
"""Of a call that brings images: URLs with their data, or handles."""


NAMED = frozenset(("Text",))
"""References that are types of `CONTEXT`."""

READ_HANDLE = "read_handle"
"""Goes with every tool that can be called: any of them may give a handle."""

COMMAND_TOOLS = frozenset((COMMAND_TOOL, "write_stdin"))
RESULTS = {READ_HANDLE: SLICE_RESULT, "view_image": IMAGE_RESULT}

FINDERS = (
    ScriptTool(
        name="search",
        tool="",
        description="Declarations of the tools that fit some words.",
        parameters={"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
        returns={"type": "array", "items": {"type": "string"}},
        idempotent=True,
    ),
    ScriptTool(
        name="describe",
        tool="",
        description="One tool's declaration.",
        parameters={"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        returns={"type": "string"},
        idempotent=True,
    ),
)
"""Answered by whoever runs the script; no tool of the registry."""

SPAWN_PREFIX = "spawn."
"""Of the names of tools that are found in ``tools.spawn``."""

SPAWNABLE = frozenset((COMMAND_TOOL, "shell", "read_file", "list_dir", "grep_files", "file_search"))
"""Tools whose call needs nothing of the turn that made it: not its diff, its plan, its people, or a client that runs it
for the turn."""

SPAWN_RESULT: JsonObject = {
    "type": "object",
    "properties": {"task": {"type": "integer"}},
    "required": ["task"],
}
SPAWN_LIST, SPAWN_CANCEL = "spawn.list", "spawn.cancel"
SPAWN_VERBS = (
    ScriptTool(
        name=SPAWN_LIST,
        tool=SPAWN_LIST,
        description="The thread's spawned calls that run.",
        parameters={"type": "object", "properties": {}, "additionalProperties": False},
        returns={
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "task": {"type": "integer"},
                    "tool": {"type": "string"},
                    "about": {"type": "string"},
                    "seconds": {"type": "number"},
                },
                "required": ["task", "tool", "about", "seconds"],
            },
        },
        idempotent=True,
        spawned=True,
    ),
    ScriptTool(
        name=SPAWN_CANCEL,
        tool=SPAWN_CANCEL,
        description="End one; false if none of that number runs.",
        parameters={**SPAWN_RESULT, "additionalProperties": False},
        returns={"type": "boolean"},
        spawned=True,
    ),
)
"""Answered by the session; no tools of the registry."""

_SPAWN_HOW = (
    "Calls that may outlive this script: each resolves to {task} when it has begun, and is the thread's from then on. "
    "You are told with a later message how it ended. Arguments as above."
)

CONTEXT = """\
interface Handle { readonly handle: string; readonly size: number; readonly type: "text" | "json" | "bytes"; \
readonly preview: string; readonly mediaType?: string; slice(from?: number, to?: number): Promise<string> }
type Text = string | Handle;
declare const context: {
  readonly workingDirectory: string;
  readonly sandbox: { readonly mode: string; readonly timeoutMs: number; readonly memoryMb: number; \
readonly remainingToolBudget: number };
  readonly approvals: { readonly required: boolean; readonly lastRequestId: string | null };
  readonly telemetry: { emitProgress(message: unknown): void };
  readonly [extension: string]: unknown;
};
declare class ToolError extends Error { code: string; retryable: boolean; tool: string; callId: string }"""
"""The rest of a script's world that is not standard."""

_WORDS = re.compile(r"[A-Za-z0-9]+")
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
_PRIMITIVES = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}


def script_name(tool: str) -> str:
    """``apply_patch`` -> ``applyPatch``"""
    words: list[str] = _WORDS.findall(tool)
    capitalized = "".join(word[:1].upper() + word[1:] for word in words)
    name = capitalized[:1].lower() + capitalized[1:]
    return name if name and not name[0].isdigit() and name not in RESERVED else f"tool{name[:1].upper()}{name[1:]}"


def scripted(specs: Iterable[ToolSpec], *, idempotent: frozenset[str] = frozenset()) -> tuple[ScriptTool, ...]:
    """The tools as a script sees them, in their order, then `FINDERS`; a name that is taken gets a number."""
    tools: list[ScriptTool] = []
    taken: set[str] = set()
    for spec in specs:
        if spec.name == COMMAND_TOOL:
            taken.add("exec")
            tools.append(
                ScriptTool(
                    name="exec",
                    tool=spec.name,
                    description="Run a command to its end. An array is run as it is, a string by the shell.",
                    parameters=COMMAND,
                    returns=COMMAND_RESULT,
                    form="command",
                )
            )
        plain = name = script_name(spec.name)
        number = 2
        while name in taken:
            name, number = f"{plain}{number}", number + 1
        taken.add(name)
        tools.append(
            ScriptTool(
                name=name,
                tool=spec.name,
                description=spec.description,
                parameters=_text_schema(spec.name) if spec.parameters is None else spec.parameters,
                returns=_result(spec.name),
                idempotent=spec.name in idempotent,
                form="text" if spec.parameters is None else "json",
            )
        )
    return (*tools, *FINDERS) if tools else ()


def allowed(tools: Iterable[ScriptTool], names: Iterable[str] | None) -> tuple[ScriptTool, ...]:
    """Those of ``names``, which may be the registry's or the script's; None: all. Finding goes with calling."""
    if names is None:
        return tuple(tools)
    wanted = frozenset(names)
    own = tuple(tool for tool in tools if tool.tool)
    if not any(tool.tool in wanted or tool.name in wanted for tool in own):
        return ()
    wanted |= {READ_HANDLE}
    return (*(tool for tool in own if tool.tool in wanted or tool.name in wanted), *FINDERS)


def _result(tool: str) -> JsonObject:
    return COMMAND_RESULT if tool in COMMAND_TOOLS else RESULTS.get(tool, TEXT_RESULT)


def spawnable(tools: Iterable[ScriptTool]) -> tuple[ScriptTool, ...]:
    """What stands in ``tools.spawn`` beside ``tools``."""
    made = tuple(
        msgspec.structs.replace(
            tool, name=f"{SPAWN_PREFIX}{tool.name}", returns=SPAWN_RESULT, idempotent=False, spawned=True
        )
        for tool in tools
        if tool.tool in SPAWNABLE
    )
    return (*made, *SPAWN_VERBS) if made else ()


def _text_schema(tool: str) -> JsonObject:
    name = TEXT_NAMES.get(tool, "input")
    return {
        "type": "object",
        "properties": {name: {"type": "string"}},
        "required": [name],
        "additionalProperties": False,
    }


def declarations(tools: Sequence[ScriptTool], *, budget: int = BUDGET_CHARACTERS) -> str:
    """TypeScript for the prompt: the tools that fit, the names of the others, and the context."""
    lines = ["declare const tools: {"]
    left = budget
    omitted: list[str] = []
    spawned = [tool for tool in tools if tool.spawned]
    for tool in tools:
        if tool.spawned:
            continue
        method = describe(tool)
        if len(method) > left:
            omitted.append(tool.name)
            continue
        left -= len(method)
        lines.append(method)
    if omitted:
        lines.append("  // Also there, with one object as argument; their declarations are left out here:")
        lines += [f"  {name}(args: object): Promise<unknown>;" for name in omitted]
    if spawned:
        lines += [f"  /** {_SPAWN_HOW} */", "  readonly spawn: {", *map(_spawn_declaration, spawned), "  };"]
    return "\n".join([*lines, "};", CONTEXT])


def _spawn_declaration(tool: ScriptTool) -> str:
    """A line: the arguments are those of the tool itself, declared above or omitted there."""
    name = tool.name.removeprefix(SPAWN_PREFIX)
    known = tool in SPAWN_VERBS
    parameters = tool.parameters if known and tool.parameters is not None else None
    taken = "object" if parameters is None else type_of(parameters)
    optional = "" if parameters is None or parameters.get("required") else "?"
    comment = f" // {tool.description}" if known else ""
    return f"    {name}(args{optional}: {taken}): Promise<{type_of(tool.returns)}>;{comment}"


def describe(tool: ScriptTool) -> str:
    """One tool's declaration, indented as a member of `tools`."""
    parameters = tool.parameters if tool.parameters is not None else {}
    optional = "" if parameters.get("required") else "?"
    result = "unknown" if tool.returns is None else type_of(tool.returns)
    comment = _comment(tool.description, DESCRIPTION_CHARACTERS)
    return f"{comment}  {tool.name}(args{optional}: {type_of(parameters)}): Promise<{result}>;"


def search(tools: Sequence[ScriptTool], query: str, *, most: int = 10) -> tuple[str, ...]:
    """Declarations of the tools that have most of the query's words, in name or description; best first."""
    words = {word.lower() for word in _WORDS.findall(query)}

    def score(tool: ScriptTool) -> int:
        name, text = f"{tool.name} {tool.tool}".lower(), tool.description.lower()
        return sum(3 * (word in name) + (word in text) for word in words)

    found = sorted((tool for tool in tools if score(tool) > 0), key=score, reverse=True)
    return tuple(describe(tool) for tool in found[:most])


def type_of(schema: object) -> str:
    """A JSON schema as a TypeScript type."""
    definitions = schema.get("$defs", schema.get("definitions", {})) if isinstance(schema, dict) else {}
    return _type(schema, definitions if isinstance(definitions, dict) else {}, DEPTH_MAX)


def _type(schema: object, definitions: dict[str, Any], depth: int) -> str:
    if not isinstance(schema, dict) or depth <= 0:
        return "unknown"
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference in NAMED:
        return reference
    if isinstance(reference, str):
        return _type(definitions.get(reference.rpartition("/")[2]), definitions, depth - 1)
    if "const" in schema:
        return _literal(schema["const"])
    values = schema.get("enum")
    if isinstance(values, list) and values:
        return _union(map(_literal, values))
    for several in ("anyOf", "oneOf"):
        if isinstance(options := schema.get(several), list) and options:
            return _union(_type(option, definitions, depth - 1) for option in options)
    kind = schema.get("type")
    if isinstance(kind, list) and kind:
        return _union(_type({**schema, "type": each}, definitions, depth) for each in kind if isinstance(each, str))
    if isinstance(kind, str) and kind in _PRIMITIVES:
        return _PRIMITIVES[kind]
    if kind == "array":
        return _array(schema, definitions, depth)
    if kind == "object" or "properties" in schema:
        return _object(schema, definitions, depth)
    return "unknown"


def _array(schema: dict[str, Any], definitions: dict[str, Any], depth: int) -> str:
    first = schema.get("prefixItems")
    if isinstance(first, list) and first and schema.get("items") is False:
        return f"[{', '.join(_type(each, definitions, depth - 1) for each in first)}]"
    item = _type(schema.get("items"), definitions, depth - 1)
    return f"({item})[]" if re.search(r"[^\w]", item) else f"{item}[]"


def _object(schema: dict[str, Any], definitions: dict[str, Any], depth: int) -> str:
    properties = schema.get("properties")
    required = schema.get("required")
    needed = {each for each in required if isinstance(each, str)} if isinstance(required, list) else set()
    members = []
    for key, value in properties.items() if isinstance(properties, dict) else ():
        name = key if _IDENTIFIER.fullmatch(key) else _literal(key)
        mark = "" if key in needed else "?"
        members.append(f"{name}{mark}: {_type(value, definitions, depth - 1)}")
    additional = schema.get("additionalProperties")
    if isinstance(additional, dict) and not members:
        return f"Record<string, {_type(additional, definitions, depth - 1)}>"
    if not members:
        return "{}" if additional is False else "Record<string, unknown>"
    return f"{{ {'; '.join(members)} }}"


def _literal(value: object) -> str:
    if value is None or isinstance(value, str | bool | int):
        return json.dumps(value)  # ASCII: no line separator can end a line of it
    return "unknown"


def _union(types: Iterable[str]) -> str:
    return " | ".join(dict.fromkeys(types)) or "unknown"


def _comment(text: str, most: int) -> str:
    """The beginning of a text, in whole sentences where that is possible, as one line of comment."""
    printable = "".join(each if each.isprintable() else " " for each in text)  # a NUL would end the comment's text
    line = " ".join(printable.split()).replace("*/", "* /")
    if len(line) > most:
        cut = line[:most]
        line = cut[: cut.rfind(". ") + 1] or f"{cut.rstrip()}…"
    return f"  /** {line} */\n" if line else ""
