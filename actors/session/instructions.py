"""What a model is told before the user speaks: who it is, what it may call, where it works.

The system prompt is made from the very specs that a request offers, so the two cannot say different things, and from
nothing else: as long as a thread keeps its tools its bytes stay the same, which a provider's prefix cache depends on.
Where the work happens (folder, shell, date) is a user message
with an `<environment_context>` block ahead of the first prompt; a later turn adds a new block only when one of these
has changed, and never edits the old one.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from actors.tool_worker.confinement.policy import SLASH_TMP, added_roots
from messages.approval import policy_name
from messages.model import ToolSpec
from messages.session import ThreadSettings

ENVIRONMENT_TAG = "<environment_context>"

_ROLE = """\
You are a coding agent that works in a user's folder on their own machine. You act through tools; the user sees each \
call and its result as it happens, and may interrupt or answer at any time.

How to work
- Look before you change: read the files a task touches, and search rather than guess names.
- Independent reads and searches go out together in one response; what depends on a result waits for it.
- Change as little as the task needs, in the style that is already there. Leave unrelated faults alone and mention them.
- After a change run the narrowest test or command that can prove it, and report what it really printed.
- A call that was aborted, or whose outcome is unknown, may have taken effect in part: check before you repeat it.
- If a command is declined, do not look for another way to the same effect; say what you wanted it for.

How to answer
- Say briefly what you are about to do before a longer piece of work, and at the end what changed, where, and how you \
know that it works. Name files with their paths. If something is unfinished or unsure, say so."""

TOOLS_REMEMBERED = 256
"""Descriptions whose first sentence is not looked for again: the prompt is made once per request."""

_NO_CONFINEMENT = '<permission_profile type="disabled"></permission_profile>'
_NO_TOOLS = "You have no tools in this session: answer from the conversation alone."


def system_prompt(tools: Iterable[ToolSpec]) -> str:
    """Our own prompt, with a line for each tool."""
    lines = [f"- {tool.name}: {_first_sentence(tool.description)}" for tool in tools]
    offered = "Your tools\n" + "\n".join(lines) if lines else _NO_TOOLS
    return f"{_ROLE}\n\n{offered}\n"


def environment_block(settings: ThreadSettings, *, shell: str, date: str) -> str:
    """Where the model works, in the form of the reference's core §4.1."""
    roots = (settings.cwd, *(root for root in settings.writable_roots if root != settings.cwd))
    inside = "".join(f"<root>{_escaped(root)}</root>" for root in roots)
    return "\n".join(
        (
            ENVIRONMENT_TAG,
            f"  <cwd>{_escaped(settings.cwd)}</cwd>",
            f"  <shell>{_escaped(shell.rsplit('/', 1)[-1])}</shell>",
            f"  <current_date>{date}</current_date>",
            f"  <filesystem><workspace_roots>{inside}</workspace_roots>{_profile(settings)}</filesystem>",
            f"  <approval_policy>{policy_name(settings.approval_policy)}</approval_policy>",
            "</environment_context>",
        )
    )


def _profile(settings: ThreadSettings) -> str:
    """What the sandbox leaves open, so that a model need not find out by being denied."""
    if settings.sandbox_mode == "danger-full-access":
        return _NO_CONFINEMENT
    writes = settings.sandbox_mode == "workspace-write"
    scratch = [] if settings.exclude_slash_tmp else [SLASH_TMP]
    scratch += [] if settings.exclude_tmpdir_env_var else ["$TMPDIR"]
    places = [
        *(("the workspace roots",) if writes else ()),
        *(scratch if writes or settings.profile is not None else ()),
        *added_roots(settings),
    ]
    kept = (
        "" if settings.profile is None or not settings.profile.read else f", not in {', '.join(settings.profile.read)}"
    )
    files = f"files can be changed in {', '.join(places)}{kept}" if places else "no file can be changed"
    if settings.profile is not None and settings.profile.none:
        files += f"; {', '.join(settings.profile.none)} cannot be read"
    network = "the network is open" if settings.network_access or settings.granted.network else "there is no network"
    return f'<permission_profile type="managed">{_escaped(f"{files}; {network}")}</permission_profile>'


@lru_cache(maxsize=TOOLS_REMEMBERED)
def _first_sentence(description: str) -> str:
    text = " ".join(description.split())
    end = text.find(". ")
    return text if end < 0 else text[: end + 1]


def _escaped(text: str) -> str:
    """A path may hold anything; it must not close its own tag."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
