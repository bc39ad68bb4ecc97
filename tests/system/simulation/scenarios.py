"""What people want of the daemon in a trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import trio

from tests.simulation import Chances
from tests.system.simulation.machine import WORKSPACE, Machine
from tests.system.simulation.mirror import Frame
from tests.system.simulation.person import Habits, Meeting, Person, Play

FREELY = {"approvalPolicy": "never"}
CAREFULLY = {"approvalPolicy": "on-request"}


async def finish(me: Person) -> None:
    """Whatever happened, a new turn works; then read the thread as it is."""
    number = 0
    while True:
        await me.machine.has_room.wait()
        if await me.turn("hello again", f"{me.name}/last-{number}") == "completed":
            break
        # A death, a stop, a full disk or a defect may cut one of them short; the next must work.
        number += 1
        if number > me.machine.lives_cut + me.full_disks + bool(me.machine.struck):
            me.complain("no turn works any more")
            break
    listed = await me.ask("thread/list", {"cwd": WORKSPACE})
    me.expect(me.meeting.thread_id in {thread["id"] for thread in listed["data"]}, "the thread is not in the list")
    status = await me.ask("callboard/status", {})
    for node in nodes(status["tree"]):
        me.expect(
            bool(me.machine.struck) or not (node.get("restarts") or node.get("lastFailure")),
            f"an actor crashed: {node}",
        )
    await me.read()


def nodes(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """An actor and all below it."""
    yield tree
    for child in tree.get("children", ()):
        yield from nodes(child)


async def talk(me: Person) -> None:
    await me.attend()
    await me.turn("hello", "first")
    await finish(me)


async def build(me: Person) -> None:
    await me.attend()
    await me.turn("build it", "first")
    await finish(me)


async def script_it(me: Person) -> None:
    await me.attend()
    await me.turn("script it", "first")
    await finish(me)


OWN_SCRIPT = """\
const work = (name: string) => tools.exec({ command: ["work", name, "0.2"] }).then((d) => d.exitCode, (e) => e.code);
console.log(await work("mine"));
return [await Promise.all([work("yours"), work("ours")]), Math.random(), Date.now()];
"""


async def run_own_script(me: Person) -> None:
    await me.attend()
    await me.run_script(OWN_SCRIPT, "first")
    await me.ended("first")
    await finish(me)


async def spawn(me: Person) -> None:
    await me.attend()
    await me.turn("spawn it", "first")
    await end_commands(me)
    await finish(me)


async def large_values(me: Person) -> None:
    await me.attend()
    await me.turn("large values", "first")
    await finish(me)


async def watch(me: Person) -> None:
    """Join whoever makes the thread, and be there until that one is done."""
    await me.join()
    await me.companion_done()
    await me.until(me.knows_all, "all is told that the other one has seen")
    await me.read()


async def stop_it(me: Person) -> None:
    await me.attend()
    await me.submit("long work", "first")
    turn_id = me.accepted["first"]
    await me.until(
        lambda: me.mirror.ended(turn_id) or len(me.machine.running_keys()) == 2 or bool(me.machine.struck),
        "both commands run",
    )
    await trio.sleep(me.random.choice((0.0, 0.02, 0.4)))
    await me.interrupt("first")
    status = await me.ended("first")
    # A defect may have ended the turn before the interrupt came.
    ends = ("interrupted", "failed") if me.machine.struck else ("interrupted",)
    me.expect(status in ends, f"an interrupted turn is {status}")
    me.expect(not me.machine.running_keys(), f"after an interrupt {me.machine.running_keys()} still run")
    await finish(me)


async def stop_anywhere(me: Person) -> None:
    """Interrupt a tool turn at any moment of it."""
    await stop_between(me, "build it", 4.0)


async def stop_script_anywhere(me: Person) -> None:
    """Interrupt a turn of scripts at any moment of it."""
    await stop_between(me, "script it", 5.0)


async def stop_between(me: Person, wish: str, seconds: float) -> None:
    await me.attend()
    await me.submit(wish, "first")
    await trio.sleep(me.random.uniform(0.0, seconds))
    await me.interrupt("first")
    await me.ended("first")
    me.expect(not me.machine.running_keys(), f"after an interrupt {me.machine.running_keys()} still run")
    await finish(me)


async def serve(me: Person) -> None:
    await me.attend()
    await me.turn("serve it", "first")
    await me.turn("hello meanwhile", "second")
    await end_commands(me)
    await finish(me)


async def end_commands(me: Person) -> None:
    """End what goes on in the thread without a turn."""
    listed = await me.ask("thread/backgroundTerminals/list", {"threadId": me.meeting.thread_id})
    for terminal in listed["data"]:
        params = {"threadId": me.meeting.thread_id, "processId": terminal["processId"]}
        await me.ask("thread/backgroundTerminals/terminate", params)
    await me.until(lambda: me.open_commands() == 0, "the background commands are shown completed")
    me.expect(not me.machine.running_keys(), f"after the end of the terminals {me.machine.running_keys()} run")


async def second_thoughts(me: Person) -> None:
    await me.attend()
    await me.submit("steady work", "first")
    turn_id = me.accepted["first"]
    await me.until(
        lambda: me.mirror.ended(turn_id) or me.open_commands() == 1 or bool(me.machine.struck), "the command runs"
    )
    await me.submit("also this", "second")
    await me.ended("first")
    await me.ended("second")
    await finish(me)


async def insist(me: Person) -> None:
    await me.attend()
    await me.turn("shaky", "first")
    await finish(me)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """People, what they want, and what the network does to them."""

    name: str
    play: Play
    settings: dict[str, Any] = field(default_factory=lambda: FREELY)
    companion: Play | None = None
    interrupts: bool = False
    decisions: tuple[str, ...] = ("accept",)
    slow: bool = False
    resets: int = 0
    full_disks: int = 0
    chances: Chances = field(default_factory=Chances)
    config: str = ""
    """Lines in front of the daemon's config file."""
    commands: tuple[str, ...] | None = None
    """What runs when nothing goes wrong, in any order."""


