"""TC-21 and TC-31 to 35: calls of a turn; IT: whole turns on all three wires, each request held against its rules."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from messages.session import InterruptTurn, SettingsPatch, StartTurn, TurnAccepted
from messages.tools import ToolFinished
from tests.actors.model_stream.anthropic import hearing
from tests.actors.model_stream.anthropic.matrix.houses import House, open_house, streamed, then_hang
from tests.actors.model_stream.anthropic.matrix.registry import case
from tests.actors.model_stream.chat import listening
from tests.actors.model_stream.hearing import sse
from tests.actors.model_stream.rules import anthropic, chat, responses
from tests.actors.session.made import command_item, words
from tests.actors.session.theatre import Bench, Theatre, Thread, open_theatre

MODELS = {"anthropic": "claude-opus-5-5", "openai": "gpt-6-sol", "elsewhere": "open-weights"}
"""A model of each provider; each provider is on a wire of its own."""

Call = tuple[str, str]
"""Id and name."""


def said(provider: str, text: str = "", *calls: Call) -> bytes:
    """An answer with words or calls, as the provider's wire streams it. It thinks before it calls."""
    if provider == "anthropic":
        return _messages(text, *calls)
    return _responses(text, *calls) if provider == "openai" else _chat(text, *calls)


def _messages(text: str, *calls: Call) -> bytes:
    blocks = [hearing.thinking(0, "Let me see.", "c2lnbmVk")] if calls else []
    if text:
        blocks.append(hearing.text(len(blocks), *text.split("|")))
    for id_, name in calls:
        blocks.append(hearing.tool(len(blocks), '{"path":', '"a.py"}', id_=id_, name=name))
    return streamed(hearing.response(*blocks, reason="tool_use" if calls else "end_turn"), request_id="req_1")


def _responses(text: str, *calls: Call) -> bytes:
    items: list[dict[str, Any]] = []
    if calls:
        items.append({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "Z0FB"})
    if text:
        content = [{"type": "output_text", "text": text.replace("|", ""), "annotations": []}]
        items.append({"type": "message", "id": "msg_1", "role": "assistant", "content": content})
    for id_, name in calls:
        call = {"type": "function_call", "id": f"fc_{id_}", "call_id": id_, "name": name}
        items.append({**call, "arguments": '{"path":"a.py"}'})
    events: list[dict[str, Any]] = [{"type": "response.created", "response": {"id": "resp_1", "model": "gpt-6-sol"}}]
    for index, item in enumerate(items):
        events.append({"type": "response.output_item.added", "output_index": index, "item": {**item, "content": []}})
        if item["type"] == "message":
            delta = {"type": "response.output_text.delta", "output_index": index, "content_index": 0}
            events += [{**delta, "delta": piece} for piece in text.split("|")]
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    end = {"id": "resp_1", "status": "completed", "usage": {"input_tokens": 5, "output_tokens": 2}}
    return streamed(sse(*events, {"type": "response.completed", "response": end}))


def _chat(text: str, *calls: Call) -> bytes:
    chunks = [listening.chunk({"reasoning_content": "Let me see."})] if calls else []
    chunks += [listening.chunk({"content": piece}) for piece in text.split("|") if piece]
    for index, (id_, name) in enumerate(calls):
        chunks.append(listening.chunk(listening.call(index, id_=id_, name=name)))
        chunks.append(listening.chunk(listening.call(index, arguments='{"path":"a.py"}')))
    chunks.append(listening.chunk(finish="tool_calls" if calls else "stop"))
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    return streamed(listening.stream(*chunks, {"choices": [], "usage": usage}))


def offences(house: House) -> list[str]:
    """What the servers would have refused of all that they were asked."""
    found = []
    for request, body in zip(house.requests, house.bodies, strict=True):
        match request.path:
            case "/anthropic/messages":
                found += anthropic.offences(body, anthropic.FACTS[body["model"]])
            case "/openai/responses":
                found += responses.offences(body)
            case "/elsewhere/chat/completions":
                found += chat.offences(body)
            case path:
                found.append(path)
    return found


class Stage:
    """A session whose model is what the servers say, and whose tools take as many seconds as their names say."""

    def __init__(self, house: House, theatre: Theatre, thread: Thread) -> None:
        self.house = house
        self.theatre = theatre
        self.thread = thread
        self._turns = 0

    async def turn(self, provider: str | None = None) -> list[Any]:
        """A whole turn, with another provider from now on if one is named; what was told of it."""
        self._turns += 1
        patch = None if provider is None else SettingsPatch(provider=provider, model=MODELS[provider])
        command = StartTurn(submission_id=f"turn-{self._turns}", input=words(f"turn {self._turns}"), settings=patch)
        await self.thread.ask(command, TurnAccepted)
        return await self.thread.until("TurnCompleted")

    def results(self, number: int = -1) -> list[dict[str, Any]]:
        """The last message's content in a request on the Messages wire."""
        content: list[dict[str, Any]] = self.house.bodies[number]["messages"][-1]["content"]
        return content


