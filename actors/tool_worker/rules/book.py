"""The rules as sessions and tool workers ask for them: the way to the rules actor, and who the user trusts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from actors.kernel import Address, KernelError, ServiceAddress
from actors.tool_worker.rules.folders import trusted_folders
from messages.rules import AmendRules, AwaitRuleTroubles, GetRules, RuleSet, RulesRequest, RuleTrouble, RuleTroubles
from messages.settings.project import ProjectSettings

Projects = Callable[[], Mapping[str, ProjectSettings]]
"""The settings' ``projects`` as they are now."""


class RuleBook:
    """For all sessions of a daemon."""

    def __init__(self, rules: ServiceAddress[RulesRequest], projects: Projects) -> None:
        self._rules = rules
        self._projects = projects

    def folders(self, cwd: str) -> tuple[str, ...]:
        """The trusted folders whose rules apply in ``cwd``, beside the user's own."""
        return trusted_folders(self._projects(), cwd)

    async def troubles(self, known: tuple[RuleTrouble, ...]) -> tuple[RuleTrouble, ...]:
        """All that is wrong with the files that were read, as soon as it is another than ``known``. Raises KernelError
        when nobody keeps rules any more."""
        return (await self._rules.ask(AwaitRuleTroubles(known=known), RuleTroubles)).troubles

    async def for_folder(self, cwd: str) -> RuleSet:
        """The rules for commands of a thread that works in ``cwd``. That they cannot be had is an error in the set."""
        try:
            return await self._rules.ask(GetRules(projects=self.folders(cwd)), RuleSet)
        except KernelError as error:
            return RuleSet(errors=(f"the rules cannot be had just now ({error})",))

    def amend(self, prefix: tuple[str, ...], reply_to: Address[Any]) -> None:
        """Allow commands that begin with ``prefix``; a `RulesAmended` (or `Unanswered`) goes to ``reply_to``."""
        if not self._rules.request_nowait(AmendRules(prefix=prefix), reply_to=reply_to):
            self._rules.on_room(lambda: self.amend(prefix, reply_to))


async def no_rules(_: str) -> RuleSet:
    """Where there is no user whose rules could apply."""
    return RuleSet()
