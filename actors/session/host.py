"""Who keeps the sessions: makes threads, loads and unloads them, closes them all at the end.

One session per thread: whoever asks for a thread that is being loaded waits for that load; whoever asks while its
session is between two lives waits for the next. A thread is unloaded when nobody has watched it for a while, nothing
of it runs and no command of it goes on. Sessions run under a dynamic supervisor, known here as two verbs.

Stopping has two steps, because clients are to hear how their turns ended: `drain` while the gateway still stands, then
the supervision tree takes everything down.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType, NoneType
from typing import Protocol, TypeVar

import msgspec
import trio

from actors.kernel import Address, Context, DownError, KernelError, Start
from actors.rollout_writer.paths import rollout_path
from actors.session import views
from actors.session.actor import Means, Role, StorageError, run
from actors.session.children import Crew
from actors.session.feed import Feed, FeedEncoder
from actors.session.git_info import GitInfo, read_git_info
from actors.session.global_feed import GlobalFeed
from actors.session.state import SessionState, only_people_missing
from actors.session.threads import NewThread, UnknownThreadError, UnreadableThreadError
from messages.base import ThreadId
from messages.log import FindThread, SessionMeta
from messages.session import CloseThread, SessionCommand, ThreadStatus, ThreadSummary, ThreadView

T = TypeVar("T")

logger = logging.getLogger(__name__)

SWEEPS_PER_DELAY = 10
"""How often within the unload delay idle threads are looked for: a thread is unloaded at most a tenth of it late."""

MIN_SWEEP_SECONDS = 0.05
MAX_SWEEP_SECONDS = 5.0

CLOSE_SECONDS = 8.0
"""For one session to end what it has running: 500 ms of grace for processes, then the disk."""


class Sessions(Protocol):
    """What the host needs of the sessions' supervisor; their policy is to be restarted when they crash."""

    async def start_child(self, id_: str, start: Start[T], *, kind: str = "worker") -> T:
        """Start a child; what it gave to ``task_status.started``. Raises what kept it from starting, as a cause."""
        ...

    async def terminate_child(self, id_: str) -> bool:
        """End a child; returns when nothing of it runs any more."""
        ...


