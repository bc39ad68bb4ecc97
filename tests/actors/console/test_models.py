"""``callboard models`` and ``callboard pull``, as far as no server is needed."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from actors.console import models
from actors.console.main import main
from actors.model_stream.local import servers
from actors.model_stream.local.progress import Layer, Progress
from messages.settings import ProviderSettings, Settings


@pytest.fixture(autouse=True)
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(*_: object) -> tuple[()]:
        return ()

    monkeypatch.setenv("CALLBOARD_HOME", str(tmp_path))
    for key in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY", "OLLAMA_HOST"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setattr(servers, "find", nobody)


def test_the_provider_in_use_is_listed_with_what_its_models_take(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"], lambda _: 1) == 0
    told = msgspec.json.decode(capsys.readouterr().out)
    assert told[0]["where"] == "rehearsal (in use: rehearsal)"
    assert told[0]["models"][0]["context_window"] == 272_000
    assert main(["models"], lambda _: 1) == 0
    assert "272,000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["models", "--provider", "groq"], "GROQ_API_KEY"),
        (["models", "--provider", "nobody"], "there is no provider 'nobody'"),
        (["pull", "qwen3:8b"], "no local model server answers (looked for Ollama at"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments, lambda _: 1) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("box:8000", "http://box:8000"),
        ("https://ollama.example", "https://ollama.example:11434"),
    ],
)
def test_ollamas_own_variable_says_where_it_is(host: str, url: str) -> None:
    assert models.local_urls(Settings(), {"OLLAMA_HOST": host})["ollama"] == url


def test_settings_say_where_it_is_before_anything_else() -> None:
    mine = ProviderSettings(base_url="http://box:9/v1", profile="ollama")
    assert models.local_urls(Settings(model_providers={"mine": mine}), {"OLLAMA_HOST": "x"})["ollama"] == mine.base_url


def test_every_layer_has_a_bar_on_a_terminal_and_elsewhere_a_status_is_a_line() -> None:
    step = Progress(status="pulling", layers=(Layer(digest="sha256:0123456789abcdef", total=100, completed=50),))
    for terminal in (True, False):
        screen = io.StringIO()
        with models.Bars(Console(file=screen, force_terminal=terminal, width=100)) as bars:
            bars.show(step)
            bars.show(step)
        shown = screen.getvalue()
        assert ("0123456789ab" in shown) is terminal
        assert shown.count("pulling\n") == 1