def tool(seconds: float, *, parallel_safe: bool = True, outcome: Any = "done") -> Any:
    async def work(theatre: Theatre, bench: Bench) -> None:
        bench.prepare(parallel_safe=parallel_safe)
        await bench.leave.receive()
        theatre.notes.append(f"begin {bench.call.call_id} at {trio.current_time():g}")
        await trio.sleep(seconds)
        theatre.notes.append(f"end {bench.call.call_id}")
        bench.report(
            ToolFinished(
                call_id=bench.call.call_id,
                outcome=outcome,
                output=f"out {bench.call.call_id}",
                item=command_item(bench.call.item_id, "completed"),
            )
        )

    return work


@asynccontextmanager
async def open_stage(provider: str, *answers: Any) -> AsyncIterator[Stage]:
    async with open_house(*answers) as house, open_theatre() as theatre:
        theatre.scripts = [house.play] * len(answers)
        theatre.tools = {
            "one": tool(1),
            "two": tool(2),
            "three": tool(3),
            "alone": tool(1, parallel_safe=False),
            "broken": tool(1, outcome="failed"),
            "endless": tool(10**6),
        }
        thread = await theatre.thread(provider=provider, model=MODELS[provider])
        yield Stage(house, theatre, thread)
        assert offences(house) == []


def answers_of(content: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(block["tool_use_id"], block["content"]) for block in content if block["type"] == "tool_result"]


@case("TC-21", "several calls of one answer run concurrently, and their results are one user message")
async def _() -> None:
    calls = (("a", "two"), ("b", "two"), ("c", "two"))
    async with open_stage("anthropic", said("anthropic", "", *calls), said("anthropic", "Done.")) as stage:
        began = trio.current_time()
        await stage.turn()
        assert trio.current_time() - began < 3
        assert len({note.rpartition(" ")[2] for note in stage.theatre.notes if note.startswith("begin")}) == 1
        assert [message["role"] for message in stage.house.bodies[1]["messages"]] == ["user", "assistant", "user"]
        assert len(stage.results()) == 3


@case("TC-31", "results stand in the order of the calls, whichever ended first")
async def _() -> None:
    calls = (("a", "three"), ("b", "one"), ("c", "two"))
    async with open_stage("anthropic", said("anthropic", "", *calls), said("anthropic", "Done.")) as stage:
        await stage.turn()
        assert [note for note in stage.theatre.notes if note.startswith("end")] == ["end b", "end c", "end a"]
        assert answers_of(stage.results()) == [("a", "out a"), ("b", "out b"), ("c", "out c")]


@case("TC-32", "no call starts before the response has ended")
async def _() -> None:
    begun = hearing.stream(hearing.message_start(), *hearing.tool(0, "{}", id_="a", name="one"))
    async with open_stage("anthropic", then_hang(begun)) as stage:
        await stage.thread.start()
        await wait_all_tasks_blocked()
        assert stage.theatre.notes == []
        assert len(stage.house.requests) == 1
        await stage.thread.ask(InterruptTurn(), TurnAccepted)
        await stage.thread.until("TurnCompleted")
        assert stage.theatre.notes == []


@case("TC-33", "calls that bear nobody beside them run in order, and still answer in one message")
async def _() -> None:
    calls = (("a", "alone"), ("b", "one"), ("c", "alone"))
    async with open_stage("anthropic", said("anthropic", "", *calls), said("anthropic", "Done.")) as stage:
        await stage.turn()
        done = [note.partition(" at ")[0] for note in stage.theatre.notes]
        assert done == ["begin a", "end a", "begin b", "end b", "begin c", "end c"]
        assert [id_ for id_, _ in answers_of(stage.results())] == ["a", "b", "c"]


@case("TC-34", "of several calls the one that failed is flagged, the others are not")
async def _() -> None:
    calls = (("a", "one"), ("b", "broken"), ("c", "one"))
    async with open_stage("anthropic", said("anthropic", "", *calls), said("anthropic", "Done.")) as stage:
        await stage.turn()
        assert [block.get("is_error") for block in stage.results()] == [None, True, None]


