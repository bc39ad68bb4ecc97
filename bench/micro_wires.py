"""Claim: on each of the three wires an event costs less from its bytes to text that clients can be shown than in the
provider's own SDK from bytes to its accumulated answer, several times less.

Ours is `Hearing.feed` whole: server-sent events, JSON, items told apart, text appended, structure told. The SDK's is
what its stream helper does with each event behind its HTTP client: JSON, the event as its own class, the accumulator's
snapshot. The SDK is given each event's JSON text without the framing, so the comparison leaves out its SSE decoder.

The streams are of our own making (`bench.streams` and below), shaped like the providers', a call and reasoning among
them; with the reference material present, recorded ones are measured as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from anthropic.lib.streaming._beta_messages import accumulate_event
from openai import omit
from openai._models import construct_type_unchecked
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent

from actors.model_stream.core import WIRES, Hearing
from actors.model_stream.sse import SseDecoder
from actors.session.open_text import TextTable
from bench import streams
from bench.harness import Case, Suite, timed
from messages.items import Origin
from messages.settings import WireApi
from tests.reference import reference_root

DELTAS = 300
READ_BYTES = 1460
"""One segment of a network: a handful of events for each read, as a fast model sends."""

FLOOD_BYTES = 65536

RECORDED: dict[WireApi, str] = {
    "responses": "responses/ruby-llm-chat-responses-protocol-dialects-with-azure-gpt-5-nano-streams-responses.sse",
    "chat": "chat/ai-deepseek-reasoning.sse",
    "messages": "anthropic/ai-anthropic-web-search-tool-1.sse",
}

Sdk = Callable[[Sequence[bytes]], object]


def suites() -> tuple[Suite, ...]:
    """One for each wire, and one for each recorded stream there is."""
    made = {"responses": responses_stream(), "chat": chat_stream(), "messages": messages_stream()}
    found = [_suite(f"wire_{wire}", "of our own making", wire, stream) for wire, stream in made.items()]  # type: ignore[arg-type]  # the keys are wires
    root = reference_root()
    for wire, name in RECORDED.items():
        path = None if root is None else Path(root) / "wire" / "corpus" / "dev" / name
        if path is not None and path.exists():
            found.append(_suite(f"wire_{wire}_recorded", f"recorded: {path.stem}", wire, path.read_bytes()))
    return tuple(found)


def _suite(name: str, what: str, wire: WireApi, stream: bytes) -> Suite:
    events = [event.data for event in SseDecoder().feed(stream) if event.data != b"[DONE]"]
    return Suite(
        name=name,
        claim=f"bytes to merged deltas, {what}",
        unit="event",
        cases=(
            Case(name=f"official SDK ({SDK_OF[wire]})", run=_whole(lambda: SDKS[wire](events), len(events))),
            Case(name="Hearing, per read", run=_whole(lambda: _ours(wire, stream, READ_BYTES), len(events))),
            Case(name="Hearing, in floods", run=_whole(lambda: _ours(wire, stream, FLOOD_BYTES), len(events))),
        ),
    )


def _whole(work: Callable[[], object], events: int) -> Callable[[int], float]:
    """Answers are heard whole; the seconds are those of as many events as were asked for."""

    def run(units: int) -> float:
        answers = max(1, round(units / events))
        seconds = timed(lambda count: [work() for _ in range(count)])(answers)
        return seconds * units / (answers * events)

    return run


def _ours(wire: WireApi, stream: bytes, size: int) -> None:
    origin = Origin(provider="bench", model="some-model", wire=wire)
    hearing = Hearing(WIRES[wire].decoder("r1", origin, TextTable(), where="bench"), "bench")
    for read in streams.pieces(stream, size):
        hearing.feed(read)
    hearing.end()
    assert hearing.failure is None, hearing.failure


# --- the SDKs -------------------------------------------------------------------------------------------------------


def _responses_sdk(events: Iterable[bytes]) -> object:
    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    kind: Any = ResponseStreamEvent
    for data in events:
        state.handle_event(construct_type_unchecked(type_=kind, value=json.loads(data)))
    return state


def _chat_sdk(events: Iterable[bytes]) -> object:
    state: Any = ChatCompletionStreamState()
    for data in events:
        for _ in state.handle_chunk(construct_type_unchecked(type_=ChatCompletionChunk, value=json.loads(data))):
            pass
    return state


def _messages_sdk(events: Iterable[bytes]) -> object:
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    headers = httpx2.Headers()
    for data in events:
        event: Any = json.loads(data)
        if event["type"] != "ping":
            snapshot = accumulate_event(
                event=event, current_snapshot=snapshot, json_bufs=buffers, request_headers=headers
            )
    return snapshot


SDKS: dict[WireApi, Sdk] = {"responses": _responses_sdk, "chat": _chat_sdk, "messages": _messages_sdk}
SDK_OF: dict[WireApi, str] = {"responses": "openai", "chat": "openai", "messages": "anthropic"}


# --- streams of our own making --------------------------------------------------------------------------------------


def _words(count: int) -> list[str]:
    return [streams.WORDS[number % len(streams.WORDS)] for number in range(count)]


def responses_stream() -> bytes:
    """A message and a call."""
    text = "".join(_words(DELTAS))
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    item = {"id": streams.ITEM_ID, "type": "message", "status": "completed", "content": [part], "role": "assistant"}
    call = {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1", "name": "look"}
    pieces = ['{"path":', '"a.py"', "}"]
    whole = {**call, "arguments": "".join(pieces)}
    last = {**streams.RESPONSE, "status": "completed", "output": [item, whole], "usage": None}
    at = DELTAS + 4
    return b"".join(
        (
            streams.opening(),
            *streams.deltas(DELTAS),
            streams.event("response.output_item.done", at, output_index=0, item=item),
            streams.event("response.output_item.added", at + 1, output_index=1, item={**call, "arguments": ""}),
            *(
                streams.event("response.function_call_arguments.delta", at + 2, output_index=1, item_id="f", delta=each)
                for each in pieces
            ),
            streams.event("response.output_item.done", at + 3, output_index=1, item=whole),
            streams.event("response.completed", at + 4, response=last),
        )
    )


def _data(value: object) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(value)


def chat_stream() -> bytes:
    """Words, a call in pieces, usage behind the finish."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "some-model"}

    def chunk(delta: object, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _data({**head, "service_tier": "default", "system_fingerprint": "fp_1", "choices": [choice]})

    begun = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}}
    pieces = [{"index": 0, "function": {"arguments": each}} for each in ('{"path":', '"a.py"', "}")]
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    return b"".join(
        (
            chunk({"role": "assistant", "content": "", "refusal": None}),
            *(chunk({"content": word}) for word in _words(DELTAS)),
            *(chunk({"tool_calls": [each]}) for each in (begun, *pieces)),
            chunk({}, "tool_calls"),
            _data({**head, "choices": [], "usage": usage}),
            b"data: [DONE]\n\n",
        )
    )


def messages_stream() -> bytes:
    """Thinking, words, and a call in pieces."""
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "some-model",
        "content": [],
    }
    message |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message}]

    def block(index: int, begun: dict[str, Any], deltas: Iterable[dict[str, Any]]) -> None:
        events.append({"type": "content_block_start", "index": index, "content_block": begun})
        events.extend({"type": "content_block_delta", "index": index, "delta": each} for each in deltas)
        events.append({"type": "content_block_stop", "index": index})

    thought = [{"type": "thinking_delta", "thinking": word} for word in _words(DELTAS // 3)]
    block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        [*thought, {"type": "signature_delta", "signature": "c2ln"}],
    )
    block(1, {"type": "text", "text": ""}, [{"type": "text_delta", "text": word} for word in _words(DELTAS)])
    block(
        2,
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
        [{"type": "input_json_delta", "partial_json": each} for each in ("", '{"path":', '"a.py"', "}")],
    )
    end = {"stop_reason": "tool_use", "stop_sequence": None, "stop_details": None, "container": None}
    events += [{"type": "message_delta", "delta": end, "usage": {"output_tokens": 99}}, {"type": "message_stop"}]
    return b"".join(b"event: %b\n%b" % (each["type"].encode(), _data(each)) for each in events)
