"""Percentiles of many samples."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Of some times in milliseconds."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float


def spread(samples: Sequence[float], scale: float = 1.0) -> Spread | None:
    """``samples`` times ``scale``; None if there are none."""
    if not samples:
        return None
    ordered = sorted(samples)
    return Spread(
        count=len(ordered),
        p50=percentile(ordered, 50) * scale,
        p95=percentile(ordered, 95) * scale,
        p99=percentile(ordered, 99) * scale,
        max=ordered[-1] * scale,
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Of a sorted sequence, by the nearest rank."""
    rank = max(0, min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1))))
    return ordered[rank]
