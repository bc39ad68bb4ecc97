"""file_search: ranked paths below a folder, as ripgrep lists them; what git ignores is not there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from actors.tool_worker.file_search.listing import LIST_FILES, RIPGREP
from tests.actors.tool_worker.tools.bench import Bench, on_bench
from tests.simulation import ProgramRun, World


async def _lists(run: ProgramRun) -> int:
    assert run.argv == LIST_FILES
    await run.write(b"src/core.py\0src/deep/score.md\0README.md\0odd\xff.py\0")
    return 0


def test_the_best_paths_come_first_with_their_scores_and_folders_are_marked() -> None:
    world = World(1)
    world.programs.add(RIPGREP, _lists)

    async def test(bench: Bench) -> None:
        prepared, found = await bench.run("file_search", {"query": "core"})
        assert found.output == "124 src/core.py\n114 src/deep/score.md"
        assert (prepared.parallel_safe, prepared.side_effects, prepared.approval) == (True, False, None)
        _, folder = await bench.run("file_search", {"query": "deep", "limit": 1})
        assert str(folder.output).endswith(" src/deep/")
        _, odd = await bench.run("file_search", {"query": "odd"})
        assert str(odd.output).endswith(" odd\ufffd.py")
        _, nothing = await bench.run("file_search", {"query": "zzz"})
        assert (nothing.output, nothing.outcome) == ("No files found.", "failed")

    on_bench(world, test)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"query": " "}, "query must not be empty"),
        ({"query": "x" * 300}, "query has 300 characters"),
        ({"query": "x", "limit": 0}, "limit must be greater than zero"),
        ({"query": "x", "path": "none"}, "unable to search `/repo/none`: No such file or directory"),
        ({"query": "x", "path": "file"}, "unable to search `/repo/file`: it is not a directory"),
        ({"query": "x"}, "unable to search `/repo`"),  # ripgrep is not there
    ],
)
def test_what_cannot_be_searched_is_refused_with_the_reason(arguments: Any, words: str) -> None:
    world = World(1)
    world.outside.files.make_dirs("/repo")
    world.outside.files.write("/repo/file", b"")

    async def test(bench: Bench) -> None:
        _, found = await bench.run("file_search", arguments)
        assert str(found.output).startswith(words)
        assert found.outcome == "failed"

    on_bench(world, test)


def test_ripgrep_keeps_to_gits_rules_also_outside_a_repository(tmp_path: Path) -> None:
    for name in ("a.py", "b.log", "keep.log", ".hidden", "build/x.o", "sub/c.py", "sub/d.tmp", ".git/config"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".gitignore").write_text("*.log\n!keep.log\nbuild/\n")
    (tmp_path / "sub/.gitignore").write_text("*.tmp\n")
    listed = subprocess.run(LIST_FILES, cwd=tmp_path, stdout=subprocess.PIPE, check=True, timeout=30).stdout
    assert sorted(listed.decode().split("\0")[:-1]) == [
        ".gitignore", ".hidden", "a.py", "keep.log", "sub/.gitignore", "sub/c.py",
    ]  # fmt: skip
