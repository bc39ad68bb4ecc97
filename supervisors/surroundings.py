"""What a turn finds in the world when it begins or ends: instructions for agents, and the user's own programs.

Plugs `project_docs` and `hooks` into the shapes that a session knows (`actors.session.children.Crew`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import trio

from actors.hooks.payload import about_call, common, tool_name
from actors.hooks.runner import Hooks
from actors.ports import Ports
from actors.ports.processes import SpawnError
from actors.session.children import Tell
from actors.session.effects import ContextGathered, GatherContext, RunHooks
from actors.session.project_docs import DocRules, Docs, read_docs
from actors.tool_worker.programs import ProgramTimeoutError, run_program
from messages.base import ThreadId
from messages.client.item import AgentMessage, TextInput, UserMessage
from messages.hooks import HookReported, Verdict
from messages.session import ThreadSettings, Turn

NOTIFY_SECONDS = 30.0
"""For the program that is told of a turn's end."""


def ended_turn(thread_id: ThreadId, turn: Turn, settings: ThreadSettings) -> str:
    """What the `notify` program is told, as one JSON argument (CORE §4.6)."""
    said = [item for item in turn.items if isinstance(item, AgentMessage)]
    asked = [item for item in turn.items if isinstance(item, UserMessage)]
    texts = ["\n".join(part.text for part in item.content if isinstance(part, TextInput)) for item in asked]
    told = {
        "type": "agent-turn-complete",
        "thread-id": thread_id,
        "turn-id": turn.id,
        "cwd": settings.cwd,
        "client": "callboard",
        "input-messages": texts,
        "last-assistant-message": said[-1].text if said else None,
    }
    return msgspec.json.encode(told).decode()


def _nobody(_: HookReported) -> None:
    """The thread's clients have been told that it is gone."""


class Surroundings:
    """For all sessions of a daemon."""

    def __init__(
        self, ports: Ports, rules: DocRules, hooks: Hooks, *, notify: tuple[str, ...], environment: Mapping[str, str]
    ) -> None:
        self._ports = ports
        self._rules = rules
        self._notify = notify
        self._environment = environment
        self.hooks = hooks

    @property
    def turn_ended(self) -> Callable[[ThreadId, Turn, ThreadSettings], Awaitable[None]] | None:
        """Whoever wants to be told of each turn's end."""
        return self._tell_of_turn if self._notify else None

    @property
    def session_ended(self) -> Callable[[ThreadId, ThreadSettings], Awaitable[None]] | None:
        """Whoever wants to be told when a thread is unloaded."""
        return self._tell_of_session if "SessionEnd" in self.hooks.events else None

    async def _tell_of_turn(self, thread_id: ThreadId, turn: Turn, settings: ThreadSettings, /) -> None:
        argv = (*self._notify, ended_turn(thread_id, turn, settings))
        with contextlib.suppress(SpawnError, ProgramTimeoutError):  # a broken bell is no reason to stop the play
            await run_program(
                self._ports.processes, argv, cwd=settings.cwd, environment=self._environment, seconds=NOTIFY_SECONDS
            )

    async def _tell_of_session(self, thread_id: ThreadId, settings: ThreadSettings, /) -> None:
        told = common("SessionEnd", thread_id=thread_id, turn_id=None, settings=settings)
        await self.hooks.run("SessionEnd", None, {**told, "reason": "other"}, turn_id=None, tell=_nobody)

    async def gather(self, thread_id: ThreadId, effect: GatherContext, tell: Tell, /) -> ContextGathered:
        """Instructions and what programs add, looked for side by side."""
        cwd = effect.settings.cwd
        docs = Docs()
        started, submitted = Verdict(), Verdict()

        async def look() -> None:
            nonlocal docs
            docs = await self._ports.threads.run(lambda: read_docs(self._ports.files, cwd, self._rules))

        async def start_hooks() -> None:
            nonlocal started
            told = self._told(thread_id, effect, "SessionStart", {"source": effect.source})
            started = await self.hooks.run("SessionStart", effect.source, told, turn_id=effect.turn_id, tell=tell)

        async def prompt_hooks() -> None:
            nonlocal submitted
            told = self._told(thread_id, effect, "UserPromptSubmit", {"prompt": effect.prompt})
            submitted = await self.hooks.run("UserPromptSubmit", None, told, turn_id=effect.turn_id, tell=tell)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            if effect.source is not None and "SessionStart" in self.hooks.events:
                nursery.start_soon(start_hooks)
            if "UserPromptSubmit" in self.hooks.events:
                nursery.start_soon(prompt_hooks)
        return ContextGathered(
            child=effect.child,
            docs=docs.text,
            before=started.context,
            after=submitted.context,
            blocked=submitted.blocked,
            warnings=docs.warnings,
        )

    async def run_hooks(self, thread_id: ThreadId, effect: RunHooks, tell: Tell, /) -> Verdict:
        """What the programs of an event say."""
        call = effect.call
        fields = effect.fields if call is None else {**effect.fields, **about_call(call)}
        told = self._told(thread_id, effect, effect.event, fields)
        name = effect.fields.get("trigger") or effect.fields.get("source") if call is None else tool_name(call)
        return await self.hooks.run(effect.event, name, told, turn_id=effect.turn_id, tell=tell)

    def _told(
        self, thread_id: ThreadId, effect: GatherContext | RunHooks, event: Any, fields: dict[str, Any]
    ) -> dict[str, Any]:
        told = common(event, thread_id=thread_id, turn_id=effect.turn_id, settings=effect.settings)
        return {**told, **msgspec.to_builtins(fields)}
