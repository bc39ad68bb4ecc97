"""Run the neutral rig, which knows nothing of us, and put our figures beside those it recorded for others.

    python -m bench.neutral_rig [RIG] [--only S3,S6,S10] [--repeat 3] [--pin] [--no-floor]

The rig is not part of this repository: RIG is its folder, by default ``$CALLBOARD_REFERENCE/load``. It is copied to a
temporary folder, its one dependency is installed there, and what it measures is written to ``bench/out/neutral.json``.

A virtual machine is not equally fast every minute, so the rig's *floor*, the smallest possible proxy, is measured in
turn with us, scenario by scenario, and figures are also given as multiples of it. One run each is an indication; before
a multiple is compared with one recorded elsewhere, look at the spread of the floor over several (`--repeat`).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import stat
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench import report
from bench.load.processes import environment_of_a_user

PROJECT = Path(__file__).parents[1]
BINARY = os.environ.get("CALLBOARD_BIN") or str(PROJECT / ".venv" / "bin" / "callboard")

DEFAULT_SCENARIOS = "S1,S2,S3,S5,S6,S7,S9,S10,S11,S14"
"""What takes some ten minutes with one repetition; S4, S8, S12, S13 and S15 take as long again."""

RUN_SECONDS = 600
"""Of one scenario, the longest of which takes three minutes."""

Recorded = dict[str, Any]
"""One server's results: ``scenarios`` → name → ``runs``, as the rig writes them."""


class Row(NamedTuple):
    """One figure of the table: its scenario, where it stands in a run, and what it is called."""

    scenario: str
    path: str
    words: str


ROWS = (
    Row("S1", "deltas_per_s", "flood on one thread, deltas/s"),
    Row("S1", "cpu_ms_per_1000_deltas", "flood on one thread, CPU ms per 1000 deltas"),
    Row("S2", "steady.cpu_ms_per_1000_deltas", "50 × 50/s: CPU ms per 1000 deltas"),
    Row("S2", "steady_delay_ms.p50", "50 × 50/s: added delay p50, ms"),
    Row("S2", "steady_delay_ms.p99", "50 × 50/s: added delay p99, ms"),
    Row("S3", "steady.cpu_ms_per_1000_deltas", "200 × 50/s: CPU ms per 1000 deltas"),
    Row("S3", "steady.deltas_per_s", "200 × 50/s: delivered, deltas/s"),
    Row("S3", "steady_delay_ms.p50", "200 × 50/s: added delay p50, ms"),
    Row("S3", "steady_delay_ms.p99", "200 × 50/s: added delay p99, ms"),
    Row("S3", "first_delta_ms.p50", "200 × 50/s: turn/start to first delta p50, ms"),
    Row("S3", "kb_more_per_active_thread", "200 × 50/s: memory more per streaming thread, KB"),
    Row("S4", "steady.cpu_ms_per_1000_deltas", "500 × 20/s: CPU ms per 1000 deltas"),
    Row("S4", "steady_delay_ms.p99", "500 × 20/s: added delay p99, ms"),
    Row("S15", "steady.cpu_ms_per_1000_deltas", "1000 × 20/s: CPU ms per 1000 deltas"),
    Row("S15", "steady_delay_ms.p99", "1000 × 20/s: added delay p99, ms"),
    Row("S5", "kb_per_idle_thread", "memory per idle thread, KB"),
    Row("S5", "create_cpu_ms_per_thread", "thread/start, CPU ms"),
    Row("S5", "thread_start_ms.p50", "thread/start p50 (8 at a time), ms"),
    Row("S5", "idle_cpu_pct", "1000 idle threads, CPU %"),
    Row("S6", "no_tools.turn_ms.p50", "turn without tools p50, ms"),
    Row("S6", "tools1.turn_ms.p50", "turn with 1 tool call p50, ms"),
    Row("S6", "tools4.turn_ms.p50", "turn with 4 parallel calls p50, ms"),
    Row("S6", "tools4.cpu_ms_per_turn", "turn with 4 parallel calls, CPU ms"),
    Row("S6", "tools16.turn_ms.p50", "turn with 16 parallel calls p50, ms"),
    Row("S6", "bare_bash_lc_x4_ms", "(four bare shells at once, ms)"),
    Row("S7", "alone.to_completed_ms.p50", "interrupt to turn/completed p50, ms"),
    Row("S7", "alone.to_upstream_closed_ms.p50", "interrupt to model's connection closed p50, ms"),
    Row("S7", "in_tool.to_completed_ms.p50", "interrupt inside a tool p50, ms"),
    Row("S7", "with_50_streams.to_completed_ms.p50", "interrupt beside 50 streams p50, ms"),
    Row("S9", "warm_home.listen_ms.p50", "start to TCP accept, used home, ms"),
    Row("S9", "warm_home.initialized_ms.p50", "start to first answer, used home, ms"),
    Row("S9", "cold_home.initialized_ms.p50", "start to first answer, new home, ms"),
    Row("S10", "all.turn_ms.p50", "short turn p50, ms"),
    Row("S10", "all.turn_ms.p99", "short turn p99, ms"),
    Row("S10", "cpu_ms_per_turn", "short turn, CPU ms"),
    Row("S10", "last50.turn_ms.p50", "short turns 251 to 300 p50, ms"),
    Row("S11", "hot_ms.p50", "resume of 1000 items, live thread p50, ms"),
    Row("S11", "cold_ms.p50", "resume of 1000 items, from disk p50, ms"),
    Row("S11", "cold_cpu_ms.p50", "resume of 1000 items, from disk, CPU ms"),
    Row("S12", "last_good", "threads × 50/s kept up with"),
    Row("S12", "max_delivered_per_s", "most deltas/s delivered"),
    Row("S13", "second_turn_200.turns_per_s", "200 turns at once, turns/s"),
    Row("S13", "second_turn_500.turns_per_s", "500 turns at once, turns/s"),
    Row("S14", "n1.deltas_per_s", "flood, 1 thread × 20,000, deltas/s"),
    Row("S14", "n8.deltas_per_s", "flood, 8 threads × 2,500, deltas/s"),
    Row("S14", "n8.cpu_ms_per_1000_deltas", "flood, 8 threads, CPU ms per 1000 deltas"),
)

