"""Secrets that can be recognised wherever they turn up: whole or in part, plain or encoded.

A canary is a short mark repeated, so that a piece of it cut anywhere (a message that is truncated, a value half taken
out) still holds the mark. It carries characters that URLs and JSON write otherwise, so that whoever takes out only the
plain spelling is caught. `Hunt` looks for marks in bytes as they are, in base64 and in hexadecimal; percent-encoding
and JSON leave them as they are.

Secrets that a daemon makes for itself (its tokens, a PKCE verifier) are added as `literals`, and looked for in the same
spellings.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

MARK = re.compile(rb"qzjx([0-9a-f]{2})qzjx")
"""Of any piece of a canary of 15 characters or more."""

HEX_MARK = re.compile(binascii.hexlify(b"qzjx") + rb"(3[0-9]|6[1-6])(3[0-9]|6[1-6])" + binascii.hexlify(b"qzjx"))

REPEATS = 5

ODD = "/+=&"
"""In the middle of each canary: an URL writes these in percent."""

SHOWN = 60
"""Leaks that are named one by one."""

LITERAL_PIECE = 16
"""Characters of a literal that are enough to recognise it by."""


class Canaries:
    """The secrets of one run, made when first asked for by name."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self.literals: dict[str, str] = {}
        """Other secrets: name -> text."""
        self._made: list[tuple[str, bytes]] = []
        self._made_for = (0, 0)

    def __getitem__(self, name: str) -> str:
        if name not in self._names:
            self._names.append(name)
        mark = f"qzjx{self._names.index(name):02x}"
        return f"{mark * REPEATS}{ODD}{mark * REPEATS}"

    def plain(self, name: str) -> str:
        """One without odd characters, for places that take none (a file's name, a JSON Web Token)."""
        return self[name].partition(ODD)[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Those that were given out."""
        return tuple(self._names)

    def found_in(self, data: bytes) -> set[str]:
        """The names of those of which something is in ``data``."""
        numbers = {int(number, 16) for number in MARK.findall(data)}
        numbers |= {int(bytes.fromhex((high + low).decode()), 16) for high, low in HEX_MARK.findall(data)}
        found = {self._names[number] for number in numbers if number < len(self._names)}
        return found | {name for name, word in self._words() if word in data}

    def _words(self) -> list[tuple[str, bytes]]:
        """What else to look for, and whose it is."""
        if self._made_for != (len(self._names), len(self.literals)):
            self._made_for = (len(self._names), len(self.literals))
            self._made = [(name, word) for name in self._names for word in _base64_words(self.plain(name).encode())]
            self._made += [(name, word) for name, text in self.literals.items() for word in _spellings(text)]
        return self._made


def _base64_words(text: bytes) -> Iterator[bytes]:
    """A piece of what base64 makes of ``text``, for each of the three ways it may be aligned."""
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + text)
        yield encoded[4:20]


def _spellings(text: str) -> Iterator[bytes]:
    piece = text[:LITERAL_PIECE] if len(text) > LITERAL_PIECE else text
    for each in (piece, quote(piece, safe=""), json.dumps(piece)[1:-1], binascii.hexlify(piece.encode()).decode()):
        yield each.encode()
    yield from _base64_words(text.encode())


class Hunt:
    """Looks everywhere, and says what is where."""

    def __init__(self, canaries: Canaries) -> None:
        self._canaries = canaries
        self.found: list[str] = []
        self.looked_at = 0
        """Bytes."""

    def look(self, where: str, data: bytes | str) -> None:
        """Into anything."""
        data = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
        self.looked_at += len(data)
        self.found += [f"{name} in {where}" for name in sorted(self._canaries.found_in(data))]

    def look_at_frames(self, where: str, frames: Iterable[object]) -> None:
        """Into what a client was sent, as JSON writes it and as it reads."""
        for frame in frames:
            texts = "\0".join(_texts(frame))
            self.look(f"{where}: {str(frame)[:200]}", f"{json.dumps(frame, ensure_ascii=False)}\0{texts}")

    def look_below(self, folder: Path, *, but: Iterable[str] = ()) -> None:
        """Into the names and contents of all files; ``but`` those that are the place of a secret."""
        spared = {folder / name for name in but}
        for path in folder.rglob("*"):
            self.look(f"the name {path}", str(path.relative_to(folder)))
            if path.is_file() and not path.is_symlink() and path not in spared:
                self.look(str(path), path.read_bytes())

    def look_at_process(self, pid: int, what: str) -> None:
        """Into what others may read of a process."""
        for name in ("environ", "cmdline"):
            try:
                self.look(f"{name} of {what} ({pid})", Path(f"/proc/{pid}/{name}").read_bytes())
            except OSError:
                return  # it ended meanwhile, or shows nothing

    def belongs(self, name: str, where: str) -> None:
        """That canary belongs to places that match ``where``, and must be in one: so it is known that they were looked
        into."""
        pattern = re.compile(f"{re.escape(name)} in (?:{where})")
        there = [leak for leak in self.found if pattern.match(leak)]
        assert there, f"{name} was to be in {where}, and is in {[leak for leak in self.found if name in leak]}"
        self.found = [leak for leak in self.found if leak not in there]

    def nothing_found(self) -> None:
        """Raises AssertionError that names each canary and where it was."""
        found = sorted(set(self.found))
        assert found == [], "\n".join([f"{len(found)} leaks", *found[:SHOWN]])
        assert self.looked_at > 0


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield str(key)
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def private(folder: Path) -> list[str]:
    """What below a folder is not for its owner only."""
    return [
        f"{path} has {path.lstat().st_mode & 0o777:04o}"
        for path in (folder, *folder.rglob("*"))
        if not path.is_symlink() and path.lstat().st_mode & 0o077
    ]


def descendants(pid: int) -> list[int]:
    """Living processes below one."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_bytes().rpartition(b") ")[2].split()
                parents[int(entry)] = int(fields[1])
            except (OSError, IndexError):
                continue
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]
