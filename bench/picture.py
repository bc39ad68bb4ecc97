"""Results as SVG, drawn by hand: bars for micro-benchmarks, lines for percentiles. Readable on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from bench.harness import SuiteResult
from bench.report import OUT, figure

WIDTH = 760
LINE = 20
MARGIN = 16
LABEL_WIDTH = 210
COLORS = ("#3b82c4", "#d9822b", "#4c9f70", "#a35bb5")
BASELINE = "#9aa4ad"
INK = "#57606a"
"""Grey enough to be read on white and on black."""

FONT = "font-family='system-ui,sans-serif'"


def write(name: str, svg: str, folder: Path = OUT) -> Path:
    """``svg`` as ``NAME.svg``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.svg"
    path.write_text(svg)
    return path


def suites(results: Sequence[SuiteResult]) -> str:
    """For each suite its cases as bars, the baseline in grey; each suite has a scale of its own."""
    parts: list[str] = []
    y = MARGIN
    room = WIDTH - LABEL_WIDTH - 2 * MARGIN - 150
    for result in results:
        parts.append(_text(MARGIN, y + 14, f"{result.name} — {result.claim}", size=13, bold=True))
        y += LINE + 4
        longest = max(case.median_us for case in result.cases) or 1.0
        for number, case in enumerate(result.cases):
            length = max(1.0, case.median_us / longest * room)
            color = BASELINE if number == 0 else COLORS[(number - 1) % len(COLORS)]
            words = f"{figure(case.median_us)} µs per {result.unit}"
            if number:
                words += f"  ({figure(case.times_cheaper)} ×)"
            parts.append(_text(MARGIN + LABEL_WIDTH - 8, y + 12, case.name, anchor="end"))
            parts.append(f"<rect x='{MARGIN + LABEL_WIDTH}' y='{y}' width='{length:.1f}' height='15' fill='{color}'/>")
            parts.append(_text(MARGIN + LABEL_WIDTH + length + 6, y + 12, words))
            y += LINE
        y += LINE // 2
    return _svg(y + MARGIN, parts)


def percentiles(title: str, series: Mapping[str, Sequence[float]]) -> str:
    """Lines over percentiles; each series holds values at even steps from 0 to 100 %. The value axis is logarithmic."""
    height, left, right = 300, 60, WIDTH - 130
    top, bottom = MARGIN + LINE + 8, MARGIN + LINE + 8 + height
    values = [max(value, 0.01) for each in series.values() for value in each]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)

    def place(value: float) -> float:
        return bottom - (math.log10(max(value, 10.0**low)) - low) / (high - low) * height

    parts = [_text(MARGIN, MARGIN + 14, title, size=13, bold=True)]
    for power in range(low, high + 1):
        y = place(10.0**power)
        parts.append(f"<line x1='{left}' y1='{y:.1f}' x2='{right}' y2='{y:.1f}' stroke='{INK}' stroke-opacity='.25'/>")
        parts.append(_text(left - 6, y + 4, f"{10.0**power:g}", anchor="end"))
    for percent in (0, 25, 50, 75, 90, 100):
        x = left + (right - left) * percent / 100
        parts.append(_text(x, bottom + 18, f"{percent} %", anchor="middle"))
    for number, (name, each) in enumerate(series.items()):
        steps = len(each) - 1
        points = " ".join(
            f"{left + (right - left) * at / steps:.1f},{place(value):.1f}" for at, value in enumerate(each)
        )
        color = COLORS[number % len(COLORS)]
        parts.append(f"<polyline points='{points}' fill='none' stroke='{color}' stroke-width='2'/>")
        parts.append(_text(right + 8, top + 14 + number * LINE, name, color=color, bold=True))
    return _svg(bottom + 32, parts)


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", size: int = 12, bold: bool = False, color: str = INK
) -> str:
    weight = " font-weight='600'" if bold else ""
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' {FONT} font-size='{size}' fill='{color}' text-anchor='{anchor}'{weight}>"
        f"{escape(words)}</text>"
    )


def _svg(height: float, parts: Sequence[str]) -> str:
    body = "\n".join(parts)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height:.0f}' "
        f"viewBox='0 0 {WIDTH} {height:.0f}'>\n{body}\n</svg>\n"
    )
