"""The rules of the house, read from the source: who may import whom, and who may touch the world.

Everything here looks at syntax trees, never at imported modules, so a rule holds for code that no test runs too.
An exception has a reason beside it, and one that is no longer needed is an error as well.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("messages", "actors", "supervisors")

DOORS = frozenset(
    {
        "asyncio",
        "concurrent",
        "ctypes",
        "fcntl",
        "glob",
        "mmap",
        "multiprocessing",
        "os",
        "pathlib",
        "pty",
        "queue",
        "random",
        "resource",
        "secrets",
        "select",
        "selectors",
        "shutil",
        "signal",
        "socket",
        "socketserver",
        "subprocess",
        "tempfile",
        "termios",
        "threading",
        "time",
        "tty",
        "urllib.request",
        "uuid",
    }
)
"""Modules through which a program reaches clock, entropy, threads, files, sockets or processes."""

DOOR_CALLS = frozenset(
    {
        "open",
        "io.open",
        "datetime.now",
        "datetime.datetime.now",
        "datetime.utcnow",
        "datetime.today",
        "date.today",
        "trio.open_file",
        "trio.Path",
        "trio.run_process",
        "trio.lowlevel.open_process",
        "trio.open_tcp_stream",
        "trio.open_tcp_listeners",
        "trio.serve_tcp",
        "trio.serve_listeners",
        "trio.open_unix_socket",
        "trio.open_ssl_over_tcp_stream",
        "trio.SocketStream",
        "trio.SocketListener",
        "trio.to_thread.run_sync",
        "trio.from_thread.run",
        "trio.from_thread.run_sync",
    }
)
"""The same doors behind names that need no such module."""

HARMLESS = "os.path"
"""Pure string work that lives in a module that is not; ``from os import path`` gives nothing else."""

OUTSIDE = {
    "actors/ports/production": "this is the door",
    "actors/tool_worker/launcher": "mostly runs in the helper process, before and beside the daemon's loop",
    "actors/sandbox_pool/inside": "runs in the zygote and its workers; the daemon imports only what is pure in it",
    "actors/console": "a client in a process of its own; the daemon never imports it",
}
"""Folders where the world may be touched."""

ALLOWED = {
    "actors/kernel/watchdog.py": {
        "threading": "the catcher must run while the loop cannot; the port gives it its thread, this the shared event",
    },
    "actors/kernel/system.py": {"random": "names the type of the random it is given"},
    "actors/ports/entropy.py": {"random": "names the type of the random it gives"},
}
"""Single files with a reason; anything else goes through `actors.ports`."""

CORE_REFUSES = frozenset({"trio", "httpx2", "httptools", "trio_websocket", "os", "time"})
"""What a `core.py` must not know: it decides, it does not wait or do."""


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> Iterator[str]:
    """Every name this file binds by an import, wherever in the file, in full; relative ones as absolute."""
    for node in ast.walk(tree_of(path)):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield alias.name
                    if alias.asname is None:
                        yield alias.name.partition(".")[0]  # ``import os.path`` binds ``os``
            case ast.ImportFrom(module=module, names=names, level=level):
                base = list(path.relative_to(ROOT).with_suffix("").parts[:-level]) if level else []
                yield from (".".join([*base, *([module] if module else []), alias.name]) for alias in names)
            case _:
                pass


def calls_of(path: Path) -> Iterator[str]:
    """Every dotted name that is used, called or not: ``trio.open_file`` passed on opens a file too."""
    for node in ast.walk(tree_of(path)):
        match node:
            case ast.Call(func=ast.Name(id=name)):
                yield name
            case ast.Attribute():
                yield ast.unparse(node)
            case _:
                pass


def touches(path: Path) -> set[str]:
    """The doors to the world that this file opens itself."""
    found = {
        door
        for name in imports_of(path)
        for door in DOORS
        if (name == door or name.startswith(f"{door}.")) and not name.startswith(HARMLESS)
    }
    return found | (DOOR_CALLS & set(calls_of(path)))


def imports_package(path: Path, package: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for name in imports_of(path))


def outside(path: Path) -> bool:
    return any(short(path).startswith(f"{folder}/") for folder in OUTSIDE)


# --- who may import whom --------------------------------------------------------------------------------------------


def test_messages_import_none_of_ours() -> None:
    offenders = [
        short(path)
        for path in sources("messages")
        for other in ("actors", "supervisors")
        if imports_package(path, other)
    ]
    assert not offenders


def test_actors_never_import_supervisors() -> None:
    offenders = [
        short(path)
        for path in sources("actors")
        if imports_package(path, "supervisors") and not short(path).startswith("actors/console/")
    ]
    assert not offenders, "an actor is handed what starts its children; it does not fetch its supervisor"


def test_the_product_imports_neither_its_tests_nor_its_benchmarks() -> None:
    offenders = [
        short(path) for path in sources(*PACKAGES) for other in ("tests", "bench") if imports_package(path, other)
    ]
    assert not offenders


def test_a_core_decides_and_knows_nothing_that_waits_or_does() -> None:
    offenders = [
        f"{short(path)} imports {refused}"
        for path in sources(*PACKAGES)
        if path.name == "core.py"
        for refused in sorted(CORE_REFUSES)
        if imports_package(path, refused)
    ]
    assert not offenders


def test_the_kernel_knows_no_actor() -> None:
    offenders = [
        f"{short(path)} imports {name}"
        for path in sources("actors/kernel")
        for name in imports_of(path)
        if name.startswith("actors.") and not name.startswith(("actors.kernel", "actors.ports"))
    ]
    assert not offenders


# --- who may touch the world ----------------------------------------------------------------------------------------


def test_actors_reach_the_world_only_through_their_ports() -> None:
    offenders = [
        f"{short(path)} uses {door}: take it from actors.ports.Ports, or give the exception and its reason in ALLOWED"
        for path in sources("actors")
        if not outside(path)
        for door in sorted(touches(path) - ALLOWED.get(short(path), {}).keys())
    ]
    assert not offenders


def test_every_exception_is_still_needed() -> None:
    stale = [
        f"{file}: {door}"
        for file, doors in ALLOWED.items()
        for door in doors
        if not (ROOT / file).is_file() or door not in touches(ROOT / file)
    ]
    assert not stale


@pytest.mark.parametrize(
    ("source", "doors"),
    [
        ("import os", {"os"}),
        ("import os.path", {"os"}),
        ("from os import path", set()),
        ("from os import path, getcwd", {"os"}),
        ("import posixpath, re", set()),
        ("def f():\n    from subprocess import run", {"subprocess"}),
        ("import urllib.parse", set()),
        ("from urllib.request import urlopen", {"urllib.request"}),
        ("open('x')", {"open"}),
        ("box.open('x')", set()),
        ("reader = trio.open_file", {"trio.open_file"}),
        ("datetime.now(tz)", {"datetime.now"}),
    ],
)
def test_the_guard_sees_every_way_of_taking_a_door(tmp_path: Path, source: str, doors: set[str]) -> None:
    file = tmp_path / "example.py"
    file.write_text(source)
    assert touches(file) == doors


# --- the rest -------------------------------------------------------------------------------------------------------


def test_no_other_distribution_claims_our_import_names() -> None:
    """The names are generic and others use them: two on PyPI would be merged with ours into one broken folder."""
    claims = importlib.metadata.packages_distributions()
    foreign = {name: set(claims.get(name, ())) - {"callboard"} for name in PACKAGES}
    assert foreign == {name: set() for name in PACKAGES}, (
        "another distribution installs a package of this name; install callboard only into an environment of its own"
    )


UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX", "NotImplemented" + "Error")) + r")\b")


def test_nothing_is_left_for_later() -> None:
    offenders = [
        f"{short(path)}:{number}"
        for path in sources(*PACKAGES, "tests", "bench")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if UNFINISHED.search(line)
    ]
    assert not offenders


def test_every_module_says_what_it_is() -> None:
    offenders = [
        short(path) for path in sources(*PACKAGES) if path.read_text().strip() and not ast.get_docstring(tree_of(path))
    ]
    assert not offenders


def test_every_package_is_typed() -> None:
    assert all((ROOT / package / "py.typed").is_file() for package in PACKAGES)
