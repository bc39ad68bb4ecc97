"""What a model request decides, without doing any of it: hear an answer, judge how it ended, try again or not.

`Sampling` is one request through all its attempts; `Hearing` one attempt's body, from bytes to `StreamEvent`s. Neither
waits, opens or sends anything: the actor gives them bytes and asks them what follows.

Slots go on counting through the attempts, so what a failed attempt began can never be mistaken for what the next one
says. A wire is code that satisfies `Decoder`; adding one is adding a line in `WIRES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec

from actors.model_stream import retry
from actors.model_stream.anthropic.decode import MessagesDecoder
from actors.model_stream.anthropic.recital import Recital as MessagesRecital
from actors.model_stream.anthropic.request import body as messages_body
from actors.model_stream.anthropic.request import headers as messages_headers
from actors.model_stream.anthropic.request import prefix as messages_prefix
from actors.model_stream.chat.decode import ChatDecoder
from actors.model_stream.chat.recital import Recital as ChatRecital
from actors.model_stream.chat.request import PATH as CHAT_PATH
from actors.model_stream.chat.request import body as chat_body
from actors.model_stream.errors import from_stream, provider_error
from actors.model_stream.memory import Memory
from actors.model_stream.profiles import takes_freeform
from actors.model_stream.rendering import freeform_names
from actors.model_stream.responses.decode import ResponsesDecoder
from actors.model_stream.responses.recital import Recital
from actors.model_stream.responses.request import Parts, joined
from actors.model_stream.responses.request import parts as responses_parts
from actors.model_stream.sse import SseDecoder, SseEvent, SseEventTooLargeError
from actors.session.open_text import TextTable
from messages.failure import Failure
from messages.items import Origin
from messages.model import RateLimits, SampleCompleted, SampleFailed, SampleRequest, SampleRetrying, StreamEvent
from messages.settings import ProviderSettings, WireApi

ERROR_HEAD_BYTES = 64 * 1024
"""Kept of an answer in which no event was recognised: a JSON error that calls itself an event stream is found there."""


class Decoder(Protocol):
    """One wire's ear, for one attempt. Sans-IO."""

    next_slot: int
    next_text_slot: int
    done: bool
    """A terminal event was heard; nothing after it matters."""
    failure: Failure | None
    """Set, when done without success."""
    recognised: bool

    def take(self, events: Iterable[SseEvent]) -> list[StreamEvent]:
        """What the events mean, in order; their text has been put into the open texts."""
        ...

    def take_whole(self, body: bytes) -> list[StreamEvent] | None:
        """Hear an answer that came as one JSON object, by the same rules. None: it is no response of this wire."""
        ...

    def end(self) -> None:
        """The stream ended; without a terminal event before, that is a failure. `take` then tells what is left."""
        ...


def _no_headers(_request: SampleRequest, _provider: ProviderSettings) -> Mapping[str, str]:
    return {}


def _no_prefix(_request: SampleRequest) -> str | None:
    return None


class Body(Protocol):
    """Makes a request's body. With the memory of what the thread has been sent before, only what is new is looked at;
    the bytes are the same."""

    def __call__(self, request: SampleRequest, provider: ProviderSettings, memory: Memory | None = None, /) -> bytes:
        """The whole body as JSON."""
        ...


class Wire(msgspec.Struct, frozen=True, kw_only=True):
    """How one wire API is spoken."""

    path: str
    """Below the provider's base URL."""
    body: Body
    """Raises `rendering.UnsupportedError` when the request asks for what the wire has no word for."""
    decoder: Callable[..., Decoder]
    """Called with ``request_id, origin, texts`` and, by name, ``first_slot``, ``first_text_slot``, ``where`` and
    ``freeform``: the names of the freeform tools that were offered, which some wires must wrap and unwrap."""
    headers: Callable[[SampleRequest, ProviderSettings], Mapping[str, str]] = _no_headers
    """What this wire wants beside the usual headers, in lower case."""
    prefix: Callable[[SampleRequest], str | None] = _no_prefix
    """See `Origin.prefix`."""
    parts: Callable[[SampleRequest, ProviderSettings, Memory], Parts] | None = None
    """What a body is made of, for a wire that can be spoken over a line."""


def _responses_body(request: SampleRequest, provider: ProviderSettings, memory: Memory | None = None) -> bytes:
    return joined(_responses_parts(request, provider, memory or Memory()))


def _responses_parts(request: SampleRequest, provider: ProviderSettings, memory: Memory) -> Parts:
    return responses_parts(request, memory.of(Recital), freeform=takes_freeform(request.provider, provider))


def _chat_body(request: SampleRequest, provider: ProviderSettings, memory: Memory | None = None) -> bytes:
    return chat_body(request, provider, None if memory is None else memory.of(ChatRecital))


def _messages_body(request: SampleRequest, provider: ProviderSettings, memory: Memory | None = None) -> bytes:
    return messages_body(request, provider, None if memory is None else memory.of(MessagesRecital))


