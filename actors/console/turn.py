"""Run one turn as a client and see it to its end; shared by `exec` and `demo`."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from typing import Any

import msgspec
import trio

from actors.console.client import Client, Incoming, WireError

SIGINT_EXIT = 130
"""128 + SIGINT, what shells expect."""

Answer = Callable[[Incoming], dict[str, Any]]


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How the turn ended, with the text of the last message."""

    status: str
    error: str | None = None
    last_message: str = ""
    usage: dict[str, Any] | None = None
    left: bool = False
    """The user left before the end; the daemon goes on."""


def decline(_: Incoming) -> dict[str, Any]:
    """The explicit default of a run without a person: nothing that needs a yes is done."""
    return {"decision": "decline"}


async def run_turn(
    client: Client, thread_id: str, prompt: str, show: Callable[[Incoming], None], answer: Answer = decline
) -> Ending:
    """Start a turn and show it until it is completed. Ctrl-C once interrupts the turn, twice leaves."""
    started = await client.request("turn/start", {"threadId": thread_id, "input": [{"type": "text", "text": prompt}]})
    turn_id = started["turn"]["id"]
    ending = Ending(status="disconnected", error="The connection to the daemon ended before the turn did.")
    async with trio.open_nursery() as nursery:
        left = trio.Event()
        nursery.start_soon(_on_interrupt, client, thread_id, turn_id, left, nursery.cancel_scope)
        ending = await _follow(client, thread_id, turn_id, show, answer, ending)
        nursery.cancel_scope.cancel()
    if left.is_set():
        return msgspec.structs.replace(ending, status="left", left=True)
    return ending


async def _follow(
    client: Client, thread_id: str, turn_id: str, show: Callable[[Incoming], None], answer: Answer, ending: Ending
) -> Ending:
    last_message = ""
    usage: dict[str, Any] | None = None
    async for message in client.incoming():
        params = message.params
        if params.get("threadId") != thread_id:
            continue
        if message.id is not None:
            await client.answer(message.id, answer(message))
            continue
        show(message)
        match message.method:
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
