"""What a model is told before the user speaks."""

from __future__ import annotations

import msgspec

from actors.session.instructions import environment_block, system_prompt
from messages.model import ToolSpec
from tests.actors.session.made import SETTINGS


def test_the_prompt_names_each_tool_that_is_offered_and_no_other() -> None:
    tools = (
        ToolSpec(name="exec_command", description="Runs a command. In a shell."),
        ToolSpec(name="list_dir", description="Lists a folder."),
    )
    prompt = system_prompt(tools)
    assert "- exec_command: Runs a command.\n- list_dir: Lists a folder.\n" in prompt
    assert system_prompt(tools) == prompt, "the same bytes each time: a provider's cache depends on them"
    assert "no tools" in system_prompt(())


def test_the_environment_says_where_the_work_happens() -> None:
    settings = msgspec.structs.replace(SETTINGS, cwd="/a<b>&c", writable_roots=("/a<b>&c", "/other"))
    assert environment_block(settings, shell="/bin/bash", date="2026-11-21") == (
        "<environment_context>\n"
        "  <cwd>/a&lt;b&gt;&amp;c</cwd>\n"
        "  <shell>bash</shell>\n"
        "  <current_date>2026-11-21</current_date>\n"
        "  <filesystem><workspace_roots><root>/a&lt;b&gt;&amp;c</root><root>/other</root></workspace_roots>"
        '<permission_profile type="disabled"></permission_profile></filesystem>\n'
        "  <approval_policy>on-request</approval_policy>\n"
        "</environment_context>"
    )
