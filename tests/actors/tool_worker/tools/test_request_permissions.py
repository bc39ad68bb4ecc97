"""request_permissions: what is put to people, what needs no asking, and what nobody is asked for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.ports.processes import Confinement
from messages.approval import PatchNeed, PermissionNeed
from messages.client.item import DynamicToolCall
from messages.permissions import NOTHING, Permissions
from messages.settings import SandboxMode
from tests.actors.tool_worker.tools.bench import CWD, SHELL, Bench, on_bench
from tests.simulation import ProgramRun, World

HOME = "/data/callboard"


def confined(bench: Bench, mode: SandboxMode = "workspace-write", granted: Permissions = NOTHING) -> None:
    bench.workshop.settings = msgspec.structs.replace(
        bench.workshop.settings, sandbox_mode=mode, exclude_slash_tmp=True, granted=granted
    )
    bench.workshop.home = HOME


def world() -> World:
    made = World(1)
    for folder in ("/data/out", "/data/.git/hooks", HOME, "/etc/app", "/tmp/x"):
        made.outside.files.make_dirs(folder)
    made.disk.symlink("/data/link", "/etc/app")
    made.outside.files.write_atomic("/data/file", b"x")
    return made


def asked(**arguments: Any) -> dict[str, Any]:
    return {"permissions": arguments}


def test_the_paths_are_put_to_people_as_they_really_are() -> None:
    async def test(bench: Bench) -> None:
        confined(bench)
        files = {"read": ["/etc/app"], "write": ["/data/out", "/data/link", "/data/out/../file"]}
        prepared, _ = await bench.run(
            "request_permissions",
            {**asked(file_system=files, network={"enabled": True}), "reason": "to keep results"},
        )
        assert prepared.approval == PermissionNeed(
            cwd=CWD,
            permissions=Permissions(read=("/etc/app",), write=("/data/out", "/etc/app", "/data/file"), network=True),
            reason="to keep results",
        )
        assert isinstance(prepared.item, DynamicToolCall)
        assert (prepared.parallel_safe, prepared.side_effects) == (False, False)

    on_bench(world(), test)


@pytest.mark.parametrize(
    ("mode", "granted", "wanted"),
    [
        ("workspace-write", Permissions(), {"file_system": {"write": [CWD]}}),
        ("workspace-write", Permissions(), {"file_system": {"read": ["/etc/app"]}}),
        ("read-only", Permissions(write=("/data",)), {"file_system": {"write": ["/data/out"]}}),
        ("read-only", Permissions(network=True), {"network": {"enabled": True}}),
    ],
)
def test_what_the_sandbox_gives_already_bothers_nobody(
    mode: SandboxMode, granted: Permissions, wanted: dict[str, Any]
) -> None:
    async def test(bench: Bench) -> None:
        confined(bench, mode, granted)
        prepared, finished = await bench.run("request_permissions", asked(**wanted))
        assert prepared.approval is None
        told = msgspec.json.decode(str(finished.output))
        assert (told["permissions"], told["scope"], finished.outcome) == (wanted, "turn", "done")

    on_bench(world(), test)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (asked(), "must name at least one path or the network"),
        (asked(network={"enabled": False}), "must name at least one path or the network"),
        (asked(file_system={"write": ["/none/x"]}), "/none/x does not exist; ask for the folder"),
        (asked(file_system={"write": ["/"]}), "the right to write everywhere cannot be asked for"),
        (asked(file_system={"write": ["/data/.git/hooks"]}), ".git steers what runs outside the sandbox later"),
        (asked(file_system={"write": [HOME]}), "it is callboard's own"),
        (asked(file_system={"write": [""]}), "a path is empty"),
        (asked(file_system={"read": ["/data"] * 33}), "at most 32 paths"),
        ({**asked(network={"enabled": True}), "reason": "x" * 1001}, "at most 1000 characters"),
        ({**asked(network={"enabled": True}), "environment_id": "mars"}, "failed to parse function arguments"),
        ({"permissions": {"root": True}}, "unknown field `root`"),
    ],
)
def test_what_nobody_can_be_asked_for_fails_with_the_reason(arguments: dict[str, Any], words: str) -> None:
    async def test(bench: Bench) -> None:
        confined(bench)
        prepared, finished = await bench.run("request_permissions", arguments)
        assert words in str(finished.output)
        assert (prepared.approval, finished.outcome) == (None, "failed")

    on_bench(world(), test)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sandbox_mode": "danger-full-access"}, "there is no sandbox"),
        ({"sandbox_mode": "read-only", "approval_policy": "never"}, "the approval policy is never"),
    ],
)
def test_a_thread_where_it_means_nothing_does_not_have_it_and_says_why(changes: dict[str, Any], words: str) -> None:
    async def test(bench: Bench) -> None:
        bench.workshop.settings = msgspec.structs.replace(bench.workshop.settings, **changes)
        _, finished = await bench.run("request_permissions", asked(network={"enabled": True}))
        assert str(finished.output).startswith("request_permissions is unavailable: ")
        assert words in str(finished.output)

    on_bench(world(), test)


def test_what_was_granted_is_open_to_commands_and_patches() -> None:
    seen: list[Confinement | None] = []

    async def program(run: ProgramRun) -> int:
        seen.append(run.request.confinement)
        return 0

    async def test(bench: Bench) -> None:
        granted = Permissions(write=("/data",), network=True)
        for mode in ("read-only", "workspace-write"):
            confined(bench, mode, granted)
            await bench.run("exec_command", {"cmd": "x", "login": False})
            patch = "*** Begin Patch\n*** Add File: /data/new\n+x\n*** Add File: /data/.git/new\n+x\n*** End Patch\n"
            prepared, _ = await bench.run("apply_patch", patch, freeform=True)
            assert isinstance(prepared.approval, PatchNeed)
            assert prepared.approval.outside == ("/data/.git/new",), "protected in there, too"
        assert seen == [
            Confinement(mode="read-only", workspace=("/data",), untouched=(HOME,), network=True),
            Confinement(mode="workspace-write", workspace=(CWD, "/data"), untouched=(HOME,), network=True),
        ]

    made = world()
    made.programs.add(SHELL, program)
    on_bench(made, test)


def test_a_command_that_was_prepared_before_the_answer_runs_under_what_it_granted() -> None:
    seen: list[Confinement | None] = []

    async def program(run: ProgramRun) -> int:
        seen.append(run.request.confinement)
        return 0

    async def test(bench: Bench) -> None:
        confined(bench, "read-only")
        for tool, arguments in (
            ("exec_command", {"cmd": "x", "login": False}),
            ("shell", {"command": ["x"]}),
        ):
            confined(bench, "read-only")
            bench.before_run = lambda: confined(bench, "read-only", Permissions(network=True))
            await bench.run(tool, arguments)
        assert [each is not None and each.network for each in seen] == [True, True]

    made = world()
    made.programs.add(SHELL, program)
    made.programs.add("x", program)
    on_bench(made, test)
