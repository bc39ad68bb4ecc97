"""What goes into the session's core and what comes out of it: the whole vocabulary of `handle`, on one screen.

Into it: commands of clients (`Asked`), events of the turn's children (`messages.model.StreamEvent`,
`messages.tools.ToolEvent`), the end of a child (`ChildDown`), and what the shell itself noticed (`TurnDue`,
`StorageLost`). The time and the texts so far come as an argument, `Instant`: the core has no clock.

Out of it: effects, in an order that means something. The shell performs them first in, first out, and an `Append`
holds back everything behind it until the log has it: *append, flush, then show*. Only `Cancel`, `AbandonScript` and
`KillTerminal` overtake, because an interrupt must not wait for a disk.

Rejected: giving the core the reply or the texts as callbacks that do things (it would no longer be a function of its
arguments), and one effect per log record (an item is two records in one write).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Literal, NewType, Protocol

import msgspec

from messages.base import CallId, ItemId, Message, TurnId
from messages.client_call import ClientAnswer, ClientCall
from messages.failure import Failure
from messages.hooks import HookEvent, Verdict
from messages.log import Record
from messages.model import SampleRequest, StreamEvent, TextChannel
from messages.rules import RulesAmended
from messages.script import ScriptJob, ScriptOrder, ScriptSaid
from messages.session import SessionCommand, SessionEvent, ThreadSettings, ThreadView, TurnUndone
from messages.tools import ToolCall, ToolEvent

ChildId = NewType("ChildId", str)
"""A model request's id, or the item id of a tool call: unique for ever."""

Token = Hashable
"""The right to reply once; the core keeps it and gives it back in a `Reply`."""


class PartialText(msgspec.Struct, frozen=True, kw_only=True):
    """One text of an item that is still open, as far as it has come."""

    channel: TextChannel
    index: int
    text: str


class Texts(Protocol):
    """The open texts at this instant."""

    def partial(self, item_id: ItemId) -> tuple[PartialText, ...]:
        """What an open item holds so far, in the order its texts opened; empty for one without text."""
        ...


class Instant(msgspec.Struct, frozen=True, kw_only=True):
    """When a message is handled, and what its moment knows."""

    now: float
    """Unix time in seconds."""
    date: str
    """The local date, for the model: ``2026-11-21``."""
    texts: Texts

    @property
    def now_ms(self) -> int:
        return int(self.now * 1000)


# --- in -----------------------------------------------------------------------------------------------------------


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A client's command. ``token`` is None when nobody waits for the reply."""

    command: SessionCommand
    token: Token | None
    fresh_id: str
    """An id nobody else has, should the command begin something."""


class ChildDown(Message, frozen=True, kw_only=True):
    """Nothing of a child runs any more. Comes after everything the child said."""

    child: ChildId
    crash: str | None = None
    """The exception's class when it crashed."""


class ContextGathered(Message, frozen=True, kw_only=True):
    """What a model is to know before the user's words, as it was found in the world when the turn began."""

    child: ChildId
    docs: str | None = None
    """The instructions of user and project (`project_docs`); None: there are none."""
    before: tuple[str, ...] = ()
    """What hooks add ahead of the prompt."""
    after: tuple[str, ...] = ()
    """What hooks add behind it."""
    blocked: str | None = None
    """Why a hook does not want the prompt to be sent."""
    warnings: tuple[str, ...] = ()


class HooksAnswered(Message, frozen=True, kw_only=True):
    """The programs of one event have all ended."""

    child: ChildId
    verdict: Verdict
    approval_id: str | None = None
    """Of the question a PermissionRequest was about."""


class UndoEnded(Message, frozen=True, kw_only=True):
    """An undo came to its end: what was taken back, or why nothing was."""

    child: ChildId
    done: TurnUndone | None = None
    why: str = ""


class ApprovalDue(Message, frozen=True, kw_only=True):
    """Nobody has answered the question in time."""

    approval_id: str


class TurnDue(Message, frozen=True, kw_only=True):
    """The turn's deadline has come."""

    turn_id: TurnId


class StorageLost(msgspec.Struct, frozen=True, kw_only=True):
    """The log could not be written. Starts that waited behind it are reported as `ChildDown`."""

    failure: Failure


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """A command that crashed this session twice will not be handled."""

    kind: str
    reason: str


Answered = ContextGathered | HooksAnswered | UndoEnded | RulesAmended
"""The last word of somebody who was asked something."""

Input = (
    Asked
    | StreamEvent
    | ToolEvent
    | ScriptSaid
    | Answered
    | ChildDown
    | TurnDue
    | ApprovalDue
    | StorageLost
    | Quarantined
)


# --- out ----------------------------------------------------------------------------------------------------------


class Append(msgspec.Struct, frozen=True, kw_only=True):
    """Log these records in one write; with ``barrier`` they must survive power loss before anything behind goes on."""

    records: tuple[Record, ...]
    barrier: bool = False


class Show(msgspec.Struct, frozen=True, kw_only=True):
    """Put an event into the feed."""

    event: SessionEvent


