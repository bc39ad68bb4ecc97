"""Reading shell scripts without running them, with tree-sitter's bash grammar.

Two questions, with opposite errors. *Which plain commands is this, exactly?* (`plain_commands`): anything that is not
certain is None, since the answer may spare a question to the user. *Which commands can be seen in here at all?*
(`literal_commands`): searches everywhere, since the answer warns of danger. Both leave variables, substitutions and
whatever a command does with its own arguments alone: they cannot be known without running.

tree-sitter is imported at first use: it costs more than the rest of a tool call.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from actors.tool_worker.plain_words import Commands, plain_words

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

SCRIPT_BYTES_MAX = 32 * 1024
"""Parsing costs microseconds per word, but fifty per character of a script made to err: half a second at worst."""

SHELLS = ("bash", "zsh", "sh")
SHELL_FLAGS = ("-lc", "-c")
TRUSTED_DIRECTORIES = ("/bin/", "/usr/bin/", "/usr/local/bin/")
"""A program named with a path is only what its name says when it lies where a model's patch cannot have put it."""

_STRUCTURE = frozenset({"program", "list", "pipeline"})
_OPERATORS = frozenset({"&&", "||", "|", ";", "\n"})
_GLOB_CHARACTERS = frozenset("*?[")


@cache
def _parser() -> Parser:
    import tree_sitter  # see the module's docstring
    import tree_sitter_bash

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


def parse(script: str) -> Node | None:
    """The root node; None for a script too large to look into. Errors are nodes in the tree."""
    source = script.encode("utf-8", "replace")
    return None if len(source) > SCRIPT_BYTES_MAX else _parser().parse(source).root_node


def program_name(word: str) -> str:
    """The last part of a path: `/usr/bin/rm` -> `rm`."""
    return word.rpartition("/")[2]


def trusted_program(word: str) -> str | None:
    """The program's name if ``word`` is a bare name or lies in a system folder; else None."""
    name = program_name(word)
    return name if word == name or word.removesuffix(name) in TRUSTED_DIRECTORIES else None


def shell_script(argv: tuple[str, ...]) -> str | None:
    """The script of `[bash|zsh|sh, -lc|-c, SCRIPT]`, whatever the shell's path; None for any other argv."""
    if len(argv) == 3 and program_name(argv[0]) in SHELLS and argv[1] in SHELL_FLAGS:
        return argv[2]
    return None


def plain_commands(script: str) -> Commands | None:
    """The argv of each command of a script made of plain words joined by `&& || ; |` and newlines; else None.

    None as well where two independent readers disagree, so an answer is what any POSIX shell would run.
    """
    commands = tree_commands(script)
    return commands if commands is not None and commands == plain_words(script) else None


def tree_commands(script: str, *, globs: bool = False) -> Commands | None:
    """What tree-sitter alone makes of it. With ``globs``, `*.py` is a word: good enough to *describe* a script."""
    root = parse(script)
    if root is None or root.has_error:
        return None
    commands: list[tuple[str, ...]] = []
    pending = [root]
    while pending:
        node = pending.pop()
        if node.type == "command":
            argv = _words(node, globs=globs)
            if argv is None:
                return None
            commands.append(argv)
        elif node.type in _STRUCTURE:
            pending += reversed(node.children)
        elif node.is_named or node.type not in _OPERATORS:
            return None
    return tuple(commands)


def literal_commands(script: str) -> Iterator[tuple[str | None, ...]]:
    """Every command anywhere in the script, in control flow and substitutions too; None for a word not spelled out.

    A here-document that a shell reads is a script like any other.
    """
    root = parse(script)
    pending = [] if root is None else [root]
    while pending:
        node = pending.pop()
        if node.type == "command":
            yield tuple(_literal(word, globs=True) for word in _word_nodes(node))
        elif node.type == "redirected_statement":
            for body in _scripts_in_heredocs(node):
                yield from literal_commands(body)
        pending += reversed(node.children)


