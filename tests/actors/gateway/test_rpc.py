"""Whatever bytes come, they are a message or an error that names what is wrong; nothing else is raised."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.gateway.methods import ALL
from actors.gateway.rpc import RpcError, error_response, read_message, response
from messages.client.envelope import INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR
from messages.client.turn import TurnSteerResponse

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
members = st.dictionaries(st.sampled_from(["id", "method", "params", "result", "error", "jsonrpc"]), json_values)


def _refusal(read: Callable[[], object]) -> int | None:
    """The code of the error, if it is one."""
    try:
        read()
    except RpcError as error:
        return error.code
    return None


@given(st.binary(max_size=200) | st.text(max_size=200) | members.map(json.dumps) | json_values.map(json.dumps))
def test_any_text_is_a_message_or_an_error(data: str | bytes) -> None:
    assert _refusal(lambda: read_message(data)) in (None, PARSE_ERROR, INVALID_REQUEST)


@given(st.sampled_from(sorted(ALL)), json_values)
def test_any_params_are_read_or_refused(name: str, params: Any) -> None:
    assert _refusal(lambda: ALL[name].read(msgspec.Raw(json.dumps(params).encode()))) in (None, INVALID_PARAMS)


@given(st.sampled_from(sorted(ALL)), st.data())
def test_params_with_the_right_names_and_wrong_values_are_read_or_refused(name: str, data: st.DataObject) -> None:
    fields = [field.encode_name for field in msgspec.structs.fields(ALL[name].params.type)]
    params = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(fields, json_values)))
    assert _refusal(lambda: ALL[name].read(msgspec.Raw(json.dumps(params).encode()))) in (None, INVALID_PARAMS)


def test_deep_nesting_is_an_error_like_any_other() -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    with pytest.raises(RpcError, match="nested too deep"):
        read_message(b'{"id":1,"method":"x","params":' + deep + b"}")
    with pytest.raises(RpcError, match="turn/start: the params are nested too deep"):
        ALL["turn/start"].read(msgspec.Raw(b'{"threadId":"t","input":[],"unknown":' + deep + b"}"))


def test_answers_are_frames() -> None:
    assert json.loads(response("ü", TurnSteerResponse(turn_id="t"))) == {"id": "ü", "result": {"turnId": "t"}}
    assert json.loads(error_response(None, RpcError(-1, "m", {"a": 1}))) == {
        "id": None,
        "error": {"code": -1, "message": "m", "data": {"a": 1}},
    }