@case("TC-35", "after an interrupt every call is answered exactly once, before what the user says next")
async def _() -> None:
    calls = (("a", "one"), ("b", "endless"), ("c", "endless"))
    async with open_stage("anthropic", said("anthropic", "", *calls), said("anthropic", "Well.")) as stage:
        await stage.thread.start()
        await trio.sleep(60)
        assert "end a" in stage.theatre.notes
        await stage.thread.ask(InterruptTurn(), TurnAccepted)
        await stage.thread.until("TurnCompleted")
        await stage.turn()
        content = stage.results()
        assert [id_ for id_, _ in answers_of(content)] == ["a", "b", "c"]
        assert [text.startswith("out") for _, text in answers_of(content)] == [True, False, False]
        assert content[-1] == {"type": "text", "text": "turn 1"}


# --- end to end -----------------------------------------------------------------------------------------------------


def words_of_a_turn(provider: str) -> Any:
    async def check() -> None:
        async with open_stage(provider, said(provider, "Hel|lo.")) as stage:
            told = await stage.turn()
        assert "".join(each[1:] for each in told if each.startswith("~")) == "Hello."
        assert told[-1] == "TurnCompleted"
        assert "TurnFailing" not in told
        assert "UsageUpdated" in told

    return check


def tools_of_a_turn(provider: str) -> Any:
    async def check() -> None:
        calls = (("call_1", "two"), ("call_2", "one"))
        async with open_stage(provider, said(provider, "", *calls), said(provider, "Done.")) as stage:
            told = await stage.turn()
            assert "~Done." in told
            asked = str(stage.house.bodies[1])
            assert asked.index("out call_1") < asked.index("out call_2")
            assert len(stage.house.requests) == 2

    return check


case("IT-01", "a turn of words on the Messages wire")(words_of_a_turn("anthropic"))
case("IT-02", "a turn of words on the Chat Completions wire")(words_of_a_turn("elsewhere"))
case("IT-03", "a turn of words on the Responses wire")(words_of_a_turn("openai"))
case("IT-04", "a turn with two calls on the Messages wire")(tools_of_a_turn("anthropic"))
case("IT-05", "a turn with two calls on the Chat Completions wire")(tools_of_a_turn("elsewhere"))
case("IT-06", "a turn with two calls on the Responses wire")(tools_of_a_turn("openai"))


@asynccontextmanager
async def moved(*providers: str) -> AsyncIterator[Stage]:
    """A thread with a turn of a call and a word at each of these providers, one after the other."""
    answers = []
    for number, provider in enumerate(providers):
        answers += [said(provider, "", (f"call_{number}", "one")), said(provider, f"Word {number}.")]
    async with open_stage(providers[0], *answers) as stage:
        for provider in providers:
            told = await stage.turn(provider)
            assert "TurnFailing" not in told
        yield stage


@case("IT-07", "a thread that began on the Messages wire goes on on both others, without what only Claude understands")
async def _() -> None:
    async with moved("anthropic", "elsewhere", "openai") as stage:
        for number in (2, 4):
            asked = str(stage.house.bodies[number])
            assert "c2lnbmVk" not in asked
            assert "call_0" in asked
            assert "out call_0" in asked
            assert "Word 0." in asked


@case("IT-08", "a thread that began on the Chat Completions wire goes on on the Messages wire")
async def _() -> None:
    async with moved("elsewhere", "anthropic") as stage:
        asked = stage.house.bodies[2]["messages"]
        assert [message["role"] for message in asked] == ["user", "assistant", "user", "assistant", "user"]
        assert asked[1]["content"][0]["input"] == {"path": "a.py"}
        assert "Let me see." not in str(asked)


@case("IT-09", "a thread that comes back to Claude brings its own thinking along, and only that")
async def _() -> None:
    async with moved("anthropic", "openai", "anthropic") as stage:
        asked = str(stage.house.bodies[4])
        assert asked.count("c2lnbmVk") == 1
        assert "Z0FB" not in asked
        assert "out call_1" in asked


@case("IT-10", "within a loop of calls, thinking goes back signed and in place, and each request begins with the last")
async def _() -> None:
    answers = [said("anthropic", "", ("a", "one")), said("anthropic", "So.", ("b", "one")), said("anthropic", "Done.")]
    async with open_stage("anthropic", *answers) as stage:
        await stage.turn()
        first, second, third = (body["messages"] for body in stage.house.bodies)
        assert second[: len(first)] == first
        assert third[: len(second)] == second
        signed = {"type": "thinking", "thinking": "Let me see.", "signature": "c2lnbmVk"}
        assert [message["content"][0] for message in third[1::2]] == [signed, signed]
        assert [block["type"] for block in third[3]["content"]] == ["thinking", "text", "tool_use"]
