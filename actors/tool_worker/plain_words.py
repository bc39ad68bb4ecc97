"""Scripts simple enough to be read without a shell: plain words joined by `&&`, `||`, `;`, `|` and newlines.

A second, independent reader beside the tree-sitter one in `shell_parse`. What is called safe runs without anybody
being asked, so it must not hang on one grammar's idea of bash: tree-sitter-bash takes a carriage return for a blank and
an escaped newline for a word boundary, bash does neither. Two readers that share no code must agree.

It admits characters by list and refuses whatever it does not know; being wrong then means asking once too often.
"""

from __future__ import annotations

import string

UNQUOTED = frozenset(string.ascii_letters + string.digits + "_@%+=:,./-")
"""No shell gives one of these a meaning in the middle of a word (what may not *start* one is below)."""

ESCAPABLE = frozenset(string.punctuation + " ")
"""What may follow a backslash outside quotes and then stands for itself."""

DOUBLE_QUOTED_ESCAPES = frozenset('"\\$`')
"""Before any other character a backslash in double quotes is just a backslash."""

Commands = tuple[tuple[str, ...], ...]


class _NotPlainError(Exception):
    """The script needs a shell to be understood."""


def plain_words(script: str) -> Commands | None:
    """The argv of each command, in order; None for anything but plain commands."""
    try:
        return _Reader(script).commands()
    except _NotPlainError:
        return None


class _Reader:
    def __init__(self, script: str) -> None:
        self._script = script
        self._next = 0

    def _peek(self) -> str:
        """The next character, "" at the end."""
        return self._script[self._next : self._next + 1]

    def _take(self) -> str:
        char = self._peek()
        if not char:
            raise _NotPlainError
        self._next += 1
        return char

    def commands(self) -> Commands:
        commands: list[tuple[str, ...]] = []
        words: list[str] = []
        wanted = False  # an operator before this point wants a command after it
        while char := self._peek():
            if char in " \t":
                self._next += 1
            elif char in "&|;\n":
                operator = self._operator()
                if words:
                    commands.append(tuple(words))
                    words = []
                    wanted = operator in ("&&", "||", "|")
                elif operator != "\n":
                    raise _NotPlainError
            else:
                words.append(self._word())
        if words:
            commands.append(tuple(words))
        elif wanted:
            raise _NotPlainError
        if any("=" in command[0] or not command[0] for command in commands):
            raise _NotPlainError  # an assignment, or nothing at all to run
        return tuple(commands)

    def _operator(self) -> str:
        char = self._take()
        if char in "&|" and self._peek() == char:
            self._next += 1
            return char + char
        if char == "&" or (char in "|;" and self._peek() in ("&", ";") and self._peek()):
            raise _NotPlainError  # background, |& and ;;
        return char

    def _word(self) -> str:
        parts: list[str] = []
        if self._peek() == "=":
            raise _NotPlainError  # zsh expands =name
        while (char := self._peek()) and char not in " \t&|;\n":
            self._next += 1
            if char == "'":
                parts.append(self._single_quoted())
            elif char == '"':
                parts.append(self._double_quoted())
            elif char == "\\":
                escaped = self._take()
                if escaped not in ESCAPABLE:
                    raise _NotPlainError
                parts.append(escaped)
            elif char in UNQUOTED or (char > "\x7f" and char.isalnum()):
                parts.append(char)
            else:
                raise _NotPlainError
        return "".join(parts)

    def _single_quoted(self) -> str:
        start = self._next
        while self._printable() != "'":
            pass
        return self._script[start : self._next - 1]

    def _double_quoted(self) -> str:
        parts: list[str] = []
        while (char := self._printable()) != '"':
            if char in "$`":
                raise _NotPlainError
            if char == "\\":
                if self._peek() == "\n":
                    raise _NotPlainError
                if self._peek() in DOUBLE_QUOTED_ESCAPES:
                    char = self._take()
            parts.append(char)
        return "".join(parts)

    def _printable(self) -> str:
        """The next character, which may be a newline or tab but no other control character: those deceive readers."""
        char = self._take()
        if not char.isprintable() and char not in "\n\t":
            raise _NotPlainError
        return char
