"""One life of a session: from its log to its loop.

A session that crashed is started again by its supervisor. The next life reads the thread from its log, appends what
`rollout_writer.recovery` decides about whatever was left open, tells those who watch how it ended, and goes on; the
feed stays the same one, because it belongs to the thread. Only a new thread, and one that is never written to disk,
begin from the state they were made with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import trio

from actors.kernel import Address, Children, Context, Mailbox, ServiceAddress
from actors.ports import Ports
from actors.rollout_writer.checkpoints import TextCheckpoints
from actors.rollout_writer.handle_store import HandleStore
from actors.rollout_writer.loaded import LoadedThread
from actors.rollout_writer.recovery import recover
from actors.session import restore, retelling
from actors.session.children import MAILBOX_CAPACITY, SESSION_END_SECONDS, Crew, Inlet
from actors.session.effects import Effect, Instant, PartialText
from actors.session.feed import Feed
from actors.session.outbox import Outbox
from actors.session.shell import SessionMessage, Shell, Signal
from actors.session.state import SessionState
from actors.session.troupe import Troupe, so_far
from actors.session.views import doing
from messages.base import ItemId, ThreadId
from messages.failure import Failure
from messages.log import Append, Appended, AppendFailed, LogRequest, Record, SessionMeta
from messages.session import SessionCommand, Warned


class StorageError(Exception):
    """The thread's first record could not be written."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What all sessions of a daemon share."""

    ports: Ports
    log: ServiceAddress[LogRequest]
    load: Callable[[str], Awaitable[LoadedThread]]
    """Read the rollout at a path as it is on disk (`rollout_writer.reader.load_thread`, never a settled view of it: the
    session itself decides what recovery adds, and appends it). Raises OSError."""
    records: Callable[[str, int], Awaitable[tuple[Record, ...]]]
    """The records of the rollout at a path from an ordinal on. Raises OSError."""
    crew: Crew
    checkpoints: TextCheckpoints


class Role:
    """One loaded thread, through all the lives of its session."""

    __slots__ = ("address", "ending", "feed", "first", "lives", "meta", "on_life", "path", "shell", "thread_id")

    def __init__(
        self,
        *,
        thread_id: ThreadId,
        path: str | None,
        feed: Feed,
        meta: SessionMeta | None = None,
        first: SessionState | None = None,
    ) -> None:
        self.thread_id = thread_id
        self.path = path
        """None: the thread is never written to disk."""
        self.feed = feed
        self.meta = meta
        """To be written as the first record of a new thread."""
        self.first = first
        """What a thread without a log begins with."""
        self.lives = 0
        self.ending = False
        """It is being unloaded; whoever wants it waits for that and loads it again."""
        self.address: Address[SessionCommand] | None = None
        """Of the life that goes on now or ended last."""
        self.shell: Shell | None = None
        self.on_life: Callable[[], None] = _nobody
        """Called when a life has begun."""


def _nobody() -> None:
    """Nobody waits for a life."""


class _Shown:
    """The texts that an earlier life left in the feed (`effects.Texts`)."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def partial(self, item_id: ItemId) -> tuple[PartialText, ...]:
        return tuple(map(so_far, self._feed.partial_texts(item_id)))


async def run(ctx: Context, means: Means, role: Role, *, task_status: trio.TaskStatus[Address[SessionCommand]]) -> None:
    """Live until closed. Raises StorageError when a new log cannot be begun, OSError when one cannot be read."""
    mailbox: Mailbox[SessionMessage | Signal] = ctx.open_mailbox(capacity=MAILBOX_CAPACITY)
    state, outbox, effects = await _open(means, role)
    async with Children(ctx) as children:
        inlet = Inlet(mailbox.address)
        handles = None if role.path is None else HandleStore(means.ports, role.path)
        troupe = Troupe(means.crew, children, mailbox.address, inlet, role.thread_id, means.ports.clock, handles)
        shell = Shell(
            ctx=ctx,
            ports=means.ports,
            log=means.log,
            address=mailbox.address,
            inlet=inlet,
            feed=role.feed,
            path=role.path,
            state=state,
            outbox=outbox,
            troupe=troupe,
            checkpoints=means.checkpoints,
        )
        if role.lives == 0:
            role.feed.dropped_ordinal = outbox.ordinal
            retelling.tell_open(role.feed, state, outbox.ordinal)
        role.lives += 1
        if role.path is not None:
            role.first = None
        role.shell, role.address = shell, mailbox.address
        ctx.shutdown_to(mailbox.address)
        task_status.started(mailbox.address)
        role.on_life()
        try:
            shell.put(effects)
            shell.pump()
            ctx.state = doing(shell.state)
            while not shell.stopped:
                for message, reply in await mailbox.receive():
                    shell.take(message, reply)
                shell.pump()
                ctx.state = doing(shell.state)
            if means.crew.session_ended is not None:
                with trio.move_on_after(SESSION_END_SECONDS):
                    await means.crew.session_ended(role.thread_id, shell.state.settings)
        finally:
            means.checkpoints.unregister_thread(role.thread_id)
        children.cancel("its session has ended")


async def _open(means: Means, role: Role) -> tuple[SessionState, Outbox, tuple[Effect, ...]]:
    """The state this life begins with, how far the log has come, and what to do first."""
    if role.first is not None:
        if role.path is None or role.meta is None:
            return role.first, Outbox(0), ()
        failure = await _append(means, role, 0, (role.meta,), barrier=False)
        if failure is not None:
            raise StorageError(failure)
        return role.first, Outbox(1), ()
    now = Instant(now=means.ports.clock.now(), date="", texts=_Shown(role.feed))
    assert role.path is not None, "a thread without a log has a state to begin with"
    if role.shell is not None:
        # What the former life sent to the log and did not live to see there must be there before it is read.
        await _append(means, role, role.shell.outbox.ordinal, (), barrier=False)
    loaded = await means.load(role.path)
    recovery = recover(loaded, at=now.now)
    ids = means.ports.entropy.uuid7()
    state, effects = restore.restored(loaded, recovery, ids=ids, offer=means.crew.offer, path=role.path, at=now)
    if role.lives:
        role.feed.new_writer()
        untold = await means.records(role.path, retelling.untold_from(role.feed))
        retelling.retell(role.feed, untold, state, loaded.next_ordinal)
    more = restore.unfinished(retelling.left_open(role.feed), recovery, state, now)
    state = restore.with_records(state, more)
    records = (*more, *recovery.records)
    outbox = Outbox(loaded.next_ordinal)
    if records:
        failure = await _append(means, role, loaded.next_ordinal, records, barrier=True)
        if failure is None:
            outbox.ordinal += len(records)
        else:
            outbox.keep(records)
    if role.lives:
        retelling.retell(role.feed, records, state, outbox.ordinal)
        if outbox.behind:
            role.feed.put(Warned(message="The log of this thread cannot be written."), ordinal=outbox.ordinal)
    return state, outbox, effects


async def _append(
    means: Means, role: Role, first_ordinal: int, records: tuple[Record, ...], *, barrier: bool
) -> Failure | None:
    assert role.path is not None
    answer = await means.log.ask(
        Append(
            thread_id=role.thread_id,
            path=role.path,
            first_ordinal=first_ordinal,
            at=means.ports.clock.now(),
            records=records,
            barrier=barrier,
        ),
        (Appended, AppendFailed),
    )
    return answer.failure if isinstance(answer, AppendFailed) else None
