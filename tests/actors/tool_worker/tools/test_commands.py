"""exec_command and write_stdin: what comes back, who owns the process, and that nothing is left."""

from __future__ import annotations

import re

import trio

from actors.tool_worker.terminals import LIVE_CHARS_MAX
from messages.approval import CommandNeed
from messages.client.item import CommandExecution, UnknownAction
from messages.tools import TerminalWritten, ToolFinished
from tests.actors.tool_worker.tools.bench import CWD, SHELL, Bench, on_bench
from tests.simulation import ProgramRun, World


def world_with(program: object) -> World:
    world = World(1)
    world.programs.add(SHELL, program)  # type: ignore[arg-type]  # tests hand in plain async functions
    return world


def masked(text: object) -> str:
    """Without what is different each time."""
    assert isinstance(text, str)
    text = re.sub(r"^Chunk ID: [0-9a-f]{6}$", "Chunk ID: X", text, flags=re.MULTILINE)
    return re.sub(r"^(Process running with session ID) \d{5}$", r"\1 N", text, flags=re.MULTILINE)


def test_a_command_that_ends_in_time_answers_with_its_exit_code_and_output() -> None:
    async def program(run: ProgramRun) -> int:
        await run.write(b"hello\n")
        await trio.sleep(1.5)
        return 3

    async def test(bench: Bench) -> None:
        prepared, finished = await bench.run("exec_command", {"cmd": "greet"})
        item = prepared.item
        assert isinstance(item, CommandExecution)
        assert item == CommandExecution(
            id="item_1",
            command="/bin/bash -lc greet",
            cwd=CWD,
            status="inProgress",
            command_actions=(UnknownAction(command="greet"),),
            process_id=item.process_id,
            source="unifiedExecStartup",
        )
        assert (prepared.parallel_safe, prepared.side_effects) == (True, True)
        assert prepared.approval == CommandNeed(
            argv=(SHELL, "-lc", "greet"), script="greet", cwd=CWD, amendment=("greet",)
        )
        assert masked(finished.output).splitlines()[::2] == [
            "Chunk ID: X",
            "Process exited with code 3",
            "Output:",
        ]
        assert masked(finished.output).endswith("Original token count: 2\nOutput:\nhello\n")
        assert (finished.outcome, finished.terminal, bench.ended) == ("done", None, [])
        done = finished.item
        assert isinstance(done, CommandExecution)
        assert (done.status, done.exit_code, done.aggregated_output) == ("failed", 3, "hello\n")
        assert done.duration_ms is not None
        assert done.duration_ms >= 1500
        assert bench.outputs["call_1"].text() == "hello\n"

    on_bench(world_with(program), test)


def test_a_command_that_goes_on_is_named_and_its_end_is_told_once_with_the_whole_item() -> None:
    async def program(run: ProgramRun) -> int:
        await run.write(b"early\n")
        await trio.sleep(60)
        await run.write(b"late\n")
        return 0

    async def test(bench: Bench) -> None:
        _, finished = await bench.run("exec_command", {"cmd": "serve", "yield_time_ms": 1000})
        assert finished.terminal is not None
        assert finished.item is None
        assert f"Process running with session ID {finished.terminal}\n" in str(finished.output)
        assert str(finished.output).endswith("Output:\nearly\n")
        bench.workshop.terminals.pass_to_thread(finished.terminal)

        _, poll = await bench.run("write_stdin", {"session_id": finished.terminal, "yield_time_ms": 300_000})
        assert masked(poll.output).endswith("Process exited with code 0\nOriginal token count: 2\nOutput:\nlate\n")
        assert poll.item is None
        assert [event.terminal for event in bench.ended] == [finished.terminal]
        item = bench.ended[0].item
        assert isinstance(item, CommandExecution)
        assert (item.id, item.status, item.exit_code, item.aggregated_output) == (
            "item_1",
            "completed",
            0,
            "early\nlate\n",
        )
        _, again = await bench.run("write_stdin", {"session_id": finished.terminal})
        assert again.output == f"write_stdin failed: Unknown process id {finished.terminal}"
        assert again.outcome == "failed"

    on_bench(world_with(program), test)


def test_the_wait_of_a_call_is_kept_within_its_limits() -> None:
    async def program(run: ProgramRun) -> int:
        await trio.sleep_forever()

    async def test(bench: Bench) -> None:
        for asked, waited in ((1, 0.25), (10**9, 30.0)):
            began = trio.current_time()
            await bench.run("exec_command", {"cmd": "wait", "yield_time_ms": asked})
            assert abs(trio.current_time() - began - waited) < 0.2

    on_bench(world_with(program), test)


def test_typing_reaches_a_terminal_and_is_reported_before_the_answer() -> None:
    async def program(run: ProgramRun) -> int:
        line = await run.read_stdin()
        await run.write(b"got " + line)
        await trio.sleep_forever()

    async def test(bench: Bench) -> None:
        _, started = await bench.run("exec_command", {"cmd": "ask", "tty": True, "yield_time_ms": 250})
        call = bench.call("write_stdin", {"session_id": started.terminal, "chars": "yes\n"})
        prepared, finished, events = await bench.events(call)
        assert (prepared.parallel_safe, prepared.side_effects) == (False, True)
        assert events[1] == TerminalWritten(call_id=call.call_id, terminal=started.terminal or 0, text="yes\n")
        assert isinstance(events[2], ToolFinished)
        assert "got yes\n" in str(finished.output)

    on_bench(world_with(program), test)


