"""What other processes of this machine can see of the daemon: not its secrets.

`/proc/PID/environ` and `/proc/PID/cmdline` are the memory into which the kernel put both when the program began
(proc(5)), so `ps auxe` of a model's command would show it the keys the daemon was started with. We have taken what we
need by then; the rest is written over. Whatever else is in memory is kept from other programs of the same user by
PR_SET_DUMPABLE (prctl(2)): they can attach no debugger, read neither `/proc/PID/mem` nor `environ`, and no core file is
written. Programs that we start are as open as any: the mark ends with exec.

Root may look into everything; a sandbox keeps commands from it (docs/containment.md). Rejected: RLIMIT_CORE, which a
model's command would inherit, and starting ourselves anew with a smaller environment (a second start's time).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from actors.model_stream.providers import known_providers
from actors.model_stream.unsaid import SHORTEST_SECRET, bare_url
from actors.settings.key_paths import KeyPathError, split_key_path
from actors.settings.secrets import may_hold_secret
from messages.settings import Settings
from supervisors.parts import without_keys

PR_SET_DUMPABLE = 4

ARGUMENTS, ENVIRONMENT = (45, 46), (47, 48)
"""Where in /proc/PID/stat begin and end of both stand, counted from the state, which is the third field (proc(5))."""


def seal() -> None:
    """Let no other program of this user look into this process, and leave no core file. Does nothing elsewhere."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def secret_variables(environment: Mapping[str, str], settings: Settings) -> tuple[str, ...]:
    """The variables that only the daemon needs."""
    return tuple(environment.keys() - without_keys(environment, known_providers(settings, "")).keys())


def secret_words(overrides: Iterable[str], base_url: str | None) -> tuple[str, ...]:
    """What of the command line may be secret: values of ``-c KEY=VALUE``, and a URL with more than an address."""
    found = [] if base_url is None or bare_url(base_url) == base_url else [base_url]
    for override in overrides:
        name, _, value = override.partition("=")
        with contextlib.suppress(KeyPathError):
            if may_hold_secret(split_key_path(name)):
                found.append(value)
    return tuple(found)


def blank(variables: Iterable[str], words: Iterable[str]) -> None:
    """Write over the values of ``variables``, and ``words`` among the arguments, where others could read them. What has
    read them before keeps its copy; Python's own `os.environ` loses the variables."""
    try:
        stat = Path("/proc/self/stat").read_bytes().rpartition(b") ")[2].split()
        (arguments, arguments_end), (environment, environment_end) = (
            (int(stat[begin]), int(stat[end])) for begin, end in (ARGUMENTS, ENVIRONMENT)
        )
    except (OSError, IndexError, ValueError):
        return
    for name in variables:
        _blank(environment, environment_end, os.fsencode(name) + b"=")
        os.environ.pop(name, None)
    for word in words:
        if len(word) >= SHORTEST_SECRET:
            _blank_word(arguments, arguments_end, os.fsencode(word))


def _blank(begin: int, end: int, start: bytes) -> None:
    """What follows ``start`` in each text that begins with it."""
    at = begin
    for text in ctypes.string_at(begin, max(0, end - begin)).split(b"\0"):
        if text.startswith(start):
            ctypes.memset(at + len(start), 0, len(text) - len(start))
        at += len(text) + 1


def _blank_word(begin: int, end: int, word: bytes) -> None:
    memory = ctypes.string_at(begin, max(0, end - begin))
    at = memory.find(word)
    while at >= 0:
        ctypes.memset(begin + at, 0, len(word))
        at = memory.find(word, at + len(word))
