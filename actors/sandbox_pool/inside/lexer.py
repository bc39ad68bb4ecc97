"""A tokenizer of JavaScript that can be fed piece by piece.

It knows just enough grammar to tell code from what only looks like code: strings, templates with their `${…}`,
comments and regular expressions. Two need that: the scanner, which must not take a closing tag inside a string for the
end of a script, while the script is still arriving; and the checks before a run, which must not take a word in a
comment for a use of it.

The law both rest on: tokens do not depend on how the text was cut. So nothing is a token while it touches the end of
what has arrived and could still grow.

A slash is a division after an operand and begins a regular expression elsewhere; which of the two follows `)` and `}`
depends on what they close, so open brackets are remembered. Rejected: a parser (tree-sitter's cannot be fed a text that
grows without parsing it again), and regular expressions over the source (they see a tag in a string).
"""

from __future__ import annotations

import enum
import re
from typing import NamedTuple


class Kind(enum.Enum):
    """What a token is."""

    WORD = "word"
    """A name or keyword; private names with their ``#``."""
    NUMBER = "number"
    PUNCTUATION = "punctuation"
    """One character, but ``=>``, ``?.``, ``++`` and ``--`` are kept whole."""
    STRING = "string"
    TEMPLATE = "template"
    """One run of literal text of a template; what stands in ``${…}`` is made of tokens of its own."""
    REGEX = "regex"
    COMMENT = "comment"
    CLOSE = "close"
    """The closing tag, in code."""


class Token(NamedTuple):
    """``text`` is empty for what is inside quotes, comments and regular expressions: nobody needs it."""

    kind: Kind
    start: int
    """Characters from the beginning of all that was fed."""
    end: int
    text: str = ""


WORD_MAX = 256
"""A longer name is cut in two: it is looked at again whenever it grows, at a cost that must not be quadratic."""

_WORD = re.compile(r"#?(?:[\w$]|\\u\{[0-9a-fA-F]*\}|\\u[0-9a-fA-F]{0,4}|[^\x00-\x7f\s\ufeff])+")
_NUMBER = re.compile(r"\.?\d(?:[eE][+-]|[\w.])*")
_BLANK = re.compile(r"[\s\ufeff]+")
_PUNCTUATION = re.compile(r"=>|\?\.(?!\d)|\+\+|--|[\s\S]")
_GROWING = frozenset("=?+-.#\\/<")
"""What may become another token with the next character."""
_SKIP = {
    "'": re.compile(r"[^'\\\n]*"),
    '"': re.compile(r'[^"\\\n]*'),
    "`": re.compile(r"[^`\\$]*"),
    "//": re.compile(r"[^\n\r\u2028\u2029]*"),
    "/*": re.compile(r"[^*]*"),
    "/": re.compile(r"[^/\\\[\n]*"),
    "[": re.compile(r"[^\]\\\n]*"),
}
"""Inside each literal, what cannot end it. ``/`` is a regular expression, ``[`` a class in one."""
_KINDS = {"'": Kind.STRING, '"': Kind.STRING, "//": Kind.COMMENT, "/*": Kind.COMMENT, "/": Kind.REGEX}
_BEFORE_OPERAND = frozenset(
    [
        "return",
        "typeof",
        "case",
        "in",
        "of",
        "await",
        "yield",
        "void",
        "delete",
        "throw",
        "new",
        "do",
        "else",
        "instanceof",
        "extends",
        "default",
    ]
)
"""Words behind which a slash begins a regular expression and a brace an object."""
_BEFORE_BLOCK = frozenset(("else", "do", "try", "finally"))
_CONDITION_WORDS = frozenset(("if", "while", "for", "with"))
"""What their parentheses close is followed by a statement."""


