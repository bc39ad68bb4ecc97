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
* A worker that is lost before any call was requested is replaced once: nothing can have happened. Later, never.
* A replay feeds the recorded pumps; finished calls are never started again, and what the script asks for must be what
  it asked for then. A call that had started and not ended is unknown, unless its tool is idempotent.

Rejected: resolving calls one by one as they end (every interleaving would have to be recorded), and identifying calls
by their order alone (a changed program would get another call's result).
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import Literal, assert_never

import msgspec

from actors.sandbox_pool.frames import (
    AskedCall,
    AskedTimer,
    ClearedTimer,
    FrameError,
    PrintedLine,
    Progress,
    Pumped,
    Stopped,
    Thrown,
    stack_frames,
)
from actors.sandbox_pool.inside.protocol import PREFIX, PRELUDE_LINE, encode_start
from actors.sandbox_pool.limits import (
    ARGUMENT_BYTES,
    PROGRESS_INTERVAL_SECONDS,
    PUMP_BYTES,
    RESULT_BYTES,
    TIMERS_MAX,
)
from messages.script import (
    CallEnded,
    CallError,
    CallReport,
    CallRequested,
    CallResult,
    CallStarted,
    ScriptEvent,
    ScriptFailure,
    ScriptFailureKind,
    ScriptOutcome,
    ScriptPrinted,
    ScriptProgressed,
    ScriptPumped,
    ScriptRequest,
    ScriptStarted,
    ScriptStatus,
    Settled,
)
from messages.tools import ToolOutcome

SIGXCPU = 24
"""How the kernel ends who has used up its processor time."""

CANCELLED = CallError(code="cancelled", message="it was cancelled because the script has ended")
UNKNOWN = CallError(
    code="unknown",
    message="the daemon was restarted while it ran: it may or may not have taken effect; look before repeating it",
)


# ── what it is told ──────────────────────────────────────────────────────────────────────────────────────────────────


class FrameReceived(msgspec.Struct, frozen=True, kw_only=True):
    """The worker has spoken."""

    pumped: Pumped


class FrameBroken(msgspec.Struct, frozen=True, kw_only=True):
    """The worker has said something that is no frame."""

    message: str


class WorkerGone(msgspec.Struct, frozen=True, kw_only=True):
    """Its process has ended."""

    message: str
    signal: int = 0


class CallFinished(msgspec.Struct, frozen=True, kw_only=True):
    """A started call has ended, and nothing of it runs."""

    number: int
    result: CallResult


class ApprovalBegan(msgspec.Struct, frozen=True, kw_only=True):
    """A started call waits for a person."""

    number: int
    request_id: str


class ApprovalOver(msgspec.Struct, frozen=True, kw_only=True):
    """It does not any more."""

    number: int


class TimerFired(msgspec.Struct, frozen=True, kw_only=True):
    """A timer's time has come."""

    number: int


class TimeIsUp(msgspec.Struct, frozen=True, kw_only=True):
    """`deadline` has passed."""


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody wants it to end."""

    reason: str


Event = (
    FrameReceived
    | FrameBroken
    | WorkerGone
    | CallFinished
    | ApprovalBegan
    | ApprovalOver
    | TimerFired
    | TimeIsUp
    | Cancel
)


# ── what it wants ────────────────────────────────────────────────────────────────────────────────────────────────────


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """Give this frame to the worker."""

    frame: bytes


class StartCall(msgspec.Struct, frozen=True, kw_only=True):
    """Do it; it may take effect from here on."""

    number: int
    call_id: str
    name: str
    """In the script."""
    tool: str
    """In the registry."""
    arguments: str
    line: int
    column: int


class StopCall(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel a started call; its `CallFinished` is still waited for."""

    number: int


class SetTimer(msgspec.Struct, frozen=True, kw_only=True):
    """Say `TimerFired` after so long."""

    number: int
    seconds: float


class DropTimer(msgspec.Struct, frozen=True, kw_only=True):
    """Or do not."""

    number: int


class ReplaceWorker(msgspec.Struct, frozen=True, kw_only=True):
    """Take another worker for the lost one."""


class EndWorker(msgspec.Struct, frozen=True, kw_only=True):
    """Kill it. Nothing it says counts any more."""


class Tell(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened."""

    event: ScriptEvent


Effect = Send | StartCall | StopCall | SetTimer | DropTimer | ReplaceWorker | EndWorker | Tell

Phase = Literal["computing", "waiting", "grace", "stopping", "over"]


@dataclass(slots=True)
class _Call:
    number: int
    name: str
    arguments: str
    line: int
    column: int
    state: Literal["queued", "running", "ended"] = "queued"
    result: CallResult | None = None
    asks: bool = False
    started: bool = False
    orphaned: bool = False
    began_at: float = 0.0
    seconds: float = 0.0


@dataclass(slots=True)
class _Past:
    """What the log of an earlier run says."""

    pumps: deque[ScriptPumped] = field(default_factory=deque)
    requested: dict[int, CallRequested] = field(default_factory=dict)
    started: set[int] = field(default_factory=set)
    ended: dict[int, CallEnded] = field(default_factory=dict)
    printed: list[ScriptPrinted] = field(default_factory=list)
    progressed: int = 0
    begun: ScriptStarted | None = None


def _read(log: tuple[ScriptEvent, ...]) -> _Past:
    past = _Past()
    for event in log:
        match event:
            case ScriptStarted():
                past.begun = event
            case CallRequested(number=number):
                past.requested[number] = event
            case CallStarted(number=number):
                past.started.add(number)
            case CallEnded(number=number):
                past.ended[number] = event
            case ScriptPumped():
                past.pumps.append(event)
            case ScriptPrinted():
                past.printed.append(event)
            case ScriptProgressed():
                past.progressed += 1
            case _ as unreachable:
                assert_never(unreachable)
    return past


class Driver:
    """See the module's docstring. ``begin`` it, then ``handle`` everything until ``outcome`` is there."""

    def __init__(self, request: ScriptRequest, *, seed: int, clock_ms: int) -> None:
        self._request = request
        self._limits = request.limits
        self._tools = {tool.name: tool for tool in request.tools}
        self._past = _read(request.log)
        begun = self._past.begun
        self._seed, self._clock_ms = (begun.seed, begun.clock_ms) if begun is not None else (seed, clock_ms)
        self._hash = hashlib.sha256(request.source.encode("utf-8", "replace")).hexdigest()
        self._replaced = False
        self._acted = False  # a call was started by us
        self._shown = list(self._past.printed)
        self._progress_shown = self._past.progressed
        self._spent = 0.0
        self._mark = 0.0
        self._ticks = False
        self._grace_ends = 0.0
        self._next_progress = 0.0
        self._held_progress: str | None = None
        self._approval: str | None = None
        self._ending: tuple[ScriptStatus, str | None, ScriptFailure | None] | None = None
        self.outcome: ScriptOutcome | None = None
        self._reset()

    def _reset(self) -> None:
        self._phase: Phase = "computing"
        self._live = not self._past.requested and not self._past.pumps
        self._pumps = deque(self._past.pumps)
        self._calls: dict[int, _Call] = {}
        self._queue: deque[_Call] = deque()
        self._running: dict[int, _Call] = {}
        self._timers: dict[int, float] = {}
        self._timers_set = 0
        self._arrived: list[Settled] = []
        self._printed = 0
        self._printed_characters = 0
        self._progressed = 0

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
        effects.append(Send(frame=self._start_frame()))
        return effects

    @property
    def deadline(self) -> float | None:
        """When `TimeIsUp` is due; None: never."""
        times = []
        if self._ticks:
            times.append(self._mark + self._limits.wall_seconds - self._spent)
        if self._phase == "grace":
            times.append(self._grace_ends)
        if self._held_progress is not None:
            times.append(self._next_progress)
        return min(times, default=None)

    def handle(self, event: Event, now: float, clock_ms: int = 0) -> list[Effect]:
        """What follows. ``now`` is monotonic, in seconds; ``clock_ms`` is the time of day that the script is told."""
        effects: list[Effect] = []
        if self._ticks:
            self._spent += now - self._mark
        self._mark = now
        self._clock_ms = max(self._clock_ms, clock_ms)
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
                self._call_finished(self._running.pop(number), result, now, effects)
            case ApprovalBegan(number=number, request_id=request_id):
                if number in self._running:
                    self._running[number].asks = True
                    self._approval = request_id
            case ApprovalOver(number=number):
                if number in self._running:
                    self._running[number].asks = False
            case TimerFired(number=number):
                if self._timers.pop(number, None) is not None:
                    self._arrived.append(Settled(kind="timer", number=number))
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
        if self._phase in ("grace", "stopping") and not self._running:
            self._conclude()
        self._ticks = self._phase == "computing" or (self._phase == "waiting" and not self._only_asks())
        return effects

    def _only_asks(self) -> bool:
        """Whether everything it waits for is an approval."""
        return not self._timers and bool(self._running) and all(call.asks for call in self._running.values())

    # ── the worker ──

    def _start_frame(self) -> bytes:
        limits = self._limits
        config = {
            "tools": list(self._tools),
            "context": self._request.context,
            "seed": self._seed,
            "clock": self._clock_ms,
            "limits": {
                "calls": limits.calls,
                "arguments": ARGUMENT_BYTES,
                "pump": PUMP_BYTES,
                "result": limits.return_bytes,
                "timers": TIMERS_MAX,
                "lines": limits.console_lines,
                "lineCharacters": limits.console_bytes,
                "consoleCharacters": limits.console_bytes,
                "progress": limits.progress_events,
                "prelude": PRELUDE_LINE,
                "prefix": len(PREFIX),
            },
        }
        return encode_start(
            msgspec.json.encode(config),
            self._request.source.encode("utf-8", "surrogatepass"),
            cpu_seconds=limits.cpu_seconds,
            memory=limits.memory_bytes,
            stack=limits.stack_bytes,
            source_bytes=limits.source_bytes,
        )

    def _worker_gone(self, event: WorkerGone, now: float, effects: list[Effect]) -> None:
        if self._phase not in ("computing", "waiting"):
            return
        if event.signal == SIGXCPU:
            text = f"the script has used its {self._limits.cpu_seconds:g} s of processor time in one operation"
            self._end("exceeded", now, effects, failure=ScriptFailure(kind="limit", code="cpu", message=text))
        elif not self._replaced and not self._acted:
            self._replaced = True
            effects += [DropTimer(number=number) for number in self._timers]
            self._reset()
            effects += [ReplaceWorker(), Send(frame=self._start_frame())]
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
        if not self._live:
            if self._pumps:
                self._diverge("it ended earlier than it did", now, effects)
                return
            self._go_live(now, effects)
            if self._over():
                return
        match pumped.state:
            case "returned" if len(pumped.value.encode("utf-8", "replace")) > self._limits.return_bytes:
                text = f"the returned value is larger than {self._limits.return_bytes} bytes"
                self._end(
                    "exceeded", now, effects, failure=ScriptFailure(kind="limit", code="return_value", message=text)
                )
            case "returned":
                self._start_queued(now, effects)
                self._end("returned", now, effects, value=pumped.value)
            case "threw":
                assert pumped.thrown is not None
                failure = self._thrown(pumped.thrown)
                self._end("exceeded" if failure.kind == "limit" else "threw", now, effects, failure=failure)
            case "exceeded" | "refused" as status:
                assert pumped.stopped is not None
                self._end(status, now, effects, failure=_stopped(pumped.stopped, status))
            case _ as unreachable:
                assert_never(unreachable)

    def _over(self) -> bool:
        return self._phase in ("stopping", "over")

    def _ask(
        self, asked: AskedCall | AskedTimer | ClearedTimer | PrintedLine | Progress, now: float, effects: list[Effect]
    ) -> None:
        """Raises FrameError."""
        match asked:
            case AskedCall():
                self._ask_call(asked, now, effects)
            case AskedTimer(number=number, milliseconds=milliseconds):
                self._timers_set += 1
                if number != self._timers_set or number > TIMERS_MAX or milliseconds < 0:
                    raise FrameError("its process set a timer that it cannot set")
                self._timers[number] = milliseconds / 1000
                if self._live:
                    effects.append(SetTimer(number=number, seconds=milliseconds / 1000))
            case ClearedTimer(number=number):
                if self._timers.pop(number, None) is not None:
                    effects.append(DropTimer(number=number))
                self._arrived = [each for each in self._arrived if each != Settled(kind="timer", number=number)]
            case PrintedLine(level=level, text=text):
                self._printed += 1
                self._printed_characters += len(text)
                if self._printed > self._limits.console_lines or self._printed_characters > self._limits.console_bytes:
                    raise FrameError("its process printed more than it may")
                if self._printed > len(self._shown):
                    self._shown.append(ScriptPrinted(level=level, text=text))
                    effects.append(Tell(event=self._shown[-1]))
            case Progress(text=text):
                self._progressed += 1
                if self._progressed > self._limits.progress_events or len(text) > self._limits.console_bytes:
                    raise FrameError("its process reported more than it may")
                if self._progressed > self._progress_shown:
                    self._progress(text, now, effects)
            case _ as unreachable:
                assert_never(unreachable)

    def _ask_call(self, asked: AskedCall, now: float, effects: list[Effect]) -> None:
        number = asked.number
        if number != len(self._calls) + 1 or number > self._limits.calls or asked.tool not in self._tools:
            raise FrameError("its process asked for a call that it cannot make")
        if len(asked.arguments) > ARGUMENT_BYTES:
            raise FrameError("its process asked for a call with too large arguments")
        frames = stack_frames(asked.stack)
        line, column = (frames[0].line, frames[0].column) if frames else (0, 0)
        call = _Call(number=number, name=asked.tool, arguments=asked.arguments, line=line, column=column)
        self._calls[number] = call
        before = self._past.requested.get(number)
        if self._live or (before is None and not self._pumps):
            requested = CallRequested(number=number, name=call.name, arguments=call.arguments, line=line, column=column)
            effects.append(Tell(event=requested))
            self._queue.append(call)
        elif before is None or (before.name, before.arguments, before.line, before.column) != (
            *(call.name, call.arguments, line, column),
        ):
            self._diverge(f"its call {number} is not the one that it made", now, effects)

    def _progress(self, text: str, now: float, effects: list[Effect]) -> None:
        if now < self._next_progress:
            self._held_progress = text  # the latest is told when its time has come
            return
        self._progress_shown += 1
        self._next_progress = now + PROGRESS_INTERVAL_SECONDS
        self._held_progress = None
        effects.append(Tell(event=ScriptProgressed(text=text)))

    # ── calls ──

    def _start_queued(self, now: float, effects: list[Effect]) -> None:
        while self._live and self._queue and len(self._running) < self._limits.calls_at_once:
            self._start(self._queue.popleft(), now, effects)

    def _start(self, call: _Call, now: float, effects: list[Effect]) -> None:
        call.state, call.started, call.began_at = "running", True, now
        self._running[call.number] = call
        self._acted = True
        effects.append(Tell(event=CallStarted(number=call.number)))
        effects.append(
            StartCall(
                number=call.number,
                call_id=self._call_id(call.number),
                name=call.name,
                tool=self._tools[call.name].tool,
                arguments=call.arguments,
                line=call.line,
                column=call.column,
            )
        )

    def _call_id(self, number: int) -> str:
        return f"{self._request.script_id}:{number}"

    def _call_finished(self, call: _Call, result: CallResult, now: float, effects: list[Effect]) -> None:
        if result.error is None and len(result.value) > RESULT_BYTES:
            text = f"the result is larger than {RESULT_BYTES} bytes; ask for less of it"
            result = msgspec.structs.replace(
                result, value="null", error=CallError(code="result_too_large", message=text)
            )
        call.seconds = now - call.began_at
        self._settle(call, result, effects)
        if self._phase in ("grace", "stopping"):
            call.orphaned = True
        else:
            self._start_queued(now, effects)

    def _settle(self, call: _Call, result: CallResult, effects: list[Effect]) -> None:
        call.state, call.result, call.asks = "ended", result, False
        effects.append(Tell(event=CallEnded(number=call.number, result=result, seconds=call.seconds)))
        self._arrived.append(Settled(kind="call", number=call.number))

    # ── pumps ──

    def _go_on(self, now: float, effects: list[Effect]) -> None:
        """It waits: give it what has ended, or see that nothing ever will."""
        if self._pumps:
            self._replay(self._pumps.popleft(), now, effects)
            return
        if not self._live:
            self._go_live(now, effects)
            if self._phase != "waiting":
                return
        if self._arrived:
            settled, self._arrived = tuple(self._arrived), []
            pump = ScriptPumped(
                clock_ms=self._clock_ms, settled=settled, spent_seconds=self._spent, approval=self._approval
            )
            effects.append(Tell(event=pump))
            self._pump(pump, effects)
        elif not self._running and not self._queue and not self._timers:
            text = "the script waits for something that cannot happen: no call and no timer is outstanding"
            self._end("deadlocked", now, effects, failure=ScriptFailure(kind="deadlock", code="deadlock", message=text))

    def _pump(self, pump: ScriptPumped, effects: list[Effect]) -> None:
        parts: list[dict[str, object]] = []
        for each in pump.settled:
            if each.kind == "timer":
                parts.append({"timer": each.number})
                continue
            call = self._calls[each.number]
            assert call.result is not None
            if (error := call.result.error) is None:
                parts.append({"call": each.number, "value": call.result.value})
                continue
            parts.append(
                {
                    "call": each.number,
                    "error": {
                        "code": error.code,
                        "message": error.message,
                        "retryable": error.retryable,
                        "tool": call.name,
                        "callId": self._call_id(each.number),
                    },
                }
            )
        frame = {"clock": pump.clock_ms, "settled": parts}
        if pump.approval is not None:
            frame["approval"] = pump.approval
        self._phase = "computing"
        effects.append(Send(frame=msgspec.json.encode(frame)))

    # ── replay ──

    def _replay(self, pump: ScriptPumped, now: float, effects: list[Effect]) -> None:
        for each in pump.settled:
            if each.kind == "timer":
                if self._timers.pop(each.number, None) is None:
                    self._diverge(f"it did not set its timer {each.number}", now, effects)
                    return
                continue
            call, ended = self._calls.get(each.number), self._past.ended.get(each.number)
            if call is None or ended is None or call.state == "ended":
                self._diverge(f"it did not make its call {each.number}", now, effects)
                return
            call.state, call.started = "ended", each.number in self._past.started
            call.result, call.seconds = ended.result, ended.seconds
        self._clock_ms = pump.clock_ms
        self._spent = max(self._spent, pump.spent_seconds)
        self._pump(pump, effects)

    def _go_live(self, now: float, effects: list[Effect]) -> None:
        """The log has been followed to its end: take up what was going on then."""
        if missing := [number for number in self._past.requested if number not in self._calls]:
            self._diverge(f"it did not make its call {missing[0]}", now, effects)
            return
        self._live = True
        for number, ended in self._past.ended.items():  # in the order of their ending
            call = self._calls[number]
            if call.state == "ended":
                continue
            call.state, call.started = "ended", number in self._past.started
            call.result, call.seconds = ended.result, ended.seconds
            self._arrived.append(Settled(kind="call", number=number))
        for number in self._past.requested:
            call = self._calls[number]
            if call.state == "ended":
                continue
            if number not in self._past.started:
                self._queue.append(call)
            elif self._tools[call.name].idempotent:
                self._start(call, now, effects)
            else:
                call.started = True
                self._settle(call, CallResult(outcome="unknown", error=UNKNOWN), effects)
        self._queue = deque(sorted(self._queue, key=lambda call: call.number))
        effects += [SetTimer(number=number, seconds=seconds) for number, seconds in self._timers.items()]
        self._start_queued(now, effects)

    def _diverge(self, how: str, now: float, effects: list[Effect]) -> None:
        """Nothing is run: what had started and not ended is unknown, and said to be."""
        for number, requested in self._past.requested.items():
            call = self._calls.get(number)
            if call is None or (call.name, call.arguments) != (requested.name, requested.arguments):
                call = self._calls[number] = _Call(
                    number=number,
                    name=requested.name,
                    arguments=requested.arguments,
                    line=requested.line,
                    column=requested.column,
                )
            if call.state == "ended":
                continue
            call.started = number in self._past.started
            ended = self._past.ended.get(number)
            if ended is not None:
                call.state, call.result, call.seconds = "ended", ended.result, ended.seconds
            elif call.started:
                self._settle(call, CallResult(outcome="unknown", error=UNKNOWN), effects)
        self._live = True
        text = f"after the restart the script did not take the same way again: {how}. Nothing was run twice"
        failure = ScriptFailure(kind="harness", code="diverged", message=text)
        self._end("diverged", now, effects, failure=failure)

    # ── the end ──

    def _time_is_up(self, now: float, effects: list[Effect]) -> None:
        if self._held_progress is not None and now >= self._next_progress:
            self._progress(self._held_progress, now, effects)
        if self._phase in ("computing", "waiting") and self._spent >= self._limits.wall_seconds:
            text = f"the script was still running after {self._limits.wall_seconds:g} s"
            self._end("exceeded", now, effects, failure=ScriptFailure(kind="limit", code="time", message=text))
        elif self._phase == "grace" and now >= self._grace_ends:
            self._stop_running(effects)

    def _crash(self, message: str, now: float, effects: list[Effect]) -> None:
        retryable = not self._acted and not self._past.started
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
        if self._phase in ("computing", "waiting"):
            self._ending = (status, value, failure)
            if self._held_progress is not None:
                effects.append(Tell(event=ScriptProgressed(text=self._held_progress)))
                self._held_progress = None
            effects.append(EndWorker())
            effects += [DropTimer(number=number) for number in self._timers]
            self._timers.clear()
            for call in self._calls.values():
                if call.state == "queued":
                    call.orphaned = True
                    self._settle(call, CallResult(outcome="cancelled", error=CANCELLED), effects)
            self._queue.clear()
        self._arrived.clear()
        if status in ("returned", "threw") and self._phase in ("computing", "waiting"):
            self._phase = "grace"
            self._grace_ends = now + self._limits.orphan_grace_seconds
        else:
            self._stop_running(effects)

    def _stop_running(self, effects: list[Effect]) -> None:
        self._phase = "stopping"
        effects += [StopCall(number=number) for number in self._running]

    def _conclude(self) -> None:
        assert self._ending is not None
        status, value, failure = self._ending
        self._phase = "over"
        self.outcome = ScriptOutcome(
            status=status,
            value=value,
            failure=failure,
            calls=tuple(self._report(call) for call in sorted(self._calls.values(), key=lambda call: call.number)),
            console=tuple(self._shown),
            wall_seconds=self._spent,
        )

    def _report(self, call: _Call) -> CallReport:
        assert call.result is not None
        outcome: ToolOutcome = call.result.outcome
        return CallReport(
            number=call.number,
            name=call.name,
            line=call.line,
            column=call.column,
            outcome=outcome,
            started=call.started,
            orphaned=call.orphaned,
            seconds=call.seconds,
            error=call.result.error,
        )

    def _thrown(self, thrown: Thrown) -> ScriptFailure:
        frames = stack_frames(thrown.stack)
        prefix = f"{self._request.script_id}:"
        text = thrown.call_id.removeprefix(prefix)
        number = int(text) if thrown.call_id.startswith(prefix) and text.isdecimal() and len(text) < 5 else 0
        call = self._calls.get(number)
        kind = _kind_of(thrown)
        return ScriptFailure(
            kind=kind,
            code=thrown.code or {"limit": "memory" if "memory" in thrown.message else "stack"}.get(kind, "exception"),
            message=thrown.message,
            name=thrown.name,
            line=frames[0].line if frames else call.line if call is not None else 0,
            column=frames[0].column if frames else call.column if call is not None else 0,
            stack=frames,
            call=number if call is not None else None,
            causes=tuple(f"{cause.name}: {cause.message}" for cause in thrown.causes),
        )


def _kind_of(thrown: Thrown) -> ScriptFailureKind:
    if thrown.name == "InternalError" and thrown.message == "out of memory":
        return "limit"
    if thrown.name == "RangeError" and thrown.message.startswith("Maximum call stack"):
        return "limit"
    if thrown.name != "ToolError":
        return "script"
    match thrown.code:
        case "limit":
            return "limit"
        case "denied" | "expired":
            return "approval"
        case "cancelled":
            return "cancelled"
        case _:
            return "tool"


def _stopped(stopped: Stopped, status: Literal["exceeded", "refused"]) -> ScriptFailure:
    kind: ScriptFailureKind = "syntax" if status == "refused" else "limit"
    if stopped.code == "engine":
        kind = "harness"
    return ScriptFailure(
        kind=kind, code=stopped.code, message=stopped.message, line=stopped.line, column=stopped.column
    )
