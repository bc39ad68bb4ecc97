"""Text on its way to clients, kept for after a crash: one journal for the whole daemon.

Sessions register the texts of their open items; a few times a second the writer takes what each has grown by since,
and appends it all in one write. A text is never a record of its rollout while it grows: that would cost every stream a
write of its own, and history is made of whole items only. At the next start what the journal holds is appended to the
rollouts as `TextCheckpoint` records, for display, wherever the item was not completed there.

The journal is for the death of the process, not of the machine: it is never synced. It starts over (a new segment, the
old one removed) when nothing is open any more, when it has grown large, or after a write failed.

Rejected: a timer per stream (as many wake-ups as streams), and checkpoints on the session's own appends (text must
never wake a session).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec
from msgspec.json import Decoder, Encoder

from actors.rollout_writer.loaded import LoadedThread
from actors.session.open_text import OpenText
from messages.base import ItemId, ThreadId, TurnId
from messages.client.item import AgentMessage, CommandExecution, Reasoning, ThreadItem
from messages.log import TextCheckpoint
from messages.model import TextChannel

CHECKPOINT_SECONDS = 0.2
"""Text must be on disk 250 ms after it was shown; this leaves 50 for the write."""

SEGMENT_BYTES = 8 * 1024 * 1024
"""Of one journal file. Beyond it only what is still open is written anew: seconds of a busy daemon's text."""

TEXT_CHARS = 1024 * 1024
"""Of one text. A command may print for ever; after a crash its first million characters are shown."""

CheckpointKind = Literal["message", "reasoning", "command"]
"""What the text belongs to. Arguments of a call are not text that anybody is shown."""


