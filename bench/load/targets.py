"""What the daemon promises (DESIGN §9), beside what came out. A target is for a quiet machine with two cores."""

from __future__ import annotations

from typing import Literal

import msgspec


class Target(msgspec.Struct, frozen=True):
    """One figure: where it stands in the results, what it should be, and what the Rust app-server needs."""

    figure: str
    words: str
    unit: str
    sense: Literal["at most", "at least"]
    value: float | None
    rust: float | None


TARGETS = (
    Target("startup.first_answer_ms", "start to first answer, used home", "ms", "at most", 200, 61),
    Target("threads.start_cpu_ms", "thread/start, CPU", "ms", "at most", 1, 26),
    Target("threads.start_p50_ms", "thread/start, p50", "ms", "at most", None, 48),
    Target("threads.idle_kb", "memory per idle thread", "KB", "at most", 40, 940),
    Target("streams_50.cpu_ms_per_1000", "50 × 50/s: CPU per 1000 deltas", "ms", "at most", 25, 114),
    Target("streams_50.p50_ms", "50 × 50/s: added delay p50", "ms", "at most", 0.5, 0.26),
    Target("streams_50.p99_ms", "50 × 50/s: added delay p99", "ms", "at most", 3, 1.55),
    Target("streams_200.cpu_ms_per_1000", "200 × 50/s: CPU per 1000 deltas", "ms", "at most", 25, 98),
    Target("streams_200.p50_ms", "200 × 50/s: added delay p50", "ms", "at most", 0.5, 0.77),
    Target("streams_200.p99_ms", "200 × 50/s: added delay p99", "ms", "at most", 3, 45),
    Target("streams_200.active_kb", "memory more per streaming thread", "KB", "at most", None, 796),
    Target("flood.deltas_per_s", "flood on one thread", "deltas/s", "at least", 100_000, 22_000),
    Target("flood.cpu_ms_per_1000", "flood: CPU per 1000 deltas", "ms", "at most", None, 58.7),
    Target("short_turns.p50_ms", "short turn p50", "ms", "at most", 3, 44),
    Target("short_turns.cpu_ms", "short turn CPU", "ms", "at most", 3, 39),
    Target("short_turns.drift", "last 50 turns against first 50", "×", "at most", 1.5, 1.0),
    Target("tools.one_p50_ms", "turn with 1 tool call, p50", "ms", "at most", None, 88),
    Target("tools.four_p50_ms", "turn with 4 parallel calls, p50", "ms", "at most", 25, 109),
    Target("tools.four_cpu_ms", "turn with 4 parallel calls, CPU", "ms", "at most", 20, 100),
    Target("interrupt.p50_ms", "interrupt to turn/completed, p50", "ms", "at most", 2, 45),
    Target("resume.disk_p50_ms", "resume of 1000 items from disk", "ms", "at most", 60, 181),
)
"""The Rust server's figures are those of the neutral rig (0.169, two cores), whose scenarios these resemble."""


def met(target: Target, value: float) -> bool | None:
    """Whether a figure keeps its promise; None where nothing is promised."""
    if target.value is None:
        return None
    return value <= target.value if target.sense == "at most" else value >= target.value
