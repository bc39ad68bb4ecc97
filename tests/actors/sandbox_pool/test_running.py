"""What a script can rely on: calls, promises, timers, errors, limits, and how it ends. In virtual time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.sandbox_pool.running import Cancellation
from messages.script import (
    CallEnded,
    CallRequested,
    CallStarted,
    ScriptPrinted,
    ScriptProgressed,
    ScriptPumped,
    ScriptStarted,
    Settled,
)
from tests.actors.sandbox_pool.stage import InProcessEngine, Show, limited, play


def calls(show: Show) -> list[tuple[str, str, bool]]:
    """Name, outcome, orphaned."""
    return [(call.name, call.outcome, call.orphaned) for call in show.outcome.calls]


# --- calls and promises -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("above", ["", "\n\n"], ids=["on the first line", "further down"])
@pytest.mark.parametrize(
    ("source", "column"),
    [
        ("const t = await tools.echo({ a: 1 })", 23),
        ("  tools.echo()", 9),
        ("'ä€😀'; tools.echo()", 14),
        ("const größe = 1; tools.echo()", 24),
    ],
)
async def test_a_calls_column_is_the_authors_own(
    autojump_clock: MockClock, above: str, source: str, column: int
) -> None:
    show = await play(above + source)
    (call,) = show.outcome.calls
    assert (call.line, call.column) == (1 + len(above), column)


@pytest.mark.parametrize("above", ["", "\n\n"], ids=["on the first line", "further down"])
async def test_a_mistakes_column_is_the_authors_own(autojump_clock: MockClock, above: str) -> None:
    for source, column in (("'ä'; throw new Error('x')", 16), ("'ä'; break;", 11)):
        failure = (await play(above + source)).outcome.failure
        assert failure is not None
        assert (failure.line, failure.column) == (1 + len(above), column), source


async def test_a_call_is_awaited_and_its_result_returned(autojump_clock: MockClock) -> None:
    show = await play("const r: any = await tools.echo({ a: [1, 'é'] });\nreturn r.a")
    assert show.value == [1, "é"]
    assert show.tools.begun == [("echo", {"a": [1, "é"]})]


async def test_every_step_is_told_in_its_order(autojump_clock: MockClock) -> None:
    show = await play("console.log('hi')\nconst r = await tools.echo({})\nreturn r")
    started, *rest = show.events
    assert isinstance(started, ScriptStarted)
    requested = CallRequested(number=1, name="echo", arguments="{}", line=2, column=23)
    clock_ms = 1_700_000_000_000
    assert [event for event in rest if not isinstance(event, CallEnded)] == [
        ScriptPrinted(level="log", text="hi", line=1),
        requested,
        CallStarted(number=1),
        ScriptPumped(clock_ms=clock_ms, settled=(Settled(kind="call", number=1),), spent_seconds=0.0),
    ]


async def test_eight_run_at_once_and_the_others_wait(autojump_clock: MockClock) -> None:
    show = await play(
        "return (await Promise.all(Array.from({ length: 20 }, (_, i) => tools.slow({ ms: 100, i })))).map(r => r.i)"
    )
    assert show.value == list(range(20))
    assert show.tools.most == 8
    assert trio.current_time() == pytest.approx(0.3)


async def test_the_loser_of_a_race_is_cancelled_and_named(autojump_clock: MockClock) -> None:
    show = await play("return await Promise.race([tools.slow({ ms: 10 }), tools.forever({})])")
    assert show.value == {"ms": 10}
    assert calls(show) == [("slow", "done", False), ("forever", "cancelled", True)]
    assert trio.current_time() == pytest.approx(0.26)


async def test_what_was_not_awaited_gets_the_grace_to_end(autojump_clock: MockClock) -> None:
    show = await play("tools.slow({ ms: 200 }); tools.slow({ ms: 300 }); return 1")
    assert calls(show) == [("slow", "done", True), ("slow", "cancelled", True)]
    assert show.tools.running == 0


async def test_what_has_not_begun_when_the_script_ends_does_not_begin(autojump_clock: MockClock) -> None:
    show = await play("for (let i = 0; i < 10; i++) tools.slow({ ms: 100 }); return 1")
    assert [call.started for call in show.outcome.calls] == [True] * 8 + [False] * 2
    assert len(show.tools.begun) == 8


async def test_any_all_and_allsettled(autojump_clock: MockClock) -> None:
    show = await play("return await Promise.any([tools.fail({}), tools.slow({ ms: 5 })])")
    assert show.value == {"ms": 5}
    show = await play("return (await Promise.allSettled([tools.fail({}), tools.echo({})])).map(r => r.status)")
    assert show.value == ["rejected", "fulfilled"]
    show = await play("await Promise.all([tools.forever({}),\n tools.fail({})])")
    assert show.outcome.status == "threw"
    assert show.failure == ("tool", "tool_failed", 2)
    assert calls(show) == [("forever", "cancelled", True), ("fail", "failed", False)]


async def test_a_script_that_nothing_can_wake_is_deadlocked_at_once(autojump_clock: MockClock) -> None:
    show = await play("await new Promise(() => {})")
    assert (show.outcome.status, show.failure) == ("deadlocked", ("deadlock", "deadlock", 0))
    show = await play("await tools.slow({ ms: 40 }); await { then() {} }")
    assert show.outcome.status == "deadlocked"
    assert trio.current_time() == pytest.approx(0.04)


async def test_timers_fire_in_their_order_and_can_be_cleared(autojump_clock: MockClock) -> None:
    show = await play(
        """
        const order: number[] = []
        const after = (ms: number) => new Promise<void>(r => setTimeout(() => { order.push(ms); r() }, ms))
        clearTimeout(setTimeout(() => order.push(-1), 5))
        const began = Date.now()
        await Promise.all([after(300), after(100), after(200)])
        return { order, took: Date.now() - began }
        """
    )
    assert show.value == {"order": [100, 200, 300], "took": 300}


async def test_a_timer_that_throws_ends_the_script(autojump_clock: MockClock) -> None:
    show = await play("setTimeout(() => { throw new TypeError('late') }, 10)\nawait tools.forever({})")
    assert show.failure == ("script", "exception", 1)


# --- errors -----------------------------------------------------------------------------------------------------------


async def test_a_tools_error_is_an_object_to_decide_by(autojump_clock: MockClock) -> None:
    show = await play(
        """
        try { await tools.fail({ code: 'not_found', message: 'no such file' }) }
        catch (e: any) {
          return [e instanceof ToolError, e.name, e.code, e.message, e.retryable, e.tool, e.callId, e.stack]
        }
        """
    )
    assert show.value == [
        *(True, "ToolError", "not_found", "no such file", False, "fail", "s1:1"),
        "    at script (2:27)\n",
    ]


async def test_an_uncaught_error_names_its_line_and_its_call(autojump_clock: MockClock) -> None:
    show = await play("const f = async () => {\n  await tools.fail({})\n}\n\nawait f()")
    failure = show.outcome.failure
    assert failure is not None
    assert (failure.kind, failure.code, failure.line, failure.call) == ("tool", "tool_failed", 2, 1)
    show = await play("const f = () => {\n  null.x\n}\nf()")
    failure = show.outcome.failure
    assert failure is not None
    assert [(frame.function, frame.line, frame.column) for frame in failure.stack] == [("f", 2, 3), ("script", 4, 1)]


@pytest.mark.parametrize(
    ("source", "failure"),
    [
        ("return 1 +", ("syntax", "syntax", 1)),
        ("const a = 1\nenum E { A }", ("syntax", "typescript", 2)),
        ("\nimport('fs')", ("syntax", "forbidden", 2)),
        ("let a = 1; let a = 2", ("syntax", "syntax", 1)),
        ("x" * 20481, ("syntax", "too_large", 0)),
        ("await tools.nope({})", ("tool", "tool_not_found", 1)),
        ("await tools.echo({ a: 1n })", ("tool", "invalid_arguments", 1)),
        ("const a: any = {}; a.a = a; await tools.echo(a)", ("tool", "invalid_arguments", 1)),
        ("for (;;) tools.echo({})", ("limit", "limit", 1)),
        ("return 'é'.repeat(70000)", ("limit", "return_value", 0)),
        ("return 'a'.repeat(140000)", ("script", "exception", 0)),
        ("const f = () => f() + 1; f()", ("limit", "stack", 0)),
        ("throw {}", ("script", "exception", 0)),
        ("throw null", ("script", "exception", 0)),
        ("throw { get message() { throw 1 } }", ("script", "exception", 0)),
        ("await Promise.any([Promise.reject(1)])", ("script", "exception", 1)),
        ("return 1n", ("script", "exception", 0)),
    ],
)
async def test_a_failure_has_a_kind_a_code_and_a_line(
    autojump_clock: MockClock, source: str, failure: tuple[str, str, int]
) -> None:
    assert (await play(source)).failure == failure


async def test_a_tool_that_is_not_there_names_those_that_are(autojump_clock: MockClock) -> None:
    show = await play("await tools.nope({})")
    assert show.outcome.failure is not None
    assert "echo, slow, forever" in show.outcome.failure.message
    assert show.outcome.calls == ()


# --- limits -----------------------------------------------------------------------------------------------------------


async def test_the_clock_ends_a_script_and_cancels_its_calls(autojump_clock: MockClock) -> None:
    show = await play("await tools.forever({})")
    assert (show.outcome.status, show.failure) == ("exceeded", ("limit", "time", 0))
    assert calls(show) == [("forever", "cancelled", True)]
    assert trio.current_time() == pytest.approx(30)


async def test_the_clock_stands_still_while_everything_waits_for_a_person(autojump_clock: MockClock) -> None:
    show = await play("return await tools.approve({ ms: 3600000 })")
    assert show.value == "approved"
    assert show.outcome.wall_seconds == pytest.approx(0.5)


async def test_the_clock_goes_on_when_anything_else_is_outstanding(autojump_clock: MockClock) -> None:
    show = await play("await Promise.all([tools.approve({ ms: 3600000 }), tools.forever({})])")
    assert show.failure == ("limit", "time", 0)
    show = await play("setTimeout(() => {}, 1e9); await tools.approve({ ms: 3600000 })")
    assert show.failure == ("limit", "time", 0)


async def test_siblings_run_on_while_one_waits_for_a_person(autojump_clock: MockClock) -> None:
    show = await play(
        "const a = tools.approve({ ms: 60000 })\n"
        "return [await tools.slow({ ms: 10 }), await a, context.approvals.lastRequestId]"
    )
    assert show.value == [{"ms": 10}, "approved", "request-1"]


async def test_a_denial_can_be_caught_and_is_a_matter_of_approval_otherwise(autojump_clock: MockClock) -> None:
    show = await play("try { await tools.approve({ no: true }) } catch (e: any) { return e.code }")
    assert show.value == "denied"
    show = await play("await tools.approve({ no: true })")
    assert show.failure == ("approval", "denied", 1)
    assert calls(show) == [("approve", "denied", False)]


async def test_the_console_is_bounded(autojump_clock: MockClock) -> None:
    show = await play("for (let i = 0; i < 100; i++) console.log(i, { a: i }, new Error('x'), undefined)\nreturn 1")
    assert [line.text for line in show.outcome.console[:2]] == [
        '0 {"a":0} Error: x undefined',
        '1 {"a":1} Error: x undefined',
    ]
    assert len(show.outcome.console) == 50
    show = await play("for (let i = 0; i < 9; i++) console.log('x'.repeat(5000))")
    assert sum(len(line.text) for line in show.outcome.console) == 8192


async def test_progress_is_told_at_most_twice_a_second_and_the_latest_counts(autojump_clock: MockClock) -> None:
    source = (
        "for (let i = 0; i < 12; i++) { context.telemetry.emitProgress(`step ${i}`); await tools.slow({ ms: 70 }) }"
    )
    show = await play(source)
    said = [event.text for event in show.events if isinstance(event, ScriptProgressed)]
    assert said == ["step 0", "step 7", "step 11"]


async def test_memory_is_bounded_and_what_was_printed_before_is_kept(autojump_clock: MockClock) -> None:
    show = await play("console.log('before'); const a: any[] = []; for (;;) a.push(new Uint8Array(1e6))")
    assert (show.outcome.status, show.failure[:2]) == ("exceeded", ("limit", "memory"))
    assert [line.text for line in show.outcome.console] == ["before"]


async def test_processor_time_is_bounded(autojump_clock: MockClock) -> None:
    show = await play("console.log('before')\nfor (;;);", limits=limited(cpu_seconds=0.1))
    assert (show.outcome.status, show.failure[:2]) == ("exceeded", ("limit", "cpu"))
    assert [line.text for line in show.outcome.console] == ["before"]


async def test_catching_the_interrupt_and_going_on_does_not_help(autojump_clock: MockClock) -> None:
    source = (
        "const f = async () => { for (;;); }\nfor (;;) { try { await f() } catch { for (;;); } finally { await f() } }"
    )
    show = await play(source, limits=limited(cpu_seconds=0.1))
    assert show.failure[:2] == ("limit", "cpu")


# --- cancelling -------------------------------------------------------------------------------------------------------


async def test_cancelling_ends_the_calls_and_still_reports(autojump_clock: MockClock) -> None:
    cancellation = Cancellation()
    async with trio.open_nursery() as nursery:

        async def interrupt() -> None:
            await trio.sleep(1)
            cancellation.cancel("the turn was interrupted")

        nursery.start_soon(interrupt)
        show = await play("await tools.slow({ ms: 10 }); await tools.forever({})", cancellation=cancellation)
    assert show.failure == ("cancelled", "cancelled", 0)
    assert calls(show) == [("slow", "done", False), ("forever", "cancelled", True)]


async def test_a_call_that_takes_long_to_end_is_waited_for(autojump_clock: MockClock) -> None:
    async def stubborn(arguments: Any, gate: object) -> object:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)

    show = await play("tools.stubborn({}); return 1", plays={"stubborn": stubborn})
    assert calls(show) == [("stubborn", "cancelled", True)]
    assert show.outcome.calls[0].seconds == pytest.approx(5.25)


async def test_what_a_call_says_although_it_was_cancelled_counts(autojump_clock: MockClock) -> None:
    async def prompt(arguments: Any, gate: object) -> object:
        with trio.CancelScope() as scope:
            scope.shield = True
            await trio.sleep(0.4)
        return "done after all"

    show = await play("tools.prompt({}); return 1", plays={"prompt": prompt})
    assert calls(show) == [("prompt", "done", True)]


async def test_cancelled_from_outside_it_leaves_nothing(autojump_clock: MockClock) -> None:
    engine = InProcessEngine()
    with trio.move_on_after(1):
        await play("await tools.forever({})", engine=engine)
    assert trio.current_time() == pytest.approx(1)
    assert engine.open == set()


# --- the worker -------------------------------------------------------------------------------------------------------


async def test_a_worker_lost_before_the_first_call_is_replaced_once(autojump_clock: MockClock) -> None:
    engine = InProcessEngine()
    engine.deaths = 1
    show = await play("console.log('once'); return await tools.echo(1)", engine=engine)
    assert show.value == 1
    assert engine.workers == 2
    assert [line.text for line in show.outcome.console] == ["once"]
    engine.deaths = 2
    show = await play("return 1", engine=engine)
    assert show.outcome.status == "crashed"
    assert show.outcome.failure is not None
    assert show.outcome.failure.retryable


async def test_a_worker_lost_after_a_call_has_started_is_not_replaced(autojump_clock: MockClock) -> None:
    engine = InProcessEngine()

    def after_first(event: object) -> None:
        if isinstance(event, CallEnded):
            engine.deaths = 1

    show = await play("await tools.echo({}); await tools.echo({})", engine=engine, on_event=after_first)
    assert show.outcome.status == "crashed"
    assert show.outcome.failure is not None
    assert not show.outcome.failure.retryable
    assert show.tools.begun == [("echo", {})]


def forged(**changes: object) -> bytes:
    return msgspec.json.encode({"state": "running", "outcome": None, "asked": [], **changes})


CALL = {"type": "call", "number": 1, "tool": "echo", "arguments": "{}", "stack": ""}


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"null",
        b"[" * 100_000,
        b'{"state":"running","outcome":' + b"[" * 100_000 + b',"asked":[]}',
        b'{"state":"returned","outcome":"\xff","asked":[]}',
        forged(state="admin"),
        forged(extra=1),
        forged(state="returned", outcome={"a": 1}),
        forged(state="threw", outcome="x"),
        forged(state="exceeded", outcome=1),
        forged(asked=[{"type": "exec"}]),
        forged(asked=[{**CALL, "tool": "t_echo"}]),
        forged(asked=[{**CALL, "tool": "rm"}]),
        forged(asked=[{**CALL, "number": 2}]),
        forged(asked=[{**CALL, "number": 0}]),
        forged(asked=[{**CALL, "number": -(2**70)}]),
        forged(asked=[CALL, CALL]),
        forged(asked=[{**CALL, "number": i + 1} for i in range(101)]),
        forged(asked=[{**CALL, "arguments": "x" * 300_000}]),
        forged(asked=[{"type": "timer", "number": 1, "milliseconds": -1}]),
        forged(asked=[{"type": "timer", "number": 7, "milliseconds": 1}]),
        forged(asked=[{"type": "line", "level": "log", "text": "x"}] * 51),
        forged(asked=[{"type": "line", "level": "log", "text": "x" * 9000}]),
        forged(asked=[{"type": "line", "level": "shout", "text": "x"}]),
        forged(asked=[{"type": "progress", "text": "x"}] * 51),
    ],
)
async def test_a_forged_frame_ends_the_script_and_nothing_else(autojump_clock: MockClock, frame: bytes) -> None:
    engine = InProcessEngine()
    engine.forge = lambda _: frame
    show = await play("return 1", engine=engine)
    assert show.outcome.status == "crashed"
    assert engine.open == set()
    assert all(call.outcome in ("cancelled", "done") for call in show.outcome.calls)
