"""What the daemon promises, seen from outside: when it says that something ended, it has; what it has said, stays."""

from __future__ import annotations

import functools
import signal
import threading
import time
from pathlib import Path

import msgspec
import pytest
import trio

from actors.settings.layers import endpoint_layer
from supervisors.daemon import Daemon, DaemonOptions
from tests.system.daemon import DaemonProcess, of_thread, resident_kb
from tests.system.deadline import deadline, until
from tests.system.model import Exchange, Play, ScriptedModel
from tests.system.outcome import history_problems, unfinished
from tests.system.peer import Frame, Peer, connect
from tests.system.stalled import stalled

PLAY_SECONDS = 10.0
"""A play waits no longer than this for its test."""

LEAVES_CHILDREN = "trap '' TERM; (setsid sh -c 'sleep 300 & sleep 300' >/dev/null 2>&1 &); sleep 300"
"""Deaf to SIGTERM, with children forked twice in a session of their own."""


def tool_turn(*commands: str, **arguments: object) -> Play:
    """A play: these commands at once, then a word."""

    def play(exchange: Exchange) -> None:
        if exchange.round == 0:
            for index, command in enumerate(commands):
                exchange.run(command, f"call-{exchange.serial}-{index}", **arguments)
        else:
            exchange.say("Done.")
        exchange.complete()

    return play


def hang_after(text: str, exchange: Exchange) -> None:
    """A play: say something, then nothing more, and never end."""
    exchange.say(text, finish=False)
    exchange.hang()


# --- interrupt ------------------------------------------------------------------------------------------------------


