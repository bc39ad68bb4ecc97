"""One model request: ask, hear, and ask again when that makes sense. A temporary child of its session.

It reports `StreamEvent`s to its session and nothing else: structure as messages, text by appending to the open texts.
Unless it is cancelled, exactly one `SampleCompleted` or `SampleFailed` is its last word. Cancelling it closes the
socket to the provider at once; nothing it began goes on.
"""

from __future__ import annotations

import trio

from actors.kernel import Address, Context
from actors.model_stream.core import WIRES, Sampling
from actors.model_stream.models import Models
from actors.model_stream.outlet import Outlet
from actors.model_stream.rendering import UnsupportedError
from actors.session.open_text import TextTable
from messages.credentials import GetHeaders, Headers
from messages.failure import Failure
from messages.model import SampleFailed, SampleRequest, StreamEvent
from messages.settings import ProviderSettings

CLIENT_NAME = "callboard"
"""How we introduce ourselves to providers, in `user-agent` and `originator`."""

SHORTEST_SECRET = 8
"""Header values from this length on are taken out of what a provider quotes back; shorter ones are no secrets."""


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
    try:
        wire = WIRES[provider.wire_api]
        body = (
            wire.continued(request, provider, models.recital(report))
            if wire.continued
            else wire.body(request, provider)
        )
    except UnsupportedError as error:
        unsaid = Failure(kind="invalid_request", message=f"{where} was not asked: {error}")
        await outlet.send(SampleFailed(request_id=request.request_id, failure=unsaid))
        return
    while True:
        ctx.state = "sampling"
        failure = await _attempt(request, provider, where, body, sampling, outlet, models)
        if failure is None:
            await outlet.drain()
            return
        verdict = sampling.after_failure(failure, models.ports.entropy.random.random())
        await outlet.send(verdict)
        if isinstance(verdict, SampleFailed):
            return
        ctx.state = "waiting to retry"
        await trio.sleep(verdict.delay_seconds)


async def _attempt(
    request: SampleRequest,
    provider: ProviderSettings,
    where: str,
    body: bytes,
    sampling: Sampling,
    outlet: Outlet,
    models: Models,
) -> Failure | None:
    # With the HTTP client it takes 100 ms to import; a daemon that has been up for a while has done so (`Models.warm`).
    from actors.model_stream.exchange import Post, attempt

    credentials = await models.credentials.ask(GetHeaders(provider=request.provider), (Headers, Failure))
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
    post = Post(
        url=provider.base_url.rstrip("/") + WIRES[provider.wire_api].path,
        headers=tuple(headers.items()),
        body=body,
        query=provider.query_params,
        idle_seconds=provider.stream_idle_timeout_ms / 1000,
        where=where,
        secrets=_secrets(authorization),
    )
    return await attempt(post, sampling.next_attempt(), outlet, transport=models.transport, clock=models.ports.clock)


def _secrets(headers: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """The values, and what of them follows a scheme (``Bearer``), longest first."""
    values = {part for _, value in headers for part in (value, value.rpartition(" ")[2])}
    return tuple(sorted((value for value in values if len(value) >= SHORTEST_SECRET), key=len, reverse=True))


def _unknown_provider(request: SampleRequest, models: Models) -> Failure:
    known = ", ".join(sorted(models.providers)) or "none"
    return Failure(
        kind="invalid_request",
        message=(
            f"There is no model provider {request.provider!r}; known are: {known}. "
            f"Define it under [model_providers.{request.provider}] in config.toml."
        ),
    )
