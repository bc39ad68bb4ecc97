"""A thread as its rollout tells it: values only. `projection` makes them, `recovery` decides on them."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.rollout_writer.transcript import TranscriptState
from messages.base import CallId, TurnId
from messages.client.item import TextInput, ThreadItem, UserMessage
from messages.items import HistoryItem
from messages.log import (
    ApprovalAnswered,
    ApprovalAsked,
    CallSpawned,
    MessageQuarantined,
    ScriptWritten,
    SessionMeta,
    SpawnEnded,
    ToolStarted,
)
from messages.model import TokenUsage
from messages.script import ScriptEvent
from messages.session import USUAL_BUDGET, ThreadSettings, ThreadSummary, Turn, TurnBudget

PREVIEW_CHARS = 240
"""Of the first user message, in lists: what fits two lines of a wide terminal."""


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What reading a file came to."""

    lines: int = 0
    """Whole lines, of any kind."""
    records: int = 0
    unknown: int = 0
    """Skipped because they are not for us."""
    unreadable: int = 0
    """Skipped because they are damaged."""
    half_items: int = 0
    """One of an item's two records without the other."""
    gaps: int = 0
    """Places where the ordinals do not count up by one."""
    torn_bytes: int = 0
    """After the last newline."""


class OpenCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of the open turn's last response, and how far it came."""

    call: HistoryItem
    answered: bool
    started: ToolStarted | None = None
    asked: ApprovalAsked | None = None
    decision: ApprovalAnswered | None = None

    @property
    def call_id(self) -> CallId:
        return self.call.call_id or CallId("")

    @property
    def item(self) -> ThreadItem | None:
        """As last shown in progress."""
        if self.started is not None and self.started.item is not None:
            return self.started.item
        return self.asked.item if self.asked is not None else None

    @property
    def declined(self) -> bool:
        """People said no."""
        return self.decision is not None and self.decision.decision in ("decline", "cancel")

    @property
    def awaits_approval(self) -> bool:
        """Nobody has answered its question, and it has neither started nor ended."""
        return self.asked is not None and self.decision is None and self.started is None and not self.answered


class OpenScript(msgspec.Struct, frozen=True, kw_only=True):
    """A script of the open turn's last response, and how far it came."""

    written: ScriptWritten
    started: ToolStarted | None = None
    """It was given leave."""
    log: tuple[ScriptEvent, ...] = ()
    """What happened in it, the starts of its calls among it: what a replay needs."""
    output: HistoryItem | None = None
    """What the model was told of it."""
    calls: tuple[OpenNested, ...] = ()

    @property
    def runs(self) -> bool:
        """It was running when the log ended."""
        return self.started is not None and self.output is None


class OpenNested(msgspec.Struct, frozen=True, kw_only=True):
    """A call that a script made, about which people were asked, and which has neither started nor ended."""

    asked: ApprovalAsked
    decision: ApprovalAnswered | None = None

    @property
    def awaits_approval(self) -> bool:
        """Nobody has answered."""
        return self.decision is None


class LoadedSpawn(msgspec.Struct, frozen=True, kw_only=True):
    """A call that a script had spawned, of which the model has not been told how it ended."""

    spawned: CallSpawned
    ended: SpawnEnded | None = None


class OpenItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item that was shown as started and not yet as completed."""

    turn_id: TurnId
    item: ThreadItem
    terminal: int | None = None
    """It belongs to a command that had passed to the thread."""
    checkpoint: bool = False
    """It is the text that was being shown when the process died."""


class OpenTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn without an end in the log."""

    turn_id: TurnId
    submission_id: str
    started_at: float
    settings: ThreadSettings
    calls: tuple[OpenCall, ...]
    approvals: tuple[ApprovalAsked, ...]
    """Asked in this turn and not answered."""
    scripts: tuple[OpenScript, ...] = ()
    """In the order written."""
    calls_started: int
    """Against the turn's budget."""
    unentered: tuple[UserMessage, ...] = ()
    """Input that was taken into the turn and had not entered its history."""
    unheard: frozenset[str] = frozenset()
    """Of these, by item, those that the user's programs had to hear first."""
    budget: TurnBudget = USUAL_BUDGET
    output_schema: dict[str, Any] | None = None


class LoadedThread(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a rollout says. A value: folding the same bytes gives an equal one."""

    meta: SessionMeta
    settings: ThreadSettings
    history: tuple[HistoryItem, ...]
    """Valid for every provider; calls that were never answered have an output that says so."""
    transcript: TranscriptState
    """The same before the outputs of the open turn's calls are made up: `Transcript.resume` goes on from it."""
    turns: tuple[Turn, ...]
    usage: TokenUsage
    last_usage: TokenUsage
    name: str | None
    preview: str
    open_turn: OpenTurn | None
    open_items: tuple[OpenItem, ...]
    spawns: tuple[LoadedSpawn, ...] = ()
    last_task: int = 0
    """The highest number that a spawned call has had."""
    submissions: dict[str, TurnId]
    withheld: frozenset[str]
    """Messages of people's, by item, that were shown and that the model was never to be sent."""
    quarantined: tuple[MessageQuarantined, ...]
    next_ordinal: int
    updated_at: float
    counts: Counts
    warnings: tuple[str, ...]

    def summary(self, path: str | None) -> ThreadSummary:
        """As a list shows it."""
        return ThreadSummary(
            id=self.meta.thread_id,
            path=path,
            cwd=self.settings.cwd or self.meta.cwd,
            preview=self.preview,
            name=self.name,
            provider=self.settings.provider,
            model=self.settings.model,
            source=self.meta.source,
            created_at=self.meta.created_at,
            updated_at=self.updated_at,
            cli_version=self.meta.cli_version,
            git_branch=self.meta.git_branch,
            git_commit=self.meta.git_commit,
            git_origin=self.meta.git_origin,
            total_tokens=self.usage.total,
            turns=len(self.turns),
        )


def preview_of(item: UserMessage) -> str:
    """A user's words on one line, cut to `PREVIEW_CHARS`."""
    words = " ".join(part.text for part in item.content if isinstance(part, TextInput))
    return " ".join(words[: PREVIEW_CHARS * 4].split())[:PREVIEW_CHARS]
