"""The user's rules on commands, as data; and what is said to the actor that keeps them."""

from __future__ import annotations

import msgspec

from messages.approval import RuleDecision
from messages.base import Delivery, Message

Token = tuple[str, ...]
"""One place of a pattern: the words that may stand there."""


class PrefixRule(msgspec.Struct, frozen=True, kw_only=True):
    """Commands that begin with these words."""

    pattern: tuple[Token, ...]
    decision: RuleDecision = "allow"
    justification: str | None = None
    where: str = ""
    """``file:line``, for people."""


class HostExecutable(msgspec.Struct, frozen=True, kw_only=True):
    """Which files a program's bare name stands for, when a command names it by its path."""

    name: str
    paths: tuple[str, ...]


class RuleSet(msgspec.Struct, frozen=True, kw_only=True):
    """The rules in force somewhere. ``errors``: why some of them cannot be read; they are then not in here."""

    rules: tuple[PrefixRule, ...] = ()
    executables: tuple[HostExecutable, ...] = ()
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """What is read but has no effect here."""


class GetRules(Message, frozen=True, kw_only=True):
    """The rules that apply in these trusted folders, and everywhere. The reply is a `RuleSet`."""

    delivery = Delivery.RETRY_SAFE
    projects: tuple[str, ...] = ()


class AmendRules(Message, frozen=True, kw_only=True):
    """Allow commands that begin with ``prefix`` from now on, in every thread. The reply is a `RulesAmended`."""

    delivery = Delivery.RETRY_SAFE
    prefix: tuple[str, ...]


class RulesAmended(Message, frozen=True, kw_only=True):
    """``error``: why the rule is not on disk; it is in force until the daemon ends."""

    prefix: tuple[str, ...]
    path: str
    error: str | None = None


RulesRequest = GetRules | AmendRules
