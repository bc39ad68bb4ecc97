"""A workshop on a simulated machine, and a call run in it as the session would."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import trio

from actors.kernel import Mailbox, System, open_mailbox
from actors.ports import Ports
from actors.session.open_text import OpenText
from actors.tool_worker.actor import run_call
from actors.tool_worker.tool import Job
from actors.tool_worker.tools import all_tools
from actors.tool_worker.truncation import TruncationPolicy
from actors.tool_worker.workshop import Workshop, open_workshop
from messages.base import CallId, ItemId, ThreadId, TurnId
from messages.client_call import ClientAnswer, ClientCall
from messages.session import ThreadSettings
from messages.tool_set import Abilities
from messages.tools import (
    ClientAnswered,
    ClientAsked,
    KeepResult,
    RunDenied,
    RunTool,
    TerminalEnded,
    ToolCall,
    ToolEvent,
    ToolFinished,
    ToolPrepared,
    WorkerMessage,
)
from tests.simulation import World

CWD = "/repo"
SHELL = "/bin/bash"


class Bench:
    """Everything a test asks about a call."""

    def __init__(self, workshop: Workshop, ended: list[TerminalEnded]) -> None:
        self.workshop = workshop
        self.ended = ended
        self.calls = 0
        self.outputs: dict[str, OpenText] = {}
        self.client: Callable[[ClientCall], ClientAnswer] | None = None
        """Who runs the calls that are a client's."""
        self.before_run: Callable[[], None] | None = None
        """Called when a call has been prepared, before it gets leave."""
        self.when_denied: WorkerMessage | None = None
        """What a worker is told whose run was denied something; None: why that run stands."""

    def call(self, name: str, arguments: Any, *, freeform: bool = False) -> ToolCall:
        self.calls += 1
        text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
        return ToolCall(
            thread_id=ThreadId("thread"),
            turn_id=TurnId("turn"),
            call_id=CallId(f"call_{self.calls}"),
            item_id=ItemId(f"item_{self.calls}"),
            name=name,
            arguments=text,
            freeform=freeform,
            idempotency_key=f"key_{self.calls}",
        )

    def inbox(self) -> Mailbox[WorkerMessage]:
        """Of one worker."""
        return open_mailbox("inbox", system=System(random=random.Random(1), strict=True), capacity=1)

    async def run(self, name: str, arguments: Any, *, freeform: bool = False) -> tuple[ToolPrepared, ToolFinished]:
        """Run one call to its end, leave given at once."""
        prepared, finished, _ = await self.events(self.call(name, arguments, freeform=freeform))
        return prepared, finished

    async def events(self, call: ToolCall) -> tuple[ToolPrepared, ToolFinished, list[ToolEvent]]:
        inbox = self.inbox()
        events: list[ToolEvent] = []
        output = self.outputs[call.call_id] = OpenText("output")

        def report(event: ToolEvent) -> None:
            events.append(event)
            if isinstance(event, ToolPrepared):
                if self.before_run is not None:
                    self.before_run()
                inbox.address.send_nowait(RunTool(call_id=call.call_id))
            elif isinstance(event, RunDenied):
                stands = KeepResult(call_id=call.call_id, why="that stands")
                inbox.address.send_nowait(self.when_denied or stands)
            elif isinstance(event, ClientAsked) and self.client is not None:
                inbox.address.send_nowait(ClientAnswered(answer=self.client(event.call)))

        await run_call(Job(call=call, output=output, report=report, workshop=self.workshop, inbox=inbox))
        assert isinstance(events[0], ToolPrepared)
        assert isinstance(events[-1], ToolFinished)
        return events[0], events[-1], events


def on_bench(world: World, test: Callable[[Bench], Awaitable[None]], *, token_limit: int = 10_000) -> None:
    """Run ``test`` with a workshop in `CWD`, in virtual time."""

    async def main(ports: Ports) -> None:
        ended: list[TerminalEnded] = []
        async with open_workshop(
            thread_id=ThreadId("thread"),
            ports=ports,
            registry=all_tools(),
            settings=ThreadSettings(provider="p", model="m", cwd=CWD),
            environment={"PATH": "/bin", "SHELL": SHELL},
            truncation=TruncationPolicy(limit=token_limit),
            abilities=lambda provider, model: Abilities(),
            report=ended.append,
        ) as workshop:
            with trio.fail_after(3600):
                await test(Bench(workshop, ended))
        assert not world.programs.running()

    world.outside.files.make_dirs(CWD)
    world.run(main)
