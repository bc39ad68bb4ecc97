"""A model request from its session's point of view, against a rehearsed model on a simulated network."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.kernel import Ending
from actors.model_stream.exchange import LOOKS
from actors.rehearsal.script import Scene, Status, Step
from messages.credentials import Headers, SecretValue
from messages.failure import Failure, FailureKind
from messages.model import (
    ItemBegan,
    ItemFinished,
    RateLimit,
    RateLimits,
    SampleCompleted,
    SampleFailed,
    SampleRetrying,
    TextBegan,
)
from messages.settings import ProviderSettings
from tests.actors.model_stream.household import KEY, household, request


async def test_an_answer_arrives_as_structure_in_order_with_its_text_in_the_table(autojump_clock: MockClock) -> None:
    async with household() as home:
        child = home.sample(request("hello"))
        completed = await home.hear_until(SampleCompleted)
        assert [type(event) for event in home.heard] == [ItemBegan, TextBegan, ItemFinished, SampleCompleted]
        assert isinstance(completed, SampleCompleted)
        assert completed.stop == "end"
        assert completed.model == "rehearsal"
        assert completed.usage.total > 0
        assert "rehearsed model" in home.visible()
        assert await child.wait() is Ending.RETURNED


async def test_text_wakes_nobody(autojump_clock: MockClock) -> None:
    """Of a paced answer of 200 deltas the session is woken for structure alone."""
    async with household() as home:
        home.sample(request("load deltas=200 rate=50"))
        await home.hear_until(SampleCompleted)
        assert len(home.heard) == 4
        assert len(home.visible()) == 200 * 21
        assert home.inbox.received == 4


async def test_the_connection_is_kept_for_the_next_request(autojump_clock: MockClock) -> None:
    async with household() as home:
        for _ in range(3):
            child = home.sample(request("hello"))
            await home.hear_until(SampleCompleted)
            await child.wait()
        accepted = [stream for stream in home.world.fabric.streams if "→" in stream.name]
        assert len(accepted) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("bad-key", "unauthorized"),
        ("no-model", "not_found"),
        ("too-long", "context_window_exceeded"),
        ("quota", "quota_exhausted"),
        ("wait-an-hour", "rate_limited"),
        ("error-as-200", "quota_exhausted"),
        ("garbage-body", "protocol"),
        ("policy", "refused"),
    ],
)
async def test_what_waiting_does_not_mend_fails_at_once(
    fault: str, kind: FailureKind, autojump_clock: MockClock
) -> None:
    async with household() as home:
        home.sample(request(f"fault {fault}"))
        await home.hear_until(SampleFailed)
        failed = home.heard[-1]
        assert isinstance(failed, SampleFailed)
        assert failed.failure.kind == kind
        told = RateLimits(limits=(RateLimit(name="requests", used_percent=100.0, limit=100, remaining=0),))
        assert failed.limits == (told if fault == "wait-an-hour" else None)
        assert not any(isinstance(event, SampleRetrying) for event in home.heard)
        await wait_all_tasks_blocked()
        assert len(home.stage.performances) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("server", "server_error"),
        ("web-page", "server_error"),
        ("cut", "stream_disconnected"),
        ("garbage", "stream_disconnected"),
        ("failed", "server_error"),
    ],
)
async def test_a_passing_trouble_is_met_with_six_attempts_in_all(
    fault: str, kind: FailureKind, autojump_clock: MockClock
) -> None:
    async with household() as home:
        began = trio.current_time()
        home.sample(request(f"fault {fault}"))
        failed = await home.hear_until(SampleFailed)
        assert isinstance(failed, SampleFailed)
        assert failed.failure.kind == kind
        retries = [event for event in home.heard if isinstance(event, SampleRetrying)]
        assert [(event.attempt, event.attempts) for event in retries] == [(n, 6) for n in range(1, 6)]
        await wait_all_tasks_blocked()
        assert len(home.stage.performances) == 6
        for delay, event in zip((0.25, 0.5, 1.0, 2.0, 4.0), retries, strict=True):
            assert 0.8 * delay <= event.delay_seconds <= min(4.0, 1.2 * delay)
        assert trio.current_time() - began >= sum(event.delay_seconds for event in retries)


@pytest.mark.parametrize("fault", ["overloaded-twice", "rate-limit-twice", "cut-twice", "cut-in-call-twice"])
async def test_what_passes_is_forgotten_and_slots_never_repeat(fault: str, autojump_clock: MockClock) -> None:
    async with household() as home:
        home.sample(request(f"fault {fault}"))
        completed = await home.hear_until(SampleCompleted, SampleFailed)
        assert isinstance(completed, SampleCompleted)
        assert completed.stop == "end"
        began = [event.slot for event in home.heard if isinstance(event, ItemBegan)]
        texts = [event.text_slot for event in home.heard if isinstance(event, TextBegan)]
        assert began == list(range(len(began)))
        assert texts == list(range(len(texts)))
        after_last_retry = home.heard[max(i for i, e in enumerate(home.heard) if isinstance(e, SampleRetrying)) + 1 :]
        assert [type(event) for event in after_last_retry] == [ItemBegan, TextBegan, ItemFinished, SampleCompleted]


async def test_the_same_bytes_are_sent_again(autojump_clock: MockClock) -> None:
    async with household() as home:
        home.sample(request("fault cut-twice"))
        await home.hear_until(SampleCompleted)
        await wait_all_tasks_blocked()
        assert len({performance.prompt.fingerprint for performance in home.stage.performances}) == 1


async def test_a_server_may_say_how_long_to_wait(autojump_clock: MockClock) -> None:
    async with household() as home:
        home.sample(request("fault rate-limit-twice"))
        await home.hear_until(SampleCompleted)
        assert [e.delay_seconds for e in home.heard if isinstance(e, SampleRetrying)] == [1.0, 1.0]


async def test_calls_of_an_answer_cut_by_a_limit_are_told_apart_from_calls_to_run(autojump_clock: MockClock) -> None:
    async with household() as home:
        home.sample(request("fault length-in-call"))
        completed = await home.hear_until(SampleCompleted)
        assert isinstance(completed, SampleCompleted)
        assert completed.stop == "length"


async def test_silence_beyond_the_idle_limit_is_a_timeout(autojump_clock: MockClock) -> None:
    def patient(base_url: str) -> ProviderSettings:
        return ProviderSettings(base_url=base_url, request_max_retries=0)

    async with household(settings=patient) as home:
        began = trio.current_time()
        home.sample(request("fault silence"))
        failed = await home.hear_until(SampleFailed)
        assert isinstance(failed, SampleFailed)
        assert failed.failure.kind == "timeout"
        assert 300.0 <= trio.current_time() - began <= 300.0 * (1 + 1 / LOOKS) + 1.0


async def test_cancelling_closes_the_socket_at_once(autojump_clock: MockClock) -> None:
    async with household() as home:
        child = home.sample(request("load deltas=1000 rate=10"))
        await home.hear_until(TextBegan)
        assert home.stage.streaming == 1
        before = trio.current_time()
        child.cancel()
        assert await child.wait() is Ending.STOPPED
        await wait_all_tasks_blocked()
        assert home.stage.streaming == 0
        assert home.stage.performances[-1].ended == "client left"
        assert trio.current_time() == before
        assert not any(isinstance(event, SampleCompleted | SampleFailed) for event in home.heard)


async def test_a_session_that_does_not_take_texts_holds_up_its_own_stream(autojump_clock: MockClock) -> None:
    async with household(undelivered_limit=1000) as home:
        home.sample(request("load deltas=20000 size=100"))
        await trio.sleep(10)
        # One read may go beyond the limit; then the pipe fills and the server waits.
        undelivered = home.texts.undelivered_chars()
        assert 1000 < undelivered < 70_000
        assert home.stage.streaming == 1
        await trio.sleep(1000)
        assert home.texts.undelivered_chars() == undelivered
        await home.hear_until(SampleCompleted)
        assert len(home.visible()) == 20_000 * 100


async def test_a_full_mailbox_holds_up_the_stream_and_loses_nothing(autojump_clock: MockClock) -> None:
    async with household() as home:
        home.inbox = home.ctx.open_mailbox("small", capacity=2)
        home.sample(request("load tools=500"))
        await trio.sleep(10)
        completed = await home.hear_until(SampleCompleted)
        assert isinstance(completed, SampleCompleted)
        assert completed.stop == "tool_use"
        expected = [kind for _ in range(500) for kind in (ItemBegan, ItemFinished)]
        assert [type(event) for event in home.heard] == [*expected, SampleCompleted]


async def test_a_missing_key_is_told_before_anything_is_sent(autojump_clock: MockClock) -> None:
    missing = Failure(kind="missing_key", message="set OPENAI_API_KEY")
    async with household(headers=missing) as home:
        home.sample(request("hello"))
        assert await home.hear_until(SampleFailed) == SampleFailed(request_id="r1", failure=missing)
        assert not home.stage.performances


async def test_an_unknown_provider_is_named_with_those_that_exist(autojump_clock: MockClock) -> None:
    async with household() as home:
        home.sample(request("hello", provider="nobody"))
        failed = await home.hear_until(SampleFailed)
        assert isinstance(failed, SampleFailed)
        assert "'nobody'" in failed.failure.message
        assert "rehearsal" in failed.failure.message


async def test_a_provider_that_is_not_there_is_a_connection_failure_that_names_its_address(
    autojump_clock: MockClock,
) -> None:
    async with household(settings=lambda _: ProviderSettings(base_url="http://127.0.0.1:9/v1")) as home:
        home.sample(request("hello"))
        failed = await home.hear_until(SampleFailed)
        assert isinstance(failed, SampleFailed)
        assert failed.failure.kind == "connection"
        assert "http://127.0.0.1:9/v1/responses" in failed.failure.message
        assert sum(isinstance(event, SampleRetrying) for event in home.heard) == 5


async def test_a_key_that_the_provider_quotes_back_is_not_passed_on(autojump_clock: MockClock) -> None:
    async with household() as home:
        home.sample(request("fault no-model", model=f"model-{KEY}"))
        await home.hear_until(SampleFailed)
        assert "model" in str(home.heard)
        assert KEY not in str(home.heard)


def scene(status: int, body: str, content_type: str) -> tuple[Scene, ...]:
    act = Status(code=status, body=body, content_type=content_type)
    return (Scene(name="only", step=(Step(then=(act,)),)),)


async def test_a_server_that_cannot_stream_is_heard_all_the_same(autojump_clock: MockClock) -> None:
    response = """{
        "id": "resp_9", "object": "response", "status": "completed", "error": null, "model": "m",
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}],
        "usage": {"input_tokens": 1, "output_tokens": 2}
    }"""
    async with household(scenes=scene(200, response, "application/json; charset=utf-8")) as home:
        home.sample(request("hello"))
        completed = await home.hear_until(SampleCompleted, SampleFailed)
        assert isinstance(completed, SampleCompleted)
        assert (completed.response_id, completed.usage.total) == ("resp_9", 3)
        assert [type(event) for event in home.heard] == [ItemBegan, ItemFinished, SampleCompleted]


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        ("<html><body>Log in to the hotel's network</body></html>", "text/html", "web page"),
        ('{"answer": 42}', "application/json", "neither a stream nor a response nor an error"),
        ('{"answer": ', "application/json", "neither a stream nor a response nor an error"),
        ("hello", "text/plain", "no event of the Responses API"),
        ("", "text/event-stream", "without an answer"),
    ],
)
async def test_a_good_status_with_something_else_in_it_is_told_as_what_it_is(
    body: str, content_type: str, words: str, autojump_clock: MockClock
) -> None:
    async with household(scenes=scene(200, body, content_type)) as home:
        home.sample(request("hello"))
        failed = await home.hear_until(SampleFailed)
        assert isinstance(failed, SampleFailed)
        assert words in failed.failure.message


async def test_a_server_that_takes_the_request_and_says_nothing_is_a_timeout(autojump_clock: MockClock) -> None:
    def mute(_: str) -> ProviderSettings:
        return ProviderSettings(base_url="http://127.0.0.1:7/v1", request_max_retries=1, stream_idle_timeout_ms=5000)

    async with household(settings=mute) as home:
        listener = await home.world.outside.network.listen("127.0.0.1", 7)
        began = trio.current_time()
        home.sample(request("hello"))
        failed = await home.hear_until(SampleFailed)
        assert isinstance(failed, SampleFailed)
        assert failed.failure.kind == "timeout"
        retrying = home.heard[0]
        assert isinstance(retrying, SampleRetrying)
        assert trio.current_time() - began == pytest.approx(10 + retrying.delay_seconds)
        await listener.aclose()


async def test_a_request_is_one_post_and_a_redirect_is_an_answer_that_is_not_followed(
    autojump_clock: MockClock,
) -> None:
    def elsewhere(_: str) -> ProviderSettings:
        return ProviderSettings(
            base_url="http://ann:s%20cret@127.0.0.1:7/v1/", query_params={"api-version": "1 2"}, request_max_retries=1
        )

    async with household(settings=elsewhere, headers=Headers(())) as home:
        listener = await home.world.outside.network.listen("127.0.0.1", 7)
        home.sample(request("hello"))
        stream = await listener.accept()
        asked = b""
        while not asked.endswith(b"]}"):
            asked += await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:7/other\r\ncontent-length: 0\r\n\r\n")
        failed = await home.hear_until(SampleFailed)
        assert isinstance(failed, SampleFailed)
        assert not failed.failure.retryable
        head, _, body = asked.partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        assert line == "POST /v1/responses?api-version=1+2 HTTP/1.1"
        assert sorted((name.lower(), value) for name, _, value in (field.partition(": ") for field in fields)) == [
            ("accept", "text/event-stream"),
            ("accept-encoding", "identity"),
            ("authorization", "Basic YW5uOnMgY3JldA=="),
            ("connection", "keep-alive"),
            ("content-length", str(len(body))),
            ("content-type", "application/json"),
            ("host", "127.0.0.1:7"),
            ("originator", "callboard"),
            ("user-agent", "callboard"),
            ("x-client-request-id", "r1"),
        ]


async def test_a_providers_own_key_is_said_and_not_the_password_of_its_url(autojump_clock: MockClock) -> None:
    def elsewhere(_: str) -> ProviderSettings:
        return ProviderSettings(
            base_url="http://ann:s%20cret@127.0.0.1:7/v1/?tenant=t", query_params={"a": "b"}, request_max_retries=1
        )

    key = Headers((("Authorization", SecretValue("Bearer own")),))
    async with household(settings=elsewhere, headers=key) as home:
        listener = await home.world.outside.network.listen("127.0.0.1", 7)
        home.sample(request("hello"))
        stream = await listener.accept()
        asked = b""
        while not asked.endswith(b"]}"):
            asked += await stream.receive_some()
        line, *fields = asked.partition(b"\r\n\r\n")[0].decode().split("\r\n")
        assert line == "POST /v1/responses?tenant=t&a=b HTTP/1.1"
        assert [field for field in fields if field.lower().startswith("authorization")] == ["authorization: Bearer own"]
        await listener.aclose()
