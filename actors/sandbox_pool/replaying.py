"""How a script is taken the way that it went before the daemon was restarted, and what of its past is taken up.

The recorded pumps are fed in their order, so the script asks for the same things again; none of them is done again
while that lasts. At the end of the log what was going on then is taken up: what had not started is queued, what had
ended and had not been told is told, and what had started and not ended is unknown, unless its tool is idempotent.
"""

from __future__ import annotations

from collections import deque

from actors.sandbox_pool.book import UNKNOWN, Book, BookedCall
from actors.sandbox_pool.driving import Effect
from actors.sandbox_pool.past import Past
from messages.script import CallRequested, CallResult, ScriptPumped, Settled


def same_call(call: BookedCall, before: CallRequested | None) -> bool:
    """Whether the script has asked for what it asked for then."""
    return before is not None and (call.name, call.arguments, call.line, call.column) == (
        before.name,
        before.arguments,
        before.line,
        before.column,
    )


def follow(pump: ScriptPumped, book: Book, past: Past) -> str | None:
    """Settle what ended before this pump; or how the script is not the one that it was."""
    for each in pump.settled:
        if each.kind == "timer":
            if book.timers.pop(each.number, None) is None:
                return f"it did not set its timer {each.number}"
            continue
        call, ended = book.calls.get(each.number), past.ended.get(each.number)
        if call is None or ended is None or call.state == "ended":
            return f"it did not make its call {each.number}"
        book.recall(call, ended, started=each.number in past.started)
    return None


def take_up(book: Book, past: Past, idempotent: frozenset[str], now: float, effects: list[Effect]) -> str | None:
    """At the end of the log: go on from there; or how the script is not the one that it was.

    ``idempotent``: names, in the script, of the tools that may be started again.
    """
    if missing := [number for number in past.requested if number not in book.calls]:
        return f"it did not make its call {missing[0]}"
    for number, ended in past.ended.items():
        call = book.calls[number]
        if call.state != "ended":
            book.recall(call, ended, started=number in past.started)
            book.arrived.append(Settled(kind="call", number=number))
    for number in past.requested:
        call = book.calls[number]
        if call.state == "ended":
            continue
        if number not in past.started:
            book.queue.append(call)
        elif call.name in idempotent:
            book.start(call, now, effects)
        else:
            call.started = True
            book.settle(call, CallResult(outcome="unknown", error=UNKNOWN), effects)
    book.queue = deque(sorted(book.queue, key=lambda call: call.number))
    book.set_timers(effects)
    return None


def write_off(book: Book, past: Past, effects: list[Effect]) -> None:
    """Give up in the middle of the past: each call of the log ended as it did then, or is unknown."""
    for number, requested in past.requested.items():
        call = book.calls.get(number)
        if call is None or (call.name, call.arguments) != (requested.name, requested.arguments):
            call = book.calls[number] = BookedCall(
                number=number,
                name=requested.name,
                tool="",
                arguments=requested.arguments,
                line=requested.line,
                column=requested.column,
            )
        if call.state == "ended":
            continue
        call.started = number in past.started
        ended = past.ended.get(number)
        if ended is not None:
            book.recall(call, ended, started=call.started)
        elif call.started:
            book.settle(call, CallResult(outcome="unknown", error=UNKNOWN), effects)
