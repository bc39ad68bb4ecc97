"""EH: errors, HTTP codes, limits; CX: cancellation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from trio.testing import wait_all_tasks_blocked

from actors.kernel import Ending
from messages.failure import FailureKind
from messages.model import (
    ItemBegan,
    RateLimit,
    RateLimits,
    SampleCompleted,
    SampleFailed,
    SampleRetrying,
    TextBegan,
)
from messages.session import InterruptTurn, TurnAccepted
from tests.actors.model_stream.anthropic.asking import request
from tests.actors.model_stream.anthropic.hearing import (
    delta,
    message_start,
    response,
    start,
    stream,
    text,
    thinking,
    tool,
)
from tests.actors.model_stream.anthropic.matrix.houses import (
    KEY,
    hang,
    open_house,
    refused,
    streamed,
    then_drop,
    then_hang,
)
from tests.actors.model_stream.anthropic.matrix.registry import case
from tests.actors.session.theatre import open_theatre

GOOD = streamed(response(text(0, "Hello.")))


def fails(answer: bytes, kind: FailureKind) -> Callable[[], Awaitable[None]]:
    """The request fails at once, as this kind."""

    async def check() -> None:
        async with open_house(answer, GOOD) as house:
            house.sample(request())
            outcome = await house.outcome()
        assert isinstance(outcome, SampleFailed)
        assert outcome.failure.kind == kind
        assert not outcome.failure.retryable
        assert outcome.failure.request_id == "req_body"
        assert len(house.requests) == 1

    return check


def is_retried(answer: bytes, kind: FailureKind, *, after: float | None = None) -> Callable[[], Awaitable[None]]:
    """The request is made again, and then answered."""

    async def check() -> None:
        async with open_house(answer, GOOD) as house:
            house.sample(request())
            outcome = await house.outcome()
        assert isinstance(outcome, SampleCompleted)
        [retrying] = [event for event in house.heard if isinstance(event, SampleRetrying)]
        assert retrying.failure.kind == kind
        assert after is None or retrying.delay_seconds == after
        assert house.bodies[0] == house.bodies[1]

    return check


case("EH-01", "400 `invalid_request_error` is final")(fails(refused(400, "invalid_request_error"), "invalid_request"))
case("EH-02", "400 `prompt is too long` is a full context window")(
    fails(
        refused(400, "invalid_request_error", "prompt is too long: 3333404 tokens > 200000 maximum"),
        "context_window_exceeded",
    )
)
case("EH-03", "401 `authentication_error` is final")(fails(refused(401, "authentication_error"), "unauthorized"))
case("EH-04", "402 `billing_error` is a quota")(fails(refused(402, "billing_error"), "quota_exhausted"))
case("EH-05", "403 `permission_error` is final")(fails(refused(403, "permission_error"), "forbidden"))
case("EH-06", "404 `not_found_error` is final")(fails(refused(404, "not_found_error", "model: x"), "not_found"))
case("EH-07", "409 is tried again")(is_retried(refused(409, "conflict_error"), "server_error"))
case("EH-08", "413 `request_too_large` is final")(fails(refused(413, "request_too_large"), "invalid_request"))
case("EH-09", "429 `rate_limit_error` is tried again, after as long as it asks for")(
    is_retried(refused(429, "rate_limit_error", headers={"retry-after": "17"}), "rate_limited", after=17.0)
)
case("EH-10", "429 at a spend limit is a quota, whatever its type says")(
    fails(refused(429, "rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}), "quota_exhausted")
)
case("EH-11", "429 at the limit of a linked organization is a quota")(
    fails(refused(429, "rate_limit_error", details={"error_code": "linked_organization_disabled"}), "quota_exhausted")
)
case("EH-12", "429 `ramp_limit_exceeded` asks to slow down, and is tried again")(
    is_retried(refused(429, "rate_limit_error", details={"error_code": "ramp_limit_exceeded"}), "rate_limited")
)
case("EH-13", "500 `api_error` is tried again")(is_retried(refused(500, "api_error"), "server_error"))
case("EH-14", "504 `timeout_error` is tried again")(is_retried(refused(504, "timeout_error"), "server_error"))
case("EH-15", "529 `overloaded_error` is tried again")(is_retried(refused(529, "overloaded_error"), "overloaded"))
case("EH-16", "400 that says in words that nothing is left to pay with is a quota")(
    fails(
        refused(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
        "quota_exhausted",
    )
)
case("EH-17", "`x-should-retry` outranks the code")(
    fails(refused(529, "overloaded_error", headers={"x-should-retry": "false"}), "overloaded")
)


@case("EH-18", "rate-limit headers become one snapshot that goes with the response's end")
async def _() -> None:
    answer = streamed(
        response(text(0, "x")),
        anthropic_ratelimit_requests_limit="50",
        anthropic_ratelimit_requests_remaining="49",
        anthropic_ratelimit_requests_reset="2026-11-20T10:00:00Z",
        anthropic_ratelimit_input_tokens_limit="1000",
        anthropic_ratelimit_input_tokens_remaining="250",
        anthropic_ratelimit_broken_limit="many",
    )
    async with open_house(answer) as house:
        house.sample(request())
        outcome = await house.outcome()
    assert isinstance(outcome, SampleCompleted)
    assert outcome.limits == RateLimits(
        limits=(
            RateLimit(name="requests", used_percent=2.0000000000000018, limit=50, remaining=49, resets_at=1795168800.0),
            RateLimit(name="input-tokens", used_percent=75.0, limit=1000, remaining=250),
        )
    )


@case("EH-19", "the request's id of the headers is kept when the stream drops")
async def _() -> None:
    begun = stream(message_start(), *text(0, "so far"))
    async with open_house(then_drop(begun, request_id="req_head"), request_max_retries=0) as house:
        house.sample(request())
        outcome = await house.outcome()
    assert isinstance(outcome, SampleFailed)
    assert outcome.failure.kind == "stream_disconnected"
    assert outcome.failure.request_id == "req_head"


@case("EH-20", "what an attempt said before its error event is void, slots go on, and a quoted key is taken out")
async def _() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    broken = streamed(stream(message_start(), *text(0, "half"), error))
    quoting = refused(401, "authentication_error", f"invalid x-api-key {KEY}")
    async with open_house(broken, quoting) as house:
        house.sample(request())
        outcome = await house.outcome()
    assert isinstance(outcome, SampleFailed)
    assert KEY not in str(house.heard)
    assert "invalid x-api-key" in outcome.failure.message
    async with open_house(broken, GOOD) as house:
        house.sample(request())
        assert isinstance(await house.outcome(), SampleCompleted)
    assert [event.slot for event in house.heard if isinstance(event, ItemBegan)] == [0, 1]
    assert [event.text_slot for event in house.heard if isinstance(event, TextBegan)] == [0, 1]


# --- cancellation ---------------------------------------------------------------------------------------------------

HALF = stream(message_start(), start(0, "text"), delta(0, "text_delta", text="half"))


@case("CX-01", "cancelling a request closes its socket at once")
async def _() -> None:
    async with open_house(then_hang(HALF)) as house:
        child = house.sample(request())
        await house.until(TextBegan)
        before = trio.current_time()
        child.cancel()
        assert await child.wait() is Ending.STOPPED
        await house.left.wait()
        assert trio.current_time() == before


@case("CX-02", "a cancelled request reports no end")
async def _() -> None:
    async with open_house(then_hang(HALF)) as house:
        child = house.sample(request())
        await house.until(TextBegan)
        child.cancel()
        await child.wait()
        await wait_all_tasks_blocked()
        assert [type(event) for event in house.heard] == [ItemBegan, TextBegan]


@case("CX-03", "a request that is cancelled while it waits to try again asks nobody again")
async def _() -> None:
    async with open_house(refused(429, "rate_limit_error", headers={"retry-after": "60"}), GOOD) as house:
        child = house.sample(request())
        await house.until(SampleRetrying)
        child.cancel()
        assert await child.wait() is Ending.STOPPED
        await trio.sleep(600)
        assert len(house.requests) == 1


@case("CX-04", "a request that is cancelled before the answer began leaves no connection")
async def _() -> None:
    async with open_house(hang) as house:
        child = house.sample(request())
        await wait_all_tasks_blocked()
        assert len(house.requests) == 1
        child.cancel()
        assert await child.wait() is Ending.STOPPED
        await house.left.wait()
        assert house.heard == []


@case("CX-05", "an interrupted answer is kept for eyes only: the next request has nothing of it")
async def _() -> None:
    begun = stream(message_start(), *thinking(0, "Hm."), *tool(1, '{"path":"a.py"}'), *text(2, "half"))
    async with open_house(then_hang(begun), GOOD) as house, open_theatre() as theatre:
        theatre.scripts = [house.play, house.play]
        thread = await theatre.thread(provider="anthropic", model="claude-haiku-5-5")
        await thread.start()
        while not any("half" in str(each) for each in thread.frames):
            await wait_all_tasks_blocked()
            thread.take()
        await thread.ask(InterruptTurn(), TurnAccepted)
        await thread.until("TurnCompleted")
        await thread.start("again", "s2")
        await thread.until("TurnCompleted")
    roles = [message["role"] for message in house.bodies[1]["messages"]]
    assert roles == ["user"]
    assert "half" not in str(house.bodies[1])
    assert "a.py" not in str(house.bodies[1])
