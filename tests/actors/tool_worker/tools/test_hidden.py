"""What a permission profile keeps from being read is kept from the tools that read in the daemon, too."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.ports.processes import Confinement
from actors.tool_worker.file_search.listing import RIPGREP
from messages.approval import PatchNeed
from messages.permissions import PermissionProfile
from tests.actors.tool_worker.tools.bench import Bench, on_bench
from tests.simulation import ProgramRun, World

PATCH = "*** Begin Patch\n*** {} File: /repo/private/key\n{}*** End Patch\n"


def hidden(bench: Bench) -> None:
    profile = PermissionProfile(id="own", extends=":workspace", none=("/repo/private",))
    bench.workshop.settings = msgspec.structs.replace(
        bench.workshop.settings, sandbox_mode="workspace-write", exclude_slash_tmp=True, profile=profile
    )


def world() -> World:
    made = World(1)
    made.outside.files.make_dirs("/repo/private")
    made.outside.files.write_atomic("/repo/private/key", b"SECRET\n")
    made.disk.symlink("/repo/link", "/repo/private/key")
    return made


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("read_file", {"file_path": "/repo/private/key"}),
        ("read_file", {"file_path": "/repo/link"}),
        ("read_file", {"file_path": "/repo/a/../private/key"}),
        ("list_dir", {"dir_path": "/repo/private"}),
        ("view_image", {"path": "private/key"}),
        ("grep_files", {"pattern": "SECRET", "path": "/repo/private"}),
        ("file_search", {"query": "key", "path": "/repo/private"}),
        ("apply_patch", {"input": PATCH.format("Delete", "")}),
        ("apply_patch", {"input": PATCH.format("Update", "@@\n-SECRET\n+x\n")}),
    ],
)
def test_no_tool_shows_it_and_the_call_says_why(tool: str, arguments: dict[str, Any]) -> None:
    async def test(bench: Bench) -> None:
        hidden(bench)
        _, finished = await bench.run(tool, arguments)
        assert "SECRET" not in str(finished.output)
        assert finished.outcome == "failed"

    on_bench(world(), test)


def test_a_patch_that_would_make_something_there_is_outside() -> None:
    async def test(bench: Bench) -> None:
        hidden(bench)
        patch = "*** Begin Patch\n*** Add File: /repo/private-too\n+x\n*** End Patch\n"
        prepared, _ = await bench.run("apply_patch", {"input": patch})
        assert isinstance(prepared.approval, PatchNeed)
        assert prepared.approval.outside == ()

    on_bench(world(), test)


def test_programs_of_ours_that_look_around_do_not_see_it_either() -> None:
    seen: list[Confinement | None] = []

    async def rg(run: ProgramRun) -> int:
        seen.append(run.request.confinement)
        return 1

    async def test(bench: Bench) -> None:
        for tool, arguments in (("grep_files", {"pattern": "x"}), ("file_search", {"query": "x"})):
            await bench.run(tool, arguments)
        hidden(bench)
        for tool, arguments in (("grep_files", {"pattern": "x"}), ("file_search", {"query": "x"})):
            await bench.run(tool, arguments)
        kept = Confinement(mode="read-only", hidden=("/repo/private",))
        assert seen == [None, None, kept, kept]

    made = world()
    made.programs.add(RIPGREP, rg)
    on_bench(made, test)
