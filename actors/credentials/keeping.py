"""The store as the actor uses it: read, changed and refreshed under a lock that other daemons of the same home respect.

A refresh token is good once. So whoever wants to use it takes the lock, reads the store again (another daemon may have
done it meanwhile), notes that a refresh is under way, asks, and stores the answer before the lock is let go. Where a
daemon died in between, the note is what the next one finds: it tries the token once, and if that was spent, it can say
what happened.
"""

from __future__ import annotations

import logging
import posixpath
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec
import trio

from actors.credentials import oauth, register
from actors.credentials.entries import Entry, TokenEntry, Vault, encode
from actors.credentials.oauth import Asked, TokenRefusedError
from actors.credentials.services import Service
from actors.credentials.stores import Store, StoreError
from actors.ports import Ports

logger = logging.getLogger(__name__)

LOCK_NAME = "credentials.lock"

LOCK_SECONDS = 60.0
"""Longer than any refresh takes; a lock held longer belongs to a process that hangs."""

LOCK_POLL_SECONDS = 0.05

LOST_ANSWER = (
    "a daemon died while it was renewing this login, so the answer with the new token is lost; "
    "the old token has been used up"
)


class Posts(Protocol):
    """Whoever can send a request to an authorization server."""

    async def post(self, asked: Asked) -> tuple[int, bytes]:
        """Status and body. Raises `oauth.OAuthError` when the server cannot be reached."""
        ...


class Refreshed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a refresh. ``entry`` is what holds now."""

    entry: TokenEntry
    error: str | None = None
    permanent: bool = False


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What a move took along: providers; ``replaced`` had a login in both places."""

    providers: tuple[str, ...]
    replaced: tuple[str, ...]


class Keeper:
    """One store of one home."""

    def __init__(self, ports: Ports, store: Store, home: str) -> None:
        self._ports = ports
        self._home = home
        self._lock_path = posixpath.join(home, LOCK_NAME)
        self.store = store
        """Another one after `move_to`; whoever holds the lock may rely on it."""

    async def load(self) -> Vault:
        """Everything. Raises StoreError."""
        return await self._ports.threads.run(self.store.load)

    async def begin(self) -> Vault:
        """Everything, when the store has just been opened: the register is put right. Raises StoreError."""
        vault = await self.load()
        known = await self.register()
        if register.with_store(known, self.store.kind, vault) != known:
            async with self._locked():
                vault = await self.load()
                await self._enter(vault)
        return vault

    async def register(self) -> register.Register:
        """Which logins there are, in whatever store."""
        return await self._ports.threads.run(register.read, self._ports.files, self._home)

    async def change(self, change: Callable[[Vault], Vault]) -> Vault:
        """Change the store as it is now; what it holds afterwards. Raises StoreError."""
        async with self._locked():
            vault = change(await self.load())
            await self._save(vault)
            await self._enter(vault)
        return vault

    async def move_to(self, target: Store, sources: tuple[Store, ...]) -> Moved:
        """Bring all logins into one store: written and read back before anything is taken away elsewhere.

        Killed at any point, every login is in at least one store, and doing it again goes on from there. Where two
        stores have a login of one provider, the younger tokens stay: the older may be spent. Raises StoreError.
        """
        moved: list[str] = []
        replaced: list[str] = []
        async with self._locked():
            threads = self._ports.threads
            for source in sources:
                theirs = await threads.run(source.load)
                held = await threads.run(target.load)
                together, both = held.joined(theirs)
                if together != held:
                    await threads.run(target.save, together)
                    if encode(await threads.run(target.load)) != encode(together):
                        raise StoreError(f"{target.where} does not give back what was put there; nothing was removed")
                await self._enter(together, target)
                await threads.run(source.clear)
                await self._enter(Vault(), source)
                moved += theirs.entries
                replaced += both
            self.store = target
        return Moved(providers=tuple(moved), replaced=tuple(replaced))

    async def refresh(self, provider: str, held: TokenEntry, service: Service, posts: Posts) -> Refreshed:
        """New tokens for a login, unless somebody else has got them meanwhile. Raises StoreError."""
        async with self._locked():
            vault = await self.load()
            found = vault.entries.get(provider)
            if not isinstance(found, TokenEntry):
                return Refreshed(entry=held, error="the login was ended elsewhere", permanent=True)
            if found.access_token.reveal() != held.access_token.reveal():
                return Refreshed(entry=found)
            died = found.refreshing_since is not None
            asked = oauth.refresh(service, found)
            noted = msgspec.structs.replace(found, refreshing_since=self._ports.clock.now())
            await self._save(vault.with_entry(provider, noted))
            try:
                status, body = await posts.post(asked)
                fresh = oauth.tokens(service, status=status, body=body, now=self._ports.clock.now(), before=found)
            except oauth.OAuthError as error:
                permanent = isinstance(error, TokenRefusedError) and error.permanent
                # Unspent, so the note has nothing to warn of; spent, it goes on telling what happened.
                if not (died and permanent):
                    await self._save(vault.with_entry(provider, found))
                why = LOST_ANSWER if died and permanent else str(error)
                return Refreshed(entry=found, error=why, permanent=permanent)
            # From here on the old token is spent: nothing may come between the answer and the store.
            with trio.CancelScope(shield=True):
                await self._save(vault.with_entry(provider, fresh))
        return Refreshed(entry=fresh)

    async def put(self, provider: str, entry: Entry | None) -> Vault:
        """Store a login, or end one. Raises StoreError."""
        return await self.change(lambda vault: vault.with_entry(provider, entry))

    async def _save(self, vault: Vault) -> None:
        await self._ports.threads.run(self.store.save, vault)

    async def _enter(self, vault: Vault, store: Store | None = None) -> None:
        """Into the register what a store holds now. That this fails is no reason to fail a login."""
        kind = (store or self.store).kind
        files, path = self._ports.files, register.path_in(self._home)

        def enter() -> None:
            known = register.read(files, self._home)
            now = register.with_store(known, kind, vault)
            if now != known:
                files.write_atomic(path, register.encode(now))

        try:
            await self._ports.threads.run(enter)
        except OSError as error:
            logger.warning("%s cannot be written: %s; new threads may choose another provider", path, error.strerror)

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        files, threads = self._ports.files, self._ports.threads
        try:
            await threads.run(lambda: files.make_dirs(posixpath.dirname(self._lock_path), mode=0o700))
            lock = await threads.run(files.lock, self._lock_path)
            with trio.move_on_after(LOCK_SECONDS):
                while lock is None:  # an advisory lock of another process wakes nobody
                    await trio.sleep(LOCK_POLL_SECONDS)
                    lock = await threads.run(files.lock, self._lock_path)
        except OSError as error:
            raise StoreError(f"{self._lock_path} cannot be locked: {error.strerror}") from None
        if lock is None:
            raise StoreError(f"another process has held {self._lock_path} for {LOCK_SECONDS:g} s; see who it is")
        try:
            yield
        finally:
            with trio.CancelScope(shield=True):
                await threads.run(lock.close)
