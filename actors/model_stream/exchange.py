"""One attempt: a request over HTTP, and its answer heard in the rounds.

The task that runs it sleeps from the request's last byte to the answer's end. A chunk that arrives is decoded and its
text appended within the round; the task wakes for the end, and now and then to see whether anything has come. So the
idle limit costs a chunk no more than being counted.

The request goes straight to the transport. Rejected: httpx2's client around it, whose layers (merged settings, auth
flow, redirects, a cookie jar) cost five times the rest of making a request, and of which a model's API wants none: a
redirect is an answer like any other that is no success, and no cookie is kept.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from contextlib import aclosing
from functools import lru_cache
from typing import Protocol

import httpx2
import msgspec
import trio

from actors.model_stream.core import Hearing
from actors.model_stream.errors import from_http, from_stream, provider_error, readable, redact, request_id_of
from actors.model_stream.http import BODY_EXTENSION, TIMEOUTS, HttpTransport, ResponseBody
from actors.model_stream.http.body import OnData, OnEnd
from actors.model_stream.limits import limits_of
from actors.model_stream.outlet import Outlet
from actors.ports import Clock
from messages.failure import Failure

MAX_ERROR_BYTES = 64 * 1024
"""Read of an error response: its message is at the front, and a proxy's page of HTML is not worth more."""

ERROR_BODY_SECONDS = 10.0
"""For the body of an error response; without it the status alone must do."""

MAX_WHOLE_BODY_BYTES = 16 * 1024 * 1024
"""Of an answer that came as one JSON object instead of a stream: as much as one event may have."""

LOOKS = 16
"""How often in an idle limit a stream is looked at: every 19 seconds of the default 300."""

LINGER_SECONDS = 0.1
"""After the terminal event, for the body's own end: then the connection can carry the next request. Servers send both
at once; one that holds the connection open instead loses it."""


MAX_TARGETS = 64
"""Addresses kept in parsed form: one for each provider in use, and some to spare."""


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent. ``headers`` holds secrets: never log it."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    query: Mapping[str, str]
    idle_seconds: float
    where: str
    """The provider's name, for those who read a failure."""
    generation: int | None = None
    """Which life of a login the headers come from; None: a fixed key."""
    secrets: tuple[str, ...] = ()
    """Taken out of whatever the provider quotes back."""


async def attempt(
    post: Post, hearing: Hearing, outlet: Outlet, *, transport: HttpTransport, clock: Clock
) -> Failure | None:
    """Send ``post``, let ``hearing`` hear the answer and ``outlet`` pass it on. None: it completed.

    Leaving it, also by cancellation, leaves no socket of a half-read answer behind.
    """
    try:
        request = _request(post)
        with trio.move_on_after(post.idle_seconds) as waiting:
            response = await transport.handle_async_request(request)
        if waiting.cancelled_caught:
            return _idle(post, "did not begin to answer")
        try:
            return await _hear(response, post, hearing, outlet, clock)
        finally:
            await response.aclose()
    except (httpx2.RequestError, httpx2.InvalidURL) as error:
        return _unreached(post, error)


def _request(post: Post) -> httpx2.Request:
    """Raises httpx2.InvalidURL."""
    url, implied = target(post.url, tuple(post.query.items()))
    return httpx2.Request(
        "POST",
        url,
        headers={"accept-encoding": "identity", "connection": "keep-alive", **implied, **dict(post.headers)},
        content=post.body,
        extensions={"timeout": TIMEOUTS},
    )


@lru_cache(maxsize=MAX_TARGETS)
def target(url: str, query: tuple[tuple[str, str], ...]) -> tuple[httpx2.URL, Mapping[str, str]]:
    """Where a request goes, and the headers that follow from it: a name and password in the URL (RFC 9110 §4.2.4). A
    provider's own key is said instead of them. Raises httpx2.InvalidURL."""
    parsed = httpx2.URL(url).copy_merge_params(query) if query else httpx2.URL(url)
    if not parsed.userinfo:
        return parsed, {}
    userinfo = f"{parsed.username}:{parsed.password}".encode()
    return parsed, {"authorization": f"Basic {b64encode(userinfo).decode('ascii')}"}


async def _hear(
    response: httpx2.Response, post: Post, hearing: Hearing, outlet: Outlet, clock: Clock
) -> Failure | None:
    headers = {name.lower(): value for name, value in response.headers.items()}
    hearing.limits = limits_of(headers, now=clock.now())
    if not response.is_success:
        body = await _read(response, MAX_ERROR_BYTES)
        return from_http(
            response.status_code,
            headers,
            body,
            now=clock.now(),
            where=post.where,
            secrets=post.secrets,
        )
    failure = await _hear_success(response, post, hearing, outlet, clock)
    if failure is not None and failure.request_id is None:
        return msgspec.structs.replace(failure, request_id=request_id_of(headers))
    return failure


async def _hear_success(
    response: httpx2.Response, post: Post, hearing: Hearing, outlet: Outlet, clock: Clock
) -> Failure | None:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.endswith("json"):
        return _hear_whole(await _read(response, MAX_WHOLE_BODY_BYTES), post, hearing, outlet)
    if kind == "text/html":
        words = redact(readable((await _read(response, MAX_ERROR_BYTES)).decode("utf-8", "replace")), post.secrets)
        return Failure(
            kind="protocol",
            message=f"{post.where} answered with a web page; check the provider's base URL ({_place(post)})",
            detail=words or None,
        )
    body: ResponseBody = response.extensions[BODY_EXTENSION]
    return await Listening(body, post, hearing, outlet, clock).run()


