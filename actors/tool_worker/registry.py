"""The tools a thread has: what a model is offered and what is run are the same list."""

from __future__ import annotations

from collections.abc import Iterable

from actors.tool_worker.tool import Tool
from messages.model import ToolSpec


class Registry:
    """Tools by name, in the order they are offered."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = {tool.spec.name: tool for tool in tools}

    def specs(self) -> tuple[ToolSpec, ...]:
        """For a request."""
        return tuple(tool.spec for tool in self._tools.values())

    def find(self, name: str) -> Tool | None:
        return self._tools.get(name)
