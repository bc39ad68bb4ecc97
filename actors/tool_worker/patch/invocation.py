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

from typing import TYPE_CHECKING

import msgspec

from actors.tool_worker.patch.parse import BEGIN
from actors.tool_worker.plain_words import plain_words
from actors.tool_worker.shell_parse import parse

if TYPE_CHECKING:
    from tree_sitter import Node

COMMAND_NAMES = ("apply_patch", "applypatch")


class HeredocPatch(msgspec.Struct, frozen=True, kw_only=True):
    """A patch given as a heredoc; ``workdir`` is what the script changes to first, as written."""

    patch: str
    workdir: str | None = None


def is_raw_patch(script: str) -> bool:
    """True when the script *is* a patch, with no command before it: no shell can run that."""
    return script.lstrip().startswith(BEGIN)


def parse_heredoc_invocation(script: str) -> HeredocPatch | None:
    """The patch, if the script is exactly one of the two forms."""
    if not any(name in script for name in COMMAND_NAMES):
        return None  # spares nearly every command the parsing
    root = parse(script)
    if root is None or root.has_error or len(root.children) != 1:
        return None
    statement = root.children[0]
    if statement.type != "redirected_statement" or len(statement.children) != 2:
        return None
    body, redirect = statement.children
    patch = _heredoc_body(redirect)
    if patch is None:
        return None
    # The statement without its heredoc must be plain words: the same reader that decides what is safe reads it.
    commands = plain_words(_text(body))
    operators = {child.type for child in body.children if not child.is_named} if body.type == "list" else set()
    match commands:
        case ((name,),) if name in COMMAND_NAMES:
            return HeredocPatch(patch=patch)
        case (("cd", path), (name,)) if name in COMMAND_NAMES and operators == {"&&"} and not path.startswith("-"):
            return HeredocPatch(patch=patch, workdir=path)
        case _:
            return None


def _heredoc_body(redirect: Node) -> str | None:
    if redirect.type != "heredoc_redirect":
        return None
    kinds = [child.type for child in redirect.children]
    if kinds != ["<<", "heredoc_start", "heredoc_body", "heredoc_end"]:
        return None
    return _text(redirect.children[2])


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")
