"""TC: tool calling, as far as it needs no session."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.model_stream.rendering import UnsupportedError
from messages.items import Origin
from messages.model import ForcedTool, ToolSpec
from tests.actors.model_stream.anthropic.asking import (
    FOREIGN,
    LOOK,
    PATCH,
    answer,
    call,
    item,
    messages,
    output,
    said,
    sent,
    thought,
)
from tests.actors.model_stream.anthropic.hearing import hear, response, tool
from tests.actors.model_stream.anthropic.matrix.registry import case

PNG = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
ASK = said("user", "hello")


def choice(**fields: Any) -> Any:
    return sent(tools=(LOOK,), model="claude-opus-4-7", **fields)["tool_choice"]


def result(*outputs: Any, **fields: Any) -> list[dict[str, Any]]:
    """The user's message that answers one call with this output."""
    message = messages(ASK, call("toolu_1"), output("toolu_1", *outputs, **fields))[-1]
    assert message["role"] == "user"
    content: list[dict[str, Any]] = message["content"]
    return content


@case("TC-01", "a tool is its name, description and input schema")
def _() -> None:
    assert sent(tools=(LOOK,))["tools"] == [
        {"name": "look", "description": "Look at a file.", "input_schema": LOOK.parameters}
    ]


@case("TC-02", "a schema always says that it is of an object; without tools nothing is said of them")
def _() -> None:
    bare = ToolSpec(name="now", description="The time.", parameters={})
    assert sent(tools=(bare,))["tools"][0]["input_schema"] == {"type": "object"}
    assert sent().keys().isdisjoint(("tools", "tool_choice"))


@case("TC-03", "a freeform tool is one string in a wrapper, and its grammar goes into the description")
def _() -> None:
    [offered] = sent(tools=(PATCH,))["tools"]
    assert offered["input_schema"]["required"] == ["input"]
    assert offered["input_schema"]["properties"].keys() == {"input"}
    assert offered["description"].startswith("Change files.")
    assert offered["description"].endswith("start: /.+/")


@case("TC-04", "the choice is the model's unless something else is asked for")
def _() -> None:
    assert choice() == {"type": "auto"}


@case("TC-05", "`required` is `any`")
def _() -> None:
    assert choice(tool_choice="required") == {"type": "any"}


@case("TC-06", "one tool can be demanded")
def _() -> None:
    assert choice(tool_choice=ForcedTool(name="look")) == {"type": "tool", "name": "look"}


@case("TC-07", "calls can be forbidden, with nothing else in the field")
def _() -> None:
    assert choice(tool_choice="none", parallel_tool_calls=False) == {"type": "none"}


@case("TC-08", "one call at a time is `disable_parallel_tool_use` of the choice")
def _() -> None:
    assert choice(parallel_tool_calls=False) == {"type": "auto", "disable_parallel_tool_use": True}


@case("TC-09", "a demand that the model refuses is an error before the request")
def _() -> None:
    for model in ("claude-opus-5-5", "claude-fable-5-1"):
        with pytest.raises(UnsupportedError, match="cannot be made to call"):
            sent(tools=(LOOK,), tool_choice="required", model=model)


@case("TC-10", "where a demand and thinking exclude each other, thinking is turned off")
def _() -> None:
    body = sent(tools=(LOOK,), tool_choice="required", model="claude-opus-5", reasoning_effort="max")
    assert body["thinking"] == {"type": "disabled"}
    assert body["output_config"] == {"effort": "high"}
    assert "thinking" not in sent(
        tools=(LOOK,), tool_choice="required", model="claude-haiku-4-5", reasoning_effort="low"
    )


@case("TC-11", "a tool whose name is not of the alphabet is an error before the request; in a history it is rewritten")
def _() -> None:
    with pytest.raises(UnsupportedError, match=r"'a\.b'"):
        sent(tools=(ToolSpec(name="a.b", description="", parameters={}),))
    made = messages(ASK, call("c1", "functions.look", origin=FOREIGN), output("c1"))
    assert made[1]["content"][0]["name"] == "functions_look"


@case("TC-12", "a call is heard with its id and name from its beginning on")
def _() -> None:
    heard = hear([response(tool(0, "{}"), reason="tool_use")])
    assert (heard.began[0].call_id, heard.began[0].name) == ("toolu_1", "look")
    assert heard.items[0].call_id == "toolu_1"


@case("TC-13", "arguments are the text the model wrote, also when it is no JSON")
def _() -> None:
    for written in ('{ "a" : 1.50 }', '{"a": "\\u00e9"}', '{"a": '):
        heard = hear([response(tool(0, written), reason="tool_use")])
        assert msgspec.json.decode(heard.items[0].raw)["arguments"] == written


@case("TC-15", "a freeform call goes back in its wrapper")
def _() -> None:
    made = item("custom_tool_call", FOREIGN, call_id="c1", name="apply_patch", input="*** Begin Patch")
    answered = item("custom_tool_call_output", call_id="c1", output="done")
    assert messages(ASK, made, answered)[1]["content"] == [
        {"type": "tool_use", "id": "c1", "name": "apply_patch", "input": {"input": "*** Begin Patch"}}
    ]


