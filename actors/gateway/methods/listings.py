"""skills, hooks, modes, plugins: clients ask for them at start-up; there are none yet, and so they are told."""

from __future__ import annotations

from actors.gateway.caller import Caller
from actors.gateway.rpc import method
from messages.client.listing import (
    CwdsParams,
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
    return ListResponse(data=tuple(HooksEntry(cwd=cwd, hooks=(), warnings=(), errors=()) for cwd in cwds))


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
