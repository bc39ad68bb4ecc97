"""``callboard wire``: recorded answers told as the daemon hears them, requests printed as it sends them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.console import wire
from actors.console.main import main
from actors.model_stream.report import hear, normalized
from tests.reference import reference_path, reference_root

FOLDERS = {"chat": "chat", "responses": "responses", "messages": "anthropic"}
CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'


def streams() -> list[tuple[Any, str]]:
    root = reference_root()
    return [
        (api, path.name)
        for api, folder in FOLDERS.items()
        for path in sorted((root / "wire/corpus/dev" / folder).glob("*.sse") if root else ())
    ] or [("chat", "(no reference material)")]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CALLBOARD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    """The exit code and what was printed, decoded."""
    code = main(["wire", *arguments], lambda _: 1)
    printed = capsys.readouterr().out
    return code, msgspec.json.decode(printed) if printed else None


@pytest.mark.reference
@pytest.mark.parametrize(("api", "name"), streams())
def test_a_recorded_stream_normalized_is_what_the_corpus_says(api: Any, name: str) -> None:
    path = reference_path(f"wire/corpus/dev/{FOLDERS[api]}") / name
    expected = msgspec.json.decode(path.with_suffix(".expected.json").read_bytes())["normalized"]
    told = msgspec.json.decode(msgspec.json.encode(normalized(hear(api, path.read_bytes()))))
    assert told == expected


def test_a_finished_answer_is_told_with_exit_code_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "answer.sse"
    usage = b'{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}'
    file.write_bytes(
        CHUNK + b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":%b}\n\n' % usage
    )
    code, told = call(capsys, "decode", "--wire", "chat", "--model", "m", str(file))
    assert code == 0
    assert told == {
        "items": [
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "hi", "annotations": []}],
            }
        ],
        "stop": "end",
        "usage": {
            "input": 5,
            "cached_input": 0,
            "cache_write_input": 0,
            "output": 2,
            "reasoning_output": 0,
            "total": 7,
        },
        "error": None,
        "retryable": False,
        "response_id": None,
        "answered_by": None,
        "why": None,
        "origin": {"provider": "openai", "model": "m", "wire": "chat"},
    }


def test_a_broken_answer_is_told_with_exit_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "answer.sse"
    file.write_bytes(CHUNK)
    code, told = call(capsys, "decode", "--wire", "chat", str(file))
    assert (code, told["error"]["kind"], told["retryable"], told["items"]) == (3, "stream_disconnected", True, [])
    assert told["partial"] == [{"channel": "text", "text": "hi"}]
    code, told = call(capsys, "decode", "--wire", "chat", "--normalized", str(file))
    assert (code, told["text"], told["stop"], told["error"]) == (3, "hi", None, None)


def test_an_error_body_is_told_by_its_status_given_or_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "error.json"
    file.write_bytes(b'{"error":{"message":"slow down","type":"rate_limit_error"}}')
    code, told = call(capsys, "decode", "--wire", "messages", "--status", "429", str(file))
    assert (code, told["error"]["kind"], told["retryable"]) == (3, "rate_limited", True)
    file.write_bytes(b'{"status":401,"headers":{"X-Request-Id":"req_1"},"body":{"detail":"Invalid API Key"}}')
    code, told = call(capsys, "decode", "--wire", "chat", str(file))
    assert (code, told["error"]["kind"], told["error"]["request_id"], told["retryable"]) == (
        3,
        "unauthorized",
        "req_1",
        False,
    )
    file.write_bytes(b'{"error":{"message":"under a good status","code":502}}')
    code, told = call(capsys, "decode", "--wire", "chat", "--normalized", str(file))
    assert (code, told["error"]) == (3, {"message": "under a good status", "code": 502})


def test_a_whole_response_is_told_like_a_stream(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "answer.json"
    file.write_bytes(
        b'{"object":"chat.completion","choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"error":null}'
    )
    code, told = call(capsys, "decode", "--wire", "chat", "--normalized", str(file))
    assert (code, told["text"], told["stop"]) == (0, "hi", "stop")


HISTORY: list[dict[str, Any]] = [
    {"role": "user", "content": "go"},
    {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
    {"type": "function_call", "call_id": "a", "name": "look", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "a", "output": "ok"},
]


def test_a_history_is_rendered_for_each_wire(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "history.json"
    file.write_bytes(msgspec.json.encode({"history": HISTORY, "instructions": "Be brief.", "model": "m"}))
    code, chat = call(capsys, "render", "--wire", "chat", str(file))
    assert code == 0
    assert [message["role"] for message in chat["messages"]] == ["system", "user", "assistant", "tool"]
    _, messages = call(capsys, "render", "--wire", "messages", str(file))
    assert [message["role"] for message in messages["messages"]] == ["user", "assistant", "user"]
    _, responses = call(capsys, "render", "--wire", "responses", str(file))
    assert [item["type"] for item in responses["input"]] == [
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
    ]
    _, deepseek = call(capsys, "render", "--wire", "chat", "--provider", "deepseek", "--model", "x", str(file))
    assert deepseek["messages"][2]["tool_calls"][0]["id"] == "a"


def test_what_decode_prints_can_be_rendered_and_stays_with_its_maker(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "history.json"
    maker = {"provider": "deepseek", "model": "m", "wire": "chat"}
    items = [HISTORY[0], {**HISTORY[1], "callboard": {"block": {"field": "reasoning_content"}}}, *HISTORY[2:]]
    file.write_bytes(msgspec.json.encode({"items": items, "stop": "tool_use", "usage": None, "origin": maker}))
    _, own = call(capsys, "render", "--wire", "chat", "--provider", "deepseek", "--model", "m", str(file))
    _, foreign = call(capsys, "render", "--wire", "chat", "--provider", "moonshot", "--model", "m", str(file))
    assert own["messages"][1]["reasoning_content"] == "Hm."
    assert "reasoning_content" not in foreign["messages"][1]


def test_what_a_wire_lacks_is_an_error_before_anything_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "history.json"
    file.write_bytes(msgspec.json.encode({"history": HISTORY, "stop_sequences": ["END"]}))
    code, told = call(capsys, "render", "--wire", "responses", str(file))
    assert (code, told["error"]["kind"]) == (3, "invalid_request")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"nonsense", "no JSON"),
        (b"{}", "no history"),
        (b"[1]", r"history[0] is no item"),
        (b'{"history":[],"colour":1}', "unknown fields colour"),
        (b'[{"role":"user","content":"x","origin":{}}]', "history[0].origin"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(content: bytes, complaint: str) -> None:
    with pytest.raises(wire.UnusableFileError) as caught:
        wire.request_of(content, "chat")
    assert complaint in str(caught.value)


def test_a_file_that_is_not_there_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    options = argparse.Namespace(action="decode", file="/nowhere/x.sse")
    assert wire.run(options) == 2
    assert "/nowhere/x.sse" in capsys.readouterr().err
