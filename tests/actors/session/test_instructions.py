"""What a model is told before the user speaks."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.session.instructions import environment_block, system_prompt
from messages.model import ToolSpec
from messages.permissions import PermissionProfile, Permissions
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


def test_the_environment_says_what_the_sandbox_leaves_open() -> None:
    def said(**changes: Any) -> str:
        settings = msgspec.structs.replace(SETTINGS, **changes)
        block = environment_block(settings, shell="/bin/bash", date="2026-11-21")
        return block.partition('<permission_profile type="managed">')[2].partition("<")[0]

    assert said(sandbox_mode="read-only") == "no file can be changed; there is no network"
    assert said(sandbox_mode="workspace-write", exclude_slash_tmp=True, network_access=True) == (
        "files can be changed in the workspace roots, $TMPDIR; the network is open"
    )
    granted = Permissions(write=("/data",), network=True)
    assert said(sandbox_mode="read-only", granted=granted) == "files can be changed in /data; the network is open"
    profile = PermissionProfile(id="own", extends=":workspace", write=("/<x>",), read=("/w/docs",))
    assert said(sandbox_mode="workspace-write", exclude_slash_tmp=True, profile=profile) == (
        "files can be changed in the workspace roots, $TMPDIR, /&lt;x&gt;, not in /w/docs; there is no network"
    )


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
