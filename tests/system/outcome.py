"""How a thread ended up: what a provider would think of its history, and what a client was left waiting for."""

from __future__ import annotations

from pathlib import Path

from actors.rollout_writer.projection import project
from actors.rollout_writer.validity import validate_history
from messages.base import ThreadId
from tests.system.peer import Frame, Peer


def history_problems(thread: Frame) -> list[str]:
    """What is wrong with its history on disk."""
    return validate_history(project(Path(thread["path"]).read_bytes(), ThreadId(thread["id"])).history)


def unfinished(peer: Peer) -> list[str]:
    """Items that were started and not completed."""
    started = [note["item"]["id"] for note in peer.notes("item/started")]
    completed = [note["item"]["id"] for note in peer.notes("item/completed")]
    return [id_ for id_ in started if completed.count(id_) != 1]
