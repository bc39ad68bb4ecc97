"""Results for people (tables) and for machines (JSON)."""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from bench.harness import SuiteResult

OUT = Path(__file__).parent / "out"


YARDSTICK_ADDITIONS = 200_000


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """Where a result was made, and how fast that was just then."""

    python: str
    system: str
    processor: str
    cpus: int
    load: float
    """The machine's load average (1 min): others use it too."""
    yardstick_ms: float


def this_host() -> Host:
    """The machine this runs on."""
    return Host(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        processor=_processor(),
        cpus=os.cpu_count() or 1,
        load=round(os.getloadavg()[0], 2),
        yardstick_ms=round(yardstick_ms(), 2),
    )


def yardstick_ms() -> float:
    """CPU time of a fixed piece of plain Python, the median of five.

    A virtual core shared with strangers is sometimes three times slower than at other times, by its own CPU clock too.
    Two results can be compared only as far as their yardsticks agree.
    """
    taken = []
    for _ in range(5):
        began = time.thread_time()
        total = 0
        for number in range(YARDSTICK_ADDITIONS):
            total += number
        taken.append(time.thread_time() - began)
    return statistics.median(taken) * 1000


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def write_json(name: str, value: object, folder: Path = OUT) -> Path:
    """``value`` with the host it was made on, as ``NAME.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode({"host": this_host(), "result": value}), indent=2))
    return path


def suite_table(result: SuiteResult) -> str:
    """A suite as lines of text."""
    rows = [
        (
            case.name,
            figure(case.median_us),
            f"{figure(case.low_us)} – {figure(case.high_us)}",
            "baseline" if number == 0 else f"{figure(case.times_cheaper)} ×",
        )
        for number, case in enumerate(result.cases)
    ]
    clock = "" if result.clock == "cpu" else ", wall time"
    head = ("", f"µs per {result.unit}", "quartiles", "cheaper")
    return f"{result.name}: {result.claim}{clock}\n{table(head, rows)}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns padded with blanks; the first to the left, the others to the right."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  "
        + "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The same as a Markdown table."""
    align = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, align, *rows))


def figure(value: float) -> str:
    """Three digits that count."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.1 else f"{value:.3f}"