async def test_after_an_interrupt_is_answered_no_process_of_the_turn_is_left(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    model.on("busy", tool_turn(LEAVES_CHILDREN, LEAVES_CHILDREN))
    with deadline(15, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace)
            turn_id = await peer.start_turn(thread["id"], "busy now")
            await until(lambda: len(of_thread(thread["id"])) >= 6)
            await peer.request("turn/interrupt", {"threadId": thread["id"], "turnId": turn_id})
            ended = await peer.turn_completed(turn_id)
            left = of_thread(thread["id"])
            assert (ended["status"], left) == ("interrupted", [])
            assert history_problems(thread) == []
            assert unfinished(peer) == []
            again = await peer.run_turn(thread["id"], "hello")
            assert again["status"] == "completed"
    assert model.problems == []


async def test_after_an_interrupt_is_answered_no_socket_to_the_model_is_left(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    model.on("story", functools.partial(hang_after, "Once upon a time"))
    with deadline(15, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace)
            turn_id = await peer.start_turn(thread["id"], "story please")
            await peer.note("item/agentMessage/delta")
            [exchange] = model.asked("story")
            assert connected(exchange)
            await peer.request("turn/interrupt", {"threadId": thread["id"], "turnId": turn_id})
            ended = await peer.turn_completed(turn_id)
            assert (ended["status"], connected(exchange)) == ("interrupted", False)
            assert history_problems(thread) == []
            assert unfinished(peer) == []


def connected(exchange: Exchange) -> bool:
    """Whether the daemon's end of that connection is an established one, as the kernel tells it."""
    established = "01"
    port = f":{exchange.client_port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(fields[1].endswith(port) and fields[3] == established for fields in map(str.split, lines))


# --- background terminals -------------------------------------------------------------------------------------------


async def test_a_background_terminal_survives_turns_and_interrupts_and_ends_when_told(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    model.on("serve", tool_turn("setsid sleep 300 & sleep 300", yield_time_ms=250))
    model.on("story", functools.partial(hang_after, "Once upon a time"))
    with deadline(15, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace)
            for _ in range(2):
                assert (await peer.run_turn(thread["id"], "serve it"))["status"] == "completed"
            hanging = await peer.start_turn(thread["id"], "story please")
            await peer.note("item/agentMessage/delta")
            await peer.request("turn/interrupt", {"threadId": thread["id"], "turnId": hanging})
            assert (await peer.turn_completed(hanging))["status"] == "interrupted"

            listed = await peer.request("thread/backgroundTerminals/list", {"threadId": thread["id"]})
            first, second = listed["data"]
            assert len(of_thread(thread["id"])) >= 4

            terminate = {"threadId": thread["id"], "processId": first["processId"]}
            assert (await peer.request("thread/backgroundTerminals/terminate", terminate)) == {"terminated": True}
            await completion(peer, first["itemId"])
            listed = await peer.request("thread/backgroundTerminals/list", {"threadId": thread["id"]})
            assert [each["itemId"] for each in listed["data"]] == [second["itemId"]]

            await peer.request("thread/backgroundTerminals/clean", {"threadId": thread["id"]})
            item = await completion(peer, second["itemId"])
            assert item["status"] == "failed"
            await until(lambda: not of_thread(thread["id"]))
            assert unfinished(peer) == []


async def completion(peer: Peer, item_id: str) -> Frame:
    frame = await peer.wait(
        lambda frame: frame.get("method") == "item/completed" and frame["params"]["item"]["id"] == item_id
    )
    item: Frame = frame["params"]["item"]
    return item


# --- the end of the daemon ------------------------------------------------------------------------------------------


async def test_sigterm_lets_turns_end_and_interrupts_those_that_do_not_and_tells_clients_of_both(
    lone: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    def soon_over(exchange: Exchange) -> None:
        exchange.say("This takes a moment.", pieces=5, pause=0.1)
        exchange.complete()

    model.on("soon", soon_over)
    model.on("story", functools.partial(hang_after, "Once upon a time"))
    model.on("serve", tool_turn(LEAVES_CHILDREN, yield_time_ms=250))
    lone.flags += ["-c", "drain_seconds=1.0"]
    lone.start()
    with deadline(20, lone):
        async with connect(lone) as peer:
            threads = [await peer.start_thread(workspace) for _ in range(3)]
            assert (await peer.run_turn(threads[2]["id"], "serve it"))["status"] == "completed"
            soon = await peer.start_turn(threads[0]["id"], "soon please")
            never = await peer.start_turn(threads[1]["id"], "story please")
            await peer.wait(lambda frame: is_delta_of(frame, threads[0]["id"]))
            await peer.wait(lambda frame: is_delta_of(frame, threads[1]["id"]))
            lone.terminate()
            assert (await peer.turn_completed(soon))["status"] == "completed"
            assert (await peer.turn_completed(never))["status"] == "interrupted"
            await peer.closed.wait()
            assert unfinished(peer) == []  # the terminal's item too, which goes on when its turn is over
            assert peer.reason.code == 1001
        assert await trio.to_thread.run_sync(lone.wait) == 0
    assert lone.leftovers() == []
    assert [history_problems(thread) for thread in threads] == [[], [], []]
    assert not (lone.home / "daemon.json").exists()


def is_delta_of(frame: Frame, thread_id: str) -> bool:
    return frame.get("method") == "item/agentMessage/delta" and frame["params"]["threadId"] == thread_id


async def test_an_approval_and_partial_text_survive_kill_and_restart(
    lone: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    model.on("touch", tool_turn("echo made > made.txt"))
    model.on("story", functools.partial(hang_after, "Once upon a time there was a daemon."))
    lone.start()
    with deadline(20, lone):
        async with connect(lone) as peer:
            asking = await peer.start_thread(workspace, "on-request")
            telling = await peer.start_thread(workspace)
            turn_id = await peer.start_turn(asking["id"], "touch it", client_id="mine")
            await peer.start_turn(telling["id"], "story please")
            request = await peer.note("item/commandExecution/requestApproval")
            await peer.wait(lambda frame: is_delta_of(frame, telling["id"]))
            await until(lambda: any(lone.home.joinpath("checkpoints").glob("*.jsonl")))
            await until(lambda: b"Once upon" in checkpoints(lone.home))
            lone.kill()
        assert await lone.all_gone() == []
        assert not (workspace / "made.txt").exists()
        lone.spawn()
        await until(lone.announced)
        async with connect(lone) as peer:
            told = (await peer.request("thread/resume", {"threadId": telling["id"]}))["thread"]
            assert [turn["status"] for turn in told["turns"]] == ["interrupted"]
            assert told["turns"][0]["items"][-1]["text"] == "Once upon a time there was a daemon."

            asked = (await peer.request("thread/resume", {"threadId": asking["id"]}))["thread"]
            assert asked["status"] == {"type": "active", "activeFlags": ["waitingOnApproval"]}
            assert [turn["status"] for turn in asked["turns"]] == ["inProgress"]
            again = await peer.note("item/commandExecution/requestApproval")
            assert (again["id"], again["params"]) == (request["id"], request["params"])
            assert await peer.start_turn(asking["id"], "touch it", client_id="mine") == turn_id
            await peer.answer(again, {"decision": "accept"})
            assert (await peer.turn_completed(turn_id))["status"] == "completed"
    assert (workspace / "made.txt").read_text() == "made\n"
    assert history_problems(asking) == []
    assert history_problems(telling) == []
    assert model.problems == []


def checkpoints(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in (home / "checkpoints").glob("*.jsonl"))


# --- several clients ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decision", ["accept", "decline", "cancel"])
async def test_of_two_clients_the_first_answer_wins_and_the_other_is_told(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path, decision: str
) -> None:
    model.on("touch", tool_turn("echo made >> made.txt"))
    with deadline(15, daemon):
        async with connect(daemon, "one") as one, connect(daemon, "two") as two:
            thread = await one.start_thread(workspace, "on-request")
            await two.request("thread/resume", {"threadId": thread["id"]})
            turn_id = await one.start_turn(thread["id"], "touch it")
            first = await one.note("item/commandExecution/requestApproval")
            second = await two.note("item/commandExecution/requestApproval")
            assert first == second
            await two.answer(second, {"decision": decision})
            for peer in (one, two):
                resolved = await peer.note("serverRequest/resolved")
                assert resolved["params"] == {"threadId": thread["id"], "requestId": first["id"]}
            await one.answer(first, {"decision": "accept"})  # too late: it counts for nothing, and harms nobody
            ended = await one.turn_completed(turn_id)
            assert ended["status"] == ("interrupted" if decision == "cancel" else "completed")
            assert await two.turn_completed(turn_id) == ended
            [item] = [note["item"] for note in two.notes("item/completed") if "command" in note["item"]]
            assert item["status"] == ("completed" if decision == "accept" else "declined")
    made = workspace / "made.txt"
    assert (made.read_text() if made.exists() else "") == ("made\n" if decision == "accept" else "")


async def test_a_turn_that_is_started_twice_runs_once(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    model.on("once", tool_turn("echo made >> made.txt"))
    with deadline(15, daemon):
        async with connect(daemon, "one") as one, connect(daemon, "two") as two:
            thread = await one.start_thread(workspace)
            await two.request("thread/resume", {"threadId": thread["id"]})
            turns: list[str] = []

            async def start(peer: Peer) -> None:
                turns.append(await peer.start_turn(thread["id"], "once please", client_id="the same"))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(start, one)
                nursery.start_soon(start, two)
            await one.turn_completed(turns[0])
            await start(two)  # and a third time, when it is long over
            assert len(set(turns)) == 1
            view = await one.request("thread/read", {"threadId": thread["id"], "includeTurns": True})
            assert [turn["id"] for turn in view["thread"]["turns"]] == turns[:1]
    assert (workspace / "made.txt").read_text() == "made\n"


async def test_who_attaches_in_the_middle_of_a_turn_gets_its_partial_text_and_all_that_follows(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    attached = threading.Event()

    def story(exchange: Exchange) -> None:
        exchange.say_in_parts(["Once upon a time ", "there was a daemon."], lambda: attached.wait(PLAY_SECONDS))
        exchange.complete()

    model.on("tale", story)
    with deadline(15, daemon):
        async with connect(daemon, "early") as early:
            thread = await early.start_thread(workspace)
            turn_id = await early.start_turn(thread["id"], "tale please")
            await early.note("item/agentMessage/delta")
            async with connect(daemon, "late") as late:
                view = (await late.request("thread/resume", {"threadId": thread["id"]}))["thread"]
                [turn] = view["turns"]
                partial = turn["items"][-1]
                assert (turn["status"], partial["text"]) == ("inProgress", "Once upon a time ")
                attached.set()
                await late.turn_completed(turn_id)
                followed = "".join(note["delta"] for note in late.notes("item/agentMessage/delta"))
                assert ("Once upon a time " + followed) == "Once upon a time there was a daemon."
                [item] = [note["item"] for note in late.notes("item/completed")]
                assert (item["id"], item["text"]) == (partial["id"], "Once upon a time there was a daemon.")


FLOOD_PIECES, FLOOD_BYTES = 2_000, 4_000_000
STALLED = 24
GROWTH_KB_MAX = 70_000
"""What the thread itself needs of it (its text, its history, its log on the way to disk, what readers share) is 15 to
45 MB, as the allocator likes it. A queue for each stalled client would add 4 MB for every one of them: 96 MB."""


async def test_clients_that_never_read_cost_no_memory_and_slow_nobody(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    def flood(exchange: Exchange) -> None:
        exchange.say("x" * FLOOD_BYTES, pieces=FLOOD_PIECES)
        exchange.complete()

    model.on("flood", flood)
    with deadline(30, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace)
            alone = await timed_turn(peer, thread, "flood alone")
            before = resident_kb(daemon.pid)
            with stalled(daemon, thread["id"], STALLED):
                watched = await timed_turn(peer, thread, "flood watched")
                grown = resident_kb(daemon.pid) - before
                other = await peer.start_thread(workspace)
                assert (await peer.run_turn(other["id"], "hello", seconds=5))["status"] == "completed"
    assert grown < GROWTH_KB_MAX
    assert watched < 3 * alone + 1


async def timed_turn(peer: Peer, thread: Frame, text: str) -> float:
    began = time.monotonic()
    assert (await peer.run_turn(thread["id"], text, seconds=20))["status"] == "completed"
    return time.monotonic() - began


# --- inside another program -----------------------------------------------------------------------------------------


async def test_a_daemon_can_be_embedded_in_a_trio_program(model: ScriptedModel, tmp_path: Path) -> None:
    model.on("touch", tool_turn("echo made > made.txt"))
    options = DaemonOptions(
        home=str(tmp_path / "home"),
        listen="ws://127.0.0.1:0",
        environment={"PATH": "/usr/bin:/bin"},
        layers=(endpoint_layer(model.url, "responses", "scripted"),),
        cwd=str(tmp_path),
    )
    previous = signal.getsignal(signal.SIGINT)
    with deadline(20):
        async with Daemon(options) as running:
            place = Embedded(running.address, (tmp_path / "home" / "token").read_text().strip())
            async with connect(place) as peer:
                thread = await peer.start_thread(tmp_path)
                turn = await peer.run_turn(thread["id"], "touch it")
                assert turn["status"] == "completed"
            assert "gateway" in msgspec.json.encode(msgspec.to_builtins(running.tree())).decode()
    assert (tmp_path / "made.txt").read_text() == "made\n"
    assert signal.getsignal(signal.SIGINT) == previous


class Embedded:
    """Where a daemon in this very process is."""

    def __init__(self, address: str, token: str) -> None:
        self.address = address
        self.token = token
