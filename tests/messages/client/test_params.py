"""What holds for the params of every method: clients send null for what they leave open, and fields we do not know."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from actors.gateway.methods import ALL
from messages.client.envelope import Incoming
from messages.client.initialize import InitializeParams
from messages.client.item import TextInput, UserMessage, Wire
from messages.client.turn import CollaborationMode, CollaborationSettings

PARAMS: dict[str, type[Wire]] = {
    "initialize": InitializeParams,
    **{name: method.params.type for name, method in ALL.items()},
}

SAMPLES: dict[str, Any] = {
    "clientInfo": {"name": "n", "version": "1"},
    "input": [],
    "edits": [],
    "command": ["ls"],
    "size": {"rows": 1, "cols": 1},
    "value": 1,
    "enablement": {"live_reload": True},
    "roots": ["/w"],
}
"""For required fields that are no text."""

SPECIAL: dict[str, Any] = {
    "thread/shellCommand": {"command": "ls -l"},
    "review/start": {"target": {"type": "uncommittedChanges"}},
}
"""Where a method means something else by the same name."""


@pytest.mark.parametrize("name", sorted(PARAMS))
def test_optional_fields_may_be_null_and_unknown_ones_are_ignored(name: str) -> None:
    fields = msgspec.structs.fields(PARAMS[name])
    params: dict[str, Any] = {"fieldOfTheFuture": {"a": [1]}}
    for field in fields:
        if field.required:
            params[field.encode_name] = {**SAMPLES, **SPECIAL.get(name, {})}.get(field.encode_name, "x")
        elif field.encode_name != "mergeStrategy":
            params[field.encode_name] = None
    read = msgspec.json.decode(json.dumps(params), type=PARAMS[name])
    assert {field.name for field in fields if field.required} <= set(read.__struct_fields__)


@pytest.mark.parametrize("name", sorted(PARAMS))
def test_names_on_the_wire_are_camel_case(name: str) -> None:
    for field in msgspec.structs.fields(PARAMS[name]):
        assert "_" not in field.encode_name


def test_what_is_snake_case_in_the_original_stays_so() -> None:
    mode = CollaborationMode(mode="default", settings=CollaborationSettings(model="m", reasoning_effort="low"))
    assert json.loads(msgspec.json.encode(mode)) == {
        "mode": "default",
        "settings": {"model": "m", "reasoning_effort": "low"},
    }
    message = UserMessage(id="u", content=(TextInput(text="x"),))
    assert json.loads(msgspec.json.encode(message)) == {
        "type": "userMessage",
        "id": "u",
        "content": [{"type": "text", "text": "x"}],
    }


def test_an_id_that_is_null_is_not_an_id_that_is_missing() -> None:
    assert msgspec.json.decode(b'{"method":"m"}', type=Incoming).id is msgspec.UNSET
    assert msgspec.json.decode(b'{"id":null,"method":"m"}', type=Incoming).id is None


def test_structs_survive_msgpack_and_json() -> None:
    message = UserMessage(id="u", content=(TextInput(text="x"),), client_id="c", started_at_ms=1)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=UserMessage) == message
    assert msgspec.json.decode(msgspec.json.encode(message), type=UserMessage) == message
