"""The frames that a worker is given: its script, and then, pump by pump, what has ended."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from actors.sandbox_pool.book import Book
from actors.sandbox_pool.declarations import SPAWN_PREFIX
from actors.sandbox_pool.inside.protocol import PREFIX_LINES, PRELUDE_LINE, encode_start
from actors.sandbox_pool.limits import ARGUMENT_BYTES, PUMP_BYTES, TIMERS_MAX
from messages.script import ScriptPumped, ScriptRequest


def start_frame(request: ScriptRequest, names: Collection[str], *, seed: int, clock_ms: int) -> bytes:
    """The first: what it may use and call, and the text. ``names``: of the tools it may call."""
    limits = request.limits
    config = {
        "tools": [name for name in names if not name.startswith(SPAWN_PREFIX)],
        "spawn": [name.removeprefix(SPAWN_PREFIX) for name in names if name.startswith(SPAWN_PREFIX)],
        "context": request.context,
        "seed": seed,
        "clock": clock_ms,
        "limits": {
            "calls": limits.calls,
            "arguments": ARGUMENT_BYTES,
            "pump": PUMP_BYTES,
            "result": max(limits.return_bytes, request.return_kept_bytes),
            "timers": TIMERS_MAX,
            "lines": limits.console_lines,
            "lineCharacters": limits.console_bytes,
            "consoleCharacters": limits.console_bytes,
            "progress": limits.progress_events,
            "prelude": PRELUDE_LINE,
            "prefix": PREFIX_LINES,
        },
    }
    return encode_start(
        msgspec.json.encode(config),
        request.source.encode("utf-8", "surrogatepass"),
        cpu_seconds=limits.cpu_seconds,
        memory=limits.memory_bytes,
        stack=limits.stack_bytes,
        source_bytes=limits.source_bytes,
    )


def pump_frame(pump: ScriptPumped, book: Book) -> bytes:
    """What has ended, in the order in which it is told. Every call in it has its result in ``book``."""
    parts: list[dict[str, object]] = []
    for each in pump.settled:
        if each.kind == "timer":
            parts.append({"timer": each.number})
            continue
        call = book.calls[each.number]
        assert call.result is not None
        if (error := call.result.error) is None:
            parts.append({"call": each.number, "value": call.result.value})
            continue
        parts.append(
            {
                "call": each.number,
                "error": {
                    "code": error.code,
                    "message": error.message,
                    "retryable": error.retryable,
                    "tool": call.name,
                    "callId": book.call_id(each.number),
                },
            }
        )
    frame = {"clock": pump.clock_ms, "settled": parts}
    if pump.approval is not None:
        frame["approval"] = pump.approval
    return msgspec.json.encode(frame)
