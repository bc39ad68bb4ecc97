"""Asking the model servers of this machine: which are there, what they have, and to fetch a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import quote

import httpx2
import msgspec
import trio

from actors.model_stream.errors import MAX_MESSAGE_CHARS, cut, redact
from actors.model_stream.local import lmstudio, ollama
from actors.model_stream.local.listing import ListedModel, ListingError, openai_models
from actors.model_stream.local.progress import Progress, PullError
from actors.model_stream.providers import endpoint
from actors.model_stream.unsaid import bare_url, unsaid
from messages.settings import ProviderSettings

Kind = Literal["ollama", "lmstudio"]

DEFAULT_URLS: dict[Kind, str] = {"ollama": "http://127.0.0.1:11434", "lmstudio": "http://127.0.0.1:1234"}

NAMES: dict[Kind, str] = {"ollama": "Ollama", "lmstudio": "LM Studio"}

PROBE_SECONDS = 1.0
"""For a server on this machine to say that it is there."""

ANSWER_SECONDS = 15.0
"""For a list of models: a provider may be far away."""

POLL_SECONDS = 0.5
"""Between two looks at a download of LM Studio's."""

SHOWN_MODELS = 100
"""Models of Ollama asked for their abilities, one request each."""


MAX_LINE_BYTES = 1024 * 1024
"""Of one line of a pull; they have some hundred."""


class LocalServer(msgspec.Struct, frozen=True, kw_only=True):
    """One that answered."""

    kind: Kind
    url: str
    """Without ``/v1``."""
    version: tuple[int, int, int] | None = None
    """LM Studio does not tell."""
    native: bool = True
    """Whether it has the API through which models are described and downloaded."""

    @property
    def name(self) -> str:
        """For people."""
        return NAMES[self.kind]


async def find(client: httpx2.AsyncClient, urls: Mapping[Kind, str] = DEFAULT_URLS) -> tuple[LocalServer, ...]:
    """Those that answer, asked at the same time."""
    found: dict[Kind, LocalServer] = {}

    async def ask(kind: Kind, url: str) -> None:
        server = await probe(client, kind, url)
        if server is not None:
            found[kind] = server

    async with trio.open_nursery() as nursery:
        for kind, url in urls.items():
            nursery.start_soon(ask, kind, url)
    return tuple(found[kind] for kind in urls if kind in found)


async def probe(client: httpx2.AsyncClient, kind: Kind, url: str) -> LocalServer | None:
    """The server at a URL, if one of this kind is there."""
    url = url.rstrip("/").removesuffix("/v1")
    try:
        if kind == "ollama":
            value = await _get(client, f"{url}/api/version", PROBE_SECONDS)
            return LocalServer(kind=kind, url=url, version=ollama.version(value))
        try:
            lmstudio.models(await _get(client, f"{url}/api/v1/models", PROBE_SECONDS))
        except ListingError:
            openai_models(await _get(client, f"{url}/v1/models", PROBE_SECONDS))
            return LocalServer(kind=kind, url=url, native=False)
        return LocalServer(kind=kind, url=url)
    except ListingError:
        return None


async def models(client: httpx2.AsyncClient, server: LocalServer) -> tuple[ListedModel, ...]:
    """What a server has on its disk. Raises ListingError."""
    if server.kind == "lmstudio":
        if server.native:
            return lmstudio.models(await _get(client, f"{server.url}/api/v1/models"))
        return openai_models(await _get(client, f"{server.url}/v1/models"))
    tags = await _get(client, f"{server.url}/api/tags")
    shown = {}
    for model in ollama.models(tags, {})[:SHOWN_MODELS]:
        try:
            shown[model.id] = await _json(client, "POST", f"{server.url}/api/show", {"model": model.id})
        except ListingError:
            continue  # its name is worth listing without its abilities
    return ollama.models(tags, shown)


