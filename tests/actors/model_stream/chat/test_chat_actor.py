"""A request on the Chat Completions wire from its session's point of view, on a simulated network."""

from __future__ import annotations

import msgspec
import pytest
from trio.testing import MockClock

from actors.rehearsal.script import Scene, Status, Step
from messages.failure import FailureKind
from messages.model import ItemBegan, ItemFinished, SampleCompleted, SampleFailed, SampleRetrying, TextBegan
from messages.settings import Dialect, ProviderSettings
from tests.actors.model_stream.household import household, request


def chat(base_url: str) -> ProviderSettings:
    return ProviderSettings(name="the model", base_url=base_url, wire_api="chat")


async def test_an_answer_arrives_as_structure_in_order_with_its_text_in_the_table(autojump_clock: MockClock) -> None:
    async with household(settings=chat) as home:
        home.sample(request("hello"))
        completed = await home.hear_until(SampleCompleted)
        assert [type(event) for event in home.heard] == [ItemBegan, TextBegan, ItemFinished, SampleCompleted]
        assert isinstance(completed, SampleCompleted)
        assert (completed.stop, completed.wire_stop, completed.model) == ("end", "stop", "rehearsal")
        assert completed.usage.total > 0
        assert "rehearsed model" in home.visible()
        finished = next(event for event in home.heard if isinstance(event, ItemFinished))
        assert finished.item.origin is not None
        assert finished.item.origin.wire == "chat"


async def test_a_stream_that_breaks_off_is_asked_for_again_and_what_it_said_is_void(autojump_clock: MockClock) -> None:
    async with household(settings=chat) as home:
        home.sample(request("fault cut-twice"))
        await home.hear_until(SampleCompleted)
        slots = [event.slot for event in home.heard if isinstance(event, ItemBegan)]
        assert slots == [0, 1, 2]
        assert sum(isinstance(event, SampleRetrying) for event in home.heard) == 2
        assert [event.slot for event in home.heard if isinstance(event, ItemFinished)] == [2]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, '{"detail":"Invalid API Key"}', "unauthorized"),
        (429, '{"error":{"code":"insufficient_quota","message":"no money"}}', "quota_exhausted"),
        (200, '{"error":{"code":400,"message":"bad"}}', "invalid_request"),
        (200, '{"id":"x"}', "protocol"),
    ],
)
async def test_an_error_in_whichever_shape_is_the_last_word(
    status: int, body: str, kind: FailureKind, autojump_clock: MockClock
) -> None:
    scene = Scene(name="error", step=(Step(then=(Status(code=status, body=body),)),))
    async with household(settings=chat, scenes=(scene,)) as home:
        home.sample(request("hello"))
        failed = await home.hear_until(SampleFailed)
        assert isinstance(failed, SampleFailed)
        assert failed.failure.kind == kind


async def test_a_server_that_does_not_stream_is_heard(autojump_clock: MockClock) -> None:
    message = {"role": "assistant", "content": "All at once."}
    body = {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    scene = Scene(name="whole", step=(Step(then=(Status(code=200, body=msgspec.json.encode(body).decode()),)),))
    async with household(settings=chat, scenes=(scene,)) as home:
        home.sample(request("hello"))
        await home.hear_until(SampleCompleted)
        assert home.visible() == "All at once."


async def test_what_a_server_cannot_take_is_told_before_it_is_asked(autojump_clock: MockClock) -> None:
    def no_stops(base_url: str) -> ProviderSettings:
        return msgspec.structs.replace(chat(base_url), dialect=Dialect(stop_sequences=0))

    async with household(settings=no_stops) as home:
        home.sample(msgspec.structs.replace(request("hello"), stop_sequences=("END",)))
        failed = await home.hear_until(SampleFailed)
        assert isinstance(failed, SampleFailed)
        assert failed.failure.kind == "invalid_request"
        assert "stop sequences" in failed.failure.message
        assert not home.stage.performances
