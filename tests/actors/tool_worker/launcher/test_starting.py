"""What a started program finds: descriptors, signals, folder, environment; and what is said when it cannot start."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
import trio

from actors.ports.processes import ExitStatus, SpawnError
from actors.tool_worker.launcher import Mechanism, start_launcher

from .stage import PATH, every_mechanism, launched, proc, read_all


@every_mechanism
async def test_output_and_exit_code_arrive(mechanism: Mechanism) -> None:
    async with launched(mechanism) as stage:
        assert await stage.run("echo out; echo err >&2; exit 3") == (ExitStatus(code=3), "out\nerr\n")
        assert await stage.run("kill -9 $$") == (ExitStatus(code=137, signal=9), "")


async def test_separate_errors_and_an_open_input_are_three_pipes() -> None:
    async with launched() as stage:
        process = await stage.shell("cat; echo err >&2", stdin="pipe", stderr="separate")
        await process.write_stdin(b"in")
        process.close_stdin()
        assert await read_all(process) == "in"
        assert await process.read_stderr() == b"err\n"
        assert await process.read_stderr() == b""
        assert await process.wait() == ExitStatus(code=0)
        with pytest.raises(trio.ClosedResourceError):
            await process.write_stdin(b"late")
        await process.aclose()


async def test_a_closed_input_is_at_its_end_and_refuses_writing() -> None:
    async with launched() as stage:
        process = await stage.spawn("cat")
        with pytest.raises(trio.ClosedResourceError):
            await process.write_stdin(b"x")
        assert await process.wait() == ExitStatus(code=0)
        await process.aclose()


@every_mechanism
async def test_the_tool_has_exactly_three_descriptors(mechanism: Mechanism) -> None:
    async with launched(mechanism) as stage:
        process = await stage.spawn("sleep", "1001")
        while not (left := stage.left()):  # it is executing, and its environment may not be laid out yet
            await trio.lowlevel.checkpoint()
        (tool,) = left
        # Its loader may still have a library open: what counts is what stays.
        while sorted(os.listdir(f"/proc/{tool}/fd")) != ["0", "1", "2"]:
            await trio.lowlevel.checkpoint()
        await process.aclose()


async def test_blocked_and_ignored_signals_of_the_daemon_do_not_reach_the_tool() -> None:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
    ignored = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        async with launched() as stage:
            _, text = await stage.run("grep -E '^Sig(Blk|Ign)' /proc/self/status")
            masks = {name: int(value, 16) for name, value in (line.split(":") for line in text.splitlines())}
            # 32 and 33 belong to glibc, whose posix_spawn ignores them in every child
            assert {name: mask & ~(0b11 << 31) for name, mask in masks.items()} == {"SigBlk": 0, "SigIgn": 0}
    finally:
        signal.signal(signal.SIGUSR2, ignored)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


async def test_folder_environment_and_umask_are_as_given(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        async with launched() as stage:
            assert await stage.run("pwd; umask", cwd=str(tmp_path)) == (ExitStatus(code=0), f"{tmp_path}\n0027\n")
            process = await stage.spawn("/usr/bin/env", environment={"A": "ä=1", "EMPTY": ""})
            assert await read_all(process) == "A=ä=1\nEMPTY=\n"
            await process.aclose()
    finally:
        os.umask(umask)


async def test_the_program_is_looked_for_in_the_path_that_is_given(tmp_path: Path) -> None:
    program = tmp_path / "greet"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    async with launched() as stage:
        process = await stage.spawn("greet", environment={"PATH": f"/nowhere:{tmp_path}:/bin"})
        assert await read_all(process) == "hello\n"
        await process.aclose()


TOO_LONG = "cannot start 'true': its arguments and environment are too long for this system (Argument list too long)"

REFUSALS: tuple[tuple[tuple[str, ...], dict[str, object], str], ...] = (
    (("/no/such",), {}, "the program '/no/such' does not exist"),
    (("no-such",), {"environment": {"PATH": "/bin"}}, "the program 'no-such' is in no folder of PATH ('/bin')"),
    (("/etc/passwd",), {}, "cannot start '/etc/passwd': Permission denied"),
    (("/proc",), {}, "cannot start '/proc': Permission denied"),
    (("true",), {"cwd": "/no/where"}, "the working directory '/no/where' does not exist"),
    (("true",), {"cwd": "/etc/passwd"}, "cannot enter the working directory '/etc/passwd': Not a directory"),
    ((), {}, "there is no program to start: argv is empty, or its first word is"),
    (("true", "a\0b"), {}, "argument 1 of 'true' contains a NUL character, which no program can be given"),
    (("true",), {"environment": {"A=B": "c"}}, "'A=B' cannot be the name of an environment variable of 'true'"),
    (("true", "x" * 200_000), {}, TOO_LONG),
    (("true", *["x" * 100_000] * 90), {}, TOO_LONG),
)
"""A program with its arguments, options of the request, and what is said."""


async def test_what_cannot_start_is_refused_by_name_and_harms_nothing_else() -> None:
    async with launched() as stage:
        said = []
        for argv, options, _ in REFUSALS:
            with pytest.raises(SpawnError) as caught:
                await stage.spawn(*argv, **options)
            said.append(str(caught.value))
        assert said == [text for _, _, text in REFUSALS]
        assert await stage.run("echo still here") == (ExitStatus(code=0), "still here\n")


async def test_a_script_without_its_interpreter_and_one_without_a_first_line_say_so(tmp_path: Path) -> None:
    for name, text in (("lost", "#!/no/interpreter\n"), ("plain", "echo hello\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    async with launched() as stage:
        with pytest.raises(SpawnError, match="the interpreter named in its first line, or its loader, does not exist"):
            await stage.spawn(str(tmp_path / "lost"))
        with pytest.raises(SpawnError, match="neither a program for this machine nor a script with a #! line"):
            await stage.spawn(str(tmp_path / "plain"))


async def test_a_long_command_passes(tmp_path: Path) -> None:
    async with launched() as stage:
        words = ["x" * 100_000] * 12
        process = await stage.spawn("sh", "-c", 'echo "$#"', "sh", *words)
        assert await read_all(process) == "12\n"
        await process.aclose()


@every_mechanism
async def test_proc_pids_and_kill_agree_inside_a_call(mechanism: Mechanism) -> None:
    async with launched(mechanism) as stage:
        status, text = await stage.run(
            'sleep 1001 & child=$!; until test "$(ps -o comm= -p $child)" = sleep; do :; done;'
            " test $(ps -o ppid= -p $child) = $$ && kill -KILL $(pgrep -P $$ -x sleep);"
            " wait $child 2>/dev/null; echo $?"
        )
        assert (status, text) == (ExitStatus(code=0), "137\n")


async def test_two_calls_do_not_share_their_pids_so_names_made_of_them_differ() -> None:
    async with launched() as stage:
        pids = [(await stage.run("echo $$"))[1] for _ in range(3)]
        assert len(set(pids)) == 3


async def test_privileges_can_still_be_gained_and_root_stays_root() -> None:
    async with launched() as stage:
        _, text = await stage.run("grep NoNewPrivs /proc/self/status; cat /proc/self/uid_map")
        own_map = proc("self/uid_map").decode()
        assert text.startswith("NoNewPrivs:\t0\n")
        if os.geteuid() == 0:
            assert text == f"NoNewPrivs:\t0\n{own_map}"


async def test_a_call_that_needs_setuid_programs_is_kept_out_of_a_user_namespace() -> None:
    async with launched("userns") as stage:
        own_map = proc("self/uid_map").decode()
        assert (await stage.run("cat /proc/self/uid_map"))[1] != own_map
        assert (await stage.run("cat /proc/self/uid_map", needs_setuid=True))[1] == own_map


async def test_the_launcher_holds_no_secret_and_no_terminal() -> None:
    os.environ["CALLBOARD_TEST_SECRET"] = "hush"
    try:
        async with launched() as stage:
            assert b"hush" not in proc(f"{stage.handle.pid}/environ")
            assert os.getsid(stage.handle.pid) == stage.handle.pid
    finally:
        del os.environ["CALLBOARD_TEST_SECRET"]


async def test_a_worker_thread_may_not_start_a_launcher_because_its_end_would_kill_it() -> None:
    def attempt() -> None:
        assert threading.current_thread() is not threading.main_thread()
        with pytest.raises(RuntimeError, match="from the main thread"):
            start_launcher()

    with trio.fail_after(5):
        await trio.to_thread.run_sync(attempt)


def test_the_path_of_the_tests_has_what_they_use() -> None:
    assert all(any((Path(folder) / name).exists() for folder in PATH.split(":")) for name in ("sh", "ps", "setsid"))
