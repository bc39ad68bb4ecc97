"""A Chat Completions stream, heard chunk by chunk. Pure: events in, `StreamEvent`s out, text straight into open texts.

Rules
1. One choice. What it says becomes at most one reasoning item, one message and as many calls as there are, in the order
   in which they began; all are finished by the end of the answer, because nothing on this wire ends any of them before.
2. Which delta belongs to which call is decided in `calls`.
3. Reasoning is what comes as ``reasoning_content``, or else as ``reasoning`` (some servers send both), or as
   ``thinking`` parts of the content. What must go back unread (``reasoning_details``, ``extra_content``) is kept.
4. ``finish_reason`` is this wire's terminal word, but usage may follow it, and so may an error. The answer is complete
   at ``[DONE]``, or when the stream ends after a finish reason. ``[DONE]`` without one is an end of unknown reason; the
   end of the stream without one is a stream that broke off.
5. An ``error`` in any chunk, or in a choice, fails the answer, whatever was said before.
6. The last usage counts, wherever it stands.
7. Text waits until the end of the batch and becomes one piece, whatever the number of deltas.

Where servers differ from OpenAI is said where it is handled. Sources: OpenAI's API reference and SDK; recordings of
OpenAI, Azure, OpenRouter, DeepSeek, xAI, Groq, Mistral, Cerebras, Perplexity, Z.ai, Alibaba, Ollama, Hugging Face,
Snowflake, GPUStack.

Rejected: finishing the reasoning item when the text begins (its signature may come later, and a model may go on
thinking); building on the official SDK's accumulator (it concatenates ids, merges parallel calls of one index, and
fails on content that is a list).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from actors.model_stream.chat import items
from actors.model_stream.chat.calls import MAX_CALLS, Calls, CallSlot, Part, add
from actors.model_stream.chat.chunks import UNREADABLE, Choice, Chunk, Delta, any_decoder, chunk_decoder
from actors.model_stream.chat.ending import stop_reason, token_usage
from actors.model_stream.errors import ProviderError, from_stream, provider_error, readable
from actors.model_stream.rendering import unwrapped
from actors.model_stream.responses.mend import mended
from actors.model_stream.sse import SseEvent
from actors.session.open_text import OpenText, TextTable
from messages.base import CallId
from messages.failure import Failure
from messages.items import HistoryItem, Origin
from messages.model import ItemBegan, ItemFinished, SampleCompleted, StreamEvent, TextBegan, TextChannel

MAX_UNREADABLE_EVENTS = 32
"""Events that are no JSON objects, before the stream is given up: a proxy may garble one, a protocol garbles none."""

MAX_REASONING_DETAILS = 65_536
"""Fragments kept for replay; the longest recorded reasoning has some hundred."""

_DONE = b"[DONE]"


class _Words:
    """The reasoning or the message: an item that is made of texts."""

    __slots__ = ("slot", "texts")

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.texts: dict[TextChannel, OpenText] = {}

    def text(self, channel: TextChannel) -> str:
        found = self.texts.get(channel)
        return found.text() if found is not None else ""


class ChatDecoder:
    """One attempt's stream.

    ``first_slot`` and ``first_text_slot`` continue the numbers of earlier attempts of the same request, so that slots
    never repeat. ``where`` names the provider in failures. ``freeform`` are the freeform tools: a server without such a
    thing was offered functions of one string in their place, and their calls are unwrapped here.
    """

    def __init__(
        self,
        request_id: str,
        origin: Origin,
        texts: TextTable,
        *,
        first_slot: int = 0,
        first_text_slot: int = 0,
        where: str = "the model",
        freeform: frozenset[str] = frozenset(),
    ) -> None:
        self.next_slot = first_slot
        self.next_text_slot = first_text_slot
        self.done = False
        """Complete: either `SampleCompleted` was among the events, or `failure` says why not."""
        self.failure: Failure | None = None
        self.recognised = False
        """Whether anything so far was of this protocol."""
        self.unreadable = 0
        self.finish_reason: str | None = None
        self.native_finish_reason: str | None = None
        """What a gateway says of its upstream's word."""
        self.saw_done = False
        self.wire_error: Any = None
        """The error as the server put it."""
        self.usage: Any = None
        """As the server counted, the last it sent."""
        self._request_id = request_id
        self._origin = origin
        self._texts = texts
        self._where = where
        self._freeform = freeform
        self._response_id: str | None = None
        self._model: str | None = None
        self._reasoning: _Words | None = None
        self._reasoning_field: str | None = None
        self.reasoning_details: list[Any] = []
        self._message: _Words | None = None
        self._annotations: list[Any] = []
        self._extra_content: Any = None
        self.calls = Calls()
        self._streamed = False
        """A delta has come: what repeats all so far is no longer looked at."""
        self._out: list[StreamEvent] = []
        self._channel: TextChannel | None = None
        self._text: OpenText | None = None
        """Where the last delta's text went."""
        self._pieces: list[str] = []
        """Deltas of this batch for `_text`, not yet in it."""

    def take(self, events: Iterable[SseEvent]) -> list[StreamEvent]:
        """Hear a batch of events; what they mean, in order. Text has been appended when this returns."""
        decode = chunk_decoder.decode
        for event in events:
            try:
                chunk = decode(event.data)
            except UNREADABLE:
                self._take_odd(event)
            else:
                choices = chunk.choices
                if choices:
                    self.recognised = True
                    if chunk.error is not None:
                        self._take_error(chunk.error)
                    if chunk.usage is not None:
                        self.usage = chunk.usage
                    if self._response_id is None:
                        self._note(chunk)
                    for choice in choices:
                        if not choice.index:
                            self._take_choice(choice)
                else:
                    self._take_rest(chunk, event)
                if chunk.x_groq is not None:
                    self._take_groq(chunk.x_groq)
            if self.done:
                break
        if self._pieces:
            self._settle()
        out = self._out
        if not out:
            return []
        self._out = []
        return out

    def take_whole(self, body: bytes) -> list[StreamEvent] | None:
        """Hear a response that came as one JSON object. None: it is none."""
        try:
            chunk = chunk_decoder.decode(body)
        except UNREADABLE:
            return None
        if not chunk.choices or all(choice.message is None for choice in chunk.choices):
            return None
        return self.take((SseEvent(None, body), SseEvent(None, _DONE)))

    def end(self) -> None:
        """The stream ended: complete only if the model had said why it stopped. `take` then tells the rest."""
        if self.done:
            return
        if self.finish_reason is not None:
            self._complete()
        elif self.recognised:
            garbled = f" ({self.unreadable} events could not be read)" if self.unreadable else ""
            self._fail(
                Failure(
                    kind="stream_disconnected",
                    message=f"{self._where} closed the stream before the response was complete{garbled}",
                    retryable=True,
                )
            )
        else:
            self._fail(_not_the_protocol(self._where, "its answer holds no chunk of the Chat Completions API"))

    # --- one chunk --------------------------------------------------------------------------------------------------

    def _take_choice(self, choice: Choice) -> None:
        delta = choice.delta
        if delta is None and not self._streamed:
            delta = choice.message
        if delta is not None:
            self._take_delta(delta)
        if choice.delta is not None:
            self._streamed = True
        if choice.finish_reason is not None and isinstance(choice.finish_reason, str):
            self.finish_reason = choice.finish_reason
        if isinstance(choice.native_finish_reason, str):
            self.native_finish_reason = choice.native_finish_reason
        if choice.error:
            self._take_error(choice.error)

    def _take_delta(self, delta: Delta) -> None:
        reasoning = delta.reasoning_content
        if reasoning:
            self._reason(reasoning, "reasoning_content")
        elif delta.reasoning:
            self._reason(delta.reasoning, "reasoning")
        if delta.reasoning_details:
            self._keep_details(delta.reasoning_details)
        content = delta.content
        if content:
            if content.__class__ is str:
                self._say("text", content)
            else:
                self._take_parts(content)
        if delta.refusal and isinstance(delta.refusal, str):
            self._say("refusal", delta.refusal)
        if delta.tool_calls:
            self._take_calls(delta.tool_calls)
        if delta.function_call:
            self._take_calls([{"index": 0, "function": delta.function_call}])
        if delta.extra_content is not None:
            self._extra_content = delta.extra_content
        if delta.annotations and isinstance(delta.annotations, list):
            self._annotations += delta.annotations

    def _reason(self, text: object, field: str) -> None:
        if isinstance(text, str):
            if self._reasoning_field is None:
                self._reasoning_field = field
            self._say("reasoning", text)

    def _keep_details(self, details: object) -> None:
        if isinstance(details, list) and len(self.reasoning_details) < MAX_REASONING_DETAILS:
            self._begin_reasoning()
            self.reasoning_details += details

    def _take_parts(self, content: object) -> None:
        """Content as a list of parts (Mistral): text, and thinking that is a list of texts itself."""
        for part in content if isinstance(content, list) else ():
            if isinstance(part, str):
                self._say("text", part)
            elif isinstance(part, dict):
                thinking = part.get("thinking")
                if part.get("type") == "thinking" or thinking is not None:
                    for text in _texts(thinking):
                        self._reason(text, "thinking")
                else:
                    for text in _texts(part.get("text")):
                        self._say("text", text)

    def _take_calls(self, deltas: object) -> None:
        for delta in deltas if isinstance(deltas, list) else [deltas]:
            if not isinstance(delta, dict):
                continue
            part = Part(delta)
            call = self.calls.find(part)
            if call is None:
                if part.index is None and not part.begins and not part.arguments:
                    # Gemini: a signature that comes alone belongs to the message.
                    if part.extra_content is not None:
                        self._extra_content = part.extra_content
                    continue
                call = self._begin_call(part)
                if self.done:
                    return
            add(call, part)

    def _begin_call(self, part: Part) -> CallSlot:
        slot = self._next_slot()
        call = self.calls.begin(part, slot)
        if len(self.calls.slots) > MAX_CALLS:
            self._fail(_not_the_protocol(self._where, f"its answer has more than {MAX_CALLS} calls"))
            return call
        self._out.append(
            ItemBegan(
                request_id=self._request_id,
                slot=slot,
                kind="custom_tool_call" if part.custom or part.name in self._freeform else "function_call",
                call_id=CallId(part.id) if part.id else None,
                name=part.name or None,
            )
        )
        return call

    def _take_rest(self, chunk: Chunk, event: SseEvent) -> None:
        """A chunk without choices: usage, Azure's filter results, an error, or something unknown."""
        if chunk.error:
            self._take_error(chunk.error)
        elif event.event == "error" or chunk.object == "error" or b'"detail"' in event.data:
            self._take_flat_error(event)
        if chunk.choices is not None or chunk.usage is not None or _is_chunk(chunk):
            self.recognised = True
        if chunk.usage is not None:
            self.usage = chunk.usage

    def _take_groq(self, extension: object) -> None:
        """Groq puts usage, and errors of a stream, under a name of its own."""
        if isinstance(extension, dict):
            if self.usage is None and isinstance(extension.get("usage"), dict):
                self.usage = extension["usage"]
            if extension.get("error"):
                self._take_error(extension["error"])

    def _take_odd(self, event: SseEvent) -> None:
        """An event that could not be read as it stands."""
        data = event.data.strip()
        if data == _DONE:
            self.saw_done = True
            self._settle()
            if self.recognised:
                self._complete()
            return
        if not data:
            return
        better = mended(data)
        if better is not data:
            try:
                chunk_decoder.decode(better)
            except UNREADABLE:
                pass
            else:
                self.take_again(SseEvent(event.event, better))
                return
        if event.event == "error":
            self._fail(from_stream(ProviderError(message=readable(better.decode())), where=self._where))
            return
        try:
            value = any_decoder.decode(better)
        except UNREADABLE:
            value = None
        error = provider_error(value) if isinstance(value, dict) and "error" in value else None
        if isinstance(value, dict) and error is not None:
            self._take_error(value["error"])
        else:
            self._skip()

    def take_again(self, event: SseEvent) -> None:
        """Hear a mended event; what it means joins what is told of this batch."""
        before = self._out
        self._out = []
        told = self.take((event,))
        self._out = before + told

    def _take_flat_error(self, event: SseEvent) -> None:
        """An error that is the whole event: vLLM's ``{"object": "error"}``, FastAPI's ``detail``."""
        try:
            value = any_decoder.decode(event.data)
        except UNREADABLE:
            return
        if isinstance(value, dict) and ("object" not in value or value["object"] == "error"):
            error = provider_error(value)
            if error is not None:
                self._settle()
                self.wire_error = value
                self._fail(from_stream(error, where=self._where, request_id=self._response_id))

    def _take_error(self, error: object) -> None:
        found = provider_error({"error": error})
        if found is None and not error:
            return
        self._settle()
        if self.wire_error is None:
            self.wire_error = error
        self._fail(from_stream(found or ProviderError(), where=self._where, request_id=self._response_id))

    def _note(self, chunk: Chunk) -> None:
        if isinstance(chunk.id, str) and chunk.id:
            self._response_id = chunk.id
        if isinstance(chunk.model, str) and chunk.model:
            self._model = chunk.model

    def _skip(self) -> None:
        self.unreadable += 1
        if self.unreadable >= MAX_UNREADABLE_EVENTS:
            self._fail(_not_the_protocol(self._where, f"{self.unreadable} of its events could not be read"))

    # --- text -------------------------------------------------------------------------------------------------------

    def _say(self, channel: TextChannel, piece: str) -> None:
        if channel is not self._channel:
            self._settle()
            self._text = self._text_of(channel)
            self._channel = channel
        self._pieces.append(piece)

    def _settle(self) -> None:
        """Put the deltas of this batch into their text."""
        pieces = self._pieces
        if pieces:
            assert self._text is not None, "pieces are only kept for a text"
            self._text.append(pieces[0] if len(pieces) == 1 else "".join(pieces))
            pieces.clear()

    def _text_of(self, channel: TextChannel) -> OpenText:
        item = self._begin_reasoning() if channel == "reasoning" else self._begin_message()
        text = item.texts.get(channel)
        if text is None:
            text = item.texts[channel] = OpenText(channel)
            slot = self.next_text_slot
            self.next_text_slot = slot + 1
            self._texts.open(slot, text)
            self._out.append(TextBegan(request_id=self._request_id, slot=item.slot, text_slot=slot, channel=channel))
        return text

    def _begin_reasoning(self) -> _Words:
        if self._reasoning is None:
            self._reasoning = _Words(self._next_slot())
            self._out.append(ItemBegan(request_id=self._request_id, slot=self._reasoning.slot, kind="reasoning"))
        return self._reasoning

    def _begin_message(self) -> _Words:
        if self._message is None:
            self._message = _Words(self._next_slot())
            self._out.append(ItemBegan(request_id=self._request_id, slot=self._message.slot, kind="message"))
        return self._message

    def _next_slot(self) -> int:
        slot = self.next_slot
        self.next_slot = slot + 1
        return slot

    # --- the end ----------------------------------------------------------------------------------------------------

    def _complete(self) -> None:
        if self.done:
            return
        if self.finish_reason == "error":
            self._fail(from_stream(ProviderError(), where=self._where, request_id=self._response_id))
            return
        self.done = True
        for slot, item in sorted(self._finished(), key=lambda each: each[0]):
            self._out.append(ItemFinished(request_id=self._request_id, slot=slot, item=item))
        refused = self._message is not None and bool(self._message.text("refusal"))
        self._out.append(
            SampleCompleted(
                request_id=self._request_id,
                response_id=self._response_id,
                stop=stop_reason(self.finish_reason, calls=bool(self.calls.slots), refused=refused),
                usage=token_usage(self.usage),
                model=self._model,
                wire_stop=self.finish_reason,
                wire_usage=None if self.usage is None else msgspec.json.encode(self.usage),
            )
        )

    def _finished(self) -> Iterable[tuple[int, HistoryItem]]:
        origin = self._origin
        reasoning, message = self._reasoning, self._message
        if reasoning is not None:
            block = {items.FIELD: self._reasoning_field, items.REASONING_DETAILS: self.reasoning_details or None}
            yield reasoning.slot, items.reasoning(reasoning.text("reasoning"), block, origin)
        if message is not None:
            text, refusal = message.text("text"), message.text("refusal")
            block = {items.EXTRA_CONTENT: self._extra_content}
            yield message.slot, items.message(text, refusal, self._annotations, block, origin)
        taken: set[str] = set()
        for number, call in enumerate(self.calls.slots):
            call_id = call.id
            if not call_id or call_id in taken:
                call_id = f"call_{self._request_id}_{number}"
            taken.add(call_id)
            block = {items.EXTRA_CONTENT: call.extra_content}
            if message is None and number == 0:
                block[items.MESSAGE_EXTRA_CONTENT] = self._extra_content
            text = call.text()
            if call.custom or call.name in self._freeform:
                text = text if call.custom else unwrapped(text)
                yield call.slot, items.custom_call(call_id, call.name, text, block, origin)
            else:
                yield call.slot, items.function_call(call_id, call.name, text, block, origin)

    def _fail(self, failure: Failure) -> None:
        """The first failure counts."""
        if not self.done:
            self.done = True
            self.failure = failure


def _texts(value: object) -> list[str]:
    """A string, or the texts of a list of parts."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        return []
    return [
        text
        for part in value
        if (text := part if isinstance(part, str) else part.get("text") if isinstance(part, dict) else None)
        and isinstance(text, str)
    ]


def _is_chunk(chunk: Chunk) -> bool:
    return isinstance(chunk.object, str) and chunk.object.startswith("chat.completion")


def _not_the_protocol(where: str, why: str) -> Failure:
    return Failure(
        kind="protocol",
        message=(
            f"{where} does not speak the Chat Completions API here: {why}. Check the provider's base URL and wire_api."
        ),
    )
