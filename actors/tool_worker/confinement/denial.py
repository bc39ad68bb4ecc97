"""Was it the sandbox? Said of a command that failed, from what it printed: nobody tells a program why it was refused.

The kernel's refusals have a few texts, which programs print; a command that failed and ends with one of them was
*likely* denied. That is said under its output, for people and models alike, and a second run without the sandbox is
offered by it. Pure.
"""

from __future__ import annotations

import re

from actors.ports.processes import Confinement, ExitStatus
from actors.tool_worker.confinement.limits import describe

TAIL_CHARS = 4_096
"""Of the output; why a program gives up is in its last words."""

NOT_FOUND, SIGSYS_CODE, SIGXFSZ_CODE = 127, 128 + 31, 128 + 25
"""127 is a shell's for a program that does not exist: never the sandbox's doing."""

FILE_WORDS = ("read-only file system", "permission denied", "operation not permitted", "invalid cross-device link")
NETWORK_WORDS = (
    *("network is unreachable", "could not resolve host", "temporary failure in name resolution"),
    *("name or service not known", "no address associated with hostname", "failed to lookup address"),
    *("cannot assign requested address", "eai_again", "connection refused"),
)
_FILES = re.compile("|".join(map(re.escape, FILE_WORDS)), re.IGNORECASE)
_NETWORK = re.compile("|".join(map(re.escape, NETWORK_WORDS)), re.IGNORECASE)


def denied_words(status: ExitStatus, output: str, confinement: Confinement | None) -> str | None:
    """The refusal in the output that explains the end of a confined command; None when nothing looks like one."""
    if confinement is None or status.code in (0, NOT_FOUND):
        return None
    if status.code == SIGSYS_CODE:
        return "a system call that is not for sandboxed programs"
    if status.code == SIGXFSZ_CODE:
        return "a file larger than a sandboxed program may write"
    tail = output[-TAIL_CHARS:]
    found = list(_FILES.finditer(tail)) + ([] if confinement.network else list(_NETWORK.finditer(tail)))
    return max(found, key=lambda match: match.start()).group() if found else None


def denial_note(words: str, confinement: Confinement) -> str:
    """A line to put under the output of a command that was likely denied."""
    return f"[{words}: probably denied by the {confinement.mode} sandbox: {describe(confinement)}]"
