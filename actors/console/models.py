"""``callboard models`` and ``callboard pull``: which models there are, and fetching one onto this machine.

    callboard models                       the catalogue of the provider in use, and what local servers have
    callboard models --provider groq       what that provider lists
    callboard pull qwen3:8b                have Ollama or LM Studio fetch a model, with a bar per layer

Neither needs a daemon. Keys are read from the environment, as the daemon does it, and never shown.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Mapping
from typing import Self

import httpx2
import msgspec
import trio
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table

from actors.console.home import home, logins
from actors.console.screen import Screen
from actors.console.wire import user_settings
from actors.credentials import core as credentials
from actors.model_stream import catalogue, listings
from actors.model_stream.local import ollama, servers
from actors.model_stream.local.listing import ListedModel, ListingError
from actors.model_stream.local.progress import Progress as Fetched
from actors.model_stream.local.progress import PullError
from actors.model_stream.local.servers import DEFAULT_URLS, NAMES, Kind, LocalServer
from actors.model_stream.profiles import profile_of
from actors.model_stream.providers import REHEARSAL, ChoiceError, choose, known_providers
from actors.model_stream.unsaid import bare_url
from actors.ports.production.files import SystemFiles
from actors.settings.layers import SettingsError
from messages.credentials import Headers
from messages.failure import Failure
from messages.settings import ModelSettings, ProviderSettings, Settings

DIGEST_CHARS = 12
"""Of a layer's digest: what Ollama's own command shows."""

OLLAMA_HOST = "OLLAMA_HOST"
"""Ollama's own variable: where it listens, with or without scheme and port."""


def run(options: argparse.Namespace) -> int:
    """The exit code: 0, or 1 with one line of what went wrong."""
    try:
        settings = user_settings()
        if options.verb == "pull":
            return trio.run(_pull, settings, options.model, options.server, options.url)
        return trio.run(_models, settings, options.provider, options.json)
    except (SettingsError, ListingError, PullError, ChoiceError) as error:
        print(f"callboard {options.verb}: {error}", file=sys.stderr)
        return 1


def local_urls(settings: Settings, environment: Mapping[str, str]) -> dict[Kind, str]:
    """Where to look for local servers: the settings, else Ollama's own variable, else where they listen by default."""
    urls = dict(DEFAULT_URLS)
    host = environment.get(OLLAMA_HOST, "").strip()
    if host:
        host = host if "://" in host else f"http://{host}"
        host = host.replace("//0.0.0.0", "//127.0.0.1")
        urls["ollama"] = host if host.rpartition(":")[2].rstrip("/").isdecimal() else f"{host.rstrip('/')}:11434"
    for name, provider in settings.model_providers.items():
        match profile_of(name, provider).id:
            case "ollama":
                urls["ollama"] = provider.base_url
            case "lmstudio":
                urls["lmstudio"] = provider.base_url
    return urls


# --- models -------------------------------------------------------------------------------------------------------


async def _models(settings: Settings, provider_id: str | None, as_json: bool) -> int:
    sections: list[tuple[str, tuple[ListedModel, ...], str | None]] = []
    async with httpx2.AsyncClient(trust_env=False) as client:
        if provider_id is not None:
            sections.append((provider_id, await _of_provider(client, settings, provider_id), None))
        else:
            choice = choose(settings, os.environ, logins(home()))
            sections.append(
                (
                    f"{choice.provider} (in use: {choice.model})",
                    _catalogue(choice.provider, settings, choice.model),
                    None,
                )
            )
            for server in await servers.find(client, local_urls(settings, os.environ)):
                listed = await servers.models(client, server)
                sections.append((f"{server.name} at {server.url}", listed, _advice(settings, server)))
    if as_json:
        told = [{"where": where, "models": models, "advice": advice} for where, models, advice in sections]
        print(msgspec.json.encode(told).decode())
        return 0
    console = Screen()
    for where, models, advice in sections:
        console.print(_table(where, models), highlight=False)
        console.print()
        if advice:
            console.print(f"[yellow]{advice}[/]", highlight=False)
    return 0


async def _of_provider(client: httpx2.AsyncClient, settings: Settings, provider_id: str) -> tuple[ListedModel, ...]:
    known = known_providers(settings, "")
    if provider_id not in known:
        raise ListingError(f"there is no provider {provider_id!r}; known are {', '.join(sorted(known))}")
    if provider_id == REHEARSAL:
        return _catalogue(provider_id, settings)
    provider = known[provider_id]
    profile = profile_of(provider_id, provider)
    if profile.id in ("ollama", "lmstudio"):
        kind: Kind = "ollama" if profile.id == "ollama" else "lmstudio"
        server = await servers.probe(client, kind, provider.base_url)
        if server is None:
            raise ListingError(
                f"{NAMES[kind]} does not answer at {bare_url(provider.base_url)}: start it, or set its base_url"
            )
        return await servers.models(client, server)
    listed = await servers.provider_models(
        client, provider.base_url, _headers(provider_id, provider), provider.query_params
    )
    _keep(provider_id, listed)
    return tuple(_described(provider_id, model, provider) for model in listed)


def _keep(provider_id: str, listed: tuple[ListedModel, ...]) -> None:
    """What the provider said is what the daemon goes by from its next start on."""
    folder = home() / listings.FOLDER
    with contextlib.suppress(OSError):  # whoever only looks need not be able to write
        files = SystemFiles()
        files.make_dirs(str(folder), mode=0o700)
        listing = listings.listing(listed, at=time.time())
        files.write_atomic(str(folder / listings.file_of(provider_id)), listings.encode(listing))


