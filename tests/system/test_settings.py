"""Settings that change while a daemon runs, in a real process."""

from __future__ import annotations

from pathlib import Path

import trio

from tests.system.daemon import DaemonProcess
from tests.system.deadline import deadline
from tests.system.peer import Peer, connect


async def test_what_changes_is_in_force_for_what_begins_then_and_the_daemon_lives_on(
    lone: DaemonProcess, workspace: Path
) -> None:
    lone.start()
    file = lone.home / "config.toml"
    with deadline(30, lone):
        async with connect(lone) as peer:
            before = await peer.start_thread(workspace)
            write = {"keyPath": "tool_output_token_limit", "value": 77, "mergeStrategy": "replace"}
            assert (await peer.request("config/value/write", write))["status"] == "ok"
            file.write_text(
                file.read_text() + 'model_verbosity = "low"\n[model_providers.more]\nbase_url = "http://x"\n'
            )
            while not await _there(peer, "more"):  # noqa: ASYNC110  # a file: nothing tells when it was read
                await trio.sleep(0.05)
            after = await peer.start_thread(workspace)
            for thread in (before, after):
                assert (await peer.run_turn(thread["id"], "hello"))["status"] == "completed"
    lone.stop()


async def _there(peer: Peer, provider: str) -> bool:
    listed = await peer.request("modelProvider/list", {})
    return provider in {each["id"] for each in listed["data"]}
