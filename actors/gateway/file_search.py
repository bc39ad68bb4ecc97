"""Searches for files by a few letters: what one connection has under way.

Listing and ranking are those of the model's own tool (`actors/tool_worker/file_search`). A session keeps its list, so
that each further letter costs a ranking and no listing; while the list still grows, what was found so far is told now
and then. Ranking runs in a thread.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from contextlib import aclosing

import trio

from actors.gateway.house import House
from actors.gateway.rpc import RpcError
from actors.ports.processes import SpawnError
from actors.tool_worker.file_search.listing import FILES_MAX, candidates
from actors.tool_worker.file_search.ranking import MAX_RESULTS, Candidate, Match, rank
from messages.client.envelope import INVALID_PARAMS, INVALID_REQUEST
from messages.client.files import FoundFile, SearchCompleted, SearchUpdated
from messages.client.item import Wire

MAX_ROOTS = 32
MAX_SESSIONS = 16
"""Of one connection; a client has one for each picker that is open."""

TELL_SECONDS = 0.2
"""How often results are told while the list grows: often enough to look alive."""

Notify = Callable[[str, Wire], None]


class Listing:
    """The files and folders below some roots, growing until `complete`."""

    def __init__(self, house: House, roots: tuple[str, ...]) -> None:
        if not roots or len(roots) > MAX_ROOTS:
            raise RpcError(INVALID_PARAMS, f"roots: between 1 and {MAX_ROOTS} folders can be searched at once")
        for root in roots:
            if not posixpath.isabs(root):
                raise RpcError(INVALID_PARAMS, f"roots: {root[:200]!r} is not an absolute path")
        self._house = house
        self._roots = roots
        self.candidates: list[Candidate] = []
        self.complete = False
        self.changed = trio.Event()

    async def run(self) -> None:
        """List everything. Raises RpcError for a root that cannot be read."""
        for root in self._roots:
            await self._list(root)
        self.complete = True
        self.changed.set()

    async def _list(self, root: str) -> None:
        house = self._house
        try:
            async with aclosing(candidates(house.ports.processes, root, house.environment)) as batches:
                async for batch in batches:
                    self.candidates += batch
                    self.changed.set()
                    if len(self.candidates) >= FILES_MAX:
                        return
        except SpawnError as error:
            raise RpcError(INVALID_PARAMS, f"roots: {root} cannot be searched: {error}") from error


class Search:
    """One session: a list of files and the query of the moment."""

    def __init__(self, house: House, id_: str, listing: Listing, notify: Notify) -> None:
        self._house = house
        self._id = id_
        self._listing = listing
        self._notify = notify
        self._query = ""
        self.scope = trio.CancelScope()

    def update(self, query: str) -> None:
        """Search for this from now on."""
        self._query = query
        self._listing.changed.set()

    async def run(self) -> None:
        """Tell what is found whenever the query or the list has changed, until stopped."""
        with self.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._list)
                while True:
                    await self._listing.changed.wait()
                    self._listing.changed = trio.Event()
                    await self._tell()

    async def _list(self) -> None:
        try:
            await self._listing.run()
        except RpcError:
            # A root that went away since the session began: what there is of the others is all there is.
            self._listing.complete = True
            self._listing.changed.set()

    async def _tell(self) -> None:
        query, complete = self._query, self._listing.complete
        if not query.strip():
            return
        found = await ranked(self._house, query, self._listing)
        self._notify("fuzzyFileSearch/sessionUpdated", SearchUpdated(session_id=self._id, query=query, files=found))
        if complete and query == self._query:
            self._notify("fuzzyFileSearch/sessionCompleted", SearchCompleted(session_id=self._id))
        elif not complete:
            with trio.move_on_after(TELL_SECONDS):
                while query == self._query and not self._listing.complete:
                    await self._listing.changed.wait()
                    self._listing.changed = trio.Event()
            self._listing.changed.set()


class Searches:
    """The searches of one connection."""

    def __init__(self, house: House, nursery: trio.Nursery, notify: Notify) -> None:
        self._house = house
        self._nursery = nursery
        self._notify = notify
        self._sessions: dict[str, Search] = {}
        self._single: dict[str, trio.CancelScope] = {}

    async def once(self, query: str, roots: tuple[str, ...], token: str | None) -> tuple[FoundFile, ...]:
        """What ``query`` finds; nothing if another search with the same token took its place. Raises RpcError."""
        scope = trio.CancelScope()
        if token is not None:
            before = self._single.get(token)
            if before is not None:
                before.cancel()
            self._single[token] = scope
        try:
            with scope:
                listing = Listing(self._house, roots)
                await listing.run()
                return await ranked(self._house, query, listing)
            return ()
        finally:
            if token is not None and self._single.get(token) is scope:
                del self._single[token]

    def start(self, id_: str, roots: tuple[str, ...]) -> None:
        """Begin a session, or begin it anew. Raises RpcError."""
        listing = Listing(self._house, roots)
        if id_ in self._sessions:
            self.stop(id_)
        elif len(self._sessions) >= MAX_SESSIONS:
            raise RpcError(INVALID_REQUEST, f"at most {MAX_SESSIONS} file searches can be open; stop one first")
        search = self._sessions[id_] = Search(self._house, id_, listing, self._notify)
        self._nursery.start_soon(search.run)

    def update(self, id_: str, query: str) -> None:
        """Raises RpcError."""
        search = self._sessions.get(id_)
        if search is None:
            raise RpcError(INVALID_REQUEST, f"fuzzy file search session not found: {id_[:100]}")
        search.update(query)

    def stop(self, id_: str) -> None:
        """End a session; one that there is not is ended already."""
        search = self._sessions.pop(id_, None)
        if search is not None:
            search.scope.cancel()


async def ranked(house: House, query: str, listing: Listing) -> tuple[FoundFile, ...]:
    """The best of what is listed now."""
    listed = tuple(listing.candidates)
    matches = await house.ports.threads.run(lambda: rank(query, listed, limit=MAX_RESULTS))
    return tuple(map(_found, matches))


def _found(match: Match) -> FoundFile:
    candidate = match.candidate
    return FoundFile(
        root=candidate.root,
        path=candidate.path,
        match_type=candidate.kind,
        file_name=posixpath.basename(candidate.path),
        score=max(match.score, 0),
        indices=match.indices,
    )
