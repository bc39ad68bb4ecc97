"""The settings actor: answers what is in force, for the daemon and for threads; writes; sees files change.

Nothing here waits inside a message: a thread's project is read, and a file written, in a task of its own. Reading and
writing the daemon's own files exclude each other, in the order in which they were asked for. Files are looked at once a
second: three stats in a thread, where watching them by inotify would need every folder between / and the file, and
would still miss those of a network.
"""

from __future__ import annotations

import logging
from typing import assert_never

import trio

from actors.kernel import Context, Mailbox, Reply, Service
from actors.ports import Ports
from actors.settings import core, store
from actors.settings.core import Edited, Sources, State
from actors.settings.layers import CompleteWith, version_of
from messages.settings import (
    AwaitSettings,
    GetSettings,
    SettingsRefused,
    SettingsRequest,
    SettingsWritten,
    WriteSettings,
)

logger = logging.getLogger(__name__)

SETTINGS: Service[SettingsRequest] = Service("settings")

HOME_MODE = 0o700
"""Rollouts and tokens live below it."""

LOOK_SECONDS = 1.0
"""How often the files are looked at: soon enough for somebody who saves and goes on, too seldom to be seen in `top`."""

SETTLE_SECONDS = 0.1
"""A file that changed is read when it has not changed for so long: an editor that empties it before it writes is not
caught in between."""

BUSY_SECONDS = 0.02
BUSY_TRIES = 100
"""How often and how many times a write tries while another process writes: two seconds, where a write takes some
milliseconds; beyond that the other one hangs."""


async def load(sources: Sources, ports: Ports, complete: CompleteWith | None = None) -> State:
    """Read and merge. Raises SettingsError, or OSError when the home cannot be made or read."""

    def read() -> core.Contents:
        ports.files.make_dirs(sources.home, mode=HOME_MODE)
        return store.read_contents(ports.files, sources)

    return core.begin(sources, await ports.threads.run(read), complete)


async def run(
    ctx: Context, ports: Ports, state: State, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve until cancelled. ``state`` is what `load` gave; after a crash the files are read again first."""
    mailbox: Mailbox[SettingsRequest] = ctx.open_mailbox()
    async with trio.open_nursery() as nursery:
        desk = _Desk(ports, state, nursery)
        await desk.read()
        nursery.start_soon(desk.watch)
        ctx.publish(SETTINGS, mailbox.address)
        ctx.state = "serving"
        task_status.started()
        while True:
            for message, reply in await mailbox.receive():
                if reply is not None:
                    desk.handle(message, reply)


class _Desk:
    def __init__(self, ports: Ports, state: State, nursery: trio.Nursery) -> None:
        self._ports = ports
        self._state = state
        self._nursery = nursery
        self._files = trio.Lock()
        """Whoever reads or writes the daemon's own files."""
        self._seen: store.Signature | None = None
        self._waiting: list[tuple[AwaitSettings, Reply]] = []

    def handle(self, message: SettingsRequest, reply: Reply) -> None:
        match message:
            case GetSettings():
                if message.cwd is None and not message.overrides and not message.fresh:
                    reply.answer(self._state.current)
                else:
                    self._nursery.start_soon(self._resolve, message, reply)
            case AwaitSettings():
                self._waiting.append((message, reply))
                self._tell()
            case WriteSettings():
                self._nursery.start_soon(self._write, message, reply)
            case never:
                assert_never(never)

    async def _resolve(self, message: GetSettings, reply: Reply) -> None:
        if message.fresh:
            await self.read(began=True)
        project = None
        if message.cwd is not None and core.needs_project(self._state):
            markers = self._state.current.settings.project_root_markers
            home = self._state.sources.home
            project = await self._ports.threads.run(store.read_project, self._ports.files, message.cwd, home, markers)
        reply.answer(core.resolve(self._state, project, message.overrides))

    # --- the files --------------------------------------------------------------------------------------------------

    async def read(self, *, began: bool = False) -> None:
        """Take the files as they are now. A file that cannot be read stays as it was.

        ``began``: settings have been in force already, so it is theirs to say whether files that change count.
        """
        async with self._files:
            try:
                seen = await self._look()
                contents = await self._ports.threads.run(store.read_contents, self._ports.files, self._state.sources)
            except OSError as error:
                logger.warning("the settings cannot be read again: %s: %s", error.filename, error.strerror)
                return
            if began and not self._state.current.settings.features.live_reload:
                contents = core.logins_only(self._state, contents)
            self._seen = seen
            self._take(core.take(self._state, contents))

    async def watch(self) -> None:
        """Read the files whenever they have changed, until cancelled."""
        while True:
            await trio.sleep(LOOK_SECONDS)
            if self._state.current.settings.features.live_reload and await self._changed():
                await self.read()

    async def _changed(self) -> bool:
        """Whether they have, and have stopped to."""
        try:
            seen, now = self._seen, await self._look()
            while now != seen:
                await trio.sleep(SETTLE_SECONDS)
                seen, now = now, await self._look()
        except OSError:
            return False
        return now != self._seen

    async def _look(self) -> store.Signature:
        return await self._ports.threads.run(store.signature, self._ports.files, self._state.sources.watched)

    async def _write(self, message: WriteSettings, reply: Reply) -> None:
        async with self._files:
            reply.answer(await self._written(message))

    async def _written(self, message: WriteSettings) -> SettingsWritten | SettingsRefused:
        for _ in range(BUSY_TRIES):
            try:
                edited = await self._ports.threads.run(store.write, self._ports.files, self._state, message)
                break
            except store.BusyError:
                await trio.sleep(BUSY_SECONDS)
            except OSError as error:
                return SettingsRefused(reason="storage", message=f"{error.filename}: {error.strerror or error}")
        else:
            return SettingsRefused(reason="storage", message="another process does not stop writing them")
        if isinstance(edited, SettingsRefused):
            return edited
        self._take(edited.state)
        return _told(edited)

    # --- what is in force -------------------------------------------------------------------------------------------

    def _take(self, state: State) -> None:
        self._state = state
        self._tell()

    def _tell(self) -> None:
        current = self._state.current
        still: list[tuple[AwaitSettings, Reply]] = []
        for message, reply in self._waiting:
            if message.version != current.version:
                reply.answer(current)
            elif reply.wanted:
                still.append((message, reply))
        self._waiting = still


def _told(edited: Edited) -> SettingsWritten:
    return SettingsWritten(
        file=edited.file,
        version=version_of(edited.text),
        snapshot=edited.state.current,
        overridden=edited.overridden,
    )
