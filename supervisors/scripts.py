"""Scripts, by the settings: who runs them, what they may use, and whether there are any."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from actors.ports import Ports
from actors.ports.scripts import Confinement, EngineUnavailableError, ScriptEngine, ScriptWorker
from actors.sandbox_pool import limits as ceilings
from actors.sandbox_pool.pool import DEFAULT_LIMITS, ScriptPool
from actors.session.state import ScriptOffer
from messages.script import ScriptChoice, ScriptLimits, ScriptMode
from messages.settings import ProviderSettings, ScriptSettings, ScriptsSettings


class NoEngine:
    """Where no script can be run: a simulated machine."""

    confinement: Confinement | None = None

    async def worker(self) -> ScriptWorker:
        """See `actors.ports.scripts.ScriptEngine`."""
        raise EngineUnavailableError("scripts cannot be run here")


def make_pool(ports: Ports, engine: ScriptEngine, settings: ScriptsSettings) -> ScriptPool:
    """The pool; nothing runs yet."""
    return ScriptPool(
        engine,
        ports.clock,
        ports.entropy,
        max_workers=ceilings.WORKERS_PER_CORE * (os.cpu_count() or 1),
        degraded=settings.without_confinement,
    )


def script_offer(
    settings: ScriptsSettings, providers: Mapping[str, ProviderSettings], *, missing: tuple[str, ...]
) -> ScriptOffer:
    """What sessions are told. ``missing``: layers of the confinement that cannot be had."""
    usual: ScriptMode = "enabled" if not missing or settings.without_confinement else "disabled"
    return ScriptOffer(
        choice=ScriptChoice(mode=settings.mode or usual, allowed_tools=settings.allowed_tools),
        by_provider={
            name: ScriptChoice(mode=own.mode, allowed_tools=own.allowed_tools)
            for name, provider in providers.items()
            if (own := provider.scripts or ScriptSettings()) != ScriptSettings()
        },
        limits=limits_of(settings),
        approval_seconds=settings.approval_seconds,
        spawn=settings.spawn,
    )


def limits_of(settings: ScriptsSettings) -> ScriptLimits:
    """The sandbox's limits with what the settings say of them."""
    given = settings.limits
    changes = {
        "wall_seconds": given.wall_seconds,
        "cpu_seconds": given.cpu_seconds,
        "memory_bytes": None if given.memory_mb is None else given.memory_mb * 1024 * 1024,
        "calls": given.calls,
        "calls_at_once": given.calls_at_once,
        "return_bytes": given.return_bytes,
    }
    return msgspec.structs.replace(
        DEFAULT_LIMITS, **{name: value for name, value in changes.items() if value is not None}
    )
