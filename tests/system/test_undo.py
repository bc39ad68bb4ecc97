"""Undo in a running daemon: what a command changed is taken back, and the model reads of it in the next turn."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.system.daemon import DaemonProcess
from tests.system.deadline import deadline
from tests.system.model import ScriptedModel
from tests.system.peer import RpcFailedError, connect
from tests.system.test_promises import tool_turn


async def test_what_a_command_changed_is_taken_back_and_the_model_is_told(
    daemon: DaemonProcess, model: ScriptedModel, workspace: Path
) -> None:
    await trio.run_process(["git", "init", "-q", str(workspace)])
    (workspace / "notes").write_text("the user's\n")
    model.on("ruin", tool_turn("echo ruined > notes; echo new > made"))
    with deadline(20, daemon):
        async with connect(daemon) as peer:
            thread = await peer.start_thread(workspace)
            await peer.run_turn(thread["id"], "ruin it")
            assert (workspace / "notes").read_text() == "ruined\n"
            done = await peer.request("callboard/thread/undo", {"threadId": thread["id"]})
            assert (done["restored"], done["removed"]) == (["notes"], ["made"])
            assert (workspace / "notes").read_text() == "the user's\n"
            assert not (workspace / "made").exists()
            with pytest.raises(RpcFailedError, match="no turn of this thread can be taken back"):
                await peer.request("callboard/thread/undo", {"threadId": thread["id"]})
            await peer.run_turn(thread["id"], "hello")
    assert "restored: notes" in str(model.exchanges[-1].input)
    assert model.problems == []
