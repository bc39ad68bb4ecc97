"""A permission profile of the user's own, from the file to what the kernel allows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.system.daemon import DaemonProcess
from tests.system.deadline import deadline
from tests.system.model import Exchange, ScriptedModel
from tests.system.peer import Frame, RpcFailedError, connect
from tests.system.test_sandbox import callboard

PROFILE = """\
default_permissions = "own"

[permissions.own]
description = "Results go to one folder."
extends = ":workspace"
workspace_roots = ["{folder}/more"]

[permissions.own.filesystem]
":slash_tmp" = "read"
":tmpdir" = "read"
"{folder}/results" = "write"
"{folder}/workspace/kept" = "read"
"""


def write(exchange: Exchange) -> None:
    """A play: try to make a file in each of the folders that the user names."""
    folders = [word for word in exchange.user.split() if word.startswith("/")]
    if exchange.round == 0:
        exchange.run("; ".join(f"touch {folder}/made" for folder in folders), f"write-{exchange.serial}")
    else:
        exchange.say("tried")
    exchange.complete()


async def test_commands_may_do_what_the_profile_says_and_clients_are_told_of_it(
    lone: DaemonProcess, model: ScriptedModel, workspace: Path, tmp_path: Path
) -> None:
    if json.loads(callboard(tmp_path, "doctor", "--json").stdout)["checks"]["sandbox"]["summary"].startswith("none"):
        pytest.skip("nothing can confine a command here")
    model.on("write", write)
    folders = [workspace, workspace / "kept", tmp_path / "results", tmp_path / "more", tmp_path]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    lone.home.mkdir(exist_ok=True)
    (lone.home / "config.toml").write_text(PROFILE.format(folder=tmp_path))
    lone.start()
    with deadline(30, lone):
        async with connect(lone) as peer:
            opened = await peer.request("thread/start", {"cwd": str(workspace), "approvalPolicy": "never"})
            assert opened["activePermissionProfile"] == {"id": "own", "extends": ":workspace"}
            assert opened["sandbox"]["type"] == "workspaceWrite"
            assert opened["sandbox"]["writableRoots"] == [str(tmp_path / "more"), str(tmp_path / "results")]
            thread: Frame = opened["thread"]
            await peer.run_turn(thread["id"], f"write {' '.join(map(str, folders))}")
            made = [(folder / "made").exists() for folder in folders]
            assert made == [True, False, True, True, False]

            listed = (await peer.request("permissionProfile/list", {"cwd": str(workspace)}))["data"]
            assert listed[-1] == {"id": "own", "description": "Results go to one folder.", "allowed": True}
            with pytest.raises(RpcFailedError, match="there is no permission profile 'other'; known are"):
                await peer.request("thread/settings/update", {"threadId": thread["id"], "permissions": "other"})
            await peer.request("thread/settings/update", {"threadId": thread["id"], "permissions": ":read-only"})
            told = (await peer.note("thread/settings/updated"))["params"]["threadSettings"]
            assert (told["sandboxPolicy"]["type"], told.get("activePermissionProfile")) == ("readOnly", None)
            (workspace / "made").unlink()
            await peer.run_turn(thread["id"], f"write {workspace} {tmp_path / 'results'}")
            assert not (workspace / "made").exists()
    assert model.problems == []


def test_a_daemon_does_not_start_on_a_profile_that_cannot_be_kept(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text('[permissions.own.filesystem]\n":root" = "none"\n')
    done = callboard(home, "serve", "--listen", "ws://127.0.0.1:0")
    assert done.returncode != 0
    assert f"{home}/config.toml:2:" in done.stderr
    assert "by their absolute path" in done.stderr
