"""``callboard token``: signed tokens for others, each with a name, an end and a scope; each can be revoked by itself.

Works on the files in the home. A daemon that runs takes a new token at once, and ends what a revoked one opened within
seconds.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time

import msgspec

from actors.console import home as homes
from actors.gateway import registry
from actors.gateway.registry import TokenEntry, TokenError
from actors.ports.production.entropy import SystemEntropy
from actors.ports.production.files import SystemFiles
from messages.access import SCOPES

OK, FAILED = 0, 1

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def run(options: argparse.Namespace) -> int:
    """The exit code."""
    try:
        match options.action:
            case "new":
                return _new(options)
            case "list":
                return _list(options)
            case _:
                return _revoke(options)
    except BrokenPipeError:
        raise
    except (TokenError, OSError, ValueError) as error:
        print(f"callboard token: {error}", file=sys.stderr)
        return FAILED


def _new(options: argparse.Namespace) -> int:
    home = str(homes.home())
    os.makedirs(home, mode=0o700, exist_ok=True)
    files = SystemFiles()
    entry, token = registry.make(
        files,
        SystemEntropy(),
        home,
        name=options.name,
        scopes=tuple(scope for scope in SCOPES if scope in options.scope),
        seconds=seconds_of(options.expires),
        now=time.time(),
    )
    print(token)
    print(
        f"token {entry.id} for {entry.name}: {', '.join(entry.scopes)}, until {_when(entry.expires_at)}. "
        "It is shown this once; whoever has it may do this.",
        file=sys.stderr,
    )
    return OK


def _list(options: argparse.Namespace) -> int:
    made = registry.entries(SystemFiles(), str(homes.home()))
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(made), indent=2).decode())
        return OK
    if not made:
        print("no signed tokens; make one with: callboard token new NAME --scope observe")
    for entry in made:
        print(f"{entry.id}  {_state(entry):<24}  {' '.join(entry.scopes):<28}  {entry.name}")
    return OK


def _revoke(options: argparse.Namespace) -> int:
    entry = registry.revoke(SystemFiles(), str(homes.home()), options.token, now=time.time())
    print(f"token {entry.id} for {entry.name} counts no more; connections it opened end within seconds")
    return OK


def _state(entry: TokenEntry) -> str:
    if entry.revoked_at is not None:
        return f"revoked {_when(entry.revoked_at)}"
    return f"{'expired' if time.time() >= entry.expires_at else 'until'} {_when(entry.expires_at)}"


def _when(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def seconds_of(text: str) -> int:
    """``90m``, ``12h``, ``30d``. Raises ValueError."""
    found = re.fullmatch(r"(\d+)([smhd])", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no length of time; write 90m, 12h or 30d")
    return int(found[1]) * UNITS[found[2]]
