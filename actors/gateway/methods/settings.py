"""account/*, config/*, model/*: what clients ask at start-up, and what they change."""

from __future__ import annotations

from actors.gateway.caller import Caller
from actors.gateway.rpc import method
from messages.client.account import AccountReadParams, AccountReadResponse
from messages.client.config import (
    ConfigBatchWriteParams,
    ConfigReadParams,
    ConfigReadResponse,
    ConfigValueWriteParams,
    ConfigWriteResponse,
    RequirementsReadResponse,
)
from messages.client.listing import NoParams
from messages.client.model import ModelListParams, ModelListResponse


async def account(_caller: Caller, _params: AccountReadParams) -> AccountReadResponse:
    return AccountReadResponse(requires_openai_auth=False)


async def config(caller: Caller, params: ConfigReadParams) -> ConfigReadResponse:
    return await caller.gatehouse.configuration.read(cwd=params.cwd, include_layers=bool(params.include_layers))


async def requirements(_caller: Caller, _params: NoParams) -> RequirementsReadResponse:
    return RequirementsReadResponse()


async def write_value(caller: Caller, params: ConfigValueWriteParams) -> ConfigWriteResponse:
    return await caller.gatehouse.configuration.write((params,), file=params.file_path, version=params.expected_version)


async def write_batch(caller: Caller, params: ConfigBatchWriteParams) -> ConfigWriteResponse:
    return await caller.gatehouse.configuration.write(
        params.edits, file=params.file_path, version=params.expected_version
    )


async def models(caller: Caller, params: ModelListParams) -> ModelListResponse:
    found = await caller.house.models()
    return ModelListResponse(data=tuple(model for model in found if params.include_hidden or not model.hidden))


METHODS = (
    method("account/read", AccountReadParams, account),
    method("config/read", ConfigReadParams, config),
    method("configRequirements/read", NoParams, requirements),
    method("config/value/write", ConfigValueWriteParams, write_value),
    method("config/batchWrite", ConfigBatchWriteParams, write_batch),
    method("model/list", ModelListParams, models),
)
