"""Files over the wire: read, listed, found; every answer validates against its schema (the fake client checks)."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.gateway.methods.files import MAX_FILE_BYTES
from actors.ports.production.processes import LauncherProcesses
from tests.actors.gateway.stage import CallError, open_stage

pytestmark = pytest.mark.reference


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "src" / "deep").mkdir(parents=True)
    (folder / "hello.txt").write_text("hello\n")
    (folder / "src" / "shell.py").write_text("")
    (folder / "src" / "deep" / "help.md").write_text("")
    (folder / "src" / "hello.o").write_text("")
    (folder / ".gitignore").write_text("*.o\n")
    (folder / ".git" / "hooks").mkdir(parents=True)
    (folder / ".git" / "hooks" / "help").write_text("")
    (folder / "link").symlink_to("src")
    (folder / "broken").symlink_to("nowhere")
    return folder


async def test_a_file_is_read_whole_and_its_facts_are_told(tmp_path: Path, folder: Path) -> None:
    os.utime(folder / "hello.txt", (1_700_000_000, 1_700_000_000.5))
    async with open_stage(tmp_path / "home") as stage, stage.client() as client:
        path = str(folder / "hello.txt")
        read = await client.call("fs/readFile", {"path": path})
        assert base64.b64decode(read["dataBase64"]) == b"hello\n"
        assert await client.call("fs/getMetadata", {"path": path}) == {
            "isDirectory": False,
            "isFile": True,
            "isSymlink": False,
            "createdAtMs": 0,
            "modifiedAtMs": 1_700_000_000_500,
        }
        link = await client.call("fs/getMetadata", {"path": str(folder / "link")})
        assert (link["isDirectory"], link["isSymlink"]) == (True, True)
        broken = await client.call("fs/getMetadata", {"path": str(folder / "broken")})
        assert (broken["isDirectory"], broken["isFile"], broken["isSymlink"]) == (False, False, True)


async def test_a_directory_is_listed_with_what_its_links_lead_to(tmp_path: Path, folder: Path) -> None:
    async with open_stage(tmp_path / "home") as stage, stage.client() as client:
        listed = await client.call("fs/readDirectory", {"path": str(folder)})
        assert {entry["fileName"]: (entry["isDirectory"], entry["isFile"]) for entry in listed["entries"]} == {
            ".git": (True, False),
            ".gitignore": (False, True),
            "broken": (False, False),
            "hello.txt": (False, True),
            "link": (True, False),
            "src": (True, False),
        }


async def test_what_cannot_be_read_is_an_error_that_names_it(tmp_path: Path, folder: Path) -> None:
    big = folder / "big"
    with big.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    async with open_stage(tmp_path / "home") as stage, stage.client() as client:
        for method, path, words in (
            ("fs/readFile", "relative", "absolute path"),
            ("fs/readFile", str(folder / "none"), "there is nothing at"),
            ("fs/readFile", str(folder), "is a directory"),
            ("fs/readFile", "/dev/zero", "not a regular file"),
            ("fs/readFile", str(big), "bytes long"),
            ("fs/getMetadata", str(folder / "none"), "there is nothing at"),
            ("fs/readDirectory", str(folder / "hello.txt"), "is not a directory"),
        ):
            with pytest.raises(CallError, match=words) as caught:
                await client.call(method, {"path": path})
            assert caught.value.code in (-32600, -32602)


# --- finding --------------------------------------------------------------------------------------------------------


@pytest.fixture
def launcher() -> Iterator[LauncherProcesses]:
    from actors.tool_worker.launcher import start_launcher

    handle = start_launcher()
    yield LauncherProcesses(handle)
    handle.release()


async def test_a_search_finds_files_and_folders_but_not_what_git_ignores(
    tmp_path: Path, folder: Path, launcher: LauncherProcesses, nursery: trio.Nursery
) -> None:
    await nursery.start(launcher.run)
    async with open_stage(tmp_path / "home", processes=launcher) as stage, stage.client() as client:
        answer = await client.call("fuzzyFileSearch", {"query": "hel", "roots": [str(folder)]})
        assert [(file["path"], file["match_type"]) for file in answer["files"]] == [
            ("hello.txt", "file"),
            ("src/deep/help.md", "file"),
            ("src/shell.py", "file"),
        ]
        assert answer["files"][0] | {"score": 0} == {
            "root": str(folder),
            "path": "hello.txt",
            "match_type": "file",
            "file_name": "hello.txt",
            "score": 0,
            "indices": [0, 1, 2],
        }
        found = await client.call("fuzzyFileSearch", {"query": "deep", "roots": [str(folder)]})
        assert found["files"][0] | {"score": 0, "indices": []} == {
            "root": str(folder),
            "path": "src/deep",
            "match_type": "directory",
            "file_name": "deep",
            "score": 0,
            "indices": [],
        }
        with pytest.raises(CallError, match="cannot be searched"):
            await client.call("fuzzyFileSearch", {"query": "x", "roots": [str(folder / "none")]})
        with pytest.raises(CallError, match="absolute"):
            await client.call("fuzzyFileSearch", {"query": "x", "roots": ["a"]})
        with pytest.raises(CallError, match="between 1 and"):
            await client.call("fuzzyFileSearch", {"query": "x", "roots": []})
    nursery.cancel_scope.cancel()


async def test_a_search_session_follows_the_letters_as_they_are_typed(
    tmp_path: Path, folder: Path, launcher: LauncherProcesses, nursery: trio.Nursery
) -> None:
    await nursery.start(launcher.run)
    async with open_stage(tmp_path / "home", processes=launcher) as stage, stage.client() as client:
        session = {"sessionId": "s"}
        await client.call("fuzzyFileSearch/sessionStart", {**session, "roots": [str(folder)]})
        for query, paths in (("hell", ["hello.txt", "src/shell.py"]), ("hello", ["hello.txt"]), ("zz", [])):
            await client.call("fuzzyFileSearch/sessionUpdate", {**session, "query": query})
            told: dict[str, Any] = {}
            with trio.fail_after(5):
                while (frame := await client.next())["method"] != "fuzzyFileSearch/sessionCompleted":
                    told = frame["params"]
            assert frame["params"] == session
            assert (told["query"], [file["path"] for file in told["files"]]) == (query, paths)
        await client.call("fuzzyFileSearch/sessionStop", session)
        await client.call("fuzzyFileSearch/sessionStop", session)
        with pytest.raises(CallError, match="fuzzy file search session not found: s"):
            await client.call("fuzzyFileSearch/sessionUpdate", {**session, "query": "x"})
    nursery.cancel_scope.cancel()
