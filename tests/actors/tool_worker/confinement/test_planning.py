"""What is planned before anything is confined: policies, grounds, command lines, steps, filters, and words on denial."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import msgspec
import pytest

from actors.ports.processes import Confinement, ExitStatus
from actors.tool_worker.confinement.bubblewrap import bubblewrap_command
from actors.tool_worker.confinement.denial import denial_note, denied_words
from actors.tool_worker.confinement.ground import Ground, in_order
from actors.tool_worker.confinement.landlock import landlock_steps
from actors.tool_worker.confinement.mechanism import (
    FORK_BOMB,
    RENAMES,
    SEEN_PROCESSES,
    SIGNALLED,
    UNPROTECTED,
    ConfinementReport,
)
from actors.tool_worker.confinement.policy import confinement_of, default_mode, patch_roots, trust_of
from actors.tool_worker.confinement.seccomp import (
    ALLOW,
    AND,
    ANY_BIT,
    ARCHITECTURE_AT,
    ARCHITECTURES,
    ARGUMENTS_AT,
    AT_LEAST,
    ENOSYS,
    EPERM,
    EQUAL,
    KILL_PROCESS,
    LOAD,
    NUMBER_AT,
    RETURN,
    Sockets,
    filter_code,
    filter_program,
)
from actors.tool_worker.launcher.ground import Placeholders, survey
from messages.session import ThreadSettings
from messages.settings import SandboxMode
from messages.settings.project import ProjectSettings, TrustLevel

SETTINGS = ThreadSettings(provider="p", model="m", cwd="/w", sandbox_mode="workspace-write", writable_roots=("/more",))


# --- policy ---------------------------------------------------------------------------------------------------------


def test_a_workspace_is_its_folder_its_roots_and_temporary_folders_as_far_as_they_are_not_excluded() -> None:
    environment = {"TMPDIR": "/var/t/"}
    made = confinement_of(SETTINGS, environment, home="/home/me/.callboard")
    assert made == Confinement(
        mode="workspace-write",
        workspace=("/w", "/more"),
        scratch=("/tmp", "/var/t"),
        untouched=("/home/me/.callboard",),
    )
    less = msgspec.structs.replace(SETTINGS, exclude_slash_tmp=True, exclude_tmpdir_env_var=True)
    assert patch_roots(less, environment) == ("/w", "/more")
    assert patch_roots(SETTINGS, {"TMPDIR": "relative"}) == ("/w", "/more", "/tmp")


def test_reading_only_leaves_nothing_writable_and_full_access_has_no_sandbox() -> None:
    reading = msgspec.structs.replace(SETTINGS, sandbox_mode="read-only", network_access=True)
    assert confinement_of(reading, {"TMPDIR": "/t"}) == Confinement(mode="read-only", network=True)
    assert patch_roots(reading, {"TMPDIR": "/t"}) == ()
    assert confinement_of(msgspec.structs.replace(SETTINGS, sandbox_mode="danger-full-access"), {}) is None


@pytest.mark.parametrize(
    ("cwd", "level", "mode"),
    [
        ("/srv/good", "trusted", "workspace-write"),
        ("/srv/good/deep/er", "trusted", "workspace-write"),
        ("/srv/good/bad", "untrusted", "read-only"),
        ("/srv/goods", None, "danger-full-access"),
    ],
)
def test_without_a_setting_trust_decides(cwd: str, level: TrustLevel | None, mode: SandboxMode) -> None:
    projects = {
        "/srv/good/": ProjectSettings(trust_level="trusted"),
        "/srv/good/bad": ProjectSettings(trust_level="untrusted"),
        "/srv/good/deep": ProjectSettings(),
    }
    assert trust_of(cwd, projects) == level
    assert default_mode(level, enforceable=True) == mode
    assert default_mode(level, enforceable=False) == "danger-full-access"


# --- ground ---------------------------------------------------------------------------------------------------------


def test_a_survey_finds_repositories_behind_pointers_and_links_and_what_is_missing(tmp_path: Path) -> None:
    work, store = tmp_path / "work", tmp_path / "store"
    work.mkdir()
    gitdir = store / "worktrees" / "w"
    gitdir.mkdir(parents=True)
    (gitdir / "commondir").write_text("../..\n")
    (work / ".git").write_text("gitdir: ../store/worktrees/w\n")
    (work / "agents").mkdir()
    (work / ".agents").symlink_to("agents")
    (tmp_path / "alias").symlink_to(work)
    found = survey(
        Confinement(
            mode="workspace-write",
            workspace=(str(tmp_path / "alias"), "relative"),
            scratch=(str(store), str(tmp_path / "gone")),
            untouched=(str(tmp_path / "elsewhere"), str(work / "home")),
        )
    )
    assert found == Ground(
        writable=in_order([str(work), str(store)]),
        pinned=in_order(map(str, (store, gitdir, work / ".git", work / ".agents", work / "agents"))),
        links=frozenset([str(work / ".agents")]),
        absent=in_order([str(work / ".callboard"), str(work / ".codex")]),
    )


def test_placeholders_are_made_once_go_with_the_last_call_and_keep_what_others_put_there(tmp_path: Path) -> None:
    ground = Ground(absent=(str(tmp_path / ".git"), str(tmp_path / "no" / ".codex")))
    placeholders = Placeholders()
    first, second = placeholders.make(ground), placeholders.make(ground)
    assert first == second == (str(tmp_path / ".git"),)
    assert (tmp_path / ".git").stat().st_mode & 0o1000
    confinement = Confinement(mode="workspace-write", workspace=(str(tmp_path),))
    assert str(tmp_path / ".git") in survey(confinement).absent  # also for a daemon that finds one left behind
    placeholders.release(first)
    placeholders.tidy()
    assert (tmp_path / ".git").exists()
    placeholders.release(second)
    assert placeholders.idle
    placeholders.tidy()
    assert (os.listdir(tmp_path), placeholders.idle) == ([], False)
    third = placeholders.make(ground)
    (tmp_path / ".git" / "HEAD").write_text("a person's own")
    placeholders.release(third)
    placeholders.tidy()
    assert (tmp_path / ".git" / "HEAD").exists()
    assert str(tmp_path / ".git") in survey(confinement).pinned


# --- mechanisms -----------------------------------------------------------------------------------------------------


def test_bubblewrap_mounts_what_is_writable_before_what_is_not() -> None:
    ground = Ground(writable=("/w", "/w/in"), pinned=("/w/.git",), absent=("/w/.codex",))
    confinement = Confinement(mode="workspace-write", workspace=("/w",))
    command = bubblewrap_command("/usr/bin/bwrap", confinement, ground, cwd="/w/in", root=False)
    assert "--unshare-net" in command
    assert "--cap-add" not in command
    mounts = [command[at : at + 2] for at, word in enumerate(command) if word in ("--bind-try", "--ro-bind-try")]
    assert mounts == [
        ("--bind-try", "/w"),
        ("--bind-try", "/w/in"),
        ("--ro-bind-try", "/w/.git"),
        ("--ro-bind-try", "/w/.codex"),
    ]
    assert command[-3:] == ("--chdir", "/w/in", "--")
    online = bubblewrap_command("b", msgspec.structs.replace(confinement, network=True), ground, cwd="/", root=True)
    assert "--unshare-net" not in online
    assert "CAP_FOWNER" in online


@pytest.mark.parametrize(
    ("version", "handled", "network", "scope"),
    [(1, 13, 0, 0), (2, 14, 0, 0), (3, 15, 0, 0), (4, 15, 3, 0), (5, 16, 3, 0), (6, 16, 3, 3), (99, 16, 3, 3)],
)
def test_landlock_handles_what_its_version_knows(version: int, handled: int, network: int, scope: int) -> None:
    ground = Ground(writable=("/w",), pinned=("/w/.git",), absent=("/w/.codex",))
    confinement = Confinement(mode="workspace-write", workspace=("/w",))
    steps = landlock_steps(confinement, ground, version=version, own_mounts=True, machine="x86_64")
    assert f"landlock {(1 << handled) - 1} {network} {scope}" in steps
    assert steps[:2] == ("pin /w/.git", "pin /w/.codex")
    alone = landlock_steps(confinement, ground, version=version, own_mounts=False, machine="aarch64")
    assert not [step for step in alone if step.startswith(("pin", "memory"))]
    truncation = [step for step in alone if step == f"filter {filter_code('aarch64', 'none', keep_sizes=True).hex()}"]
    assert bool(truncation) == (version < 3)


def test_gaps_follow_from_what_there_is() -> None:
    best = ConfinementReport(mechanism="bubblewrap", landlock=7, own_mounts=True)
    assert not {UNPROTECTED, SEEN_PROCESSES, SIGNALLED, RENAMES, FORK_BOMB} & set(best.gaps)
    worst = ConfinementReport(mechanism="landlock", landlock=1, own_mounts=False, bounded=False)
    assert worst.gaps[:5] == (UNPROTECTED, SEEN_PROCESSES, SIGNALLED, RENAMES, FORK_BOMB)
    assert ConfinementReport(mechanism="none").gaps == ("a command may do whatever its user may",)


# --- the filter -----------------------------------------------------------------------------------------------------


def decide(machine: str, sockets: Sockets, number: int, *arguments: int, keep_sizes: bool = False) -> int:
    """What the filter returns for a call: the program, interpreted as the kernel does."""
    numbers = ARCHITECTURES[machine]
    data = {NUMBER_AT: number, ARCHITECTURE_AT: numbers.audit}
    data.update({ARGUMENTS_AT + 8 * index: value for index, value in enumerate((*arguments, 0, 0, 0))})
    program = filter_program(machine, sockets, keep_sizes=keep_sizes)
    accumulator = at = 0
    while True:
        code, yes, no, operand = program[at]
        at += 1
        match code:
            case _ if code == LOAD:
                accumulator = data[operand]
            case _ if code == AND:
                accumulator &= operand
            case _ if code == EQUAL:
                at += yes if accumulator == operand else no
            case _ if code == AT_LEAST:
                at += yes if accumulator >= operand else no
            case _ if code == ANY_BIT:
                at += yes if accumulator & operand else no
            case _:
                assert code == RETURN
                return operand


@pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
def test_the_filter_refuses_what_it_says(machine: str) -> None:
    numbers = ARCHITECTURES[machine]
    unix, inet, packet = 1, 2, 17
    assert [decide(machine, "none", numbers.socket, family) for family in (unix, inet, packet)] == [EPERM] * 3
    assert [decide(machine, "inet", numbers.socket, family) for family in (unix, inet, packet)] == [EPERM, ALLOW, EPERM]
    assert [decide(machine, "all", numbers.socket, family) for family in (unix, inet, packet)] == [ALLOW] * 3
    assert decide(machine, "none", numbers.socketpair, unix) == ALLOW
    assert decide(machine, "none", numbers.socketpair, 30) == EPERM
    assert decide(machine, "all", numbers.clone, 0x1000_0011) == EPERM
    assert decide(machine, "all", numbers.clone, 0x11) == ALLOW
    assert decide(machine, "all", numbers.unshare, 0x1002_0000) == EPERM
    assert decide(machine, "all", 435) == ENOSYS
    assert decide(machine, "all", 425) == EPERM
    assert decide(machine, "all", numbers.ioctl, 0, 0x5412) == EPERM
    assert decide(machine, "all", numbers.ioctl, 0, 0x541C) == EPERM
    assert decide(machine, "all", numbers.ioctl, 0, 0x5413) == ALLOW
    assert {decide(machine, "all", number) for number in numbers.refused.values()} == {EPERM}
    open_call, flags = numbers.opens[-1]
    truncating = [0] * flags + [0o1000]
    assert decide(machine, "all", open_call, *truncating) == ALLOW
    assert decide(machine, "all", open_call, *truncating, keep_sizes=True) == EPERM
    assert decide(machine, "all", open_call, *([0] * flags), 0o1001, keep_sizes=True) == ALLOW
    assert decide(machine, "all", numbers.truncate, keep_sizes=True) == EPERM
    assert filter_program(machine, "all")[2] == (RETURN, 0, 0, KILL_PROCESS)
    assert len(filter_code(machine, "none")) == 8 * len(filter_program(machine, "none"))
    assert struct.unpack_from("<HBBI", filter_code(machine, "none")) == (LOAD, 0, 0, ARCHITECTURE_AT)


# --- words ----------------------------------------------------------------------------------------------------------

WRITING = Confinement(mode="workspace-write", workspace=("/w",))


@pytest.mark.parametrize(
    ("code", "output", "confinement", "denied"),
    [
        (1, "touch: cannot touch '/etc/x': Read-only file system\n", WRITING, True),
        (1, "bash: /etc/x: Permission denied\n", WRITING, True),
        (6, "curl: (6) Could not resolve host: example.org\n", WRITING, True),
        (6, "curl: (6) Could not resolve host: example.org\n", msgspec.structs.replace(WRITING, network=True), False),
        (159, "", WRITING, True),
        (0, "warning: Permission denied\n", WRITING, False),
        (127, "bash: x: Permission denied\n", WRITING, False),
        (1, "1 test failed\n", WRITING, False),
        (1, "Permission denied\n" + "much more\n" * 1000, WRITING, False),
        (1, "Permission denied\n", None, False),
    ],
)
def test_a_denied_command_reads_as_denied(
    code: int, output: str, confinement: Confinement | None, *, denied: bool
) -> None:
    status = ExitStatus(code=code)
    words = denied_words(status, output, confinement)
    assert (words is not None) == denied
    if words is not None:
        assert confinement is not None
        note = denial_note(words, confinement)
        assert "probably denied by the workspace-write sandbox: files can be changed only in /w" in note
