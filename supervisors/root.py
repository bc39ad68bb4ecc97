"""The daemon's tree: who is watched, how, and in which order they start. They stop in reverse.

    root (one_for_one)
    ├─ rounds          serves every streaming socket
    ├─ watchdog        measures the loop's lateness
    ├─ settings ├─ credentials ├─ rules
    ├─ launcher        starts contained processes
    ├─ rollout_writer  the log
    ├─ sandbox_pool    runs scripts, once there are any
    ├─ rehearsal       the embedded model, when it is the one in use
    ├─ sessions        dynamic: one session per loaded thread
    ├─ host            unloads idle sessions
    ├─ live_settings   passes changed settings on
    └─ gateway         lets clients in: one connection actor each

Callers survive the restart of a service: each request type declares whether it may be sent again (`messages.base`).
Read on in `actors/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Protocol

import trio

from actors.credentials import actor as credentials
from actors.gateway.actor import Doorway
from actors.kernel import Context, Start
from actors.kernel.watchdog import LoopWatchdog
from actors.ports.production.processes import LauncherProcesses
from actors.rehearsal import actor as rehearsal
from actors.rollout_writer import actor as rollout_writer
from actors.sandbox_pool import actor as sandbox_pool
from actors.sandbox_pool.pool import ScriptPool
from actors.settings import actor as settings
from actors.tool_worker.rules import actor as rules
from supervisors.child import ChildSpec
from supervisors.parts import Parts
from supervisors.supervisor import Supervisor

RESTARTS, PERIOD_SECONDS = 10, 60.0
"""Of all services together. A daemon whose services crash more often serves nobody; it ends and says why."""

WRITER_SHUTDOWN_SECONDS = 10.0
"""What was taken is written and synced, also on a slow disk."""


def root(
    parts: Parts, doorway: Doorway, launcher: LauncherProcesses | None, engine: sandbox_pool.RunsEngine | None = None
) -> Supervisor:
    """``launcher`` None: processes come from somewhere else (a simulation); ``engine`` None: so does what runs
    scripts."""
    ports = parts.ports
    children = [
        ChildSpec(id="rounds", start=_without_context(ports.network.rounds.run)),
        ChildSpec(id="watchdog", start=LoopWatchdog(clock=ports.clock, threads=ports.threads).run),
        ChildSpec(id="settings", start=partial(settings.run, ports=ports, state=parts.settings)),
        ChildSpec(
            id="credentials",
            start=partial(credentials.run, means=parts.credentials),
        ),
        ChildSpec(id="rules", start=partial(rules.run, ports=ports, home=parts.settings.current.home)),
    ]
    if launcher is not None:
        children.append(ChildSpec(id="launcher", start=_without_context(launcher.run)))
    children.append(
        ChildSpec(
            id="rollout_writer",
            start=partial(rollout_writer.run, ports=ports, options=parts.writer, checkpoints=parts.checkpoints),
            shutdown=WRITER_SHUTDOWN_SECONDS,
        )
    )
    if parts.stage is not None:
        children.append(ChildSpec(id="rehearsal", start=partial(rehearsal.run, stage=parts.stage)))
    if engine is not None:
        children.append(ChildSpec(id="sandbox_pool", start=_pool(engine, parts.pool)))
    children += [
        parts.sessions.as_child("sessions"),
        ChildSpec(id="host", start=parts.host.run),
        ChildSpec(id="live_settings", start=parts.live.run),
        ChildSpec(id="gateway", start=doorway.run),
    ]
    return Supervisor(children=children, intensity=RESTARTS, period=PERIOD_SECONDS)


def _pool(engine: sandbox_pool.RunsEngine, pool: ScriptPool) -> Start[None]:
    async def start(ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        await sandbox_pool.run(ctx, engine, pool, task_status=task_status)

    return start


class _Runs(Protocol):
    """What serves without being an actor: it needs no context, only to be watched."""

    def __call__(self, *, task_status: trio.TaskStatus[None]) -> Awaitable[None]: ...


def _without_context(run: _Runs) -> Start[None]:
    async def start(_: Context, *, task_status: trio.TaskStatus[None]) -> None:
        await run(task_status=task_status)

    return start
