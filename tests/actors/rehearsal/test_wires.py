"""The same scenes on the three wires: what is asked is understood alike, what is played is heard alike."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from actors.model_stream.core import WIRES
from actors.model_stream.report import Heard, hear
from actors.rehearsal.actor import shipped_scenes
from actors.rehearsal.cast import cast
from actors.rehearsal.prompt import NotAPromptError, Prompt
from actors.rehearsal.wires import BY_PATH, Spoken
from messages.items import HistoryItem, Origin
from messages.model import SampleRequest, ToolSpec
from messages.settings import ProviderSettings, WireApi
from tests.actors.model_stream.chat.histories import called, item, output, request, said, thought, user

SCENES = shipped_scenes()
WIRE_NAMES: tuple[WireApi, ...] = get_args(WireApi)
REHEARSAL = ProviderSettings(base_url="http://127.0.0.1:1/v1")
TOOLS = (
    ToolSpec(name="exec_command", description="d", parameters={"type": "object", "properties": {}}),
    ToolSpec(name="apply_patch", description="p", grammar="start: x"),
)
ENVIRONMENT = item(
    "message",
    role="user",
    content=[{"type": "input_text", "text": "<environment_context><cwd>/w</cwd></environment_context>"}],
)


def spoken(wire: WireApi) -> Spoken:
    return BY_PATH["/v1" + WIRES[wire].path]


def asked(wire: WireApi, *history: HistoryItem, **fields: Any) -> Prompt:
    """What the rehearsed server understands of a request as our daemon sends it."""
    basis: dict[str, Any] = {"provider": "rehearsal", "model": "rehearsal", "tools": TOOLS, **fields}
    sample: SampleRequest = request(ENVIRONMENT, *history, **basis)
    return spoken(wire).read(WIRES[wire].body(sample, REHEARSAL))


def played(wire: WireApi, prompt: Prompt, attempt: int = 0) -> Heard:
    """The answer, as our daemon hears it."""
    cue = cast(SCENES, prompt, attempt)
    playing = spoken(wire).playing(cue, prompt, serial="s", now=lambda: 1_800_000_000.0)
    stream = b"".join(beat for beat in playing.beats() if isinstance(beat, bytes))
    return hear(wire, stream, freeform=frozenset({"apply_patch"}))


def calls(heard: Heard) -> list[tuple[str, Any]]:
    items = [msgspec.json.decode(each.raw) for each in heard.items if each.call_id]
    return [(each["name"], each.get("input", each.get("arguments"))) for each in items]


def own(wire: WireApi) -> Origin:
    return Origin(provider="rehearsal", model="rehearsal", wire=wire)


@pytest.mark.parametrize("wire", WIRE_NAMES)
def test_a_turn_is_understood_alike_on_every_wire(wire: WireApi) -> None:
    history = (
        user("run: ls"),
        said("On it.", own(wire)),
        called("a", "exec_command", origin=own(wire)),
        called("b", "exec_command", origin=own(wire)),
        output("a", "one"),
        output("b", "two"),
        item("custom_tool_call", own(wire), call_id="c", name="apply_patch", input="*** Begin"),
        item("custom_tool_call_output", call_id="c", output="Done!"),
    )
    prompt = asked(wire, *history)
    assert (prompt.model, prompt.user, prompt.cwd, prompt.round, prompt.stream) == (
        "rehearsal",
        "run: ls",
        "/w",
        2,
        True,
    )
    assert [(each.tool, each.output, each.round) for each in prompt.answered] == [
        ("exec_command", "one", 1),
        ("exec_command", "two", 1),
        ("apply_patch", "Done!", 2),
    ]
    assert set(prompt.tools) == {"exec_command", "apply_patch"}
    assert asked(wire, user("x"), output_schema={"type": "object", "required": []}).schema is not None


@pytest.mark.parametrize("wire", WIRE_NAMES)
@pytest.mark.parametrize(
    "words", ["hello", "run: ls", "run twice: ls", "patch: a.txt", "the tests fail, find the bug", "load deltas=5"]
)
def test_a_scene_says_the_same_on_every_wire(wire: WireApi, words: str) -> None:
    heard = played(wire, asked(wire, user(words)))
    reference = played("responses", asked("responses", user(words)))
    assert heard.failure is None
    assert heard.completed is not None
    assert reference.completed is not None
    assert heard.completed.stop == reference.completed.stop
    assert heard.completed.usage.output > 0
    assert calls(heard) == calls(reference)
    assert len(heard.text("text")) == len(reference.text("text"))
    if "load" not in words:  # which tells the time
        assert heard.text("text") == reference.text("text")


@pytest.mark.parametrize("wire", WIRE_NAMES)
@pytest.mark.parametrize(
    "fault", ["cut", "cut-in-call-twice", "length", "length-in-call", "refusal", "failed", "policy", "garbage"]
)
def test_a_fault_is_one_on_every_wire(wire: WireApi, fault: str) -> None:
    reference = _outcome("responses", f"fault {fault}")
    assert _outcome(wire, f"fault {fault}") == reference


def _outcome(wire: WireApi, words: str) -> tuple[object, ...]:
    heard = played(wire, asked(wire, user(words)))
    failure = heard.failure
    return (
        failure and failure.kind,
        failure and failure.retryable,
        heard.completed and heard.completed.stop,
    )


@pytest.mark.parametrize("wire", WIRE_NAMES)
def test_an_answer_that_is_not_streamed_is_the_same_answer(wire: WireApi) -> None:
    prompt = asked(wire, user("run: ls"))
    playing = spoken(wire).playing(cast(SCENES, prompt, 0), prompt, serial="s", now=lambda: 0.0)
    for _ in playing.beats():
        pass
    heard = hear(wire, msgspec.json.encode(playing.response), freeform=frozenset({"apply_patch"}))
    assert heard.failure is None
    assert calls(heard) == calls(played(wire, prompt))


@pytest.mark.parametrize("wire", WIRE_NAMES)
def test_reasoning_that_was_rehearsed_comes_back_and_the_request_stays_readable(wire: WireApi) -> None:
    heard = played(wire, asked(wire, user("the tests fail, find the bug")))
    answers = [msgspec.structs.replace(each, origin=own(wire)) for each in heard.items]
    outputs = [output(each.call_id or "", "x.py") for each in answers if each.call_id]
    prompt = asked(wire, user("the tests fail, find the bug"), *answers, *outputs)
    assert any(each.kind == "reasoning" for each in answers)
    assert prompt.round == 1
    assert len(prompt.answered) == len(outputs)


@pytest.mark.parametrize("path", sorted(BY_PATH))
@pytest.mark.parametrize("junk", [b"", b"[]", b'{"messages":1}', b"{" * 100_000])
def test_what_is_no_request_is_told_apart(path: str, junk: bytes) -> None:
    with pytest.raises(NotAPromptError):
        BY_PATH[path].read(junk)


def test_reasoning_of_elsewhere_is_no_users_message() -> None:
    prompt = asked("chat", user("hello"), thought("Hm."), said("Yes."))
    assert prompt.user == "hello"
