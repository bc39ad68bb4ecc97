"""The settings actor: reads the layers once at start and answers with the snapshot."""

from __future__ import annotations

import posixpath

import trio

from actors.kernel import Context, Mailbox, Service
from actors.ports import Ports
from actors.settings.layers import CONFIG_FILE, Layer, environment_layers, file_layer, merge
from messages.settings import GetSettings, SettingsSnapshot

SETTINGS: Service[GetSettings] = Service("settings")

HOME_MODE = 0o700
"""Rollouts and tokens live below it."""


class Sources:
    """Where the layers come from: captured once by whoever starts the daemon."""

    __slots__ = ("environment", "home", "overrides")

    def __init__(self, *, home: str, environment: dict[str, str], overrides: tuple[Layer, ...] = ()) -> None:
        self.home = home
        self.environment = environment
        self.overrides = overrides


async def load(sources: Sources, ports: Ports) -> SettingsSnapshot:
    """Read and merge. Raises SettingsError, or OSError when the home cannot be made or read."""
    path = posixpath.join(sources.home, CONFIG_FILE)

    def read() -> bytes | None:
        ports.files.make_dirs(sources.home, mode=HOME_MODE)
        return ports.files.read(path) if ports.files.stat(path) is not None else None

    content = await ports.threads.run(read)
    layers: list[Layer] = []
    if content is not None:
        layers.append(file_layer(path, content))
    layers.extend(environment_layers(sources.environment))
    layers.extend(sources.overrides)
    return merge(sources.home, tuple(layers))


async def run(
    ctx: Context, snapshot: SettingsSnapshot, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve the snapshot until cancelled."""
    mailbox: Mailbox[GetSettings] = ctx.open_mailbox()
    ctx.publish(SETTINGS, mailbox.address)
    ctx.state = "serving"
    task_status.started()
    while True:
        for _, reply in await mailbox.receive():
            if reply is not None:
                reply.answer(snapshot)
