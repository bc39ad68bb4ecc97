"""The rules actor: one reader and one writer of the user's rules files for the whole daemon.

What it read is good for a second, so that a burst of commands costs one look at the disk and an edit by hand counts for
the next command a person waits for. An amendment counts for every question after it.
"""

from __future__ import annotations

import logging
from typing import assert_never

import trio

from actors.kernel import Context, Mailbox, Reply, Service
from actors.ports import Ports
from actors.tool_worker.rules.folders import RuleFolders
from messages.rules import (
    AmendRules,
    AwaitRuleTroubles,
    GetRules,
    RulesAmended,
    RuleSet,
    RulesRequest,
    RuleTroubles,
)

RULES: Service[RulesRequest] = Service("rules")

FRESH_SECONDS = 1.0
PLACES_MAX = 256
"""Sets of folders whose rules are remembered: as many as there are projects at work, and no leak beyond."""

logger = logging.getLogger(__name__)


async def run(
    ctx: Context, *, ports: Ports, home: str, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answer until cancelled."""
    mailbox: Mailbox[RulesRequest] = ctx.open_mailbox()
    ctx.publish(RULES, mailbox.address)
    ctx.state = "serving"
    keeper = _Keeper(ports, RuleFolders(ports.files, home))
    task_status.started()
    while True:
        for message, reply in await mailbox.receive():
            match message:
                case GetRules():
                    rules = await keeper.rules(message.projects)
                    if reply is not None:
                        reply.answer(rules)
                case AmendRules():
                    amended = await keeper.amend(message.prefix)
                    if reply is not None:
                        reply.answer(amended)
                case AwaitRuleTroubles():
                    if reply is not None:
                        keeper.tell_troubles(message, reply)
                case never:
                    assert_never(never)


class _Keeper:
    def __init__(self, ports: Ports, folders: RuleFolders) -> None:
        self._ports = ports
        self._folders = folders
        self._known: dict[tuple[str, ...], tuple[float, RuleSet]] = {}
        self._reported: frozenset[str] = frozenset()
        self._waiting: list[tuple[AwaitRuleTroubles, Reply]] = []

    async def rules(self, projects: tuple[str, ...]) -> RuleSet:
        now = self._ports.clock.monotonic()
        known = self._known.get(projects)
        if known is not None and now - known[0] < FRESH_SECONDS:
            return known[1]
        rules = await self._ports.threads.run(self._folders.read, projects)
        if len(self._known) >= PLACES_MAX:
            self._known.clear()
        self._known[projects] = now, rules
        self._report(rules)
        self._tell()
        return rules

    async def amend(self, prefix: tuple[str, ...]) -> RulesAmended:
        error = await self._ports.threads.run(self._folders.amend, prefix)
        self._known.clear()
        return RulesAmended(prefix=prefix, path=self._folders.amended_path, error=error)

    def tell_troubles(self, message: AwaitRuleTroubles, reply: Reply) -> None:
        """Answer when there are others than it knows."""
        self._waiting.append((message, reply))
        self._tell()

    def _tell(self) -> None:
        troubles = self._folders.troubles
        still: list[tuple[AwaitRuleTroubles, Reply]] = []
        for message, reply in self._waiting:
            if message.known != troubles:
                reply.answer(RuleTroubles(troubles=troubles))
            elif reply.wanted:
                still.append((message, reply))
        self._waiting = still

    def _report(self, rules: RuleSet) -> None:
        """Say what is wrong once, not with every command."""
        troubles = frozenset((*rules.errors, *rules.warnings))
        for text in sorted(troubles - self._reported):
            logger.warning("rules: %s", text)
        self._reported |= troubles
