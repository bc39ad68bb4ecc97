"""A script as a child of its session: it asks for leave, is run by the pool, and has its calls made by the session.

    session ──RunTool──▶ script ──ScriptRequest──▶ pool
       ▲ ▲                 │ ◀───────StartCall──────┘
       │ └──NestedWanted───┘       a real call: policy, approval, log, its own worker
       └────NestedSettled──▶ the promise

It is to its session what a tool worker is: it says what it is (`ToolPrepared`), waits for leave, and reports its end
once (`ToolFinished`). Cancelled, it ends at once and leaves the session to end its calls, which are the session's own
children; the pool has killed the process by then.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable
from typing import Any, Protocol, assert_never

import msgspec
import trio

from actors.kernel import Mailbox
from actors.rollout_writer.handle_store import HandleStore
from actors.sandbox_pool.book import CANCELLED
from actors.sandbox_pool.declarations import FINDERS, describe, search
from actors.sandbox_pool.driving import StartCall
from actors.sandbox_pool.ended import script_end
from actors.sandbox_pool.giving import Images, kept_value
from actors.sandbox_pool.limits import RETURN_KEPT_BYTES
from actors.sandbox_pool.report import render
from actors.sandbox_pool.running import CallHandler, EventHandler, Gate
from messages.client.item import DynamicToolCall, ImageContentItem, TextContentItem
from messages.items import InputImage, InputText
from messages.script import (
    Abandoned,
    CallError,
    CallResult,
    NestedAsks,
    NestedSettled,
    NestedUnwanted,
    NestedWanted,
    ScriptEvent,
    ScriptJob,
    ScriptOrder,
    ScriptOutcome,
    ScriptRequest,
    ScriptSaid,
    ScriptTold,
    ScriptTool,
)
from messages.tools import RunTool, ToolCall, ToolEvent, ToolFinished, ToolOutcome, ToolPrepared

NAMESPACE, TOOL = "callboard", "script"
"""What a script is called on the screen."""

EXEC_WAIT_MS = 30_000
"""How long `tools.exec` waits for its command: as long as exec_command can, and as a script's clock runs."""

LAST_WORDS_SECONDS = 2.0
"""For the session to say how a stopped call ended: twice what a process has to end. It always says so, or that it will
not; this is for a session that has crashed, whose children are being cancelled with us."""

_decode: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_FINDERS = frozenset(tool.name for tool in FINDERS)


class Runs(Protocol):
    """Whoever runs scripts, like `ScriptPool`."""

    async def run(self, request: ScriptRequest, call: CallHandler, *, on_event: EventHandler) -> ScriptOutcome:
        """To its end, and until every call it made has ended."""
        ...


async def run_script(
    call: ToolCall,
    job: ScriptJob,
    pool: Runs,
    orders: Mailbox[RunTool | ScriptOrder],
    report: Callable[[ToolEvent | ScriptSaid], None],
    handles: HandleStore | None = None,
) -> None:
    """Prepare, wait for leave, run, report. ``handles``: where what is too large to be passed on is kept."""
    item = shown(call, job)
    report(ToolPrepared(call_id=call.call_id, item=item, parallel_safe=False, side_effects=False))
    for _ in await orders.receive():
        break  # nothing but leave can come before there are calls
    calls = Calls(call, job, report)
    request = ScriptRequest(
        script_id=call.call_id,
        session=call.thread_id,
        source=call.arguments,
        tools=job.tools,
        limits=job.limits,
        context=job.context,
        log=job.log,
        return_kept_bytes=0 if handles is None else RETURN_KEPT_BYTES,
    )
    images = Images(job.log)

    def hear(event: ScriptEvent) -> None:
        images.take(event)
        report(ScriptTold(call_id=call.call_id, event=event))

    async with trio.open_nursery() as nursery:
        hearing = trio.CancelScope(shield=True)  # cancelled, the calls still wait for the session's last words
        nursery.start_soon(calls.hear, orders, hearing)
        try:
            outcome = await pool.run(request, calls.make, on_event=hear)
        finally:
            hearing.cancel()
    outcome = await kept_value(outcome, job.limits, handles)
    pictures, notes = await images.shown(handles, sees=job.sees)
    outcome = msgspec.structs.replace(outcome, notes=(*outcome.notes, *notes))
    text = render(outcome, dry=job.mode == "dry-run")
    report(
        ToolFinished(
            call_id=call.call_id,
            outcome=outcome_of(outcome),
            output=(InputText(text=text), *pictures) if pictures else text,
            item=finished(item, outcome, text, pictures),
        )
    )


def shown(call: ToolCall, job: ScriptJob) -> DynamicToolCall:
    """How clients see a script."""
    digest = hashlib.sha256(call.arguments.encode("utf-8", "replace")).hexdigest()
    arguments = {"source": call.arguments, "sourceHash": digest, "mode": job.mode}
    return DynamicToolCall(id=call.item_id, namespace=NAMESPACE, tool=TOOL, arguments=arguments, status="inProgress")


def finished(
    item: DynamicToolCall, outcome: ScriptOutcome, text: str, images: tuple[InputImage, ...] = ()
) -> DynamicToolCall:
    """The same, ended: its status is in its arguments, its report is its content, with the images behind it."""
    success = outcome.status == "returned"
    return msgspec.structs.replace(
        item,
        arguments={**item.arguments, "status": outcome.status},
        status="completed" if success else "failed",
        success=success,
        content_items=(TextContentItem(text=text), *(ImageContentItem(image_url=each.image_url) for each in images)),
        duration_ms=round(outcome.wall_seconds * 1000),
        callboard=script_end(outcome),
    )


