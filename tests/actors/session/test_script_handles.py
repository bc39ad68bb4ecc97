"""Large values and images of scripts, in a session: rows F of docs/scripts-matrix.md, with handles on a real disk."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from actors.rollout_writer import handle_store
from actors.rollout_writer.paths import HANDLES
from actors.rollout_writer.projection import project
from actors.rollout_writer.validity import validate_history
from actors.sandbox_pool import giving
from actors.sandbox_pool.limits import RESULT_BYTES, RETURN_BYTES
from actors.sandbox_pool.pool import DEFAULT_LIMITS
from messages.client.item import ImageContentItem
from messages.items import InputImage, MessageItem
from messages.log import ToolStarted
from tests.actors.session.scripted_stage import Result, block, open_stage, row, user_texts

LARGE = RESULT_BYTES + 100
_item: msgspec.json.Decoder[MessageItem] = msgspec.json.Decoder(MessageItem)


def url(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def kept(home: Path) -> dict[str, bytes]:
    """Everything that any thread keeps, by handle."""
    return {path.name: path.read_bytes() for path in home.rglob(f"*{HANDLES}/*")}


def images(result: Result) -> list[str]:
    """What the model was shown behind the script's report."""
    found: list[str] = []
    for item in result.stage.requests[-1]:
        if item.kind == "message" and b"<tool-calls-result" in item.raw:
            found += [each.image_url for each in _item.decode(item.raw).content if isinstance(each, InputImage)]
    return found