WRONG = (
    "text_wrong",
    "bad",
    "build_bad",
    "alone.bad",
    "with_50_streams.bad",
    "tools1.bad",
    "tools4.bad",
    "tools16.bad",
)
"""Counts of turns that went wrong; anything but 0 voids the figures beside it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run; the exit code."""
    options = _parser().parse_args(arguments)
    folder = options.rig or os.environ.get("CALLBOARD_REFERENCE", "") + "/load"
    rig = Path(folder)
    if not (rig / "bench.js").is_file():
        print(
            f"There is no rig at {rig}: name its folder, or set CALLBOARD_REFERENCE to the one above it.",
            file=sys.stderr,
        )
        return 2
    recorded: dict[str, Recorded] = json.loads((rig / "codex-results.json").read_bytes())
    scenarios = options.only.split(",")
    floored = [name for name in scenarios if name in recorded.get("null", {}).get("scenarios", {})]
    ours: Recorded = {}
    floor: Recorded | None = None
    with _copy(rig) as copy:
        # In turns, so that whatever disturbs the machine disturbs both: minutes apart, they could not be compared.
        for number in range(options.repeat):
            for scenario in scenarios:
                both = (True, False) if number % 2 == 0 else (False, True)
                for is_floor in both:
                    if not is_floor:
                        ours = _run(copy, "callboard", scenario, pin=options.pin)
                    elif scenario in floored and not options.no_floor:
                        floor = _run(copy, "null", scenario, pin=options.pin)
    report.write_json("neutral", {"callboard": ours, "null": floor})
    print(render(ours, floor, recorded))
    return 0


def render(ours: Recorded, floor: Recorded | None, recorded: dict[str, Recorded]) -> str:
    """The Markdown table, and below it what went wrong."""
    rust, rust_floor = recorded["codex"], recorded.get("null")
    rows = []
    for row in ROWS:
        value = figure_of(ours, row)
        if value is None:
            continue
        here = figure_of(floor, row)
        there, floor_there = figure_of(rust, row), figure_of(rust_floor, row)
        rows.append(
            (
                f"{row.scenario} {row.words}",
                _spread(ours, row),
                _cell(there),
                _spread(floor, row),
                _cell(floor_there),
                _multiples(value, here, there, floor_there),
            )
        )
    head = ("", "callboard", "Rust server (recorded)", "floor", "floor (recorded)", "× floor: ours / theirs")
    lines = [report.markdown(head, rows)]
    troubles = [*_troubles("callboard", ours), *(_troubles("floor", floor) if floor else ())]
    return "\n".join([*lines, "", *(troubles or ["No turn went wrong."])])


