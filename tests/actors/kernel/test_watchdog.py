from __future__ import annotations

import functools
import threading
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from actors.kernel import Children, Context
from actors.kernel.lag import SMALLEST_SECONDS, LagHistogram, LagReport
from actors.kernel.watchdog import BEAT_SECONDS, KEPT_BLOCKS, WATCHDOG, GetLag, LagView, LoopWatchdog, _Catcher
from actors.ports.threads import T, Ts
from tests.actors.kernel.support import new_system


class VirtualClock:
    """The clock port on trio's clock, plus time that passes while the loop is blocked."""

    def __init__(self) -> None:
        self.blocked = 0.0

    def now(self) -> float:
        return self.monotonic()

    def monotonic(self) -> float:
        return trio.current_time() + self.blocked


class NoThreads:
    async def run(self, work: Callable[[*Ts], T], *args: *Ts, limiter: trio.CapacityLimiter | None = None) -> T:
        raise AssertionError("the watchdog needs no thread unless it is to catch blocks")


async def ask_watchdog(ctx: Context) -> LagView:
    return await ctx.directory.address(WATCHDOG).ask(GetLag(), LagView)


async def test_it_measures_how_late_the_loop_is_and_keeps_the_last_window(autojump_clock: MockClock) -> None:
    root = Context(new_system(), "root")
    clock = VirtualClock()
    root.directory.expect(WATCHDOG)
    async with Children(root) as children:
        children.start("watchdog", LoopWatchdog(clock=clock, threads=NoThreads()).run)
        calm = await ask_watchdog(root)
        assert calm == LagView(now=LagReport(samples=1, p50=0, p95=0, p99=0, max=0), last=None, blocks=())
        await trio.sleep(BEAT_SECONDS / 2)
        clock.blocked += 0.5
        late = await ask_watchdog(root)
        assert late.now.samples == 2
        assert late.now.max == pytest.approx(0.5)
        await trio.sleep(60)
        view = await ask_watchdog(root)
        assert view.last is not None
        assert (view.last.samples, view.last.p99) == (600, SMALLEST_SECONDS)
        assert view.last.max == pytest.approx(0.5)
        children.cancel()


def test_percentiles_are_right_within_a_bucket() -> None:
    histogram = LagHistogram()
    for seconds in [0.001] * 90 + [0.1] * 9 + [1.0]:
        histogram.add(seconds)
    report = histogram.report()
    assert report.samples == 100
    assert report.p50 == pytest.approx(0.001, rel=0.42)
    assert report.p95 == pytest.approx(0.1, rel=0.42)
    assert report.p99 == pytest.approx(0.1, rel=0.42)
    assert report.max == 1.0


def test_an_empty_histogram_and_one_beyond_its_last_bucket_have_percentiles() -> None:
    histogram = LagHistogram()
    assert histogram.report() == LagReport(samples=0, p50=0, p95=0, p99=0, max=0)
    histogram.add(-1)
    histogram.add(1e6)
    assert histogram.percentile(0.5) == 0.0001
    assert histogram.report().max == 1e6


class ScriptedBeats:
    """Stands in for the event that both threads share: each answer is one wait, True for a beat in time."""

    def __init__(self, answers: list[bool], then: Callable[[], None]) -> None:
        self.answers = answers
        self.then = then

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is None:
            return True
        answer = self.answers.pop(0)
        if not self.answers:
            self.then()
        return answer

    def clear(self) -> None: ...


async def test_the_catching_thread_takes_one_stack_per_missed_beat_and_none_while_the_loop_is_in_time() -> None:
    catcher = _Catcher(threading.get_ident())
    answers = [True, False, True, False, False, True, True]
    beats = ScriptedBeats(answers, then=functools.partial(setattr, catcher, "_stopping", True))
    catcher.beat = beats  # type: ignore[assignment]  # the script stands in for a threading.Event
    catcher.watch()
    assert len(catcher.blocks) == 3
    assert catcher.blocks.maxlen == KEPT_BLOCKS
    assert "_Catcher.watch" in catcher.blocks[0].stack[-1], "here the watching thread is the watched one"


async def test_a_catching_watchdog_ends_its_thread_when_it_is_cancelled() -> None:
    """A real thread; nothing waits for time: the thread's end is what the block waits for."""
    root = Context(new_system(), "root")

    class RealThreads:
        async def run(self, work: Callable[[*Ts], T], *args: *Ts, limiter: trio.CapacityLimiter | None = None) -> T:
            return await trio.to_thread.run_sync(work, *args)

    with trio.fail_after(5):
        async with Children(root) as children:
            children.start("watchdog", LoopWatchdog(clock=VirtualClock(), threads=RealThreads(), catch=True).run)
            await trio.testing.wait_all_tasks_blocked()
            children.cancel()
    assert root.last_failure is None
    assert not root.system.reports.recent
