"""Random programs in a real session, with people, interrupts, lost workers and deaths, and what must hold of them.

    python -m tests.actors.session.script_programs --examples 2000 [--seed 7]

A program is made by a grammar: calls that take their time, fail, ask people or cannot run beside others; timers; races
and all other ways to wait; what is not awaited; what throws. It runs in the real session, pool, driver and engine, in
virtual time (`scripted_stage`). A death is the log cut behind any of its records; the next life begins on what is left.

What must hold when a turn is over, in whichever life:

* nothing of it runs: no call, no worker
* each call was requested once and in order, started at most once, and has exactly one outcome, which the model is told
* the ledger is what the tools saw: what is done was done, what never started was never begun
* no call that had started is begun in a later life, unless its tool only looks and its end is not known
* a replay is told what it was told, in the order in which it was told, and takes the same way
* a log that another program has left is not followed
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import hypothesis
import msgspec
import trio
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.rollout_writer.lines import encode
from actors.rollout_writer.projection import project
from actors.rollout_writer.validity import validate_history
from actors.sandbox_pool.pool import DEFAULT_LIMITS
from actors.session.ledger import ledger_of
from messages.log import ItemShown, Record, ResponseItem, ScriptRecorded, ScriptWritten, ToolStarted, TurnClosed
from messages.script import CallEnded, CallRequested, CallStarted, ScriptEvent, ScriptPumped
from messages.session import InterruptTurn, TurnAccepted
from tests.actors.session.scripted_stage import Stage, answer, block, open_stage, questions, user_texts
from tests.actors.session.theatre import Thread

LIMITS = msgspec.structs.replace(DEFAULT_LIMITS, wall_seconds=1.5, calls=12, calls_at_once=3)
APPROVAL_SECONDS = 1.0
LOOK_SECONDS = 0.04
"""Between two looks of people at their questions."""

LIFE_SECONDS = 60.0
"""Of virtual time: a program has its wall clock and a dozen questions at most."""

Log = tuple[str, bytes, list[Record]]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All that a trial depends on."""

    sources: tuple[str, ...]
    decisions: tuple[str, ...] = ("accept",)
    """Of people, one question after another, over and over; ``leave``: nobody answers."""
    interrupt_ms: int | None = None
    lost_at: int | None = None
    """The frame of each life over which its worker is lost."""


# --- the grammar ------------------------------------------------------------------------------------------------------

HEAD = """\
let n = 0; const began = Date.now(); const code = (e: any) => e.code ?? e.name;
const call = (more: object) => tools.run({ id: `P-${++n}`, ...more });
const look = (more: object) => tools.readFile({ id: `P-${++n}`, ...more });
const after = (ms: number) => new Promise<number>((resolve) => setTimeout(() => resolve(ms), ms));
"""

_CALLS = st.sampled_from(
    [
        *("call({})", "call({ ms: 10 })", "call({ ms: 30 })", "call({ ms: 300 })", "call({ ms: 60000 })"),
        *(
            "call({ fail: true })",
            "call({ ask: true })",
            "call({ ask: true, ms: 20 })",
            "call({ safe: false, ms: 15 })",
        ),
        *("look({})", "look({ ms: 25 })", "look({ ms: 60000 })", "after(5)", "after(40)", "after(100)"),
        *("tools.nowhere({})", "Promise.reject(new RangeError('r'))", "Promise.resolve(Date.now() - began)"),
    ]
)


