"""The rehearsal server over a simulated network, from a client's point of view."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx2
import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.model_stream.http import open_client
from actors.ports.network import ByteStream
from actors.rehearsal.actor import Stage
from actors.rehearsal.server import MAX_HEAD_BYTES
from tests.actors.rehearsal.requests import body, user
from tests.simulation import Chances, World


@asynccontextmanager
async def theatre() -> AsyncIterator[tuple[Stage, httpx2.AsyncClient, World]]:
    world = World(1, chances=Chances.none())
    stage = Stage(world.outside)
    with trio.fail_after(3600):
        async with trio.open_nursery() as nursery:
            await nursery.start(world.outside.network.rounds.run)
            await nursery.start(stage.serve)
            async with open_client(world.outside) as client:
                yield stage, client, world
            nursery.cancel_scope.cancel()


async def connect(stage: Stage, world: World) -> ByteStream:
    port = int(stage.base_url.split(":")[2].split("/")[0])
    return await world.outside.network.connect("127.0.0.1", port)


async def test_it_lists_itself_and_its_scenes_as_models(autojump_clock: MockClock) -> None:
    async with theatre() as (stage, client, _):
        answer = (await client.get(f"{stage.base_url}/models")).json()
        assert [model["id"] for model in answer["data"]][:3] == ["rehearsal", "rehearsal:title", "rehearsal:schema"]


async def test_an_answer_is_streamed_at_its_pace_and_remembered(autojump_clock: MockClock) -> None:
    async with theatre() as (stage, client, _):
        began = trio.current_time()
        asked = body(user("load deltas=100 rate=50"))
        answer = await client.post(f"{stage.base_url}/responses", content=asked)
        assert trio.current_time() - began == pytest.approx(2.0)
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.text.count("event: response.output_text.delta") == 100
        assert answer.text.count("event: response.completed") == 1
        await wait_all_tasks_blocked()
        performance = stage.performances[-1]
        assert (performance.scene, performance.attempt, performance.ended) == ("load", 0, "whole")


async def test_without_streaming_the_whole_response_comes_at_once(autojump_clock: MockClock) -> None:
    async with theatre() as (stage, client, _):
        began = trio.current_time()
        answer = await client.post(f"{stage.base_url}/responses", content=body(user("hello"), stream=False))
        response = answer.json()
        assert response["status"] == "completed"
        assert "rehearsed model" in response["output"][0]["content"][0]["text"]
        assert trio.current_time() == began


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (b"{}", "not a request of the Responses API"),
        (body(user("x"), model="rehearsal:nope"), "there is no scene 'nope'"),
    ],
)
async def test_what_nobody_can_play_is_an_error_with_the_reason(
    asked: bytes, words: str, autojump_clock: MockClock
) -> None:
    async with theatre() as (stage, client, _):
        answer = await client.post(f"{stage.base_url}/responses", content=asked)
        assert answer.status_code == 400
        assert words in answer.json()["error"]["message"]


async def test_other_paths_say_what_there_is(autojump_clock: MockClock) -> None:
    async with theatre() as (stage, client, _):
        answer = await client.get(f"{stage.base_url}/chat/completions")
        assert answer.status_code == 404
        assert "POST /v1/responses" in answer.json()["error"]["message"]


async def test_a_client_that_leaves_ends_its_answer(autojump_clock: MockClock) -> None:
    async with theatre() as (stage, client, _):
        url, content = f"{stage.base_url}/responses", body(user("fault silence"))
        async with (
            client.stream("POST", url, content=content) as response,
            aclosing(response.aiter_raw()) as pieces,
        ):
            await anext(pieces)
            assert stage.streaming == 1
        await wait_all_tasks_blocked()
        assert stage.streaming == 0
        assert stage.performances[-1].ended == "client left"


async def test_attempts_count_equal_requests_only(autojump_clock: MockClock) -> None:
    async with theatre() as (stage, client, _):
        statuses = []
        for text in (
            "fault overloaded-twice",
            "fault overloaded-twice",
            "fault overloaded-twice",
            "fault overloaded-twice!",
        ):
            answer = await client.post(f"{stage.base_url}/responses", content=body(user(text)))
            statuses.append(answer.status_code)
        assert statuses == [503, 503, 200, 503]


async def test_a_cut_breaks_the_connection_without_an_end(autojump_clock: MockClock) -> None:
    async with theatre() as (stage, client, _):
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post(f"{stage.base_url}/responses", content=body(user("fault cut")))
        await wait_all_tasks_blocked()
        assert stage.performances[-1].ended == "cut"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01 hello\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n", b"431"),
    ],
)
async def test_what_is_not_http_is_told_so_and_hung_up_on(
    sent: bytes, status: bytes, autojump_clock: MockClock
) -> None:
    async with theatre() as (stage, client, world):
        stream = await connect(stage, world)
        await stream.send_all(sent)
        heard = b""
        while data := await stream.receive_some():
            heard += data
        assert heard.startswith(b"HTTP/1.1 " + status)
        answer = await client.get(f"{stage.base_url}/models")
        assert answer.status_code == 200


async def test_pipelined_requests_are_answered_in_order(autojump_clock: MockClock) -> None:
    async with theatre() as (stage, _, world):
        stream = await connect(stage, world)
        asked = body(user("hello"), stream=False)
        post = b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(asked), asked)
        await stream.send_all(post + b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        heard = b""
        while data := await stream.receive_some():
            heard += data
        first, second = (msgspec.json.decode(part) for part in _bodies(heard))
        assert (first["object"], second["object"]) == ("response", "list")


def _bodies(heard: bytes) -> list[Any]:
    bodies = []
    while heard:
        head, _, rest = heard.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        bodies.append(rest[:length])
        heard = rest[length:]
    return bodies


async def test_started_again_it_is_where_it_was(autojump_clock: MockClock) -> None:
    async with theatre() as (stage, client, world):
        before = stage.base_url
        again = Stage(world.outside, stage.scenes)
        async with trio.open_nursery() as nursery:
            first = await nursery.start(again.serve)
            nursery.cancel_scope.cancel()
        async with trio.open_nursery() as nursery:
            assert await nursery.start(again.serve) == first
            assert (await client.get(f"{first}/models")).status_code == 200
            nursery.cancel_scope.cancel()
        assert before != first