def outcome_of(outcome: ScriptOutcome) -> ToolOutcome:
    """A script's end in the words of calls."""
    match outcome.status:
        case "returned":
            return "done"
        case "cancelled":
            return "cancelled"
        case _:
            return "failed"


class ArgumentsError(Exception):
    """The arguments are not what the tool takes; the text is for the script."""


class Calls:
    """The calls of one script, on their way to the session and back."""

    def __init__(self, call: ToolCall, job: ScriptJob, report: Callable[[ScriptSaid], None]) -> None:
        self._call_id = call.call_id
        self._tools = {tool.name: tool for tool in job.tools}
        self._report = report
        self._gates: dict[int, Gate] = {}
        self._settled: dict[int, CallResult] = {}
        self._wake: dict[int, trio.Event] = {}
        self._abandoned = False

    async def hear(self, orders: Mailbox[RunTool | ScriptOrder], scope: trio.CancelScope) -> None:
        """What the session says, until ``scope`` is cancelled."""
        with scope:
            while True:
                for order, _ in await orders.receive():
                    self._hear(order)

    def _hear(self, order: RunTool | ScriptOrder) -> None:
        match order:
            case NestedSettled(number=number, result=result):
                if number in self._wake:
                    self._settled[number] = result
                    self._wake[number].set()
            case NestedAsks(number=number, approval_id=approval_id):
                gate = self._gates.get(number)
                if gate is not None and approval_id is not None:
                    gate.approval_began(approval_id)
                elif gate is not None:
                    gate.approval_over()
            case Abandoned():
                self._abandoned = True
                for event in self._wake.values():
                    event.set()
            case RunTool():
                pass  # said once, and heard
            case _ as unreachable:
                assert_never(unreachable)

    async def make(self, call: StartCall, gate: Gate) -> CallResult:
        """Make one call; cancelled, it is stopped first."""
        if call.name in _FINDERS:
            await trio.lowlevel.checkpoint()
            return self._find(call)
        try:
            arguments, freeform = registry_arguments(self._tools[call.name], call.arguments)
        except ArgumentsError as error:
            return failed("invalid_arguments", str(error))
        number = call.number
        over = self._wake[number] = trio.Event()
        self._gates[number] = gate
        self._report(
            NestedWanted(
                call_id=self._call_id,
                number=number,
                tool=call.tool,
                arguments=arguments,
                freeform=freeform,
                spawned=self._tools[call.name].spawned,
                line=call.line,
                column=call.column,
            )
        )
        try:
            await over.wait()
        except trio.Cancelled:
            self._report(NestedUnwanted(call_id=self._call_id, number=number))
            with trio.move_on_after(LAST_WORDS_SECONDS, shield=True):
                if not self._abandoned:
                    await over.wait()
            if number not in self._settled:
                raise
        finally:
            del self._wake[number], self._gates[number]
        return self._settled.pop(number, CallResult(outcome="cancelled", error=CANCELLED))

    def _find(self, call: StartCall) -> CallResult:
        name = "query" if call.name == "search" else "name"
        try:
            words = _object(call.arguments, name).get(name)
        except ArgumentsError as error:
            return failed("invalid_arguments", str(error))
        if not isinstance(words, str):
            return failed("invalid_arguments", f"{call.name} takes {{ {name}: string }}")
        if call.name == "search":
            return done(search(tuple(tool for tool in self._tools.values() if not tool.spawned), words))
        tool = self._tools.get(words)
        if tool is None or tool.spawned:
            names = ", ".join(self._tools)
            return failed("tool_not_found", f"there is no tool {words[:100]}; these can be called: {names}")
        return done(describe(tool))


def done(value: object) -> CallResult:
    """A call that gave ``value``."""
    return CallResult(outcome="done", value=msgspec.json.encode(value).decode())


def failed(code: str, message: str) -> CallResult:
    """A call that failed before it was one."""
    return CallResult(outcome="failed", error=CallError(code=code, message=message))


def registry_arguments(tool: ScriptTool, arguments: str) -> tuple[str, bool]:
    """The arguments as the registry's tool takes them, and whether that is a bare text. Raises ArgumentsError."""
    match tool.form:
        case "json":
            return arguments, False
        case "text":
            assert tool.parameters is not None, "a text has a name"
            (name,) = tool.parameters["properties"]
            text = _object(arguments, name).get(name)
            if not isinstance(text, str):
                raise ArgumentsError(f"{tool.name} takes {{ {name}: string }}")
            return text, True
        case "command":
            return _command(_object(arguments, "command", "cwd", "timeoutMs", "justification")), False


def _command(fields: dict[str, Any]) -> str:
    command = fields.get("command")
    if isinstance(command, list) and command and all(isinstance(part, str) for part in command):
        line = shlex.join(command)
    elif isinstance(command, str):
        line = command
    else:
        raise ArgumentsError("command must be a text, or an array of texts with at least one")
    given: dict[str, Any] = {"cmd": line, "yield_time_ms": EXEC_WAIT_MS}
    for name, theirs in (("cwd", "workdir"), ("timeoutMs", "yield_time_ms"), ("justification", "justification")):
        if fields.get(name) is not None:
            given[theirs] = fields[name]
    return msgspec.json.encode(given).decode()


def _object(text: str, *known: str) -> dict[str, Any]:
    try:
        value = _decode.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
        raise ArgumentsError(f"the arguments are no JSON: {error}") from error
    if not isinstance(value, dict):
        raise ArgumentsError("the arguments must be one object")
    if known and (strange := [name for name in value if name not in known]):
        raise ArgumentsError(f"there is no argument {strange[0]!r}; known are: {', '.join(known)}")
    return value