@case("TC-16", "a call of the model's own goes back with its id, name, input and caller")
def _() -> None:
    heard = hear([response(tool(0, '{"path": "a.py"}', caller={"type": "direct"}), reason="tool_use")])
    assert messages(ASK, *heard.items, output("toolu_1"))[1]["content"] == [
        {
            "type": "tool_use",
            "id": "toolu_1",
            "name": "look",
            "input": {"path": "a.py"},
            "caller": {"type": "direct"},
        }
    ]


@case("TC-17", "arguments that are no object go back inside one")
def _() -> None:
    for written, sent_back in (("", {}), ("[1]", {"invalid_arguments": "[1]"}), ('{"a', {"invalid_arguments": '{"a'})):
        made = messages(ASK, call("c1", arguments=written), output("c1"))
        assert made[1]["content"][0]["input"] == sent_back


@case("TC-18", "an id that is not of the alphabet is replaced, for the call and its result alike, always by the same")
def _() -> None:
    history = (ASK, call("call.1:a/b", origin=FOREIGN), output("call.1:a/b"))
    made = messages(*history)
    [used] = {made[1]["content"][0]["id"], made[2]["content"][0]["tool_use_id"]}
    assert used.startswith("toolu_")
    assert used.isascii()
    assert messages(*history, answer("ok"), ASK)[:3] == made


@case("TC-19", "an id that comes twice is made unique")
def _() -> None:
    history = (ASK, call("0"), output("0", "first"), call("0"), output("0", "second"))
    made = messages(*history)
    ids = [made[place]["content"][0]["id"] for place in (1, 3)]
    assert ids[0] == "0"
    assert len(set(ids)) == 2
    assert [made[place]["content"][0]["tool_use_id"] for place in (2, 4)] == ids


@case("TC-20", "a result is its text; one that came to nothing is flagged")
def _() -> None:
    assert result("fine") == [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "fine"}]
    assert result("No such file.", failed=True) == [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "No such file.", "is_error": True}
    ]


@case("TC-22", "images in a result stay where they are")
def _() -> None:
    [only] = result([{"type": "input_text", "text": "see"}, PNG, {"type": "input_text", "text": " "}])
    assert only["content"] == [{"type": "text", "text": "see"}, IMAGE]


@case("TC-23", "a result that is an error holds text only: its images follow")
def _() -> None:
    first, second = result([{"type": "input_text", "text": "broken"}, PNG], failed=True)
    assert first == {"type": "tool_result", "tool_use_id": "toolu_1", "content": "broken", "is_error": True}
    assert second == IMAGE


@case("TC-24", "a result without words has no content; an error without words has some")
def _() -> None:
    assert result("  \n") == [{"type": "tool_result", "tool_use_id": "toolu_1"}]
    assert result("", failed=True)[0]["content"] == "(no output)"


@case("TC-25", "results stand before whatever else the user says, in the same message")
def _() -> None:
    made = messages(ASK, call("a"), call("b"), output("a"), output("b"), said("user", "hurry"), said("user", "up"))
    assert [block["type"] for block in made[-1]["content"]] == ["tool_result", "tool_result", "text", "text"]
    assert len(made) == 3


@case("TC-26", "a call that nobody answered gets a result that says so")
def _() -> None:
    made = messages(ASK, call("a"), call("b"), output("b"), ASK)
    answered = {
        block["tool_use_id"]: block["content"] for block in made[2]["content"] if block["type"] == "tool_result"
    }
    assert list(answered) == ["a", "b"]
    assert "never started" in answered["a"]


@case("TC-27", "a result that nobody asked for is left out, and so is a second one")
def _() -> None:
    made = messages(ASK, output("lost"), call("a"), output("a", "first"), output("a", "second"))
    assert "lost" not in str(made)
    assert [block["content"] for block in made[2]["content"]] == ["first"]


@case("TC-28", "thinking goes back before the call it led to, signature and all, and not to another model")
def _() -> None:
    history = (ASK, thought(), call("a"), output("a"), thought("More.", "bW9yZQ"), call("b"), output("b"))
    made = messages(*history)
    assert made[1]["content"][0] == {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"}
    assert made[3]["content"][0] == {"type": "thinking", "thinking": "More.", "signature": "bW9yZQ"}
    assert [m["content"][0]["type"] for m in messages(*history, model="claude-opus-5")[1::2]] == [
        "tool_use",
        "tool_use",
    ]


@case("TC-29", "no 400 `Expected thinking or redacted_thinking, but found tool_use`: such a request does not think")
def _() -> None:
    made_by_another = (ASK, call("a", origin=FOREIGN), output("a"))
    asked: dict[str, Any] = {"model": "claude-sonnet-4-5", "reasoning_effort": "high", "tools": (LOOK,)}
    assert "thinking" not in sent(*made_by_another, **asked)
    assert sent(*made_by_another, answer("So."), ASK, **asked)["thinking"]["type"] == "enabled"
    own = thought(origin=Origin(provider="anthropic", model="claude-sonnet-4-5", wire="messages"))
    assert sent(ASK, own, call("a"), output("a"), **asked)["thinking"]["type"] == "enabled"
    # The adaptive form has no such rule.
    assert sent(*made_by_another, model="claude-opus-5", tools=(LOOK,))["thinking"]["type"] == "adaptive"
