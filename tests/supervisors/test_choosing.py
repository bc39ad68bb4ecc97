"""What new threads use follows the logins while the daemon runs: settings actor, register and chooser together."""

from __future__ import annotations

from functools import partial

import pytest
import trio

from actors.credentials import register
from actors.kernel import Context, ServiceAddress, System
from actors.model_stream.providers import ChoiceError
from actors.ports import Ports
from actors.settings import actor
from actors.settings.actor import SETTINGS, load
from actors.settings.core import Sources
from messages.credentials import Login, StoreKind
from messages.settings import AwaitSettings, GetSettings, Settings, SettingsRequest, SettingsSnapshot
from supervisors.live import Chooser
from tests.simulation import World

HOME = "/home/u/.callboard"


def registered(*providers: str, store: StoreKind = "file", at: float = 1.0) -> bytes:
    logins = tuple(
        Login(provider=name, kind="api_key", store=store, at=at + number) for number, name in enumerate(providers)
    )
    return register.encode(register.Register(logins=logins))


def test_a_login_is_seen_within_moments_or_at_once_by_whoever_asks_afresh() -> None:
    async def main(ports: Ports) -> str:
        ports.files.make_dirs(HOME)
        system = System(random=ports.entropy.random, strict=True)
        system.directory.expect(SETTINGS)
        chooser = Chooser({}, since=0.0)
        path = register.path_in(HOME)
        state = await load(Sources(home=HOME, environment={}, register=path), ports, chooser)
        chooser.rehearsing = True
        address: ServiceAddress[SettingsRequest] = system.directory.address(SETTINGS)
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(actor.run, Context(system, "settings"), ports, state))
            with trio.fail_after(60):
                first = await address.ask(GetSettings(), SettingsSnapshot)
                ports.files.write(path, registered("anthropic"))
                again = await address.ask(GetSettings(fresh=True), SettingsSnapshot)
                ports.files.write(path, registered("anthropic", "openai"))
                later = await address.ask(AwaitSettings(version=again.version), SettingsSnapshot)
                ports.files.write(path, registered())
                last = await address.ask(AwaitSettings(version=later.version), SettingsSnapshot)
            nursery.cancel_scope.cancel()
        return ", ".join(each.settings.model_provider for each in (first, again, later, last))

    assert World(1).run(main).result == "rehearsal, anthropic, openai, rehearsal"


def test_with_live_reload_off_a_login_counts_at_once_and_a_changed_file_at_the_next_start() -> None:
    async def main(ports: Ports) -> str:
        ports.files.make_dirs(HOME)
        ports.files.write(f"{HOME}/config.toml", b'model = "a"\nfeatures.live_reload = false\n')
        system = System(random=ports.entropy.random, strict=True)
        system.directory.expect(SETTINGS)
        path = register.path_in(HOME)
        chooser = Chooser({}, since=0.0)
        state = await load(Sources(home=HOME, environment={}, register=path), ports, chooser)
        chooser.rehearsing = True
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(actor.run, Context(system, "settings"), ports, state))
            ports.files.write(f"{HOME}/config.toml", b'model = "b"\n')
            ports.files.write(path, registered("anthropic"))
            with trio.fail_after(60):
                found = await system.directory.address(SETTINGS).ask(GetSettings(fresh=True), SettingsSnapshot)
            nursery.cancel_scope.cancel()
        return f"{found.settings.model} of {found.settings.model_provider}"

    assert World(1).run(main).result == "a of anthropic"


def test_after_the_last_logout_threads_say_how_to_log_in_where_the_rehearsed_model_does_not_run() -> None:
    chooser = Chooser({}, since=0.0)
    assert chooser(Settings(), registered("anthropic")).model_provider == "anthropic"
    chooser.rehearsing = False
    assert chooser(Settings(), None).model_provider == "anthropic"
    assert chooser(Settings(), registered("openai")).model_provider == "openai"
    with pytest.raises(ChoiceError, match="the rehearsed model is not running"):
        chooser(Settings(model_provider="rehearsal"), registered("openai"))


def test_what_a_daemon_before_this_one_had_in_memory_is_no_login() -> None:
    chooser = Chooser({}, since=10.0)
    assert chooser(Settings(), registered("openai", store="ephemeral", at=9.0)).model_provider == "rehearsal"
    assert chooser(Settings(), registered("openai", store="ephemeral", at=11.0)).model_provider == "openai"
