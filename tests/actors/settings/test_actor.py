"""The settings actor in virtual time: files that change under it, writers that meet, folders with a project."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import trio

from actors.kernel import Context, ServiceAddress, System
from actors.ports import Ports
from actors.settings import actor
from actors.settings.actor import LOOK_SECONDS, SETTINGS, load
from actors.settings.core import Sources
from messages.settings import (
    AwaitSettings,
    GetSettings,
    SettingsEdit,
    SettingsRefused,
    SettingsRequest,
    SettingsSnapshot,
    SettingsWritten,
    WriteSettings,
)
from tests.simulation import World

HOME = "/home/u/.callboard"
FILE = f"{HOME}/config.toml"

Talk = Callable[[Ports, ServiceAddress[SettingsRequest]], Awaitable[None]]


def on_stage(talk: Talk, **files: str) -> None:
    """Run the actor in a simulated machine and let ``talk`` speak with it."""

    async def main(ports: Ports) -> str:
        ports.files.make_dirs(HOME)
        for name, text in files.items():
            ports.files.write(f"{HOME}/{name}.toml", text.encode())
        system = System(random=ports.entropy.random, strict=True)
        system.directory.expect(SETTINGS)
        state = await load(Sources(home=HOME, environment={}), ports)
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(actor.run, Context(system, "settings"), ports, state))
            with trio.fail_after(60):
                await talk(ports, system.directory.address(SETTINGS))
            nursery.cancel_scope.cancel()
        return "done"

    assert World(1).run(main).result == "done"


def put(key: str, value: object, version: str | None = None) -> WriteSettings:
    return WriteSettings(edits=(SettingsEdit(key_path=key, value=value),), expected_version=version)


def test_a_file_that_changes_is_taken_within_moments_and_whoever_waits_is_told() -> None:
    async def talk(ports: Ports, settings: ServiceAddress[SettingsRequest]) -> None:
        first = await settings.ask(GetSettings(), SettingsSnapshot)
        assert first.settings.model == "a"
        began = trio.current_time()
        ports.files.write(FILE, b'model = "b"\n')
        second = await settings.ask(AwaitSettings(version=first.version), SettingsSnapshot)
        assert second.settings.model == "b"
        assert trio.current_time() - began <= 2 * LOOK_SECONDS
        ports.files.write(FILE, b"model = \n")
        third = await settings.ask(AwaitSettings(version=second.version), SettingsSnapshot)
        assert (third.settings.model, len(third.broken)) == ("b", 1)
        ports.files.remove(FILE)
        fourth = await settings.ask(AwaitSettings(version=third.version), SettingsSnapshot)
        assert (fourth.settings.model, fourth.broken) == ("", ())

    on_stage(talk, config='model = "a"\n')


def test_a_file_caught_between_two_writes_of_an_editor_is_not_taken() -> None:
    async def talk(ports: Ports, settings: ServiceAddress[SettingsRequest]) -> None:
        first = await settings.ask(GetSettings(), SettingsSnapshot)
        seen: list[str] = []

        async def edit() -> None:
            for size in range(40):  # an editor that takes two seconds over it
                ports.files.write(FILE, b'model = "b"\n# ' + b"x" * size)
                await trio.sleep(0.05)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(edit)
            await trio.sleep(1.5)
            seen.append((await settings.ask(GetSettings(), SettingsSnapshot)).settings.model)
        changed = await settings.ask(AwaitSettings(version=first.version), SettingsSnapshot)
        assert [*seen, changed.settings.model] == ["a", "b"]

    on_stage(talk, config='model = "a"\n')


def test_live_reload_can_be_switched_off() -> None:
    async def talk(ports: Ports, settings: ServiceAddress[SettingsRequest]) -> None:
        ports.files.write(FILE, b'model = "b"\n')
        await trio.sleep(5 * LOOK_SECONDS)
        assert (await settings.ask(GetSettings(), SettingsSnapshot)).settings.model == "a"

    on_stage(talk, config='model = "a"\nfeatures.live_reload = false\n')


def test_of_many_writers_at_once_none_loses_anything() -> None:
    async def talk(ports: Ports, settings: ServiceAddress[SettingsRequest]) -> None:
        async def write(number: int) -> None:
            answer = await settings.ask(put(f"tui.k{number}", number), (SettingsWritten, SettingsRefused))
            assert isinstance(answer, SettingsWritten)

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(write, number)
        found = await settings.ask(GetSettings(), SettingsSnapshot)
        assert found.others == {"tui": {f"k{number}": number for number in range(10)}}

    on_stage(talk)


def test_of_two_writers_that_read_the_same_file_the_second_is_refused() -> None:
    async def talk(_: Ports, settings: ServiceAddress[SettingsRequest]) -> None:
        [layer] = (await settings.ask(GetSettings(), SettingsSnapshot)).layers
        answers = [
            await settings.ask(put("model", model, layer.version), (SettingsWritten, SettingsRefused))
            for model in ("b", "c")
        ]
        assert isinstance(answers[0], SettingsWritten)
        assert isinstance(answers[1], SettingsRefused)
        assert answers[1].reason == "conflict"
        assert (await settings.ask(GetSettings(), SettingsSnapshot)).settings.model == "b"

    on_stage(talk, config='model = "a"\n')


def test_a_writer_waits_for_another_process_and_gives_up_on_one_that_hangs() -> None:
    async def talk(ports: Ports, settings: ServiceAddress[SettingsRequest]) -> None:
        lock = ports.files.lock(f"{HOME}/config.lock")
        assert lock is not None
        answer = await settings.ask(put("model", "b"), (SettingsWritten, SettingsRefused))
        assert isinstance(answer, SettingsRefused)
        assert answer.reason == "storage"
        async with trio.open_nursery() as nursery:

            async def let_go() -> None:
                await trio.sleep(0.5)
                lock.close()

            nursery.start_soon(let_go)
            assert isinstance(
                await settings.ask(put("model", "b"), (SettingsWritten, SettingsRefused)), SettingsWritten
            )

    on_stage(talk)


def test_a_threads_folder_brings_its_project_along_when_it_is_trusted() -> None:
    async def talk(ports: Ports, settings: ServiceAddress[SettingsRequest]) -> None:
        for folder in ("/w/repo/.git", "/w/repo/.callboard", "/w/repo/sub/deep/.callboard"):
            ports.files.make_dirs(folder)
        ports.files.write("/w/repo/.callboard/config.toml", b'model = "top"\nmodel_verbosity = "low"\n')
        ports.files.write("/w/repo/sub/deep/.callboard/config.toml", b'model = "deep"\n')

        async def at(cwd: str) -> tuple[str, str | None, int]:
            found = await settings.ask(GetSettings(cwd=cwd), SettingsSnapshot)
            return found.settings.model, found.settings.model_verbosity, len(found.warnings)

        assert await at("/w/repo/sub") == ("mine", None, 1)
        await settings.ask(put('projects."/w/repo".trust_level', "trusted"), SettingsWritten)
        assert await at("/w/repo/sub") == ("top", "low", 0)
        assert await at("/w/repo/sub/deep") == ("deep", "low", 0)
        assert await at("/w") == ("mine", None, 0)
        assert await at("/nowhere") == ("mine", None, 0)
        await settings.ask(put("features.project_settings", False), SettingsWritten)
        assert await at("/w/repo/sub") == ("mine", None, 0)

    on_stage(talk, config='model = "mine"\n')