def heredoc_command(script: str) -> tuple[str, ...] | None:
    """The argv of a script that is one plain command with one here-document in which nothing is expanded; else None."""
    opener, _, rest = script.strip().partition("\n")
    root = parse(script)
    if root is None or root.has_error or [child.type for child in root.children] != ["redirected_statement"]:
        return None
    statement = root.children[0]
    if [child.type for child in statement.children] != ["command", "heredoc_redirect"]:
        return None
    redirect = statement.children[1]
    parts = {child.type: child for child in redirect.children}
    if set(parts) - {"heredoc_body"} != {"<<", "heredoc_start", "heredoc_end"}:
        return None
    quoted = _text(parts["heredoc_start"])
    *body, end = rest.split("\n")
    # A shell takes the first line that is the word for the end, and runs what follows it.
    if end != quoted.strip("'\"") or end in body or (quoted == end and set("".join(body)) & set("$`\\")):
        return None
    # The line itself is read, not the node: the grammar loses a bare `-` before a here-document.
    head, operator, word = opener.rpartition("<<")
    words = plain_words(head)
    return words[0] if operator and word.strip() == quoted and words is not None and len(words) == 1 else None


def _scripts_in_heredocs(statement: Node) -> Iterator[str]:
    """What stands in here-documents of a shell that was given no script of its own. Each is shorter than what holds it,
    so looking into them comes to an end."""
    command = statement.child_by_field_name("body")
    if command is None or command.type != "command":
        return
    words = [_literal(word, globs=True) for word in _word_nodes(command)]
    if not words or words[0] is None or program_name(words[0]) not in SHELLS:
        return
    if any(word is None or not word.startswith("-") for word in words[1:]):
        return
    for redirect in statement.children:
        for part in redirect.children if redirect.type == "heredoc_redirect" else ():
            if part.type == "heredoc_body":
                yield _text(part)


def _word_nodes(command: Node) -> Iterator[Node]:
    for child in command.children:
        if child.type == "command_name":
            yield from child.children
        elif child.type not in ("variable_assignment", "herestring_redirect", "file_redirect"):
            yield child


def _words(command: Node, *, globs: bool) -> tuple[str, ...] | None:
    words: list[str] = []
    for child in command.children:
        for node in child.children if child.type == "command_name" else (child,):
            word = _literal(node, globs=globs)
            if word is None:
                return None
            words.append(word)
    return tuple(words) if words and words[0] else None


def _literal(node: Node, *, globs: bool) -> str | None:
    """The value of a word that a shell passes on as it is written, quotes removed."""
    text = _text(node)
    match node.type:
        case "word" | "number":
            if node.named_child_count or text.startswith("~"):
                return None
            return text if not set(text) & {*_GLOB_CHARACTERS, "\\"} else _unquoted(text, globs=globs)
        case "raw_string":
            return text[1:-1]
        case "string":
            if any(child.type != "string_content" for child in node.named_children):
                return None
            return _double_quoted(text[1:-1])
        case "concatenation":
            parts = [_literal(child, globs=globs) for child in node.children]
            known = [part for part in parts if part is not None]
            if len(known) < len(parts) or any(_text(child) in "{}[]" for child in node.children):
                return None  # brace expansion, and bracket globs
            return "".join(known)
        case _:
            return None


def _unquoted(text: str, *, globs: bool) -> str | None:
    parts: list[str] = []
    escaped = False
    for char in text:
        if not escaped and char == "\\":
            escaped = True
            continue
        if not escaped and char in _GLOB_CHARACTERS and not globs:
            return None
        parts.append(char)
        escaped = False
    return None if escaped else "".join(parts)


def _double_quoted(text: str) -> str:
    parts: list[str] = []
    chars = iter(text)
    for char in chars:
        if char == "\\":
            following = next(chars, "")
            if following not in ('"', "\\", "$", "`"):
                parts.append(char)
            parts.append(following)
        else:
            parts.append(char)
    return "".join(parts)


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")
