"""S16: a worker that has been taken over says whatever it likes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from actors.ports.scripts import Confinement
from actors.sandbox_pool.limits import ARGUMENT_BYTES, CALLS_MAX, CONSOLE_LINES, PROGRESS_EVENTS, TIMERS_MAX
from tests.actors.sandbox_pool.security.jail import Jail
from tests.actors.sandbox_pool.security.registry import case
from tests.actors.sandbox_pool.stage import Show, echo, play


def call(number: Any = 1, tool: Any = "echo", arguments: Any = "{}", **more: Any) -> dict[str, Any]:
    return {"type": "call", "number": number, "tool": tool, "arguments": arguments, "stack": "", **more}


def frame(*asked: Any, state: Any = "running", outcome: Any = None, **more: Any) -> bytes:
    return json.dumps({"state": state, "outcome": outcome, "asked": asked, **more}).encode()


LINE = {"type": "line", "level": "log", "text": "x"}
PROGRESS = {"type": "progress", "text": "x"}

FORGED: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"hello",
    "half a frame": frame(call())[:-5],
    "two frames": frame(call()) + frame(call()),
    "another type": b"[]",
    "invalid UTF-8": frame(call(arguments="??")).replace(b"??", b"\xff\xfe"),
    "half a surrogate pair": frame(LINE).replace(b'"x"', b'"\\ud800"'),
    "deep JSON": b'{"state":"running","outcome":' + b"[" * 200_000 + b"]" * 200_000 + b',"asked":[]}',
    "deep JSON as the error": frame(state="threw").replace(b"null", b'{"name":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "an unknown state": frame(state="root"),
    "a state that is no text": frame(state=1),
    "an unknown field": frame(call(), trusted=True),
    "an unknown field of a call": frame(call(approved=True)),
    "an unknown thing": frame({"type": "exec", "command": "id"}),
    "a number from the future": frame(call(2)),
    "a number again": frame(call(1), call(1)),
    "numbers out of order": frame(call(2), call(1)),
    "number zero": frame(call(0)),
    "a negative number": frame(call(-1)),
    "a huge number": frame(call(10**400)),
    "a number that is none": frame(call(1.5)),
    "a number in a text": frame(call("1")),
    "NaN": frame(call()).replace(b'"number": 1', b'"number": NaN'),
    "a tool that it does not have": frame(call(tool="t_echo")),
    "a tool by another's name": frame(call(tool="__proto__")),
    "too large arguments": frame(call(arguments="x" * (ARGUMENT_BYTES + 1))),
    "arguments that are no text": frame(call(arguments={})),
    "more calls than there may be": frame(*(call(number) for number in range(1, CALLS_MAX + 2))),
    "more lines than there may be": frame(*(LINE,) * (CONSOLE_LINES + 1)),
    "a level that is none": frame({**LINE, "level": "alert"}),
    "more progress than there may be": frame(*(PROGRESS,) * (PROGRESS_EVENTS + 1)),
    "a timer out of order": frame({"type": "timer", "number": 2, "milliseconds": 1}),
    "a timer in the past": frame({"type": "timer", "number": 1, "milliseconds": -1}),
    "a timer beyond numbers": frame({"type": "timer", "number": 1, "milliseconds": 10**400}),
    "more timers than there may be": frame(
        *({"type": "timer", "number": number, "milliseconds": 1} for number in range(1, TIMERS_MAX + 2))
    ),
    "a value that is no text": frame(state="returned", outcome={"a": 1}),
    "an error without a name": frame(state="threw", outcome={"message": "x"}),
    "an error that is a book": frame(state="threw", outcome={"name": "x", "message": "x" * 100_000}),
    "a stop that says more": frame(state="exceeded", outcome={"code": "cpu", "message": "", "retry": True}),
}


class Liar:
    """A worker that answers every frame with the same one."""

    pid = 0

    def __init__(self, forged: bytes) -> None:
        self._forged = forged
        self._saying, self._said = trio.open_memory_channel[bytes](8)

    def send_now(self, frame: bytes) -> bool:
        """See `actors.ports.scripts.ScriptWorker`."""
        return False

    async def send(self, frame: bytes) -> None:
        await self._saying.send(self._forged)

    async def receive(self, max_bytes: int) -> bytes:
        return await self._said.receive()

    def kill(self) -> None:
        self._saying.close()

    async def aclose(self) -> None:
        self._saying.close()
        self._said.close()


class Liars:
    """An engine that has none but such workers."""

    confinement: Confinement | None = Confinement(layers={}, missing=())

    def __init__(self, forged: bytes) -> None:
        self._forged = forged

    async def worker(self) -> Liar:
        await trio.lowlevel.checkpoint()
        return Liar(self._forged)


async def say(forged: bytes) -> Show:
    """A script whose worker answers every frame so."""
    return await play("return await tools.echo({})", engine=Liars(forged), plays={"echo": echo})


@case(
    "S16",
    "no frame is trusted: wrong, repeated and disordered numbers, unknown tools and fields, invalid UTF-8, deep JSON, "
    "huge numbers and texts end the worker, make no call, and are an error of that script alone",
    control="the honest frame beside them is believed and its call is made; Python's own reader falls over the deep one",
)
async def no_trust(jail: Jail) -> None:
    for name, forged in FORGED.items():
        show = await say(forged)
        failure = show.outcome.failure
        assert failure is not None, name
        assert (show.outcome.status, failure.kind, show.tools.begun) == ("crashed", "harness", []), name
        assert len(failure.message) < 200, name
    believed = await say(frame(call(arguments='{"a":1}')))
    assert believed.tools.begun == [("echo", {"a": 1})]
    assert believed.outcome.status == "crashed"  # for it asked for its first call again
    with pytest.raises(RecursionError):
        json.loads(FORGED["deep JSON"])
    too_long = await say(frame(state="returned", outcome='"' + "x" * 200_000 + '"'))
    assert too_long.failure[:2] == ("limit", "return_value")
    assert await jail.value("return await tools.echo(1)") == 1
