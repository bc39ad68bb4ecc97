"""Calls that scripts make: they get all of an output, and a handle where it is too large; `read_handle` reads it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec
import trio

from actors.rollout_writer.handle_store import SLICE_BYTES, HandleStore
from actors.sandbox_pool.limits import RESULT_BYTES
from actors.session.nested_value import value_of
from actors.session.state import CallResult
from actors.tool_worker.terminals import SCRIPT_OUTPUT_BYTES_MAX
from actors.tool_worker.toolset import offers
from actors.tool_worker.truncation import WHOLE, TruncationPolicy, call_policy
from messages.client.item import ImageContentItem, TextContentItem
from messages.client_call import ClientAnswer
from messages.items import InputImage
from messages.script import CallResult as Settled
from messages.session import ThreadSettings
from messages.tool_set import Abilities
from messages.tools import ToolFinished
from tests.actors.tool_worker.tools.bench import Bench, on_bench
from tests.actors.tool_worker.tools.test_client_tool import SETTINGS
from tests.simulation import World
from tests.simulation.programs import ProgramRun

ROLLOUT = "/home/sessions/rollout.jsonl"
LINES = b"".join(b"line %d of a log\n" % number for number in range(100_000))
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4096


class Calls:
    """What tests do in a workshop that keeps handles."""

    def __init__(self, bench: Bench, *, on_disk: bool = True) -> None:
        self.bench = bench
        self.store = HandleStore(bench.workshop.ports, ROLLOUT)
        bench.workshop.handles = self.store if on_disk else None

    async def by_script(self, name: str, arguments: Any) -> tuple[Settled, ToolFinished]:
        """What a script gets, and what the session is told."""
        call = msgspec.structs.replace(self.bench.call(name, arguments), by="script")
        _, finished, _ = await self.bench.events(call)
        result = CallResult(
            outcome=finished.outcome,
            output=finished.output,
            item=finished.item,
            terminal=finished.terminal,
            kept=finished.kept,
        )
        return value_of(result), finished

    async def by_model(self, arguments: Any) -> ToolFinished:
        _, finished = await self.bench.run("read_handle", arguments)
        return finished


def on_calls(test: Callable[[Calls], Any], *, world: World | None = None, on_disk: bool = True) -> None:
    async def main(bench: Bench) -> None:
        await test(Calls(bench, on_disk=on_disk))

    world = world or World(1)
    world.outside.files.make_dirs("/home/sessions")
    on_bench(world, main)


def printing(output: bytes) -> World:
    world = World(1)
    world.programs.add_output("/bin/bash", output)
    world.programs.add_output("cat", output)
    return world


def value(settled: Settled) -> Any:
    assert settled.error is None, settled.error
    return msgspec.json.decode(settled.value)


def test_a_script_gets_all_that_a_command_printed_where_a_model_is_shown_a_part() -> None:
    output = LINES[: RESULT_BYTES // 2]

    async def test(calls: Calls) -> None:
        settled, finished = await calls.by_script("exec_command", {"cmd": "cat log"})
        assert value(settled) == {"output": output.decode(), "exitCode": 0}
        assert finished.kept is None
        _, shown = await calls.bench.run("exec_command", {"cmd": "cat log"})
        assert len(str(shown.output)) < 60_000

    on_calls(test, world=printing(output))


def test_a_budget_that_a_script_names_itself_counts() -> None:
    assert call_policy(WHOLE, 100) == TruncationPolicy(mode="bytes", limit=400)
    assert call_policy(WHOLE, None) == WHOLE


def test_a_command_that_printed_too_much_gives_its_exit_code_and_a_handle() -> None:
    async def test(calls: Calls) -> None:
        settled, finished = await calls.by_script("exec_command", {"cmd": "cat log"})
        given = value(settled)
        handle = given.pop("output")
        assert given == {"exitCode": 0}
        assert (handle["type"], handle["size"], handle["preview"]) == ("text", len(LINES), LINES[:1000].decode())
        assert len(str(finished.output)) < 2_000, "nobody needs it in memory any more"
        assert calls.store.read_now(handle["handle"], 0, None, most=len(LINES), cut=False).data == LINES

    on_calls(test, world=printing(LINES))


def test_of_an_endless_output_head_and_tail_are_kept_and_the_gap_is_marked() -> None:
    output = LINES * 4
    assert len(output) > SCRIPT_OUTPUT_BYTES_MAX

    async def test(calls: Calls) -> None:
        settled, _ = await calls.by_script("exec_command", {"cmd": "cat log"})
        handle = value(settled)["output"]
        assert SCRIPT_OUTPUT_BYTES_MAX < handle["size"] < SCRIPT_OUTPUT_BYTES_MAX + 100
        middle = calls.store.read_now(handle["handle"], handle["size"] // 2 - 100, None, most=200, cut=True)
        assert b" bytes omitted ..." in middle.data

    on_calls(test, world=printing(output))


def test_a_command_that_is_looked_at_again_gives_the_same_form() -> None:
    world = World(1)

    async def program(run: ProgramRun) -> int:
        await run.write(b"first\n")
        await trio.sleep(5)
        await run.write(LINES)
        return 3

    world.programs.add("/bin/bash", program)

    async def test(calls: Calls) -> None:
        settled, _ = await calls.by_script("exec_command", {"cmd": "work", "yield_time_ms": 1_000})
        begun = value(settled)
        assert begun == {"output": "first\n", "exitCode": None, "sessionId": begun["sessionId"]}
        arguments = {"session_id": begun["sessionId"], "yield_time_ms": 10_000}
        settled, _ = await calls.by_script("write_stdin", arguments)
        given = value(settled)
        assert (given["output"]["size"], given["exitCode"]) == (len(LINES), 3)

    on_calls(test, world=world)


def test_the_exact_command_gives_its_output_without_the_lines_that_models_read() -> None:
    async def test(calls: Calls) -> None:
        settled, _ = await calls.by_script("shell", {"command": ["cat", "log"]})
        assert value(settled) == {"output": "here", "exitCode": 0}

    on_calls(test, world=printing(b"here"))


def test_a_file_of_any_length_is_read_whole_by_a_script() -> None:
    world = World(1)
    world.outside.files.make_dirs("/repo")
    world.outside.files.write("/repo/log", LINES[:1_500_000])

    async def test(calls: Calls) -> None:
        settled, _ = await calls.by_script("read_file", {"file_path": "/repo/log", "limit": 1_000_000})
        handle = value(settled)
        assert handle["type"] == "text"
        assert handle["size"] > 1_500_000
        assert handle["preview"].startswith("L1: line 0 of a log\nL2: line 1")

    on_calls(test, world=world)


def test_where_nothing_is_on_disk_the_call_is_done_and_its_value_an_error_that_says_why() -> None:
    async def test(calls: Calls) -> None:
        settled, finished = await calls.by_script("exec_command", {"cmd": "cat log"})
        assert (settled.outcome, finished.outcome) == ("done", "done")
        assert settled.error is not None
        assert settled.error.code == "result_too_large"
        assert settled.error.message == (
            "the result is larger than 1048576 bytes: this thread is not kept on disk, so it has no handles. "
            "Ask for less of it"
        )

    on_calls(test, world=printing(LINES), on_disk=False)


def test_a_large_image_of_a_client_becomes_bytes_and_its_words_stay() -> None:
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    answer = ClientAnswer(success=True, content=(TextContentItem(text="a screen"), ImageContentItem(image_url=url)))

    async def test(calls: Calls) -> None:
        calls.bench.workshop.settings = SETTINGS
        calls.bench.client = lambda _: answer
        settled, _ = await calls.by_script("look", {})
        given = value(settled)
        assert given["text"] == "a screen"
        (image,) = given["images"]
        assert (image["type"], image["size"], image["mediaType"]) == ("bytes", len(PNG), "image/png")
        shown = await calls.by_model({"handle": image["handle"]})
        assert shown.output == (InputImage(image_url=url, detail="original"),)

    on_calls(test)


def test_many_parts_are_an_error_when_they_are_too_much_without_any_that_is_large() -> None:
    answer = ClientAnswer(success=True, content=(ImageContentItem(image_url="x" * 10_000),) * 200)

    async def test(calls: Calls) -> None:
        calls.bench.workshop.settings = SETTINGS
        calls.bench.client = lambda _: answer
        settled, _ = await calls.by_script("look", {})
        assert settled.error is not None
        assert "it has too many parts" in settled.error.message

    on_calls(test)


# --- read_handle --------------------------------------------------------------------------------------------------


def test_a_script_reads_exactly_the_slice_it_asks_for_or_hears_why_not() -> None:
    async def test(calls: Calls) -> None:
        name = (await calls.store.keep(LINES, "text")).handle
        settled, _ = await calls.by_script("read_handle", {"handle": name, "from": 5, "to": 13})
        assert value(settled) == "0 of a l"
        settled, _ = await calls.by_script("read_handle", {"handle": name, "from": -3})
        assert value(settled) == "og\n"
        for arguments, why in (
            ({"handle": name}, f"and {SLICE_BYTES} are given at once"),
            ({"handle": name, "from": len(LINES) + 1}, "the slice begins at"),
            ({"handle": "json-" + "0" * 32}, "there is no json-0"),
            ({"handle": "/etc/passwd"}, "'/etc/passwd' is no handle"),
            ({"handle": name, "size": 1}, "unknown field `size`"),
        ):
            settled, _ = await calls.by_script("read_handle", arguments)
            assert settled.error is not None
            assert why in settled.error.message

    on_calls(test)


def test_the_longest_slice_of_the_oddest_text_still_fits_a_result() -> None:
    async def test(calls: Calls) -> None:
        name = (await calls.store.keep(b"\x01" * SLICE_BYTES, "text")).handle
        settled, finished = await calls.by_script("read_handle", {"handle": name})
        assert finished.kept is None
        assert value(settled) == "\x01" * SLICE_BYTES
        assert len(settled.value) <= RESULT_BYTES

    on_calls(test)


def test_a_model_is_shown_what_fits_and_where_to_read_on() -> None:
    text = "aé" * 100_000

    async def test(calls: Calls) -> None:
        name = (await calls.store.keep(text.encode(), "json")).handle
        read, at = "", 0
        for _ in range(3):
            finished = await calls.by_model({"handle": name, "from": at})
            head, _, body = str(finished.output).partition("\n")
            end = at + len(body.encode())
            assert head == f"Bytes {at} to {end} of 300000 (json); read on from {end}:"
            assert 39_998 <= end - at <= 40_000
            read, at = read + body, end
        assert text.startswith(read)
        last = await calls.by_model({"handle": name, "from": -3})
        assert last.output == "Bytes 299997 to 300000 of 300000 (json):\naé"

    on_calls(test)


def test_bytes_are_told_in_base64() -> None:
    async def test(calls: Calls) -> None:
        name = (await calls.store.keep(b"\x00\x01\x02", "bytes")).handle
        settled, _ = await calls.by_script("read_handle", {"handle": name, "from": 1})
        assert value(settled) == "AQI="
        finished = await calls.by_model({"handle": name})
        assert finished.output == "Bytes 0 to 3 of 3 (bytes):\nAAEC"

    on_calls(test)


def test_a_thread_has_the_tool_where_scripts_are_on_and_it_is_on_disk() -> None:
    settings = ThreadSettings(provider="p", model="m", cwd="/repo")

    async def test(calls: Calls) -> None:
        tool = calls.bench.workshop.registry.find("read_handle")
        assert tool is not None
        assert offers(tool.spec, settings, Abilities())
        assert not offers(tool.spec, settings, Abilities(lacks=("handles",)))
        assert not offers(tool.spec, msgspec.structs.replace(settings, ephemeral=True), Abilities())

    on_calls(test)
