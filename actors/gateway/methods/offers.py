"""What there is to choose from, and what there is none of: the truth, in the shapes clients know."""

from __future__ import annotations

from typing import Final

from actors.gateway.caller import Caller
from actors.gateway.rpc import method
from actors.model_stream.providers import OPENAI, known_providers
from actors.model_stream.tool_abilities import searches
from actors.model_stream.unsaid import bare_url
from actors.tool_worker.confinement.profiles import described, fields_of
from messages.client.listing import NoParams
from messages.client.offers import (
    EmptyPage,
    GatewaySettings,
    GovCloudResponse,
    KeyElsewhere,
    KeyInEnvironment,
    NoKeyNeeded,
    OpenAiSettings,
    PageParams,
    PermissionProfile,
    PermissionProfilesResponse,
    ProviderCapabilities,
    ProviderEntry,
    ProvidersResponse,
)
from messages.settings import ProviderSettings

UNENFORCED: Final = " Nothing can enforce that on this machine; see callboard doctor."


async def profiles(caller: Caller, _params: PageParams) -> PermissionProfilesResponse:
    report = await caller.house.ports.processes.confinement()
    enforced = report.mechanism != "none"
    note = "" if enforced else UNENFORCED
    reading = f"Commands may only read; there is no network.{note}"
    working = f"Commands may write in the workspace and in temporary folders only; there is no network.{note}"
    free = "Commands run with your rights; the approval policy says which are asked about."
    own = (await caller.gatehouse.configuration.snapshot()).settings.permissions
    return PermissionProfilesResponse(
        data=(
            PermissionProfile(id=":read-only", description=reading, allowed=enforced),
            PermissionProfile(id=":workspace", description=working, allowed=enforced),
            PermissionProfile(id=":danger-full-access", description=free, allowed=True),
            *(
                PermissionProfile(
                    id=name,
                    description=described(name, profile),
                    allowed=enforced or fields_of(own, name)["sandbox_mode"] == "danger-full-access",
                )
                for name, profile in own.items()
            ),
        )
    )


async def nothing(_caller: Caller, _params: PageParams) -> EmptyPage:
    return EmptyPage(data=())


async def providers(caller: Caller, _params: NoParams) -> ProvidersResponse:
    settings = (await caller.gatehouse.configuration.snapshot()).settings
    found = known_providers(settings, "")
    return ProvidersResponse(
        data=tuple(_entry(id_, found[id_]) for id_ in sorted(found)),
        default_provider_id=settings.model_provider,
        can_change_default=False,
    )


def _entry(id_: str, provider: ProviderSettings) -> ProviderEntry:
    return ProviderEntry(
        id=id_,
        name=provider.name or id_,
        can_edit=False,
        base_url=bare_url(provider.base_url) or None,
        settings=OpenAiSettings() if id_ == OPENAI else GatewaySettings(auth=_auth(provider)),
    )


def _auth(provider: ProviderSettings) -> NoKeyNeeded | KeyInEnvironment | KeyElsewhere:
    if provider.env_key is not None:
        return KeyInEnvironment(env_key=provider.env_key)
    return KeyElsewhere() if provider.http_headers or provider.env_http_headers else NoKeyNeeded()


async def capabilities(caller: Caller, _params: NoParams) -> ProviderCapabilities:
    settings = (await caller.gatehouse.configuration.snapshot()).settings
    provider = known_providers(settings, "").get(settings.model_provider)
    can = provider is not None and searches(settings.model_provider, provider)
    return ProviderCapabilities(image_generation=False, web_search=can and settings.web_search != "disabled")


async def gov_cloud(_caller: Caller, _params: NoParams) -> GovCloudResponse:
    return GovCloudResponse(is_gov_cloud=False, should_warn=False)


METHODS = (
    method("permissionProfile/list", PageParams, profiles),
    method("mcpServerStatus/list", PageParams, nothing),
    method("modelProvider/list", NoParams, providers),
    method("modelProvider/capabilities/read", NoParams, capabilities),
    method("account/bedrock/checkGovCloudRequirements", NoParams, gov_cloud),
)
