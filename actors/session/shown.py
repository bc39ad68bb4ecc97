"""The items clients see: made from what a model began and finished, from partial texts, from how a call ended."""

from __future__ import annotations

from typing import assert_never

import msgspec

from actors.session import web_search
from actors.session.effects import PartialText
from actors.session.sieve import scan
from messages.base import ItemId
from messages.client.item import (
    AgentMessage,
    CommandExecution,
    ContextCompaction,
    DynamicToolCall,
    FileChange,
    ImageView,
    Plan,
    Reasoning,
    TextContentItem,
    ThreadItem,
    UserMessage,
    WebSearch,
)
from messages.items import MessageItem, OutputText, ReadableItem, ReasoningItem, Refusal
from messages.tools import ToolOutcome

_replace = msgspec.structs.replace


def stamped(item: ThreadItem, *, started_at_ms: int | None = None, completed_at_ms: int | None = None) -> ThreadItem:
    """The item with its times; a time that is None stays as the item has it."""
    return _replace(
        item,
        started_at_ms=item.started_at_ms if started_at_ms is None else started_at_ms,
        completed_at_ms=item.completed_at_ms if completed_at_ms is None else completed_at_ms,
    )


def begun(kind: str, item_id: ItemId, phase: str | None = None, name: str | None = None) -> ThreadItem | None:
    """What is shown when a model opens an item; None for calls (their worker says what to show) and for opaque blocks,
    but for a search of the provider's."""
    if kind == "message":
        return AgentMessage(id=item_id, text="", phase=phase)
    if kind == "reasoning":
        return Reasoning(id=item_id)
    if kind == "opaque" and name == web_search.TOOL:
        return web_search.begun(item_id)
    return None


def finished(item_id: ItemId, item: ReadableItem, *, scripts: bool = False) -> ThreadItem | None:
    """The whole item of a message or a reasoning that a model finished, without its ``scripts``."""
    if isinstance(item, MessageItem):
        text = "".join(
            (scan(part.text)[0] if scripts else part.text) if isinstance(part, OutputText) else part.refusal
            for part in item.content
            if isinstance(part, OutputText | Refusal)
        )
        return AgentMessage(id=item_id, text=text, phase=item.phase)
    if isinstance(item, ReasoningItem):
        return Reasoning(
            id=item_id,
            summary=tuple(part.text for part in item.summary),
            content=tuple(part.text for part in item.content or ()),
        )
    return None


def partial(item: ThreadItem, texts: tuple[PartialText, ...]) -> ThreadItem:
    """The item with the texts it had got so far; for items without text, itself."""
    if not texts:
        return item
    match item:
        case AgentMessage():
            return _replace(item, text="".join(each.text for each in texts if each.channel in ("text", "refusal")))
        case Reasoning():
            return _replace(
                item,
                summary=tuple(each.text for each in texts if each.channel == "summary"),
                content=tuple(each.text for each in texts if each.channel == "reasoning"),
            )
        case CommandExecution():
            output = "".join(each.text for each in texts if each.channel == "output")
            return _replace(item, aggregated_output=output) if output else item
        case UserMessage() | Plan() | FileChange() | DynamicToolCall() | ImageView() | WebSearch():
            return item
        case ContextCompaction():
            return item
        case _:
            assert_never(item)


def ended(item: ThreadItem, outcome: ToolOutcome) -> ThreadItem:
    """An item of a call whose worker could not say how it looks in the end."""
    if outcome == "done":
        return _replace(item, status="completed") if _has_status(item) else item
    match item:
        case CommandExecution() | FileChange():
            return _replace(item, status="declined" if outcome == "denied" else "failed")
        case DynamicToolCall():
            return _replace(item, status="failed", success=False)
        case UserMessage() | AgentMessage() | Reasoning() | Plan() | ImageView() | WebSearch() | ContextCompaction():
            return item
        case _:
            assert_never(item)


def refused(item: ThreadItem, why: str) -> ThreadItem:
    """An item that the policy did not let be, with the reason where such an item has room for words."""
    if isinstance(item, CommandExecution):
        return _replace(ended(item, "denied"), aggregated_output=why)
    if isinstance(item, DynamicToolCall):
        return _replace(ended(item, "denied"), content_items=(TextContentItem(text=why),))
    return ended(item, "denied")


def _has_status(item: ThreadItem) -> bool:
    return isinstance(item, CommandExecution | FileChange | DynamicToolCall)
