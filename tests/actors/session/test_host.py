"""Threads are made, loaded once however many want them, unloaded when nobody needs them, and closed in order."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.kernel import Address
from actors.session.threads import UnknownThreadError, UnreadableThreadError
from messages.approval import CommandNeed
from messages.base import ThreadId
from messages.session import (
    CloseThread,
    ReadThread,
    Refused,
    SetThreadName,
    SettingsPatch,
    ThreadSettings,
    ThreadStatus,
    ThreadView,
    TurnAccepted,
    UpdateSettings,
)
from tests.actors.session.made import call
from tests.actors.session.theatre import Bench, Scene, Theatre, Thread, open_theatre


async def answer(scene: Scene) -> None:
    await scene.say("hi")
    await scene.stop()


async def test_a_new_thread_is_on_disk_and_idle(autojump_clock: trio.abc.Clock) -> None:
    async with open_theatre() as theatre:
        thread = await theatre.thread()
        loaded = await theatre.log.load(next(iter(theatre.log.files)))
        view = await thread.ask(ReadThread(), ThreadView)
    assert loaded.meta.thread_id == thread.id
    assert (view.status, view.turns, view.summary.path) == (
        ThreadStatus(kind="idle"),
        (),
        next(iter(theatre.log.files)),
    )


async def test_a_thread_that_is_not_to_be_kept_touches_no_disk(autojump_clock: trio.abc.Clock) -> None:
    async with open_theatre() as theatre:
        theatre.scripts = [answer]
        thread = await theatre.thread(ephemeral=True)
        await thread.start()
        await thread.until("TurnCompleted")
    assert theatre.log.files == {}


async def test_a_full_disk_is_told_to_who_starts_a_thread(autojump_clock: trio.abc.Clock) -> None:
    async with open_theatre() as theatre:
        theatre.log.full = True
        with pytest.raises(UnreadableThreadError, match="No space left"):
            await theatre.thread()
        assert theatre.host.loaded() == {}


async def test_settings_and_a_name_outlive_the_session(autojump_clock: trio.abc.Clock) -> None:
    async with open_theatre() as theatre:
        thread = await theatre.thread()
        await thread.ask(UpdateSettings(settings=SettingsPatch(model="other")), ThreadSettings)
        await thread.ask(SetThreadName(name="mine"))
        await theatre.host.unload(thread.id)
        view = await thread.ask(ReadThread(), ThreadView)
    assert (view.settings.model, view.summary.model, view.summary.name) == ("other", "other", "mine")


async def test_an_unknown_thread_is_an_error_that_names_it(autojump_clock: trio.abc.Clock) -> None:
    async with open_theatre() as theatre:
        with pytest.raises(UnknownThreadError, match="thread not found: nobody"):
            await theatre.host.open(ThreadId("nobody"))


async def test_many_who_want_a_thread_load_it_once(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    async with open_theatre() as theatre:
        thread = await theatre.thread()
        await theatre.host.unload(thread.id)
        real = theatre.log.load

        async def slowly(path: str) -> object:
            loads.append(path)
            await trio.sleep(1)
            return await real(path)

        theatre.host._means = msgspec.structs.replace(theatre.host._means, load=slowly)
        addresses: list[object] = []

        async def want() -> None:
            addresses.append(await theatre.host.open(thread.id))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(want)
    assert len(loads) == 1
    assert len(set(map(id, addresses))) == 1


async def test_a_thread_is_unloaded_when_nobody_has_watched_it_for_the_delay(autojump_clock: trio.abc.Clock) -> None:
    async with open_theatre(unload_delay_seconds=60) as theatre:
        theatre.scripts = [answer]
        thread = await theatre.thread()
        await thread.start()
        await thread.until("TurnCompleted")
        await trio.sleep(600)
        assert list(theatre.host.loaded()) == [thread.id], "somebody watches it"
        reader = theatre.everywhere.read(lambda: None)
        thread.leave()
        await trio.sleep(50)
        assert list(theatre.host.loaded()) == [thread.id]
        await trio.sleep(20)
        assert theatre.host.loaded() == {}
        assert [news.frame for news in reader.take()] == [b"notLoaded", b"closed"]
        view = await thread.ask(ReadThread(), ThreadView)
    assert [turn.status for turn in view.turns] == ["completed"], "and it is loaded again when it is wanted"


async def test_a_thread_whose_turn_runs_stays_loaded_without_watchers(autojump_clock: trio.abc.Clock) -> None:
    async def slow(scene: Scene) -> None:
        await trio.sleep(300)
        await answer(scene)

    async with open_theatre(unload_delay_seconds=60) as theatre:
        theatre.scripts = [slow]
        thread = await theatre.thread()
        await thread.start()
        thread.leave()
        await trio.sleep(200)
        assert theatre.host.active() == 1
        assert list(theatre.host.loaded()) == [thread.id]
        await trio.sleep(300)
        assert theatre.host.loaded() == {}


async def started(theatre: Theatre, *scripts: object) -> Thread:
    theatre.scripts.extend(scripts)  # type: ignore[arg-type]  # scripts of this module
    thread = await theatre.thread()
    await thread.start()
    await wait_all_tasks_blocked()
    thread.take()
    return thread


async def test_draining_lets_turns_finish_interrupts_the_rest_and_leaves_questions_open(
    autojump_clock: trio.abc.Clock,
) -> None:
    async def three_seconds(scene: Scene) -> None:
        await trio.sleep(3)
        await answer(scene)

    async def for_ever(scene: Scene) -> None:
        await trio.sleep_forever()

    async def asks(scene: Scene) -> None:
        await scene.give(call("c1", "careful"), 0)
        await scene.stop()

    async def careful(theatre: Theatre, bench: Bench) -> None:
        bench.prepare(need=CommandNeed(argv=("rm",), script=None, cwd="/w"))
        await bench.leave.receive()

    async with open_theatre() as theatre:
        theatre.tools = {"careful": careful}
        finishing = await started(theatre, three_seconds)
        endless = await started(theatre, for_ever)
        asking = await started(theatre, asks)
        await theatre.host.drain(10)
        assert trio.current_time() == pytest.approx(10, abs=1)
        assert "TurnCompleted" in finishing.take()
        assert "TurnCompleted" in endless.take()
        assert "TurnCompleted" not in asking.take()
        statuses = [[turn.status for turn in (await theatre.log.load(path)).turns] for path in theatre.log.files]
        assert statuses == [["completed"], ["interrupted"], ["inProgress"]]
        with pytest.raises(UnreadableThreadError, match="shutting down"):
            await theatre.thread()


async def test_draining_ends_as_soon_as_nothing_runs(autojump_clock: trio.abc.Clock) -> None:
    async def three_seconds(scene: Scene) -> None:
        await trio.sleep(3)
        await answer(scene)

    async with open_theatre() as theatre:
        await started(theatre, three_seconds)
        await theatre.host.drain(1000)
        assert trio.current_time() < 10


async def test_a_command_during_unloading_waits_for_the_next_life(autojump_clock: trio.abc.Clock) -> None:
    async def for_ever(scene: Scene) -> None:
        await trio.sleep_forever()

    async with open_theatre() as theatre, trio.open_nursery() as nursery:
        thread = await started(theatre, for_ever)
        theatre.log.held = True
        nursery.start_soon(theatre.host.unload, thread.id)
        await wait_all_tasks_blocked()
        theatre.scripts.append(answer)
        answers: list[TurnAccepted | Refused] = []

        async def again() -> None:
            answers.append(await thread.start("again", "s2"))

        async with trio.open_nursery() as asking:
            asking.start_soon(again)
            await wait_all_tasks_blocked()
            theatre.log.release()
    assert isinstance(answers[0], TurnAccepted)


async def test_a_defect_in_closing_one_thread_leaves_it_ended_and_the_others_closed(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ask = Address.ask
    async with open_theatre() as theatre:
        one, _ = await theatre.thread(), await theatre.thread()
        broken = theatre.host.loaded()[one.id]

        async def defective(self: Address[Any], message: Any, *args: Any) -> Any:
            if self is broken and isinstance(message, CloseThread):
                raise ZeroDivisionError("a defect")
            return await ask(self, message, *args)

        monkeypatch.setattr(Address, "ask", defective)
        await theatre.host.drain(1)
        assert theatre.host.loaded() == {}
        assert not broken.alive
    assert [(record.levelname, str(one.id) in record.message) for record in caplog.records] == [("ERROR", True)]
