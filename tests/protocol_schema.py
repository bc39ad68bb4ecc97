"""Check frames of the client wire against the recorded JSON schemas.

    check_server_frame(frame, answering="thread/start")

Frames under ``callboard/`` are ours and only need to be well-formed. A test that uses this skips where the reference
material is absent.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types; only its verdict is used

from tests.reference import reference_path

RESPONSES = {
    "initialize": "v1/InitializeResponse.json",
    "account/read": "v2/GetAccountResponse.json",
    "account/login/start": "v2/LoginAccountResponse.json",
    "account/login/cancel": "v2/CancelLoginAccountResponse.json",
    "account/logout": "v2/LogoutAccountResponse.json",
    "config/read": "v2/ConfigReadResponse.json",
    "config/batchWrite": "v2/ConfigWriteResponse.json",
    "config/value/write": "v2/ConfigWriteResponse.json",
    "configRequirements/read": "v2/ConfigRequirementsReadResponse.json",
    "model/list": "v2/ModelListResponse.json",
    "thread/start": "v2/ThreadStartResponse.json",
    "thread/resume": "v2/ThreadResumeResponse.json",
    "thread/read": "v2/ThreadReadResponse.json",
    "thread/list": "v2/ThreadListResponse.json",
    "thread/loaded/list": "v2/ThreadLoadedListResponse.json",
    "thread/unsubscribe": "v2/ThreadUnsubscribeResponse.json",
    "thread/name/set": "v2/ThreadSetNameResponse.json",
    "thread/turns/list": "v2/ThreadTurnsListResponse.json",
    "thread/items/list": "v2/ThreadItemsListResponse.json",
    "thread/settings/update": "v2/ThreadSettingsUpdateResponse.json",
    "thread/backgroundTerminals/list": "v2/ThreadBackgroundTerminalsListResponse.json",
    "thread/backgroundTerminals/clean": "v2/ThreadBackgroundTerminalsCleanResponse.json",
    "thread/backgroundTerminals/terminate": "v2/ThreadBackgroundTerminalsTerminateResponse.json",
    "turn/start": "v2/TurnStartResponse.json",
    "turn/steer": "v2/TurnSteerResponse.json",
    "review/start": "v2/ReviewStartResponse.json",
    "turn/interrupt": "v2/TurnInterruptResponse.json",
    "command/exec": "v2/CommandExecResponse.json",
    "command/exec/write": "v2/CommandExecWriteResponse.json",
    "command/exec/terminate": "v2/CommandExecTerminateResponse.json",
    "command/exec/resize": "v2/CommandExecResizeResponse.json",
    "skills/list": "v2/SkillsListResponse.json",
    "hooks/list": "v2/HooksListResponse.json",
    "collaborationMode/list": "v2/CollaborationModeListResponse.json",
    "plugin/installed": "v2/PluginInstalledResponse.json",
    "permissionProfile/list": "v2/PermissionProfileListResponse.json",
    "experimentalFeature/enablement/set": "v2/ExperimentalFeatureEnablementSetResponse.json",
    "experimentalFeature/list": "v2/ExperimentalFeatureListResponse.json",
    "mcpServerStatus/list": "v2/ListMcpServerStatusResponse.json",
    "modelProvider/list": "v2/ModelProviderListResponse.json",
    "modelProvider/capabilities/read": "v2/ModelProviderCapabilitiesReadResponse.json",
    "account/bedrock/checkGovCloudRequirements": "v2/BedrockCheckGovCloudRequirementsResponse.json",
    "account/rateLimits/read": "v2/GetAccountRateLimitsResponse.json",
    "thread/search": "v2/ThreadSearchResponse.json",
    "thread/shellCommand": "v2/ThreadShellCommandResponse.json",
    "thread/compact/start": "v2/ThreadCompactStartResponse.json",
    "fs/readFile": "v2/FsReadFileResponse.json",
    "fs/getMetadata": "v2/FsGetMetadataResponse.json",
    "fs/readDirectory": "v2/FsReadDirectoryResponse.json",
    "fuzzyFileSearch": "FuzzyFileSearchResponse.json",
    "fuzzyFileSearch/sessionStart": "FuzzyFileSearchSessionStartResponse.json",
    "fuzzyFileSearch/sessionUpdate": "FuzzyFileSearchSessionUpdateResponse.json",
    "fuzzyFileSearch/sessionStop": "FuzzyFileSearchSessionStopResponse.json",
}
"""The schema of each answer we give."""

LEGACY = frozenset({"getAuthStatus"})
"""What older clients ask; the recorded schemas know it no more."""


@functools.cache
def _validator(name: str) -> jsonschema.protocols.Validator:
    schema = json.loads(reference_path(f"protocol/schema/{name}").read_text())
    return jsonschema.validators.validator_for(schema)(schema)


@functools.cache
def _variants(name: str) -> dict[str, jsonschema.protocols.Validator]:
    """One validator for each method of a union, so that a mistake is reported where it is and not for 90 variants."""
    schema = json.loads(reference_path(f"protocol/schema/{name}").read_text())
    kind = jsonschema.validators.validator_for(schema)
    return {
        variant["properties"]["method"]["enum"][0]: kind(
            {**variant, "definitions": schema["definitions"], "$schema": schema["$schema"]}
        )
        for variant in schema["oneOf"]
    }


def check_server_frame(frame: dict[str, Any], *, answering: str | None = None) -> None:
    """Raise jsonschema.ValidationError, or AssertionError, unless ``frame`` is one a client may be sent.

    ``answering`` is the method of the request that a response belongs to.
    """
    assert "jsonrpc" not in frame
    if "method" in frame:
        _check_told(frame)
    elif "error" in frame:
        if frame["id"] is None:
            # JSON-RPC's own rule for a request whose id could not be read; the schema does not provide for it.
            assert frame["error"]["code"] in (-32700, -32600)
            frame = {**frame, "id": 0}
        _validator("JSONRPCError.json").validate(frame)
    else:
        _validator("JSONRPCResponse.json").validate(frame)
        if answering is not None and not answering.startswith("callboard/") and answering not in LEGACY:
            _validator(RESPONSES[answering]).validate(frame["result"])


def _check_told(frame: dict[str, Any]) -> None:
    method = frame["method"]
    if method.startswith("callboard/"):
        _validator("JSONRPCNotification.json").validate(frame)
        return
    variants = _variants("ServerRequest.json" if "id" in frame else "ServerNotification.json")
    assert method in variants, f"no client knows the method {method}"
    variants[method].validate(frame)
    if "id" not in frame:
        assert isinstance(frame["emittedAtMs"], int)
