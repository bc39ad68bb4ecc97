"""The rollout writer: one actor that owns every rollout, the checkpoint journal and the index of threads.

    sessions ──Append──▶ mailbox ──▶ Commits (core) ──Job──▶ thread: write, sync ──▶ Commits ──Appended──▶ sessions
    sessions ──register──▶ TextCheckpoints ──every 200 ms──▶ thread: one write to the journal
    gateway  ──ListThreads, FindThread──▶ Keeper ──▶ thread: SQLite

Loading a thread is not asked of this actor: reading needs no owner (`reader.load_thread`).

The first one of a process starts by saving what the journal of a former process holds, before it takes the first
append, so that sessions find it in the rollouts that they load. Asked to end, it writes what it has taken, syncs all,
and returns.
"""

from __future__ import annotations

import logging
from typing import assert_never

import msgspec
import trio

from actors.kernel import Context, Mailbox, Reply, Service
from actors.kernel.signals import Shutdown
from actors.ports import Ports
from actors.rollout_writer.checkpoints import CHECKPOINT_SECONDS, SEGMENT_BYTES, TextCheckpoints
from actors.rollout_writer.core import MAX_JOBS, Answer, Commits, Durability, Effect, Entry, Job, Outcome, failed
from actors.rollout_writer.disk import RolloutFile, perform
from actors.rollout_writer.index import BadCursorError
from actors.rollout_writer.journal import Journal, next_segment, recover_journal
from actors.rollout_writer.keeper import Keeper
from actors.rollout_writer.lines import UnencodableError, encode
from messages.log import Append, FindThread, ListThreads, LogRequest

ROLLOUT_WRITER: Service[LogRequest | Shutdown] = Service("rollout_writer")

SYNC_SECONDS = 1.0
"""Between syncs of what nobody waits for: what power loss may cost at most. Twice as often would double the disk's
work for half a second of a conversation."""

MAILBOX_CAPACITY = 1024
"""Appends. A session has one under way, so this is as many sessions as write within a few milliseconds."""

MAX_WAITING = 4096
"""Appends taken and not yet written. Beyond it the mailbox fills up and senders wait: the disk cannot keep up."""

logger = logging.getLogger(__name__)

_Reply = Reply | None


class WriterOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How this daemon keeps its log."""

    home: str
    durability: Durability = "full"
    index_path: str | None = None
    """Of the SQLite index; below ``home`` unless given. ``:memory:`` in a simulation."""
    sync_seconds: float = SYNC_SECONDS


async def run(
    ctx: Context,
    ports: Ports,
    options: WriterOptions,
    checkpoints: TextCheckpoints,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Write until asked to end. A defect ends it: its appends can be repeated by the next life."""
    mailbox: Mailbox[LogRequest | Shutdown] = ctx.open_mailbox(capacity=MAILBOX_CAPACITY)
    segment = await _first_segment(ports, options.home, checkpoints)
    handles: dict[str, RolloutFile] = {}
    try:
        async with trio.open_nursery() as nursery:
            writer = _Writer(ports, options, nursery, handles)
            nursery.start_soon(writer.keeper.run)
            nursery.start_soon(writer.sync_regularly)
            nursery.start_soon(_keep_journal, ports, options.home, checkpoints, segment)
            ctx.publish(ROLLOUT_WRITER, mailbox.address)
            ctx.shutdown_to(mailbox.address)
            ctx.state = "writing"
            task_status.started()
            while await writer.take(await mailbox.receive()):
                pass
            await writer.finish()
            nursery.cancel_scope.cancel()
    finally:
        # Not before the nursery has ended: a thread may still be writing. The operating system has what was written.
        for file in handles.values():
            file.close()


async def _first_segment(ports: Ports, home: str, checkpoints: TextCheckpoints) -> int:
    """The number of the journal's next segment, once what a former process left is saved.

    A writer that has crashed and starts anew leaves the rollouts alone: records of its own would take ordinals that
    living sessions have given to theirs, whose appends would be dropped as repeated. It writes all that is open into a
    segment of its own; the old one is read, or found to be worth nothing, at the next start of the process.
    """
    if checkpoints.recovered:
        checkpoints.rewind()
        return await ports.threads.run(_next_segment, ports, home)
    segment = await ports.threads.run(
        lambda: recover_journal(ports.files, home, at=ports.clock.now(), warn=logger.warning)
    )
    checkpoints.recovered = True
    return segment


def _next_segment(ports: Ports, home: str) -> int:
    try:
        return next_segment(ports.files, home)
    except OSError as error:
        logger.warning("the checkpoint journal cannot be listed (%s); it goes on in its first segment", error)
        return 1


