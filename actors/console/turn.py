"""Run one turn as a client and see it to its end; shared by `exec`, `demo` and `script run`."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import trio

from actors.console.client import Client, Incoming, WireError

SIGINT_EXIT = 130
"""128 + SIGINT, what shells expect."""

Answer = Callable[[Incoming], Awaitable[dict[str, Any]]]
"""Decides on a request of the daemon. Cancelled when somebody else has answered it."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How the turn ended, with the text of the last message."""

    status: str
    error: str | None = None
    last_message: str = ""
    usage: dict[str, Any] | None = None
    left: bool = False
    """The user left before the end; the daemon goes on."""


async def decline(_: Incoming) -> dict[str, Any]:
    """The explicit default of a run without a person: nothing that needs a yes is done."""
    await trio.lowlevel.checkpoint()
    return {"decision": "decline"}


async def run_turn(
    client: Client, thread_id: str, prompt: str, show: Callable[[Incoming], None], answer: Answer = decline
) -> Ending:
    """Start a turn and see it to its end."""
    started = await client.request("turn/start", {"threadId": thread_id, "input": [{"type": "text", "text": prompt}]})
    return await see_turn(client, thread_id, started["turn"]["id"], show, answer)


async def see_turn(
    client: Client, thread_id: str, turn_id: str, show: Callable[[Incoming], None], answer: Answer = decline
) -> Ending:
    """Show a turn that has begun until it is completed. Ctrl-C once interrupts it, twice leaves."""
    ending = Ending(status="disconnected", error="The connection to the daemon ended before the turn did.")
    async with trio.open_nursery() as nursery:
        left = trio.Event()
        nursery.start_soon(_on_interrupt, client, thread_id, turn_id, left, nursery.cancel_scope)
        ending = await _follow(client, thread_id, turn_id, show, _Answers(client, answer, nursery), ending)
        nursery.cancel_scope.cancel()
    if left.is_set():
        return msgspec.structs.replace(ending, status="left", left=True)
    return ending


class _Answers:
    """The answers that are being thought about; what happens meanwhile is shown all the same."""

    def __init__(self, client: Client, answer: Answer, nursery: trio.Nursery) -> None:
        self._client = client
        self._answer = answer
        self._nursery = nursery
        self._open: dict[str | int, trio.CancelScope] = {}

    def begin(self, message: Incoming) -> None:
        self._nursery.start_soon(self._think, message)

    def withdraw(self, request_id: str | int) -> None:
        """It was answered elsewhere, or is asked no more."""
        scope = self._open.pop(request_id, None)
        if scope is not None:
            scope.cancel()

    async def _think(self, message: Incoming) -> None:
        assert message.id is not None
        scope = self._open[message.id] = trio.CancelScope()
        with scope:
            decision = await self._answer(message)
            if self._open.pop(message.id, None) is not None:
                await self._client.answer(message.id, decision)


async def _follow(
    client: Client, thread_id: str, turn_id: str, show: Callable[[Incoming], None], answers: _Answers, ending: Ending
) -> Ending:
    last_message = ""
    usage: dict[str, Any] | None = None
    async for message in client.incoming():
        params = message.params
        if params.get("threadId") != thread_id:
            continue
        if message.id is not None:
            answers.begin(message)
            continue
        show(message)
        match message.method:
            case "serverRequest/resolved":
                answers.withdraw(params["requestId"])
            case "item/completed" if params["item"]["type"] == "agentMessage":
                last_message = params["item"]["text"]
            case "thread/tokenUsage/updated":
                usage = params["tokenUsage"]
            case "turn/completed" if params["turn"]["id"] == turn_id:
                turn = params["turn"]
                return Ending(
                    status=turn["status"],
                    error=(turn.get("error") or {}).get("message"),
                    last_message=last_message,
                    usage=usage,
                )
            case _:
                pass
    return ending


async def _on_interrupt(
    client: Client, thread_id: str, turn_id: str, left: trio.Event, scope: trio.CancelScope
) -> None:
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        presses = 0
        async with trio.open_nursery() as nursery:
            async for _ in signals:
                presses += 1
                if presses > 1:
                    left.set()
                    scope.cancel()
                    return
                # Not awaited here: who presses again does so because nothing answers.
                nursery.start_soon(_interrupt, client, thread_id, turn_id)


async def _interrupt(client: Client, thread_id: str, turn_id: str) -> None:
    with contextlib.suppress(WireError):  # the turn ended meanwhile: that is shown anyway
        await client.request("turn/interrupt", {"threadId": thread_id, "turnId": turn_id})
