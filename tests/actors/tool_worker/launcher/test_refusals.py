"""Systems that refuse the better mechanisms: found out at the start, said in the report, and lived with."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import trio

from .stage import DEADLINE_SECONDS

ROOT = Path(__file__).resolve().parents[4]

SAY = (
    "from actors.tool_worker.launcher import *; r = containment_report({}); print(r.mechanism, r.own_proc, *r.refused)"
)


async def report_in(setup: str, arguments: str = "") -> str:
    """What is reported after ``setup`` (shell, its last command being a prefix); skips where that is refused itself."""
    command = ("sh", "-c", f'{setup} "$0" -c "$1"', sys.executable, SAY.format(arguments))
    with trio.fail_after(DEADLINE_SECONDS):
        done = await trio.run_process(command, cwd=ROOT, capture_stdout=True, capture_stderr=True, check=False)
    if done.returncode and b"Error" not in done.stderr:
        pytest.skip(f"not possible here: {done.stderr.decode()}")
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="takes away what only root has")
async def test_in_a_container_without_privileges_calls_get_a_subreaper_and_the_reasons_are_told() -> None:
    """As in a stock container: no CAP_SYS_ADMIN, and user namespaces refused."""
    inner = "echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-sys_admin"
    said = await report_in(f"unshare --user --map-root-user sh -c '{inner} \"$@\"' sh")
    assert said == "subreaper True pidns: Operation not permitted userns: No space left on device"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
async def test_a_masked_proc_that_cannot_be_mounted_anew_is_told_as_a_gap() -> None:
    """As container engines do it: parts of /proc are covered, so the unprivileged may not mount another."""
    said = await report_in("unshare --mount sh -c 'mount -t tmpfs none /proc/sys && exec \"$@\"' sh", 'force="userns"')
    assert said == "userns False"
