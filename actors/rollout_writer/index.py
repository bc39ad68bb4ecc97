"""The index of threads: derived from the rollouts, rebuilt from them whenever in doubt. Blocking; one thread at a time.

One SQLite table of summaries. It answers lists, searches and lookups without opening a rollout. Each row says how long
the rollout was that it was made from: appends of ours change row and length together, anything else makes the lengths
differ, and then the row is made anew from the file. So a crash between a commit and the index costs a second look, and
a lost or corrupt index costs a rebuild, never an answer that is wrong for good.

This module is the only one that touches SQLite, and with it the file system beside the ports: in a simulation it is
given ``:memory:``.

Rejected: reading the heads of all rollouts for each list (10,000 files), and an index as the truth (two truths).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Literal, assert_never

import msgspec

from actors.ports import Files
from actors.rollout_writer.lines import format_time
from actors.rollout_writer.loaded import preview_of
from actors.rollout_writer.parsing import parse_time
from messages.base import ThreadId
from messages.client.item import UserMessage
from messages.log import (
    ItemShown,
    ListThreads,
    Record,
    SessionMeta,
    ThreadNamed,
    ThreadPage,
    TurnContext,
    TurnOpened,
    UsageRecorded,
)
from messages.session import ThreadSummary

SCHEMA_VERSION = 1
"""Another version of the table is thrown away and rebuilt."""

MAX_PAGE = 200
"""Threads in one page, whatever was asked for."""

_COLUMNS = (
    "id",
    "path",
    "cwd",
    "preview",
    "name",
    "provider",
    "model",
    "source",
    "created_at",
    "updated_at",
    "cli_version",
    "git_branch",
    "git_commit",
    "git_origin",
    "total_tokens",
    "turns",
)

_SCHEMA = """
create table thread (
    id text primary key,
    path text not null,
    cwd text not null,
    preview text not null,
    name text,
    provider text not null,
    model text not null,
    source text not null,
    created_at real not null,
    updated_at real not null,
    cli_version text not null,
    git_branch text,
    git_commit text,
    git_origin text,
    total_tokens integer not null,
    turns integer not null,
    length integer not null,
    modified_at real
) strict, without rowid;
create index thread_path on thread (path);
create index thread_created on thread (cast(created_at * 1000 as integer), id);
create index thread_updated on thread (cast(updated_at * 1000 as integer), id);
"""


IndexUnusableError = sqlite3.Error
"""The database failed; what it held can be read from the rollouts again."""


class BadCursorError(ValueError):
    """A page was asked for after something that is no cursor of ours."""

    def __init__(self, cursor: str) -> None:
        super().__init__(f"invalid cursor: {cursor}")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What appending some records to a rollout changes in its row."""

    path: str
    base_length: int
    length: int
    at: float
    meta: SessionMeta | None = None
    cwd: str | None = None
    provider: str | None = None
    model: str | None = None
    preview: str = ""
    name: str | None = None
    total_tokens: int | None = None
    turns: int = 0


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """Which state of a file a row was made from. ``modified_at`` None: an append of ours, the length says it all."""

    length: int
    modified_at: float | None


def change_of(path: str, records: Iterable[Record], *, base_length: int, length: int, at: float) -> Change:
    """What these records, appended at ``at``, change."""
    found: dict[str, Any] = {}
    turns = 0
    for record in records:
        match record:
            case TurnOpened():
                turns += 1
            case SessionMeta():
                found.setdefault("meta", record)
            case TurnContext(settings=settings):
                for field in ("cwd", "provider", "model"):
                    if value := getattr(settings, field):  # empty where it was recorded elsewhere without one
                        found[field] = value
            case ItemShown(item=UserMessage() as message) if not found.get("preview"):
                found["preview"] = preview_of(message)
            case UsageRecorded():
                found["total_tokens"] = record.total.total
            case ThreadNamed():
                found["name"] = record.name
            case _:
                pass  # tells a list nothing
    return Change(path=path, base_length=base_length, length=length, at=at, turns=turns, **found)


