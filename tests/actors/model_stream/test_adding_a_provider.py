"""docs/adding-a-provider.md, followed to the letter; docs/providers.md, compared with the profiles."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from trio.testing import MockClock

from actors.model_stream.chat.request import fields
from actors.model_stream.core import WIRES, Wire
from actors.model_stream.profiles import PROFILES, dialect_of, find, profile_of
from actors.model_stream.providers import choose, known_providers
from actors.rehearsal.script import Scene, Status, Step
from messages.model import SampleCompleted, SampleFailed, ToolSpec
from messages.settings import Dialect, ProviderSettings, Settings, WireApi
from tests.actors.model_stream.chat.histories import request as chat_request
from tests.actors.model_stream.chat.histories import user
from tests.actors.model_stream.household import household, request

DOCS = Path(__file__).resolve().parents[3] / "docs"


def block(language: str) -> str:
    """The page's one block in a language."""
    found = re.findall(rf"```{language}\n(.*?)```", (DOCS / "adding-a-provider.md").read_text(), re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def test_a_provider_is_added_by_the_settings_of_the_page() -> None:
    settings = msgspec.convert(tomllib.loads(block("toml")), Settings)
    choice = choose(settings, {})
    assert (choice.provider, choice.model) == ("toy", "toy-1")
    provider = known_providers(settings, "")["toy"]
    dialect = dialect_of("toy", provider, choice.model)
    assert (dialect.reasoning_echo, dialect.json_schema, dialect.stop_sequences) == ("field", False, 2)
    asked = chat_request(user(), provider="toy", model="toy-1", stop_sequences=("a", "b"))
    body = fields(asked, dialect)
    assert (body["top_k"], body["stop"]) == (1, ["a", "b"])


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> WireApi:
    """The wire of the page, run as it stands there and put into the table."""
    names: dict[str, Any] = {}
    exec(compile(block("python"), "docs/adding-a-provider.md", "exec"), names)
    name = cast("WireApi", "toy")
    wire = names["TOY"]
    assert isinstance(wire, Wire)
    monkeypatch.setitem(WIRES, name, wire)
    return name


def answer(*frames: bytes) -> tuple[Scene, ...]:
    body = b"".join(b"data: %b\n\n" % frame for frame in frames).decode()
    status = Status(code=200, body=body, content_type="text/event-stream")
    return (Scene(name="toy", step=(Step(then=(status,)),)),)


async def test_the_wire_of_the_page_is_asked_and_heard(toy: WireApi, autojump_clock: MockClock) -> None:
    scenes = answer(b'{"say":"Hello, "}', b'{"say":"world."}', b'{"end":3}')
    asked = msgspec.structs.replace(request("hello"), history=())
    async with household(scenes=scenes, settings=lambda url: ProviderSettings(base_url=url, wire_api=toy)) as home:
        # what the rehearsed server reads is its own wire's; the toy's script means nothing to it, so it gets both
        body = WIRES[toy].body
        both = msgspec.structs.replace(
            WIRES[toy],
            body=lambda r, p, m=None: msgspec.json.encode({**msgspec.json.decode(body(r, p, m)), "messages": []}),
        )
        WIRES[toy] = both
        home.sample(asked)
        completed = await home.hear_until(SampleCompleted, SampleFailed)
        assert isinstance(completed, SampleCompleted)
        assert completed.usage.output == 3
        assert home.visible() == "Hello, world."


async def test_what_the_wire_of_the_page_cannot_do_is_said_before_it_is_asked(
    toy: WireApi, autojump_clock: MockClock
) -> None:
    tool = ToolSpec(name="look", description="d", parameters={"type": "object"})
    async with household(settings=lambda url: ProviderSettings(base_url=url, wire_api=toy)) as home:
        home.sample(msgspec.structs.replace(request("hello"), tools=(tool,)))
        failed = await home.hear_until(SampleFailed)
        assert isinstance(failed, SampleFailed)
        assert "the toy cannot call tools" in failed.failure.message


def test_every_profile_is_told_on_the_page_of_providers_with_its_key_url_and_wire() -> None:
    lines = (DOCS / "providers.md").read_text().splitlines()
    cells = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| `")]
    rows = {cell[0]: cell[1:4] for cell in cells}
    for profile in PROFILES:
        key, url, wire = rows[profile.id]
        assert key == (profile.env_key or "")
        assert url == (profile.base_url or "your own")
        assert wire == profile.wire_api


@pytest.mark.parametrize(
    ("base_url", "profile"),
    [
        ("https://api.deepseek.com/v1", "deepseek"),
        ("https://work.openai.azure.com/openai/v1", "azure"),
        ("http://localhost:11434/v1", "ollama"),
        ("http://127.0.0.1:1234/v1", "lmstudio"),
        ("https://openrouter.ai:443/api/v1", "openrouter"),
        ("https://deepseek.com.evil.example/v1", "compatible"),
        ("http://gateway.example/v1", "compatible"),
        ("http://[broken", "compatible"),
    ],
)
def test_a_host_tells_whose_habits_a_provider_has(base_url: str, profile: str) -> None:
    assert profile_of("mine", ProviderSettings(base_url=base_url)).id == profile


def test_a_named_profile_outranks_the_id_and_that_the_host() -> None:
    anywhere = ProviderSettings(base_url="https://api.deepseek.com")
    assert profile_of("mistral", anywhere).id == "mistral"
    assert profile_of("mistral", msgspec.structs.replace(anywhere, profile="groq")).id == "groq"
    assert find("nobody") is None


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.id)
def test_a_dialect_says_something_of_everything(profile: Any) -> None:
    for model in ("m", "gpt-6", "mistral-small", "kimi-k2-thinking"):
        dialect = dialect_of(profile.id, ProviderSettings(base_url="x"), model)
        assert all(getattr(dialect, name) is not None for name in Dialect.__struct_fields__)
