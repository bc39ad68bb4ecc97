"""What must hold of the files whenever the daemon is dead, and of everything at the end.

A law is checked on what others can see: the bytes on the disk, the frames that clients were sent, the commands that
ran. `check_files` reads a rollout as it is and as it will be once recovery has appended its records.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from actors.rollout_writer.lines import encode
from actors.rollout_writer.loaded import LoadedThread
from actors.rollout_writer.parsing import Line, decode
from actors.rollout_writer.projection import project
from actors.rollout_writer.recovery import Recovery, recover
from actors.rollout_writer.transcript import UNKNOWN_TEXT
from actors.rollout_writer.validity import validate_history
from messages.log import ResponseItem, ToolStarted
from tests.system.simulation import script_laws
from tests.system.simulation.machine import HOST, MODEL_PORT, WORKSPACE, Machine
from tests.system.simulation.mirror import Item, is_over
from tests.system.simulation.person import Person

CHECKPOINT_SECONDS = 0.25
"""How old text may be that a dead daemon has not kept: the promise of the log."""

SETTLE_SECONDS = 0.05
"""For what was under way to the disk, or to the client, at that moment."""


@dataclass
class Death:
    """How the daemon died or stopped, and what of it is remembered for later."""

    life: int
    at: float
    power_loss: bool
    in_order: bool = False
    """It was asked to stop, and did."""
    waiting_turns: set[str] = field(default_factory=set)
    """Turns that wait for nothing but people: they must go on."""


def check_files(machine: Machine, people: tuple[Person, ...], death: Death) -> None:
    """The laws of the logs of a daemon that is dead. Remembers in ``death``; lets people forget what may be lost."""
    world = machine.world
    if world.programs.running():
        machine.complain(f"processes outlived the daemon: {world.programs.running()}")
    logs: dict[str, tuple[LoadedThread, LoadedThread]] = {}
    for path in machine.rollouts():
        data = world.disk.get(path)
        loaded, recovered, recovery = _recovered(machine, path, data)
        logs[str(loaded.meta.thread_id)] = loaded, recovered
        _check_started(machine, path, data, recovered)
        script_laws.check(machine, path, data, over=False)
        if recovery.state == "stays_open" and loaded.open_turn is not None:
            death.waiting_turns.add(str(loaded.open_turn.turn_id))
        if death.in_order and recovery.records and machine.has_room.is_set():
            machine.complain(f"{path}: after an orderly stop there is something to recover: {recovery.records}")
    if death.in_order:
        _check_nothing_left_running(machine)
    for executed in machine.executed:
        thread_id = executed.key.partition("/")[0]
        log = machine.rollout(thread_id)
        if log is None or executed.key.encode() not in world.disk.get(log):
            machine.complain(f"{executed.command!r} ran, and the log does not say so ({executed.key})")
    for person in people:
        _check_shown(machine, person, logs, death)
        if death.in_order and person.attached_at_stop and machine.reset_at < machine.asked_to_stop_at:
            for turn_id, turn in person.mirror.turns.items():
                if turn.status == "inProgress" and turn_id not in death.waiting_turns:
                    machine.complain(f"{person.name}: was not told how turn {turn_id} ended when the daemon stopped")


def _check_nothing_left_running(machine: Machine) -> None:
    """What a daemon leaves behind dies with it, in containers of its own; one that stops in order leaves nothing."""
    left = [each.argv for each in machine.world.programs.history if each.life == machine.life and each.left_running]
    left += [("a script",) for each in machine.world.scripts.history if each.life == machine.life and each.left_running]
    if left:
        machine.complain(f"the daemon stopped in order, and left running: {left}")


def _recovered(machine: Machine, path: str, data: bytes) -> tuple[LoadedThread, LoadedThread, Recovery]:
    at = machine.world.outside.clock.now()
    loaded = project(data)
    for problem in validate_history(loaded.history):
        machine.complain(f"{path}: its history is not valid: {problem}")
    recovery = recover(loaded, at=at)
    whole = data[: data.rfind(b"\n") + 1]
    lines = encode(recovery.records, thread_id=str(loaded.meta.thread_id), first_ordinal=loaded.next_ordinal, at=at)
    recovered = project(whole + b"".join(lines))
    for problem in validate_history(recovered.history):
        machine.complain(f"{path}: once recovered, its history is not valid: {problem}")
    if recovered.history[: len(loaded.history)] != loaded.history:
        machine.complain(f"{path}: recovery changed what a model may have been sent")
    again = recover(recovered, at=at)
    if again.records or again.state != recovery.state:
        machine.complain(f"{path}: recovering what is recovered adds {again}")
    if recovered.open_turn is not None and recovery.state == "idle":
        machine.complain(f"{path}: the turn {recovered.open_turn.turn_id} is open once recovered")
    return loaded, recovered, recovery


def _check_started(machine: Machine, path: str, data: bytes, recovered: LoadedThread) -> None:
    """A call that started and has no output in the log is unknown: the model is told so."""
    started: dict[str, ToolStarted] = {}
    for raw in data[: data.rfind(b"\n") + 1].splitlines():
        line = decode(raw)
        if isinstance(line, Line):
            if isinstance(line.record, ToolStarted):
                started[str(line.record.call_id)] = line.record
            elif isinstance(line.record, ResponseItem) and line.record.item.kind.endswith("_output"):
                started.pop(str(line.record.item.call_id), None)
    for item in recovered.history:
        if item.kind.endswith("_output") and str(item.call_id) in started:
            output = msgspec.json.decode(item.raw)["output"]
            if output != UNKNOWN_TEXT:
                machine.complain(f"{path}: {item.call_id} started and did not end, and the model is told {output!r}")


def _check_shown(
    machine: Machine, person: Person, logs: dict[str, tuple[LoadedThread, LoadedThread]], death: Death
) -> None:
    thread_id = person.meeting.thread_id
    if thread_id is None:
        return
    if thread_id not in logs:
        if person.durable or not (death.power_loss or person.thread_lost):
            machine.complain(f"{person.name}: the thread {thread_id} was shown, and there is no log of it")
        person.thread_lost = True
        person.completed.clear()
        person.accepted.clear()
        return
    loaded, _ = logs[thread_id]
    kept: dict[str, Item] = {
        item.id: msgspec.json.decode(msgspec.json.encode(item)) for turn in loaded.turns for item in turn.items
    }
    for item_id, item in list(person.completed.items()):
        if item_id not in kept or not is_over(kept[item_id]):
            if not death.power_loss or item_id in person.durable:
                machine.complain(f"{person.name}: {item['type']} {item_id} was shown completed, and is lost")
            person.completed.pop(item_id)
        elif kept[item_id] != item:
            machine.complain(f"{person.name}: {item_id} was shown as {item}, and the log says {kept[item_id]}")
    for submission, turn_id in list(person.accepted.items()):
        if loaded.submissions.get(submission) != turn_id:
            if not death.power_loss and submission not in person.unkept:
                machine.complain(f"{person.name}: {submission!r} was accepted as turn {turn_id}, and is lost")
            person.accepted.pop(submission)


@dataclass
class Promise:
    """What was shown as started when the daemon died; it has to be seen completed."""

    item_id: str
    kind: str
    text: str | None
    """A message's words that had been shown long enough to be kept."""
    life: int


