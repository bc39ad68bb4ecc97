"""Shell scripts that are nothing but a patch.

Models often write `apply_patch <<'EOF' … EOF` as a command. Taken as the patch it is, it is checked, shown as a file
change and asked about like one. Only the exact forms count, as the *only* statement of the script:

    apply_patch <<'WORD' … WORD
    cd PATH && apply_patch <<'WORD' … WORD

Anything more (a second command, a pipe, another redirect, a variable) is left to the shell, where `apply_patch` is a
command on the PATH. The body is taken literally even when the word is unquoted: nobody who writes a patch means its
dollar signs to be expanded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from actors.tool_worker.patch.parse import BEGIN
from actors.tool_worker.plain_words import plain_words
from actors.tool_worker.shell_parse import parse

if TYPE_CHECKING:
    from tree_sitter import Node

COMMAND_NAMES = ("apply_patch", "applypatch")

_HEREDOC_WORD = re.compile(r"""<<\s*(?P<quote>['"]?)(?P<word>[\w .-]+)(?P=quote)\s*$""")
_PLAIN_HEREDOC = ["<<", "heredoc_start", "heredoc_end"]
"""Without `<<-`, further redirects or commands after it."""


class HeredocPatch(msgspec.Struct, frozen=True, kw_only=True):
    """A patch given as a heredoc; ``workdir`` is what the script changes to first, as written."""

    patch: str
    workdir: str | None = None


def is_raw_patch(script: str) -> bool:
    """True when the script *is* a patch, with no command before it: no shell can run that."""
    return script.lstrip().startswith(BEGIN)


def parse_heredoc_invocation(script: str) -> HeredocPatch | None:
    """The patch, if the script is exactly one of the two forms.

    Only the first line is parsed, with an empty body under it: a patch may be of any size, and a heredoc's body is
    whatever stands before the first line that is its word.
    """
    opener, _, rest = script.lstrip().partition("\n")
    word = _HEREDOC_WORD.search(opener)
    if word is None or not any(name in opener for name in COMMAND_NAMES):
        return None
    body, found, after = ("\n" + rest + "\n").partition(f"\n{word['word']}\n")
    if not found or after.strip():
        return None
    workdir = _workdir(f"{opener}\n{word['word']}\n")
    return None if workdir is None else HeredocPatch(patch=body[1:] + "\n", workdir=workdir or None)


def _workdir(script: str) -> str | None:
    """Where the statement changes to first, "" if nowhere; None if it is not one of the two forms."""
    root = parse(script)
    if root is None or root.has_error or len(root.children) != 1:
        return None
    statement = root.children[0]
    if statement.type != "redirected_statement" or len(statement.children) != 2:
        return None
    body, redirect = statement.children
    if [child.type for child in redirect.children if child.type != "heredoc_body"] != _PLAIN_HEREDOC:
        return None
    # The statement without its heredoc must be plain words: the same reader that decides what is safe reads it.
    commands = plain_words(_text(body))
    operators = {child.type for child in body.children if not child.is_named} if body.type == "list" else set()
    match commands:
        case ((name,),) if name in COMMAND_NAMES:
            return ""
        case (("cd", path), (name,)) if name in COMMAND_NAMES and operators == {"&&"} and path[:1] not in ("", "-"):
            return path
        case _:
            return None


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")
