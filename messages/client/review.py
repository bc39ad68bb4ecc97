"""review/start: the model looks at changes and says what is wrong with them."""

from __future__ import annotations

from typing import Literal

from messages.client.item import Wire
from messages.client.turn import TurnBody


class UncommittedChanges(Wire, frozen=True, kw_only=True, tag="uncommittedChanges"):
    pass


class BaseBranch(Wire, frozen=True, kw_only=True, tag="baseBranch"):
    """What this branch has and that one has not."""

    branch: str


class Commit(Wire, frozen=True, kw_only=True, tag="commit"):
    sha: str
    title: str | None = None


class Custom(Wire, frozen=True, kw_only=True, tag="custom"):
    """Whatever a person wants looked at, in their words."""

    instructions: str


ReviewTarget = UncommittedChanges | BaseBranch | Commit | Custom


class ReviewStartParams(Wire, frozen=True, kw_only=True):
    thread_id: str
    target: ReviewTarget
    delivery: Literal["inline", "detached"] | None = None


class ReviewStartResponse(Wire, frozen=True, kw_only=True):
    turn: TurnBody
    review_thread_id: str
