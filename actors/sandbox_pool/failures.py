"""What a worker's last frame says of a script that did not return, in the taxonomy of failures."""

from __future__ import annotations

from typing import Literal

from actors.sandbox_pool.frames import Stopped, Thrown
from messages.script import ScriptFailure, ScriptFailureKind, ScriptFrame

CALL_DIGITS_MAX = 4
"""Of a call's number in the id that an exception carries: never ten thousand, and the text is a stranger's."""


def kind_of(thrown: Thrown) -> ScriptFailureKind:
    """Whose move it is."""
    if thrown.name == "InternalError" and thrown.message == "out of memory":
        return "limit"
    if thrown.name == "RangeError" and thrown.message.startswith("Maximum call stack"):
        return "limit"
    if thrown.name != "ToolError":
        return "script"
    match thrown.code:
        case "limit":
            return "limit"
        case "denied" | "expired":
            return "approval"
        case "cancelled":
            return "cancelled"
        case _:
            return "tool"


def call_number(thrown: Thrown, script_id: str) -> int:
    """Of the call whose error it says it is; 0: of none of this script's."""
    prefix = f"{script_id}:"
    text = thrown.call_id.removeprefix(prefix)
    own = thrown.call_id.startswith(prefix) and text.isdecimal() and len(text) <= CALL_DIGITS_MAX
    return int(text) if own else 0


def failure_of_throw(
    thrown: Thrown, frames: tuple[ScriptFrame, ...], *, call: int | None, line: int, column: int
) -> ScriptFailure:
    """``frames``: the script's own of its stack. ``line`` and ``column``: where to look if it has none."""
    kind = kind_of(thrown)
    default = {"limit": "memory" if "memory" in thrown.message else "stack"}.get(kind, "exception")
    return ScriptFailure(
        kind=kind,
        code=thrown.code or default,
        message=thrown.message,
        name=thrown.name,
        line=frames[0].line if frames else line,
        column=frames[0].column if frames else column,
        stack=frames,
        call=call,
        causes=tuple(f"{cause.name}: {cause.message}" for cause in thrown.causes),
    )


def failure_of_stop(stopped: Stopped, status: Literal["exceeded", "refused"]) -> ScriptFailure:
    """What the worker stopped, or would not start."""
    kind: ScriptFailureKind = "syntax" if status == "refused" else "limit"
    if stopped.code == "engine":
        kind = "harness"
    return ScriptFailure(
        kind=kind, code=stopped.code, message=stopped.message, line=stopped.line, column=stopped.column
    )
