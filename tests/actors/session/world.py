"""A world around the core: clients, models, workers and terminals that do whatever they may, whenever they like.

Each `moves()` is what could happen next; a test picks one. Children behave as the shell promises: what they say comes
before their end, a cancelled one ends sooner or later, and a terminal that was named ends exactly once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from actors.session.core import handle
from actors.session.effects import (
    AskClient,
    Cancel,
    ChildDown,
    ChildId,
    ContextGathered,
    Effect,
    EndClientCall,
    GatherContext,
    HandAnswer,
    HooksAnswered,
    Input,
    KeepResult,
    KillTerminal,
    RunHooks,
    RunTool,
    StartSampling,
    StartTool,
    StorageLost,
    TurnDue,
)
from actors.session.project_docs import OPENING
from actors.session.state import SessionState
from messages.approval import ApprovalDecision, CommandNeed, Need, Option, Question, QuestionNeed
from messages.base import CallId, TurnId
from messages.client.item import ThreadItem
from messages.client_call import ClientAnswer, ClientCall
from messages.failure import Failure
from messages.hooks import HookEvent, Verdict
from messages.items import HistoryItem
from messages.log import ToolStarted
from messages.model import ItemFinished, SampleFailed, SampleRetrying, StopReason, TextChannel
from messages.session import (
    AnswerClientCall,
    ApprovalRequested,
    CancelToolCall,
    CleanTerminals,
    CloseThread,
    CompactThread,
    InterruptTurn,
    ListTerminals,
    ReadThread,
    ResolveApproval,
    RunUserCommand,
    SessionCommand,
    SetThreadName,
    SettingsPatch,
    StartTurn,
    SteerTurn,
    Subscribe,
    TerminateTerminal,
    TurnBudget,
    UpdateSettings,
)
from messages.tools import (
    ClientAsked,
    RunDenied,
    TerminalEnded,
    TerminalWritten,
    ToolCall,
    ToolFinished,
    ToolOutcome,
    ToolPrepared,
)
from tests.actors.session.laws import Laws
from tests.actors.session.made import (
    asked,
    began,
    call,
    command_item,
    completed,
    instant,
    message,
    new_state,
    reasoning,
    text_began,
    words,
)

replace = msgspec.structs.replace

BROKEN = Failure(kind="stream_disconnected", message="The stream broke off.", retryable=True)
TOO_LONG = Failure(kind="context_window_exceeded", message="The conversation does not fit.")
FULL = Failure(kind="storage", message="The disk is full.")


WINDOW = 1000
"""Tokens; few responses come near it."""


Move = tuple[str, Callable[[], object]]


class Model:
    """One model request."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.next_slot = 0
        self.open: dict[int, HistoryItem] = {}
        self.said_end = False
        self.cancelled = False


class Worker:
    """One tool call."""

    def __init__(self, made: ToolCall) -> None:
        self.call = made
        self.prepared = False
        self.item: ThreadItem | None = None
        self.may_run = False
        self.need: Need | None = None
        self.denied = False
        self.finished = False
        self.cancelled = False
        self.asked = False


