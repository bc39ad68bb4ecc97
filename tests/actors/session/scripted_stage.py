"""A session whose model writes scripts: run by the real pool and driver, with tools that do as their arguments say.

A daemon that dies is a log that is cut: `cut` opens a second stage on the first so many records of the first one's log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
import trio

from actors.rollout_writer.handle_store import SLICE_BYTES
from actors.rollout_writer.handles import HandleError
from actors.sandbox_pool.pool import DEFAULT_LIMITS, ScriptPool
from actors.sandbox_pool.worker import run_script
from actors.session.open_text import OpenText
from actors.session.state import Offer, ScriptOffer
from actors.tool_worker.keeping import keep
from actors.tool_worker.tool import Result as ToolResult
from messages.approval import CommandNeed
from messages.client.item import AgentMessage, DynamicToolCall, ThreadItem
from messages.items import HistoryItem, InputImage, InputText, MessageItem, OutputPart
from messages.log import ItemShown, Record, ScriptRecorded, ToolStarted
from messages.model import ItemFinished, StopReason, ToolSpec
from messages.script import CallEnded, ScriptChoice, ScriptEvent, ScriptLimits, ScriptMode
from messages.session import ItemCompleted, ReadThread, ResolveApproval, StartTurn, ThreadView, TurnAccepted
from messages.tools import ToolFinished, ToolPrepared
from tests.actors.sandbox_pool.stage import InProcessEngine, SeededEntropy, VirtualClock
from tests.actors.session.made import SETTINGS, began, call, completed, message, reasoning, text_began, words
from tests.actors.session.theatre import Bench, Scene, Theatre, Thread, open_theatre

_item: msgspec.json.Decoder[MessageItem] = msgspec.json.Decoder(MessageItem)
RUN = ToolSpec(name="run", description="Do as told.", parameters={"type": "object", "properties": {}})
LOOK = ToolSpec(name="read_file", description="Look.", parameters={"type": "object", "properties": {}})
READ = ToolSpec(name="read_handle", description="Read.", parameters={"type": "object", "properties": {}})
SEARCH = ToolSpec(name="web_search", description="", hosted="web_search")


def block(source: str) -> str:
    """A script as a model writes it."""
    return f"<tool-calls>\n{source}\n</tool-calls>\n"


def row(*ids: str) -> pytest.MarkDecorator:
    """This test is what these rows of the matrix promise."""
    return pytest.mark.parametrize("row", ids, ids=list(ids))


@dataclass
class Stage:
    """One life."""

    theatre: Theatre
    engine: InProcessEngine
    begun: list[str] = field(default_factory=list)
    """What calls really began, by their ``id``."""
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    running: int = 0
    most: int = 0
    requests: list[tuple[HistoryItem, ...]] = field(default_factory=list)
    """The history of each request to the model."""
    instructions: list[str] = field(default_factory=list)

    def says(self, *answers: str | tuple[Any, ...], stop: StopReason = "end") -> None:
        """What the model answers, one request after another: a text, or several items."""
        for answer in answers:
            self.theatre.scripts.append(self._answer(answer if isinstance(answer, tuple) else (answer,), stop))

    def _answer(self, items: tuple[Any, ...], stop: StopReason) -> Callable[[Scene], Awaitable[None]]:
        async def play(scene: Scene) -> None:
            self.requests.append(scene.request.history)
            self.instructions.append(scene.request.instructions)
            request_id = scene.request.request_id
            for slot, each in enumerate(items):
                if not isinstance(each, str):
                    await scene.give(each, slot)
                    continue
                growing = OpenText("text")
                scene.texts.open(slot, growing)
                await scene.report.send(began(request_id, slot, message(each)))
                await scene.report.send(text_began(request_id, slot, "text", slot))
                for at in range(0, len(each), 7):
                    growing.append(each[at : at + 7])
                scene.texts.close(slot)
                await scene.report.send(ItemFinished(request_id=request_id, slot=slot, item=message(each)))
            await scene.report.send(completed(request_id, stop))

        return play

    async def thread(self, **settings: Any) -> Thread:
        return await self.theatre.thread(**settings)

    async def turn(self, source: str, *, thread: Thread | None = None, choice: ScriptChoice | None = None) -> Result:
        """A turn whose model writes this script, and then is content."""
        self.says("Look:\n" + block(source) + "That is all.", "Well.")
        return await self.play(thread or await self.thread(), choice=choice)

    async def play(self, thread: Thread, *, choice: ScriptChoice | None = None) -> Result:
        """A turn, to its end."""
        await self.begin(thread, choice=choice)
        seen = await thread.until("TurnCompleted")
        return Result(self, thread, seen)

    async def begin(self, thread: Thread, *, choice: ScriptChoice | None = None) -> None:
        start = StartTurn(submission_id=f"s{len(thread.frames)}", input=words("go"), scripts=choice)
        await thread.ask(start, TurnAccepted)

    async def work(self, theatre: Theatre, bench: Bench) -> None:
        """The tool: ``{id, ms, fail, ask, safe, size, images}``; ``read_handle`` does what it really does."""
        asked: dict[str, Any] = msgspec.json.decode(bench.call.arguments or "{}")
        need = CommandNeed(argv=("make", asked["id"]), script=None, cwd="/w") if asked.get("ask") else None
        item = DynamicToolCall(id=bench.call.item_id, tool=bench.call.name, arguments=asked, status="inProgress")
        call_id = bench.call.call_id
        bench.report(
            ToolPrepared(
                call_id=call_id,
                item=item,
                parallel_safe=asked.get("safe", True),
                side_effects=True,
                approval=need,
                fault=asked.get("fault"),
            )
        )
        await bench.leave.receive()
        name = str(asked.get("id", call_id))
        self.begun.append(name)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await trio.sleep(asked.get("ms", 0) / 1000)
        finally:
            self.running -= 1
        failed = bool(asked.get("fail"))
        (self.failed if failed else self.done).append(name)
        said: str | tuple[OutputPart, ...] = "it did not work" if failed else f"did {name}"
        if asked.get("size"):
            said = (f"{name} " * asked["size"])[: asked["size"]]
        if asked.get("images"):
            said = (InputText(text=f"{name}:"), *(InputImage(image_url=url) for url in asked["images"]))
        result, kept = await keep(ToolResult(output=said), bench.workshop.handles)
        bench.report(
            ToolFinished(
                call_id=call_id,
                outcome="failed" if failed else "done",
                output=result.output,
                item=msgspec.structs.replace(item, status="failed" if failed else "completed"),
                kept=kept,
            )
        )

    async def read_handle(self, theatre: Theatre, bench: Bench) -> None:
        """As in the tool of that name."""
        arguments: dict[str, Any] = msgspec.json.decode(bench.call.arguments)
        call_id = bench.call.call_id
        bench.report(ToolPrepared(call_id=call_id, item=None, parallel_safe=True, side_effects=False))
        await bench.leave.receive()
        store = bench.workshop.handles
        assert store is not None
        try:
            start, end = arguments.get("from", 0), arguments.get("to")
            found = store.read_now(arguments["handle"], start, end, most=SLICE_BYTES, cut=False)
        except HandleError as error:
            bench.report(ToolFinished(call_id=call_id, outcome="failed", output=str(error)))
        else:
            bench.report(ToolFinished(call_id=call_id, outcome="done", output=found.data.decode()))

    def cut(self, thread: Thread, records: int) -> tuple[str, bytes, list[Record]]:
        """The log as a daemon that died after so many records has left it."""
        path = next(path for path in self.theatre.log.files if thread.id in path)
        lines = self.theatre.log.files[path].splitlines(keepends=True)
        return path, b"".join(lines[:records]), self.theatre.log.records[path][:records]


@dataclass
class Result:
    """A turn that has ended."""

    stage: Stage
    thread: Thread
    seen: list[Any]

    @property
    def shown(self) -> list[ThreadItem]:
        """The items as they completed, in order."""
        return [record.item for record in self.thread.records if isinstance(record, ItemShown)]

    @property
    def scripts(self) -> list[DynamicToolCall]:
        return [each for each in self.shown if isinstance(each, DynamicToolCall) and each.tool == "script"]

    @property
    def texts(self) -> list[str]:
        """What people saw the model say."""
        return [each.text for each in self.shown if isinstance(each, AgentMessage)]

    @property
    def told(self) -> list[str]:
        """What the model was told of its scripts."""
        return [text for text in self.users if text.startswith("<tool-calls-result")]

    @property
    def users(self) -> list[str]:
        """The user-role texts that the last request carried."""
        return user_texts(self.stage.requests[-1])

    @property
    def value(self) -> Any:
        """What the only script returned."""
        (text,) = self.told
        assert text.startswith('<tool-calls-result status="returned">'), text
        return msgspec.json.decode(text.splitlines()[1])

    @property
    def events(self) -> list[ScriptEvent]:
        """The log's record of scripts."""
        return [record.event for record in self.thread.records if isinstance(record, ScriptRecorded)]

    @property
    def outcomes(self) -> dict[int, str]:
        """By the number of the call."""
        return {each.number: each.result.outcome for each in self.events if isinstance(each, CallEnded)}

    @property
    def started(self) -> list[ToolStarted]:
        return [record for record in self.thread.records if isinstance(record, ToolStarted) and record.place]


