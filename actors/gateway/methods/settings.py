"""account/*, config/*, model/*: what clients ask at start-up, and what they change."""

from __future__ import annotations

import msgspec

from actors.gateway.caller import Caller
from actors.gateway.rpc import RpcError, method
from actors.settings.reference import field_texts
from messages.client.config import (
    ConfigBatchWriteParams,
    ConfigEdit,
    ConfigReadParams,
    ConfigReadResponse,
    ConfigValueWriteParams,
    ConfigWriteResponse,
    RequirementsReadResponse,
)
from messages.client.envelope import INVALID_PARAMS
from messages.client.feature import Feature, FeatureEnablement, FeatureListParams, FeatureListResponse
from messages.client.listing import NoParams
from messages.client.model import ModelListParams, ModelListResponse
from messages.settings import Features
from messages.settings.features import stage_of


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


async def features(caller: Caller, _params: FeatureListParams) -> FeatureListResponse:
    switches = (await caller.gatehouse.configuration.snapshot()).settings.features
    texts = field_texts(Features)
    return FeatureListResponse(
        data=tuple(
            Feature(
                name=field.encode_name,
                stage=stage_of(field.name),
                description=texts[field.name],
                enabled=getattr(switches, field.name),
                default_enabled=field.default,
            )
            for field in msgspec.structs.fields(Features)
        )
    )


async def set_features(caller: Caller, params: FeatureEnablement) -> FeatureEnablement:
    known = Features.__struct_fields__
    unknown = sorted(params.enablement.keys() - set(known))
    if unknown:
        raise RpcError(INVALID_PARAMS, f"there is no feature {unknown[0]!r}; there are {', '.join(known)}")
    edits = tuple(ConfigEdit(key_path=f"features.{name}", value=on) for name, on in params.enablement.items())
    await caller.gatehouse.configuration.write(edits, file=None, version=None)
    switches = (await caller.gatehouse.configuration.snapshot()).settings.features
    return FeatureEnablement(enablement={name: getattr(switches, name) for name in params.enablement})


METHODS = (
    method("config/read", ConfigReadParams, config),
    method("configRequirements/read", NoParams, requirements),
    method("config/value/write", ConfigValueWriteParams, write_value),
    method("config/batchWrite", ConfigBatchWriteParams, write_batch),
    method("experimentalFeature/list", FeatureListParams, features),
    method("experimentalFeature/enablement/set", FeatureEnablement, set_features),
    method("model/list", ModelListParams, models),
)
