"""The Python SDK, which starts `<codex_bin> app-server --listen stdio://` and speaks to its standard input."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio

from tests.conformance.clients import SDK
from tests.conformance.recording import Frame
from tests.conformance.stage import ANSWER, ANSWERED, Flow, Stage

FLOWS: list[Flow] = []

CLIENT = Path(__file__).with_name("sdk_client.py")

CLIENT_SECONDS = 60.0
"""For a program that starts the SDK, a daemon and a few short turns."""


def flow(run: Callable[[Stage], Awaitable[None]]) -> Callable[[Stage], Awaitable[None]]:
    """A flow of the SDK, called like its function."""
    FLOWS.append(Flow(name="sdk_" + run.__name__, client=SDK, run=run))
    return run


@flow
async def turn_with_tools(stage: Stage) -> None:
    """No daemon runs: the SDK's binary starts one. A turn runs a command, the next answers, both are told whole."""
    seen = await _run(stage, "turn")
    assert seen["first"] == {
        "status": "completed",
        "final": ANSWERED,
        "items": ["userMessage", "commandExecution", "agentMessage"],
    }
    assert seen["second"] == {"status": "completed", "final": ANSWER, "items": ["userMessage", "agentMessage"]}
    assert (stage.work / "made.txt").exists()


@flow
async def interrupt(stage: Stage) -> None:
    """A streaming turn is interrupted; the SDK's stream ends with the interrupted turn, at once."""
    seen = await _run(stage, "interrupt")
    assert seen["status"] == "interrupted"
    assert seen["seconds"] < 2
    assert seen["methods"].count("item/started") == seen["methods"].count("item/completed")


@flow
async def resume(stage: Stage) -> None:
    """A daemon runs already: one program's thread is found and gone on with by the next, which shares that daemon."""
    await stage.start_daemon()
    before = await _run(stage, "turn")
    seen = await _run(stage, "resume", before["thread"])
    assert seen["thread"] == before["thread"]
    assert before["thread"] in seen["listed"]
    assert seen["turns_before"] == 2
    assert seen["turn"]["final"] == ANSWER
    last = stage.model.exchanges[-1]
    assert sum(item.get("role") == "assistant" for item in last.input) == 2, "the model was not told what it had said"


async def _run(stage: Stage, *what: str) -> Frame:
    command = [str(stage.program), "-I", str(CLIENT), str(stage.binary()), str(stage.work), *what]
    with trio.fail_after(CLIENT_SECONDS):
        done = await trio.run_process(
            command, capture_stdout=True, capture_stderr=True, check=False, env=stage.stdio_environment()
        )
    await stage.hear_stdio()
    assert done.returncode == 0, f"{what[0]}: {done.stderr.decode(errors='replace')[-1500:]}"
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen
