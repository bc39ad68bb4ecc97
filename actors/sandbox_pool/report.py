"""What a model is told of a script that has ended: its value, or what failed and where, and what became of each call.

The text enters history as a message of the user on every wire, so it says in its tag what it is. Nothing in it can
close that tag: tools print what strangers have written.
"""

from __future__ import annotations

from collections import Counter

from messages.script import CallReport, ScriptFailure, ScriptOutcome
from messages.tools import ToolOutcome

TAG = "tool-calls-result"
SPAWN_TAG = "spawned-call"


def render(outcome: ScriptOutcome, *, dry: bool = False) -> str:
    """The whole message."""
    parts: list[str] = []
    if outcome.value is not None:
        parts.append(outcome.value)
    parts += outcome.notes
    if outcome.failure is not None:
        parts.append(failure_text(outcome.failure))
    if outcome.console:
        lines = (line.text if line.level == "log" else f"[{line.level}] {line.text}" for line in outcome.console)
        parts.append("console:\n" + "\n".join(lines))
    if outcome.calls:
        parts.append(_calls(outcome))
    if dry:
        parts.append("dry run: no call took place.")
    return wrapped(outcome.status, "\n\n".join(parts))


def wrapped(status: str, text: str) -> str:
    """``text`` in its tag."""
    return tagged(TAG, f'status="{status}"', text)


def spawn_report(task: int, tool: str, outcome: ToolOutcome, given: str) -> str:
    """What a model is told of a call that has outlived its script, when it has ended."""
    return tagged(SPAWN_TAG, f'task="{task}" tool="{tool}" outcome="{outcome}"', given)


def tagged(tag: str, attributes: str, text: str) -> str:
    """``text`` between tags, which nothing in it can close."""
    return f"<{tag} {attributes}>\n{_harmless(text, tag)}\n</{tag}>"


def failure_text(failure: ScriptFailure) -> str:
    """What failed, where, with the script's own stack."""
    where = f" (line {failure.line}:{failure.column})" if failure.line else ""
    name = f"{failure.name}: " if failure.name else ""
    call = f" [call #{failure.call}]" if failure.call is not None else ""
    lines = [f"{failure.kind} error, {failure.code}{where}{call}: {name}{failure.message}"]
    lines += [f"    at {frame.function} ({frame.line}:{frame.column})" for frame in failure.stack]
    lines += [f"  caused by {cause}" for cause in failure.causes]
    if failure.retryable:
        lines.append("The same script may be tried again.")
    return "\n".join(lines)


def _calls(outcome: ScriptOutcome) -> str:
    calls = outcome.calls
    if outcome.status == "returned" and all(call.outcome == "done" and not call.orphaned for call in calls):
        named = Counter(call.name for call in calls)
        told = ", ".join(name if count == 1 else f"{name} x{count}" for name, count in named.items())
        return f"calls, all done: {told}"
    return "calls:\n" + "\n".join(map(_call, calls))


def _call(call: CallReport) -> str:
    words = [f"#{call.number} {call.name} (line {call.line}:{call.column}): {call.outcome}"]
    if not call.started:
        words.append("never started")
    elif call.outcome != "unknown":
        words.append(f"{call.seconds:.2f} s")
    if call.orphaned:
        words.append("not awaited when the script ended")
    if call.error is not None and call.outcome != "cancelled":
        words.append(f"{call.error.code}: {_first_line(call.error.message)}")
    return "; ".join(words)


def _first_line(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= 200 else f"{line[:200]}…"


def _harmless(text: str, tag: str) -> str:
    """In a value, which is JSON, the backslash means nothing."""
    return text.replace(f"</{tag}", f"<\\/{tag}")