class Lexer:
    """Feed it a text in pieces; it gives the tokens that are certain. ``closing`` is a tag to look for in code."""

    def __init__(self, closing: str = "") -> None:
        self._closing = closing
        self._buffer = ""
        self._offset = 0  # of the buffer's first character
        self._mode = ""  # "" is code; otherwise a key of _SKIP
        self._began = 0  # where the literal we are in began
        self._operand = False  # whether the last token ends an operand: then a slash divides
        self._last = ""  # the last token that is no comment
        self._brackets: list[str] = []  # open ones: "(" "(if" "[" "{block" "{object" "{template"

    @property
    def inside(self) -> int | None:
        """Where the literal or comment that is still open began; None in code."""
        return self._began if self._mode else None

    @property
    def rest(self) -> str:
        """What was fed and is not yet a token; behind a closing tag, all that followed it."""
        return self._buffer

    def feed(self, text: str) -> list[Token]:
        """The tokens that are certain now."""
        self._buffer += text
        return self._run(final=False)

    def close(self) -> list[Token]:
        """No more will come: the rest. What is still open then is in `inside`."""
        return self._run(final=True)

    def _run(self, *, final: bool) -> list[Token]:
        tokens: list[Token] = []
        at = 0
        while at < len(self._buffer):
            step = self._literal(at, tokens, final=final) if self._mode else self._code(at, tokens, final=final)
            if step < 0:
                break
            at = step
            if tokens and tokens[-1].kind is Kind.CLOSE:
                break  # what follows is not ours
        self._buffer = self._buffer[at:]
        self._offset += at
        return tokens

    # ── code ──

    def _code(self, at: int, tokens: list[Token], *, final: bool) -> int:
        """Take one token; where it ends, or -1 when it may still grow."""
        buffer = self._buffer
        character = buffer[at]
        if (blank := _BLANK.match(buffer, at)) is not None:
            return blank.end()
        if self._closing and character == "<":
            if buffer.startswith(self._closing, at):
                return self._take(Kind.CLOSE, at, at + len(self._closing), tokens)
            if not final and self._closing.startswith(buffer[at:]):
                return -1
        if not final and at + 1 == len(buffer) and character in _GROWING:
            return -1
        for kind, pattern in ((Kind.NUMBER, _NUMBER), (Kind.WORD, _WORD)):
            if (match := pattern.match(buffer, at, at + WORD_MAX)) is not None:
                if match.end() == len(buffer) < at + WORD_MAX and not final:
                    return -1
                property_name = self._last in (".", "?.")
                self._operand = property_name or kind is Kind.NUMBER or match[0] not in _BEFORE_OPERAND
                self._take(kind, at, match.end(), tokens)
                if property_name:
                    self._last = "name"  # `x.return` is no keyword
                return match.end()
        opening = buffer[at : at + 2]
        if character in "'\"`" or opening in ("//", "/*") or (character == "/" and not self._operand):
            self._mode = opening if opening in ("//", "/*") else character
            self._began = self._offset + at
            return at + len(self._mode)
        return self._punctuation(at, tokens, final=final)

    def _punctuation(self, at: int, tokens: list[Token], *, final: bool) -> int:
        match = _PUNCTUATION.match(self._buffer, at)
        assert match is not None
        text = match[0]
        if text == "?." and match.end() == len(self._buffer) and not final:
            return -1  # `?.5` is a question and a number
        operand = False
        match text:
            case "(":
                self._brackets.append("(if" if self._last in _CONDITION_WORDS else "(")
            case "[":
                self._brackets.append("[")
            case "{":
                self._brackets.append("{object" if self._expects_operand() else "{block")
            case ")" | "]" | "}":
                closed = self._brackets.pop() if self._brackets else ""
                if closed == "{template":
                    self._mode, self._began = "`", self._offset + at
                    return match.end()
                operand = closed not in ("(if", "{block")
            case "++" | "--":
                operand = self._operand
            case _:
                pass
        self._operand = operand
        return self._take(Kind.PUNCTUATION, at, match.end(), tokens)

    def _expects_operand(self) -> bool:
        """Whether a brace here begins an object, not a block."""
        if self._last in _BEFORE_BLOCK:
            return False
        return not self._operand and self._last not in ("", ";", "{", "}", ")", "=>")

    def _take(self, kind: Kind, at: int, end: int, tokens: list[Token]) -> int:
        token = Token(kind, self._offset + at, self._offset + end, self._buffer[at:end])
        self._last = token.text
        tokens.append(token)
        return end

    # ── strings, templates, comments, regular expressions ──

    def _literal(self, at: int, tokens: list[Token], *, final: bool) -> int:
        """Go on in the literal we are in; where we have got to, or -1 when the next character decides."""
        buffer, mode = self._buffer, self._mode
        skipped = _SKIP[mode].match(buffer, at)
        assert skipped is not None
        at = skipped.end()
        if at == len(buffer):
            return at
        character = buffer[at]
        two = buffer[at : at + 2]
        if len(two) < 2 and not final and character in "\\*$":  # an escape, the end of a comment, `${`
            return at if skipped.end() > skipped.start() else -1
        if character == "\\":
            return min(at + 2, len(buffer))
        match mode:
            case "//":
                return self._leave(at, tokens)
            case "/*":
                return self._leave(at + 2, tokens) if two == "*/" else at + 1
            case "`" if character == "$":
                if two != "${":
                    return at + 1
                self._text_of_template(at, tokens)
                self._brackets.append("{template")
                self._operand, self._last = False, "${"
                return at + 2
            case "`":
                self._text_of_template(at, tokens)
                self._operand, self._last = True, "`"
                return at + 1
            case "/" if character == "[":
                self._mode = "["
                return at + 1
            case "[" if character == "]":
                self._mode = "/"
                return at + 1
            case _ if character == "\n":  # no literal of one line goes past it: a mistake, or not one at all
                self._mode = "/" if mode == "[" else mode
                return self._leave(at, tokens)
            case _:
                return self._leave(at + 1, tokens)

    def _text_of_template(self, at: int, tokens: list[Token]) -> None:
        tokens.append(Token(Kind.TEMPLATE, self._began, self._offset + at))
        self._mode = ""

    def _leave(self, at: int, tokens: list[Token]) -> int:
        kind = _KINDS[self._mode]
        tokens.append(Token(kind, self._began, self._offset + at))
        self._mode = ""
        if kind is not Kind.COMMENT:
            self._operand, self._last = True, kind.value
        return at


def tokenize(source: str) -> list[Token]:
    """All tokens of a whole source. What is left open at its end is no token."""
    lexer = Lexer()
    return lexer.feed(source) + lexer.close()


def position(source: str, offset: int) -> tuple[int, int]:
    """Line and column of a character, both from 1, columns in characters."""
    return source.count("\n", 0, offset) + 1, offset - (source.rfind("\n", 0, offset) + 1) + 1
