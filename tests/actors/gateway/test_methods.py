"""What each method answers; every answer validates against its schema (the fake client checks)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.gateway.methods import ALL
from actors.gateway.methods.history import page
from messages.base import ThreadId, TurnId
from messages.client.item import AgentMessage, TextInput, UserMessage
from messages.failure import Failure
from messages.session import (
    CancelToolCall,
    CleanTerminals,
    StartTurn,
    Subscribe,
    TerminateTerminal,
    Turn,
    UpdateSettings,
)
from tests.actors.gateway.stage import CallError, FakeSession, open_stage
from tests.protocol_schema import LEGACY, RESPONSES
from tests.reference import reference_path
from tests.simulation.programs import CONFINEMENT

pytestmark = pytest.mark.reference


def _turns(session: FakeSession, count: int) -> None:
    for number in range(count):
        session.turns.append(
            Turn(
                id=TurnId(f"t{number}"),
                status="failed" if number == 0 else "completed",
                started_at=10.0 * number,
                completed_at=10.0 * number + 2.5,
                failure=Failure(kind="server_error", message="Sorry.", http_status=500) if number == 0 else None,
                items=(
                    UserMessage(id=f"u{number}", content=(TextInput(text="hi"),)),
                    AgentMessage(id=f"a{number}", text="hello", phase="final_answer"),
                ),
            )
        )


def test_every_method_of_the_wire_has_a_schema_here_and_there() -> None:
    ours = {name for name in ALL if not name.startswith("callboard/")} - LEGACY
    assert ours | {"initialize"} == set(RESPONSES)
    variants = json.loads(reference_path("protocol/schema/ClientRequest.json").read_text())["oneOf"]
    known = {variant["properties"]["method"]["enum"][0] for variant in variants}
    assert ours <= known


async def test_a_thread_is_started_with_what_was_asked_and_what_the_settings_say(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        result = await client.call(
            "thread/start",
            {
                "cwd": "/srv/x",
                "approvalPolicy": "untrusted",
                "sandbox": "read-only",
                "ephemeral": True,
                "developerInstructions": "Be brief.",
                "config": {"model_reasoning_effort": "high", "features": {}},
                "dynamicTools": [],
            },
        )
        thread = result["thread"]
        session = stage.house.sessions[ThreadId(thread["id"])]
        assert session.settings.cwd == result["cwd"] == "/srv/x"
        assert session.settings.approval_policy == result["approvalPolicy"] == "untrusted"
        assert session.settings.ephemeral
        assert session.settings.developer_instructions == "Be brief."
        assert session.settings.reasoning_effort == result["reasoningEffort"] == "high"
        assert (result["model"], result["modelProvider"]) == ("rehearsed-1", "rehearsal")
        assert result["sandbox"] == {
            "type": "readOnly",
            "networkAccess": False,
            "callboard": {"mechanism": "bubblewrap", "gaps": list(CONFINEMENT.gaps)},
        }
        assert session.settings.sandbox_mode == "read-only"
        assert thread["gitInfo"] == {"branch": "main"}
        assert result["callboard"] == {"epoch": "epoch-1", "seq": 0, "resumed": False}
        assert session.heard == [Subscribe(include_turns=False)]
        assert (await client.next())["method"] == "thread/started"


async def test_a_thread_is_resumed_read_and_listed(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        session = stage.house.new("0196-a")
        _turns(session, 2)
        resumed = await client.call("thread/resume", {"threadId": "0196-a", "model": "other"})
        assert [turn["status"] for turn in resumed["thread"]["turns"]] == ["failed", "completed"]
        assert resumed["thread"]["turns"][0]["error"]["codexErrorInfo"] == "internalServerError"
        assert resumed["thread"]["turns"][1]["durationMs"] == 2500
        assert isinstance(session.heard[0], UpdateSettings)
        without = await client.call("thread/resume", {"threadId": "0196-a", "excludeTurns": True})
        assert without["thread"]["turns"] == []
        read = await client.call("thread/read", {"threadId": "0196-a", "includeTurns": True})
        assert [item["type"] for item in read["thread"]["turns"][0]["items"]] == ["userMessage", "agentMessage"]

        stage.house.on_disk[ThreadId("0196-b")] = msgspec.structs.replace(
            session.view().summary, id=ThreadId("0196-b"), source="somewhere"
        )
        unloaded = await client.call("thread/read", {"threadId": "0196-b"})
        assert unloaded["thread"]["status"] == {"type": "notLoaded"}
        assert unloaded["thread"]["source"] == {"custom": "somewhere"}
        listed = await client.call(
            "thread/list",
            {
                "sortKey": "recency_at",
                "limit": 1000,
                "sourceKinds": ["cli", "vscode"],
                "cwd": "/w",
                "searchTerm": "look",
                "modelProviders": [],
                "excludedThreadIds": None,
            },
        )
        assert [(thread["id"], thread["status"]["type"]) for thread in listed["data"]] == [
            ("0196-b", "notLoaded"),
            ("0196-a", "idle"),
        ]
        assert listed["nextCursor"] == "more"
        request = stage.house.requests[0]
        assert (request.limit, request.sort_by, request.cwd, request.sources) == (
            100,
            "updated_at",
            "/w",
            ("cli", "vscode"),
        )
        for nothing in ({"archived": True}, {"sectionId": "s"}, {"parentThreadId": "p"}):
            assert await client.call("thread/list", nothing) == {"data": []}
        assert await client.call("thread/loaded/list", {"limit": None}) == {"data": ["0196-a"]}


async def test_names_settings_and_background_commands(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        session = stage.house.new("0196-a")
        of = {"threadId": "0196-a"}
        assert await client.call("thread/name/set", {**of, "name": "  A \n name "}) == {}
        assert session.name == "A name"
        assert await client.call("thread/settings/update", {**of, "effort": "low", "collaborationMode": None}) == {}
        assert await client.call("thread/settings/update", of) == {}
        listed = await client.call("thread/backgroundTerminals/list", of)
        assert listed["data"] == [{"itemId": "x", "processId": "7", "command": "make watch", "cwd": "/w"}]
        terminate = "thread/backgroundTerminals/terminate"
        assert await client.call(terminate, {**of, "processId": "7"}) == {"terminated": True}
        assert await client.call(terminate, {**of, "processId": "8"}) == {"terminated": False}
        with pytest.raises(CallError, match="'x' is not the processId"):
            await client.call(terminate, {**of, "processId": "x"})
        assert await client.call("thread/backgroundTerminals/clean", of) == {}
        assert [type(each) for each in session.heard[1:]] == [
            UpdateSettings,
            *(type(session.heard[2]), TerminateTerminal, TerminateTerminal, CleanTerminals),
        ]


async def test_history_is_paged_in_both_directions(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        _turns(stage.house.new("0196-a"), 5)
        of = {"threadId": "0196-a"}
        seen: list[str] = []
        cursor = None
        while True:
            result = await client.call(
                "thread/turns/list", {**of, "limit": 2, "cursor": cursor, "itemsView": "notLoaded"}
            )
            seen += [turn["id"] for turn in result["data"]]
            assert all(turn["items"] == [] for turn in result["data"])
            cursor = result.get("nextCursor")
            if cursor is None:
                break
        assert seen == ["t4", "t3", "t2", "t1", "t0"]
        summary = await client.call("thread/turns/list", {**of, "limit": 1, "itemsView": "summary"})
        assert [item["id"] for item in summary["data"][0]["items"]] == ["u4", "a4"]

        items = await client.call("thread/items/list", {**of, "limit": 3})
        assert [(entry["turnId"], entry["item"]["id"]) for entry in items["data"]] == [
            ("t0", "u0"),
            ("t0", "a0"),
            ("t1", "u1"),
        ]
        following = await client.call("thread/items/list", {**of, "limit": 1, "cursor": items["nextCursor"]})
        assert following["data"][0]["item"]["id"] == "a1"
        anchored = await client.call(
            "thread/items/list", {**of, "cursor": {"type": "item", "itemId": "u1"}, "sortDirection": "desc"}
        )
        assert [entry["item"]["id"] for entry in anchored["data"]] == ["u1", "a0", "u0"]
        of_turn = await client.call("thread/items/list", {**of, "turnId": "t3"})
        assert [entry["item"]["id"] for entry in of_turn["data"]] == ["u3", "a3"]
        with pytest.raises(CallError, match="no item 'zzz'"):
            await client.call("thread/items/list", {**of, "cursor": {"type": "item", "itemId": "zzz"}})
        with pytest.raises(CallError, match="invalid cursor"):
            await client.call("thread/turns/list", {**of, "cursor": "-1"})


def test_pages_meet_without_gap_or_overlap() -> None:
    entries = list(range(10))
    for descending in (False, True):
        for limit in (1, 3, 10, 20):
            seen: list[int] = []
            at: int | None = None
            while True:
                found, at, _ = page(entries, start_at=at, limit=limit, descending=descending)
                seen += found
                if at is None:
                    break
            assert seen == sorted(entries, reverse=descending)
    assert page([], start_at=None, limit=5, descending=True) == ([], None, None)
    assert page([], start_at=3, limit=5, descending=False) == ([], None, None)


async def test_a_submission_without_an_id_of_the_clients_gets_one(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        session = stage.house.new("0196-a")
        for _ in range(2):
            result = await client.call("turn/start", {"threadId": "0196-a", "input": []})
            assert result["turn"] == {
                "id": "turn-1",
                "rootTurnId": "turn-1",
                "items": [],
                "status": "inProgress",
                "itemsView": "notLoaded",
            }
        first, second = session.heard
        assert isinstance(first, StartTurn)
        assert isinstance(second, StartTurn)
        assert first.submission_id != second.submission_id
        assert first.client_id is None


async def test_what_clients_ask_at_start_up(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        assert await client.call("skills/list", {"cwds": ["/w"], "forceReload": True}) == {
            "data": [{"cwd": "/w", "skills": [], "errors": []}]
        }
        assert (await client.call("hooks/list", {"cwds": ["/w"]}))["data"][0]["hooks"] == []
        assert (await client.call("collaborationMode/list"))["data"] == [{"name": "Default", "mode": "default"}]
        assert (await client.call("plugin/installed", {"cwds": ["/w"]}))["marketplaces"] == []
        assert await client.call("configRequirements/read") == {}


async def test_our_own_methods(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        session = stage.house.new("0196-a")
        status = await client.call("callboard/status")
        assert status == {
            "tree": {
                "id": "root",
                "kind": "supervisor",
                "state": "running",
                "children": [{"id": "a", "kind": "b", "state": "c"}],
            },
            "threads": {"loaded": 1, "active": 0},
            "connections": 1,
        }
        cancel = "callboard/toolCall/cancel"
        assert await client.call(cancel, {"threadId": "0196-a", "callId": "c"}) == {}
        assert isinstance(session.heard[0], CancelToolCall)
        with pytest.raises(CallError, match="-32600 no call 'd' runs"):
            await client.call(cancel, {"threadId": "0196-a", "callId": "d"})


async def test_the_configuration_is_read_and_written_where_it_belongs(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("# mine\nmodel = 'a' # keep\n")
    async with (
        open_stage(tmp_path, overrides=("approval_policy=never",)) as stage,
        stage.client() as client,
    ):
        read = await client.call("config/read", {"includeLayers": True, "cwd": "/w"})
        assert (read["config"]["model"], read["config"]["projects"]) == ("a", {})
        assert "model_providers" not in read["config"]
        assert read["origins"]["model"]["name"] == {"type": "user", "file": str(file)}
        assert read["origins"]["approval_policy"]["name"] == {"type": "sessionFlags"}
        written = await client.call(
            "config/batchWrite",
            {
                "edits": [
                    {"keyPath": 'projects."/home/a.b".trust_level', "value": "trusted", "mergeStrategy": "upsert"},
                    {"keyPath": "model", "value": "b", "mergeStrategy": "replace"},
                    {"keyPath": "tui.theme", "value": "dark", "mergeStrategy": "replace"},
                ],
                "expectedVersion": read["origins"]["model"]["version"],
            },
        )
        assert (written["status"], written["filePath"]) == ("ok", str(file))
        text = file.read_text()
        assert "# mine" in text
        assert "# keep" in text
        config = (await client.call("config/read"))["config"]
        assert config["projects"] == {"/home/a.b": {"trust_level": "trusted"}}
        assert (config["model"], config["tui"]) == ("b", {"theme": "dark"})
        started = await client.call("thread/start")
        assert started["model"] == "b"

        overridden = await client.call(
            "config/value/write", {"keyPath": "approval_policy", "value": "on-request", "mergeStrategy": "replace"}
        )
        assert overridden["status"] == "okOverridden"
        assert overridden["overriddenMetadata"]["effectiveValue"] == "never"
        with pytest.raises(CallError, match=r"-32600 .*has changed since it was read"):
            await client.call("config/value/write", {"keyPath": "model", "value": "c", "expectedVersion": "old"})
        with pytest.raises(CallError, match=r"-32602 only .*config\.toml can be written"):
            await client.call("config/value/write", {"keyPath": "model", "value": "c", "filePath": "/etc/passwd"})
        await client.call("config/value/write", {"keyPath": "tui", "value": None})
        assert "theme" not in file.read_text()


async def test_features_are_listed_and_switched(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        listed = (await client.call("experimentalFeature/list", {"limit": 2}))["data"]
        assert {entry["name"]: (entry["stage"], entry["enabled"]) for entry in listed}["live_reload"] == (
            "stable",
            True,
        )
        assert all(entry["description"] for entry in listed)
        switch = "experimentalFeature/enablement/set"
        off = {"enablement": {"live_reload": False}}
        assert await client.call(switch, off) == off
        listed = (await client.call("experimentalFeature/list"))["data"]
        assert [entry["enabled"] for entry in listed if entry["name"] == "live_reload"] == [False]
        with pytest.raises(CallError, match="-32602 there is no feature 'warp'"):
            await client.call(switch, {"enablement": {"warp": True}})


async def test_an_edit_that_is_no_good_is_told_to_every_client_and_the_settings_stay(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("model = 'a'\n")
    async with open_stage(tmp_path) as stage, stage.client() as one, stage.client() as other:
        await one.call("config/read")
        await other.call("config/read")
        file.write_text("model = 'b'\nmodel_verbosity = 'shrill'\n")
        for client in (one, other):
            warning = (await client.next("configWarning"))["params"]
            assert (warning["path"], warning["range"]["start"]["line"]) == (str(file), 2)
            assert (await client.call("config/read"))["config"]["model"] == "a"


async def test_a_client_is_told_of_a_project_that_does_not_count(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    (folder / ".callboard").mkdir(parents=True)
    (folder / ".callboard" / "config.toml").write_text("model = 'p'\n")
    async with open_stage(tmp_path / "home") as stage, stage.client() as client:
        assert (await client.call("thread/start", {"cwd": str(folder)}))["model"] == "rehearsed-1"
        assert "is not trusted" in (await client.next("configWarning"))["params"]["summary"]
        trust = {"keyPath": f'projects."{folder}".trust_level', "value": "trusted"}
        await client.call("config/value/write", trust)
        assert (await client.call("thread/start", {"cwd": str(folder)}))["model"] == "p"
        read = await client.call("config/read", {"cwd": str(folder), "includeLayers": True})
        assert read["config"]["model"] == "p"
        assert read["layers"][0]["name"] == {"type": "project", "dotCodexFolder": str(folder / ".callboard")}


async def test_a_configuration_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "config.lock").mkdir()
    async with open_stage(tmp_path) as stage, stage.client() as client:
        with pytest.raises(CallError, match=r"-32603 .*config\.lock: Is a directory"):
            await client.call("config/value/write", {"keyPath": "model", "value": "c"})


RECORDED = (
    "tui_startup",
    "tui_text_turn",
    "tui_slash_model_pick",
    "tui_slash_diff",
    "tui_enter_during_turn",
    "tui_resume_selected",
    "tui_reconnect",
    "acp_adapter_real_server",
    "client_rpc_misc",
    "client_approval_acceptForSession",
    "client_command_exec_stream",
    "miniserver_tui_and_acp",
)


@pytest.mark.parametrize("name", RECORDED)
def test_what_real_clients_send_is_understood(name: str) -> None:
    """The params of every recorded request to a method that we have can be read."""
    lines = reference_path(f"protocol/transcripts/{name}.jsonl").read_text().splitlines()
    read = 0
    for line in lines:
        message: Any = json.loads(line).get("msg")
        if json.loads(line)["dir"] == "c2s" and isinstance(message, dict) and message.get("method") in ALL:
            ALL[message["method"]].read(msgspec.Raw(json.dumps(message.get("params")).encode()))
            read += 1
    assert read
