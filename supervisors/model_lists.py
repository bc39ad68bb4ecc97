"""The lists of models that providers give, read at the start and asked for in the background."""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Mapping

import trio

from actors.kernel import KernelError
from actors.model_stream import listings
from actors.model_stream.listings import FOLDER, Listing, file_of
from actors.model_stream.models import Models
from actors.model_stream.providers import REHEARSAL
from actors.ports import Ports
from messages.credentials import GetHeaders, Headers
from messages.failure import Failure
from messages.settings import ModelSettings

ASK_SECONDS = 30.0
"""For a provider's list: nobody waits for it."""


class ModelLists:
    """``said`` is what is known now, by provider."""

    def __init__(self, ports: Ports, home: str) -> None:
        self._ports = ports
        self._folder = posixpath.join(home, FOLDER)
        self._found: dict[str, Listing] = {}

    @property
    def said(self) -> dict[str, Mapping[str, ModelSettings]]:
        """What the providers have said of their models."""
        return {provider: found.models for provider, found in self._found.items()}

    def load(self, providers: Mapping[str, object]) -> None:
        """Read what is on disk. A file that cannot be read is as if it were not there."""
        for provider in providers:
            with contextlib.suppress(OSError):
                found = listings.decode(self._ports.files.read(posixpath.join(self._folder, file_of(provider))))
                if found is not None:
                    self._found[provider] = found

    async def refresh(self, models: Models, provider_id: str) -> bool:
        """Ask a provider, if its list is not fresh; whether there is news."""
        provider = models.providers.get(provider_id)
        now = self._ports.clock.now()
        if provider is None or provider_id == REHEARSAL or listings.is_fresh(self._found.get(provider_id), now=now):
            return False
        from actors.model_stream.local.listing import ListingError
        from actors.model_stream.local.servers import listing_headers, provider_models

        found = None
        with contextlib.suppress(KernelError, ListingError, OSError), trio.move_on_after(ASK_SECONDS):
            answer = await models.credentials.ask(GetHeaders(provider=provider_id), (Headers, Failure))
            if isinstance(answer, Headers):
                headers = listing_headers(provider, {name: value.reveal() for name, value in answer.items})
                listed = await provider_models(models.client, provider.base_url, headers, provider.query_params)
                found = listings.listing(listed, at=now)
                path = posixpath.join(self._folder, file_of(provider_id))
                self._ports.files.make_dirs(self._folder, mode=0o700)
                await self._ports.threads.run(self._ports.files.write_atomic, path, listings.encode(found))
        if found is None:
            return False
        self._found[provider_id] = found
        return True
