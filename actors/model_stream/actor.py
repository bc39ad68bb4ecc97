"""One model request: ask, hear, and ask again when that makes sense. A temporary child of its session.

It reports `StreamEvent`s to its session and nothing else: structure as messages, text by appending to the open texts.
Unless it is cancelled, exactly one `SampleCompleted` or `SampleFailed` is its last word. Cancelling it closes the
socket to the provider at once; nothing it began goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import trio

from actors.kernel import Address, Context
from actors.model_stream.core import WIRES, Sampling
from actors.model_stream.errors import without_secrets
from actors.model_stream.models import Models
from actors.model_stream.outlet import Outlet
from actors.model_stream.profiles import speaks_websocket
from actors.model_stream.providers import endpoint
from actors.model_stream.rendering import UnsupportedError
from actors.model_stream.responses.request import Parts, joined
from actors.model_stream.retry import ASKED_OTHERWISE
from actors.model_stream.unsaid import unsaid
from actors.session.open_text import TextTable
from messages.credentials import GetHeaders, Headers
from messages.failure import Failure
from messages.model import SampleFailed, SampleRequest, StreamEvent
from messages.settings import ProviderSettings

if TYPE_CHECKING:
    from actors.model_stream.exchange import Post

CLIENT_NAME = "callboard"
"""How we introduce ourselves to providers, in `user-agent` and `originator`."""


async def run(
    ctx: Context,
    request: SampleRequest,
    texts: TextTable,
    report: Address[StreamEvent],
    models: Models,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Sample ``request``; texts go to ``texts``, everything else to ``report``."""
    task_status.started()
    outlet = Outlet(report, texts, models.undelivered_limit)
    provider = models.of_turn(request.turn_id).get(request.provider)
    if provider is None:
        await outlet.send(SampleFailed(request_id=request.request_id, failure=_unknown_provider(request, models)))
        return
    where = provider.name or request.provider
    sampling = Sampling(
        request, provider.wire_api, texts, where=where, attempts=1 + max(0, provider.request_max_retries)
    )
    made: Parts | None = None
    try:
        wire = WIRES[provider.wire_api]
        if wire.parts is not None and speaks_websocket(provider):
            made = wire.parts(request, provider, models.memory(report))
            body = b""
        else:
            body = wire.body(request, provider, models.memory(report))
    except UnsupportedError as error:
        unsaid = Failure(kind="invalid_request", message=f"{where} was not asked: {error}")
        await outlet.send(SampleFailed(request_id=request.request_id, failure=unsaid))
        return
    while True:
        ctx.state = "sampling"
        attempt = Attempt(
            request=request, provider=provider, where=where, sampling=sampling, outlet=outlet, models=models
        )
        failure = await (attempt.by_http(body) if made is None else attempt.by_line(made, report))
        if failure is None:
            await outlet.drain()
            return
        if made is not None and failure.kind in ASKED_OTHERWISE:
            # The line may be to blame: what is left of the attempts goes the ordinary way, with everything said anew.
            body, made = joined(made), None
            failure = msgspec.structs.replace(failure, retryable=True)
        verdict = sampling.after_failure(failure, models.ports.entropy.random.random())
        await outlet.send(verdict)
        if isinstance(verdict, SampleFailed):
            return
        ctx.state = "waiting to retry"
        await trio.sleep(verdict.delay_seconds)


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try of a request. With the HTTP client it takes 100 ms to import; a daemon that has been up for a while has
    done so (`Models.warm`)."""

    request: SampleRequest
    provider: ProviderSettings
    where: str
    sampling: Sampling
    outlet: Outlet
    models: Models

    async def by_http(self, body: bytes) -> Failure | None:
        """A request of its own, answered by server-sent events. None: it completed."""
        from actors.model_stream.exchange import attempt

        post = await self._post(body)
        if isinstance(post, Failure):
            return post
        models = self.models
        for last in (False, True):
            hearing = self.sampling.next_attempt()
            failure = _without_secrets(
                await attempt(post, hearing, self.outlet, transport=models.transport, clock=models.ports.clock), post
            )
            if last or failure is None or failure.kind != "unauthorized" or post.generation is None:
                return failure
            # The login's token may have ended before its time: once, with another.
            again = await self._post(body, rejected=post.generation)
            if isinstance(again, Failure):
                return again
            post = again
        raise AssertionError("the second attempt is the last")

    async def by_line(self, made: Parts, session: Address[StreamEvent]) -> Failure | None:
        """Over the session's line, or by HTTP where there is none to be had."""
        from actors.model_stream.conversing import NoLineError, converse

        post = await self._post(b"")
        if isinstance(post, Failure):
            return post
        models = self.models
        try:
            failure = await converse(
                post,
                made,
                self.sampling.next_attempt(),
                self.outlet,
                session=session,
                lines=models.lines,
                transport=models.transport,
                network=models.ports.network,
                clock=models.ports.clock,
                entropy=models.ports.entropy,
            )
            return _without_secrets(failure, post)
        except NoLineError:
            return await self.by_http(joined(made))

    async def _post(self, body: bytes, rejected: int | None = None) -> Post | Failure:
        from actors.model_stream.exchange import Post

        request, provider = self.request, self.provider
        wanted = GetHeaders(provider=request.provider, rejected=rejected)
        credentials = await self.models.credentials.ask(wanted, (Headers, Failure))
        if isinstance(credentials, Failure):
            return credentials
        authorization = tuple((name.lower(), value.reveal()) for name, value in credentials.items)
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream",
            "user-agent": CLIENT_NAME,
            "originator": CLIENT_NAME,
            "x-client-request-id": request.request_id,
            **WIRES[provider.wire_api].headers(request, provider),
            **dict(authorization),  # with the headers that settings give this provider, which may replace ours
        }
        return Post(
            url=endpoint(provider.base_url, WIRES[provider.wire_api].path),
            headers=tuple(headers.items()),
            body=body,
            query=provider.query_params,
            idle_seconds=provider.stream_idle_timeout_ms / 1000,
            where=self.where,
            generation=credentials.generation,
            secrets=unsaid(authorization, provider.base_url, provider.query_params.values()),
        )


def _without_secrets(failure: Failure | None, post: Post) -> Failure | None:
    """Whatever an attempt ended with, and wherever the provider put its words: what only it may read is not told."""
    return None if failure is None else without_secrets(failure, post.secrets)


def _unknown_provider(request: SampleRequest, models: Models) -> Failure:
    known = ", ".join(sorted(models.providers)) or "none"
    return Failure(
        kind="invalid_request",
        message=(
            f"There is no model provider {request.provider!r}; known are: {known}. "
            f"Define it under [model_providers.{request.provider}] in config.toml."
        ),
    )