def test_without_a_terminal_typing_is_refused_and_says_what_to_do() -> None:
    async def program(run: ProgramRun) -> int:
        await trio.sleep_forever()

    async def test(bench: Bench) -> None:
        _, started = await bench.run("exec_command", {"cmd": "x", "yield_time_ms": 250})
        _, finished = await bench.run("write_stdin", {"session_id": started.terminal, "chars": "y"})
        assert finished.output == (
            "write_stdin failed: stdin is closed for this session; rerun exec_command with tty=true to keep stdin open"
        )

    on_bench(world_with(program), test)


def test_cancelling_a_call_ends_its_process_before_the_call_is_gone() -> None:
    world = World(1)

    async def program(run: ProgramRun) -> int:
        run.traps = True
        await trio.sleep_forever()

    async def test(bench: Bench) -> None:
        with trio.move_on_after(1):
            await bench.run("exec_command", {"cmd": "deaf"})
        assert [each.outcome for each in world.programs.executions(SHELL)] == ["killed"]
        assert bench.ended == []

    world.programs.add(SHELL, program)
    on_bench(world, test)


def test_cancelling_a_look_at_a_command_loses_only_the_wait() -> None:
    world = World(1)

    async def program(run: ProgramRun) -> int:
        await trio.sleep_forever()

    async def test(bench: Bench) -> None:
        _, started = await bench.run("exec_command", {"cmd": "x", "yield_time_ms": 250})
        with trio.move_on_after(1):
            await bench.run("write_stdin", {"session_id": started.terminal})
        assert [each.outcome for each in world.programs.executions(SHELL)] == ["running"]

    world.programs.add(SHELL, program)
    on_bench(world, test)


def test_killing_a_background_command_ends_its_item_and_closing_the_workshop_ends_the_rest() -> None:
    async def program(run: ProgramRun) -> int:
        await trio.sleep_forever()

    async def test(bench: Bench) -> None:
        _, one = await bench.run("exec_command", {"cmd": "1", "yield_time_ms": 250})
        await bench.run("exec_command", {"cmd": "2", "yield_time_ms": 250})
        assert one.terminal is not None
        bench.workshop.terminals.kill(one.terminal)
        terminal = bench.workshop.terminals.find(one.terminal)
        assert terminal is not None
        await terminal.ended.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert [(event.terminal, event.item.status) for event in bench.ended] == [(one.terminal, "failed")]  # type: ignore[union-attr]  # a command's item

    on_bench(world_with(program), test)


def test_a_flood_of_output_keeps_head_and_tail_and_stops_being_shown_live() -> None:
    async def program(run: ProgramRun) -> int:
        for _ in range(40):
            await run.write(b"x" * 65536)
        return 0

    async def test(bench: Bench) -> None:
        _, finished = await bench.run("exec_command", {"cmd": "flood"})
        text = str(finished.output)
        assert "Original token count: 655360" in text
        assert "bytes omitted" in text
        assert len(text) < 41_000
        assert bench.outputs["call_1"].chars < LIVE_CHARS_MAX + 100

    on_bench(world_with(program), test)


def test_a_patch_that_comes_as_a_command_is_applied_as_a_patch() -> None:
    world = World(1)

    async def test(bench: Bench) -> None:
        script = "apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: a.txt\n+hi\n*** End Patch\nEOF\n"
        prepared, finished = await bench.run("exec_command", {"cmd": script})
        assert prepared.item is not None
        assert prepared.item.__struct_config__.tag == "fileChange"
        assert str(finished.output).startswith("Wall time: ")
        assert world.outside.files.read("/repo/a.txt") == b"hi\n"
        assert world.programs.history == []

    on_bench(world, test)


def test_a_command_that_cannot_start_fails_with_the_reason_and_a_finished_item() -> None:
    async def test(bench: Bench) -> None:
        _, finished = await bench.run("exec_command", {"cmd": "x"})
        assert finished.outcome == "failed"
        assert str(finished.output).startswith("exec_command failed: CreateProcess")
        assert SHELL in str(finished.output)
        assert isinstance(finished.item, CommandExecution)
        assert finished.item.status == "failed"

    on_bench(World(1), test)


def test_a_shell_that_is_none_gives_way_to_the_threads_own() -> None:
    async def tells(run: ProgramRun) -> int:
        await run.write(run.argv[0].encode())
        return 0

    world = World(1)
    world.programs.add(SHELL, tells)
    world.programs.add("/bin/other", tells)
    world.outside.files.make_dirs("/bin")
    world.outside.files.write_atomic("/bin/other", b"", mode=0o755)
    world.outside.files.write_atomic("/bin/text", b"", mode=0o644)

    async def test(bench: Bench) -> None:
        used = []
        for shell in ("/bin/other", "/none", "/bin/text", "/bin", "nosuchshell", ""):
            _, finished = await bench.run("exec_command", {"cmd": "x", "shell": shell})
            used.append(str(finished.output).rpartition("\n")[2])
        assert used == ["/bin/other", *[SHELL] * 5]

    on_bench(world, test)


def test_a_command_that_cannot_be_started_is_told_in_the_words_models_know() -> None:
    async def test(bench: Bench) -> None:
        _, finished = await bench.run("exec_command", {"cmd": "x"})
        words = 'exec_command failed: CreateProcess { message: "Rejected(\\"Failed to create unified exec process: '
        assert str(finished.output).startswith(words)

    on_bench(World(1), test)
