"""Claim: a script in a process of its own, locked in by the kernel, costs no more than one inside the daemon would.

    python -m bench.scripts                            ours
    python -m bench.scripts --node FOLDER              beside quickjs-emscripten of a node_modules folder, in turns
    python -m bench.scripts --quick

Milliseconds by the clock on the wall, from the request to the outcome: the pool, the worker, each call's way to a tool
that answers at once, and the worker's end. *forked* makes the worker within that time, *warm* has it before. Node makes
a fresh runtime for each script inside one process, without any wall but WebAssembly's.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import trio

from actors.ports.production.clock import SystemClock
from actors.ports.production.entropy import SystemEntropy
from actors.ports.production.scripts import ZygoteEngine
from actors.ports.scripts import Confinement, ScriptWorker
from actors.sandbox_pool.driving import StartCall
from actors.sandbox_pool.inside.checks import prepare
from actors.sandbox_pool.pool import DEFAULT_LIMITS, ScriptPool
from actors.sandbox_pool.running import Gate
from bench import report
from messages.script import CallResult, ScriptRequest, ScriptTool

SCRIPTS = {
    "0 calls": "return 1",
    "1 call": "return await tools.echo({ i: 1 })",
    "10 serial": "for (let i = 0; i < 10; i++) await tools.echo({ i }); return 1",
    "10 parallel": "await Promise.all([...Array(10).keys()].map(i => tools.echo({ i }))); return 1",
    "100 serial": "for (let i = 0; i < 100; i++) await tools.echo({ i }); return 1",
    "100 parallel": "await Promise.all([...Array(100).keys()].map(i => tools.echo({ i }))); return 1",
}
"""Without types, for Node to run the same text."""

TARGETS_MS = {"0 calls, forked": 2.0, "0 calls, warm": 0.6, "a serial call": 0.15}
"""On a quiet machine."""

SAMPLES, QUICK_SAMPLES = 100, 10
LANES, LANE_SECONDS = 2, 3.0
"""For scripts per second: as many at once as there are cores here."""

TYPESCRIPT = """
interface Found { path: string; lines: number[] }
const found: Found[] = [], names = new Map<string, number>();
for (const path of ["a.py", "b.py"] as const) {
  const text = (await tools.readFile({ file_path: path })) as string;
  const lines = text.split("\\n").flatMap((line: string, i: number): number[] => (line.includes("x") ? [i] : []));
  found.push({ path, lines });
  names.set(path, (names.get(path) ?? 0) + lines.length!);
}
"""


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds."""

    p50: float
    p95: float


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """All of a run."""

    scripts: dict[str, dict[str, Percentiles]]
    """Script -> forked, warm, node."""
    serial_call_ms: float
    """What each of 100 serial calls adds."""
    per_second: float
    """Scripts of ten serial calls, two at a time."""
    worker_kb: dict[str, int]
    """A ready worker's memory: resident, its share of it, its own."""
    typescript_ms_per_kb: dict[str, float]
    """Size of the source -> parse, erase and check."""


class Prepared:
    """An engine that has a worker ready, when it was asked for it beforehand."""

    def __init__(self, engine: ZygoteEngine) -> None:
        self._engine = engine
        self._ready: list[ScriptWorker] = []

    @property
    def confinement(self) -> Confinement | None:
        return self._engine.confinement

    async def prepare(self) -> None:
        """For the next script."""
        self._ready.append(await self._engine.worker())

    async def worker(self) -> ScriptWorker:
        return self._ready.pop() if self._ready else await self._engine.worker()


async def answer(call: StartCall, _: Gate) -> CallResult:
    """A tool that has nothing to do."""
    await trio.lowlevel.checkpoint()
    return CallResult(outcome="done", value=call.arguments)


def request(source: str) -> ScriptRequest:
    """With one tool."""
    tool = ScriptTool(name="echo", tool="echo", description="")
    return ScriptRequest(
        script_id="s", session="s", source=source, tools=(tool,), limits=DEFAULT_LIMITS, context={}, log=()
    )


@asynccontextmanager
async def stage() -> AsyncIterator[tuple[Prepared, ScriptPool]]:
    """The production engine and pool."""
    engine = ZygoteEngine()
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        prepared = Prepared(engine)
        yield prepared, ScriptPool(prepared, SystemClock(), SystemEntropy(), max_workers=LANES)
        nursery.cancel_scope.cancel()


async def timed(pool: ScriptPool, source: str) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    outcome = await pool.run(request(source), answer)
    took = time.perf_counter() - began
    assert outcome.status == "returned", outcome
    return took * 1000


