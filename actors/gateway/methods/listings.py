"""skills, hooks, modes, plugins: clients ask for them at start-up, and where there are none they are told so."""

from __future__ import annotations

import posixpath

from actors.gateway.caller import Caller
from actors.gateway.rpc import method
from actors.hooks.core import configured, problem
from actors.hooks.runner import read_trusted
from messages.client.listing import (
    CwdsParams,
    HookBody,
    HookFault,
    HooksEntry,
    ListResponse,
    ModeEntry,
    NoParams,
    PluginInstalledResponse,
    SkillsEntry,
)


async def skills(caller: Caller, params: CwdsParams) -> ListResponse:
    cwds = params.cwds or (caller.house.cwd,)
    return ListResponse(data=tuple(SkillsEntry(cwd=cwd, skills=(), errors=()) for cwd in cwds))


async def hooks(caller: Caller, params: CwdsParams) -> ListResponse:
    cwds = params.cwds or (caller.house.cwd,)
    settings = (await caller.gatehouse.configuration.snapshot()).settings
    home, ports = caller.house.home, caller.house.ports
    trusted = await ports.threads.run(read_trusted, ports.files, home)
    path = posixpath.join(home, "config.toml")
    configured_hooks = configured(settings.hooks)
    entries = tuple(
        HookBody(
            key=hook.key,
            event_name=hook.event[0].lower() + hook.event[1:],
            command=hook.command,
            matcher=hook.matcher,
            timeout_sec=max(round(hook.timeout), 1),
            status_message=hook.status_message,
            display_order=hook.order,
            source_path=path,
            source="user",
            handler_type="command",
            enabled=True,
            is_managed=False,
            current_hash=hook.hash,
            trust_status="trusted" if hook.hash in trusted or settings.hooks_bypass_trust else "untrusted",
        )
        for hook in configured_hooks
    )
    errors = tuple(HookFault(path=path, message=why) for hook in configured_hooks if (why := problem(hook)) is not None)
    return ListResponse(data=tuple(HooksEntry(cwd=cwd, hooks=entries, warnings=(), errors=errors) for cwd in cwds))


async def modes(_caller: Caller, _params: NoParams) -> ListResponse:
    return ListResponse(data=(ModeEntry(name="Default", mode="default"),))


async def plugins(_caller: Caller, _params: NoParams) -> PluginInstalledResponse:
    return PluginInstalledResponse(marketplaces=(), marketplace_load_errors=())


METHODS = (
    method("skills/list", CwdsParams, skills),
    method("hooks/list", CwdsParams, hooks),
    method("collaborationMode/list", NoParams, modes),
    method("plugin/installed", NoParams, plugins),
)