def _hear_whole(body: bytes, post: Post, hearing: Hearing, outlet: Outlet) -> Failure | None:
    """One JSON object: an error under a good status, or the response of a server that does not stream."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    error = provider_error(value)
    if error is not None:
        return from_stream(error, where=post.where)
    events = hearing.take_whole(body)
    if events is None:
        return Failure(
            kind="protocol",
            message=f"{post.where} answered with JSON that is neither a stream nor a response nor an error",
            detail=redact(readable(body.decode("utf-8", "replace")), post.secrets) or None,
        )
    outlet.put(events)
    outlet.put(hearing.end())
    return hearing.failure


class Delivery(Protocol):
    """A body on its way."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def close(self) -> None: ...


class Body(Protocol):
    """What can be listened to in the rounds: an HTTP response, or one answer on a line."""

    def deliver(self, on_data: OnData, on_end: OnEnd, /) -> Delivery:
        """See `ResponseBody.deliver`."""
        ...


class Listening:
    """A streamed answer on its way through the rounds."""

    def __init__(self, body: Body, post: Post, hearing: Hearing, outlet: Outlet, clock: Clock) -> None:
        self._body = body
        self._post = post
        self._hearing = hearing
        self._outlet = outlet
        self._clock = clock
        self._watch: Delivery | None = None
        self._paused = False
        self._chunks = 0
        self._decided = trio.Event()
        """How the attempt ends is known."""
        self._ended = trio.Event()
        """The body has ended."""
        self._broken: httpx2.RequestError | None = None
        self._crash: Exception | None = None

    async def run(self) -> Failure | None:
        """Return when the answer is complete or the attempt has failed."""
        self._watch = self._body.deliver(self._on_data, self._on_end)
        self._outlet.on_free = self._resume
        try:
            if not await self._decided_in_time():
                return _idle(self._post, "sent nothing")
            if self._crash is not None:
                raise self._crash
            if self._hearing.failure is None and self._broken is None:
                with trio.move_on_after(LINGER_SECONDS):
                    await self._ended.wait()
        finally:
            self._outlet.on_free = None
            self._watch.close()
        if not self._hearing.done and self._broken is not None:
            return _broke_off(self._post, self._broken)
        return self._hearing.failure

    async def _decided_in_time(self) -> bool:
        """Wait for the end; False if nothing came for the idle limit, or for up to a `LOOKS`th longer."""
        idle = self._post.idle_seconds
        seen, seen_at = self._chunks, self._clock.monotonic()
        while not self._decided.is_set():
            with trio.move_on_after(idle / LOOKS):
                await self._decided.wait()
            if self._chunks != seen or self._paused:
                seen, seen_at = self._chunks, self._clock.monotonic()
            elif self._clock.monotonic() - seen_at >= idle:
                return False
        return True

    # --- in the rounds ----------------------------------------------------------------------------------------------

    def _on_data(self, data: bytes) -> None:
        if self._decided.is_set():
            return  # garbage after the terminal event
        self._chunks += 1
        events = self._hearing.feed(data)
        if events:
            self._outlet.put(events)
        if self._hearing.done:
            self._decided.set()
        elif not self._outlet.at_ease and self._outlet.blocked:
            assert self._watch is not None, "deliver returns before it calls"
            self._paused = True
            self._watch.pause()

    def _on_end(self, error: Exception | None) -> None:
        if isinstance(error, httpx2.RequestError):
            self._broken = error
        elif error is not None:
            self._crash = error
        if error is None and not self._decided.is_set():
            self._outlet.put(self._hearing.end())
        self._ended.set()
        self._decided.set()

    def _resume(self) -> None:
        if self._paused:
            assert self._watch is not None, "it was paused"
            self._paused = False
            self._chunks += 1  # the server is not to blame for the time in which nobody read
            self._watch.resume()


async def _read(response: httpx2.Response, limit: int) -> bytes:
    """What of a body comes in time and below the limit; not more than that matters of an error."""
    pieces: list[bytes] = []
    size = 0
    try:
        with trio.move_on_after(ERROR_BODY_SECONDS):
            async with aclosing(response.aiter_raw()) as body:
                async for piece in body:
                    pieces.append(piece)
                    size += len(piece)
                    if size >= limit:
                        break
    except httpx2.RequestError:
        pass  # the status and what there is of the body say enough
    return b"".join(pieces)[:limit]


def _idle(post: Post, what: str) -> Failure:
    return Failure(kind="timeout", message=f"{post.where} {what} for {post.idle_seconds:g} s", retryable=True)


def _broke_off(post: Post, error: httpx2.RequestError) -> Failure:
    return Failure(
        kind="stream_disconnected",
        message=f"{post.where} broke off the answer: {error}",
        retryable=True,
    )


def _place(post: Post) -> str:
    """The URL for people: without what it carries that is secret."""
    return redact(post.url, post.secrets)


def _unreached(post: Post, error: httpx2.RequestError | httpx2.InvalidURL) -> Failure:
    """The request could not be sent, or no answer began."""
    text = redact(str(error) or type(error).__name__, post.secrets)
    match error:
        case httpx2.InvalidURL() | httpx2.UnsupportedProtocol() | httpx2.LocalProtocolError():
            message = f"cannot ask {post.where} at {_place(post)}: {text}. Check the provider's base URL and headers."
            return Failure(kind="invalid_request", message=message)
        case httpx2.DecodingError():
            return Failure(kind="protocol", message=f"{post.where}: {text}")
        case httpx2.TimeoutException():
            return Failure(kind="timeout", message=f"{post.where} at {_place(post)}: {text}", retryable=True)
        case _:
            # A certificate that is not accepted will not be accepted in a second either.
            return Failure(
                kind="connection",
                message=f"cannot reach {post.where} at {_place(post)}: {text}",
                retryable="CERTIFICATE_VERIFY_FAILED" not in text,
            )
