"""The tools that run no command of the model's, and what every tool does with bad calls."""

from __future__ import annotations

from typing import Any

import pytest

from actors.tool_worker.file_search.listing import RIPGREP
from actors.tool_worker.tools import all_tools
from messages.approval import PatchNeed
from messages.client.item import AddChange, DynamicToolCall, FileChange, FileUpdateChange, PlanStep, TextContentItem
from messages.patch import FileRevision
from tests.actors.tool_worker.tools.bench import Bench, on_bench
from tests.simulation import ProgramRun, World


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("exec_command", "{}", "missing required field `cmd`"),
        ("exec_command", {"cmd": 3}, "Expected `str`, got `int`"),
        ("exec_command", {"cmd": "x", "timeout": 3}, "unknown field `timeout`"),
        ("exec_command", "not json", "JSON is malformed"),
        ("exec_command", "[" * 20_000, "failed to parse function arguments"),
        ("exec_command", {"cmd": "*** Begin Patch\n*** End Patch"}, "call the apply_patch tool"),
        ("write_stdin", {"session_id": 12345}, "Unknown process id 12345"),
        ("read_file", {"file_path": "a"}, "file_path must be an absolute path"),
        ("read_file", {"file_path": "/repo/none"}, "failed to read file"),
        ("list_dir", {"dir_path": "/none"}, "failed to read directory"),
        ("grep_files", {"pattern": " "}, "pattern must not be empty"),
        ("grep_files", {"pattern": "x", "path": "/none"}, "unable to access `/none`"),
        ("apply_patch", {"input": "hello"}, "apply_patch verification failed: invalid patch"),
        ("teleport", {}, "unsupported call: teleport"),
    ],
)
def test_a_call_that_cannot_be_done_is_shown_and_fails_with_words_for_the_model(
    name: str, arguments: Any, words: str
) -> None:
    async def test(bench: Bench) -> None:
        prepared, finished = await bench.run(name, arguments)
        assert words in str(finished.output)
        assert finished.outcome == "failed"
        assert prepared.approval is None
        if prepared.item is not None:
            assert isinstance(finished.item, DynamicToolCall)
            assert (finished.item.status, finished.item.success) == ("failed", False)
            assert finished.item.content_items == (TextContentItem(text=str(finished.output)),)

    on_bench(World(1), test)


def test_a_patch_shows_its_changes_asks_about_what_is_outside_and_reports_what_it_did() -> None:
    world = World(1)
    patch = "*** Begin Patch\n*** Add File: in.txt\n+in\n*** Add File: /elsewhere/out.txt\n+out\n*** End Patch\n"

    async def test(bench: Bench) -> None:
        prepared, finished = await bench.run("apply_patch", patch, freeform=True)
        item = FileChange(
            id="item_1",
            status="inProgress",
            changes=(
                FileUpdateChange(path="/repo/in.txt", kind=AddChange(), diff="in\n"),
                FileUpdateChange(path="/elsewhere/out.txt", kind=AddChange(), diff="out\n"),
            ),
        )
        assert prepared.item == item
        assert prepared.approval == PatchNeed(
            paths=("/repo/in.txt", "/elsewhere/out.txt"), outside=("/elsewhere/out.txt",)
        )
        assert (prepared.parallel_safe, prepared.side_effects) == (False, True)
        assert finished.item == FileChange(id="item_1", status="completed", changes=item.changes)
        assert str(finished.output).endswith("Success. Updated the following files:\nA in.txt\nA /elsewhere/out.txt\n")
        assert finished.revisions == (
            FileRevision(path="/repo/in.txt", before=None, after=b"in\n"),
            FileRevision(path="/elsewhere/out.txt", before=None, after=b"out\n"),
        )

    on_bench(world, test)


def test_preparing_a_patch_changes_nothing() -> None:
    world = World(1)
    seen: list[bool] = []

    async def test(bench: Bench) -> None:
        call = bench.call("apply_patch", "*** Begin Patch\n*** Add File: a\n+a\n*** End Patch", freeform=True)
        tool = bench.workshop.registry.find("apply_patch")
        assert tool is not None
        from actors.session.open_text import OpenText
        from actors.tool_worker.tool import Job

        job = Job(
            call=call, output=OpenText("output"), report=lambda _: None, workshop=bench.workshop, inbox=bench.inbox()
        )
        await tool.prepare(job)
        seen.append(world.outside.files.stat("/repo/a") is None)

    on_bench(world, test)
    assert seen == [True]