class World:
    def __init__(self, state: SessionState | None = None, *, hooks: frozenset[HookEvent] = frozenset()) -> None:
        fresh = new_state()
        offer = replace(fresh.offer, gathers=True, context_window=WINDOW, hook_events=hooks)
        self.state = state or replace(fresh, offer=offer)
        self.laws = Laws()
        self.models: dict[ChildId, Model] = {}
        self.scouts: dict[ChildId, GatherContext] = {}
        self.hooks: dict[ChildId, RunHooks] = {}
        self.workers: dict[ChildId, Worker] = {}
        self.terminals: dict[int, ToolCall] = {}
        self.killed: set[int] = set()
        self.questions: list[str] = []
        self.client_calls: set[str] = set()
        self.tokens: list[str] = []
        self.now = 1.0
        self.count = 0
        self.closing = False

    # --- the core ---

    def hear(self, event: Input) -> None:
        self.now += 0.25
        self.state, effects = handle(self.state, event, instant(self.now))
        self.laws.check(effects, self.state)
        for effect in effects:
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case GatherContext():
                self.scouts[effect.child] = effect
            case RunHooks():
                self.hooks[effect.child] = effect
            case StartSampling():
                self.models[effect.child] = Model(effect.request.request_id)
            case StartTool():
                self.workers[effect.child] = Worker(effect.call)
            case RunTool() | KeepResult():
                worker = self.workers.get(effect.child)
                if worker is not None:
                    worker.may_run = True
            case Cancel():
                if effect.child in self.models:
                    self.models[effect.child].cancelled = True
                if effect.child in self.workers:
                    self.workers[effect.child].cancelled = True
            case AskClient():
                assert effect.call.id not in self.client_calls
                self.client_calls.add(effect.call.id)
            case EndClientCall():
                self.client_calls.remove(effect.client_call_id)
            case HandAnswer():
                assert effect.child in self.workers, "an answer finds somebody who waits for it"
            case KillTerminal():
                self.killed.add(effect.terminal)
            case _:
                event = getattr(effect, "event", None)
                if isinstance(event, ApprovalRequested):
                    self.questions.append(event.approval.id)

    def number(self) -> int:
        self.count += 1
        return self.count

    def ask(self, command: SessionCommand) -> None:
        token = f"token-{self.number()}"
        self.tokens.append(token)
        self.hear(asked(command, token, fresh_id=f"turn-{self.number()}"))

    # --- what may happen ---

    def moves(self, *, clients: bool = True, children: bool = True, junk: bool = False) -> list[Move]:
        """What could happen next; at least what clients could do, when nothing else can."""
        moves: list[Move] = []
        if children:
            moves += self._child_moves()
        if junk:
            moves += self._junk_moves()
        if clients or not moves:
            moves += self._client_moves()
        return moves

    def _child_moves(self) -> list[Move]:
        moves: list[Move] = []
        for child in sorted(self.scouts):
            moves.append((f"{child} finds nothing", partial(self.found, child, None)))
            moves.append((f"{child} finds instructions", partial(self.found, child, f"{OPENING}/w {self.count % 2}")))
            moves.append((f"{child} down", partial(self.down, child, "OSError")))
            if "UserPromptSubmit" in self.state.offer.hook_events:
                moves.append((f"{child} objects", partial(self.objected, child)))
        for child, run in list(self.hooks.items()):
            moves += self._hook_moves(child, run)
        for child, model in list(self.models.items()):
            moves += self._model_moves(child, model)
        for child, worker in list(self.workers.items()):
            moves += self._worker_moves(child, worker)
        for terminal in list(self.terminals):
            moves.append((f"terminal {terminal} ends", partial(self.end_terminal, terminal)))
        return moves + self._people_moves()

    def _people_moves(self) -> list[Move]:
        moves: list[Move] = []
        decisions: tuple[ApprovalDecision, ...] = ("accept", "accept", "acceptForSession", "decline", "cancel")
        for question in self.questions[-3:]:
            for decision in decisions:
                answer = ResolveApproval(approval_id=question, decision=decision, by="me")
                moves.append((f"{decision} {question}", partial(self.ask, answer)))
        for id_ in (*sorted(self.client_calls), "nobody's"):
            answered = AnswerClientCall(client_call_id=id_, answer=ClientAnswer(success=True), by="me")
            moves.append((f"a client answers {id_}", partial(self.ask, answered)))
        return moves

    def _client_moves(self) -> list[Move]:
        turn = self.state.turn
        here = turn.id if turn is not None else TurnId("turn-none")
        live_calls = (*turn.calls, *turn.asides) if turn is not None else ()
        moves: list[Move] = [
            ("start", lambda: self.ask(self._start())),
            ("repeat", lambda: self.ask(StartTurn(submission_id="s1", input=words("again")))),
            ("tight", lambda: self.ask(msgspec.structs.replace(self._start(), budget=TurnBudget(tool_calls=1)))),
            ("steer", lambda: self.ask(self._steer(here))),
            ("command", lambda: self.ask(RunUserCommand(submission_id=f"s{self.number()}", command="make"))),
            ("compact", lambda: self.ask(CompactThread(submission_id=f"s{self.number()}"))),
            ("read", lambda: self.ask(ReadThread())),
            ("subscribe", lambda: self.ask(Subscribe())),
            ("name", lambda: self.ask(SetThreadName(name="n"))),
            ("model", lambda: self.ask(UpdateSettings(settings=SettingsPatch(model=f"m{self.number()}")))),
            ("untrusted", lambda: self.ask(UpdateSettings(settings=SettingsPatch(approval_policy="untrusted")))),
            ("clean", lambda: self.ask(CleanTerminals())),
            ("list", lambda: self.ask(ListTerminals())),
            ("due", lambda: self.hear(TurnDue(turn_id=TurnId("turn-other")))),
        ]
        if turn is not None:
            moves.append(("interrupt", lambda: self.ask(InterruptTurn(turn_id=here))))
            moves.append(("storage", lambda: self.hear(StorageLost(failure=FULL))))
        moves += [
            (f"cancel {each.call_id}", partial(self.ask, CancelToolCall(call_id=each.call_id))) for each in live_calls
        ]
        moves += [
            (f"terminate {terminal}", partial(self.ask, TerminateTerminal(terminal=terminal)))
            for terminal in self.terminals
        ]
        return moves

    def _start(self) -> StartTurn:
        number = self.number()
        return StartTurn(submission_id=f"s{number}", input=words(f"input {number}"))

    def _steer(self, turn_id: TurnId) -> SteerTurn:
        number = self.number()
        return SteerTurn(submission_id=f"s{number}", input=words(f"steer {number}"), expected_turn_id=turn_id)

    def _model_moves(self, child: ChildId, model: Model) -> list[Move]:
        crash = None if model.cancelled or model.said_end else "ValueError"
        moves: list[Move] = [(f"{child} down", lambda: self.down(child, crash))]
        if model.said_end:
            return moves
        for name, make in (
            ("message", lambda: message(f"text {self.number()}")),
            ("reasoning", reasoning),
            ("call", lambda: call(f"c{self.number()}")),
            ("freeform", lambda: call(f"c{self.number()}", freeform=True)),
        ):
            moves.append((f"{child} begins {name}", partial(self.begin_one, model, make)))
            moves += [(f"{child} says {name}", partial(self.say, model, make))] * 3
        moves += [(f"{child} ends slot {slot}", partial(self.end, model, slot)) for slot in model.open]
        rare: tuple[StopReason, ...] = ("pause", "length", "refused", "filtered")
        stops: tuple[StopReason, ...] = ("end", "tool_use", "tool_use", "tool_use", rare[self.count % 4])
        moves += [(f"{child} stops {stop}", partial(self.complete, model, stop)) for stop in stops]
        moves.append((f"{child} fills the window", partial(self.complete, model, "tool_use", tokens=WINDOW)))
        moves.append((f"{child} retries", lambda: self.retry(model)))
        moves.append((f"{child} fails", lambda: self.fail(model)))
        moves.append((f"{child} does not fit", lambda: self.fail(model, TOO_LONG)))
        return moves

    def found(self, child: ChildId, docs: str | None) -> None:
        self.hear(ContextGathered(child=child, docs=docs, warnings=() if docs else ("none",)))
        self.down(child, None)

    def objected(self, child: ChildId) -> None:
        if self.state.turn is not None and self.state.turn.closing is None:
            self.laws.unwanted.append(self.scouts[child].prompt)
        self.hear(ContextGathered(child=child, blocked="no"))
        self.down(child, None)

    def _hook_moves(self, child: ChildId, run: RunHooks) -> list[Move]:
        verdicts: list[tuple[str, Verdict]] = [
            ("says nothing", Verdict()),
            ("says nothing", Verdict()),
            ("adds", Verdict(context=(f"context of {child}",))),
            ("objects", Verdict(blocked="no", run_id="r", decision="deny")),
            ("allows", Verdict(decision="allow")),
        ]
        moves: list[Move] = [
            (f"{run.event} {child} {name}", partial(self.answer_hooks, child, verdict)) for name, verdict in verdicts
        ]
        return [*moves, (f"{run.event} {child} down", partial(self.down, child, "OSError"))]

    def answer_hooks(self, child: ChildId, verdict: Verdict) -> None:
        run = self.hooks[child]
        objects = run.event == "UserPromptSubmit" and verdict.blocked is not None
        turn = self.state.turn
        if objects and turn is not None and turn.closing is None:
            self.laws.unwanted.append(run.fields["prompt"])
        self.hear(HooksAnswered(child=child, verdict=verdict, approval_id=run.approval_id))
        self.down(child, None)

    def begin(self, model: Model, item: HistoryItem) -> int:
        slot, model.next_slot = model.next_slot, model.next_slot + 1
        model.open[slot] = item
        self.hear(began(model.request_id, slot, item))
        channel: TextChannel = (
            "summary" if item.kind == "reasoning" else "text" if item.kind == "message" else "arguments"
        )
        self.hear(text_began(model.request_id, slot, channel, slot))
        return slot

    def begin_one(self, model: Model, make: Callable[[], HistoryItem]) -> None:
        self.begin(model, make())

    def say(self, model: Model, make: Callable[[], HistoryItem]) -> None:
        self.end(model, self.begin(model, make()))

    def end(self, model: Model, slot: int) -> None:
        self.hear(ItemFinished(request_id=model.request_id, slot=slot, item=model.open.pop(slot)))

    def complete(self, model: Model, stop: StopReason, tokens: int = 3) -> None:
        model.said_end = True
        self.hear(completed(model.request_id, stop, tokens=tokens))

    def retry(self, model: Model) -> None:
        model.open.clear()
        self.hear(SampleRetrying(request_id=model.request_id, attempt=1, attempts=6, delay_seconds=0.2, failure=BROKEN))

    def fail(self, model: Model, failure: Failure = BROKEN) -> None:
        model.said_end = True
        self.hear(SampleFailed(request_id=model.request_id, failure=failure))

    def _worker_moves(self, child: ChildId, worker: Worker) -> list[Move]:
        crash = None if worker.cancelled or worker.finished else "KeyError"
        moves: list[Move] = [(f"{child} down", lambda: self.down(child, crash))]
        if worker.finished:
            return moves
        if not worker.prepared:
            for name, item, safe, asks in (
                ("a command", True, True, False),
                ("a question", True, True, True),
                ("a writer", True, False, False),
                ("nothing to see", False, False, False),
            ):
                moves.append(
                    (
                        f"{child} prepares {name}",
                        partial(self.prepare, worker, item=item, safe=safe, asks=asks),
                    )
                )
            moves.append((f"{child} refuses its arguments", lambda: self.finish(worker, "failed")))
        if worker.may_run:
            moves.append((f"{child} is done", lambda: self.finish(worker, "done")))
            moves.append((f"{child} fails", lambda: self.finish(worker, "failed")))
            if worker.call.by == "model":
                moves.append((f"{child} goes on", lambda: self.finish(worker, "done", goes_on=True)))
                moves.append((f"{child} asks a client", lambda: self.ask_client(worker)))
            confined = worker.call.by != "user"  # what a person types runs as the person
            if isinstance(worker.need, CommandNeed) and confined and not worker.denied:
                moves += [(f"{child} is denied something", lambda: self.deny(worker))] * 3
            moves += [
                (
                    f"{child} writes to {terminal}",
                    partial(self.hear, TerminalWritten(call_id=worker.call.call_id, terminal=terminal, text="y")),
                )
                for terminal in self.terminals
            ]
        if worker.cancelled:
            moves.append((f"{child} was cancelled", lambda: self.finish(worker, "cancelled")))
        return moves

    def prepare(self, worker: Worker, *, item: bool, safe: bool, asks: bool) -> None:
        worker.prepared = True
        worker.item = command_item(worker.call.item_id) if item else None
        need: Need | None = None
        if asks and self.count % 3 == 0:
            option = Option(label="A", description="")
            need = QuestionNeed(questions=(Question(id="q", header="", question="?", options=(option,)),))
        elif asks:
            need = CommandNeed(argv=("make", str(self.count % 3)), script=None, cwd="/w")
        worker.need = need
        self.hear(
            ToolPrepared(
                call_id=worker.call.call_id, item=worker.item, parallel_safe=safe, side_effects=True, approval=need
            )
        )

    def deny(self, worker: Worker) -> None:
        """It ran in its sandbox, and waits to hear whether that is all."""
        worker.denied, worker.may_run = True, False
        ran = f"output of {worker.call.call_id} in the sandbox"
        item = command_item(worker.call.item_id, "failed")
        self.hear(RunDenied(call_id=worker.call.call_id, words="Permission denied", output=ran, item=item))

    def ask_client(self, worker: Worker) -> None:
        if worker.asked:
            return
        worker.asked = True
        made = worker.call
        asked_for = ClientCall(
            id=f"{made.item_id}-call",
            turn_id=made.turn_id,
            item_id=made.item_id,
            tool="look",
            namespace=None,
            arguments={},
        )
        self.hear(ClientAsked(call_id=made.call_id, call=asked_for))

    def finish(self, worker: Worker, outcome: ToolOutcome, *, goes_on: bool = False) -> None:
        worker.finished = True
        terminal = None
        if goes_on and worker.item is not None:
            terminal = self.number()
            self.terminals[terminal] = worker.call
            self.laws.terminals.add(terminal)
        status = "inProgress" if terminal else "completed" if outcome == "done" else "failed"
        item = None if worker.item is None else command_item(worker.call.item_id, status)
        self.hear(
            ToolFinished(
                call_id=CallId(worker.call.call_id),
                outcome=outcome,
                output=f"output of {worker.call.call_id}",
                item=item,
                terminal=terminal,
            )
        )

    def end_terminal(self, terminal: int) -> None:
        made = self.terminals.pop(terminal)
        self.laws.terminals.discard(terminal)
        self.hear(
            TerminalEnded(
                terminal=terminal,
                call_id=made.call_id,
                turn_id=made.turn_id,
                item=command_item(made.item_id, "completed"),
            )
        )

    def living(self) -> list[ChildId]:
        """The children that have not ended."""
        return [*self.scouts, *self.hooks, *self.models, *self.workers]

    def down(self, child: ChildId, crash: str | None) -> None:
        self.models.pop(child, None)
        self.scouts.pop(child, None)
        self.hooks.pop(child, None)
        self.workers.pop(child, None)
        self.laws.live.discard(child)
        self.hear(ChildDown(child=child, crash=crash))

    def _junk_moves(self) -> list[Move]:
        """What no child ought to say: late, twice, or about nothing that is there."""
        call_ids = [record.call_id for record in self.laws.logged if isinstance(record, ToolStarted)][-2:]
        call_ids += [each.call_id for each in (self.state.turn.calls if self.state.turn else ())]
        item = command_item("junk")
        said: list[Input] = [
            ChildDown(child=ChildId("nobody")),
            ContextGathered(child=ChildId("nobody"), docs="junk"),
            ItemFinished(request_id="nobody", slot=0, item=message("junk")),
            completed("nobody"),
            SampleFailed(request_id="nobody", failure=BROKEN),
            TerminalEnded(terminal=0, call_id=CallId("nobody"), turn_id=TurnId("nobody"), item=item),
            TerminalWritten(call_id=CallId("nobody"), terminal=0, text="junk"),
        ]
        for call_id in call_ids:
            said.append(ToolFinished(call_id=call_id, outcome="done", output="junk"))
            said.append(RunDenied(call_id=call_id, words="junk", output="junk", item=None))
            said.append(ToolPrepared(call_id=call_id, item=None, parallel_safe=False, side_effects=False))
        for model in self.models.values():
            said.append(ItemFinished(request_id=model.request_id, slot=99, item=call("c0")))
            said.append(began(model.request_id, 0, reasoning()))
            said.append(completed(model.request_id, "tool_use"))
        return [(f"junk {event}", partial(self.hear, event)) for event in said]

    # --- the end ---

    def close(self) -> None:
        """Close the thread, let everything that was told to end do so, and look at what is left."""
        self.closing = True
        self.ask(CloseThread())
        while not self.laws.stopped:
            for child in self.living():
                self.down(child, None)
            for terminal in [each for each in self.terminals if each in self.killed]:
                self.end_terminal(terminal)
        assert self.state.turn is None
        assert not self.terminals
        assert not self.client_calls, "no client is asked for a call that has ended"
        assert set(self.laws.started) == set(self.laws.completed), "every started item completed"
        assert set(self.tokens) == set(self.laws.replies), "every command was answered"
        shown = self.laws.inputs_taken()
        assert len(set(shown)) == len(shown)
