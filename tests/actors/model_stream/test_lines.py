"""The Responses API over WebSocket, against a rehearsed model on a simulated network."""

from __future__ import annotations

from typing import Any

import msgspec
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.model_stream.lines import IDLE_SECONDS
from actors.rehearsal.script import Call, Cut, Say, Scene, Step, When
from messages.items import HistoryItem
from messages.model import ItemFinished, SampleCompleted, SampleFailed, SampleRequest, SampleRetrying, ToolSpec
from messages.settings import ProviderSettings
from tests.actors.model_stream.household import Household, household, request, user_message

TOOLS = (ToolSpec(name="look", description="d", parameters={"type": "object", "properties": {}}),)


def lined(base_url: str) -> ProviderSettings:
    return ProviderSettings(name="the model", base_url=base_url, supports_websockets=True)


def output(call: HistoryItem) -> HistoryItem:
    raw = msgspec.json.encode({"type": "function_call_output", "call_id": call.call_id, "output": "seen"})
    return HistoryItem(kind="function_call_output", raw=raw, call_id=call.call_id)


async def ask(home: Household, asked: SampleRequest) -> tuple[tuple[HistoryItem, ...], list[Any]]:
    """(what was answered, all that was told)."""
    before = len(home.heard)
    child = home.sample(asked)
    await home.hear_until(SampleCompleted, SampleFailed)
    await child.wait()
    told = home.heard[before:]
    void = max((place for place, event in enumerate(told) if isinstance(event, SampleRetrying)), default=-1)
    return tuple(event.item for event in told[void + 1 :] if isinstance(event, ItemFinished)), told


def numbered(number: int, *history: HistoryItem, **fields: Any) -> SampleRequest:
    return msgspec.structs.replace(request("-"), request_id=f"r{number}", history=history, **fields)


def connections(home: Household) -> int:
    return len([stream for stream in home.world.fabric.streams if "→" in stream.name])


async def test_an_answer_on_a_line_is_what_it_is_by_http(autojump_clock: MockClock) -> None:
    async with household() as home:
        _, plain = await ask(home, request("hello"))
        assert home.stage.handshakes == 0
    async with household(settings=lined) as home:
        _, lined_ = await ask(home, request("hello"))
        assert home.stage.handshakes == 1
        assert "rehearsed model" in home.visible()
    assert [type(event) for event in lined_] == [type(event) for event in plain]


async def test_a_line_is_kept_and_the_next_request_brings_only_what_is_new(autojump_clock: MockClock) -> None:
    async with household(settings=lined) as home:
        first = user_message("hello")
        answer, _ = await ask(home, numbered(1, first))
        again = user_message("and again")
        answer_again, _ = await ask(home, numbered(2, first, *answer, again))
        await ask(home, numbered(3, first, *answer, again, *answer_again, user_message("once more")))
        assert (home.stage.handshakes, connections(home)) == (1, 1)
        assert [played.items_sent for played in home.stage.performances] == [1, 1, 1]
        seen = home.stage.performances[-1].prompt
        assert (seen.user, seen.model) == ("once more", "rehearsal"), "the rehearsed model was asked the whole"


async def test_a_request_that_does_not_simply_go_on_is_sent_whole(autojump_clock: MockClock) -> None:
    async with household(settings=lined) as home:
        first, again = user_message("hello"), user_message("and again")
        answer, _ = await ask(home, numbered(1, first))
        await ask(home, numbered(2, first, *answer, again, instructions="Others."))
        await ask(home, numbered(3, user_message("a summary of it all"), again, instructions="Others."))
        await ask(home, numbered(4, first, *answer, again, model="rehearsal:default", instructions="Others."))
        assert [played.items_sent for played in home.stage.performances] == [1, 3, 2, 3]
        assert home.stage.handshakes == 1


async def test_a_server_that_refuses_is_asked_by_http_at_once_and_not_again_for_a_while(
    autojump_clock: MockClock,
) -> None:
    async with household(settings=lined) as home:
        home.stage.websockets = False
        for number in (1, 2, 3):
            _, told = await ask(home, numbered(number, user_message("hello")))
            assert isinstance(told[-1], SampleCompleted)
            assert not [event for event in told if isinstance(event, SampleRetrying)]
        assert [played.items_sent for played in home.stage.performances] == [None] * 3
        assert connections(home) == 2, "one for the handshake, one for all requests"


CUT = Scene(
    name="cut",
    when=When(user="break"),
    step=(
        Step(round=0, attempt_below=1, then=(Say(text="half an ans"), Cut(how="close"))),
        Step(round=0, then=(Say(text="whole"), Call(tool="look"))),
        Step(then=(Say(text="done"),)),
    ),
)


async def test_an_answer_that_breaks_off_is_void_and_asked_for_again_by_http(autojump_clock: MockClock) -> None:
    async with household(settings=lined, scenes=(CUT,)) as home:
        asked = numbered(1, user_message("break"), tools=TOOLS)
        answer, told = await ask(home, asked)
        retried = [event for event in told if isinstance(event, SampleRetrying)]
        assert [event.failure.kind for event in retried] == ["stream_disconnected"]
        assert [played.items_sent for played in home.stage.performances] == [1, None]
        assert [item.kind for item in answer] == ["message", "function_call"]
        # The next request goes on behind a call that has been run: on a line again, and with everything said.
        outputs = [output(item) for item in answer if item.call_id is not None]
        later = msgspec.structs.replace(asked, request_id="r2", history=(*asked.history, *answer, *outputs))
        _, told = await ask(home, later)
        assert isinstance(told[-1], SampleCompleted)
        assert home.stage.performances[-1].items_sent == 4


async def test_a_connection_that_dies_between_requests_costs_a_new_line_and_no_retry(autojump_clock: MockClock) -> None:
    """Also behind a call with effects: the response was whole, and nothing that was run is asked for again."""
    async with household(settings=lined) as home:
        first = user_message("hello")
        answer, _ = await ask(home, numbered(1, first))
        for stream in home.world.fabric.streams:
            stream.close_now()
        await wait_all_tasks_blocked()
        _, told = await ask(home, numbered(2, first, *answer, user_message("and again")))
        assert isinstance(told[-1], SampleCompleted)
        assert not [event for event in told if isinstance(event, SampleRetrying)]
        assert home.stage.handshakes == 2
        assert home.stage.performances[-1].items_sent == 3


async def test_errors_on_a_line_are_told_as_they_are_by_http(autojump_clock: MockClock) -> None:
    async with household(settings=lined) as home:
        for fault, kind in (("quota", "quota_exhausted"), ("bad-key", "unauthorized"), ("policy", "refused")):
            _, told = await ask(home, msgspec.structs.replace(request(f"fault {fault}"), request_id=fault))
            assert isinstance(told[-1], SampleFailed)
            assert told[-1].failure.kind == kind


async def test_cancelling_closes_the_line(autojump_clock: MockClock) -> None:
    async with household(settings=lined) as home:
        child = home.sample(request("load deltas=100000 rate=10"))
        await home.hear()
        child.cancel()
        await child.wait()
        await trio.sleep(1)
        assert home.stage.streaming == 0
        assert home.models.transport.pool.open_connections == 0


async def test_a_line_that_was_idle_for_long_is_closed_when_another_is_looked_for(autojump_clock: MockClock) -> None:
    async with household(settings=lined) as home:
        first = user_message("hello")
        answer, _ = await ask(home, numbered(1, first))
        await trio.sleep(IDLE_SECONDS + 1)
        await ask(home, numbered(2, first, *answer, user_message("and again")))
        assert home.stage.handshakes == 2
        assert home.models.transport.pool.open_connections == 1
