"""Who did what: one JSON line for every client that came, was refused or left, and for all that was more than looking.

    {"at": …, "event": "request", "who": "ci", "token": "3f…", "connection": "connection-7", "peer": "10.0.0.5:51334",
     "method": "turn/start", …}

Names of methods and ids, never contents. Written in batches, off the loop; a disk that is full or slow costs lines,
which are counted and told of in the next one, never a client's time. The file is kept to `FILE_BYTES`, with one older
beside it.
"""

from __future__ import annotations

import logging
import posixpath
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec
import trio

from actors.ports import Ports
from actors.ports.files import AppendFile
from messages.access import Identity

logger = logging.getLogger(__name__)

AUDIT_FILE = "audit.jsonl"
OLDER_FILE = "audit.1.jsonl"

FILE_BYTES = 8 * 1024 * 1024
"""Some 40,000 lines: weeks of a person, a day of a busy machine."""

WAITING_LINES = 10_000
"""Not written yet; beyond it the oldest are dropped and counted."""

BATCH_SECONDS = 0.25
"""Lines of so long a time go out in one write."""

Event = Literal["connected", "refused", "left", "request", "denied", "answer"]


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line."""

    at: float
    event: Event
    connection: str
    peer: str | None = None
    """Where it comes from: an address, or the process and user at the other end of a Unix socket. Of a tunnel or a
    proxy it is that one's."""
    who: str | None = None
    token: str | None = None
    client: str | None = None
    method: str | None = None
    thread: str | None = None
    reason: str | None = None
    dropped: int = 0
    """Lines lost before this one."""


class Audit:
    """Takes lines, and writes them while `run` runs."""

    def __init__(self, ports: Ports, home: str) -> None:
        self._ports = ports
        self._path = posixpath.join(home, AUDIT_FILE)
        self._older = posixpath.join(home, OLDER_FILE)
        self._waiting: deque[Line] = deque()
        self._dropped = 0
        self._news = trio.Event()
        self._file: AppendFile | None = None
        self._peers: dict[str, str] = {}

    @contextmanager
    def visit(self, connection: str, peer: str) -> Iterator[None]:
        """Lines of this connection name ``peer``, as long as it is here."""
        self._peers[connection] = peer
        try:
            yield
        finally:
            del self._peers[connection]

    def note(
        self,
        event: Event,
        connection: str,
        *,
        who: Identity | None = None,
        client: str | None = None,
        method: str | None = None,
        thread: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Keep a line. Never waits, never raises."""
        if len(self._waiting) >= WAITING_LINES:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(
            Line(
                at=round(self._ports.clock.now(), 3),
                event=event,
                connection=connection,
                peer=self._peers.get(connection) or None,
                who=None if who is None else who.name,
                token=None if who is None else who.token_id,
                client=client,
                method=method,
                thread=thread,
                reason=reason,
            )
        )
        self._news.set()

    async def run(self) -> None:
        """Write until cancelled; what is there then is still written."""
        try:
            while True:
                await self._news.wait()
                await trio.sleep(BATCH_SECONDS)
                self._news = trio.Event()
                await self._write()
        finally:
            with trio.CancelScope(shield=True):  # one write to a local file
                await self._write()
                if self._file is not None:
                    await self._ports.threads.run(self._file.close)
                    self._file = None

    async def _write(self) -> None:
        lines = list(self._waiting)
        if not lines:
            return
        self._waiting.clear()
        if self._dropped:
            lines[0] = msgspec.structs.replace(lines[0], dropped=self._dropped)
        data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        try:
            await self._ports.threads.run(self._append, data)
            self._dropped = 0
        except OSError as error:
            self._dropped += len(lines)
            logger.warning("the audit log cannot be written: %s: %s", self._path, error.strerror or error)

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._file = self._ports.files.open_append(self._path)
        if self._file.size() + len(data) > FILE_BYTES and self._file.size() > 0:
            self._file.close()
            self._file = None
            self._ports.files.rename(self._path, self._older)
            self._file = self._ports.files.open_append(self._path)
        self._file.write(data)
