"""Model requests over a simulated network, to servers that say what a test has written down, on all three wires."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httptools
import msgspec
import trio

from actors.kernel import Child, Children, Context, Mailbox, Service, System
from actors.model_stream import actor
from actors.model_stream.models import Models
from actors.ports.network import ByteStream
from actors.rehearsal import server
from actors.rehearsal.server import Request, RequestReader
from actors.session.open_text import TextTable
from messages.credentials import CredentialsRequest, Headers, SecretValue
from messages.model import SampleCompleted, SampleFailed, SampleRequest, StreamEvent, TextBegan
from messages.settings import ProviderSettings
from tests.actors.session.theatre import Scene
from tests.simulation import Chances, World

CREDENTIALS: Service[CredentialsRequest] = Service("credentials")
KEY = "sk-ant-very-secret-0123456789"
PORT = 7
URL = f"http://127.0.0.1:{PORT}"

Answer = bytes | Callable[[ByteStream], Awaitable[None]]
"""A whole HTTP answer, or somebody who gives one."""

PROVIDERS = {
    "anthropic": ProviderSettings(name="Anthropic", base_url=f"{URL}/anthropic", wire_api="messages"),
    "openai": ProviderSettings(name="OpenAI", base_url=f"{URL}/openai", wire_api="responses"),
    "elsewhere": ProviderSettings(name="Elsewhere", base_url=f"{URL}/elsewhere", wire_api="chat"),
}


def streamed(body: bytes, **headers: str) -> bytes:
    """A stream, from its beginning to its end."""
    kind = {"content-type": "text/event-stream", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return server.whole(200, body, headers=kind)


def refused(status: int, kind: str, message: str = "Oh.", **more: Any) -> bytes:
    """An error as Anthropic words it. ``headers``: beside the usual ones; ``details``: within it."""
    headers = more.pop("headers", {})
    body = {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "req_body"}
    return server.whole(status, msgspec.json.encode(body), headers=headers)


class House:
    """A model_stream and a server of one's own. ``answers`` are given in turn."""

    def __init__(self, world: World, ctx: Context, children: Children, models: Models) -> None:
        self.models = models
        self.ctx = ctx
        self.texts = TextTable()
        self.heard: list[StreamEvent] = []
        self.answers: list[Answer] = []
        self.requests: list[Request] = []
        self.left = trio.Event()
        """A client hung up."""
        self._played = 0
        self._world = world
        self._children = children
        self._inbox: Mailbox[StreamEvent] = ctx.open_mailbox("session", capacity=256)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """What was asked."""
        return [msgspec.json.decode(request.body) for request in self.requests]

    def sample(self, request: SampleRequest) -> Child:
        """Start a request as a session would."""

        async def start(ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
            await actor.run(ctx, request, self.texts, self._inbox.address, self.models, task_status=task_status)

        return self._children.start("request", start)

    async def outcome(self) -> SampleCompleted | SampleFailed:
        """Hear a request to its end."""
        while True:
            for event, _ in await self._inbox.receive():
                self.heard.append(event)
                if isinstance(event, TextBegan):
                    self.texts.attach(event.text_slot)
                if isinstance(event, SampleCompleted | SampleFailed):
                    return event

    async def until(self, kind: type[StreamEvent]) -> None:
        """Hear until there is an event of this kind."""
        while not any(isinstance(event, kind) for event in self.heard):
            for event, _ in await self._inbox.receive():
                self.heard.append(event)
                if isinstance(event, TextBegan):
                    self.texts.attach(event.text_slot)

    async def play(self, scene: Scene) -> None:
        """For a theatre: the model is what the server says."""
        self._played += 1
        ctx = self.ctx.child(f"request-{self._played}")
        await actor.run(ctx, scene.request, scene.texts, scene.report, self.models)

    async def serve(self, *, task_status: trio.TaskStatus[None]) -> None:
        listener = await self._world.outside.network.listen("127.0.0.1", PORT)
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                nursery.start_soon(self._converse, await listener.accept())

    async def _converse(self, stream: ByteStream) -> None:
        reader = RequestReader()
        try:
            while data := await stream.receive_some():
                reader.feed(data)
                while request := reader.take():
                    self.requests.append(request)
                    answer = self.answers.pop(0)
                    if isinstance(answer, bytes):
                        await stream.send_all(answer)
                    else:
                        await answer(stream)
                        return
        except (trio.BrokenResourceError, trio.ClosedResourceError, httptools.HttpParserError):
            pass
        finally:
            self.left.set()
            stream.close_now()


@asynccontextmanager
async def open_house(*answers: Answer, **provider: Any) -> AsyncIterator[House]:
    """``provider`` changes the settings of all providers."""
    world = World(1, chances=Chances.none())
    ctx = Context(System(random=random.Random(1), strict=True), "test")
    credentials: Mailbox[CredentialsRequest] = ctx.open_mailbox("credentials")
    ctx.publish(CREDENTIALS, credentials.address)
    providers = {name: msgspec.structs.replace(each, **provider) for name, each in PROVIDERS.items()}

    async def answer_credentials() -> None:
        while True:
            for _, reply in await credentials.receive():
                assert reply is not None
                reply.answer(Headers((("x-api-key", SecretValue(KEY)),)))

    with trio.fail_after(3600):
        async with trio.open_nursery() as nursery:
            await nursery.start(world.outside.network.rounds.run)
            nursery.start_soon(answer_credentials)
            async with (
                Models(world.outside, ctx.directory.address(CREDENTIALS), providers) as models,
                Children(ctx) as children,
            ):
                house = House(world, ctx, children, models)
                house.answers = list(answers)
                await nursery.start(house.serve)
                yield house
                children.cancel()
            nursery.cancel_scope.cancel()


async def hang(stream: ByteStream) -> None:
    """Take the request and say nothing."""
    while await stream.receive_some():
        pass


def then_hang(data: bytes) -> Answer:
    """Begin a stream and go on with nothing."""

    async def give(stream: ByteStream) -> None:
        await stream.send_all(server.stream_head() + server.chunk(data))
        await hang(stream)

    return give


def then_drop(data: bytes, **headers: str) -> Answer:
    """Begin a stream and hang up."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{lines}transfer-encoding: chunked\r\n\r\n"

    async def give(stream: ByteStream) -> None:
        await stream.send_all(head.encode() + server.chunk(data))

    return give
