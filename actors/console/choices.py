"""What a person may answer to a question about a call: the key, the word of the command line, and what is then sent.

The daemon says which answers it takes (`availableDecisions`); a rule is offered only as it was proposed, word for word,
and shown whole: whoever says yes to it says yes to every command that begins so, in every thread.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:  # the command line's parser names the words, and need not load a WebSocket client for that
    from actors.console.client import Incoming

RULE: Final = "acceptWithExecpolicyAmendment"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One answer."""

    key: str
    word: str
    """Of `callboard approve`."""
    label: str
    """What it means, beside its key."""
    said: str
    """Shown once it was given."""
    decision: Any
    """Of the result that is sent."""


STANDARD: Final = (
    Choice(key="y", word="yes", label="yes", said="accepted", decision="accept"),
    Choice(
        key="a",
        word="session",
        label="yes, and the same again in this session",
        said="accepted for the session",
        decision="acceptForSession",
    ),
    Choice(key="n", word="no", label="no", said="declined", decision="decline"),
    Choice(key="q", word="quit", label="no, and end the turn", said="declined, and the turn ended", decision="cancel"),
)
"""Taken wherever the daemon names none."""

FOR_HOW_LONG: Final = {
    "yes": ("yes, for this turn", "granted for this turn"),
    "session": ("yes, for this session", "granted for this session"),
}
"""Of rights that a model asks for."""

WORDS: Final = ("yes", "session", "always", "no", "quit")
"""All there are, in the order they are shown in."""


def choices(message: Incoming) -> tuple[Choice, ...]:
    """The answers to this question."""
    offered = message.params.get("availableDecisions")
    if "permissions" in message.params:
        return tuple(
            msgspec.structs.replace(choice, label=FOR_HOW_LONG[choice.word][0], said=FOR_HOW_LONG[choice.word][1])
            if choice.word in FOR_HOW_LONG
            else choice
            for choice in STANDARD
        )
    if offered is None:
        return STANDARD
    found = {choice.word: choice for choice in STANDARD if choice.decision in offered}
    for decision in offered:
        if isinstance(decision, dict) and RULE in decision:
            rule = _rule(decision[RULE]["execpolicy_amendment"])
            found[rule.word] = rule
    return tuple(found[word] for word in WORDS if word in found)


def _rule(prefix: Sequence[str]) -> Choice:
    begins = shlex.join(prefix)
    return Choice(
        key="p",
        word="always",
        label=f"yes, and do not ask again for commands that start with: {begins}",
        said=f"accepted; commands that start with {begins} are not asked about again",
        decision={RULE: {"execpolicy_amendment": list(prefix)}},
    )


def by_key(message: Incoming, key: object) -> Choice | None:
    """What a key answers, if anything."""
    return next((choice for choice in choices(message) if choice.key == key), None)


def by_word(message: Incoming, word: str) -> Choice | None:
    """What a word of the command line answers, if anything."""
    return next((choice for choice in choices(message) if choice.word == word), None)
