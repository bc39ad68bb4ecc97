"""Every method of the vocabulary that is not offered is refused in words, and the connection goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.gateway.methods import ALL
from tests.actors.gateway.stage import CallError, open_stage
from tests.reference import reference_path

pytestmark = pytest.mark.reference


def vocabulary() -> list[str]:
    union = json.loads(reference_path("protocol/schema/ClientRequest.json").read_text())
    return [variant["properties"]["method"]["enum"][0] for variant in union["oneOf"]]


async def test_what_is_not_offered_is_refused_by_name_and_the_connection_goes_on(tmp_path: Path) -> None:
    lacking = [method for method in vocabulary() if method not in ALL and method != "initialize"]
    assert lacking, "everything is offered: this test has had its day"
    async with open_stage(tmp_path) as stage, stage.client() as client:
        for method in lacking:
            with pytest.raises(CallError) as caught:
                await client.call(method, {"threadId": "t"})
            assert caught.value.code == -32601
            assert f"Method not found: {method}." in str(caught.value)
        assert await client.call("thread/loaded/list", {}) == {"data": []}