def summary_of(change: Change, meta: SessionMeta) -> ThreadSummary:
    """The summary of a thread of which ``change`` is all there is."""
    return ThreadSummary(
        id=meta.thread_id,
        path=change.path,
        cwd=change.cwd or meta.cwd,
        preview=change.preview,
        name=change.name,
        provider=change.provider or meta.settings.provider,
        model=change.model or meta.settings.model,
        source=meta.source,
        created_at=meta.created_at,
        updated_at=change.at,
        cli_version=meta.cli_version,
        git_branch=meta.git_branch,
        git_commit=meta.git_commit,
        git_origin=meta.git_origin,
        total_tokens=change.total_tokens or 0,
        turns=change.turns,
    )


OTHERS = 0o077


class ThreadIndex:
    """An open index."""

    __slots__ = ("_db", "rebuilt_because")

    def __init__(self, path: str, files: Files) -> None:
        """Open or create ``path`` (``:memory:`` for none). One that cannot be used is thrown away and begun anew, and
        ``rebuilt_because`` says why. Raises sqlite3.Error or OSError when not even that is possible."""
        self.rebuilt_because: str | None = None
        try:
            self._db = self._open(path, files)
        except sqlite3.DatabaseError as error:
            self.rebuilt_because = f"the index {path} could not be used ({error}); it is rebuilt from the rollouts"
            for name in (path, f"{path}-wal", f"{path}-shm"):
                with contextlib.suppress(FileNotFoundError):
                    files.remove(name)
            self._db = self._open(path, files)

    @staticmethod
    def _open(path: str, files: Files) -> sqlite3.Connection:
        if path != ":memory:":
            # SQLite would make it for everybody; its journals get the rights that the file itself has.
            files.open_append(path).close()
            stat = files.stat(path)
            if stat is not None and stat.mode & OTHERS:
                raise sqlite3.DatabaseError("others can read it")
        # Its users take turns (a limiter of one), from whichever worker thread is free.
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            db.execute("pragma journal_mode=wal")
            db.execute("pragma synchronous=off")  # derived: whatever power loss takes is read from the files again
            [(version,)] = db.execute("pragma user_version").fetchall()
            if version != SCHEMA_VERSION:
                db.executescript(f"drop table if exists thread; {_SCHEMA} pragma user_version={SCHEMA_VERSION};")
            db.execute("select count(*), max(updated_at) from thread").fetchall()
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        self._db.close()

    # --- keeping it true ----------------------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change]) -> list[str]:
        """Take in what was appended. Returns the paths whose rows do not fit and have to be made from the file."""
        stale: list[str] = []
        with self._transaction():
            for change in changes:
                if change.base_length == 0 and change.meta is not None:
                    self._insert(change, change.meta)
                elif not self._update(change):
                    stale.append(change.path)
        return stale

    def replace(self, rows: Iterable[tuple[ThreadSummary, Known]]) -> None:
        """Rows made from whole files."""
        names = ", ".join((*_COLUMNS, "length", "modified_at"))
        marks = ", ".join("?" * (len(_COLUMNS) + 2))
        with self._transaction():
            self._db.executemany(
                f"insert or replace into thread ({names}) values ({marks})",  # noqa: S608  # our own column names
                [(*_row(summary), known.length, known.modified_at) for summary, known in rows],
            )

    def forget(self, paths: Iterable[str]) -> None:
        """Files that are no more."""
        with self._transaction():
            self._db.executemany("delete from thread where path = ?", [(path,) for path in paths])

    def known(self) -> dict[str, Known]:
        """By path, which state of the file each row was made from."""
        rows = self._db.execute("select path, length, modified_at from thread")
        return {path: Known(length=length, modified_at=modified_at) for path, length, modified_at in rows}

    def _insert(self, change: Change, meta: SessionMeta) -> None:
        self.replace(((summary_of(change, meta), Known(length=change.length, modified_at=None)),))

    def _update(self, change: Change) -> bool:
        done = self._db.execute(
            "update thread set length = ?, modified_at = null, updated_at = max(updated_at, ?), turns = turns + ?, "
            "cwd = coalesce(?, cwd), provider = coalesce(?, provider), model = coalesce(?, model), "
            "preview = case preview when '' then ? else preview end, name = coalesce(?, name), "
            "total_tokens = coalesce(?, total_tokens) where path = ? and length = ?",
            (
                change.length,
                change.at,
                change.turns,
                change.cwd,
                change.provider,
                change.model,
                change.preview,
                change.name,
                change.total_tokens,
                change.path,
                change.base_length,
            ),
        )
        return done.rowcount == 1

    def _transaction(self) -> contextlib.AbstractContextManager[None]:
        return _Transaction(self._db)

    # --- answering ----------------------------------------------------------------------------------------------

    def find(self, thread_id: ThreadId) -> ThreadSummary | None:
        """One thread, with or without a user message."""
        row = self._db.execute(f"{_SELECT} where id = ?", (thread_id,)).fetchone()
        return _summary(row) if row else None

    def page(self, request: ListThreads) -> ThreadPage:
        """One page of the threads that have a user message. Raises BadCursorError.

        A cursor is ``<RFC 3339 time>|<thread id>`` of the last thread shown, preceded by ``<`` when it asks for the
        page before.
        """
        backwards = request.cursor is not None and request.cursor.startswith("<")
        ascending = request.ascending != backwards
        where, values = _filters(request)
        limit = max(1, min(request.limit, MAX_PAGE))
        if request.cursor is not None:
            at, thread_id = _parse_cursor(request.cursor)
            where.append(f"({_MILLIS[request.sort_by]}, id) {'>' if ascending else '<'} (?, ?)")
            values += [at, thread_id]
        direction = "asc" if ascending else "desc"
        order = f"order by {_MILLIS[request.sort_by]} {direction}, id {direction} limit ?"
        rows = self._db.execute(f"{_SELECT} where {' and '.join(where)} {order}", (*values, limit + 1)).fetchall()
        threads = [_summary(row) for row in rows[:limit]]
        more = len(rows) > limit
        if backwards:
            threads.reverse()
        # Where this page was come to from somewhere, there is something in that direction.
        has_next = more if not backwards else True
        has_previous = more if backwards else request.cursor is not None
        return ThreadPage(
            threads=tuple(threads),
            next_cursor=_cursor(threads[-1], request.sort_by) if threads and has_next else None,
            previous_cursor="<" + _cursor(threads[0], request.sort_by) if threads and has_previous else None,
        )