class SessionHost:
    """The loaded threads. ``unload_delay_seconds``: how long one stays that nobody needs."""

    def __init__(
        self,
        *,
        means: Means,
        sessions: Sessions,
        encoder: FeedEncoder,
        everywhere: GlobalFeed,
        home: str,
        version: str,
        unload_delay_seconds: float = 60.0,
    ) -> None:
        self._means = means
        self._sessions = sessions
        self._encoder = encoder
        self._everywhere = everywhere
        self._home = home
        self._version = version
        self._delay = unload_delay_seconds
        self._roles: dict[ThreadId, Role] = {}
        self._idle_since: dict[ThreadId, float] = {}
        self._changed: dict[ThreadId, trio.Event] = {}
        """Whoever waits for a thread's load, next life or end waits here."""
        self._closing = False

    # --- for the gateway --------------------------------------------------------------------------------------------

    async def start_thread(self, request: NewThread) -> tuple[ThreadView, Address[SessionCommand]]:
        """Make a thread, on disk unless ephemeral, and load it. Raises UnreadableThreadError."""
        self._refuse_if_closing()
        ports = self._means.ports
        thread_id, created_at = ThreadId(ports.entropy.uuid7()), ports.clock.now()
        settings = request.settings
        path = None if settings.ephemeral else rollout_path(self._home, created_at, thread_id)
        git = GitInfo() if path is None else await ports.threads.run(read_git_info, ports.files, settings.cwd)
        meta = SessionMeta(
            thread_id=thread_id,
            created_at=created_at,
            cwd=settings.cwd,
            source=request.source,
            originator=request.originator,
            thread_source=request.thread_source,
            cli_version=self._version,
            settings=settings,
            git_branch=git.branch,
            git_commit=git.commit,
            git_origin=git.origin,
        )
        state = SessionState(
            thread_id=thread_id,
            ids=thread_id,
            offer=self._means.crew.offer,
            settings=settings,
            summary=_summary(meta, path),
        )
        view = views.thread(state, include_turns=True)
        address = await self._begin(
            Role(thread_id=thread_id, path=path, feed=self._feed(thread_id), meta=meta, first=state)
        )
        return view, address

    async def open(self, thread_id: ThreadId) -> Address[SessionCommand]:
        """The thread's session as it lives now, loaded from the log if need be.

        Raises UnknownThreadError, UnreadableThreadError.
        """
        while True:
            role = self._roles.get(thread_id)
            if role is not None and not role.ending and role.address is not None and role.address.alive:
                self._idle_since.pop(thread_id, None)
                return role.address
            if role is None and thread_id not in self._changed:
                return await self._load(thread_id)
            await self._change(thread_id).wait()

    def loaded(self) -> Mapping[ThreadId, Address[SessionCommand]]:
        """The threads in memory, oldest first."""
        return MappingProxyType({id_: role.address for id_, role in self._roles.items() if role.address is not None})

    def active(self) -> int:
        """In how many of them a turn runs."""
        return sum(1 for role in self._roles.values() if role.shell is not None and role.shell.state.turn is not None)

    def working(self) -> bool:
        """Whether a turn runs that does not only wait for people."""
        return any(role.shell is not None and _busy(role.shell.state) for role in self._roles.values())

    # --- for whoever follows the settings ---------------------------------------------------------------------------

    def adopt(self, crew: Crew, *, unload_delay_seconds: float) -> None:
        """Threads loaded from now on are served by this crew; those loaded keep theirs."""
        self._means = msgspec.structs.replace(self._means, crew=crew)
        self._delay = unload_delay_seconds

    # --- for the daemon ---------------------------------------------------------------------------------------------

    async def run(self, _: Context, *, task_status: trio.TaskStatus[None]) -> None:
        """Unload what nobody needs, until cancelled."""
        task_status.started()
        async with trio.open_nursery() as nursery:
            while True:
                await trio.sleep(min(max(self._delay / SWEEPS_PER_DELAY, MIN_SWEEP_SECONDS), MAX_SWEEP_SECONDS))
                for thread_id in self._overdue():
                    nursery.start_soon(self.unload, thread_id)

    async def unload(self, thread_id: ThreadId, *, suspend: bool = False) -> None:
        """Close a thread's session: what runs is interrupted first. Returns when nothing of it is left."""
        role = self._roles.get(thread_id)
        if role is None:
            return
        role.ending = True
        with trio.move_on_after(CLOSE_SECONDS):
            try:
                if role.address is not None:
                    await role.address.ask(CloseThread(suspend=suspend))
            except DownError:
                pass  # it has ended already, or crashed over it: the supervisor ends it below
            except Exception:
                # A defect over one thread leaves it neither half closed nor any other thread open.
                logger.exception("thread %s could not be asked to close; its session is ended as it is", thread_id)
        await self._sessions.terminate_child(thread_id)
        self._over(role)

    async def drain(self, seconds: float) -> None:
        """Begin no more; let running turns finish within ``seconds``, then interrupt them; close all threads.

        A turn that only waits for people's answers is left open in the log, and goes on when it is loaded again.
        """
        self._closing = True
        with trio.move_on_after(seconds):
            await self._quiet()
        async with trio.open_nursery() as nursery:
            for thread_id in tuple(self._roles):
                nursery.start_soon(lambda id_: self.unload(id_, suspend=True), thread_id)

    def gave_up(self, id_: str, error: BaseException | None) -> None:
        """The supervisor restarts this session no more: the thread is as it is on disk, and may be loaded again."""
        del error  # the supervisor has reported it
        thread_id = ThreadId(id_)
        role = self._roles.get(thread_id)
        if role is not None:
            self._over(role)
            self._everywhere.status_changed(thread_id, ThreadStatus(kind="systemError"))

    # --- lives ------------------------------------------------------------------------------------------------------

    async def _load(self, thread_id: ThreadId) -> Address[SessionCommand]:
        self._refuse_if_closing()
        self._change(thread_id)  # from here on others wait
        try:
            try:
                summary = await self._means.log.ask(FindThread(thread_id=thread_id), (ThreadSummary, NoneType))
            except KernelError as error:
                raise UnreadableThreadError(f"thread {thread_id} cannot be looked up: {error}") from error
            if summary is None or summary.path is None:
                raise UnknownThreadError(thread_id)
            return await self._begin(Role(thread_id=thread_id, path=summary.path, feed=self._feed(thread_id)))
        finally:
            self._tell_change(thread_id)

    async def _begin(self, role: Role) -> Address[SessionCommand]:
        thread_id = role.thread_id
        role.on_life = lambda: self._tell_change(thread_id)

        async def life(ctx: Context, *, task_status: trio.TaskStatus[Address[SessionCommand]]) -> None:
            await run(ctx, self._means, role, task_status=task_status)
            self._over(role)

        self._roles[thread_id] = role
        try:
            return await self._sessions.start_child(thread_id, life, kind="session")
        except Exception as error:
            self._refuse_if_closing()
            cause = error.__cause__ or error
            text = cause.failure.message if isinstance(cause, StorageError) else str(cause) or type(cause).__name__
            raise UnreadableThreadError(f"thread {thread_id} cannot be loaded: {text}") from error
        finally:
            if role.lives == 0 and self._roles.get(thread_id) is role:
                del self._roles[thread_id]

    def _over(self, role: Role) -> None:
        """The thread is unloaded. May be called twice."""
        if self._roles.get(role.thread_id) is not role:
            return
        del self._roles[role.thread_id]
        self._idle_since.pop(role.thread_id, None)
        role.feed.close()
        self._tell_change(role.thread_id)

    def _feed(self, thread_id: ThreadId) -> Feed:
        epoch = self._means.ports.entropy.token(6).hex()
        return Feed(thread_id, epoch, self._encoder, everywhere=self._everywhere)

    def _change(self, thread_id: ThreadId) -> trio.Event:
        return self._changed.setdefault(thread_id, trio.Event())

    def _tell_change(self, thread_id: ThreadId) -> None:
        event = self._changed.pop(thread_id, None)
        if event is not None:
            event.set()

    def _refuse_if_closing(self) -> None:
        if self._closing:
            raise UnreadableThreadError("the daemon is shutting down; try again when it is up")

    # --- idleness ---------------------------------------------------------------------------------------------------

    def _overdue(self) -> list[ThreadId]:
        """The threads that nobody has needed for long enough."""
        now = self._means.ports.clock.monotonic()
        overdue: list[ThreadId] = []
        for thread_id, role in self._roles.items():
            if role.ending or not _unneeded(role):
                self._idle_since.pop(thread_id, None)
            elif now - self._idle_since.setdefault(thread_id, now) >= self._delay:
                overdue.append(thread_id)
        return overdue

    async def _quiet(self) -> None:
        """Return when no turn runs, but for those that wait for people."""
        while True:
            step = trio.Event()
            busy = [role.shell for role in self._roles.values() if role.shell is not None and _busy(role.shell.state)]
            if not busy:
                return
            for shell in busy:
                shell.on_step = step.set
            await step.wait()
            for shell in busy:
                shell.on_step = None


def _unneeded(role: Role) -> bool:
    shell = role.shell
    return (
        shell is not None
        and role.feed.subscribers == 0
        and shell.state.turn is None
        and not shell.state.terminals
        and all(each.told is not None for each in shell.state.spawned)
        and shell.outbox.idle
    )


def _busy(state: SessionState) -> bool:
    return state.turn is not None and not only_people_missing(state.turn)


def _summary(meta: SessionMeta, path: str | None) -> ThreadSummary:
    return ThreadSummary(
        id=meta.thread_id,
        path=path,
        cwd=meta.cwd,
        preview="",
        name=None,
        provider=meta.settings.provider,
        model=meta.settings.model,
        source=meta.source,
        created_at=meta.created_at,
        updated_at=meta.created_at,
        cli_version=meta.cli_version,
        originator=meta.originator,
        thread_source=meta.thread_source,
        git_branch=meta.git_branch,
        git_commit=meta.git_commit,
        git_origin=meta.git_origin,
        ephemeral=path is None,
    )
