"""review/start: a turn of the thread whose input asks for a review, in words that name what is to be looked at.

The model works as in any turn, with the tools and under the approvals of its thread. Rejected: a model of its own in a
thread of its own (`detached`), which would know nothing of what was said; and items that mark the review's begin and
end, for the turn does that.
"""

from __future__ import annotations

from typing import assert_never

from actors.gateway.caller import Caller
from actors.gateway.methods import turns
from actors.gateway.rpc import RpcError, method
from messages.client.envelope import INVALID_PARAMS
from messages.client.item import TextInput
from messages.client.review import (
    BaseBranch,
    Commit,
    Custom,
    ReviewStartParams,
    ReviewStartResponse,
    ReviewTarget,
    UncommittedChanges,
)
from messages.client.turn import TurnStartParams

HOW = (
    "Change nothing. List what you find by how much it matters, the worst first: what is wrong, where (file and line), "
    "when it shows, and how it could be fixed. Leave out matters of taste. If nothing is wrong, say so."
)


async def start(caller: Caller, params: ReviewStartParams) -> ReviewStartResponse:
    if params.delivery == "detached":
        text = "review/start: a review runs in its thread; there is no delivery `detached`"
        raise RpcError(INVALID_PARAMS, text)
    request = TextInput(text=f"{_what(params.target)} {HOW}")
    started = await turns.start(caller, TurnStartParams(thread_id=params.thread_id, input=(request,)))
    return ReviewStartResponse(turn=started.turn, review_thread_id=params.thread_id)


def _what(target: ReviewTarget) -> str:
    match target:
        case UncommittedChanges():
            return "Review the changes in this folder that are not committed: staged, unstaged and untracked files."
        case BaseBranch():
            return f"Review what the present branch changes against its merge base with the branch {target.branch!r}."
        case Commit():
            title = f" ({target.title})" if target.title else ""
            return f"Review what the commit {target.sha}{title} changes."
        case Custom():
            return f"Review this: {target.instructions}\n\n"
        case _:
            assert_never(target)


METHODS = (method("review/start", ReviewStartParams, start),)
