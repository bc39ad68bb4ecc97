"""What a tool is: one file with a name, its arguments as a struct, and how a call of it is prepared and run.

Its JSON schema comes from the struct, so what a model is told and what is accepted cannot differ. `prepare` looks and
judges but changes nothing; only the `run` it returns does. Unknown arguments are refused with the decoder's words,
because a model that invented an argument expected something of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import msgspec

from actors.kernel import Mailbox
from actors.session.open_text import OpenText
from actors.tool_worker.truncation import WHOLE, TruncationPolicy
from messages.approval import Need
from messages.client.item import DynamicToolCall, PlanStep, TextContentItem, ThreadItem
from messages.client_call import ClientAnswer, ClientCall
from messages.items import OutputPart
from messages.model import ToolNeed, ToolSpec
from messages.patch import FileRevision
from messages.tools import ClientAnswered, ClientAsked, ToolCall, ToolEvent, ToolOutcome, WorkerMessage

if TYPE_CHECKING:
    from actors.tool_worker.workshop import Workshop


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every tool's arguments."""


A = TypeVar("A", bound=Arguments)


class ToolError(Exception):
    """The call cannot be done; the text is for the model."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a call ended. ``output`` is for the model and already cut to its policy."""

    output: str | tuple[OutputPart, ...]
    outcome: ToolOutcome = "done"
    item: ThreadItem | None = None
    terminal: int | None = None
    revisions: tuple[FileRevision, ...] = ()
    plan: tuple[PlanStep, ...] | None = None
    plan_explanation: str | None = None
    denied: str | None = None
    """It ended, and probably because its sandbox denied it something: the words that say so."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What a call would do, and the doing of it. ``run`` may raise ToolError."""

    item: ThreadItem | None
    run: Callable[[], Awaitable[Result]]
    parallel_safe: bool
    side_effects: bool
    approval: Need | None = None
    run_unconfined: Callable[[str], Awaitable[Result]] | None = None
    """The same outside the sandbox, where that makes a difference; it takes a rule's or a person's word. The argument
    is what its output is to begin with."""
    fault: str | None = None
    """The call can only fail: why."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One call at its worker: what was asked, where its output is shown live, and whom to tell."""

    call: ToolCall
    output: OpenText
    report: Callable[[ToolEvent], None]
    workshop: Workshop
    inbox: Mailbox[WorkerMessage]
    """What the session says to this worker: leave to run, then a client's answer."""

    @property
    def truncation(self) -> TruncationPolicy:
        """How much of the output whoever made the call is given: a model as much as its history may hold, a script all
        of it, as far as it can be kept."""
        return WHOLE if self.call.by == "script" else self.workshop.truncation

    async def ask(self, call: ClientCall) -> ClientAnswer:
        """Put the call to a client, and wait for what it answers. Only while the call runs."""
        self.report(ClientAsked(call_id=self.call.call_id, call=call))
        while True:
            for message, _ in await self.inbox.receive():
                if isinstance(message, ClientAnswered):
                    return message.answer


class Tool(Protocol):
    """What the registry holds."""

    @property
    def spec(self) -> ToolSpec:
        """As offered to a model."""
        ...

    async def prepare(self, job: Job) -> Prepared:
        """Judge a call. Raises ToolError when it makes no sense."""
        ...


class FunctionTool(Generic[A]):
    """Base of tools whose arguments are a struct."""

    name: ClassVar[str]
    description: ClassVar[str]
    needs: ClassVar[tuple[ToolNeed, ...]] = ()
    """What it cannot do without: a thread whose model or settings lack it does not have this tool."""

    def __init__(self, arguments: type[A]) -> None:
        self._decoder: msgspec.json.Decoder[A] = msgspec.json.Decoder(arguments)
        self._spec = ToolSpec(
            name=self.name, description=self.description, parameters=json_schema(arguments), needs=self.needs
        )

    @property
    def spec(self) -> ToolSpec:
        return self._spec

    def parse(self, call: ToolCall) -> A:
        """The call's arguments. Raises ToolError with the decoder's words."""
        try:
            return self._decoder.decode(call.arguments.strip() or "{}")
        except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
            reason = "they are nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise ToolError(f"failed to parse function arguments: {reason}") from error


def json_schema(arguments: type[Arguments]) -> dict[str, Any]:
    """A flat JSON schema without references or titles, as every wire takes it."""
    schema = msgspec.json.schema(arguments)
    definitions: dict[str, Any] = schema.get("$defs", {})

    def inline(node: Any) -> Any:
        if isinstance(node, list):
            return [inline(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return inline(definitions[node["$ref"].rpartition("/")[2]])
        return {key: inline(value) for key, value in node.items() if key not in ("title", "default", "$defs")}

    flat: dict[str, Any] = inline(schema)
    return {"type": "object", "properties": {}, **flat, "additionalProperties": False}


def generic_item(call: ToolCall) -> DynamicToolCall:
    """How a call without an item type of its own is shown while it runs."""
    try:
        arguments = msgspec.json.decode(call.arguments)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        arguments = call.arguments
    return DynamicToolCall(id=call.item_id, tool=call.name, arguments=arguments, status="inProgress")


def finished_item(
    item: DynamicToolCall, *, success: bool, text: str | None = None, duration_ms: int
) -> DynamicToolCall:
    """The same, done. ``text`` is shown: what went wrong."""
    return msgspec.structs.replace(
        item,
        status="completed" if success else "failed",
        success=success,
        content_items=None if text is None else (TextContentItem(text=text),),
        duration_ms=duration_ms,
    )
