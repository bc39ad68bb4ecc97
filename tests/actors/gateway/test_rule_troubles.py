"""What clients are told of rules files that cannot be used: who, when, and how often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.gateway.rule_troubles import BROKEN, HARMLESS
from actors.tool_worker.rules import actor
from messages.settings.project import ProjectSettings
from tests.actors.gateway.stage import FakeClient, open_stage

GOOD = 'prefix_rule(pattern=["make"], decision="allow")\n'
BAD = GOOD + "prefix_rule(pattern=['x'], decision='no')\n"


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


@pytest.fixture(autouse=True)
def _every_reading_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor, "FRESH_SECONDS", 0.0)


async def warned(client: FakeClient) -> dict[str, Any]:
    params: dict[str, Any] = (await client.next("configWarning"))["params"]
    return params


def told(client: FakeClient) -> list[str]:
    """What has come beside the answers so far."""
    return [frame["params"]["summary"] for frame in client.told if frame["method"] == "configWarning"]


async def test_who_comes_is_told_where_it_is_broken_and_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path / "rules/mine.rules", BAD)
    async with open_stage(tmp_path) as stage, stage.client() as client:
        assert await warned(client) == {
            "summary": f"{path}:2: decision must be one of allow, prompt, forbidden, not 'no'",
            "details": BROKEN,
            "path": path,
            "range": {"start": {"line": 2, "column": 1}, "end": {"line": 2, "column": 1}},
        }
        async with stage.client() as later:
            assert (await warned(later))["path"] == path


async def test_each_change_is_told_once_to_all_when_the_files_are_read_again(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, stage.client() as one, stage.client() as other:
        book = stage.house.house().rules
        for client in (one, other):
            await client.call("thread/start", {"cwd": "/w"})
        path = write(tmp_path / "rules/mine.rules", BAD)
        await book.for_folder("/w")
        for client in (one, other):
            assert (await warned(client))["range"]["start"]["line"] == 2
        await book.for_folder("/elsewhere")
        await one.call("thread/start", {"cwd": "/w"})
        write(tmp_path / "rules/mine.rules", "\n" + BAD)
        await book.for_folder("/w")
        assert (await warned(one))["range"]["start"]["line"] == 3, "the trouble that had been told was told again"
        write(tmp_path / "rules/mine.rules", GOOD)
        await book.for_folder("/w")
        write(tmp_path / "rules/mine.rules", BAD)
        await book.for_folder("/w")
        assert (await warned(one))["path"] == path, "mended and broken again: that is news"
        await one.call("model/list", {})
        assert told(one) == []


async def test_a_projects_file_is_the_concern_of_those_who_work_there(tmp_path: Path) -> None:
    project = tmp_path / "project"
    path = write(project / ".callboard/rules/p.rules", GOOD + "network_rule(host='h', protocol='https')\n")
    async with open_stage(tmp_path / "home") as stage, stage.client() as client, stage.client() as stranger:
        stage.house.projects[str(project)] = ProjectSettings(trust_level="trusted")
        await stranger.call("thread/start", {"cwd": "/w"})
        thread = (await client.call("thread/start", {"cwd": str(project / "sub")}))["thread"]
        warning = await warned(client)
        assert (warning["path"], warning["details"]) == (path, HARMLESS)
        await stranger.call("model/list", {})
        assert told(stranger) == []
        await stranger.call("thread/resume", {"threadId": thread["id"]})
        assert (await warned(stranger))["path"] == path
