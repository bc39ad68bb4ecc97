"""``python -m bench``: measure, print tables, write JSON and pictures."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from bench import (
    micro_decode,
    micro_feed,
    micro_http,
    micro_log_append,
    micro_mailbox,
    micro_resume,
    micro_sse,
    report,
)
from bench.harness import QUICK_ROUNDS, ROUNDS, Suite, SuiteResult, measure

MICRO: dict[str, Callable[[], tuple[Suite, ...]]] = {
    "mailbox": micro_mailbox.suites,
    "sse": micro_sse.suites,
    "decode": micro_decode.suites,
    "feed": micro_feed.suites,
    "log_append": micro_log_append.suites,
    "resume": micro_resume.suites,
    "http": micro_http.suites,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse and run; the exit code."""
    options = _parser().parse_args(arguments)
    if options.what in ("all", "micro"):
        run_micro(options.names, rounds=QUICK_ROUNDS if options.quick else ROUNDS)
    return 0


def run_micro(names: Sequence[str], *, rounds: int) -> list[SuiteResult]:
    """Measure the suites of these files, all if none is named."""
    results: list[SuiteResult] = []
    for name in names or MICRO:
        for suite in MICRO[name]():
            result = measure(suite, rounds=rounds)
            print(report.suite_table(result), end="\n\n", flush=True)
            results.append(result)
    report.write_json("micro", results)
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure callboard on this machine.")
    parser.add_argument("what", nargs="?", default="all", choices=["all", "micro"])
    parser.add_argument("names", nargs="*", help="only these micro-benchmarks or load scenarios")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and threads: is it alive, not how fast")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
