"""One script's protocol, from its first frame to its last call's end. Pure: it knows no process, no clock, no tool.

    handle(event, now) -> effects          events: the worker's frames, calls and timers that ended, the time
    deadline                               when `TimeIsUp` has to be told, if nothing else happens before

The worker and the driver take turns: the worker speaks once for each frame it is given. While it runs, what ends is
collected; when it waits, all of it is given at once, in the order of its ending (a *pump*). Nothing else enters a
script, so pumps, clock and seed determine all it does: that is what makes a replay possible.

Rules:
* A call is requested, then started (`calls_at_once` at a time, in order), then ended, exactly once each.
* A script that waits with nothing outstanding is deadlocked, at once.
* The script's clock stands still while it waits and everything outstanding is an approval.
* When it returns or throws, what runs has the grace to end, and is cancelled then; after anything else it is cancelled
  at once. What has not started does not start any more, except what was called before a return.
* It is over only when every call has ended; the outcome names each of them.
* Frames are hostile: numbers must follow one another, names must be known, every count and size is held to its limit.
* A worker that is lost before any call was started is replaced once: nothing can have happened. Later, never. What was
  told until then is in the log (timers that fired, calls that are unknown since a restart), so the new one is taken the
  same way, as in a replay.
* A replay feeds the recorded pumps; finished calls are never started again, and what the script asks for must be what
  it asked for then. A call that had started and not ended is unknown, unless its tool is idempotent.

Rejected: resolving calls one by one as they end (every interleaving would have to be recorded), and identifying calls
by their order alone (a changed program would get another call's result).
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Literal, assert_never

import msgspec

from actors.sandbox_pool.book import Book, BookedCall
from actors.sandbox_pool.driving import (
    ApprovalBegan,
    ApprovalOver,
    CallFinished,
    Cancel,
    Effect,
    EndWorker,
    Event,
    FrameBroken,
    FrameReceived,
    ReplaceWorker,
    Send,
    SetTimer,
    Tell,
    TimeIsUp,
    TimerFired,
    WorkerGone,
)
from actors.sandbox_pool.failures import call_number, failure_of_stop, failure_of_throw
from actors.sandbox_pool.feeding import pump_frame, start_frame
from actors.sandbox_pool.frames import (
    Asked,
    AskedCall,
    AskedTimer,
    ClearedTimer,
    FrameError,
    PrintedLine,
    Progress,
    Pumped,
    Thrown,
)
from actors.sandbox_pool.limits import ARGUMENT_BYTES, RESULT_BYTES, TIMERS_MAX
from actors.sandbox_pool.past import read_past
from actors.sandbox_pool.places import Places
from actors.sandbox_pool.replaying import follow, same_call, take_up, write_off
from actors.sandbox_pool.saying import Saying
from messages.script import (
    CallError,
    CallRequested,
    CallResult,
    ScriptEvent,
    ScriptFailure,
    ScriptOutcome,
    ScriptPumped,
    ScriptRequest,
    ScriptStarted,
    ScriptStatus,
)

SIGXCPU = 24
"""How the kernel ends who has used up its processor time."""

Phase = Literal["computing", "waiting", "grace", "stopping", "over"]


class Driver:
    """See the module's docstring. ``begin`` it, then ``handle`` everything until ``outcome`` is there."""

    def __init__(self, request: ScriptRequest, *, seed: int, clock_ms: int) -> None:
        self._request = request
        self._limits = request.limits
        self._return_bytes = max(request.limits.return_bytes, request.return_kept_bytes)
        self._tools = {tool.name: tool for tool in request.tools}
        self._past = read_past(request.log)
        begun = self._past.begun
        self._seed, self._began_ms = (begun.seed, begun.clock_ms) if begun is not None else (seed, clock_ms)
        self._clock_ms = self._began_ms
        self._places = Places(request.source)
        self._hash = hashlib.sha256(request.source.encode("utf-8", "replace")).hexdigest()
        self._replaced = False
        self._told: list[ScriptEvent] = []
        """What the log has of this run, for as long as the worker may be replaced."""
        self._saying = Saying(request.limits, self._past)
        self._spent = 0.0
        self._mark = 0.0
        self._ticks = False
        self._grace_ends = 0.0
        self._approval: str | None = None
        self._ending: tuple[ScriptStatus, str | None, ScriptFailure | None] | None = None
        self.outcome: ScriptOutcome | None = None
        self._reset()

    def _reset(self) -> None:
        self._phase: Phase = "computing"
        self._live = self._past.is_empty
        self._pumps = deque(self._past.pumps)
        self._book = Book(self._request.script_id, self._limits.calls_at_once)
        self._saying.begin_again()

    # ── from outside ──

    def begin(self, now: float) -> list[Effect]:
        """There is a worker."""
        self._mark, self._ticks = now, True
        effects: list[Effect] = []
        begun = self._past.begun
        if begun is None:
            started = ScriptStarted(source_hash=self._hash, seed=self._seed, clock_ms=self._clock_ms)
            effects.append(Tell(event=started))
        elif begun.source_hash != self._hash:
            self._diverge("it is not the same script", now, effects)
            self._conclude()
            return effects
        effects.append(self._start())
        self._remember(effects)
        return effects

    def _remember(self, effects: list[Effect]) -> None:
        if self._replaced or self._book.acted:
            self._told.clear()
        else:
            self._told += [effect.event for effect in effects if isinstance(effect, Tell)]

    @property
    def deadline(self) -> float | None:
        """When `TimeIsUp` is due; None: never."""
        times = []
        if self._ticks:
            times.append(self._mark + self._limits.wall_seconds - self._spent)
        if self._phase == "grace":
            times.append(self._grace_ends)
        if (due := self._saying.due) is not None:
            times.append(due)
        return min(times, default=None)

    def handle(self, event: Event, now: float, clock_ms: int = 0) -> list[Effect]:
        """What follows. ``now`` is monotonic, in seconds; ``clock_ms`` is the time of day that the script is told."""
        effects: list[Effect] = []
        if self._ticks:
            self._spent += now - self._mark
        self._mark = now
        self._clock_ms = max(self._clock_ms, clock_ms)
        running = self._book.running
        match event:
            case FrameReceived(pumped=pumped):
                if self._phase == "computing":
                    self._frame(pumped, now, effects)
                elif self._phase == "waiting":
                    self._crash("its process spoke out of turn", now, effects)
            case FrameBroken(message=message):
                if self._phase in ("computing", "waiting"):
                    self._crash(message, now, effects)
            case WorkerGone():
                self._worker_gone(event, now, effects)
            case CallFinished(number=number, result=result):
                self._call_finished(running.pop(number), result, now, effects)
            case ApprovalBegan(number=number, request_id=request_id):
                if number in running:
                    running[number].asks = True
                    self._approval = request_id
            case ApprovalOver(number=number):
                if number in running:
                    running[number].asks = False
            case TimerFired(number=number):
                self._book.timer_fired(number)
            case TimeIsUp():
                self._time_is_up(now, effects)
            case Cancel(reason=reason):
                if self._phase in ("computing", "waiting", "grace"):
                    failure = ScriptFailure(kind="cancelled", code="cancelled", message=reason)
                    self._end("cancelled", now, effects, failure=failure)
            case _ as unreachable:
                assert_never(unreachable)
        if self._phase == "waiting":
            self._go_on(now, effects)
        if self._phase in ("grace", "stopping") and not self._book.running:
            self._conclude()
        self._ticks = self._phase == "computing" or (self._phase == "waiting" and not self._book.only_asks)
        self._remember(effects)
        return effects

    # ── the worker ──

    def _start(self) -> Send:
        return Send(frame=start_frame(self._request, self._tools, seed=self._seed, clock_ms=self._began_ms))

    def _worker_gone(self, event: WorkerGone, now: float, effects: list[Effect]) -> None:
        if self._phase not in ("computing", "waiting"):
            return
        if event.signal == SIGXCPU:
            text = f"the script has used its {self._limits.cpu_seconds:g} s of processor time in one operation"
            self._exceed("cpu", text, now, effects)
        elif not self._replaced and not self._book.acted:
            self._replaced = True
            self._book.drop_timers(effects)
            self._past = read_past((*self._request.log, *self._told))
            self._reset()
            effects += [ReplaceWorker(), self._start()]
        else:
            self._crash(event.message, now, effects)

    def _frame(self, pumped: Pumped, now: float, effects: list[Effect]) -> None:
        try:
            for asked in pumped.asked:
                self._ask(asked, now, effects)
        except FrameError as error:
            self._crash(str(error), now, effects)
            return
        if self._phase != "computing":  # a replay has diverged
            return
        if pumped.state == "running":
            self._phase = "waiting"
            self._start_queued(now, effects)
            return
        if self._pumps:
            self._diverge("it ended earlier than it did", now, effects)
            return
        if not self._live and not self._go_live(now, effects):
            return
        match pumped.state:
            case "returned" if len(pumped.value.encode("utf-8", "replace")) > self._return_bytes:
                text = f"the returned value is larger than {self._return_bytes} bytes"
                self._exceed("return_value", text, now, effects)
            case "returned":
                self._start_queued(now, effects)
                self._end("returned", now, effects, value=pumped.value)
            case "threw":
                assert pumped.thrown is not None
                failure = self._thrown(pumped.thrown)
                self._end("exceeded" if failure.kind == "limit" else "threw", now, effects, failure=failure)
            case "exceeded" | "refused" as status:
                assert pumped.stopped is not None
                self._end(status, now, effects, failure=failure_of_stop(pumped.stopped, status))
            case _ as unreachable:
                assert_never(unreachable)

    def _ask(self, asked: Asked, now: float, effects: list[Effect]) -> None:
        """Raises FrameError."""
        match asked:
            case AskedCall():
                self._ask_call(asked, now, effects)
            case AskedTimer(number=number, milliseconds=milliseconds):
                book = self._book
                book.timers_set += 1
                if number != book.timers_set or number > TIMERS_MAX or milliseconds < 0:
                    raise FrameError("its process set a timer that it cannot set")
                book.timers[number] = milliseconds / 1000
                if self._live:
                    effects.append(SetTimer(number=number, seconds=milliseconds / 1000))
            case ClearedTimer(number=number):
                self._book.clear_timer(number, effects)
            case PrintedLine():
                self._saying.printed(asked, effects)
            case Progress():
                self._saying.progressed(asked, now, effects)
            case _ as unreachable:
                assert_never(unreachable)

    def _ask_call(self, asked: AskedCall, now: float, effects: list[Effect]) -> None:
        number, calls = asked.number, self._book.calls
        if number != len(calls) + 1 or number > self._limits.calls or asked.tool not in self._tools:
            raise FrameError("its process asked for a call that it cannot make")
        if len(asked.arguments) > ARGUMENT_BYTES:
            raise FrameError("its process asked for a call with too large arguments")
        frames = self._places.frames(asked.stack)
        line, column = (frames[0].line, frames[0].column) if frames else (0, 0)
        call = calls[number] = BookedCall(
            number=number,
            name=asked.tool,
            tool=self._tools[asked.tool].tool,
            arguments=asked.arguments,
            line=line,
            column=column,
        )
        before = self._past.requested.get(number)
        if self._live or (before is None and not self._pumps):
            requested = CallRequested(number=number, name=call.name, arguments=call.arguments, line=line, column=column)
            effects.append(Tell(event=requested))
            self._book.queue.append(call)
        elif not same_call(call, before):
            self._diverge(f"its call {number} is not the one that it made", now, effects)

    # ── calls ──

    def _start_queued(self, now: float, effects: list[Effect]) -> None:
        if self._live:
            self._book.start_queued(now, effects)

    def _call_finished(self, call: BookedCall, result: CallResult, now: float, effects: list[Effect]) -> None:
        if result.error is None and len(result.value) > RESULT_BYTES:
            text = f"the result is larger than {RESULT_BYTES} bytes; ask for less of it"
            result = msgspec.structs.replace(
                result, value="null", error=CallError(code="result_too_large", message=text)
            )
        call.seconds = now - call.began_at
        self._book.settle(call, result, effects)
        if self._phase in ("grace", "stopping"):
            call.orphaned = True
        else:
            self._start_queued(now, effects)

    # ── pumps ──

    def _go_on(self, now: float, effects: list[Effect]) -> None:
        """It waits: give it what has ended, or see that nothing ever will."""
        book = self._book
        if self._pumps:
            pump = self._pumps.popleft()
            if (difference := follow(pump, book, self._past)) is not None:
                self._diverge(difference, now, effects)
                return
            self._clock_ms = pump.clock_ms
            self._spent = max(self._spent, pump.spent_seconds)
            self._pump(pump, effects)
            return
        if not self._live and not self._go_live(now, effects):
            return
        if book.arrived:
            settled, book.arrived = tuple(book.arrived), []
            pump = ScriptPumped(
                clock_ms=self._clock_ms, settled=settled, spent_seconds=self._spent, approval=self._approval
            )
            effects.append(Tell(event=pump))
            self._pump(pump, effects)
        elif book.nothing_outstanding:
            text = "the script waits for something that cannot happen: no call and no timer is outstanding"
            self._end("deadlocked", now, effects, failure=ScriptFailure(kind="deadlock", code="deadlock", message=text))

    def _pump(self, pump: ScriptPumped, effects: list[Effect]) -> None:
        self._phase = "computing"
        effects.append(Send(frame=pump_frame(pump, self._book)))

    # ── replay ──

    def _go_live(self, now: float, effects: list[Effect]) -> bool:
        """The log has been followed to its end: take up what was going on then. False: it has diverged."""
        idempotent = frozenset(tool.name for tool in self._tools.values() if tool.idempotent)
        if (difference := take_up(self._book, self._past, idempotent, now, effects)) is not None:
            self._diverge(difference, now, effects)
            return False
        self._live = True
        self._start_queued(now, effects)
        return True

    def _diverge(self, how: str, now: float, effects: list[Effect]) -> None:
        """Nothing is run: what had started and not ended is unknown, and said to be."""
        text = f"after the restart the script did not take the same way again: {how}. Nothing was run twice"
        failure = ScriptFailure(kind="harness", code="diverged", message=text)
        self._end("diverged", now, effects, failure=failure)

    # ── the end ──

    def _time_is_up(self, now: float, effects: list[Effect]) -> None:
        self._saying.time_passed(now, effects)
        if self._phase in ("computing", "waiting") and self._spent >= self._limits.wall_seconds:
            self._exceed("time", f"the script was still running after {self._limits.wall_seconds:g} s", now, effects)
        elif self._phase == "grace" and now >= self._grace_ends:
            self._stop_running(effects)

    def _exceed(self, code: str, text: str, now: float, effects: list[Effect]) -> None:
        self._end("exceeded", now, effects, failure=ScriptFailure(kind="limit", code=code, message=text))

    def _crash(self, message: str, now: float, effects: list[Effect]) -> None:
        retryable = not self._book.acted and not self._past.started
        failure = ScriptFailure(
            kind="harness", code="crashed", message=f"the script was ended: {message}", retryable=retryable
        )
        self._end("crashed", now, effects, failure=failure)

    def _end(
        self,
        status: ScriptStatus,
        now: float,
        effects: list[Effect],
        *,
        value: str | None = None,
        failure: ScriptFailure | None = None,
    ) -> None:
        begins = self._phase in ("computing", "waiting")
        if begins:
            self._ending = (status, value, failure)
            self._saying.end(effects)
            effects.append(EndWorker())
            self._book.drop_timers(effects)
            if not self._live:  # cut off in its past, of which it has come to repeat a part only
                write_off(self._book, self._past, effects)
            self._book.cancel_queued(effects)
        self._book.arrived.clear()
        if begins and status in ("returned", "threw"):
            self._phase = "grace"
            self._grace_ends = now + self._limits.orphan_grace_seconds
        else:
            self._stop_running(effects)

    def _stop_running(self, effects: list[Effect]) -> None:
        self._phase = "stopping"
        self._book.stop_running(effects)

    def _conclude(self) -> None:
        assert self._ending is not None
        status, value, failure = self._ending
        self._phase = "over"
        self.outcome = ScriptOutcome(
            status=status,
            value=value,
            failure=failure,
            calls=self._book.reports(),
            console=tuple(self._saying.shown),
            wall_seconds=self._spent,
        )

    def _thrown(self, thrown: Thrown) -> ScriptFailure:
        call = self._book.calls.get(call_number(thrown, self._request.script_id))
        return failure_of_throw(
            thrown,
            self._places.frames(thrown.stack),
            call=None if call is None else call.number,
            line=0 if call is None else call.line,
            column=0 if call is None else call.column,
        )
