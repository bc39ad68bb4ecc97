"""Tools that a client offers with its thread, and the requests by which they are called: item/tool/call."""

from __future__ import annotations

from typing import Any

from messages.client.item import ImageContentItem, TextContentItem, Wire


class FunctionToolParam(Wire, frozen=True, kw_only=True, tag="function"):
    """One tool. ``input_schema``: JSON schema of its arguments; ``defer_loading``: not in every request."""

    name: str
    description: str
    input_schema: Any
    defer_loading: bool = False


class NamespaceParam(Wire, frozen=True, kw_only=True, tag="namespace"):
    """A group of tools."""

    name: str
    description: str
    tools: tuple[FunctionToolParam, ...]


DynamicToolParam = FunctionToolParam | NamespaceParam


class ToolCallParams(Wire, frozen=True, kw_only=True):
    """item/tool/call"""

    thread_id: str
    turn_id: str
    call_id: str
    tool: str
    arguments: Any
    namespace: str | None = None


class AudioContentItem(Wire, frozen=True, kw_only=True, tag="inputAudio"):
    """Taken, and told to the model in words: no wire of ours carries sound."""

    audio_url: str


class ToolCallAnswer(Wire, frozen=True, kw_only=True):
    """A client's answer."""

    success: bool
    content_items: tuple[TextContentItem | ImageContentItem | AudioContentItem, ...]