def promises(person: Person, death: Death) -> list[Promise]:
    """What a person saw open when the daemon died."""
    stale, person.mirror_stale = person.mirror_stale, True
    if death.power_loss or stale or death.in_order:
        return []
    due = death.at - CHECKPOINT_SECONDS - SETTLE_SECONDS
    found: list[Promise] = []
    for item_id, item in person.mirror.items().items():
        if item.completed:
            continue
        text: str | None = None
        if item.body["type"] in ("agentMessage", "reasoning"):
            length = max((chars for at, chars in item.growth if at <= due), default=0)
            if length == 0:
                continue  # its text is younger than the last checkpoint may be
            text = "".join(text for _, text in sorted(item.texts.items()))[:length]
        found.append(Promise(item_id=item_id, kind=item.body["type"], text=text, life=death.life))
    return found


def check_end(
    machine: Machine, people: tuple[Person, ...], deaths: list[Death], kept: dict[str, list[Promise]]
) -> None:
    """The laws of a finished trial: the daemon has stopped in order."""
    listening = set(machine.world.fabric.listeners) - {f"{HOST}:{MODEL_PORT}"}
    if listening:
        machine.complain(f"still listening: {listening}")
    for path in machine.world.disk.paths(WORKSPACE):
        writes = [each for each in machine.workspace_writes if each == path]
        if len(writes) > 1:
            machine.complain(f"{path} was patched {len(writes)} times")
    _check_nothing_left_running(machine)
    for path in machine.rollouts():
        script_laws.check(machine, path, machine.world.disk.get(path), over=True)
    for person in people:
        thread = person.views.get(person.meeting.thread_id or "")
        if thread is None:
            machine.complain(f"{person.name}: never came to read the thread at the end")
            continue
        for words in person.mirror.compare(thread):
            machine.complain(f"{person.name}: {words}")
        items = {item["id"]: item for turn in thread["turns"] for item in turn["items"]}
        for item_id, shown in person.completed.items():
            if items.get(item_id) != shown:
                machine.complain(f"{person.name}: {item_id} was shown as {shown} and is read as {items.get(item_id)}")
        for promise in kept.get(person.name, ()):
            _check_promise(machine, person, promise, items)
        _check_submissions(machine, person, thread)
        turns = {turn["id"]: turn["status"] for turn in thread["turns"]}
        for turn_id in deaths[-1].waiting_turns if deaths else ():
            if turns.get(turn_id, "completed") == "interrupted" and not person.interrupts:
                machine.complain(f"{person.name}: turn {turn_id} waited for people only, and was interrupted")


def _check_promise(machine: Machine, person: Person, promise: Promise, items: dict[str, Any]) -> None:
    item = items.get(promise.item_id)
    what = f"{person.name}: {promise.kind} {promise.item_id}, open when life {promise.life} ended,"
    if item is None:
        machine.complain(f"{what} never completes: the thread does not know it")
    elif not is_over(item):
        machine.complain(f"{what} never completes: it is still {item}")
    elif promise.text is not None:
        text = item["text"] if promise.kind == "agentMessage" else "".join(item.get("summary", ()))
        if not text.startswith(promise.text):
            machine.complain(f"{what} had shown {promise.text!r} and is completed as {text!r}")


def _check_submissions(machine: Machine, person: Person, thread: dict[str, Any]) -> None:
    seen: dict[str, str] = {}
    for turn in thread["turns"]:
        for item in turn["items"]:
            if item["type"] == "userMessage" and item.get("clientId"):
                if item["clientId"] in seen:
                    machine.complain(f"{person.name}: the submission {item['clientId']!r} entered twice")
                seen[item["clientId"]] = turn["id"]
    for submission in person.accepted.keys() - person.wordless:
        if submission not in seen:
            machine.complain(f"{person.name}: the submission {submission!r} never entered")