SCRIPTED = (
    *("work left 0.3", "work right 0.2", "work timed 0.1", "work fast 0.1", "chatter 600", "work whole 0.1"),
    *("work before 0.1", "work between 0.1", "work after-1 0.1", "work after-2 0.1", "work after-3 0.1"),
)
OWN = ("work mine 0.2", "work yours 0.2", "work ours 0.2")
SPAWNED = ("work apart 0.3", "chatter 600", "work within 0.1", "stubborn", "work meanwhile 0.3")
BUILT = ("work left 0.4", "work right 0.2", "work whole 0.1")

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(name="build", play=build, commands=BUILT),
    Scenario(name="careful", play=build, settings=CAREFULLY, commands=BUILT),
    Scenario(name="talk", play=talk, commands=()),
    Scenario(
        name="refused", play=build, settings=CAREFULLY, decisions=("accept", "decline", "cancel"), interrupts=True
    ),
    Scenario(name="stopped", play=stop_it, interrupts=True, commands=("chatter 600", "stubborn")),
    Scenario(name="stopped anywhere", play=stop_anywhere, settings=CAREFULLY, interrupts=True),
    Scenario(name="background", play=serve, commands=("serve", "work beside 0.1")),
    Scenario(name="steered", play=second_thoughts, commands=("work slowly 1.0",)),
    Scenario(name="two clients", play=build, settings=CAREFULLY, companion=watch, commands=BUILT),
    Scenario(name="shaky model", play=insist, commands=("work once 0.1",)),
    Scenario(name="bad network", play=build, settings=CAREFULLY, companion=watch, resets=6),
    Scenario(name="full disk", play=build, settings=CAREFULLY, full_disks=3),
    Scenario(
        name="slow client",
        play=build,
        companion=watch,
        slow=True,
        chances=Chances(pipe_bytes=2048),
        commands=BUILT,
    ),
    Scenario(name="script", play=script_it, commands=SCRIPTED),
    Scenario(name="careful script", play=script_it, settings=CAREFULLY, commands=SCRIPTED),
    Scenario(
        name="refused script",
        play=script_it,
        settings=CAREFULLY,
        decisions=("accept", "decline", "accept", "cancel"),
        interrupts=True,
    ),
    Scenario(name="stopped script", play=stop_script_anywhere, settings=CAREFULLY, interrupts=True),
    Scenario(name="watched script", play=script_it, settings=CAREFULLY, companion=watch, resets=4),
    Scenario(name="script, full disk", play=script_it, full_disks=3),
    Scenario(name="own script", play=run_own_script, settings=CAREFULLY, commands=OWN),
    Scenario(name="spawned", play=spawn, config="scripts.spawn = true\n", commands=SPAWNED),
    Scenario(name="large values", play=large_values, commands=("flood 1100", "work behind 0.1")),
    Scenario(name="lost workers", play=script_it, chances=Chances(lost_worker=0.08)),
)


def people_of(scenario: Scenario, machine: Machine) -> tuple[Person, ...]:
    """Everybody who takes part."""
    meeting = Meeting()
    first = _person(scenario, machine, "ada", scenario.play, meeting)
    if scenario.companion is None:
        return (first,)
    second = _person(scenario, machine, "ben", scenario.companion, meeting, slow=scenario.slow)
    second.companion = first
    return first, second


def _person(
    scenario: Scenario, machine: Machine, name: str, play: Play, meeting: Meeting, *, slow: bool = False
) -> Person:
    habits = Habits(
        decide=_decider(scenario.decisions, machine.seed),
        thinking_seconds=0.1 if name == "ada" else 0.1 + 0.001 * (machine.seed % 3 - 1),
        read_pause_seconds=0.01 if slow else 0.0,
        read_bytes=64 if slow else None,
    )
    return Person(
        machine,
        name,
        play,
        meeting,
        habits=habits,
        settings=scenario.settings,
        interrupts=scenario.interrupts or bool(scenario.full_disks),
        full_disks=scenario.full_disks,
    )


def _decider(decisions: tuple[str, ...], seed: int) -> Callable[[Frame], str]:
    def decide(question: Frame) -> str:
        # By the question's subject and not by its turn, so that the same question gets the same answer in every life.
        id_: str = question["id"]
        return decisions[(seed + sum(id_.encode())) % len(decisions)]

    return decide
