"""Where in a TOML file each key stands, for messages that name line and column. Pure.

tomllib says what a file means and not where; tomlkit takes 150 ms to import, which a daemon that only starts should not
pay. So this skims a text that tomllib has accepted: it knows keys, tables and where values end, nothing of what they
mean (https://toml.io/en/v1.0.0). Used only once something is to be complained of.
"""

from __future__ import annotations

import re
from typing import NamedTuple

Path = tuple[str | int, ...]
"""Keys from the top; a number is an index in an array."""


class Place(NamedTuple):
    """Both counted from 1; the column in characters."""

    line: int
    column: int


_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r'[ \t]*(?:"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|([A-Za-z0-9_-]+))[ \t]*')
_STRING = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}(?!")|\'\'\'.*?\'{3,5}(?!\')|"(?:[^"\\]|\\.)*"|\'[^\']*\'', re.DOTALL)
_BARE = re.compile(r"[^,\]}#\n]*")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


def key_places(text: str) -> dict[Path, Place]:
    """Every key and table of a valid document, where its own last part stands."""
    return _Skimmer(text.replace("\r\n", "\n")).skim()


class _Skimmer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._found: dict[Path, Place] = {}
        self._lengths: dict[Path, int] = {}
        """Of arrays of tables so far."""

    def skim(self) -> dict[Path, Place]:
        table: Path = ()
        while self._skip(_SPACE) < len(self._text):
            if self._text.startswith("[[", self._at):
                table = self._header(2)
            elif self._text[self._at] == "[":
                table = self._header(1)
            else:
                self._pair(table)
        return self._found

    def _header(self, brackets: int) -> Path:
        self._at += brackets
        keys = self._keys()
        path: Path = ()
        for number, (key, start) in enumerate(keys):
            path = (*path, key)
            self._note(path, start)
            if brackets == 2 and number == len(keys) - 1:
                self._lengths[path] = self._lengths.get(path, 0) + 1
            if path in self._lengths:
                path = (*path, self._lengths[path] - 1)
                self._note(path, start)
        self._skip(_SPACE)
        self._at += brackets
        return path

    def _pair(self, table: Path) -> None:
        path = table
        for key, start in self._keys():
            path = (*path, key)
            self._note(path, start)
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip(_SPACE)
        opening = self._text[self._at]
        if opening == "[":
            self._at += 1
            index = 0
            while self._next_of("]"):
                self._note((*path, index), self._at)
                self._value((*path, index))
                index += 1
        elif opening == "{":
            self._at += 1
            while self._next_of("}"):
                self._pair(path)
        else:
            string = _STRING.match(self._text, self._at)
            self._at = string.end() if string is not None else self._skip(_BARE)

    def _next_of(self, closing: str) -> bool:
        """Go to the next element; False beyond the last."""
        self._skip(_SPACE)
        if self._text[self._at] == ",":
            self._at += 1
            self._skip(_SPACE)
        if self._text[self._at] == closing:
            self._at += 1
            return False
        return True

    def _keys(self) -> list[tuple[str, int]]:
        keys: list[tuple[str, int]] = []
        while found := _KEY.match(self._text, self._at):
            double, single, bare = found.groups()
            start = self._at + len(found.group()) - len(found.group().lstrip(" \t"))
            keys.append((_unescaped(double) if double is not None else single if single is not None else bare, start))
            self._at = found.end()
            if not self._text.startswith(".", self._at):
                break
            self._at += 1
        return keys

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._at)
        assert found is not None  # both may match nothing at all
        self._at = found.end()
        return self._at

    def _note(self, path: Path, start: int) -> None:
        if path not in self._found:
            line_start = self._text.rfind("\n", 0, start) + 1
            self._found[path] = Place(self._text.count("\n", 0, start) + 1, start - line_start + 1)


def _unescaped(text: str) -> str:
    def meaning(found: re.Match[str]) -> str:
        short, long, letter = found.groups()
        return chr(int(short or long, 16)) if letter is None else _ESCAPED.get(letter, letter)

    return _ESCAPE.sub(meaning, text)
