"""Hooks, pure: which run for what, what is trusted, and what a program's exit and output mean."""

from __future__ import annotations

import msgspec
import pytest

from actors.hooks.core import Hook, Reaction, configured, problem, react, together, wanted
from actors.hooks.payload import command_of, tool_input
from messages.base import CallId, ItemId, ThreadId, TurnId
from messages.hooks import HookEntry, HookEvent, Verdict
from messages.settings.hooks import HookCommand, HookGroup, HooksSettings
from messages.tools import ToolCall


def hook(event: HookEvent = "PreToolUse", **fields: object) -> Hook:
    made = Hook(event=event, matcher=None, command="check", timeout=60.0, status_message=None, order=0)
    return msgspec.structs.replace(made, **fields)


def call(name: str, arguments: str, *, freeform: bool = False) -> ToolCall:
    return ToolCall(
        thread_id=ThreadId("t"),
        turn_id=TurnId("u"),
        call_id=CallId("c"),
        item_id=ItemId("i"),
        name=name,
        arguments=arguments,
        freeform=freeform,
        idempotency_key="k",
    )


def test_they_are_read_as_the_file_has_them() -> None:
    settings = msgspec.toml.decode(
        """
        [[Stop]]
        hooks = [{ command = "last" }]
        [[PreToolUse]]
        matcher = "Bash"
        [[PreToolUse.hooks]]
        type = "command"
        command = "first"
        timeout = 5
        """,
        type=HooksSettings,
    )
    assert configured(settings) == (
        hook(matcher="Bash", command="first", timeout=5.0),
        hook("Stop", command="last", order=1),
    )


@pytest.mark.parametrize(
    ("matcher", "name", "runs"),
    [
        (None, "Bash", True),
        ("*", "Bash", True),
        ("", None, True),
        ("Bash", "Bash", True),
        ("Bash", "BashOutput", False),
        ("Bash|apply_.*", "apply_patch", True),
        ("mcp__.*", "read_file", False),
    ],
)
def test_a_matcher_has_to_match_the_whole_name(matcher: str | None, name: str | None, runs: bool) -> None:
    assert bool(wanted((hook(matcher=matcher),), "PreToolUse", name)) is runs
    assert not wanted((hook(matcher=matcher),), "PostToolUse", name)


def test_whatever_is_edited_has_to_be_trusted_again() -> None:
    first = hook()
    others = [hook("PostToolUse"), hook(command="check "), hook(matcher="x"), hook(timeout=1.0)]
    assert len({each.hash for each in (first, *others)}) == 5
    assert hook(order=7).hash == first.hash, "its place in the file is not what it does"


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (hook(command=" "), "PreToolUse: its command is empty"),
        (hook(timeout=0.0), "PreToolUse 'check': timeout must be more than 0 seconds"),
        (hook(matcher="("), "PreToolUse 'check': matcher '(' is no regular expression"),
    ],
)
def test_one_that_can_never_run_is_named(broken: Hook, why: str) -> None:
    assert (problem(broken) or "").startswith(why)
    assert problem(hook()) is None


def stop(text: str, kind: str = "stop") -> tuple[HookEntry, ...]:
    return (msgspec.convert({"kind": kind, "text": text}, HookEntry),)


@pytest.mark.parametrize(
    ("event", "code", "output", "complaint", "expected"),
    [
        ("PreToolUse", 0, "chatter", "", Reaction(status="completed")),
        (
            "PreToolUse",
            2,
            "",
            "never that\n",
            Reaction(status="blocked", entries=stop("never that"), verdict=Verdict(blocked="never that", run_id="r")),
        ),
        ("PreToolUse", 1, "", "oops", Reaction(status="failed", entries=stop("oops", "error"))),
        ("PreToolUse", 7, "", "", Reaction(status="failed", entries=stop("exit code 7", "error"))),
        (
            "PreToolUse",
            0,
            '{"hookSpecificOutput":{"permissionDecision":"deny","permissionDecisionReason":"no"},"x":1}',
            "",
            Reaction(status="blocked", entries=stop("no"), verdict=Verdict(blocked="no", run_id="r")),
        ),
        (
            "PostToolUse",
            0,
            '{"decision":"block","reason":"redacted"}',
            "",
            Reaction(
                status="blocked", entries=stop("redacted", "feedback"), verdict=Verdict(blocked="redacted", run_id="r")
            ),
        ),
        (
            "SessionStart",
            0,
            "read the wiki\n",
            "",
            Reaction(
                status="completed",
                entries=stop("read the wiki", "context"),
                verdict=Verdict(context=("read the wiki",)),
            ),
        ),
        (
            "UserPromptSubmit",
            0,
            '{"hookSpecificOutput":{"additionalContext":"it is late"},"systemMessage":"psst"}',
            "",
            Reaction(
                status="completed",
                entries=(*stop("psst", "warning"), *stop("it is late", "context")),
                verdict=Verdict(context=("it is late",)),
            ),
        ),
        (
            "UserPromptSubmit",
            0,
            '{"continue":false,"stopReason":"lunch"}',
            "",
            Reaction(status="stopped", entries=stop("lunch"), verdict=Verdict(blocked="lunch", run_id="r")),
        ),
        (
            "PermissionRequest",
            0,
            '{"hookSpecificOutput":{"decision":{"behavior":"allow"}}}',
            "",
            Reaction(status="completed", verdict=Verdict(decision="allow", run_id="r")),
        ),
        (
            "PermissionRequest",
            2,
            "",
            "no",
            Reaction(status="blocked", entries=stop("no"), verdict=Verdict(blocked="no", decision="deny", run_id="r")),
        ),
    ],
)
def test_an_exit_and_an_output_mean(
    event: HookEvent, code: int, output: str, complaint: str, expected: Reaction
) -> None:
    assert react(hook(event), "r", code=code, output=output, complaint=complaint) == expected


def test_an_output_that_begins_like_json_and_is_none_is_a_failure_not_a_consent() -> None:
    reaction = react(hook(), "r", code=0, output='{"decision": "bl', complaint="")
    assert (reaction.status, reaction.verdict) == ("failed", Verdict())


def test_the_first_objection_counts_and_one_deny_outweighs_every_allow() -> None:
    said = [
        Verdict(decision="allow", context=("a",)),
        Verdict(blocked="b", run_id="2", decision="deny"),
        Verdict(blocked="c", context=("d",)),
    ]
    assert together(said) == Verdict(blocked="b", run_id="2", decision="deny", context=("a", "d"))
    assert together([]) == Verdict()


def test_a_command_is_under_the_same_name_whatever_its_tool_calls_it() -> None:
    made = call("exec_command", '{"cmd":"ls","workdir":"/"}')
    assert tool_input(made) == {"command": "ls", "workdir": "/"}
    assert command_of(made) == "ls"
    assert tool_input(call("apply_patch", "*** Begin", freeform=True)) == {"input": "*** Begin"}
    assert tool_input(call("odd", "[1]")) == {"arguments": [1]}
    assert tool_input(call("odd", "{")) == {"arguments": "{"}


def test_settings_name_events_as_other_agents_do() -> None:
    group = HookGroup(hooks=(HookCommand(command="x"),))
    assert configured(HooksSettings(user_prompt_submit=(group,)))[0].event == "UserPromptSubmit"
