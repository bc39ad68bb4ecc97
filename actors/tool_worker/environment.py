"""Which of the daemon's environment variables a command sees: `[shell_environment_policy]`, applied in one fixed order.

inherit → default excludes → exclude → set → include_only. ``include_only`` comes last and also holds for what ``set``
gave, so that a list of what may pass is the whole list. Patterns are shell globs, compared without regard to case.

Source: CORE §2.1, whose order and defaults these are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from messages.settings import EnvironmentPolicy

CORE_VARIABLES = frozenset({"HOME", "LOGNAME", "PATH", "SHELL", "USER", "USERNAME", "TMPDIR", "TEMP", "TMP"})
"""What ``inherit = "core"`` lets through: what a shell cannot do without."""

DEFAULT_EXCLUDES = ("*KEY*", "*SECRET*", "*TOKEN*")
"""Left out when ``ignore_default_excludes`` is false: names that usually hold a secret."""


def inherited(environment: Mapping[str, str], policy: EnvironmentPolicy) -> dict[str, str]:
    """The variables a command starts with, before those every call gets."""
    kept = dict(_base(environment, policy))
    excludes = policy.exclude if policy.ignore_default_excludes else (*DEFAULT_EXCLUDES, *policy.exclude)
    kept = {name: value for name, value in kept.items() if not matches(name, excludes)}
    kept.update(policy.set)
    if policy.include_only:
        kept = {name: value for name, value in kept.items() if matches(name, policy.include_only)}
    return kept


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a variable's name is one of the globs."""
    upper = name.upper()
    return any(fnmatchcase(upper, pattern.upper()) for pattern in patterns)


def _base(environment: Mapping[str, str], policy: EnvironmentPolicy) -> Mapping[str, str]:
    match policy.inherit:
        case "all":
            return environment
        case "core":
            return {name: value for name, value in environment.items() if name in CORE_VARIABLES}
        case "none":
            return {}
