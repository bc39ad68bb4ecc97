"""What recordings hold that callboard does not have: such a recording is none of a flow of ours. Pure.

Whether a method is offered is not written down here but asked of the daemon: it answers -32601 for what it does not
have. Of those methods, most change nothing that a client would see (`CONSEQUENTIAL` lists the others), and a recording
in which they are asked for is compared all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.conformance.shape import Event
from tests.conformance.transcripts import Transcript

METHOD_NOT_FOUND = -32601

CONSEQUENTIAL = (
    "thread/archive", "thread/unarchive", "thread/delete", "thread/fork", "thread/revert",
    "thread/goal/set", "thread/queue/", "thread/realtime/", "thread/shellCommand",
    "fuzzyFileSearch/session", "thread/inject",
)  # fmt: skip
"""Methods that something follows from: notifications, items, other threads."""


@dataclass(frozen=True, slots=True)
class Lack:
    """Something we do not have, and how a recording shows that it needs it."""

    name: str
    shows: Callable[[Transcript], bool]


def _items(*kinds: str) -> Callable[[Transcript], bool]:
    def shows(transcript: Transcript) -> bool:
        return any((params.get("item") or {}).get("type") in kinds for params in transcript.told("item/started"))

    return shows


def _asked(*methods: str) -> Callable[[Transcript], bool]:
    def shows(transcript: Transcript) -> bool:
        return any(line.direction == "s2c" and line.is_request and line.method in methods for line in transcript.lines)

    return shows


def _told(prefix: str) -> Callable[[Transcript], bool]:
    return lambda transcript: any(
        line.direction == "s2c" and line.method.startswith(prefix) for line in transcript.lines
    )


def is_stand_in(transcript: Transcript) -> bool:
    """Whether the server was no app-server but something small that stood in for one (an app-server's ``userAgent``
    names its platform and the client in parentheses). What it said must come, and much else may."""
    agents = [
        str(((answer.frame or {}).get("result") or {}).get("userAgent", ""))
        for asked, answer in transcript.answers()
        if asked.method == "initialize"
    ]
    return any("(" not in agent for agent in agents)


LACKS: tuple[Lack, ...] = (
    Lack("MCP servers", _items("mcpToolCall")),
    Lack("reviews", _items("enteredReviewMode", "exitedReviewMode")),
    Lack("plan mode", _items("plan")),
    Lack("elicitations", _asked("mcpServer/elicitation/request")),
    Lack("approval by a reviewing model", _told("item/autoApprovalReview/")),
)


def lacking(transcript: Transcript) -> list[str]:
    """What a recording needs that we do not have."""
    return [lack.name for lack in LACKS if lack.shows(transcript)]


def not_offered(ours: Iterable[Event]) -> set[str]:
    """The methods that were asked for and that the daemon says it does not have."""
    return {
        event.method
        for event in ours
        if event.kind == "answer" and event.failed and event.body.get("code") == METHOD_NOT_FOUND
    }


def consequential(methods: Iterable[str]) -> list[str]:
    """Those of which something would have followed."""
    return sorted(f"the method {method}" for method in methods if method.startswith(CONSEQUENTIAL))
