"""What a test of a tool must not leave behind, and how long it may take: a fixture for folders of such tests.

`watched` gives a test a hard deadline and, when it has ended, looks for threads and processes that were not there
before; both failures *name* what they found: each task of the loop with the place it waits at, each thread with its
stack, each process with its command line. Tasks cannot outlive their loop, so they are named at the deadline only.

A folder opts in with one line in its ``conftest.py``; see `tests/actors/tool_worker/tools`.

Rejected: a timeout plugin (it kills the run and says nothing of tasks), and looking at descriptors (caches of others
open and close some at their own time).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
import trio

DEADLINE_SECONDS = 60.0
"""A hundred times what any of these tests takes on a busy machine: whoever meets it hangs."""

SETTLE_SECONDS = 5.0
"""What ends by itself (a thread on its way back to its cache, a killed child not yet reaped) may take this long."""


class DeadlineError(Exception):
    """The test did not end; the text says what there was."""


class LeftoverError(AssertionError):
    """The test ended and something of it did not."""


def threads() -> dict[int, threading.Thread]:
    """Every thread by its ident, but for those that wait in trio's cache for work."""
    frames = sys._current_frames()
    found = {thread.ident: thread for thread in threading.enumerate() if thread.ident is not None}
    return {ident: thread for ident, thread in found.items() if not _waits_in_cache(frames.get(ident))}


def _waits_in_cache(frame: FrameType | None) -> bool:
    return (
        frame is not None and frame.f_code.co_name == "_work" and frame.f_code.co_filename.endswith("_thread_cache.py")
    )


def processes() -> dict[int, str]:
    """Every descendant of this process: its command line by its id. Zombies count: somebody has to reap them."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue  # it ended while we looked
    ours = {os.getpid()}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in ours} - ours
        ours |= more
        grown = bool(more)
    return {pid: _command(pid) for pid in ours - {os.getpid()}}


def _command(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        return line or Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")[0] + " (a zombie)"
    except OSError:
        return "ended"


def tasks() -> list[str]:
    """The tasks of the loop that runs here, each with the place it waits at."""
    try:
        root = trio.lowlevel.current_root_task()
    except RuntimeError:
        return []
    found: list[str] = []
    waiting = [root] if root is not None else []
    while waiting:
        task = waiting.pop()
        places = [f"{frame.f_code.co_qualname}:{line}" for frame, line in task.iter_await_frames()]
        found.append(f"{task.name} at {places[-1] if places else 'its beginning'}")
        waiting += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return found


def describe_threads(found: dict[int, threading.Thread]) -> list[str]:
    frames = sys._current_frames()
    described = []
    for ident, thread in found.items():
        frame = frames.get(ident)
        stack = "".join(traceback.format_stack(frame)[-3:]) if frame is not None else "    (over)\n"
        described.append(f"{thread.name}:\n{stack}")
    return described


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise DeadlineError in the main thread after so long. Nested deadlines are not supported."""

    def over(_number: int, _frame: FrameType | None) -> None:
        lines = [f"not over after {seconds:g} s; there were"]
        lines += [f"  task {each}" for each in tasks()]
        lines += [f"  thread {each}" for each in describe_threads(threads())]
        lines += [f"  process {pid}: {command}" for pid, command in processes().items()]
        raise DeadlineError("\n".join(lines))

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def leaves_nothing(settle_seconds: float = SETTLE_SECONDS) -> Iterator[None]:
    """Raise LeftoverError if threads or processes that began inside are still there, once they had time to end."""
    threads_before, processes_before = set(threads()), set(processes())
    yield
    until = time.monotonic() + settle_seconds
    while True:
        new_threads = {ident: thread for ident, thread in threads().items() if ident not in threads_before}
        new_processes = {pid: command for pid, command in processes().items() if pid not in processes_before}
        if not new_threads and not new_processes:
            return
        if time.monotonic() > until:
            lines = [f"  thread {each}" for each in describe_threads(new_threads)]
            lines += [f"  process {pid}: {command}" for pid, command in new_processes.items()]
            raise LeftoverError("\n".join(["the test left behind", *lines]))
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def watched() -> Iterator[None]:
    """A hard deadline, and nothing left behind."""
    with leaves_nothing(), deadline(DEADLINE_SECONDS):
        yield