def user_texts(history: tuple[HistoryItem, ...]) -> list[str]:
    """The texts of the user-role messages."""
    texts: list[str] = []
    for item in history:
        if item.kind == "message":
            read = _item.decode(item.raw)
            if read.role == "user":
                texts += [part.text for part in read.content if isinstance(part, InputText)]
    return texts


@asynccontextmanager
async def open_stage(
    *,
    mode: ScriptMode = "enabled",
    allowed: tuple[str, ...] | None = None,
    limits: ScriptLimits = DEFAULT_LIMITS,
    approval_seconds: float = 600.0,
    spawn: bool = False,
    log: tuple[str, bytes, list[Record]] | None = None,
    max_workers: int = 4,
    home: str = "/home",
) -> AsyncIterator[Stage]:
    """A life of the daemon; with ``log`` the next one, on what the former left. ``home``: a real folder, where scripts
    leave handles."""
    engine = InProcessEngine()
    pool = ScriptPool(engine, VirtualClock(), SeededEntropy(7), max_workers=max_workers)
    offer = Offer(
        tools=(RUN, LOOK, SEARCH) if home == "/home" else (RUN, LOOK, READ, SEARCH),
        scripts=ScriptOffer(
            choice=ScriptChoice(mode=mode, allowed_tools=allowed),
            by_provider={"quiet": ScriptChoice(mode="disabled")},
            limits=limits,
            approval_seconds=approval_seconds,
            spawn=spawn,
        ),
    )

    async def run(call: Any, job: Any, orders: Any, report: Any, handles: Any, /) -> None:
        await run_script(call, job, pool, orders, report, handles)

    async with open_theatre(offer=offer, run_script=run, ids_given=0 if log is None else 1000, home=home) as theatre:
        stage = Stage(theatre, engine)
        theatre.tools["run"] = theatre.tools["read_file"] = stage.work
        theatre.tools["read_handle"] = stage.read_handle
        if log is not None:
            path, data, records = log
            theatre.log.files[path] = data
            theatre.log.records[path] = list(records)
        yield stage


async def questions(thread: Thread) -> list[str]:
    """The ids of the open questions."""
    view: ThreadView = await thread.ask(ReadThread(), ThreadView)
    return [approval.id for approval in view.approvals]


async def answer(thread: Thread, approval_id: str, decision: Any = "accept") -> bool:
    return bool(await thread.ask(ResolveApproval(approval_id=approval_id, decision=decision, by="me"), bool))


__all__ = ["LOOK", "RUN", "SETTINGS", "ItemCompleted", "call", "reasoning"]