def listing_headers(provider: ProviderSettings, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of a request for a provider's list."""
    extra = {"anthropic-version": provider.api_version or "2023-06-01"} if provider.wire_api == "messages" else {}
    return {**extra, **headers}


async def provider_models(
    client: httpx2.AsyncClient, base_url: str, headers: Mapping[str, str], query: Mapping[str, str]
) -> tuple[ListedModel, ...]:
    """What any provider lists under ``{base_url}/models``. Raises ListingError."""
    url = endpoint(base_url, "/models")
    return openai_models(await _get(client, url, headers=headers, query=query))


async def pull(client: httpx2.AsyncClient, server: LocalServer, model: str, show: Callable[[Progress], None]) -> None:
    """Have a server fetch a model; ``show`` is told every step. Raises PullError.

    Cancelling it stops a download of Ollama's, which goes on from there next time; LM Studio's goes on by itself.
    """
    if server.kind == "ollama":
        await _pull_from_ollama(client, server, model, show)
        return
    if not server.native:
        raise PullError(lmstudio.TOO_OLD.format(url=bare_url(server.url), model=model))
    try:
        started = await _json(client, "POST", f"{server.url}/api/v1/models/download", {"model": model})
        step = lmstudio.progress(model, started)
        show(step)
        while not step.done:
            await trio.sleep(POLL_SECONDS)
            job = quote(str(started.get("job_id")), safe="")
            step = lmstudio.progress(model, await _get(client, f"{server.url}/api/v1/models/download/status/{job}"))
            show(step)
    except ListingError as error:
        raise PullError(f"LM Studio could not download {model!r}: {error}") from error


async def _pull_from_ollama(
    client: httpx2.AsyncClient, server: LocalServer, model: str, show: Callable[[Progress], None]
) -> None:
    download = ollama.Pull(model)
    body = {"model": model, "stream": True}
    failed: PullError | None = None
    held = b""
    try:
        async with client.stream("POST", f"{server.url}/api/pull", json=body, timeout=None) as response:
            # A failure cancels the reading from inside: nested generators are only unwound that way.
            with trio.CancelScope() as reading:
                async for data in response.aiter_bytes():
                    *lines, held = (held + data).split(b"\n")
                    try:
                        for line in lines if failed is None else ():
                            show(download.take(line))
                    except PullError as error:
                        failed = error
                    if len(held) > MAX_LINE_BYTES:
                        failed = failed or PullError(f"Ollama sent a line of more than {MAX_LINE_BYTES} bytes")
                    if failed is not None:
                        held = b""
                        reading.cancel()
    except httpx2.RequestError as error:
        raise PullError(f"the connection to Ollama at {bare_url(server.url)} broke: {error}") from None
    if failed is not None:
        raise failed
    if held.strip():
        show(download.take(held))
    if not response.is_success:
        raise PullError(f"Ollama answered HTTP {response.status_code} to a pull of {model!r}")
    download.end()


async def _get(
    client: httpx2.AsyncClient,
    url: str,
    seconds: float = ANSWER_SECONDS,
    *,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> Any:
    return await _json(client, "GET", url, None, seconds, headers=headers, query=query)


async def _json(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    body: Any,
    seconds: float = ANSWER_SECONDS,
    *,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> Any:
    """The JSON that a URL answers. Raises ListingError for everything else."""
    shown = bare_url(url)
    secrets = unsaid((headers or {}).items(), url, (query or {}).values())
    try:
        asked = httpx2.URL(url).copy_merge_params(dict(query or {}))
        response = await client.request(method, asked, json=body, headers=dict(headers or {}), timeout=seconds)
        value = msgspec.json.decode(response.content) if response.content else None
    except (httpx2.RequestError, httpx2.InvalidURL) as error:
        raise ListingError(f"{shown}: {redact(str(error), secrets) or type(error).__name__}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ListingError(f"{shown} answered HTTP {response.status_code} with something that is no JSON") from error
    if not response.is_success:
        reason = value.get("error") if isinstance(value, dict) else None
        reason = reason.get("message") if isinstance(reason, dict) else reason
        words = f": {cut(redact(str(reason), secrets), MAX_MESSAGE_CHARS)}" if reason else ""
        raise ListingError(f"{shown} answered HTTP {response.status_code}{words}")
    return value