def _listed(settings: Settings) -> dict[str, Mapping[str, ModelSettings]]:
    """What providers have said before."""
    found: dict[str, Mapping[str, ModelSettings]] = {}
    for provider_id in known_providers(settings, ""):
        with contextlib.suppress(OSError):
            kept = listings.decode((home() / listings.FOLDER / listings.file_of(provider_id)).read_bytes())
            if kept is not None:
                found[provider_id] = kept.models
    return found


def _headers(provider_id: str, provider: ProviderSettings) -> dict[str, str]:
    found = credentials.decide(provider_id, provider, os.environ, None, now=time.time())
    if isinstance(found, Failure):
        raise ListingError(found.message)
    if not isinstance(found, Headers):
        raise ListingError(f"provider {provider_id!r} has no key in the environment; its models cannot be listed here")
    return servers.listing_headers(provider, {name: value.reveal() for name, value in found.items})


def _described(provider_id: str, model: ListedModel, provider: ProviderSettings) -> ListedModel:
    """With what the settings say, and what the catalogue knows where the provider says nothing."""
    said = provider.models.get(model.id)
    if said is not None:
        model = msgspec.structs.replace(
            model,
            context_window=said.context_window or model.context_window,
            images=model.images if said.images is None else said.images,
            reasoning=model.reasoning if said.efforts is None else bool(said.efforts),
        )
    known = catalogue.find(provider_id, model.id, provider.models)
    if not known.known:
        return model
    return msgspec.structs.replace(
        model,
        context_window=model.context_window or known.context_window,
        tools=True if model.tools is None else model.tools,
        images=known.images if model.images is None else model.images,
        reasoning=bool(known.efforts) if model.reasoning is None else model.reasoning,
    )


def _catalogue(provider_id: str, settings: Settings, chosen: str = "") -> tuple[ListedModel, ...]:
    """The bundled models with what their provider and the settings say of them, and those that settings add."""
    provider = known_providers(settings, "", _listed(settings))[provider_id]
    own = settings.model_providers.get(provider_id, provider)
    extra = (*settings.models, *own.models) if provider_id in settings.model_providers else tuple(settings.models)
    return tuple(
        ListedModel(
            id=model.slug,
            context_window=model.context_window,
            tools=True,
            images=model.images,
            reasoning=bool(model.efforts),
            detail=model.description,
        )
        for model in catalogue.of_provider(provider_id, chosen, provider.models, extra)
    )


def _advice(settings: Settings, server: LocalServer) -> str | None:
    if server.version is None:
        return None
    wire = known_providers(settings, "")[server.kind].wire_api
    return ollama.advice(server.version, wire)


def _table(where: str, models: tuple[ListedModel, ...]) -> Table:
    table = Table(title=where, title_justify="left", box=None, pad_edge=False, show_header=bool(models))
    for column in ("model", "context", "abilities", "size", ""):
        table.add_column(column, justify="right" if column in ("context", "size") else "left", overflow="fold")
    for model in models:
        abilities = [name for name in ("tools", "images", "reasoning") if getattr(model, name)]
        table.add_row(
            model.id,
            f"{model.context_window:,}" if model.context_window else "?",
            " ".join(abilities) or ("?" if model.tools is None else "-"),
            f"{model.size_bytes / 1e9:.1f} GB" if model.size_bytes else "",
            f"{model.detail}{' (loaded)' if model.loaded else ''}",
        )
    if not models:
        table.add_row("(no models)", "", "", "", "")
    return table


# --- pull ---------------------------------------------------------------------------------------------------------


async def _pull(settings: Settings, model: str, kind: Kind | None, url: str | None) -> int:
    urls = local_urls(settings, os.environ)
    wanted: dict[Kind, str] = urls if kind is None else {kind: url or urls[kind]}
    if url is not None and kind is None:
        wanted = dict.fromkeys(urls, url)
    async with httpx2.AsyncClient(trust_env=False) as client:
        found = await servers.find(client, wanted)
        if not found:
            places = " and ".join(f"{NAMES[each]} at {place}" for each, place in wanted.items())
            raise PullError(f"no local model server answers (looked for {places}). Start one, or name it with --url.")
        server = found[0]
        if advice := _advice(settings, server):
            print(f"callboard pull: {advice}", file=sys.stderr)
        console = Screen()
        console.print(f"pulling {model} with {server.name} at {server.url}", highlight=False)
        with Bars(console) as bars:
            await servers.pull(client, server, model, bars.show)
        provider = server.kind
        console.print(f'done. Use it with model_provider = "{provider}" and model = "{model}" in {home()}/config.toml')
    return 0


class Bars:
    """A bar per layer, as far as a terminal goes; elsewhere a line per status."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._said: set[str] = set()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, step: Fetched) -> None:
        """The next step."""
        for layer in step.layers:
            task = self._tasks.get(layer.digest)
            if task is None:
                label = layer.digest.removeprefix("sha256:")[:DIGEST_CHARS]
                task = self._tasks[layer.digest] = self._progress.add_task(label, total=layer.total or None)
            self._progress.update(task, completed=layer.completed, total=layer.total or None)
        if step.status not in self._said:  # layers that come interleaved say theirs again and again
            self._said.add(step.status)
            self._console.print(step.status, highlight=False)