WIRES: dict[WireApi, Wire] = {
    "messages": Wire(
        path="/messages", body=_messages_body, decoder=MessagesDecoder, headers=messages_headers, prefix=messages_prefix
    ),
    "responses": Wire(
        path="/responses",
        body=_responses_body,
        decoder=ResponsesDecoder,
        parts=_responses_parts,
    ),
    "chat": Wire(path=CHAT_PATH, body=_chat_body, decoder=ChatDecoder),
}


class Hearing:
    """One attempt's body."""

    def __init__(self, decoder: Decoder, where: str) -> None:
        self._decoder = decoder
        self._sse = SseDecoder()
        self._where = where
        self._head = bytearray()
        self._failure: Failure | None = None
        self.kept: list[StreamEvent] | None = None
        """A list here gets everything that is told."""
        self.limits: RateLimits | None = None
        """What the answer's headers said; it goes on with the response's end."""

    @property
    def done(self) -> bool:
        """Nothing that could still come matters."""
        return self._decoder.done or self._failure is not None

    @property
    def failure(self) -> Failure | None:
        """Why the attempt failed; None while it goes on and when it succeeded."""
        return self._failure or self._decoder.failure

    @property
    def began(self) -> bool:
        """Whether anything of the protocol has been heard."""
        return self._decoder.recognised or self.done

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Hear some bytes, cut anywhere."""
        decoder = self._decoder
        if not decoder.recognised:
            self._head += data[: ERROR_HEAD_BYTES - len(self._head)]
        try:
            events = self._with_limits(decoder.take(self._sse.feed(data)))
        except SseEventTooLargeError as error:
            self._failure = Failure(kind="protocol", message=f"{self._where}: {error}")
            return []
        if events and self.kept is not None:
            self.kept += events
        return events

    def take_whole(self, body: bytes) -> list[StreamEvent] | None:
        """Hear an answer that was no stream but one JSON object. None: it is no response of the wire."""
        events = self._decoder.take_whole(body)
        return None if events is None else self._with_limits(events)

    def end(self) -> list[StreamEvent]:
        """The body ended. An event that lacks only its final blank line is still heard."""
        if self.done:
            return []
        events = self._with_limits(self._decoder.take(self._sse.finish()))
        if not self._decoder.done and not self._decoder.recognised:
            self._failure = self._json_error()
        if self._failure is None:
            self._decoder.end()
            events += self._decoder.take(())
        return events

    def _with_limits(self, events: list[StreamEvent]) -> list[StreamEvent]:
        if self.limits is not None and events and isinstance(events[-1], SampleCompleted):
            events[-1] = msgspec.structs.replace(events[-1], limits=self.limits)
        return events

    def _json_error(self) -> Failure | None:
        """The error in a body that is one JSON object instead of a stream."""
        if not self._head:
            return Failure(
                kind="stream_disconnected",
                message=f"{self._where} accepted the request and closed the connection without an answer",
                retryable=True,
            )
        try:
            error = provider_error(msgspec.json.decode(self._head))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return None if error is None else from_stream(error, where=self._where)


class Sampling:
    """One request through its attempts."""

    def __init__(
        self, request: SampleRequest, wire: WireApi, texts: TextTable, *, where: str, attempts: int = retry.ATTEMPTS
    ) -> None:
        self._request = request
        self._wire = WIRES[wire]
        self._origin = Origin(
            provider=request.provider, model=request.model, wire=wire, prefix=self._wire.prefix(request)
        )
        self._texts = texts
        self._where = where
        self._attempts = attempts
        self._decoder: Decoder | None = None
        self._hearing: Hearing | None = None
        self.failed_attempts = 0

    def next_attempt(self) -> Hearing:
        """Ears for another attempt."""
        before = self._decoder
        self._decoder = self._wire.decoder(
            self._request.request_id,
            self._origin,
            self._texts,
            first_slot=before.next_slot if before else 0,
            first_text_slot=before.next_text_slot if before else 0,
            where=self._where,
            freeform=freeform_names(self._request.tools),
        )
        self._hearing = Hearing(self._decoder, self._where)
        return self._hearing

    def after_failure(self, failure: Failure, random: float) -> SampleRetrying | SampleFailed:
        """What follows a failed attempt. ``random`` is uniform in [0, 1)."""
        self.failed_attempts += 1
        delay = retry.delay_before_retry(
            failure, failed_attempts=self.failed_attempts, attempts=self._attempts, random=random
        )
        if delay is None:
            limits = None if self._hearing is None else self._hearing.limits
            return SampleFailed(request_id=self._request.request_id, failure=failure, limits=limits)
        return SampleRetrying(
            request_id=self._request.request_id,
            attempt=self.failed_attempts,
            attempts=self._attempts,
            delay_seconds=delay,
            failure=failure,
        )
