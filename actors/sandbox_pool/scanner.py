"""Finds `<tool-calls>` blocks in a model's text while it streams.

The rules:
* A block opens where `<tool-calls>` is the first text of a line outside a code fence, and nowhere else: the tag in a
  sentence, in a list item's text, in a fence or with attributes is text. No other format is ever a script.
* Only what could still become the tag is held back: the blanks and the first characters of a line. All other text is
  passed on as it arrives.
* What is in a block is no text. It ends at the first `</tool-calls>` outside strings, templates, comments and regular
  expressions.
* A block that is not closed at the end of the response is given back as `unclosed`, and one over the limit as
  `too_large`; neither may be run. No more than the limit is ever kept.
* A literal that is never closed would swallow the closing tag. So if the text ends inside one, the first line in it
  that holds nothing but the tag closes the block after all. That source cannot be valid, so this only decides what the
  model is told and what is shown; what follows is shown as text and not searched for blocks again, because it may as
  well be the inside of the literal.

The law: cutting the text differently changes nothing but how `Visible` pieces are divided.

Rejected: recognizing a fence only as CommonMark does (up to three spaces, list nesting resolved): a fence that is
missed lets an example be run, one too many only shows a script as text, so the looser rule is the safer one.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, Protocol

from actors.sandbox_pool.inside.lexer import Kind, Lexer
from actors.sandbox_pool.limits import SOURCE_BYTES

OPENING = "<tool-calls>"
CLOSING = "</tool-calls>"

INDENT_MAX = 64
"""Blanks before the tag, so that a line of blanks is not held back for ever. Nobody indents this far."""

FENCE_LINE_MAX = 256
"""How much of a line is looked at to see whether it is a fence: markers and the name of a language are far shorter."""

_BLANKS = " \t"
_FENCE = re.compile(r"[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*(`{3,}|~{3,})(.*)", re.DOTALL)
_LONE_TAG = re.compile(r"^[ \t]*" + re.escape(CLOSING) + r"[ \t]*\r?$", re.MULTILINE)
_FIRST_BREAK = re.compile(r"[ \t]*\r?\n")


class Visible(NamedTuple):
    """Text to be shown."""

    text: str


class Opened(NamedTuple):
    """A block has begun; its text is hidden from here on."""


class Block(NamedTuple):
    """A block, whole. Its lines are counted from the first one behind the tag's own."""

    source: str
    """As the model wrote it; "" when it is too large."""
    problem: Literal["unclosed", "too_large"] | None = None
    """Set: it must not be run."""


Piece = Visible | Opened | Block


class Watcher(Protocol):
    """Who wants to see a block before it is whole."""

    def opened(self) -> None:
        """A block has begun."""
        ...

    def written(self, text: str) -> None:
        """More of it, from behind its opening tag, with its closing tag at its end. No more than may be run."""
        ...

    def ended(self) -> None:
        """It is whole, or the response is over."""
        ...


class Scanner:
    """One response's text. `feed` it as it comes, `close` it at the end."""

    def __init__(self, source_bytes: int = SOURCE_BYTES, watcher: Watcher | None = None) -> None:
        self._limit = source_bytes
        self._watcher = watcher
        self._held = ""  # the beginning of a line that may become the tag
        self._at_start = True  # of a line, as far as blanks go
        self._line = ""  # what was seen of the line, to know a fence
        self._fence = ""  # the marker that opened the fence we are in
        self._lexer: Lexer | None = None  # while in a block
        self._body: list[str] = []
        self._size = 0

    def feed(self, text: str) -> list[Piece]:
        """What is certain now."""
        pieces: list[Piece] = []
        while text:
            text = self._text(text, pieces) if self._lexer is None else self._script(text, self._lexer, pieces)
        return pieces

    def close(self) -> list[Piece]:
        """The response has ended."""
        pieces: list[Piece] = []
        if self._lexer is None:
            _show(self._held, pieces)
            self._held = ""
            return pieces
        rest = self._script_ended(self._lexer, pieces)
        _show(rest, pieces)
        return pieces

    # ── outside ──

    def _text(self, text: str, pieces: list[Piece]) -> str:
        """Take one line, or what there is of it; what is left."""
        if self._at_start:
            text, self._held = self._held + text, ""
            stripped = text.lstrip(_BLANKS)
            blanks = len(text) - len(stripped)
            if not self._fence and blanks <= INDENT_MAX:
                if stripped.startswith(OPENING):
                    pieces.append(Opened())
                    self._lexer, self._body, self._size = Lexer(CLOSING), [], 0
                    if self._watcher is not None:
                        self._watcher.opened()
                    return stripped[len(OPENING) :]
                if OPENING.startswith(stripped):
                    self._held = text
                    return ""
            self._at_start = False
        line, newline, rest = text.partition("\n")
        _show(line + newline, pieces)
        self._line += line[: FENCE_LINE_MAX - len(self._line)]
        if newline:
            self._end_line(self._line)
            self._line, self._at_start = "", True
        return rest

    def _end_line(self, line: str) -> None:
        match = _FENCE.match(line)
        if match is None:
            return
        marker, info = match[1], match[2].strip()
        if not self._fence:
            if marker[0] == "~" or "`" not in info:  # "```x```" is code inside a line
                self._fence = marker
        elif marker[0] == self._fence[0] and len(marker) >= len(self._fence) and not info:
            self._fence = ""

    # ── inside ──

    def _script(self, text: str, lexer: Lexer, pieces: list[Piece]) -> str:
        """Take the text of a block up to its end; what is left."""
        closing = next((token for token in lexer.feed(text) if token.kind is Kind.CLOSE), None)
        rest = "" if closing is None else lexer.rest
        self._keep(text[: len(text) - len(rest)])
        if closing is not None:
            self._finish("".join(self._body)[: closing.start] if self._body else None, pieces)
            self._at_start, self._line = False, CLOSING
        return rest

    def _keep(self, text: str) -> None:
        """Of a block that is certainly too large, nothing is kept: there `_body` is empty and stays so."""
        self._size += len(text)
        if self._size <= self._limit + len(CLOSING):
            self._body.append(text)
            if self._watcher is not None:
                self._watcher.written(text)
        else:
            self._body.clear()

    def _finish(self, body: str | None, pieces: list[Piece], problem: Literal["unclosed"] | None = None) -> None:
        self._lexer, self._body = None, []
        if self._watcher is not None:
            self._watcher.ended()
        if body is None or len(body.encode("utf-8", "replace")) > self._limit:
            pieces.append(Block("", "too_large"))
            return
        first = _FIRST_BREAK.match(body)
        pieces.append(Block(body if first is None else body[first.end() :], problem))

    def _script_ended(self, lexer: Lexer, pieces: list[Piece]) -> str:
        """The response ended in a block; the text behind it, when a tag alone on its line is taken for its end."""
        body = "".join(self._body)
        if self._size > len(body):
            self._finish(None, pieces)
            return ""
        lexer.close()
        lone = None if lexer.inside is None else _LONE_TAG.search(body, lexer.inside)
        if lone is None:
            self._finish(body, pieces, "unclosed")
            return ""
        self._finish(body[: lone.start()], pieces)
        return body[lone.end() :]


def _show(text: str, pieces: list[Piece]) -> None:
    if not text:
        return
    if pieces and isinstance(last := pieces[-1], Visible):
        pieces[-1] = Visible(last.text + text)
    else:
        pieces.append(Visible(text))
