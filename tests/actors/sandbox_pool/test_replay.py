"""After a restart a script is run again and fed what it was fed: the same way, and nothing done twice."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.sandbox_pool.driver import SIGXCPU
from messages.script import CallEnded, CallRequested, CallStarted, ScriptEvent, ScriptPrinted, ScriptPumped, Settled
from tests.actors.sandbox_pool.stage import PLAYS, InProcessEngine, InProcessWorker, Show, limited, play

BRANCHES = """
const began = Date.now()
const seen: any[] = [Math.random()]
const branch = async (name: string, ms: number) => {
  const first = await tools.slow({ name, ms })
  seen.push([name, Date.now() - began, Math.random()])
  const second = await tools.echo({ name, first: first.ms, draw: Math.random() })
  seen.push(second.draw)
  console.log(name, Date.now() - began)
}
await Promise.all([branch('a', 300), branch('b', 100), branch('c', 200)])
await new Promise(r => setTimeout(r, 50))
try { await tools.fail({ code: 'odd' }) } catch (e: any) { seen.push(e.code) }
return seen
"""


async def test_a_whole_log_is_followed_without_a_single_call(autojump_clock: MockClock) -> None:
    first = await play(BRANCHES)
    second = await play(BRANCHES, log=tuple(first.events), seed=99)
    assert second.value == first.value
    assert second.tools.begun == []
    assert second.events == [], "it was all told before"
    assert second.outcome.calls == first.outcome.calls


async def test_every_prefix_of_a_log_leads_to_one_outcome_per_call(autojump_clock: MockClock) -> None:
    first = await play(BRANCHES)
    for length in range(len(first.events)):
        log = tuple(first.events[:length])
        again = await play(BRANCHES, log=log)
        check_replay(log, again)


def check_replay(log: tuple[ScriptEvent, ...], again: Show) -> None:
    """Nothing that had started is begun again, and old and new events together are one consistent ledger."""
    assert again.outcome.status != "diverged", again.outcome
    started = {event.number for event in log if isinstance(event, CallStarted)}
    requested = {event.number: event.name for event in log if isinstance(event, CallRequested)}
    restarted = {event.number for event in again.events if isinstance(event, CallStarted)} & started
    assert all(requested[number].startswith("idempotent") for number in restarted)
    ledger = [*log, *again.events]
    asked = [event.number for event in ledger if isinstance(event, CallRequested)]
    ended = [event.number for event in ledger if isinstance(event, CallEnded)]
    assert asked == list(range(1, len(asked) + 1))
    assert sorted(ended) == asked == [call.number for call in again.outcome.calls]
    settled = [each for event in ledger if isinstance(event, ScriptPumped) for each in event.settled]
    assert len(settled) == len(set(settled))
    assert tuple(event for event in ledger if isinstance(event, ScriptPrinted)) == again.outcome.console


async def test_what_had_started_and_not_ended_is_unknown(autojump_clock: MockClock) -> None:
    source = "try { return await tools.slow({ ms: 10 }) } catch (e: any) { return [e.code, e.retryable] }"
    first = await play(source)
    log = tuple(event for event in first.events if not isinstance(event, CallEnded | ScriptPumped))
    again = await play(source, log=log)
    assert again.value == ["unknown", False]
    assert [(call.outcome, call.started) for call in again.outcome.calls] == [("unknown", True)]
    assert again.tools.begun == []


@pytest.mark.parametrize("lost_after", [0, 1])
async def test_a_replay_that_is_cut_off_tells_of_its_past_what_is_known_of_it(
    autojump_clock: MockClock, lost_after: int
) -> None:
    """Its worker is lost twice, before or after it has asked for its first call again."""
    source = "await tools.echo({}); await tools.idempotentSlow({}); await tools.slow({ ms: 10 })"
    first = await play(source)
    log = tuple(
        event
        for event in first.events
        if not (isinstance(event, CallEnded) and event.number > 1)
        and not (isinstance(event, CallStarted) and event.number == 2)
        and not (isinstance(event, ScriptPumped) and event.settled != (Settled(kind="call", number=1),))
    )
    again = await play(source, log=log, engine=LosesWorkers(after=lost_after))
    assert again.failure == ("harness", "crashed", 0)
    assert [(call.outcome, call.started) for call in again.outcome.calls] == [
        ("done", True),
        ("cancelled", False),
        ("unknown", True),
    ]
    assert again.tools.begun == []
    assert [event.number for event in again.events if isinstance(event, CallEnded)] == [3, 2], "each ends once"


class LosesWorkers(InProcessEngine):
    """Each dies when it is given a frame after so many."""

    def __init__(self, *, after: int) -> None:
        super().__init__()
        self._after = after

    async def worker(self) -> InProcessWorker:
        worker = await super().worker()
        give, given = worker.send, 0

        async def send(frame: bytes) -> None:
            nonlocal given
            self.deaths = int(given == self._after)
            given += 1
            await give(frame)

        worker.send = send  # type: ignore[method-assign] # a played worker, played otherwise
        return worker


async def test_an_idempotent_call_is_started_again(autojump_clock: MockClock) -> None:
    source = "return await tools.idempotentSlow({ ms: 10 })"
    first = await play(source)
    log = tuple(event for event in first.events if not isinstance(event, CallEnded | ScriptPumped))
    again = await play(source, log=log)
    assert again.value == {"ms": 10}
    assert again.tools.begun == [("idempotentSlow", {"ms": 10})]


async def test_what_was_only_asked_for_is_started(autojump_clock: MockClock) -> None:
    source = "return await tools.echo({ a: 1 })"
    first = await play(source)
    log = tuple(event for event in first.events if not isinstance(event, CallStarted | CallEnded | ScriptPumped))
    again = await play(source, log=log)
    assert again.value == {"a": 1}
    assert again.tools.begun == [("echo", {"a": 1})]


async def test_its_clock_goes_on_where_it_was(autojump_clock: MockClock) -> None:
    source = "await tools.slow({ ms: 20000 }); return await tools.slow({ ms: 20000 })"
    first = await play(source)
    assert first.failure == ("limit", "time", 0)
    log = tuple(
        event for event in first.events if not (isinstance(event, CallStarted | CallEnded) and event.number == 2)
    )
    began = trio.current_time()
    again = await play(source, log=log)
    assert again.failure == ("limit", "time", 0)
    assert trio.current_time() - began == pytest.approx(10)


@pytest.mark.parametrize(
    "other",
    [
        "return await tools.echo({ a: 2 })",
        "return await tools.slow({ a: 1 })",
        "await tools.echo({ a: 1 }); await tools.echo({ a: 1 })",
        "return 1",
    ],
)
async def test_another_program_is_not_run(autojump_clock: MockClock, other: str) -> None:
    first = await play("return await tools.echo({ a: 1 })")
    again = await play(other, log=tuple(first.events))
    assert again.outcome.status == "diverged"
    assert again.tools.begun == []
    assert [call.outcome for call in again.outcome.calls] == ["done"]


async def test_a_program_that_does_not_repeat_itself_is_stopped(autojump_clock: MockClock) -> None:
    """The log is changed instead, since a script has no way to behave differently."""
    first = await play("await tools.echo({ a: 1 }); return await tools.slow({ ms: 5 })")
    for name, changed in (
        (
            "arguments",
            [msgspec.structs.replace(e, arguments="{}") if isinstance(e, CallRequested) else e for e in first.events],
        ),
        ("line", [msgspec.structs.replace(e, line=9) if isinstance(e, CallRequested) else e for e in first.events]),
        ("missing", [e for e in first.events if not isinstance(e, CallRequested)]),
    ):
        again = await play("await tools.echo({ a: 1 }); return await tools.slow({ ms: 5 })", log=tuple(changed))
        assert (name, again.outcome.status, again.tools.begun) == (name, "diverged", [])


WAITING = """
const began = Date.now()
await new Promise(r => setTimeout(r, 50))
const first = await tools.slow({ ms: 10, at: Date.now() - began }).catch((e: any) => e.code)
await new Promise(r => setTimeout(r, 50))
return [first, Date.now() - began, await tools.echo({ draw: Math.random() })]
"""


async def lose_a_worker(engine: InProcessEngine, log: tuple[ScriptEvent, ...]) -> Show:
    """Over the second thing that the script is told in this life."""
    pumps = 0

    def hear(event: ScriptEvent) -> None:
        nonlocal pumps
        pumps += isinstance(event, ScriptPumped)
        engine.deaths = int(isinstance(event, ScriptPumped) and pumps == (2 if log else 1))

    return await play(WAITING, log=log, engine=engine, on_event=hear)


async def test_a_worker_that_is_replaced_is_taken_the_way_that_the_log_has(autojump_clock: MockClock) -> None:
    engine = InProcessEngine()
    first = await lose_a_worker(engine, ())
    assert (engine.workers, first.outcome.status) == (2, "returned")
    check_replay((), first)
    again = await play(WAITING, log=tuple(first.events))
    assert (again.value, again.tools.begun) == (first.value, [])


async def test_a_worker_that_is_replaced_in_a_replay_is_told_of_nothing_twice(autojump_clock: MockClock) -> None:
    whole = await play(WAITING)
    begun = next(at for at, event in enumerate(whole.events) if isinstance(event, CallStarted)) + 1
    log = tuple(whole.events[:begun])
    engine = InProcessEngine()
    second = await lose_a_worker(engine, log)
    assert (engine.workers, second.value[0]) == (2, "unknown")
    check_replay(log, second)
    third = await play(WAITING, log=(*log, *second.events))
    assert (third.value, third.tools.begun) == (second.value, [])


# --- random programs --------------------------------------------------------------------------------------------------

_CALLS = st.sampled_from(
    [
        *("tools.echo({ i })", "tools.slow({ ms: 30, i })", "tools.slow({ ms: 70 })", "tools.fail({})"),
        *("tools.forever({})", "tools.approve({ ms: 40 })", "tools.idempotentSlow({ ms: 20 })", "after(15)"),
    ]
)


def _compose(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(parts, min_size=1, max_size=4).map(", ".join)
    return st.one_of(
        several.map(lambda inner: f"Promise.all([{inner}])"),
        several.map(lambda inner: f"Promise.race([{inner}])"),
        several.map(lambda inner: f"Promise.allSettled([{inner}])"),
        several.map(lambda inner: f"Promise.any([{inner}])"),
        parts.map(lambda inner: f"({inner}).then(() => tools.echo({{}}))"),
        parts.map(lambda inner: f"({inner}).catch(() => 0)"),
    )


_STATEMENTS = st.one_of(
    st.recursive(_CALLS, _compose, max_leaves=5).flatmap(
        lambda call: st.sampled_from(
            [f"await {call}", call, f"try {{ await {call} }} catch {{}}", f"log(await {call})"]
        )
    ),
    st.sampled_from(["log(Math.random(), Date.now())", "if (i > 2) throw new Error('x')", "if (i > 1) return i"]),
)
PROGRAMS = st.lists(_STATEMENTS, min_size=1, max_size=5).map(
    lambda statements: "\n".join(
        [
            "const after = (ms: number) => new Promise<void>(r => setTimeout(r, ms)); const log = console.log; let i = 0",
            *(f"i++; {statement};" for statement in statements),
        ]
    )
)


def virtually(source: str, **options: Any) -> Show:
    async def main() -> Show:
        return await play(source, limits=limited(wall_seconds=0.5, calls=12, calls_at_once=3), **options)

    return trio.run(main, clock=MockClock(autojump_threshold=0))


@settings(deadline=None, max_examples=25)
@given(PROGRAMS)
def test_at_the_end_nothing_runs_and_every_call_has_one_outcome(source: str) -> None:
    show = virtually(source)
    check_replay((), show)
    assert show.tools.running == 0
    assert len(show.tools.begun) == len(show.tools.finished) <= sum(call.started for call in show.outcome.calls)
    assert show.tools.most <= 3
    assert show.outcome.status != "crashed"


@settings(deadline=None, max_examples=20)
@given(PROGRAMS, st.data())
def test_wherever_it_was_cut_a_replay_runs_nothing_twice(source: str, data: st.DataObject) -> None:
    first = virtually(source)
    log = tuple(first.events[: data.draw(st.integers(0, len(first.events)))])
    again = virtually(source, log=log)
    check_replay(log, again)
    assert again.tools.running == 0


def test_the_constants_are_the_kernels() -> None:
    import signal

    assert SIGXCPU == signal.SIGXCPU
    assert set(PLAYS) >= {"echo", "slow"}