class _Transaction:
    """``begin`` to ``commit``, or rolled back; nested ones belong to the outer."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._outer = db.in_transaction

    def __enter__(self) -> None:
        if not self._outer:
            self._db.execute("begin immediate")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> Literal[False]:
        if not self._outer:
            self._db.execute("commit" if kind is None else "rollback")
        return False


_SELECT = f"select {', '.join(_COLUMNS)} from thread"  # noqa: S608  # our own column names

_MILLIS = {
    "created_at": "cast(created_at * 1000 as integer)",
    "updated_at": "cast(updated_at * 1000 as integer)",
}
"""Cursors hold whole milliseconds, so lists are ordered by them too: else a page could begin with the last one's end.
Written as in the indexes, or SQLite would not use them."""


def _row(summary: ThreadSummary) -> tuple[Any, ...]:
    return tuple(getattr(summary, column) for column in _COLUMNS)


def _summary(row: tuple[Any, ...]) -> ThreadSummary:
    return ThreadSummary(**dict(zip(_COLUMNS, row, strict=True)))


def _filters(request: ListThreads) -> tuple[list[str], list[Any]]:
    where = ["preview <> ''"]
    values: list[Any] = []
    if request.cwd is not None:
        where.append("cwd = ?")
        values.append(request.cwd)
    for column, wanted in (("provider", request.providers), ("source", request.sources)):
        if wanted:
            where.append(f"{column} in ({', '.join('?' * len(wanted))})")
            values += wanted
    for word in (request.search or "").split():
        where.append("(preview like ? escape '\\' or name like ? escape '\\' or cwd like ? escape '\\')")
        values += [f"%{_literally(word)}%"] * 3
    return where, values


def _literally(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _cursor(summary: ThreadSummary, sort_by: Literal["created_at", "updated_at"]) -> str:
    match sort_by:
        case "created_at":
            at = summary.created_at
        case "updated_at":
            at = summary.updated_at
        case _:
            assert_never(sort_by)
    return f"{format_time(int(at * 1000) / 1000)}|{summary.id}"


def _parse_cursor(cursor: str) -> tuple[int, str]:
    stamp, found, thread_id = cursor.removeprefix("<").partition("|")
    at = parse_time(stamp)
    if not found or at is None or not thread_id:
        raise BadCursorError(cursor)
    return round(at * 1000), thread_id