def _compose(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(parts, min_size=1, max_size=4).map(", ".join)
    ways = st.sampled_from(["all", "race", "any", "allSettled"])
    return st.one_of(
        st.tuples(ways, several).map(lambda made: f"Promise.{made[0]}([{made[1]}])"),
        parts.map(lambda inner: f"({inner}).then((v: any) => call({{ after: v }}))"),
        parts.map(lambda inner: f"({inner}).catch(code)"),
        parts.map(lambda inner: f"({inner}).finally(() => look({{}}))"),
        st.tuples(parts, parts).map(lambda made: f"(async () => {{ await {made[0]}; return await {made[1]} }})()"),
        st.tuples(parts, parts).map(
            lambda made: f"(async () => {{ try {{ await {made[0]} }} finally {{ await {made[1]} }} }})()"
        ),
    )


_PROMISES = st.recursive(_CALLS, _compose, max_leaves=5)

_STATEMENTS = st.one_of(
    _PROMISES.flatmap(
        lambda made: st.sampled_from(
            [
                *(f"await {made}", f"{made}", f"try {{ await {made} }} catch (e: any) {{ console.log(code(e)) }}"),
                *(f"console.log(JSON.stringify(await {made}))", f"for (let i = 0; i < 2; i++) await {made}"),
                f"const t = setTimeout(() => {{ {made} }}, 30); await after(20); if (n % 2) clearTimeout(t)",
            ]
        )
    ),
    st.sampled_from(
        [
            *("console.log(Math.random(), Date.now() - began)", "if (n > 3) throw new TypeError('enough')"),
            *("if (n > 4) return n", "if (Math.random() < 0.5) await call({})", "await new Promise(() => {})"),
            "while (Date.now() - began < 60) await after(25)",
        ]
    ),
)


def _program(statements: list[str]) -> str:
    return HEAD + "\n".join(f"{{ {statement}; }}" for statement in statements) + "\nreturn [n, Math.random()];"


PROGRAMS = st.lists(_STATEMENTS, min_size=1, max_size=5).map(_program)

PLANS = st.builds(
    lambda sources, **others: Plan(
        sources=tuple(source.replace("P-", f"{number}-") for number, source in enumerate(sources)), **others
    ),
    sources=st.lists(PROGRAMS, min_size=1, max_size=2),
    decisions=st.lists(st.sampled_from(["accept", "accept", "decline", "leave"]), min_size=1, max_size=3).map(tuple),
    interrupt_ms=st.one_of(st.none(), st.none(), st.integers(0, 800)),
    lost_at=st.one_of(st.none(), st.none(), st.integers(1, 8)),
)
DEATHS = st.lists(st.floats(0, 1), min_size=1, max_size=2)
"""How far into the log of its life each of them comes."""


# --- a life -----------------------------------------------------------------------------------------------------------


class Life:
    """A life of the daemon that has come to its end, with what it has left."""

    def __init__(self, stage: Stage, thread: Thread, before: Log | None) -> None:
        self.path = next(path for path in stage.theatre.log.files if thread.id in path)
        self.thread_id = thread.id
        self.data = stage.theatre.log.files[self.path]
        self.records = list(stage.theatre.log.records[self.path])
        self.kept = 0 if before is None else len(before[2])
        """Records of former lives."""
        self.begun = stage.begun
        self.done = stage.done
        self.failed = stage.failed
        self.told = [text for text in _last_texts(stage) if text.startswith("<tool-calls-result")]
        self.frames = stage.engine.frames
        self.left = [*(["a call"] * stage.running), *(["a worker"] * len(stage.engine.open))]

    def cut(self, part: float) -> Log:
        """What a daemon has left that died so far into it: at least the turn's beginning."""
        first = next(at for at, record in enumerate(self.records) if isinstance(record, ScriptWritten)) + 1
        count = first + round(part * (len(self.records) - 1 - first))
        lines = self.data.splitlines(keepends=True)
        return self.path, b"".join(lines[:count]), self.records[:count]


def _last_texts(stage: Stage) -> list[str]:
    return user_texts(stage.requests[-1]) if stage.requests else []


async def live(plan: Plan, log: Log | None = None) -> Life:
    """A life, from the turn's start or from what the last one left to the turn's end."""
    async with open_stage(limits=LIMITS, approval_seconds=APPROVAL_SECONDS, log=log) as stage:
        stage.engine.dies_at = plan.lost_at
        if log is None:
            thread = await stage.thread()
            stage.says("".join(map(block, plan.sources)), "Well.", "Well.")
            await stage.begin(thread)
        else:
            stage.says("Well.", "Well.", "Well.")
            thread = await stage.theatre.again(project(log[1]).meta.thread_id)
        with trio.fail_after(LIFE_SECONDS):
            await _attend(plan, thread, interrupts=log is None)
        life = Life(stage, thread, log)
        if stage.theatre.scripts and not life.told:  # its turn was interrupted: the next one is told
            await stage.begin(thread)
            await _until_over(thread)
            life.told = [text for text in _last_texts(stage) if text.startswith("<tool-calls-result")]
        return life


async def _attend(plan: Plan, thread: Thread, *, interrupts: bool) -> None:
    """Answer what is asked, interrupt when it is time, until the turn is over."""
    began, asked = trio.current_time(), 0
    seen: set[str] = set()
    while not isinstance(thread.records[-1], TurnClosed):
        await trio.sleep(LOOK_SECONDS)
        for question in await questions(thread):
            if question not in seen:
                seen.add(question)
                decision = plan.decisions[asked % len(plan.decisions)]
                asked += 1
                if decision != "leave":
                    await answer(thread, question, decision)
        due = plan.interrupt_ms is not None and trio.current_time() - began >= plan.interrupt_ms / 1000
        if interrupts and due and not isinstance(thread.records[-1], TurnClosed):
            await thread.ask(InterruptTurn(), TurnAccepted)
            await _until_over(thread)


async def _until_over(thread: Thread) -> None:
    while not isinstance(thread.records[-1], TurnClosed):  # noqa: ASYNC110  # in virtual time looking costs nothing
        await trio.sleep(LOOK_SECONDS)


# --- what must hold ---------------------------------------------------------------------------------------------------


class Script:
    """One script of a log: its events, the starts of its calls among them."""

    def __init__(self, source: str) -> None:
        self.source = source.encode()
        self.events: list[ScriptEvent] = []
        self.began = False
        self.over = False

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def ids(self) -> dict[int, str]:
        """What each of its calls is known as to its tool."""
        return {event.number: msgspec.json.decode(event.arguments)["id"] for event in self.of(CallRequested)}


def scripts_of(records: list[Record]) -> dict[str, Script]:
    """All scripts of a log."""
    found: dict[str, Script] = {}
    for record in records:
        match record:
            case ScriptWritten():
                found[record.call_id] = Script(record.source)
            case ToolStarted(place=None) if record.call_id in found:
                found[record.call_id].began = True
            case ToolStarted(place=place) if place is not None:
                found[place.script].events.append(CallStarted(number=place.number))
            case ScriptRecorded():
                found[record.call_id].events.append(record.event)
            case ItemShown() if record.item.id in found:
                found[record.item.id].over = True
            case _:
                pass
    return found


def check(life: Life) -> None:
    """A life that is over, against its log and its tools."""
    assert life.left == [], "nothing runs"
    assert validate_history(project(life.data).history) == []
    all_ids: list[str] = []
    for script in scripts_of(life.records).values():
        requested = [event.number for event in script.of(CallRequested)]
        assert requested == list(range(1, len(requested) + 1))
        tools = {event.number: event.name for event in script.of(CallRequested)}
        for kind in (CallStarted, CallEnded):
            numbers = [event.number for event in script.of(kind)]
            again = {number for number in numbers if numbers.count(number) > 1}
            assert all(kind is CallStarted and tools[number] == "readFile" for number in again), (kind, again)
            assert set(numbers) <= set(requested)
        settled = [each for event in script.of(ScriptPumped) for each in event.settled]
        assert len(settled) == len(set(settled)), "told once of each"
        _compare(life, script)
        all_ids += script.ids.values()
    assert set(life.begun) <= set(all_ids)
    if life.told:
        _check_told(life)


def _compare(life: Life, script: Script) -> None:
    """The ledger with what the tools saw in this life."""
    reports = ledger_of(script.events).reports()
    assert [report.number for report in reports] == sorted(script.ids)
    here = {event.number for event in script.of(CallEnded)} - _ended_before(life, script)
    for report in reports:
        name = script.ids[report.number]
        if name in life.begun:
            assert report.started, f"{name} was begun, and the log does not know it started"
        if report.number in here and report.started:
            saw = "done" if name in life.done else "failed" if name in life.failed else "not ended"
            if report.outcome in ("done", "failed"):
                assert saw == report.outcome, (name, report)
            elif report.outcome != "denied":
                assert saw == "not ended", (name, report)


def _ended_before(life: Life, script: Script) -> set[int]:
    for former in scripts_of(life.records[: life.kept]).values():
        if former.ids and former.ids.items() <= script.ids.items():
            return {event.number for event in former.of(CallEnded)}
    return set()


def _check_told(life: Life) -> None:
    """Every script has one result, which names each call of it."""
    scripts = list(scripts_of(life.records).values())
    assert len(life.told) == len(scripts)
    for script, text in zip(scripts, life.told, strict=True):
        for report in ledger_of(script.events).reports():
            named = f"#{report.number} " in text
            assert named or ("calls, all done" in text and report.outcome == "done"), (report, text)


def check_replay(before: Log, life: Life) -> None:
    """A life on what another one has left."""
    for former in scripts_of(before[2]).values():
        started = {event.number for event in former.of(CallStarted)}
        ended = {event.number for event in former.of(CallEnded)}
        tools = {event.number: event.name for event in former.of(CallRequested)}
        for number in started:
            again = former.ids[number] in life.begun
            assert not again or (tools[number] == "readFile" and number not in ended), f"call {number} is made again"
        workers = [frames for frames in life.frames if frames and frames[0].endswith(former.source)]
        assert not (former.over and workers), "what has ended is not run again"
        pumps = [_pump(event) for event in former.of(ScriptPumped)]
        for told in map(_given, workers):
            assert told[: len(pumps)] == pumps[: len(told)], "told in the order in which it was told"
        assert workers or former.over or not former.began, "it is replayed"
    assert not any('status="diverged"' in text for text in life.told), life.told


def _pump(event: ScriptPumped) -> tuple[int, list[tuple[str, int]]]:
    return event.clock_ms, [(each.kind, each.number) for each in event.settled]


def _given(frames: list[bytes]) -> list[tuple[int, list[tuple[str, int]]]]:
    """The pumps that a worker was given."""
    pumps = []
    for frame in map(msgspec.json.decode, frames[1:]):
        settled = [("timer", each["timer"]) if "timer" in each else ("call", each["call"]) for each in frame["settled"]]
        pumps.append((frame["clock"], settled))
    return pumps


# --- trials -----------------------------------------------------------------------------------------------------------


def virtually(main: Callable[[], Any]) -> Any:
    return trio.run(main, clock=MockClock(autojump_threshold=0))


def programs_leave_nothing_and_their_ledger_is_true(plan: Plan) -> None:
    """One life."""
    check(virtually(lambda: live(plan)))


def wherever_it_dies_nothing_is_made_twice(plan: Plan, deaths: list[float]) -> None:
    """A life, and those on what the former ones have left."""
    life = virtually(lambda: live(plan))
    for part in deaths:
        log = life.cut(part)
        life = virtually(partial(live, plan, log))
        check(life)
        check_replay(log, life)


def another_programs_log_is_not_followed(source: str, number: int, other: dict[str, Any]) -> None:
    """One call of the log is changed: the script that made it is another one now."""
    plan = Plan(sources=(source.replace("P-", "0-"),))
    life = virtually(lambda: live(plan))
    over = next(at for at, each in enumerate(life.records) if isinstance(each, ResponseItem) and _tells(each))
    records = life.records[:over]
    asked = [
        (at, each)
        for at, each in enumerate(records)
        if isinstance(each, ScriptRecorded) and isinstance(each.event, CallRequested)
    ]
    assume(asked)
    at, record = asked[number % len(asked)]
    records[at] = msgspec.structs.replace(record, event=msgspec.structs.replace(record.event, **other))
    lines = encode(records, thread_id=life.thread_id, first_ordinal=0, at=0.0)
    again = virtually(lambda: live(plan, (life.path, b"".join(lines), records)))
    assert 'status="diverged"' in again.told[0]
    assert again.begun == []
    check(again)


def _tells(record: ResponseItem) -> bool:
    return record.item_id is not None and b"<tool-calls-result " in record.item.raw


OTHER = st.sampled_from([{"arguments": '{"id":"other"}'}, {"line": 999}, {"name": "search"}])

PROPERTIES: dict[str, Callable[[], None]] = {
    "one life": given(PLANS)(programs_leave_nothing_and_their_ledger_is_true),
    "deaths": given(PLANS, DEATHS)(wherever_it_dies_nothing_is_made_twice),
    "another program": given(PROGRAMS, st.integers(0, 99), OTHER)(another_programs_log_is_not_followed),
}


def main() -> None:
    """Try so many of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=500, help="of each property (500)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    for name, property_ in PROPERTIES.items():
        chosen = settings(max_examples=options.examples, deadline=None, database=None, print_blob=False)
        hypothesis.seed(options.seed)(chosen(property_))()
        print(f"{name}: {options.examples} examples", flush=True)


if __name__ == "__main__":
    main()
