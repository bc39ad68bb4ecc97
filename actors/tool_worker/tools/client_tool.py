"""A tool that a client offered with its thread: a call of it is put to the client, and its answer is the output.

What the client does may have any effect, so a call is on disk before the client hears of it, calls go one after
another, and nothing is ever asked again by recovery. There is no deadline: a client's tool may ask a person.
"""

from __future__ import annotations

from typing import Any, assert_never

import msgspec

from actors.tool_worker.tool import Job, Prepared, Result, ToolError
from actors.tool_worker.toolset import spec_of
from messages.client.item import DynamicToolCall, ImageContentItem, TextContentItem
from messages.client_call import ClientAnswer, ClientCall
from messages.items import InputImage, InputText, OutputPart
from messages.model import ToolSpec
from messages.tool_set import NAMESPACE_MARK, DynamicTool
from messages.tools import ToolOutcome

_any: msgspec.json.Decoder[Any] = msgspec.json.Decoder()

SILENT = "The client reported success and said nothing."
SILENT_FAILURE = "The client reported failure and did not say why."


class ClientTool:
    """See the module."""

    def __init__(self, offered: DynamicTool) -> None:
        self._offered = offered

    @property
    def spec(self) -> ToolSpec:
        return spec_of(self._offered)

    async def prepare(self, job: Job) -> Prepared:
        """Raises ToolError for arguments that are not a JSON object: no client could read them."""
        offered, call = self._offered, job.call
        try:
            arguments = _any.decode(call.arguments.strip() or "{}")
        except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
            raise ToolError(f"failed to parse function arguments: {error}") from error
        if not isinstance(arguments, dict):
            raise ToolError("failed to parse function arguments: they are not a JSON object")
        item = DynamicToolCall(
            id=call.item_id,
            tool=offered.name,
            namespace=offered.namespace,
            arguments=arguments,
            status="inProgress",
        )
        question = ClientCall(
            id=f"{call.item_id}-call",
            turn_id=call.turn_id,
            item_id=call.item_id,
            tool=offered.name,
            namespace=offered.namespace,
            arguments=arguments,
        )

        async def run() -> Result:
            clock = job.workshop.ports.clock
            began = clock.monotonic()
            answer = await job.ask(question)
            duration_ms = round((clock.monotonic() - began) * 1000)
            return result_of(item, answer, duration_ms)

        return Prepared(item=item, run=run, parallel_safe=False, side_effects=True)


def find(offered: tuple[DynamicTool, ...], name: str) -> ClientTool | None:
    """The tool that a model means by a name, with its namespace in either of the forms that models use."""
    wanted = name.replace("/", NAMESPACE_MARK, 1)
    return next((ClientTool(each) for each in offered if each.full_name == wanted), None)


def result_of(item: DynamicToolCall, answer: ClientAnswer, duration_ms: int) -> Result:
    """What the model is told, and the finished item."""
    shown = answer.content if answer.problem is None else (TextContentItem(text=answer.problem),)
    finished = msgspec.structs.replace(
        item,
        status="completed" if answer.success else "failed",
        success=answer.success,
        content_items=shown,
        duration_ms=duration_ms,
    )
    outcome: ToolOutcome = "done" if answer.success else "failed"
    if not shown:
        return Result(output=SILENT if answer.success else SILENT_FAILURE, outcome=outcome, item=finished)
    if all(isinstance(part, TextContentItem) for part in shown):
        text = "\n".join(part.text for part in shown if isinstance(part, TextContentItem))
        return Result(output=text, outcome=outcome, item=finished)
    return Result(output=tuple(_part(part) for part in shown), outcome=outcome, item=finished)


def _part(part: TextContentItem | ImageContentItem) -> OutputPart:
    match part:
        case TextContentItem():
            return InputText(text=part.text)
        case ImageContentItem():
            return InputImage(image_url=part.image_url)
        case _:
            assert_never(part)
