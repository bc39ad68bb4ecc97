"""callboard/handle/read: parts of what scripts left, read beside the thread's rollout."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from actors.gateway.methods import handles
from actors.rollout_writer.handle_store import HandleStore
from messages.base import ThreadId
from messages.session import ThreadSummary
from tests.actors.gateway.stage import CallError, FakeHouse, open_stage

THREAD = ThreadId("t-on-disk")


def on_disk(house: FakeHouse, tmp_path: Path) -> HandleStore:
    path = tmp_path / "rollout.jsonl"
    house.on_disk[THREAD] = ThreadSummary(
        id=THREAD,
        path=str(path),
        cwd="/w",
        preview="",
        name=None,
        provider="p",
        model="m",
        source="cli",
        created_at=0.0,
        updated_at=0.0,
        cli_version="0",
    )
    return HandleStore(house.ports, str(path))


async def test_a_client_reads_a_text_in_parts_that_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "SLICE_BYTES", 7)
    async with open_stage(tmp_path) as stage, stage.client() as client:
        text = "Grüße aus Zürich"
        handle = await on_disk(stage.house, tmp_path).keep(text.encode(), "text")
        read, at = "", 0
        while at < handle.size:
            params = {"threadId": THREAD, "handle": handle.handle, "from": at}
            part = await client.call("callboard/handle/read", params)
            assert (part["handle"], part["type"], part["size"], part["from"]) == (handle.handle, "text", 19, at)
            read, at = read + part["text"], part["to"]
        assert read == text
        last = await client.call(
            "callboard/handle/read", {"threadId": THREAD, "handle": handle.handle, "from": -6, "to": -1}
        )
        assert last["text"] == "üric"


async def test_bytes_come_in_base64(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        handle = await on_disk(stage.house, tmp_path).keep(b"\x89PNG\x00", "bytes", "image/png")
        params = {"threadId": THREAD, "handle": handle.handle, "from": 1, "to": 4}
        assert await client.call("callboard/handle/read", params) == {
            "handle": handle.handle,
            "type": "bytes",
            "size": 5,
            "from": 1,
            "to": 4,
            "dataBase64": base64.b64encode(b"PNG").decode(),
        }


async def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        handle = (await on_disk(stage.house, tmp_path).keep(b"12345", "text")).handle
        stage.house.new("t-ephemeral")
        for thread, name, more, code, text in (
            ("t-nowhere", handle, {}, -32600, "t-nowhere"),
            (THREAD, "../../etc/passwd", {}, -32602, "is no handle"),
            (THREAD, "json-" + "0" * 32, {}, -32602, "there is no json-0"),
            (THREAD, handle, {"from": 6}, -32602, "begins at 6, but the value has 5 bytes"),
            (THREAD, handle, {"from": 3, "to": 1}, -32602, "ends before it begins"),
            ("t-ephemeral", handle, {}, -32602, "not kept on disk"),
        ):
            with pytest.raises(CallError, match=text) as raised:
                await client.call("callboard/handle/read", {"threadId": thread, "handle": name, **more})
            assert raised.value.code == code, text
