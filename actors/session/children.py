"""What a session needs of its children: who samples, who runs calls, and the bench they share.

The session knows these shapes and nothing of how they are filled (`crew` fills them); tests fill them with a few lines.
A child is one task of the session's own (`kernel.Children`): its crash is contained and reported, cancelling it ends
everything it began before it is gone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import msgspec
import trio

from actors.kernel import Address, Context, Mailbox
from actors.rollout_writer.handle_store import HandleStore
from actors.session.effects import ContextGathered, GatherContext, RunHooks
from actors.session.open_text import OpenText, TextTable
from actors.session.state import Offer
from messages.base import Message, ThreadId, TurnId
from messages.hooks import HookReported, Verdict
from messages.model import SampleRequest, StreamEvent
from messages.rules import RulesAmended
from messages.script import ScriptJob, ScriptOrder, ScriptSaid
from messages.session import ThreadSettings, Turn, TurnUndone
from messages.tools import RunTool, TerminalEnded, ToolCall, ToolEvent, WorkerMessage

SESSION_END_SECONDS = 5.0
"""A thread that is unloaded waits no longer for programs that want to hear of it."""

MAILBOX_CAPACITY = 64
"""Data messages of one session. A response's structure is a handful; a model that is faster than its session waits."""


class Terminals(Protocol):
    """The running commands of one thread."""

    def pass_to_thread(self, id_: int, /) -> None:
        """The output that names it is in the log: from now on it is the thread's."""
        ...

    def kill(self, id_: int, /) -> None:
        """Begin to end it; `TerminalEnded` follows."""
        ...


class UndoError(Exception):
    """What a turn changed cannot be taken back, and nothing was; the text says why."""


class Workshop(Protocol):
    """What all calls of one thread share. ``settings`` is set before a call is started."""

    settings: ThreadSettings
    handles: HandleStore | None
    """Where large values are kept; None: the thread is not on disk. Set once, when the workshop has been opened."""

    @property
    def terminals(self) -> Terminals: ...

    def turn_over(self, turn_id: TurnId, /) -> None:
        """Nothing of the turn is left."""
        ...

    async def undo(self, turn_id: TurnId | None, /) -> TurnUndone:
        """Take back what a turn, or the last one, changed in the worktree. Raises UndoError."""
        ...


class Sampler(Protocol):
    """A model_stream: reports `StreamEvent`s; its last word is `SampleCompleted` or `SampleFailed`."""

    def __call__(
        self,
        ctx: Context,
        request: SampleRequest,
        texts: TextTable,
        report: Address[StreamEvent],
        /,
        *,
        task_status: trio.TaskStatus[None],
    ) -> Awaitable[None]: ...


class Worker(Protocol):
    """A tool worker: reports `ToolPrepared`, waits for leave, runs, reports `ToolFinished` once and returns."""

    def __call__(
        self,
        call: ToolCall,
        workshop: Any,
        output: OpenText,
        leave: Mailbox[WorkerMessage],
        report: Callable[[ToolEvent], None],
        /,
    ) -> Awaitable[None]: ...


class ScriptRunner(Protocol):
    """A script's task: reports `ToolPrepared`, waits for leave, runs, reports `ToolFinished` once and returns; asks the
    session for its calls meanwhile."""

    def __call__(
        self,
        call: ToolCall,
        job: ScriptJob,
        orders: Mailbox[RunTool | ScriptOrder],
        report: Callable[[ToolEvent | ScriptSaid], None],
        handles: HandleStore | None,
        /,
    ) -> Awaitable[None]: ...


class OpenWorkshop(Protocol):
    """Leaving the workshop ends every command that still runs and returns when none is left."""

    def __call__(
        self, thread_id: ThreadId, settings: ThreadSettings, report: Callable[[TerminalEnded], None], /
    ) -> AbstractAsyncContextManager[Workshop]: ...


Tell = Callable[[HookReported], None]


async def nothing_around(_: ThreadId, effect: GatherContext, __: Tell) -> ContextGathered:
    """Nothing is said to agents."""
    await trio.lowlevel.checkpoint()
    return ContextGathered(child=effect.child)


async def no_hooks(_: ThreadId, __: RunHooks, ___: Tell) -> Verdict:
    """Nobody has anything to say."""
    await trio.lowlevel.checkpoint()
    return Verdict()


def keep_no_rules(prefix: tuple[str, ...], reply_to: Address[Any]) -> None:
    """There is nobody who keeps rules, and that is said."""
    reply_to.send_nowait(RulesAmended(prefix=prefix, path="", error="nobody keeps rules here"))


def nothing() -> None:
    """Nobody prepares for scripts."""


class Crew(msgspec.Struct, frozen=True, kw_only=True):
    """Everybody a session can set to work, and what it offers a model."""

    offer: Offer
    sample: Sampler
    work: Worker
    open_workshop: OpenWorkshop
    gather: Callable[[ThreadId, GatherContext, Tell], Awaitable[ContextGathered]] = nothing_around
    """What the model is to know when a turn begins: instructions, and what the user's programs add."""
    turn_ended: Callable[[ThreadId, Turn, ThreadSettings], Awaitable[None]] | None = None
    """Somebody to be told of each turn's end; nobody waits for it."""
    session_ended: Callable[[ThreadId, ThreadSettings], Awaitable[None]] | None = None
    """Somebody to be told when a thread is unloaded; it gets `SESSION_END_SECONDS`."""
    run_hooks: Callable[[ThreadId, RunHooks, Tell], Awaitable[Verdict]] = no_hooks
    """What the user's programs say to an event."""
    amend_rules: Callable[[tuple[str, ...], Address[Any]], None] = keep_no_rules
    """Allow commands that begin with these words; a `RulesAmended` goes to the address."""
    run_script: ScriptRunner | None = None
    """None: the offer has no scripts."""
    expect_script: Callable[[], None] = nothing
    """Called when a model has begun to write one."""


class Inlet:
    """The way into the session's mailbox for those who cannot wait: in order, and nothing is lost.

    What the mailbox has no room for is kept here. That is bounded by what the children have left to say: a few events
    for each call of one response.
    """

    __slots__ = ("_address", "_expecting", "_kept")

    def __init__(self, address: Address[Any]) -> None:
        self._address = address
        self._kept: list[Message] = []
        self._expecting = False

    def put(self, message: Message) -> None:
        """Send, now or as soon as there is room. Never raises, never waits."""
        self._kept.append(message)
        self._push()

    def _push(self) -> None:
        kept = self._kept
        while kept:
            if not self._address.send_nowait(kept[0]):
                if not self._expecting:
                    self._expecting = True
                    self._address.on_room(self._has_room)
                return
            del kept[0]

    def _has_room(self) -> None:
        self._expecting = False
        self._push()
