"""What is asked of the daemon, and what is measured while it does it. Each scenario gets a daemon of its own.

A scenario returns figures by name; times are in milliseconds, memory in KB. All raise CallError when a turn goes wrong:
a fast daemon that loses a delta is not fast.
"""

from __future__ import annotations

import statistics
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from bench.load import processes
from bench.load.client import CallError, Load, Turn, check
from bench.load.figures import spread
from bench.load.processes import Server

DELTA_CHARS = 24
"""A stamp and a few letters: tokens are shorter, but most servers send more than one at a time."""

SETTLE_SECONDS = 0.5
"""After the preparation, before anything is measured."""

STREAM_SECONDS = 6.0
"""Of the window in which all streams run."""

FLOOD_DELTAS = 100_000
FLOOD_CHUNK = 200
"""Deltas per write of the model: Python cannot write single deltas fast enough to be a flood."""

Figures = dict[str, float]


@dataclass(kw_only=True)
class Setting:
    """What a scenario runs in."""

    model_url: str
    command: Sequence[str] = ()
    quick: bool = False
    delays: dict[str, list[float]] = field(default_factory=dict)
    """Percentiles of added delays by scenario, for the picture."""

    @contextmanager
    def daemon(self, home: Path | None = None) -> Iterator[tuple[Server, Load]]:
        """A daemon with its clients, in a new home unless one is given."""
        with (
            processes.private_home() if home is None else _kept(home) as folder,
            processes.daemon(folder, self.model_url, command=self.command) as server,
            Load(server.host, server.port, str(folder / "work")) as load,
        ):
            yield server, load

    def some(self, count: int) -> int:
        """``count``, or a fifth of it when it is only to be seen that all works."""
        return max(2, count // 5) if self.quick else count


@contextmanager
def _kept(home: Path) -> Iterator[Path]:
    yield home


# --- starting -----------------------------------------------------------------------------------------------------


def startup(setting: Setting) -> Figures:
    """From spawning the process to its first answers, in a home that was used before."""
    listening: list[float] = []
    answered: list[float] = []
    threaded: list[float] = []
    with processes.private_home() as home:
        for number in range(1 + setting.some(5)):
            with setting.daemon(home) as (server, load):
                began = time.perf_counter()
                load.connect()
                first = time.perf_counter()
                load.start_thread(load.connections[0])
                if number:  # the first start makes the home
                    listening.append(began - server.spawned_at)
                    answered.append(first - server.spawned_at)
                    threaded.append(time.perf_counter() - server.spawned_at)
                memory = processes.anonymous_kb(server.pid)
    return {
        "listening_ms": _median_ms(listening),
        "first_answer_ms": _median_ms(answered),
        "first_thread_ms": _median_ms(threaded),
        "empty_mb": memory / 1024,
    }


def threads(setting: Setting) -> Figures:
    """Many threads that do nothing: what starting one costs, and what it holds."""
    count = setting.some(500)
    with setting.daemon() as (server, load):
        load.connect(10)
        load.run_turn(load.start_thread(load.connections[0]), "deltas=1")
        time.sleep(SETTLE_SECONDS)
        before, cpu = processes.anonymous_kb(server.pid), processes.cpu_seconds(server.pid)
        took: list[float] = []
        for number in range(count):
            began = time.perf_counter()
            load.start_thread(load.connections[number % 10])
            took.append(time.perf_counter() - began)
        time.sleep(SETTLE_SECONDS)
        cpu = processes.cpu_seconds(server.pid) - cpu
        idle = processes.anonymous_kb(server.pid)
        used = load.threads[1 : 1 + setting.some(200)]
        for thread in used:
            load.run_turn(thread, "deltas=5")
        time.sleep(SETTLE_SECONDS)
        after = processes.anonymous_kb(server.pid)
        resting = processes.cpu_seconds(server.pid)
        time.sleep(2.0)
        resting = processes.cpu_seconds(server.pid) - resting
    return {
        "count": count,
        "start_p50_ms": _median_ms(took),
        "start_cpu_ms": cpu / count * 1000,
        "idle_kb": (idle - before) / count,
        "more_after_a_turn_kb": (after - idle) / len(used),
        "resting_cpu_percent": resting / 2.0 * 100,
    }


# --- streaming ----------------------------------------------------------------------------------------------------


def streams(setting: Setting, *, name: str, connections: int, per_connection: int, rate: int) -> Figures:
    """Many threads that all stream at a steady rate."""
    connections = setting.some(connections)
    count = connections * per_connection
    spread_seconds = max(1.0, count / 100)
    deltas = int(rate * (STREAM_SECONDS + spread_seconds))
    with setting.daemon() as (server, load):
        load.connect(connections)
        for connection in load.connections:
            for _ in range(per_connection):
                load.start_thread(connection)
        load.run_turn(load.threads[0], "deltas=20")
        time.sleep(SETTLE_SECONDS)
        idle = processes.anonymous_kb(server.pid)
        turns = _start_spread(load, f"deltas={deltas} rate={rate} size={DELTA_CHARS}", spread_seconds)
        load.wait(lambda: all(turn.first_at for turn in turns), 30.0)
        window = _Window(server, load)
        delays = array("d")
        for turn in turns:
            turn.delays = delays
        ends = time.perf_counter() + STREAM_SECONDS * 0.8
        load.wait(lambda: time.perf_counter() >= ends or load.completed > 1, STREAM_SECONDS)
        for turn in turns:
            turn.delays = None
        figures = window.close()
        active = processes.anonymous_kb(server.pid)
        if not load.wait(lambda: load.completed == count + 1, 60.0):
            raise CallError(f"{count + 1 - load.completed} of {count} turns did not complete")
        check(turns)
        _check_complete(turns, deltas)
    added = spread(delays, 1e-3)
    assert added is not None, "deltas have come"
    ordered = sorted(delays)
    setting.delays[name] = [ordered[int(part / 1000 * (len(ordered) - 1))] / 1000 for part in range(0, 1001, 5)]
    return {
        **figures,
        "threads": count,
        "p50_ms": added.p50,
        "p95_ms": added.p95,
        "p99_ms": added.p99,
        "max_ms": added.max,
        "active_kb": (active - idle) / count,
        "notifications_per_delta": sum(turn.messages for turn in turns) / (deltas * count),
        "first_delta_p50_ms": _median_ms([turn.first_at - turn.sent_at for turn in turns]),
    }


def _start_spread(load: Load, directive: str, seconds: float) -> list[Turn]:
    """Start a turn on every thread, evenly over so many seconds."""
    turns: list[Turn] = []
    began = time.perf_counter()
    for number, thread in enumerate(load.threads):
        due = began + seconds * number / len(load.threads)
        load.wait(lambda due=due: time.perf_counter() >= due, seconds)  # type: ignore[misc]  # a default binds it now
        turns.append(load.start_turn(thread, directive, size=DELTA_CHARS))
    return turns


class _Window:
    """What is used and delivered between two moments."""

    def __init__(self, server: Server, load: Load) -> None:
        self._server = server
        self._load = load
        self._began = self._now()

    def _now(self) -> tuple[float, float, float, float, int]:
        return (
            time.perf_counter(),
            processes.cpu_seconds(self._server.pid),
            time.process_time(),
            processes.busy_seconds(),
            self._load.delivered,
        )

    def close(self) -> Figures:
        """``others_cpu_percent`` is everything but the daemon and this process, the model included."""
        seconds, cpu, own, busy, delivered = (end - begin for begin, end in zip(self._began, self._now(), strict=True))
        return {
            "deltas_per_s": delivered / seconds,
            "cpu_ms_per_1000": cpu * 1e6 / max(1, delivered),
            "cpu_percent": cpu / seconds * 100,
            "client_cpu_percent": own / seconds * 100,
            "others_cpu_percent": (busy - cpu - own) / seconds * 100,
        }


def flood(setting: Setting) -> Figures:
    """One thread whose model sends as fast as it is read."""
    deltas = setting.some(FLOOD_DELTAS)
    with setting.daemon() as (server, load):
        load.connect()
        thread = load.start_thread(load.connections[0])
        load.run_turn(thread, f"deltas=2000 chunk={FLOOD_CHUNK}")
        time.sleep(SETTLE_SECONDS)
        rates: list[float] = []
        cpu = processes.cpu_seconds(server.pid)
        for _ in range(3):
            turn = load.run_turn(thread, f"deltas={deltas} chunk={FLOOD_CHUNK}")
            _check_complete((turn,), deltas)
            rates.append(deltas / (turn.completed_at - turn.first_at))
        cpu = processes.cpu_seconds(server.pid) - cpu
    return {"deltas_per_s": statistics.median(rates), "cpu_ms_per_1000": cpu * 1e6 / (3 * deltas)}


# --- turns --------------------------------------------------------------------------------------------------------


def short_turns(setting: Setting) -> Figures:
    """One-delta turns, one after the other, on one thread."""
    count = setting.some(300)
    with setting.daemon() as (server, load):
        load.connect()
        thread = load.start_thread(load.connections[0])
        for _ in range(5):
            load.run_turn(thread, "deltas=1")
        cpu, began = processes.cpu_seconds(server.pid), time.perf_counter()
        took = [load.run_turn(thread, "deltas=1").seconds for _ in range(count)]
        seconds, cpu = time.perf_counter() - began, processes.cpu_seconds(server.pid) - cpu
    some = min(50, count // 2)
    return {
        "p50_ms": _median_ms(took),
        "p99_ms": sorted(took)[int(0.99 * (count - 1))] * 1000,
        "cpu_ms": cpu / count * 1000,
        "turns_per_s": count / seconds,
        "drift": statistics.median(took[-some:]) / statistics.median(took[:some]),
    }


def tools(setting: Setting) -> Figures:
    """Turns that run `true`: one call, and four at once."""
    count = setting.some(20)
    figures: Figures = {}
    with setting.daemon() as (server, load):
        load.connect()
        thread = load.start_thread(load.connections[0])
        for name, calls in (("one", 1), ("four", 4)):
            for _ in range(2):
                load.run_turn(thread, f"tools={calls}")
            cpu = processes.cpu_seconds(server.pid)
            turns = [load.run_turn(thread, f"tools={calls}") for _ in range(count)]
            cpu = processes.cpu_seconds(server.pid) - cpu
            if any(turn.items < calls + 2 for turn in turns):  # the user's message, the calls, the answer
                raise CallError(f"a turn with {calls} tool calls completed {min(turn.items for turn in turns)} items")
            figures[f"{name}_p50_ms"] = _median_ms([turn.seconds for turn in turns])
            figures[f"{name}_cpu_ms"] = cpu / count * 1000
    return figures


def interrupt(setting: Setting) -> Figures:
    """From turn/interrupt to turn/completed while text streams."""
    with setting.daemon() as (_, load):
        load.connect()
        thread = load.start_thread(load.connections[0])
        took: list[float] = []
        for _ in range(setting.some(20)):
            turn = load.start_turn(thread, "deltas=5000 rate=50")
            if not load.wait(lambda turn=turn: turn.deltas >= 2):  # type: ignore[misc]  # a default binds it now
                raise CallError("no delta came")
            took.append(load.interrupt(thread))
    return {"p50_ms": _median_ms(took), "max_ms": max(took) * 1000}


def resume(setting: Setting) -> Figures:
    """A thread of a thousand items, opened by a daemon that has just started."""
    count = setting.some(500)
    live: list[float] = []
    disk: list[float] = []
    with processes.private_home() as home:
        with setting.daemon(home) as (_, load):
            load.connect(2)
            thread = load.start_thread(load.connections[0])
            for _ in range(count):
                load.run_turn(thread, "deltas=1 size=200", size=200)
            live += [_resume(load, thread.id, count) for _ in range(5)]
        for _ in range(setting.some(5)):
            with setting.daemon(home) as (server, load):
                load.connect(2)
                cpu = processes.cpu_seconds(server.pid)
                disk.append(_resume(load, thread.id, count))
                cpu = processes.cpu_seconds(server.pid) - cpu
    return {"items": count * 2, "live_p50_ms": _median_ms(live), "disk_p50_ms": _median_ms(disk), "cpu_ms": cpu * 1000}


class _Turns(msgspec.Struct):
    items: list[msgspec.Raw]


class _Thread(msgspec.Struct):
    turns: list[_Turns]


class _Resumed(msgspec.Struct):
    thread: _Thread


def _resume(load: Load, thread_id: str, turns: int) -> float:
    began = time.perf_counter()
    result = load.call(load.connections[1], "thread/resume", {"threadId": thread_id})
    seconds = time.perf_counter() - began
    resumed = msgspec.json.decode(result, type=_Resumed)
    items = sum(len(turn.items) for turn in resumed.thread.turns)
    if items != turns * 2:
        raise CallError(f"thread/resume: {items} items instead of {turns * 2}")
    return seconds


# ------------------------------------------------------------------------------------------------------------------


def _check_complete(turns: Sequence[Turn], deltas: int) -> None:
    for turn in turns:
        if turn.deltas != deltas:
            raise CallError(f"{turn.deltas} of {deltas} deltas came")


def _median_ms(seconds: Sequence[float]) -> float:
    return statistics.median(seconds) * 1000


SCENARIOS: dict[str, Callable[[Setting], Figures]] = {
    "startup": startup,
    "threads": threads,
    "streams_50": partial(streams, name="streams_50", connections=10, per_connection=5, rate=50),
    "streams_200": partial(streams, name="streams_200", connections=20, per_connection=10, rate=50),
    "flood": flood,
    "short_turns": short_turns,
    "tools": tools,
    "interrupt": interrupt,
    "resume": resume,
}
"""In this order, some 90 seconds together."""
