"""The real clients, installed by their package names into a cache outside the tree, with the programs they need.

Each has a folder of its own, marked when it is whole. What cannot be had (no network, no npm) is tried again and then
reported: that a download failed says nothing about callboard.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TRIES = 3
PAUSE_SECONDS = 5.0
"""A mirror that hiccups is back after a moment; one that is down for minutes is not waited for."""

INSTALL_SECONDS = 600.0
"""The largest brings a few hundred megabytes of binaries."""

READY = ".ready"

SYSTEM_PACKAGES = {"tmux": "tmux", "npm": "npm", "node": "nodejs"}
"""By program, what Debian and its kin call the package that has it."""


class UnavailableError(Exception):
    """A client that cannot be had on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class Client:
    """A package and what is run of it."""

    name: str
    package: str
    install: Callable[[Path, str], list[list[str]]]
    """The commands that put the package into a folder."""
    program: str
    """Inside the folder."""
    needs: tuple[str, ...] = ()
    """Programs of the system without which it cannot be driven."""


def _npm(folder: Path, package: str) -> list[list[str]]:
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    return [[needed("npm"), "install", *quiet, "--prefix", str(folder), package]]


def _pip(folder: Path, package: str) -> list[list[str]]:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [[sys.executable, "-m", "venv", str(folder)], [*pip, package]]


CODEX = Client("codex", "@openai/codex@0.169.0", _npm, "node_modules/.bin/codex", ("tmux",))
SDK = Client("python-sdk", "openai-codex==0.163.0", _pip, "bin/python")
ACP = Client(
    "acp-adapter",
    "@agentclientprotocol/codex-acp@2.6.0",
    _npm,
    "node_modules/@agentclientprotocol/codex-acp/dist/index.js",
    ("node",),
)


def cache() -> Path:
    """Where clients are kept between runs: $CALLBOARD_CLIENTS, or callboard's folder in the user's cache."""
    named = os.environ.get("CALLBOARD_CLIENTS")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "callboard" / "clients"


def installed(client: Client) -> Path:
    """The path of a client's program; installs it, and what it needs, as need be. Raises UnavailableError."""
    for program_needed in client.needs:
        needed(program_needed)
    folder = cache() / f"{client.name}-{client.package.rpartition('@')[2].rpartition('=')[2]}"
    if not (folder / READY).exists():
        _install(client, folder)
    program = folder / client.program
    if not program.exists():
        raise UnavailableError(f"{client.package} has no {client.program}")
    return program


def _install(client: Client, folder: Path) -> None:
    def attempt() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for command in client.install(folder, client.package):
            _run(command)

    _tried(client.package, attempt)
    (folder / READY).touch()


def needed(program: str) -> str:
    """Its path; installs the system's package of it where we may. Raises UnavailableError."""
    found = shutil.which(program)
    if found is None and shutil.which("apt-get") is not None and os.geteuid() == 0:
        package = SYSTEM_PACKAGES[program]

        def attempt() -> None:
            _run(["apt-get", "update", "-qq"])
            _run(["apt-get", "install", "-qq", "--yes", "--no-install-recommends", package])

        _tried(package, attempt)
        found = shutil.which(program)
    if found is None:
        raise UnavailableError(f"{program} is not on this machine")
    return found


def _tried(package: str, attempt: Callable[[], None]) -> None:
    """Attempt it a few times. Raises UnavailableError."""
    problem = ""
    for number in range(1, TRIES + 1):
        print(f"installing {package}{'' if number == 1 else f', attempt {number}'}", flush=True)
        try:
            attempt()
        except subprocess.CalledProcessError as error:
            problem = error.stdout.decode(errors="replace").strip()[-800:]
        except (subprocess.TimeoutExpired, OSError) as error:
            problem = str(error)
        else:
            return
        time.sleep(PAUSE_SECONDS)
    raise UnavailableError(f"{package} cannot be installed ({TRIES} attempts): {problem}")


def _run(command: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(
        command,
        check=True,
        timeout=INSTALL_SECONDS,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=environment,
    )
