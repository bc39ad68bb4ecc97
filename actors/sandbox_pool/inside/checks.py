"""What can be said of a script before it runs: its size, its encoding, its syntax, and words it cannot use.

The words are not a defence: the engine has no loader and no code generation from strings, whatever a script is called
or how it hides a name. They are looked for so that the model hears at once, with the line, what is not there.
"""

from __future__ import annotations

from .lexer import Kind, Token, position, tokenize
from .refusal import Refusal
from .typescript import erase_types

_NO_MODULES = "there are no modules here: everything a script can use is in `tools` and `context`"
_NO_CODE = "code cannot be made from text here: write it out"

_KEYWORDS = {"import": _NO_MODULES, "export": "a script exports nothing: return the result"}
_NAMES = {"require": _NO_MODULES, "eval": _NO_CODE, "Function": _NO_CODE}
_GLOBALS = frozenset(("globalThis", "window", "self", "global", "this"))
_NOTHING = Token(Kind.PUNCTUATION, 0, 0, ";")


def prepare(source: bytes, limit: int) -> str:
    """The JavaScript to run, every character where the model wrote it. Raises Refusal."""
    if len(source) > limit:
        raise Refusal("too_large", f"the script has {len(source)} bytes; {limit} are allowed")
    try:
        text = source.decode()
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise Refusal("encoding", "the script is not valid UTF-8", line, 1) from None
    if "\0" in text:
        raise Refusal("encoding", "the script holds a NUL character", *position(text, text.index("\0")))
    script = erase_types(text)
    refuse_words(script)
    return script


def refuse_words(script: str) -> None:
    """Raises Refusal where a name is used that does not exist, or a keyword that needs modules."""
    if not any(word in script for word in (*_KEYWORDS, *_NAMES, "\\u")):
        return
    tokens = [token for token in tokenize(script) if token.kind is not Kind.COMMENT]
    for index, token in enumerate(tokens):
        if token.kind is not Kind.WORD:
            continue
        word = _unescaped(token.text)
        reason = _KEYWORDS.get(word) or _NAMES.get(word)
        if reason is None:
            continue
        before = tokens[index - 1] if index else _NOTHING
        after = tokens[index + 1] if index + 1 < len(tokens) else _NOTHING
        if before.text in (".", "?."):
            owner = tokens[index - 2].text if index > 1 else ""
            if word in _KEYWORDS or owner not in _GLOBALS:
                continue  # a property of somebody's object
        elif after.text == ":" and before.text in ("{", ","):
            continue  # a key
        elif word == "Function" and before.text == "instanceof":
            continue
        raise Refusal("forbidden", f"`{word}` is not available: {reason}", *position(script, token.start))


def _unescaped(word: str) -> str:
    """``\\u0065val`` is eval."""
    if "\\" not in word:
        return word
    parts = word.split("\\u")
    decoded = [parts[0]]
    for part in parts[1:]:
        digits, rest = part[1:].split("}", 1) if part.startswith("{") and "}" in part else (part[:4], part[4:])
        try:
            decoded.append(chr(int(digits, 16)) + rest)
        except (ValueError, OverflowError):
            return word
    return "".join(decoded)
