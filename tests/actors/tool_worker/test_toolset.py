"""Which tools a thread has: the choice of people, and what its model can do."""

from __future__ import annotations

import msgspec
import pytest

from actors.model_stream.tool_abilities import tool_abilities
from actors.session.instructions import system_prompt
from actors.session.state import Offer
from actors.tool_worker.tools import all_tools
from actors.tool_worker.toolset import offers, thread_tools
from messages.model import ToolNeed, ToolSpec
from messages.session import ThreadSettings
from messages.settings import ProviderSettings
from messages.tool_set import Abilities, ToolSelection
from tests.tools_reference import PAGE, page

SETTINGS = ThreadSettings(provider="p", model="m", cwd="/w")
SPECS = (
    ToolSpec(name="run", description="Runs.", needs=("commands",)),
    ToolSpec(name="see", description="Sees.", needs=("images",)),
    ToolSpec(name="ask", description="Asks.", needs=("questions",)),
    ToolSpec(name="plain", description="Is there."),
)


def names(settings: ThreadSettings = SETTINGS, abilities: Abilities | None = None) -> list[str]:
    return [spec.name for spec in thread_tools(SPECS, settings, abilities or Abilities())]


def chosen(**selection: object) -> ThreadSettings:
    return msgspec.structs.replace(SETTINGS, tools=msgspec.structs.replace(ToolSelection(), **selection))


def test_people_choose_by_name() -> None:
    assert names() == ["run", "see", "plain"]
    assert names(chosen(only=("plain", "run", "unheard_of"))) == ["run", "plain"]
    assert names(chosen(only=("plain", "run"), without=("run",))) == ["plain"]
    assert names(chosen(only=())) == []


def test_what_a_model_lacks_takes_its_tools_along() -> None:
    assert names(abilities=Abilities(lacks=("images", "commands"))) == ["plain"]


def test_questions_are_for_plan_mode_unless_always_wanted() -> None:
    assert "ask" in names(msgspec.structs.replace(SETTINGS, mode="plan"))
    assert "ask" in names(chosen(questions="always"))


def test_the_plan_is_no_tool_of_plan_mode() -> None:
    spec = ToolSpec(name="update_plan", description="", needs=("default_mode",))
    assert offers(spec, SETTINGS, Abilities())
    assert not offers(spec, msgspec.structs.replace(SETTINGS, mode="plan"), Abilities())


def test_a_tool_stays_off_the_wires_that_cannot_carry_it() -> None:
    spec = ToolSpec(name="odd", description="", wires=("messages",))
    assert offers(spec, SETTINGS, Abilities(wire="messages"))
    assert not offers(spec, SETTINGS, Abilities(wire="chat"))


def test_a_search_of_the_provider_follows_the_setting() -> None:
    spec = ToolSpec(name="web_search", description="", hosted="web_search", needs=("web_search",))
    assert thread_tools((spec,), chosen(web_search="disabled"), Abilities()) == ()
    assert thread_tools((spec,), chosen(web_search="cached"), Abilities()) == (spec,)
    assert [each.live for each in thread_tools((spec,), chosen(web_search="live"), Abilities())] == [True]


@pytest.mark.parametrize(
    ("provider", "settings", "lacks"),
    [
        ("openai", ProviderSettings(base_url="https://api.openai.com/v1"), ()),
        ("anthropic", ProviderSettings(base_url="https://api.anthropic.com/v1", wire_api="messages"), ()),
        ("mine", ProviderSettings(base_url="https://api.openai.com/v1"), ()),
        ("mine", ProviderSettings(base_url="https://llm.example/v1"), ("web_search",)),
        ("mine", ProviderSettings(base_url="https://llm.example/v1", web_search=True), ()),
        ("openai", ProviderSettings(base_url="https://api.openai.com/v1", web_search=False), ("web_search",)),
        ("openai", ProviderSettings(base_url="https://api.openai.com/v1", wire_api="chat"), ("web_search",)),
    ],
)
def test_who_searches_the_web(provider: str, settings: ProviderSettings, lacks: tuple[ToolNeed, ...]) -> None:
    assert tool_abilities(provider, settings, "gpt-5.5").lacks == lacks


def test_what_a_model_cannot_do_comes_from_the_catalogue() -> None:
    rehearsed = tool_abilities("rehearsal", ProviderSettings(base_url=""), "rehearsal")
    assert rehearsed == Abilities(wire="responses", lacks=("images", "web_search"))


def test_the_prompt_describes_exactly_the_tools_that_are_offered() -> None:
    """Both are made of one list: for every choice of tools, what the prompt names is what the request offers."""
    specs = all_tools().specs()
    for leave_out in specs:
        settings = chosen(without=(leave_out.name,), questions="always")
        tools = Offer(tools=specs).tools_of(settings)
        prompt = system_prompt(tools)
        described = [line[2:].partition(":")[0] for line in prompt.partition("Your tools\n")[2].splitlines() if line]
        assert described == [tool.name for tool in tools]
        assert leave_out.name not in described


def test_the_page_about_tools_is_what_the_registry_says() -> None:
    now = PAGE.read_text()
    assert now == page(now), "docs/tools.md is behind: python -m tests.tools_reference"
