"""The reference of the tools in docs/tools.md, made from the registry; `python -m tests.tools_reference` writes it anew.

What stands between the two markers belongs to this program, the rest of the page to people. A test compares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actors.tool_worker.tools import all_tools
from messages.model import ToolNeed, ToolSpec

PAGE = Path(__file__).resolve().parents[1] / "docs" / "tools.md"
BEGIN = "<!-- made from the registry by `python -m tests.tools_reference` -->"
END = "<!-- end of what is made -->"

NEEDS: dict[ToolNeed, str] = {
    "commands": "a model that runs commands",
    "patches": "a model that writes patches",
    "images": "a model that sees images",
    "web_search": "a provider that searches the web, and `web_search` not `disabled`",
    "default_mode": "any mode but plan mode",
    "permissions": "a sandbox (`read-only`, `workspace-write`) and an approval policy that may ask (docs/approvals.md)",
    "handles": "scripts that are not `disabled`, and a thread that is on disk (docs/scripts.md)",
    "questions": 'plan mode, or `questions = "always"`',
}


def reference() -> str:
    """One section for each tool: what it is for, who has it, its arguments."""
    return "\n\n".join(_section(spec) for spec in all_tools().specs())


def _section(spec: ToolSpec) -> str:
    lines = [f"### `{spec.name}`", ""]
    first, _, rest = spec.description.partition("\n")
    lines.append(first)
    if rest.strip():
        lines += ["", "```text", rest.strip(), "```"]
    if spec.needs:
        lines += ["", f"Needs {' and '.join(NEEDS[need] for need in spec.needs)}."]
    if spec.hosted is not None:
        lines += ["", "Run by the provider; no call of it reaches the daemon."]
    elif spec.parameters is None:
        lines += ["", "Takes free text; where a wire has no such tools, the text as `input`."]
    else:
        lines += ["", "| argument | type | |", "|---|---|---|", *_rows(spec.parameters, "")]
    return "\n".join(lines)


def _rows(schema: dict[str, Any], above: str) -> list[str]:
    rows: list[str] = []
    required = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        optional = "" if name in required else ", optional"
        words = str(each.get("description", "")).replace("|", "\\|")
        rows.append(f"| `{above}{name}` | {_type(each)}{optional} | {words} |")
        for inner, suffix in _objects(each):
            rows += _rows(inner, f"{above}{name}{suffix}.")
    return rows


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"] if each is not None)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def _objects(schema: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """The object schemas right inside, each with what its place adds to the name."""
    if "anyOf" in schema:
        return [found for each in schema["anyOf"] for found in _objects(each)]
    if schema.get("type") == "array":
        return [(inner, f"[]{suffix}") for inner, suffix in _objects(schema.get("items", {}))]
    return [(schema, "")] if "properties" in schema else []


def page(now: str) -> str:
    """The page with its reference made anew."""
    before, _, rest = now.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