class _Writer:
    """Performs what `Commits` decides."""

    def __init__(
        self, ports: Ports, options: WriterOptions, nursery: trio.Nursery, handles: dict[str, RolloutFile]
    ) -> None:
        self.keeper = Keeper(ports, options.home, path=options.index_path, warn=logger.warning)
        self._ports = ports
        self._sync_seconds = options.sync_seconds
        self._nursery = nursery
        self._commits: Commits[_Reply] = Commits(durability=options.durability)
        self._handles = handles
        self._limiter = trio.CapacityLimiter(MAX_JOBS + 1)
        self._waiting = 0
        self._progress = trio.Event()
        """Replaced whenever a job ends."""
        self._dirtied = trio.Event()

    async def take(self, batch: list[tuple[LogRequest | Shutdown, _Reply]]) -> bool:
        """Begin on a batch of messages. False: it was the last."""
        entries: list[Entry[_Reply]] = []
        go_on = True
        for message, reply in batch:
            match message:
                case Append():
                    entry = self._encoded(message, reply)
                    if entry is not None:
                        entries.append(entry)
                case ListThreads():
                    self._nursery.start_soon(self._list, message, reply)
                case FindThread():
                    self._nursery.start_soon(self._find, message, reply)
                case Shutdown():
                    go_on = False
                case _:
                    assert_never(message)
        if entries:
            self._waiting += len(entries)
            self._perform(self._commits.append(entries))
        while self._waiting >= MAX_WAITING:
            await self._progress.wait()
        return go_on

    async def sync_regularly(self) -> None:
        """Sync what nobody waits for, a while after it was written."""
        while True:
            await self._dirtied.wait()
            await trio.sleep(self._sync_seconds)
            self._dirtied = trio.Event()
            self._perform(self._commits.sync_due())

    async def finish(self) -> None:
        """All that was taken is written and synced, and the files are let go."""
        await self._quiet()
        self._perform(self._commits.close_all())
        await self._quiet()
        await self.keeper.close()

    async def _quiet(self) -> None:
        while not self._commits.idle:
            await self._progress.wait()

    def _encoded(self, message: Append, reply: _Reply) -> Entry[_Reply] | None:
        try:
            lines = encode(
                message.records, thread_id=message.thread_id, first_ordinal=message.first_ordinal, at=message.at
            )
        except UnencodableError as error:
            logger.error("%s: records that break the format: %s", message.path, error)  # noqa: TRY400 # the text is all
            if reply is not None:
                reply.answer(failed(message, f"{message.path}: {error}", kind="internal"))
            return None
        return Entry(append=message, lines=lines, reply=reply)

    def _perform(self, effects: list[Effect[_Reply]]) -> None:
        for effect in effects:
            match effect:
                case Answer():
                    if effect.reply is not None:
                        effect.reply.answer(effect.message)
                case Job():
                    self._nursery.start_soon(self._run, effect)
                case _:
                    assert_never(effect)

    async def _run(self, job: Job[_Reply]) -> None:
        outcomes = await self._ports.threads.run(perform, self._ports.files, self._handles, job, limiter=self._limiter)
        self._perform(self._commits.done(job, outcomes))
        for outcome in outcomes:
            self._follow_up(outcome)
        progress, self._progress = self._progress, trio.Event()
        progress.set()

    def _follow_up(self, outcome: Outcome[_Reply]) -> None:
        self._waiting -= len(outcome.answers)
        if outcome.error is not None:
            logger.error("a rollout could not be made durable, it is tried again: %s", outcome.error)
            self._dirtied.set()
        if outcome.partly:
            self.keeper.doubt(outcome.path)
        elif outcome.written:
            records = [record for append in outcome.written for record in append.records]
            self.keeper.note(
                outcome.path,
                records,
                base_length=outcome.base_length,
                length=outcome.length,
                at=outcome.written[-1].at,
            )
        if outcome.written and not outcome.synced:
            self._dirtied.set()

    async def _list(self, message: ListThreads, reply: _Reply) -> None:
        try:
            page = await self.keeper.page(message)
        except BadCursorError as error:
            if reply is not None:
                reply.fail(error)
            return
        if reply is not None:
            reply.answer(page)

    async def _find(self, message: FindThread, reply: _Reply) -> None:
        found = await self.keeper.find(message.thread_id)
        if reply is not None:
            reply.answer(found)


async def _keep_journal(ports: Ports, home: str, checkpoints: TextCheckpoints, segment: int) -> None:
    """Write down what is being shown, for as long as anything is."""
    journal = Journal(ports.files, home, segment)
    limiter = trio.CapacityLimiter(1)
    begun = trio.Event()
    checkpoints.on_first = lambda: begun.set()
    sound = True
    while True:
        if not len(checkpoints):
            if journal.size:
                await ports.threads.run(journal.start_over, limiter=limiter)
            begun = trio.Event()
            if not len(checkpoints):
                await begun.wait()
        await trio.sleep(CHECKPOINT_SECONDS)
        over = not sound or journal.size > SEGMENT_BYTES
        if over:
            checkpoints.rewind()
        lines = checkpoints.take()
        if not lines:
            continue
        try:
            await ports.threads.run(journal.start_over if over else journal.append, lines, limiter=limiter)
            sound = True
        except OSError as error:
            if sound:
                logger.warning("text cannot be checkpointed (%s); it is tried again", error)
            sound = False