def test_files_are_read_and_listed() -> None:
    world = World(1)
    world.outside.files.make_dirs("/repo/src")
    world.outside.files.write("/repo/src/a.py", b"one\ntwo\nthree\n")

    async def test(bench: Bench) -> None:
        _, read = await bench.run("read_file", {"file_path": "/repo/src/a.py", "offset": 2, "limit": 1})
        prepared, listed = await bench.run("list_dir", {"dir_path": "/repo"})
        assert read.output == "L2: two"
        assert listed.output == "Absolute path: /repo\nsrc/\n  a.py"
        assert (prepared.parallel_safe, prepared.side_effects) == (True, False)
        assert isinstance(listed.item, DynamicToolCall)
        assert (listed.item.status, listed.item.arguments) == ("completed", {"dir_path": "/repo"})

    on_bench(world, test)


def test_grep_passes_everything_to_ripgrep_as_words_and_keeps_to_the_limit() -> None:
    world = World(1)

    async def program(run: ProgramRun) -> int:
        assert run.argv[-4:] == ("--glob", "*.py", "--", "/repo/src")
        assert "-e; rm" in run.argv
        await run.write(b"/repo/src/a.py\n/repo/src/b.py\n/repo/src/c.py\n")
        return 0

    world.programs.add(RIPGREP, program)
    world.outside.files.make_dirs("/repo/src")

    async def test(bench: Bench) -> None:
        _, found = await bench.run("grep_files", {"pattern": "-e; rm", "include": "*.py", "path": "src", "limit": 2})
        assert found.output == "/repo/src/a.py\n/repo/src/b.py"

    on_bench(world, test)


def test_a_search_without_matches_and_a_search_that_fails_are_told_apart() -> None:
    world = World(1)

    async def program(run: ProgramRun) -> int:
        if "[" in run.argv:
            await run.write_stderr(b"regex parse error: unclosed character class\n")
            return 2
        return 1

    world.programs.add(RIPGREP, program)

    async def test(bench: Bench) -> None:
        _, none = await bench.run("grep_files", {"pattern": "x"})
        _, bad = await bench.run("grep_files", {"pattern": "["})
        assert (none.output, none.outcome) == ("No matches found.", "failed")
        assert bad.output == "rg failed: regex parse error: unclosed character class"

    on_bench(world, test)


def test_a_plan_is_handed_on_in_the_words_of_the_wire() -> None:
    async def test(bench: Bench) -> None:
        steps = [{"step": "look", "status": "completed"}, {"step": "mend", "status": "in_progress"}]
        prepared, finished = await bench.run("update_plan", {"plan": steps, "explanation": "why"})
        assert prepared.item is None
        assert (finished.output, finished.plan_explanation) == ("Plan updated", "why")
        assert finished.plan == (PlanStep(step="look", status="completed"), PlanStep(step="mend", status="inProgress"))

    on_bench(World(1), test)


def test_a_long_output_is_cut_to_the_models_policy() -> None:
    world = World(1)
    world.outside.files.make_dirs("/repo")
    world.outside.files.write("/repo/big", b"word\n" * 2000)

    async def test(bench: Bench) -> None:
        _, finished = await bench.run("read_file", {"file_path": "/repo/big"})
        assert "tokens truncated…" in str(finished.output)
        assert len(str(finished.output)) < 600

    on_bench(world, test, token_limit=100)


def test_every_schema_is_flat_closed_and_names_what_is_required() -> None:
    specs = {spec.name: spec for spec in all_tools().specs()}
    assert list(specs) == [
        "exec_command",
        "write_stdin",
        "shell",
        "apply_patch",
        "read_file",
        "list_dir",
        "grep_files",
        "file_search",
        "view_image",
        "read_handle",
        "web_search",
        "request_user_input",
        "request_permissions",
        "update_plan",
    ]
    required = {}
    for name, spec in specs.items():
        if spec.parameters is not None:
            assert spec.parameters["type"] == "object"
            assert spec.parameters["additionalProperties"] is False
            assert "$ref" not in str(spec.parameters)
            required[name] = spec.parameters["required"]
    assert required == {
        "exec_command": ["cmd"],
        "write_stdin": ["session_id"],
        "read_file": ["file_path"],
        "list_dir": ["dir_path"],
        "grep_files": ["pattern"],
        "file_search": ["query"],
        "request_permissions": ["permissions"],
        "request_user_input": ["questions"],
        "shell": ["command"],
        "update_plan": ["plan"],
        "view_image": ["path"],
        "read_handle": ["handle"],
    }
    assert specs["apply_patch"].grammar is not None
