"""``python -m tests.system.simulation --seeds 500``: try many deaths of the daemon, report broken laws and coverage.

    --seeds N [--first S] [--deaths D] [--workers W]     the whole trial; exit code 1 if a law was broken
    --seed S [--cut step:N | effect:N[:power] | stop:MS]... [--defect N]     one plan, again
             [--frames]                                                      with what every client was sent

Each seed's rehearsal and one of its plans are run a second time in another process (with another hash seed), and must
come out the same to the last byte. At the end, awaits of our code that were seen and at which no daemon died are swept.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Literal

from tests.system.simulation.plans import scenario_of
from tests.system.simulation.report import Report, again, sweep, try_seed
from tests.system.simulation.sites import ELSEWHERE
from tests.system.simulation.trial import EFFECT, Cut, Plan, run

DEATHS = 9
"""Trials per seed with an early end: 500 seeds then try some 4,500 of them, and a quarter ends twice."""

SHOWN = 20
"""Broken laws printed; more are counted."""


def try_all(first: int, seeds: int, deaths: int, workers: int) -> bool:
    """The whole trial; whether all laws held."""
    began = time.monotonic()
    total = Report()
    different: list[str] = []
    # Fresh interpreters: each has a hash seed of its own, so a set's order cannot be the same by luck.
    executors = [ProcessPoolExecutor(1, mp_context=get_context("spawn")) for _ in range(workers)]
    try:
        tried: list[tuple[Future[Report], Future[dict[str, str]]]] = []
        for seed in range(first, first + seeds):
            one, other = executors[seed % workers], executors[(seed + 1) % workers]
            tried.append((one.submit(try_seed, seed, deaths), other.submit(again, seed, deaths)))
        for number, (trial, repetition) in enumerate(tried, 1):
            report = trial.result()
            total.add(report)
            second = repetition.result()
            different += [plan for plan, digest in report.digests.items() if second.get(plan) != digest]
            _tell(report, f"{number} of {seeds} seeds, {len(total.broken)} laws broken")
        missed = sorted(total.seen.keys() - total.deaths.keys())
        swept = [executors[at % workers].submit(sweep, *total.seen[site]) for at, site in enumerate(missed)]
        for future in swept:
            total.add(future.result())
    finally:
        for executor in executors:
            executor.shutdown()
    _print(total, different, seeds=seeds, swept=len(missed), seconds=time.monotonic() - began)
    return not total.broken and not different


def _tell(report: Report, progress: str) -> None:
    """Progress to a terminal; to a file what it will want to know before the end: each law as it is broken."""
    if sys.stderr.isatty():
        print(f"\r{progress}", end="", file=sys.stderr)
        return
    for plan, words in report.broken:
        print(f"{progress}: {plan}\n    {words}", file=sys.stderr, flush=True)


def _print(total: Report, different: list[str], *, seeds: int, swept: int, seconds: float) -> None:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = usage.ru_utime + usage.ru_stime
    died = sum(total.deaths.values())
    sites = total.seen.keys() - {ELSEWHERE}
    effects = {name: count for name, count in total.deaths.items() if name.startswith(EFFECT)}
    elsewhere = total.deaths.keys() - sites - {ELSEWHERE} - effects.keys()
    spent = f"{seconds:.0f} s ({cpu:.0f} s of CPU)"
    print(f"\n{seeds} seeds, {total.trials} trials, {total.lives} lives of the daemon in {spent}")
    print(f"{died} deaths, {total.power_losses} of them with power loss")
    print(f"awaits of our code in undisturbed lives: {len(sites)}; without a death: {len(sites - total.deaths.keys())}")
    print(f"  ({swept} of them swept at the end; {len(elsewhere)} more awaits died at in second lives)")
    counts = (f"{name.removeprefix(EFFECT)} {count}" for name, count in sorted(effects.items()))
    print(f"deaths before effects: {', '.join(counts)}")
    print(f"defects: {total.struck.total()}, in {len(total.struck)} functions")
    print(f"the same again, in another process: {2 * seeds - len(different)} of {2 * seeds}")
    for plan in different[:SHOWN]:
        print(f"  DIFFERENT: {plan}")
    print(f"laws broken: {len(total.broken)}")
    for plan, words in total.broken[:SHOWN]:
        print(f"  python -m tests.system.simulation {plan}\n    {words}")


def show(plan: Plan, *, frames: bool) -> bool:
    """Run one plan and tell what happened; whether all laws held."""
    outcome = run(plan)
    print(plan)
    for trace in outcome.lives:
        crash = [event.detail for event in trace.events if event.kind == "crash"]
        print(f"  {trace.outcome} {' '.join(crash)}: {trace.steps} steps, {trace.effects} effects")
    if frames:
        for person in outcome.people:
            for heard in person.heard:
                print(f"  {heard.at:9.4f} life {heard.life} {person.name}: {json.dumps(heard.frame)}")
    print(f"  digest {outcome.digest}")
    for words in outcome.complaints:
        print(f"  LAW BROKEN: {words}")
    return not outcome.complaints


def _cut(text: str) -> Cut:
    at, number, *power = text.split(":")
    if at not in ("step", "effect", "stop") or power not in ([], ["power"]):
        raise argparse.ArgumentTypeError(f"{text!r} is not like step:314, effect:15:power or stop:250")
    kinds: dict[str, Literal["step", "effect", "stop"]] = {"step": "step", "effect": "effect", "stop": "stop"}
    return Cut(at=kinds[at], number=int(number), power_loss=bool(power))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.simulation", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=500, help="how many (500)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--deaths", type=int, default=DEATHS, help=f"trials of each ({DEATHS})")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--seed", type=int, help="run one plan of this seed again")
    cuts = "step:N or effect:N, perhaps with :power behind it, or stop:MS"
    parser.add_argument("--cut", type=_cut, action="append", default=[], help=cuts)
    parser.add_argument("--defect", type=int, help="the step after which a defect strikes an actor")
    parser.add_argument("--frames", action="store_true", help="with --seed: print what every client was sent")
    args = parser.parse_args()
    if args.seed is not None:
        plan = Plan(seed=args.seed, scenario=scenario_of(args.seed), cuts=tuple(args.cut), defect=args.defect)
        return 0 if show(plan, frames=args.frames) else 1
    return 0 if try_all(args.first, args.seeds, args.deaths, args.workers) else 1


if __name__ == "__main__":
    raise SystemExit(main())