class AttachText(msgspec.Struct, frozen=True, kw_only=True):
    """Take over a text that a model_stream has begun; show it as part of ``item_id``, unless that is None."""

    turn_id: TurnId
    item_id: ItemId | None
    request_id: str
    text_slot: int
    limit: int | None = None
    """Show it in larger pieces, up to so many characters; None: all of it, as it comes."""


class AttachOutput(msgspec.Struct, frozen=True, kw_only=True):
    """Show a call's live output as part of its item."""

    turn_id: TurnId
    item_id: ItemId
    child: ChildId


class GatherContext(msgspec.Struct, frozen=True, kw_only=True):
    """Start a child that looks what the model is to know before the turn's first sampling."""

    child: ChildId
    turn_id: TurnId
    settings: ThreadSettings
    prompt: str
    """The user's words, for hooks."""
    source: Literal["startup", "resume"] | None
    """How this life of the session began, when its first turn begins; None in later turns."""


class RunHooks(msgspec.Struct, frozen=True, kw_only=True):
    """Start a child that runs the programs of one event; its last word is `HooksAnswered`."""

    child: ChildId
    event: HookEvent
    turn_id: TurnId
    settings: ThreadSettings
    fields: dict[str, Any]
    """What they are told besides what all are told."""
    call: ToolCall | None = None
    approval_id: str | None = None


class Undo(msgspec.Struct, frozen=True, kw_only=True):
    """Start a child that takes back what a turn changed in the worktree; its last word is `UndoEnded`."""

    child: ChildId
    turn_id: TurnId | None


class StartSampling(msgspec.Struct, frozen=True, kw_only=True):
    """Start a model_stream."""

    request: SampleRequest

    @property
    def child(self) -> ChildId:
        return ChildId(self.request.request_id)


class StartTool(msgspec.Struct, frozen=True, kw_only=True):
    """Start a tool worker: it prepares and waits."""

    call: ToolCall
    script: ScriptJob | None = None
    """The call is a script."""

    @property
    def child(self) -> ChildId:
        return ChildId(self.call.item_id)


class UseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """From here on the turn's calls run under these: people have granted more."""

    settings: ThreadSettings


class RunTool(msgspec.Struct, frozen=True, kw_only=True):
    """Let a prepared worker run."""

    child: ChildId
    call_id: CallId
    unconfined: bool = False


class KeepResult(msgspec.Struct, frozen=True, kw_only=True):
    """Tell a worker whose run was denied something that this run stands, and why."""

    child: ChildId
    call_id: CallId
    why: str


class AmendRules(msgspec.Struct, frozen=True, kw_only=True):
    """Keep a rule that allows commands which begin with these words; `messages.rules.RulesAmended` follows."""

    prefix: tuple[str, ...]


class TellScript(msgspec.Struct, frozen=True, kw_only=True):
    """Tell a running script; one that has ended need not know."""

    child: ChildId
    order: ScriptOrder


class AbandonScript(msgspec.Struct, frozen=True, kw_only=True):
    """Tell a running script that nothing will be answered any more. Overtakes."""

    child: ChildId


class SetExpiry(msgspec.Struct, frozen=True, kw_only=True):
    """Send `ApprovalDue` at this unix time; None: not any more."""

    approval_id: str
    at: float | None


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """End a child; its `ChildDown` follows. Overtakes."""

    child: ChildId


class PassTerminal(msgspec.Struct, frozen=True, kw_only=True):
    """A running command belongs to the thread from here on."""

    terminal: int


class KillTerminal(msgspec.Struct, frozen=True, kw_only=True):
    """End a running command; its `TerminalEnded` follows. Overtakes."""

    terminal: int


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Answer a command."""

    token: Token
    value: object


class GiveSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """Answer a `Subscribe`: the thread as it stands, and a cursor that goes on from there."""

    token: Token
    view: ThreadView
    after_seq: int | None
    epoch: str | None


class GiveView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer a `ReadThread`, partial texts filled in."""

    token: Token
    view: ThreadView


class AskClient(msgspec.Struct, frozen=True, kw_only=True):
    """Put a call to the client that runs it, until `EndClientCall`."""

    call: ClientCall


class EndClientCall(msgspec.Struct, frozen=True, kw_only=True):
    """The call has been answered, or nobody waits for its answer any more."""

    client_call_id: str


class HandAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Give a worker what the client made of its call."""

    child: ChildId
    answer: ClientAnswer


class SetDeadline(msgspec.Struct, frozen=True, kw_only=True):
    """Send `TurnDue` after so many seconds; the turn's end or a new deadline replaces it."""

    turn_id: TurnId
    seconds: float | None


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """The session is over: nothing follows."""


Effect = (
    Append
    | Show
    | AttachText
    | AttachOutput
    | GatherContext
    | RunHooks
    | Undo
    | StartSampling
    | StartTool
    | UseSettings
    | RunTool
    | KeepResult
    | AmendRules
    | TellScript
    | AbandonScript
    | SetExpiry
    | Cancel
    | PassTerminal
    | KillTerminal
    | Reply
    | GiveSubscription
    | GiveView
    | AskClient
    | EndClientCall
    | HandAnswer
    | SetDeadline
    | Stop
)
