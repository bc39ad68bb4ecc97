"""``python -m bench``: measure, print tables, write JSON and pictures."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

import msgspec

from bench import (
    micro_decode,
    micro_feed,
    micro_http,
    micro_log_append,
    micro_mailbox,
    micro_prices,
    micro_resume,
    micro_spawn,
    micro_sse,
    micro_websocket,
    micro_wires,
    picture,
    report,
)
from bench.harness import QUICK_ROUNDS, ROUNDS, Suite, SuiteResult, measure
from bench.load import processes
from bench.load.client import CallError
from bench.load.scenarios import SCENARIOS, Figures, Setting
from bench.load.targets import TARGETS, met
from bench.load.websocket import WebSocketError

MICRO: dict[str, Callable[[], tuple[Suite, ...]]] = {
    "prices": micro_prices.suites,
    "mailbox": micro_mailbox.suites,
    "sse": micro_sse.suites,
    "decode": micro_decode.suites,
    "wires": micro_wires.suites,
    "feed": micro_feed.suites,
    "log_append": micro_log_append.suites,
    "resume": micro_resume.suites,
    "http": micro_http.suites,
    "spawn": micro_spawn.suites,
    "websocket": micro_websocket.suites,
}

TROUBLE = (CallError, WebSocketError, processes.StartError, OSError, msgspec.MsgspecError)
"""What ends one scenario and not the others."""


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """All scenarios of one run: their figures, what went wrong, and delay by percentile in steps of 0.5."""

    figures: dict[str, Figures]
    """With the yardstick before and after each scenario."""
    failures: dict[str, str]
    delays_ms: dict[str, list[float]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run; the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    known: list[str] = {"micro": [*MICRO], "load": [*SCENARIOS], "all": []}[options.what]
    for name in options.names:
        if name not in known:
            parser.error(f"{name!r} is none of: {', '.join(known)}")
    began = time.monotonic()
    failures = 0
    if options.what in ("all", "micro"):
        results = run_micro(options.names, rounds=QUICK_ROUNDS if options.quick else ROUNDS)
        report.write_json("micro", results)
        picture.write("micro", picture.suites(results))
    if options.what in ("all", "load"):
        result = run_load(options.names, quick=options.quick, command=tuple(options.server or ()))
        failures = len(result.failures)
        report.write_json("load", result)
        if result.delays_ms:
            picture.write("delays", picture.percentiles("Added delay of a delta, ms", result.delays_ms))
    print(f"{time.monotonic() - began:.0f} s; results and pictures are in {report.OUT}")
    return 1 if failures else 0


def run_micro(names: Sequence[str], *, rounds: int) -> list[SuiteResult]:
    """Measure the suites of these files, all if none is named."""
    results: list[SuiteResult] = []
    for name in names or MICRO:
        for suite in MICRO[name]():
            results.append(measure(suite, rounds=rounds))
            print(report.suite_table(results[-1]), end="\n\n", flush=True)
    return results


def run_load(names: Sequence[str], *, quick: bool, command: Sequence[str]) -> LoadResult:
    """Run these scenarios, all if none is named. One that fails is reported and does not stop the others."""
    figures: dict[str, Figures] = {}
    failures: dict[str, str] = {}
    with processes.model() as url:
        setting = Setting(model_url=url, quick=quick, command=command)
        for name in names or SCENARIOS:
            _say(f"{name} … ")
            began, yardstick = time.monotonic(), report.yardstick_ms()
            try:
                found = SCENARIOS[name](setting)
                figures[name] = {
                    **found,
                    "yardstick_before_ms": yardstick,
                    "yardstick_after_ms": report.yardstick_ms(),
                }
            except TROUBLE as error:
                failures[name] = f"{type(error).__name__}: {error}"
                _say(f"FAILED: {failures[name]}\n")
            else:
                _say(f"{time.monotonic() - began:.1f} s\n")
    print(f"\n{load_table(figures)}")
    measured = sorted(each[when] for each in figures.values() for when in ("yardstick_before_ms", "yardstick_after_ms"))
    if measured:
        print(f"yardstick {report.figure(measured[0])} to {report.figure(measured[-1])} ms (bench/README.md)\n")
    return LoadResult(figures=figures, failures=failures, delays_ms=setting.delays)


def load_table(figures: dict[str, Figures]) -> str:
    """The figures that have a word in `targets`, beside it."""
    rows = []
    for target in TARGETS:
        scenario, _, name = target.figure.partition(".")
        value = figures.get(scenario, {}).get(name)
        if value is not None:
            kept = met(target, value)
            rows.append(
                (
                    target.words,
                    f"{report.figure(value)} {target.unit}",
                    "" if target.value is None else f"{target.sense} {report.figure(target.value)}",
                    "" if kept is None else ("kept" if kept else "MISSED"),
                    "" if target.rust is None else report.figure(target.rust),
                )
            )
    return report.table(("", "measured", "target", "", "Rust server"), rows)


def _say(words: str) -> None:
    print(words, end="", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure callboard on this machine.")
    parser.add_argument("what", nargs="?", default="all", choices=["all", "micro", "load"])
    parser.add_argument("names", nargs="*", help="only these micro-benchmarks or load scenarios")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and threads: is it alive, not how fast")
    parser.add_argument(
        "--server",
        nargs=1,
        metavar="EXECUTABLE",
        help="load another server of this protocol; it is given PORT, MODEL_URL and BENCH_HOME",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
