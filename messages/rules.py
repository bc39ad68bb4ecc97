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


class RuleTrouble(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with the rules files, as they were read last."""

    path: str
    line: int
    """Counted from 1."""
    text: str
    harmless: bool = False
    """The file is in force; this part of it has no effect."""
    project: str | None = None
    """The trusted folder whose file it is; None: the user's own, which applies everywhere."""


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


class AwaitRuleTroubles(Message, frozen=True, kw_only=True):
    """The reply is a `RuleTroubles`, as soon as it is another than ``known``."""

    delivery = Delivery.RETRY_SAFE
    known: tuple[RuleTrouble, ...]


class RuleTroubles(Message, frozen=True, kw_only=True):
    """All that was wrong when each file was read last."""

    troubles: tuple[RuleTrouble, ...]


RulesRequest = GetRules | AmendRules | AwaitRuleTroubles