@row("F36")
async def test_a_result_over_its_cap_is_a_handle_whose_slices_the_script_reads(
    row: str, autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with open_stage(home=str(tmp_path)) as stage:
        source = f"""\
const big = await tools.run({{id: "ab", size: {LARGE}}});
const direct = await tools.readHandle({{handle: big.handle, from: 3, to: 8}});
return [typeof big, JSON.stringify(big), await big.slice(0, 5), await big.slice(-3), direct, Object.keys(big)];"""
        kind, plain, head, tail, direct, keys = (await stage.turn(source)).value
        whole = ("ab " * LARGE)[:LARGE]
        assert kept(tmp_path) == {msgspec.json.decode(plain)["handle"]: whole.encode()}, row
        assert (kind, head, tail, direct) == ("object", whole[:5], whole[-3:], whole[3:8])
        assert keys == ["handle", "size", "type", "preview"]
        assert msgspec.json.decode(plain) | {"preview": ""} == {
            "handle": next(iter(kept(tmp_path))),
            "size": LARGE,
            "type": "text",
            "preview": "",
        }


@row("F37")
async def test_a_slice_that_cannot_be_had_is_an_error_to_catch_with_its_line(
    row: str, autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with open_stage(home=str(tmp_path)) as stage:
        source = f"""\
const big = await tools.run({{id: "ab", size: {LARGE}}});
const why = (error) => [error.code, error.message];
const other = "text-{"0" * 32}";
return [
  await big.slice({LARGE + 1}).catch(why),
  await big.slice(5, 2).catch(why),
  await big.slice().catch(why),
  await tools.readHandle({{handle: other}}).catch(why),
  await tools.readHandle({{handle: "/etc/passwd"}}).catch(why),
];"""
        result = await stage.turn(source)
        beyond, backwards, long, unknown, odd = result.value
        assert beyond == ["tool_failed", f"the slice begins at {LARGE + 1}, but the value has {LARGE} bytes"], row
        assert backwards[1] == f"the slice ends before it begins: from 5, to 2, of {LARGE} bytes"
        assert "131072 are given at once: read it in pieces" in long[1]
        assert unknown[1].endswith("in this thread; a handle belongs to the thread it was made in")
        assert "'/etc/passwd' is no handle" in odd[1]
        assert [started.place.line for started in result.started if started.place] == [1, 5, 6, 7, 8, 9]


@row("F38")
async def test_a_returned_value_over_its_cap_is_kept_and_its_handle_is_told(
    row: str, autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with open_stage(home=str(tmp_path)) as stage:
        thread = await stage.thread()
        result = await stage.turn(
            f"return {{list: Array.from({{length: {RETURN_BYTES}}}, (_, i) => i)}}", thread=thread
        )
        handle = result.value
        (content,) = kept(tmp_path).values()
        assert msgspec.json.decode(content) == {"list": list(range(RETURN_BYTES))}, row
        assert (handle["type"], handle["size"], handle["preview"]) == ("json", len(content), content[:1000].decode())
        assert "The value is larger than 131072 bytes and is kept: read_handle reads parts of it." in result.told[0]
        assert len(result.told[0]) < 2_000
        stage.says(block(f'return await tools.readHandle({{handle: "{handle["handle"]}", to: 12}})'), "Well.")
        later = await stage.play(thread)
        assert later.told[-1].splitlines()[1] == msgspec.json.encode(content[:12].decode()).decode(), "in a later turn"


@row("F39")
async def test_a_returned_text_is_kept_as_the_text_it_is(row: str, autojump_clock: MockClock, tmp_path: Path) -> None:
    limits = replace(DEFAULT_LIMITS, return_bytes=1000)
    async with open_stage(home=str(tmp_path), limits=limits) as stage:
        handle = (await stage.turn('return "é\\n".repeat(1000)')).value
        assert kept(tmp_path) == {handle["handle"]: "é\n".encode() * 1000}, row
        assert (handle["type"], handle["size"]) == ("text", 3000)


@row("F40")
async def test_what_is_too_much_to_be_kept_is_an_error_that_says_so(
    row: str, autojump_clock: MockClock, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(handle_store, "THREAD_BYTES_MAX", LARGE + 10)
    async with open_stage(home=str(tmp_path)) as stage:
        source = f"""\
const both = await Promise.allSettled([
  tools.run({{id: "a", size: {LARGE}}}), tools.run({{id: "b", size: {LARGE}}})]);
const [a, b] = both.sort((x, y) => x.status < y.status ? -1 : 1);  // either may be kept first
return [a.status, b.reason.code, b.reason.message];"""
        result = await stage.turn(source)
        assert result.value[:2] == ["fulfilled", "result_too_large"], row
        assert f"the thread keeps 1 large values of {LARGE} bytes already" in result.value[2]
        assert result.outcomes == {1: "done", 2: "done"}, "both have taken effect"
        stage.says(block(f'return "x".repeat({RETURN_BYTES})'), "Well.")
        told = (await stage.play(result.thread)).told[-1]
        assert 'status="exceeded"' in told
        assert "limit error, return_value: the returned value is larger than 131072 bytes and cannot be kept" in told
        stage.says(block(f'return "x".repeat({4 * 1024 * 1024})'), "Well.")
        assert "is longer than 2097152" in (await stage.play(result.thread)).told[-1]


@row("F41")
async def test_a_thread_that_is_not_on_disk_has_no_handles_and_says_so(
    row: str, autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with open_stage(home=str(tmp_path)) as stage:
        thread = await stage.thread(ephemeral=True)
        stage.says(
            block(f'return await tools.run({{id: "a", size: {LARGE}}}).catch((e) => [e.code, e.message])'),
            block(f'return "x".repeat({RETURN_BYTES})'),
            "Well.",
        )
        await stage.begin(thread)
        await thread.until("TurnCompleted")
        first, second = (text for text in user_texts(stage.requests[-1]) if text.startswith("<tool-calls-result"))
        assert (
            '["result_too_large","the result is larger than 1048576 bytes: this thread is not kept on disk' in first
        ), row
        assert "the returned value is longer than 131072" in second
        assert kept(tmp_path) == {}


@row("F42")
async def test_images_of_calls_are_put_behind_the_report_in_the_order_of_the_calls(
    row: str, autojump_clock: MockClock, tmp_path: Path
) -> None:
    large = url(b"\x89PNG" + b"L" * LARGE)
    small, other = url(b"\x89PNG small"), "https://example.org/a.png"
    async with open_stage(home=str(tmp_path)) as stage:
        source = f"""\
const given = await Promise.all([
  tools.run({{id: "slow", ms: 50, images: ["{small}"]}}),
  tools.run({{id: "fast", images: ["{other}"]}}),
]);
await tools.run({{id: "none"}});
return given;"""
        result = await stage.turn(source)
        assert result.value == [{"text": "slow:", "images": [small]}, {"text": "fast:", "images": [other]}]
        assert images(result) == [small, other], row
        assert "Images behind this result, in the order of the calls: 2 (call #1, #2)." in result.told[0]
        (script,) = result.scripts
        assert [each.image_url for each in script.content_items or () if isinstance(each, ImageContentItem)] == [
            *(small, other),
        ]
    async with open_stage(home=str(tmp_path)) as stage:
        monkey = stage.work

        async def draw(theatre: Any, bench: Any) -> None:
            arguments = msgspec.json.encode({"id": "big", "images": [large, small]}).decode()
            bench.call = replace(bench.call, arguments=arguments)
            await monkey(theatre, bench)

        stage.theatre.tools["run"] = draw
        result = await stage.turn("const {images} = await tools.run({}); return images")
        handle, inline = result.value
        assert (handle["type"], handle["mediaType"], inline) == ("bytes", "image/png", small)
        assert kept(tmp_path)[handle["handle"]] == b"\x89PNG" + b"L" * LARGE
        assert images(result) == [large, small], "from the disk, whole"


@row("F43")
async def test_images_are_bounded_in_number_and_bytes_and_what_is_left_out_is_said(
    row: str, autojump_clock: MockClock, tmp_path: Path, monkeypatch: Any
) -> None:
    small = [url(b"\x89PNG %d" % number) for number in range(10)]
    async with open_stage(home=str(tmp_path)) as stage:
        result = await stage.turn(f'await tools.run({{id: "a", images: {msgspec.json.encode(small).decode()}}})')
        assert images(result) == small[:8], row
        assert "Images left out: 2; at most 8 of 8388608 characters in all" in result.told[0]
    monkeypatch.setattr(giving, "SHOWN_IMAGE_CHARACTERS", len(small[0]) * 2 + 5)
    async with open_stage(home=str(tmp_path)) as stage:
        result = await stage.turn(f'await tools.run({{id: "a", images: {msgspec.json.encode(small[:3]).decode()}}})')
        assert images(result) == small[:2]
        assert "Images left out: 1" in result.told[0]
        blind = await giving.Images(tuple(result.events)).shown(None, sees=False)
        assert blind == ((), ("Images that are not shown: 3; this model is known not to see any.",))


REPLAYED = f"""\
const big = await tools.run({{id: "one", size: {LARGE}}});
const [a, b] = await Promise.all([big.slice(0, 4), big.slice(4, 8)]);
const image = await tools.run({{id: "two", images: ["{url(b"PNG")}"]}});
await tools.run({{id: "three"}});
return "x".repeat({RETURN_BYTES}) + a + b + image.images[0];"""


@row("F44")
async def test_wherever_the_daemon_dies_handles_read_the_same_and_images_are_shown(
    row: str, autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with open_stage(home=str(tmp_path)) as stage:
        thread = await stage.thread()
        result = await stage.turn(REPLAYED, thread=thread)
        whole, shown, files = result.told[-1], images(result), kept(tmp_path)
        assert shown == [url(b"PNG")]
        assert len(files) == 2
        count = len(thread.records)
        cuts = [stage.cut(thread, cut) for cut in range(4, count)]
    replayed = 0
    for cut in cuts:
        assert validate_history(project(cut[1]).history) == [], row
        started = {record.place.number for record in cut[2] if isinstance(record, ToolStarted) and record.place}
        runs = any(isinstance(record, ToolStarted) and record.place is None for record in cut[2])
        async with open_stage(home=str(tmp_path), log=cut) as again:
            again.says("Well.", "Well.")
            later = await again.theatre.again(thread.id)
            await trio.sleep(1)
            assert kept(tmp_path) == files, "named by what they hold"
            assert not {["", "one", "", "", "two", "three"][number] for number in started} & set(again.begun) - {""}
            if not runs or not again.requests:
                continue
            again_result = Result(again, later, [])
            told = again_result.told
            if told and 'status="returned"' in told[-1] and "unknown" not in told[-1]:
                replayed += 1
                assert told[-1].splitlines()[1:3] == whole.splitlines()[1:3]
                assert images(again_result) == shown
    assert replayed > 5, row