def figure_of(results: Recorded | None, row: Row) -> float | None:
    """The median over the runs that have it."""
    found = figures_of(results, row)
    return statistics.median(found) if found else None


def figures_of(results: Recorded | None, row: Row) -> list[float]:
    """One for each run that has it."""
    runs = ((results or {}).get("scenarios", {}).get(row.scenario) or {}).get("runs", ())
    return [value for run in runs if isinstance(value := _at(run, row.path), int | float)]


def _spread(results: Recorded | None, row: Row) -> str:
    """The median of the runs, with the least and the most of them."""
    median, found = figure_of(results, row), figures_of(results, row)
    if median is None:
        return ""
    if len(found) == 1:
        return f"{report.figure(median)} (n=1)"
    return f"{report.figure(median)} [{report.figure(min(found))} – {report.figure(max(found))}]"


def _multiples(ours: float, floor: float | None, theirs: float | None, floor_there: float | None) -> str:
    if not floor or not floor_there or theirs is None:
        return ""
    return f"{report.figure(ours / floor)} / {report.figure(theirs / floor_there)}"


def _troubles(name: str, results: Recorded) -> Iterator[str]:
    for scenario, result in results.get("scenarios", {}).items():
        for run in result.get("runs", ()):
            if run.get("failed"):
                yield f"- {name} {scenario}: {run['failed']}"
            for path in WRONG:
                if _at(run, path):
                    yield f"- {name} {scenario}: {path} {_at(run, path)}"
            if run.get("errors"):
                yield f"- {name} {scenario}: {run['errors']}"


def _at(run: Any, path: str) -> Any:
    for key in path.split("."):
        run = run.get(key) if isinstance(run, dict) else None
    return run


def _cell(value: float | None) -> str:
    return "" if value is None else report.figure(value)


@contextmanager
def _copy(rig: Path) -> Iterator[Path]:
    """A copy that can be written to, with its dependency installed."""
    with tempfile.TemporaryDirectory(prefix="callboard-rig-") as folder:
        copy = Path(folder) / "rig"
        shutil.copytree(rig, copy, ignore=shutil.ignore_patterns("node_modules", "*.log"))
        for path in (copy, *copy.rglob("*")):
            path.chmod(path.stat().st_mode | stat.S_IWUSR)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=copy, check=True)
        yield copy


def _run(copy: Path, name: str, scenario: str, *, pin: bool) -> Recorded:
    """One more run of one scenario; all results of this server so far."""
    out = copy / "out" / f"{name}.json"
    out.parent.mkdir(exist_ok=True)
    command = ["node", "bench.js", "--server", f"servers/{name}.sh", "--name", name, "--out", str(out), "--append"]
    command += ["--home", str(copy.parent / "home"), "--repeat", "1", "--only", scenario]
    command += ["--limit", str(RUN_SECONDS), *(["--pin"] if pin else [])]
    environment = {**environment_of_a_user(), "CALLBOARD_BIN": BINARY}
    finished = subprocess.run(command, cwd=copy, env=environment, timeout=RUN_SECONDS + 60, check=False)
    if not out.exists():
        log = copy / f"server-{name}.log"
        words = log.read_text(errors="replace")[-2000:] if log.exists() else ""
        raise SystemExit(f"the rig gave no results for {name} (exit code {finished.returncode}): {words}")
    results: Recorded = json.loads(out.read_bytes())
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.neutral_rig", description="Run the neutral rig against us.")
    parser.add_argument("rig", nargs="?", help="the rig's folder (default: $CALLBOARD_REFERENCE/load)")
    parser.add_argument("--only", default=DEFAULT_SCENARIOS, metavar="S1,S2", help="these scenarios")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each scenario (default 1)")
    parser.add_argument("--pin", action="store_true", help="server on one core, rig on the other")
    parser.add_argument("--no-floor", action="store_true", help="do not run the rig's null server beside us")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