class Piece(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What one text grew by. ``offset`` in characters: pieces that do not join on are worth nothing."""

    thread_id: ThreadId
    turn_id: TurnId
    item_id: ItemId
    kind: CheckpointKind
    channel: TextChannel
    index: int
    offset: int
    text: str


_encode = Encoder().encode
_piece: Decoder[Piece] = Decoder(Piece)


class _Registered:
    __slots__ = ("item_id", "kind", "taken", "text", "thread_id", "turn_id")

    def __init__(
        self, thread_id: ThreadId, turn_id: TurnId, item_id: ItemId, kind: CheckpointKind, text: OpenText
    ) -> None:
        self.thread_id = thread_id
        self.turn_id = turn_id
        self.item_id = item_id
        self.kind: CheckpointKind = kind
        self.text = text
        self.taken = 0
        """Characters that are in the journal."""


class TextCheckpoints:
    """The texts that are open now. Sessions register them, the writer takes from them; all on the loop, never awaited.

    Register an item's text when it is shown as started, and unregister it when the log has its completion.
    """

    __slots__ = ("_texts", "on_first", "recovered")

    def __init__(self) -> None:
        self._texts: dict[tuple[ThreadId, ItemId], list[_Registered]] = {}
        self.recovered = False
        """What a former process left is in its rollouts. From then on these are the sessions': they give the ordinals,
        and a writer that starts anew in this process must append nothing of its own."""
        self.on_first: Callable[[], None] = _nobody
        """Called when there is something to watch again."""

    def __len__(self) -> int:
        return len(self._texts)

    def register(
        self, thread_id: ThreadId, turn_id: TurnId, item_id: ItemId, kind: CheckpointKind, text: OpenText
    ) -> None:
        """Watch a text. An item may have several: reasoning has one per part."""
        first = not self._texts
        self._texts.setdefault((thread_id, item_id), []).append(_Registered(thread_id, turn_id, item_id, kind, text))
        if first:
            self.on_first()

    def unregister(self, thread_id: ThreadId, item_id: ItemId) -> None:
        """Stop watching all texts of an item. May be called twice."""
        self._texts.pop((thread_id, item_id), None)

    def unregister_thread(self, thread_id: ThreadId) -> None:
        """Stop watching all texts of a thread: its session is gone."""
        for key in [key for key in self._texts if key[0] == thread_id]:
            del self._texts[key]

    def take(self) -> list[bytes]:
        """One journal line per text that grew since the last time."""
        lines: list[bytes] = []
        for texts in self._texts.values():
            for entry in texts:
                offset = entry.taken
                if entry.text.chars <= offset or offset >= TEXT_CHARS:
                    continue
                grown = entry.text.since(offset, TEXT_CHARS - offset)
                entry.taken = offset + len(grown)
                piece = Piece(
                    thread_id=entry.thread_id,
                    turn_id=entry.turn_id,
                    item_id=entry.item_id,
                    kind=entry.kind,
                    channel=entry.text.channel,
                    index=entry.text.index,
                    offset=offset,
                    text=grown,
                )
                lines.append(_encode(piece) + b"\n")
        return lines

    def rewind(self) -> None:
        """The next `take` gives everything from the beginning: for a journal that starts over."""
        for texts in self._texts.values():
            for entry in texts:
                entry.taken = 0


def _nobody() -> None:
    """Nobody listens yet."""


# --- after a crash ----------------------------------------------------------------------------------------------


class PartialItem(msgspec.Struct, frozen=True, kw_only=True):
    """The texts that one item had when the process died: (channel, part, text), in order."""

    thread_id: ThreadId
    turn_id: TurnId
    item_id: ItemId
    kind: CheckpointKind
    texts: tuple[tuple[TextChannel, int, str], ...]

    def text(self, *channels: TextChannel) -> str:
        return "".join(text for channel, _, text in self.texts if channel in channels)

    def parts(self, channel: TextChannel) -> tuple[str, ...]:
        return tuple(text for at, _, text in sorted(self.texts, key=lambda part: part[1]) if at == channel)


def read_journal(lines: Iterable[bytes]) -> dict[ThreadId, list[PartialItem]]:
    """What a journal holds, by thread. A torn or damaged line ends only the text that it belongs to."""
    heads: dict[tuple[ThreadId, ItemId], Piece] = {}
    texts: dict[tuple[ThreadId, ItemId], dict[tuple[TextChannel, int], str]] = {}
    for line in lines:
        try:
            piece = _piece.decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue
        key = (piece.thread_id, piece.item_id)
        heads[key] = piece
        channels = texts.setdefault(key, {})
        part = (piece.channel, piece.index)
        sofar = channels.get(part, "")
        if piece.offset == 0:
            channels[part] = piece.text
        elif piece.offset == len(sofar):
            channels[part] = sofar + piece.text
    found: dict[ThreadId, list[PartialItem]] = {}
    for key, head in heads.items():
        item = PartialItem(
            thread_id=head.thread_id,
            turn_id=head.turn_id,
            item_id=head.item_id,
            kind=head.kind,
            texts=tuple((channel, index, text) for (channel, index), text in texts[key].items()),
        )
        found.setdefault(head.thread_id, []).append(item)
    return found


def checkpoint_records(thread: LoadedThread, partials: Iterable[PartialItem]) -> tuple[TextCheckpoint, ...]:
    """The records that keep these texts in the thread's rollout: of items of the open turn, or still open themselves,
    that the rollout has not completed."""
    open_items = {open_item.item.id: open_item.item for open_item in thread.open_items}
    completed = {item.id for turn in thread.turns for item in turn.items if item.id not in open_items}
    records: list[TextCheckpoint] = []
    for partial in partials:
        in_open_turn = thread.open_turn is not None and partial.turn_id == thread.open_turn.turn_id
        shown = open_items.get(partial.item_id)
        if partial.item_id in completed or not (in_open_turn or shown is not None):
            continue
        item = _item_of(partial, shown)
        if item is not None and item != shown:
            records.append(TextCheckpoint(turn_id=partial.turn_id, item_id=partial.item_id, item=item))
    return tuple(records)


def _item_of(partial: PartialItem, shown: ThreadItem | None) -> ThreadItem | None:
    match partial.kind:
        case "message":
            text = partial.text("text", "refusal")
            return AgentMessage(id=partial.item_id, text=text) if text else None
        case "reasoning":
            summary, content = partial.parts("summary"), partial.parts("reasoning")
            return Reasoning(id=partial.item_id, summary=summary, content=content) if summary or content else None
        case "command":
            output = partial.text("output")
            if isinstance(shown, CommandExecution) and output:
                return msgspec.structs.replace(shown, aggregated_output=output)
            return None
