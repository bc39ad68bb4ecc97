"""The watcher of tool tests finds what it is there to find, and names it."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trio

from tests.watched import LeftoverError, deadline, leaves_nothing


def test_a_process_that_is_left_is_named() -> None:
    left: list[subprocess.Popen[bytes]] = []
    try:
        with pytest.raises(LeftoverError, match=r"process \d+: sleep 61"), leaves_nothing(settle_seconds=0):
            left.append(subprocess.Popen(["sleep", "61"]))
    finally:
        for process in left:
            process.kill()
            process.wait()


def test_a_thread_that_is_left_is_named_with_where_it_is() -> None:
    let_go = threading.Event()
    thread = threading.Thread(target=let_go.wait, name="straggler")
    try:
        with pytest.raises(LeftoverError, match=r"(?s)thread straggler:.*in wait"), leaves_nothing(settle_seconds=0):
            thread.start()
    finally:
        let_go.set()
        thread.join()


def test_a_thread_of_trios_cache_is_nobodys() -> None:
    async def main() -> None:
        await trio.to_thread.run_sync(int)

    with leaves_nothing():
        trio.run(main)


HANGS = """
import trio
from tests.watched import deadline

async def hangs():
    await trio.sleep_forever()

async def main():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hangs)

with deadline(0.2):
    trio.run(main)
"""


def test_at_the_deadline_the_tasks_that_wait_are_named() -> None:
    """In a process of its own: a loop that was broken into is not fit for other tests."""
    ended = subprocess.run(
        [sys.executable, "-c", HANGS], cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert "DeadlineError: not over after 0.2 s; there were" in ended.stderr
    assert re.search(r"^  task __main__\.hangs at \S+:\d+$", ended.stderr, re.MULTILINE)


def test_what_ends_in_time_is_let_be() -> None:
    with deadline(60), leaves_nothing():
        subprocess.run(["true"], check=True)
