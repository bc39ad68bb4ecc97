"""Scripts made by a grammar, and frames that are nearly right: ``python -m tests.actors.sandbox_pool.fuzz --seconds 60``.

Laws, for every one of them: nothing is raised in the daemon, the script ends with one of the known statuses, each call
has exactly one outcome and only declared tools were called, at most as often as allowed; no call runs on, and no worker
survives. A seed that breaks one is printed by the assertion and repeats it: ``--seed N --cases 1``.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator

import msgspec
import trio
import trio.testing

from actors.ports.production.scripts import ZygoteEngine
from actors.ports.scripts import Confinement, WorkerLostError
from actors.sandbox_pool.frames import FrameError, decode
from actors.sandbox_pool.inside.protocol import encode_start
from actors.sandbox_pool.limits import CALLS_MAX, FRAME_BYTES
from tests.actors.sandbox_pool.security.forgeries import FORGED, LINE, PROGRESS, call, frame
from tests.actors.sandbox_pool.stage import DeniedError, Play, Show, forever, limited, play
from tests.actors.sandbox_pool.test_attacks import childless, zygote

STATUSES = frozenset(("returned", "threw", "refused", "exceeded", "deadlocked", "crashed"))
LIMITS = limited(cpu_seconds=0.05, wall_seconds=0.25, orphan_grace_seconds=0.02, memory_bytes=24 << 20)
"""So that hundreds of scripts fit into a minute; what is tested are ends, not how long they take."""

DEEPEST = 4
WORKER_SECONDS = 0.3
"""For a worker to answer a frame that may be nonsense, or to die of it."""

# ── scripts ──────────────────────────────────────────────────────────────────────────────────────────────────────────

VALUES = (
    *("0", "-1", "1e309", "NaN", "2 ** 53", "1n", "''", "'x'", "'\\ud800'", "null", "undefined", "true", "[]", "{}"),
    *("tools", "context", "globalThis", "Symbol()", "/(a+)+$/", "new Map()", "new Date()", "new Error('e')", "() => 1"),
    *("new Proxy({}, {})", "{ toJSON() { return tools } }", "{ get a() { throw 1 } }", "{ then(f: any) { f(1) } }"),
    *("'x'.repeat(1e6)", "new Uint8Array(1e6)", "new Array(1e4)", "Promise.reject(1)", "'</tool-calls>'", "`${1}`"),
)


async def soon(arguments: object, gate: object) -> object:
    """Whatever it is asked."""
    await trio.sleep(0.001)
    return arguments


async def failing(arguments: object, gate: object) -> object:
    """Always."""
    await trio.lowlevel.checkpoint()
    raise DeniedError("denied")


PLAYED: dict[str, Play] = {"echo": soon, "slow": soon, "fail": failing, "forever": forever}
TOOLS = ("echo", "slow", "fail", "forever", "nothing")
NAMES = ("a", "b", "c")


class Grammar:
    """Programs that mostly parse, of whatever a script can say, cut off at some depth."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def program(self) -> str:
        """A few statements; sometimes damaged."""
        text = "let a: any, b: any, c: any\n" + "\n".join(self._statements(0))
        if self._rng.random() < 0.1:
            at = self._rng.randrange(len(text))
            text = (
                text[:at] + self._rng.choice(("", "}", ")", "`", "/*", "\u2028", "<!--", "\0", "😀")) + text[at + 1 :]
            )
        return text

    def _statements(self, depth: int) -> list[str]:
        return [self._statement(depth) for _ in range(self._rng.randint(1, 4))]

    def _block(self, depth: int) -> str:
        return "{ " + "; ".join(self._statements(depth + 1)) + " }"

    def _statement(self, depth: int) -> str:
        name = self._rng.choice(NAMES)
        simple: tuple[Callable[[], str], ...] = (
            lambda: f"{name} = {self._value(depth)}",
            lambda: f"{self._value(depth)};",
            lambda: f"await {self._value(depth)}",
            lambda: f"console.log({self._value(depth)})",
            lambda: f"context.telemetry.emitProgress({self._value(depth)})",
            lambda: f"setTimeout(() => {{ {name} = {self._value(depth)} }}, {self._rng.choice((0, 1, 10, 1e9))})",
            lambda: f"return {self._value(depth)}",
            lambda: f"throw {self._value(depth)}",
            lambda: f"queueMicrotask(() => {{ {self._value(depth)} }})",
        )
        nested: tuple[Callable[[], str], ...] = (
            lambda: f"try {self._block(depth)} catch (e) {self._block(depth)} finally {self._block(depth)}",
            lambda: f"for (let i = 0; i < {self._rng.choice((3, 200, 'Infinity'))}; i++) {self._block(depth)}",
            lambda: f"if ({self._value(depth)}) {self._block(depth)}",
            lambda: f"(async () => {self._block(depth)})()",
        )
        write: Callable[[], str] = self._rng.choice(simple if depth >= DEEPEST or self._rng.random() < 0.7 else nested)
        return write()

    def _value(self, depth: int) -> str:
        choose = self._rng.random()
        if depth >= DEEPEST or choose < 0.35:
            return f"({self._rng.choice((*VALUES, *NAMES))} as any)"
        if choose < 0.6:
            return f"(tools as any).{self._rng.choice(TOOLS)}({self._value(depth + 1)})"
        if choose < 0.75:
            how = self._rng.choice(("all", "any", "race", "allSettled"))
            return f"Promise.{how}([{self._value(depth + 1)}, {self._value(depth + 1)}])"
        if choose < 0.9:
            return f"{{ {self._rng.choice(('a', 'then', 'toJSON', '__proto__', 'constructor'))}: {self._value(depth + 1)} }}"
        return f"[...Array(3)].map(async () => {self._value(depth + 1)})"


# ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────────────

HONEST = (
    frame(call(), call(2, "slow"), LINE, PROGRESS),
    frame({"type": "timer", "number": 1, "milliseconds": 5}, {"type": "cleared", "number": 1}),
    frame(state="returned", outcome='{"a":1}'),
    frame(state="threw", outcome={"name": "Error", "message": "m", "stack": "    at script (1:1)\n", "causes": []}),
    frame(state="exceeded", outcome={"code": "cpu", "message": "m"}),
    *FORGED.values(),
)
PIECES = (
    b"1e999",
    b"-1",
    b"null",
    b'""',
    b"[]",
    b"{}",
    b"\xff",
    b"\\u0000",
    b'"call"',
    b"9" * 400,
    b"[" * 2000,
    b",",
    b"NaN",
)


def mutant(rng: random.Random, honest: bytes) -> bytes:
    """Nearly the same bytes."""
    data = bytearray(honest[:20_000])
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        at = rng.randint(0, len(data))
        match rng.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at : at + rng.randint(1, 20)]
            case 2:
                data[at:at] = rng.choice(PIECES)
            case 3:
                data[at:at] = data[max(0, at - rng.randint(1, 100)) : at]
            case 4:
                other = rng.choice(HONEST)[:2000]
                data[at:] = other[rng.randint(0, len(other)) :]
            case _:
                digits = [place for place, byte in enumerate(data) if 48 <= byte <= 57]
                if digits:
                    place = rng.choice(digits)
                    data[place : place + 1] = rng.choice((b"0", b"2", b"-3", b"1.5", b"4294967296", b"1" * 30))
    return bytes(data)


class Babbler:
    """A worker that answers each frame with another mutant."""

    pid = 0

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._saying, self._said = trio.open_memory_channel[bytes](64)

    def send_now(self, frame: bytes) -> bool:
        """See `actors.ports.scripts.ScriptWorker`."""
        return False

    async def send(self, frame: bytes) -> None:
        for _ in range(self._rng.choice((1, 1, 1, 2))):
            await self._saying.send(mutant(self._rng, self._rng.choice(HONEST)))

    async def receive(self, max_bytes: int) -> bytes:
        try:
            return await self._said.receive()
        except trio.EndOfChannel:
            raise WorkerLostError("it is gone") from None

    def kill(self) -> None:
        self._saying.close()

    async def aclose(self) -> None:
        self._saying.close()


