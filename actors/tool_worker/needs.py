"""What a call would need people's word for: facts about it, gathered without judging them. Pure.

`approval` judges. What is told apart here: the parts of a script that rules allow, those known to be safe, and the
rest, which is what people are asked about and what an amendment to the rules would allow.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.tool_worker.command_safety import is_forced_removal, is_safe_program, plain_parts
from actors.tool_worker.confinement.ground import PROTECTED_NAMES, is_below
from actors.tool_worker.confinement.mechanism import ConfinementReport
from actors.tool_worker.plain_words import Commands
from actors.tool_worker.rules.matching import covers, is_allowed, judge
from actors.tool_worker.shell_parse import heredoc_command, shell_script
from actors.tool_worker.wrappers import Argv, seen_commands
from messages.approval import CommandNeed, CommandRisk, Confinement, ModeInForce, PatchNeed
from messages.rules import PrefixRule, RuleSet

NO_RULES = RuleSet()

AMENDMENT_CHARS_MAX = 4096
"""A longer command is a script that nobody runs twice, and no line for a rules file."""

_INTERPRETERS = (
    *("bash", "sh", "zsh", "dash", "ksh", "fish", "python", "python2", "python3", "pypy", "pypy3", "node", "nodejs"),
    *("deno", "bun", "perl", "ruby", "php", "lua", "osascript", "pwsh", "powershell", "git", "env", "sudo", "doas"),
    *("xargs", "nohup", "time", "timeout", "nice", "exec", "command", "eval", "find", "ssh", "docker", "make", "npx"),
)
_CODE_OPTIONS = ("-c", "-lc", "-e", "-r", "-m", "-E", "--eval", "-Command")


def is_too_broad(prefix: Sequence[str]) -> bool:
    """Whether a rule with this prefix would allow nearly anything: a bare interpreter, shell or wrapper."""
    name = prefix[0].rpartition("/")[2] if prefix else ""
    bare = name.rstrip("0123456789.") if name.startswith("python") else name
    if name not in _INTERPRETERS and bare not in _INTERPRETERS:
        return False
    return len(prefix) == 1 or (len(prefix) == 2 and prefix[1] in _CODE_OPTIONS)


def command_need(
    argv: Sequence[str],
    cwd: str,
    *,
    justification: str | None = None,
    escalated: bool = False,
    confinement: Confinement = "none",
    rules: RuleSet = NO_RULES,
    suggested_prefix: Sequence[str] | None = None,
) -> CommandNeed:
    """A command's need. ``suggested_prefix``: the rule that the model proposes."""
    argv = tuple(argv)
    script = shell_script(argv)
    plain = plain_parts(argv)
    parts = parts_of(argv)
    seen = tuple(seen_commands(argv))
    finding = judge(rules, parts, seen)
    left = tuple(part for part in parts if not is_allowed(rules, part))
    risk = _risk(plain, left, seen)
    amendment = None
    whole = bool(plain) or parts == (argv,)  # else a here-document feeds it, which no rule could tell apart
    if finding is None and whole and risk != "forced_removal" and not rules.errors:
        amendment = _amendment(argv, plain, left, suggested_prefix)
    return CommandNeed(
        argv=argv,
        script=script,
        cwd=cwd,
        justification=justification,
        escalated=escalated,
        risk=risk,
        rule=finding,
        rules_error=rules.errors[0] if rules.errors else None,
        amendment=amendment,
        confinement=confinement,
    )


def parts_of(argv: tuple[str, ...]) -> Commands:
    """What must be allowed, all of it: the plain commands of a script, or the whole where it cannot be split."""
    script = shell_script(argv)
    return plain_parts(argv) or ((None if script is None else heredoc_command(script)) or argv,)


def _risk(plain: Commands, left: Commands, seen: tuple[Argv, ...]) -> CommandRisk:
    """Of what no rule allows. A rule that allows `rm` allows `rm -f`: the user's word is more exact than ours."""
    looked_at = [command for part in left for command in seen_commands(part)] if plain else seen
    if left and any(map(is_forced_removal, looked_at)):
        return "forced_removal"
    return "known_safe" if plain and all(map(is_safe_program, left)) else "unknown"


def _amendment(
    argv: tuple[str, ...], plain: Commands, left: Commands, suggested: Sequence[str] | None
) -> tuple[str, ...] | None:
    """The prefix that a new rule could allow: what the model proposes if that is exact enough and all it takes, else
    the first part that is asked about, word for word; of a script that cannot be split, all of it."""
    if suggested and plain and not is_too_broad(suggested):
        rule = PrefixRule(pattern=tuple((word,) for word in suggested))
        if all(covers(rule, part) for part in left):
            return tuple(suggested)
    asked_about = [part for part in left if not is_safe_program(part)] or left if plain else [argv]
    asked = next(iter(asked_about), None)
    if asked is None or is_too_broad(asked) or sum(map(len, asked)) > AMENDMENT_CHARS_MAX:
        return None
    return asked


def enforced_by(report: ConfinementReport) -> Confinement:
    """How much of a confined mode holds under this mechanism. Landlock alone cannot keep the protected folders of a
    workspace from being changed; it takes a mount namespace beside it."""
    if report.mechanism == "none":
        return "none"
    return "partial" if report.mechanism == "landlock" and not report.own_mounts else "full"


def patch_need(
    paths: Sequence[tuple[str, str]],
    roots: Sequence[str],
    sandbox_mode: ModeInForce = "danger-full-access",
    *,
    kept: Sequence[str] = (),
) -> PatchNeed:
    """A patch's need. ``paths``: each as named and as resolved through symlinks; ``roots``: the workspace, resolved;
    ``kept``: what stays as it is in there, resolved.

    Only the resolved path counts, in a grant too: a link in the workspace that leads out of it is outside, and bending
    it elsewhere after it was accepted is asked about again.
    """
    return PatchNeed(
        paths=tuple(named for named, _ in paths),
        outside=tuple(resolved for _, resolved in paths if not _is_inside(resolved, roots, kept)),
        sandbox_mode=sandbox_mode,
    )


def _is_inside(path: str, roots: Sequence[str], kept: Sequence[str]) -> bool:
    """Whether a path is in a root, and in none of them protected: as the sandbox holds for commands."""
    inside = False
    for root in roots:
        prefix = root.rstrip("/") + "/"
        if path.startswith(prefix):
            if path.removeprefix(prefix).partition("/")[0] in PROTECTED_NAMES:
                return False
            inside = True
        inside = inside or path == root
    return inside and not any(is_below(path, each) for each in kept)