class Node:
    """One process that runs scripts one by one as it is told."""

    def __init__(self, modules: str) -> None:
        node = shutil.which("node")
        if node is None:
            raise SystemExit("there is no node on the path")
        words = (node, str(Path(__file__).with_name("scripts_node.mjs")), modules)
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def timed(self, source: str) -> float:
        """Milliseconds, by its own clock."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(source).encode() + b"\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def percentiles(samples: list[float]) -> Percentiles:
    """Of at least two."""
    cuts = statistics.quantiles(samples, n=20, method="inclusive")
    return Percentiles(p50=round(cuts[9], 3), p95=round(cuts[18], 3))


async def measure(samples: int, node: Node | None) -> Results:
    """All ways in turns, so that whatever disturbs the machine disturbs all of them."""
    async with stage() as (prepared, pool):
        taken: dict[str, dict[str, list[float]]] = {name: {} for name in SCRIPTS}
        for _ in range(samples):
            for name, source in SCRIPTS.items():
                taken[name].setdefault("forked", []).append(await timed(pool, source))
                await prepared.prepare()
                taken[name].setdefault("warm", []).append(await timed(pool, source))
                if node is not None:
                    taken[name].setdefault("node", []).append(node.timed(source))
        scripts = {name: {way: percentiles(of) for way, of in ways.items()} for name, ways in taken.items()}
        return Results(
            scripts=scripts,
            serial_call_ms=round((scripts["100 serial"]["warm"].p50 - scripts["0 calls"]["warm"].p50) / 100, 4),
            per_second=round(await per_second(pool), 1),
            worker_kb=await memory(prepared),
            typescript_ms_per_kb=typescript(samples),
        )


async def per_second(pool: ScriptPool) -> float:
    """Finished, by all lanes."""
    count = 0

    async def lane() -> None:
        nonlocal count
        while True:
            await timed(pool, SCRIPTS["10 serial"])
            count += 1

    with trio.move_on_after(LANE_SECONDS):
        async with trio.open_nursery() as nursery:
            for _ in range(LANES):
                nursery.start_soon(lane)
    return count / LANE_SECONDS


async def memory(prepared: Prepared) -> dict[str, int]:
    """Of a worker that waits for its script; empty where the kernel does not say."""
    worker = await prepared.worker()
    try:
        text = await trio.Path(f"/proc/{worker.pid}/smaps_rollup").read_text()
    except PermissionError:
        return {}
    finally:
        await worker.aclose()
    of = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
    return {"resident": of["Rss"], "share": of["Pss"], "own": of["Private_Clean"] + of["Private_Dirty"]}


def typescript(samples: int) -> dict[str, float]:
    """Milliseconds per KB for sources of some sizes."""
    costs = {}
    for kilobytes in (1, 5, 20):
        repeated = max(1, kilobytes * 1024 // len(TYPESCRIPT) - 1)
        source = "".join(f"{{{TYPESCRIPT}}}\n" for _ in range(repeated)).encode()
        took = [_clocked(lambda: prepare(source, 20480)) for _ in range(samples)]  # noqa: B023  # called at once
        costs[f"{kilobytes} KB"] = round(statistics.median(took) / (len(source) / 1024), 4)
    return costs


def _clocked(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def table(results: Results) -> str:
    """For people."""
    ways = list(next(iter(results.scripts.values())))
    lines = ["| script | " + " | ".join(f"{way} p50 / p95, ms" for way in ways) + " |", "|---" * (len(ways) + 1) + "|"]
    for name, of in results.scripts.items():
        lines.append(f"| {name} | " + " | ".join(f"{of[way].p50:.2f} / {of[way].p95:.2f}" for way in ways) + " |")
    zero = results.scripts["0 calls"]
    measured = (zero["forked"].p50, zero["warm"].p50, results.serial_call_ms)
    lines += ["", "| target (quiet machine) | ms | measured |", "|---|---|---|"]
    lines += [
        f"| {name} | {most} | {got:.3f} |" for (name, most), got in zip(TARGETS_MS.items(), measured, strict=True)
    ]
    memory_text = ", ".join(f"{name} {size}" for name, size in results.worker_kb.items()) or "not readable"
    costs = ", ".join(f"{size}: {cost:.2f}" for size, cost in results.typescript_ms_per_kb.items())
    lines += ["", f"{results.per_second:g} scripts/s of ten serial calls, {LANES} at a time"]
    lines += [f"a waiting worker, KB: {memory_text}", f"TypeScript, ms per KB: {costs}"]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write bench/out/scripts.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--node", metavar="FOLDER", help="a node_modules folder with quickjs-emscripten")
    options = parser.parse_args()
    node = Node(options.node) if options.node else None
    try:
        results = trio.run(measure, QUICK_SAMPLES if options.quick else SAMPLES, node)
    finally:
        if node is not None:
            node.close()
    print(table(results))
    report.write_json("scripts", results)


if __name__ == "__main__":
    main()
