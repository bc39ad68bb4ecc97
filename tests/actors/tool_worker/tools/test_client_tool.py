"""A call that a client runs: what the client is asked, what the model is told, what people see."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.tool_worker.toolset import thread_tools
from messages.client.item import DynamicToolCall, ImageContentItem, TextContentItem
from messages.client_call import ClientAnswer, ClientCall
from messages.items import InputImage, InputText
from messages.session import ThreadSettings
from messages.tool_set import Abilities, DynamicTool
from messages.tools import ToolFinished
from tests.actors.tool_worker.tools.bench import Bench, on_bench
from tests.simulation import World

SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}}
LOOK = DynamicTool(name="look", description="Looks.", parameters=SCHEMA, wires=("responses", "chat", "messages"))
GROUPED = msgspec.structs.replace(LOOK, namespace="app", wires=("chat",))
DEFERRED = msgspec.structs.replace(LOOK, name="later", deferred=True)
SETTINGS = ThreadSettings(provider="p", model="m", cwd="/repo", dynamic_tools=(LOOK, GROUPED, DEFERRED))


def run(name: str, arguments: str, answer: ClientAnswer | None) -> tuple[ToolFinished, list[ClientCall]]:
    asked: list[ClientCall] = []
    ended: list[ToolFinished] = []

    async def test(bench: Bench) -> None:
        bench.workshop.settings = SETTINGS

        def client(call: ClientCall) -> ClientAnswer:
            asked.append(call)
            assert answer is not None
            return answer

        bench.client = client
        _, finished = await bench.run(name, arguments)
        ended.append(finished)

    on_bench(World(1), test)
    return ended[0], asked


@pytest.mark.parametrize(
    ("name", "tool", "namespace"),
    [("look", "look", None), ("app__look", "look", "app"), ("app/look", "look", "app"), ("later", "later", None)],
)
def test_the_client_is_asked_by_the_name_it_gave(name: str, tool: str, namespace: str | None) -> None:
    finished, asked = run(name, '{"q": "x"}', ClientAnswer(success=True, content=(TextContentItem(text="seen"),)))
    [call] = asked
    assert (call.tool, call.namespace, call.arguments) == (tool, namespace, {"q": "x"})
    assert (finished.outcome, finished.output) == ("done", "seen")
    assert isinstance(finished.item, DynamicToolCall)
    assert (finished.item.tool, finished.item.namespace, finished.item.status) == (tool, namespace, "completed")
    assert finished.item.content_items == (TextContentItem(text="seen"),)
    assert finished.item.success is True
    assert finished.item.duration_ms == 0


@pytest.mark.parametrize(
    ("answer", "outcome", "output"),
    [
        (ClientAnswer(success=False, content=(TextContentItem(text="no"),)), "failed", "no"),
        (ClientAnswer(success=False, problem="it cannot be read"), "failed", "it cannot be read"),
        (ClientAnswer(success=True), "done", "The client reported success and said nothing."),
        (ClientAnswer(success=False), "failed", "The client reported failure and did not say why."),
        (
            ClientAnswer(success=True, content=(TextContentItem(text="this"), ImageContentItem(image_url="data:x"))),
            "done",
            (InputText(text="this"), InputImage(image_url="data:x")),
        ),
    ],
)
def test_the_model_is_told_what_the_client_said(answer: ClientAnswer, outcome: str, output: Any) -> None:
    finished, _ = run("look", "{}", answer)
    assert (finished.outcome, finished.output) == (outcome, output)
    assert isinstance(finished.item, DynamicToolCall)
    assert finished.item.success is answer.success


@pytest.mark.parametrize("arguments", ["[1]", "{", '"q"'])
def test_arguments_that_are_no_object_never_reach_the_client(arguments: str) -> None:
    finished, asked = run("look", arguments, None)
    assert asked == []
    assert finished.outcome == "failed"
    assert str(finished.output).startswith("failed to parse function arguments: ")


def test_a_model_is_offered_what_its_wire_carries_and_what_is_not_deferred() -> None:
    names = {
        wire: [spec.name for spec in thread_tools((), SETTINGS, Abilities(wire=wire))]
        for wire in ("responses", "chat", "messages")
    }
    assert names == {"responses": ["look"], "chat": ["look", "app__look"], "messages": ["look"]}
