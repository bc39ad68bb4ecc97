"""Server-sent events, decoded from bytes as they come (WHATWG HTML §9.2.6). Sans-IO: `feed` bytes, get events.

Where the standard and model servers differ in use: nothing here needs an ``event:`` line; ``id:`` and ``retry:`` are
ignored, since a model's stream cannot be resumed; the data stays bytes, because the JSON decoder wants bytes.

How it is fast: a model server's event is nearly always one ``data:`` line, perhaps after an ``event:`` line, with LF as
line ends. A chunk that is one such event and begins like the last one is not even cut. Any other input is cut at blank
lines by one `split`, and that shape is recognised by prefix; everything else takes the careful path, line by line. CR
and CRLF are turned into LF first, which only a chunk that holds a CR pays for.
Only new bytes are searched for the end of an event, so that one of many megabytes does not cost its square.

Rejected: httpx2's EventSource and httpx-sse (a task switch and 8 µs per event), and decoding to text first (a character
may be cut in two, and the JSON decoder would encode it again).
"""

from __future__ import annotations

import msgspec

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""One event. Image partials and web-search results are some 100 KB; OpenAI's largest terminal events a few MB."""

MAX_EVENT_NAMES = 64
"""Distinct event names kept decoded. The three wires together have about 60; a hostile server gets no more memory."""

MAX_USUAL_BYTES = 128
"""Of an event before its data: the longest ``event:`` line of the three wires has 60."""

NEWLINE = 0x0A

_BOM = b"\xef\xbb\xbf"


class SseEvent(msgspec.Struct, frozen=True, gc=False):
    """One event: its ``event:`` name, if it had one, and its ``data:`` lines joined with LF."""

    event: str | None
    data: bytes


class SseEventTooLargeError(Exception):
    """The server sent an event beyond the limit. The decoder is of no use after it."""


class SseDecoder:
    """One stream. An event is complete with the blank line after it."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = max_event_bytes
        self._held = bytearray()
        """What has come of the event under way; it holds no blank line."""
        self._skip_newline = False
        """The last byte was a CR, already counted as a line end: an LF right after it belongs to it."""
        self._start: bytes | None = b""
        """The first bytes, as long as they might be a byte order mark; then None."""
        self._names: dict[bytes, str] = {}
        self._usual = b"data: "
        """What the last event that came alone began with, up to its data; the next one probably begins so, too."""
        self._usual_length = len(self._usual)
        self._usual_name: str | None = None

    @property
    def pending_bytes(self) -> int:
        """How much of an unfinished event is held."""
        return len(self._held) + len(self._start or b"")

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """The events that ``chunk`` completed. Raises SseEventTooLargeError."""
        if chunk.startswith(self._usual) and self._start is None and not self._held and not self._skip_newline:
            end = chunk.find(b"\n", self._usual_length)
            if end == len(chunk) - 2 and chunk[-1] == NEWLINE and b"\r" not in chunk and end <= self._limit:
                return [SseEvent(self._usual_name, chunk[self._usual_length : end])]
        return self._feed_any(chunk)

    def _feed_any(self, chunk: bytes) -> list[SseEvent]:
        if self._start is not None:
            chunk = self._start + chunk
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._start = chunk
                return []
            self._start = None
            chunk = chunk.removeprefix(_BOM)
        if self._skip_newline and chunk:
            self._skip_newline = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._skip_newline = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not chunk:
            return []

        held = self._held
        if held:
            straddles = held.endswith(b"\n") and chunk.startswith(b"\n")
            held += chunk
            if not straddles and b"\n\n" not in chunk:
                if len(held) > self._limit:
                    raise self._too_large(len(held))
                return []
            chunk = bytes(held)
            held.clear()
        blocks = chunk.split(b"\n\n")
        if rest := blocks.pop():
            held += rest
            if not blocks and len(rest) <= self._limit:
                return []
        if len(chunk) > self._limit:
            largest = max(map(len, (rest, *blocks)))
            if largest > self._limit:
                raise self._too_large(largest)
        events = self._decode(blocks)
        if len(blocks) == 1:
            self._expect(blocks[0])
        return events

    def finish(self) -> list[SseEvent]:
        """At the end of the stream: the last event, if only its blank line is missing.

        The standard drops it. Some servers leave the blank line out after their final event, and a reader of JSON
        tells a whole object from half a one by itself.
        """
        last = bytes(self._held)
        self._held.clear()
        return self._decode([last.removesuffix(b"\n")] if last else [])

    def _decode(self, blocks: list[bytes]) -> list[SseEvent]:
        events: list[SseEvent] = []
        for block in blocks:
            if block.startswith(b"data: ") and b"\n" not in block:
                events.append(SseEvent(None, block[6:]))
                continue
            if block.startswith(b"event: "):
                end = block.find(b"\n")
                if end > 7 and block.startswith(b"data: ", end + 1) and block.find(b"\n", end + 1) < 0:
                    events.append(SseEvent(self._name(block[7:end]), block[end + 7 :]))
                    continue
            event = self._decode_lines(block)
            if event is not None:
                events.append(event)
        return events

    def _expect(self, block: bytes) -> None:
        """A model that types sends one event at a time, and the next is mostly of the same name."""
        end = block.find(b"data: ", 0, MAX_USUAL_BYTES)
        if end < 0:
            return
        before = block[:end]
        if before and not (before.startswith(b"event: ") and before.find(b"\n") == end - 1 > 7):
            return
        self._usual = before + b"data: "
        self._usual_length = len(self._usual)
        self._usual_name = self._name(before[7:-1]) if before else None

    def _decode_lines(self, block: bytes) -> SseEvent | None:
        """Any event, by the standard's rules for lines."""
        name: bytes | None = None
        data: list[bytes] = []
        for line in block.split(b"\n"):
            field, _, value = line.partition(b":")
            if field == b"data":
                data.append(value.removeprefix(b" "))
            elif field == b"event":
                name = value.removeprefix(b" ")
        if not data:
            return None  # comments, or a name alone
        return SseEvent(self._name(name) if name else None, b"\n".join(data))

    def _name(self, raw: bytes) -> str:
        name = self._names.get(raw)
        if name is None:
            name = raw.decode("utf-8", "replace")
            if len(self._names) < MAX_EVENT_NAMES:
                self._names[raw] = name
        return name

    def _too_large(self, size: int) -> SseEventTooLargeError:
        return SseEventTooLargeError(f"the server sent an event of {size} bytes or more; the limit is {self._limit}")
