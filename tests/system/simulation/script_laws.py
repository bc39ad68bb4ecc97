"""What must hold of the scripts in a log, however often the daemon died over them.

`check` reads one log: of every script, what was written, asked for, started, ended and told. It is the ledger that is
judged here, against itself and against what the machine saw: the commands that ran and the patches that were written.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from actors.rollout_writer.parsing import Line, decode
from actors.session.scripting import IDEMPOTENT
from messages.client.item import CommandExecution, DynamicToolCall
from messages.log import (
    CallSpawned,
    ItemShown,
    Record,
    ResponseItem,
    ScriptRecorded,
    ScriptWritten,
    SpawnEnded,
    ToolStarted,
)
from messages.script import CallEnded, CallRequested, ScriptPumped
from tests.system.simulation.machine import Machine

ALL_DONE = "calls, all done: "
"""How a result begins to speak of calls none of which needs a line of its own."""

OURS = ("search", "describe", "spawn.list", "spawn.cancel")
"""Calls that the daemon answers by itself: nothing is started for them."""

_SPAWNED = re.compile(r'<spawned-call task="?(\d+)')
_STATUS = re.compile(r'<tool-calls-result status="(\w+)"')


@dataclass
class Ledger:
    """One script, as a log tells of it."""

    written: ScriptWritten
    starts: int = 0
    """How often it was given leave."""
    requested: list[int] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    started: dict[int, list[ToolStarted]] = field(default_factory=dict)
    ended: dict[int, CallEnded] = field(default_factory=dict)
    settled: Counter[tuple[str, int]] = field(default_factory=Counter)
    told: str | None = None
    """The result, as the model reads it."""
    shown: DynamicToolCall | None = None
    """Its item, completed."""


def check(machine: Machine, path: str, data: bytes, *, over: bool) -> None:
    """Of one log. ``over``: the thread is idle, so every script must have come to an end."""
    scripts: dict[str, Ledger] = {}
    problems: list[str] = []
    for raw in data[: data.rfind(b"\n") + 1].splitlines():
        line = decode(raw)
        if isinstance(line, Line):
            problems += _read(scripts, line.record)
    for ledger in scripts.values():
        problems += _judge(machine, ledger, over=over)
    problems += _judge_spawned(data, over=over)
    for problem in problems:
        machine.complain(f"{path}: {problem}")


def _judge_spawned(data: bytes, *, over: bool) -> list[str]:
    """Calls that outlive their script: one outcome each, of which the model is told once."""
    spawned, ended, told = Counter[int](), Counter[int](), Counter[int]()
    for raw in data[: data.rfind(b"\n") + 1].splitlines():
        line = decode(raw)
        match line.record if isinstance(line, Line) else None:
            case CallSpawned(task=task):
                spawned[task] += 1
            case SpawnEnded(task=task):
                ended[task] += 1
            case ResponseItem() as record:
                told.update(map(int, _SPAWNED.findall(_plain(record))))
            case _:
                pass
    problems = [f"task {task} is given twice" for task, count in spawned.items() if count > 1]
    for what, counted in (("has", ended), ("is told", told)):
        problems += [f"task {task} {what} {count} outcomes" for task, count in counted.items() if count > 1]
        problems += [f"task {task} {what} an outcome and never began" for task in counted.keys() - spawned.keys()]
        if over:
            problems += [f"task {task} {what} no outcome" for task in spawned.keys() - counted.keys()]
    return problems


def _read(scripts: dict[str, Ledger], record: Record) -> list[str]:
    match record:
        case ScriptWritten():
            scripts[record.call_id] = Ledger(record)
        case ToolStarted(place=None) if record.call_id in scripts:
            scripts[record.call_id].starts += 1
        case ToolStarted(place=place) if place is not None:
            ledger = scripts[place.script]
            ledger.started.setdefault(place.number, []).append(record)
            if place.number in ledger.ended:
                return [f"call {place.script}:{place.number} starts after its end"]
        case ScriptRecorded():
            return _hear(scripts[record.call_id], record)
        case ResponseItem(item_id=item_id) if item_id in scripts:
            ledger = scripts[str(item_id)]
            if ledger.shown is not None:  # without its item it was half a record, and does not count
                return [f"the model is told twice of script {item_id}"]
            ledger.told = _plain(record)
        case ResponseItem(item_id=None) if _STATUS.search(text := _plain(record)):
            # Recovery tells of scripts that were never begun, in their order; no item of theirs was ever shown.
            unbegun = [each for each in scripts.values() if not each.starts and each.told is None]
            if not unbegun:
                return [f"the model is told of a script that nobody wrote: {text}"]
            unbegun[0].told = text
        case ItemShown(item=DynamicToolCall() as item) if item.id in scripts:
            scripts[item.id].shown = item
        case _:
            pass
    return []


def _plain(record: ResponseItem) -> str:
    return record.item.raw.decode().replace('\\"', '"')


def _hear(ledger: Ledger, record: ScriptRecorded) -> list[str]:
    name = f"call {record.call_id}"
    match record.event:
        case CallRequested(number=number, name=called):
            ledger.requested.append(number)
            ledger.names[number] = called
            if number != len(ledger.requested):
                return [f"{name}:{number} is requested as the {len(ledger.requested)}. one"]
        case CallEnded(number=number) as event:
            if number in ledger.ended:
                return [f"{name}:{number} has two outcomes: {ledger.ended[number].result} and {event.result}"]
            if number not in ledger.requested:
                return [f"{name}:{number} ends and was never requested"]
            ledger.ended[number] = event
        case ScriptPumped(settled=settled):
            ledger.settled.update((each.kind, each.number) for each in settled)
            return [
                f"{name}:{each.number} was told to the script before its end was in the log"
                for each in settled
                if each.kind == "call" and each.number not in ledger.ended
            ]
        case _:
            pass
    return []


def _judge(machine: Machine, ledger: Ledger, *, over: bool) -> list[str]:
    name = f"script {ledger.written.call_id}"
    problems = [f"{name} is told twice of {kind} {number}" for (kind, number), n in ledger.settled.items() if n > 1]
    ran = {executed.key for executed in machine.executed}
    for number, starts in ledger.started.items():
        call = starts[0]
        if number not in ledger.requested:
            problems.append(f"{name}: call {number} started and was never requested")
        if len(starts) > 1 and call.name not in IDEMPOTENT:
            problems.append(f"{name}: call {number} ({call.name}) was started {len(starts)} times")
        ended = ledger.ended.get(number)
        # What is spawned is the thread's when it is done for the script; what became of it is told apart.
        is_command = isinstance(call.item, CommandExecution) and not ledger.names[number].startswith("spawn.")
        if ended is not None and ended.result.outcome == "done" and is_command and call.idempotency_key not in ran:
            problems.append(f"{name}: call {number} is done, and its command never ran")
    for number, ended in ledger.ended.items():
        if ended.result.outcome == "done" and number not in ledger.started and ledger.names[number] not in OURS:
            problems.append(f"{name}: call {number} is done and never started")
    if ledger.told is not None and ledger.shown is None and not over:
        return problems  # half a record of a life that lost its power: the script is run on in this one
    if ledger.told is None:
        return [*problems, f"{name} never came to an end"] if over else problems
    status = _STATUS.search(ledger.told)
    if status is None or status[1] == "diverged":
        problems.append(f"{name}: a replay went another way: {ledger.told[:300]}")
    if over and ledger.starts and (ledger.shown is None or ledger.shown.status == "inProgress"):
        problems.append(f"{name} has ended, and its item has not: {ledger.shown}")
    if ALL_DONE not in ledger.told:
        problems += [
            f"{name}: its result does not name call {number}: {ledger.told}"
            for number in ledger.requested
            if f"#{number} " not in ledger.told
        ]
    return problems
