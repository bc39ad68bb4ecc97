"""A model request and all around it: a simulated network, a rehearsed model, credentials, a session's mailbox."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from actors.kernel import Child, Children, Context, Mailbox, Service, System
from actors.model_stream import actor
from actors.model_stream.models import UNDELIVERED_TEXT_CHARS, Models
from actors.rehearsal.actor import Stage
from actors.rehearsal.script import Scene
from actors.session.open_text import TextTable
from messages.base import ThreadId, TurnId
from messages.credentials import CredentialsRequest, Headers, SecretValue
from messages.failure import Failure
from messages.items import HistoryItem
from messages.model import SampleRequest, StreamEvent, TextBegan
from messages.settings import ProviderSettings
from tests.simulation import Chances, World

CREDENTIALS: Service[CredentialsRequest] = Service("credentials")
KEY = "sk-very-secret-key-0123456789"


def user_message(text: str) -> HistoryItem:
    raw = b'{"type":"message","role":"user","content":[{"type":"input_text","text":"%b"}]}' % text.encode()
    return HistoryItem(kind="message", raw=raw)


def request(text: str, *, provider: str = "rehearsal", model: str = "rehearsal") -> SampleRequest:
    return SampleRequest(
        request_id="r1",
        thread_id=ThreadId("t1"),
        turn_id=TurnId("u1"),
        provider=provider,
        model=model,
        instructions="You are a test.",
        history=(user_message(text),),
    )


class Household:
    """What a test needs to look at."""

    def __init__(self, world: World, ctx: Context, children: Children, stage: Stage, models: Models) -> None:
        self.world = world
        self.ctx = ctx
        self.children = children
        self.stage = stage
        self.models = models
        self.inbox: Mailbox[StreamEvent] = ctx.open_mailbox("session", capacity=64)
        self.texts = TextTable()
        self.heard: list[StreamEvent] = []

    def sample(self, request: SampleRequest) -> Child:
        """Start the request as a session would."""

        async def start(ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
            await actor.run(ctx, request, self.texts, self.inbox.address, self.models, task_status=task_status)

        return self.children.start("request", start)

    async def hear(self) -> list[StreamEvent]:
        """What came since the last time, taking over every text."""
        batch = [message for message, _ in await self.inbox.receive()]
        for event in batch:
            if isinstance(event, TextBegan):
                self.texts.attach(event.text_slot)
        self.heard += batch
        return batch

    async def hear_until(self, *kinds: type[StreamEvent]) -> StreamEvent:
        """Hear until an event of one of these kinds comes; that event."""
        while True:
            for event in await self.hear():
                if isinstance(event, kinds):
                    return event

    def visible(self) -> str:
        """All the text of the texts that began."""
        began = [event for event in self.heard if isinstance(event, TextBegan)]
        return "".join(self.texts.attach(event.text_slot).text() for event in began)


@asynccontextmanager
async def household(
    *,
    scenes: tuple[Scene, ...] | None = None,
    settings: Callable[[str], ProviderSettings] = lambda base_url: ProviderSettings(
        name="the model", base_url=base_url
    ),
    headers: Headers | Failure | None = None,
    undelivered_limit: int = UNDELIVERED_TEXT_CHARS,
    seed: int = 1,
) -> AsyncIterator[Household]:
    world = World(seed, chances=Chances.none())
    ports = world.outside
    ctx = Context(System(random=random.Random(seed), strict=True), "test")
    credentials: Mailbox[CredentialsRequest] = ctx.open_mailbox("credentials")
    ctx.publish(CREDENTIALS, credentials.address)

    async def answer_credentials() -> None:
        while True:
            for _, reply in await credentials.receive():
                assert reply is not None
                reply.answer(headers or Headers((("authorization", SecretValue(f"Bearer {KEY}")),)))

    stage = Stage(ports, scenes)
    with trio.fail_after(3600):
        async with trio.open_nursery() as nursery:
            await nursery.start(ports.network.rounds.run)
            base_url = await nursery.start(stage.serve)
            nursery.start_soon(answer_credentials)
            providers = {"rehearsal": settings(base_url)}
            async with (
                Models(
                    ports, ctx.directory.address(CREDENTIALS), providers, undelivered_limit=undelivered_limit
                ) as models,
                Children(ctx) as children,
            ):
                yield Household(world, ctx, children, stage, models)
                children.cancel()
            nursery.cancel_scope.cancel()


__all__ = ["KEY", "Household", "household", "request", "user_message"]