class Babblers:
    """An engine of them."""

    confinement: Confinement | None = Confinement(layers={}, missing=())

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    async def worker(self) -> Babbler:
        await trio.lowlevel.checkpoint()
        return Babbler(self._rng)


# ── laws ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def lawful(show: Show, about: object) -> None:
    """What holds of every script, whoever ran it."""
    outcome = show.outcome
    assert outcome.status in STATUSES, about
    assert show.tools.running == 0, about
    assert len(outcome.calls) <= CALLS_MAX, about
    assert [each.number for each in outcome.calls] == list(range(1, len(outcome.calls) + 1)), about
    assert {each.name for each in outcome.calls} <= set(PLAYED), about
    assert sum(each.started for each in outcome.calls) >= len(show.tools.begun), about
    assert msgspec.json.encode((outcome, tuple(show.events))), about


async def fuzz_scripts(engine: ZygoteEngine, seeds: Iterator[int]) -> int:
    """Programs, in real workers. How many."""
    count = 0
    for seed in seeds:
        source = Grammar(random.Random(seed)).program()
        show = await play(source, engine=engine, plays=PLAYED, limits=LIMITS)
        lawful(show, (seed, source))
        await childless(engine.pid)
        count += 1
    return count


async def fuzz_workers(engine: ZygoteEngine, seeds: Iterator[int]) -> int:
    """Frames that are nearly right, to real workers: each answers something that is decoded or refused, or dies."""
    count = 0
    for seed in seeds:
        rng = random.Random(seed)
        config = b'{"tools":["echo"],"spawn":[],"context":{},"seed":1,"clock":0,"limits":{"calls":9,"arguments":99,"pump":9999,"result":99,"timers":9,"lines":9,"lineCharacters":99,"consoleCharacters":99,"progress":9,"prelude":30000,"prefix":1}}'
        start = encode_start(
            config, b"await tools.echo(1)", cpu_seconds=0.05, memory=1 << 24, stack=1 << 18, source_bytes=999
        )
        worker = await engine.worker()
        try:
            with trio.move_on_after(WORKER_SECONDS):
                for honest in (start, b'{"clock":1,"settled":[{"call":1,"value":"1"}]}'):
                    await worker.send(mutant(rng, honest))
                    decode(await worker.receive(FRAME_BYTES))
        except (WorkerLostError, FrameError):
            pass
        finally:
            await worker.aclose()
        await childless(engine.pid)
        count += 1
    return count


async def fuzz_frames(seeds: Iterator[int]) -> int:
    """Frames that are nearly right, to the daemon's side. For a clock that jumps."""
    count = 0
    for seed in seeds:
        show = await play(
            "return 1", engine=Babblers(random.Random(seed)), plays=PLAYED, limits=limited(wall_seconds=5)
        )
        lawful(show, seed)
        count += 1
    return count


def main() -> None:
    """For so many seconds, a third for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--cases", type=int, default=1 << 30, help="of each kind, at most")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    print(f"seed {options.seed}")

    def seeds() -> Iterator[int]:
        ends = time.monotonic() + options.seconds / 3
        for number in range(options.cases):
            if time.monotonic() > ends:
                return
            yield options.seed + number

    async def confined() -> None:
        async with zygote() as engine:
            print(await fuzz_scripts(engine, seeds()), "scripts")
            print(await fuzz_workers(engine, seeds()), "frames to workers")

    trio.run(confined)
    print(trio.run(fuzz_frames, seeds(), clock=trio.testing.MockClock(autojump_threshold=0)), "frames from workers")


if __name__ == "__main__":
    main()
