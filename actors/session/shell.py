"""The session's shell: takes messages to the core and performs its effects in order.

    mailbox ──▶ handle(state, message) ──▶ outbox ──▶ feed, log, children, replies
       ▲                                                      │
       └──────────── events, ChildDown, Appended ◀────────────┘

Nothing here waits: the log's answer, a child's end and a person's word all come as messages. A child's `Down` takes the
kernel's control lane and would overtake what the child said last; so it is put in line behind that, as `ChildDown`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial as partial_of
from typing import Any, assert_never

import msgspec

from actors.kernel import Address, Context, PoisonError, Reply, ServiceAddress, message_key
from actors.kernel.signals import Down, Shutdown, Unanswered
from actors.ports import Ports
from actors.rollout_writer.checkpoints import CheckpointKind, TextCheckpoints
from actors.session.children import Inlet
from actors.session.core import handle
from actors.session.effects import (
    AbandonScript,
    AmendRules,
    Append,
    ApprovalDue,
    AskClient,
    Asked,
    AttachOutput,
    AttachText,
    Cancel,
    ChildDown,
    ContextGathered,
    Effect,
    EndClientCall,
    GatherContext,
    GiveSubscription,
    GiveView,
    HandAnswer,
    HooksAnswered,
    Input,
    Instant,
    KeepResult,
    KillTerminal,
    PassTerminal,
    Quarantined,
    RunHooks,
    RunTool,
    SetDeadline,
    SetExpiry,
    Show,
    StartSampling,
    StartTool,
    Stop,
    StorageLost,
    TellScript,
    TurnDue,
    Undo,
    UndoEnded,
    UseSettings,
)
from actors.session.effects import Reply as Answer
from actors.session.feed import Feed
from actors.session.open_text import OpenText
from actors.session.outbox import Outbox, Write
from actors.session.reasoning import InPieces
from actors.session.shown import partial
from actors.session.state import SessionState
from actors.session.troupe import Troupe, so_far
from messages.base import ItemId, TurnId
from messages.client.item import ThreadItem
from messages.failure import Failure
from messages.hooks import HookReported
from messages.log import Append as LogAppend
from messages.log import Appended, AppendFailed, LogRequest
from messages.model import (
    ItemBegan,
    ItemFinished,
    SampleCompleted,
    SampleFailed,
    SampleRetrying,
    StreamEvent,
    TextBegan,
    TextChannel,
)
from messages.rules import AmendRules as AmendRulesRequest
from messages.rules import RulesAmended
from messages.script import Abandoned, NestedUnwanted, NestedWanted, ScriptJob, ScriptSaid, ScriptTold
from messages.session import (
    CloseThread,
    ItemCompleted,
    Refused,
    SessionCommand,
    StartTurn,
    SteerTurn,
    ThreadView,
    Turn,
    TurnCompleted,
)
from messages.tools import (
    ClientAnswered,
    ClientAsked,
    RunDenied,
    TerminalEnded,
    TerminalWritten,
    ToolEvent,
    ToolFinished,
    ToolPrepared,
)
from messages.tools import KeepResult as Stands
from messages.tools import RunTool as Leave

BACKLOG_RECORDS = 4096
"""Records that a log refused and that are kept to be tried again: many failed turns' worth. Beyond it no turn is begun
before the log takes them."""

DATE_KEPT_SECONDS = 10.0
"""The local date is looked up again after this long: time zones and days change rarely, messages come often."""

KINDS: dict[TextChannel, CheckpointKind] = {
    "text": "message",
    "refusal": "message",
    "summary": "reasoning",
    "reasoning": "reasoning",
    "arguments": "message",
    "output": "command",
    "script": "message",
}
"""What a text belongs to. Arguments are never shown; a script is kept with the text it stands in."""

Noticed = ChildDown | ContextGathered | HooksAnswered | UndoEnded | TurnDue | RulesAmended | ApprovalDue
SessionMessage = SessionCommand | StreamEvent | ToolEvent | ScriptSaid | Noticed | Appended | AppendFailed
Signal = Down | Shutdown | Unanswered


class RecordsRefusedError(Exception):
    """The log cannot hold what this session wants to write, now or ever: a defect of ours.

    Crashes the session, whose next life is what the log says.
    """


class Shell:
    """Of one life of a session."""

    __slots__ = (
        "_address",
        "_checkpoints",
        "_ctx",
        "_date",
        "_date_until",
        "_feed",
        "_in_pieces",
        "_inlet",
        "_log",
        "_path",
        "_ports",
        "_troupe",
        "on_step",
        "outbox",
        "state",
        "stopped",
    )

    def __init__(
        self,
        *,
        ctx: Context,
        ports: Ports,
        log: ServiceAddress[LogRequest],
        address: Address[Any],
        inlet: Inlet,
        feed: Feed,
        path: str | None,
        state: SessionState,
        outbox: Outbox,
        troupe: Troupe,
        checkpoints: TextCheckpoints,
    ) -> None:
        self.state = state
        self.outbox = outbox
        self.stopped = False
        self.on_step: Callable[[], None] | None = None
        """Called after each step, by whoever waits for the turn to end."""
        self._ctx = ctx
        self._ports = ports
        self._log = log
        self._address = address
        self._inlet = inlet
        self._feed = feed
        self._path = path
        self._troupe = troupe
        self._in_pieces: dict[ItemId, list[InPieces]] = {}
        """The reasoning that is being shown."""
        self._checkpoints = checkpoints
        self._date = ""
        self._date_until = 0.0

    # --- taking in --------------------------------------------------------------------------------------------------

    def take(self, message: SessionMessage | Signal, reply: Reply | None) -> None:
        """One message out of the mailbox. Raises what a defect raises; that is the end of this life."""
        match message:
            case (
                ItemBegan()
                | TextBegan()
                | ItemFinished()
                | SampleCompleted()
                | SampleRetrying()
                | SampleFailed()
                | ToolPrepared()
                | RunDenied()
                | ToolFinished()
                | ClientAsked()
                | TerminalWritten()
                | TerminalEnded()
                | HookReported()
                | ContextGathered()
                | HooksAnswered()
                | UndoEnded()
                | ScriptTold()
                | NestedWanted()
                | NestedUnwanted()
                | ApprovalDue()
                | TurnDue()
            ):
                self.hear(message)
            case ChildDown():
                self.hear(message)
                self._troupe.forget(message.child)
            case Appended():
                self.outbox.written()
            case AppendFailed():
                if message.failure.kind == "internal":
                    raise RecordsRefusedError(message.failure.message)
                self._storage_lost(message.failure)
            case RulesAmended():
                self.hear(message)
            case Unanswered(request=AmendRulesRequest() as request):
                what = message.detail or message.reason
                self.hear(RulesAmended(prefix=request.prefix, path="", error=f"the rules did not answer ({what})"))
            case Unanswered():
                what = message.detail or message.reason
                self._storage_lost(Failure(kind="storage", message=f"The log did not answer ({what})."))
            case Down():
                self._troupe.gone(message)
            case Shutdown():
                self.hear(Asked(command=CloseThread(suspend=True), token=None, fresh_id=""))
            case _:
                self._command(message, reply)

    def hear(self, message: Input) -> None:
        """Let the core decide, and line up what it wants done; `pump` does it."""
        state, effects = handle(self.state, message, self.instant())
        self.state = state
        self.put(effects)
        if self.on_step is not None:
            self.on_step()

    def put(self, effects: tuple[Effect, ...]) -> None:
        """Line up effects. Only what overtakes is done at once."""
        if self.outbox.behind and any(isinstance(effect, Stop) for effect in effects):
            # The last chance of what the log refused: by now there may be room.
            self.outbox.put(Append(records=(), barrier=True))
        for effect in effects:
            match effect:
                case Cancel():
                    if not self._troupe.cancel(effect.child) and self.outbox.withdraw(effect.child):
                        self._inlet.put(ChildDown(child=effect.child))
                case AbandonScript():
                    self._troupe.tell(effect.child, Abandoned())
                case KillTerminal():
                    self._troupe.kill_terminal(effect.terminal)
                case AttachText():
                    self._troupe.take_text(effect)
                    if effect.item_id is not None:
                        self.outbox.put(effect)
                case AttachOutput():
                    self._troupe.take_output(effect)
                    self.outbox.put(effect)
                case _:
                    self.outbox.put(effect)

    def instant(self) -> Instant:
        """Now, as the core sees it."""
        now = self._ports.clock.now()
        if not self._date or not 0 <= self._date_until - now <= DATE_KEPT_SECONDS:
            self._date = datetime.fromtimestamp(now).astimezone().date().isoformat()
            self._date_until = now + DATE_KEPT_SECONDS
        return Instant(now=now, date=self._date, texts=self._troupe)

    def _command(self, command: SessionCommand, reply: Reply | None) -> None:
        key = command.submission_id if isinstance(command, StartTurn | SteerTurn) else message_key(command)
        if not self._ctx.poison.begin(key):
            kind = type(command).__name__
            self.hear(Quarantined(kind=kind, reason=f"{kind} {key} crashed this thread's session before."))
            if reply is not None:
                reply.fail(PoisonError(self._ctx.name, key))
            return
        if isinstance(command, StartTurn) and self.outbox.behind > BACKLOG_RECORDS:
            self._refuse(reply)
        else:
            self.hear(Asked(command=command, token=reply, fresh_id=self._ports.entropy.uuid7()))
            self.pump()  # what a command leads to counts as its handling
        self._ctx.poison.end()

    def _refuse(self, reply: Reply | None) -> None:
        if reply is not None:
            text = "The log of this thread cannot be written; make room on the disk and resume the thread."
            reply.answer(Refused(reason="storage", message=text))

    # --- the log ----------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Perform effects until one has to wait for the log. Once per batch of messages, so that the writes of a batch
        are one."""
        outbox = self.outbox
        while (todo := outbox.next()) is not None:
            if not isinstance(todo, Write):
                self._perform(todo)
            elif self._path is None:
                outbox.written()
            else:
                self._send(todo)

    def _send(self, write: Write) -> None:
        assert self._path is not None
        request = LogAppend(
            thread_id=self.state.thread_id,
            path=self._path,
            first_ordinal=write.first_ordinal,
            at=self._ports.clock.now(),
            records=write.records,
            barrier=write.barrier,
        )
        if not self._log.request_nowait(request, reply_to=self._address):
            self._log.on_room(lambda: self._send_again(write))

    def _send_again(self, write: Write) -> None:
        if self._address.alive and self.outbox.write is write:
            self._send(write)

    def _storage_lost(self, failure: Failure) -> None:
        first = self.outbox.behind == 0
        waited = self.outbox.failed()
        turn = self.state.turn
        told = first or (turn is not None and turn.closing is None)
        for effect in waited:
            if isinstance(effect, GatherContext | RunHooks | Undo | StartSampling | StartTool):
                self._inlet.put(ChildDown(child=effect.child))
            elif not isinstance(effect, RunTool):
                self._perform(effect)
        if told:
            self.hear(StorageLost(failure=failure))

    # --- effects ----------------------------------------------------------------------------------------------------

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Show(event=event):
                if self._in_pieces and isinstance(event, ItemCompleted):
                    for thought in self._in_pieces.pop(ItemId(event.item.id), ()):
                        thought.flush()
                self._feed.put(event, ordinal=self.outbox.ordinal)
                if isinstance(event, ItemCompleted):
                    self._troupe.item_over(ItemId(event.item.id))
                    self._checkpoints.unregister(self.state.thread_id, ItemId(event.item.id))
                elif isinstance(event, TurnCompleted):
                    self._turn_over(event.turn.id)
            case AttachText() | AttachOutput():
                text = self._troupe.text_for(effect)
                if text is not None and effect.item_id is not None:
                    if isinstance(effect, AttachText) and effect.limit is not None:
                        text = self._shown_in_pieces(effect.item_id, text, effect.limit)
                    self._feed.attach(effect.turn_id, effect.item_id, text)
                    if isinstance(effect, AttachText):
                        self._troupe.follow(effect, partial_of(self._show_writing, effect.turn_id, effect.item_id))
                    if self._path is not None:
                        kind = KINDS[text.channel]
                        self._checkpoints.register(self.state.thread_id, effect.turn_id, effect.item_id, kind, text)
            case GatherContext():
                self._troupe.gather(effect)
            case RunHooks():
                self._troupe.run_hooks(effect)
            case Undo():
                self._troupe.undo(effect.child, effect.turn_id, self.state.settings)
            case StartSampling():
                self._troupe.sample(effect.request)
            case StartTool(script=ScriptJob() as job):
                self._troupe.script(effect.call, job)
            case StartTool():
                turn = self.state.turn
                self._troupe.prepare(effect.call, self.state.settings if turn is None else turn.settings)
            case UseSettings():
                self._troupe.use(effect.settings)
            case RunTool():
                self._troupe.tell(effect.child, Leave(call_id=effect.call_id, unconfined=effect.unconfined))
            case KeepResult():
                self._troupe.tell(effect.child, Stands(call_id=effect.call_id, why=effect.why))
            case TellScript():
                self._troupe.tell(effect.child, effect.order)
            case SetExpiry():
                self._troupe.set_expiry(effect.approval_id, effect.at)
            case AskClient():
                self._feed.ask_client(effect.call)
            case EndClientCall():
                self._feed.end_client_call(effect.client_call_id)
            case HandAnswer():
                self._troupe.tell(effect.child, ClientAnswered(answer=effect.answer))
            case AmendRules():
                self._troupe.amend_rules(effect.prefix)
            case PassTerminal():
                self._troupe.pass_terminal(effect.terminal)
            case Answer():
                self._answer(effect.token, effect.value)
            case GiveSubscription():
                view = self._filled(effect.view)
                self._answer(
                    effect.token, self._feed.subscription(view, after_seq=effect.after_seq, epoch=effect.epoch)
                )
            case GiveView():
                self._answer(effect.token, self._filled(effect.view))
            case SetDeadline():
                self._troupe.set_deadline(effect.turn_id, effect.seconds)
            case Stop():
                self.stopped = True
            case Append() | Cancel() | AbandonScript() | KillTerminal():
                raise AssertionError(f"{type(effect).__name__} is not performed in line")
            case _:
                assert_never(effect)

    def _turn_over(self, turn_id: TurnId) -> None:
        turn = next((each for each in reversed(self.state.turns) if each.id == turn_id), None)
        if turn is not None:
            self._troupe.turn_over(turn, self.state.settings)

    def _show_writing(self, turn_id: TurnId, item_id: ItemId, script: OpenText) -> None:
        """A script is being written in a message; one that was cut off meanwhile says no more."""
        if item_id in self._feed.open_items:
            self._feed.attach(turn_id, item_id, script)

    def _shown_in_pieces(self, item_id: ItemId, text: OpenText, limit: int) -> OpenText:
        """What is shown of a text in its place; what was shown before it in its item has ended."""
        texts = self._in_pieces.setdefault(item_id, [])
        for earlier in texts:
            earlier.flush()
        texts.append(InPieces(text, limit))
        return texts[-1].text

    def _answer(self, token: object, value: object) -> None:
        assert isinstance(token, Reply)
        token.answer(value)

    def _filled(self, view: ThreadView) -> ThreadView:
        """The view with the texts of its open items as far as they have been shown or could be."""
        return msgspec.structs.replace(view, turns=tuple(self._filled_turn(turn) for turn in view.turns))

    def _filled_turn(self, turn: Turn) -> Turn:
        """Only what the feed has: its cursor goes on from there."""
        if not any(item.completed_at_ms is None for item in turn.items):
            return turn
        return msgspec.structs.replace(turn, items=tuple(map(self._filled_item, turn.items)))

    def _filled_item(self, item: ThreadItem) -> ThreadItem:
        texts = self._feed.partial_texts(ItemId(item.id))
        return partial(item, tuple(map(so_far, texts)))
