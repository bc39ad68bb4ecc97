"""What there is to choose from, and what there is none of; every answer validates against its schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.gateway.methods.search import snippet
from actors.tool_worker.confinement.mechanism import ConfinementReport
from messages.client.thread import ThreadBody, ThreadStatusBody
from messages.script import ScriptChoice
from messages.session import CompactThread, RunScript, RunUserCommand
from tests.actors.gateway.stage import CallError, open_stage
from tests.simulation.programs import CONFINEMENT

pytestmark = pytest.mark.reference


async def test_only_what_is_enforced_is_allowed(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        nothing = ConfinementReport(mechanism="none")
        for report, enforced in ((CONFINEMENT, True), (nothing, False)):
            stage.house.no_processes.report = report
            profiles = (await client.call("permissionProfile/list", {"cwd": "/w", "cursor": None}))["data"]
            assert {profile["id"]: profile["allowed"] for profile in profiles} == {
                ":read-only": enforced,
                ":workspace": enforced,
                ":danger-full-access": True,
            }


async def test_providers_are_told_without_their_secrets(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("""\
model_provider = "mine"
[model_providers.mine]
base_url = "https://u:secret@h:1/v1?key=secret"
env_key = "MY_KEY"
[model_providers.other]
name = "Other"
base_url = "http://o"
http_headers = { x-key = "secret" }
[model_providers.open]
base_url = "http://p"
""")
    async with open_stage(tmp_path) as stage, stage.client() as client:
        answer = await client.call("modelProvider/list")
        assert "secret" not in str(answer)
        assert answer["defaultProviderId"] == "mine"
        found = {entry["id"]: entry for entry in answer["data"]}
        assert found["mine"] == {
            "id": "mine",
            "name": "mine",
            "canEdit": False,
            "baseUrl": "https://h:1/v1",
            "settings": {"type": "customGateway", "auth": {"mode": "environmentVariable", "envKey": "MY_KEY"}},
        }
        assert found["other"]["settings"] == {"type": "customGateway", "auth": {"mode": "externallyConfigured"}}
        assert found["open"]["settings"] == {"type": "customGateway", "auth": {"mode": "none"}}
        assert found["openai"]["settings"] == {"type": "openai"}


async def test_what_there_is_none_of_is_told_as_such(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        assert await client.call("mcpServerStatus/list", {"limit": 2}) == {"data": []}
        assert await client.call("modelProvider/capabilities/read") == {"imageGeneration": False, "webSearch": False}
        assert await client.call("account/bedrock/checkGovCloudRequirements") == {
            "isGovCloud": False,
            "shouldWarn": False,
        }
        assert await client.call("getAuthStatus", {"includeToken": True}) == {
            "authMethod": None,
            "authToken": None,
            "requiresOpenaiAuth": False,
        }
        with pytest.raises(CallError, match="nobody is logged in") as caught:
            await client.call("account/rateLimits/read")
        assert caught.value.code == -32600


async def test_compaction_goes_to_its_thread(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        session = stage.house.new("t")
        assert await client.call("thread/compact/start", {"threadId": "t"}) == {}
        assert [type(command) for command in session.heard] == [CompactThread]
        with pytest.raises(CallError, match="thread not found"):
            await client.call("thread/compact/start", {"threadId": "none"})


async def test_a_persons_own_command_goes_to_its_thread(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        session = stage.house.new("t")
        params = {"threadId": "t", "command": "make", "timeoutMs": 1500}
        assert await client.call("thread/shellCommand", params) == {}
        [heard] = session.heard
        assert isinstance(heard, RunUserCommand)
        assert (heard.command, heard.timeout_seconds) == ("make", 1.5)
        for change in ({"command": " "}, {"timeoutMs": -1}):
            with pytest.raises(CallError) as caught:
                await client.call("thread/shellCommand", {**params, **change})
            assert caught.value.code == -32602


async def test_a_persons_own_script_goes_to_its_thread_as_a_turn(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        session = stage.house.new("t")
        params = {"threadId": "t", "source": "return 1", "clientUserMessageId": "m1"}
        answer = await client.call("callboard/script/run", params)
        assert (answer["turn"]["id"], answer["turn"]["status"]) == ("turn-1", "inProgress")
        await client.call("callboard/script/run", {**params, "mode": "dry-run", "allowedTools": ["exec"]})
        assert session.heard == [
            RunScript(submission_id="m1", source="return 1", choice=ScriptChoice(mode="enabled")),
            RunScript(
                submission_id="m1",
                source="return 1",
                choice=ScriptChoice(mode="dry-run", allowed_tools=("exec",)),
            ),
        ]
        for change in ({"source": " "}, {"mode": "disabled"}):
            with pytest.raises(CallError) as caught:
                await client.call("callboard/script/run", {**params, **change})
            assert caught.value.code == -32602


async def test_threads_are_found_by_words(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as client:
        stage.house.new("t")
        answer = await client.call("thread/search", {"searchTerm": "loo", "sortKey": "recency_at", "limit": 5})
        assert [(found["thread"]["id"], found["snippet"]) for found in answer["data"]] == [("t", "look")]
        request = stage.house.requests[-1]
        assert (request.search, request.limit, request.sort_by) == ("loo", 5, "updated_at")
        with pytest.raises(CallError, match="searchTerm is empty"):
            await client.call("thread/search", {"searchTerm": " "})


def test_a_snippet_is_the_line_around_the_word() -> None:
    thread = ThreadBody(
        id="t",
        session_id="t",
        cli_version="1",
        created_at=0,
        updated_at=0,
        cwd="/home/project",
        ephemeral=False,
        model_provider="p",
        preview=f"{'a ' * 50}needle\n{'b ' * 100}",
        project_id=None,
        source="cli",
        status=ThreadStatusBody(type="idle"),
        turns=(),
        history_mode="paginated",
        can_accept_direct_input=True,
        name="A name",
    )
    assert snippet(thread, "NAME") == "A name"
    assert snippet(thread, "needle") == f"…{'a ' * 15}needle {'b ' * 41}b…"
    assert snippet(thread, "project") == "/home/project"
    assert snippet(thread, "nowhere").startswith("a a")
