"""Measuring small things on a machine that others use too.

Rules
1. What is compared is measured in turns, in one run: a *round* takes one sample of every case. So whatever disturbs the
   machine disturbs all of them.
2. A ratio is the median of the ratios within the rounds, not a ratio of medians.
3. A sample is long against the clock's resolution (`SAMPLE_SECONDS`); how many units of work that takes is found out
   beforehand, which also warms everything up.
4. Time is the CPU time of the measuring thread unless a suite says "wall": then waiting (a disk) is what it is about.
5. The garbage collector stays on, as in the daemon; what earlier cases left is collected between samples.

Rejected: the best of many runs (hides what the collector and the allocator cost), `timeit` (collector off), averages
(one disturbed sample spoils them).
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter, thread_time
from typing import Literal

import msgspec
import trio

SAMPLE_SECONDS = 0.02
"""Of one sample: 20 ticks of a 1 ms scheduler; a preemption in it weighs little."""

ROUNDS = 15
"""Enough for quartiles that mean something; with a handful of cases a suite then takes some two seconds."""

QUICK_ROUNDS = 5

MAX_UNITS = 1 << 24
"""So that a case that does nothing cannot double its work for ever."""

ClockName = Literal["cpu", "wall"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way to do the work. ``run(units)`` does that many units and returns the seconds it took."""

    name: str
    run: Callable[[int], float]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """One claim. The first case is the baseline; ``unit`` names what is counted ("message", "delta")."""

    name: str
    claim: str
    unit: str
    cases: tuple[Case, ...]
    clock: ClockName = "cpu"


class CaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """Microseconds per unit of work over all rounds, and how many times cheaper than the baseline it is."""

    name: str
    median_us: float
    low_us: float
    """First quartile."""
    high_us: float
    """Third quartile."""
    times_cheaper: float
    units_per_sample: int
    samples: int


class SuiteResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one suite; the first case is the baseline."""

    name: str
    claim: str
    unit: str
    clock: ClockName
    cases: tuple[CaseResult, ...]


def timed(work: Callable[[int], object]) -> Callable[[int], float]:
    """``work(units)`` by the CPU clock of this thread."""

    def run(units: int) -> float:
        started = thread_time()
        work(units)
        return thread_time() - started

    return run


def timed_async(work: Callable[[int], Awaitable[object]]) -> Callable[[int], float]:
    """``work(units)`` inside a trio run of its own, whose start and end are not counted."""

    async def measure(units: int) -> float:
        await trio.lowlevel.checkpoint()
        started = thread_time()
        await work(units)
        return thread_time() - started

    def run(units: int) -> float:
        return trio.run(measure, units)

    return run


def timed_wall(work: Callable[[int], object]) -> Callable[[int], float]:
    """``work(units)`` by the clock on the wall: for suites that say so."""

    def run(units: int) -> float:
        started = perf_counter()
        work(units)
        return perf_counter() - started

    return run


def measure(suite: Suite, *, rounds: int = ROUNDS, sample_seconds: float = SAMPLE_SECONDS) -> SuiteResult:
    """Run a suite."""
    units = [_units_for(case, sample_seconds) for case in suite.cases]
    samples: list[list[float]] = [[] for _ in suite.cases]
    for number in range(rounds):
        order = range(len(suite.cases))
        for place in order if number % 2 == 0 else reversed(order):
            gc.collect()
            samples[place].append(suite.cases[place].run(units[place]) / units[place])
    baseline = samples[0]
    return SuiteResult(
        name=suite.name,
        claim=suite.claim,
        unit=suite.unit,
        clock=suite.clock,
        cases=tuple(
            _summary(case, taken, baseline, count)
            for case, taken, count in zip(suite.cases, samples, units, strict=True)
        ),
    )


def _units_for(case: Case, sample_seconds: float) -> int:
    """How much work makes a sample. First runs are slow (imports, caches), so each size is tried after a smaller."""
    units = 1
    while (seconds := case.run(units)) < sample_seconds and units < MAX_UNITS:
        grow = sample_seconds / seconds if seconds > 0 else 10.0
        units = max(units + 1, int(units * min(grow * 1.05, 10.0)))
    return units


def _summary(case: Case, taken: Sequence[float], baseline: Sequence[float], units: int) -> CaseResult:
    low, median, high = statistics.quantiles(taken, n=4, method="inclusive")
    ratios = [base / own for base, own in zip(baseline, taken, strict=True)]
    return CaseResult(
        name=case.name,
        median_us=median * 1e6,
        low_us=low * 1e6,
        high_us=high * 1e6,
        times_cheaper=statistics.median(ratios),
        units_per_sample=units,
        samples=len(taken),
    )
