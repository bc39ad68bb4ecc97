"""Every event, with everything it can carry, becomes a frame that a client of this protocol accepts."""

from __future__ import annotations

import json
from typing import get_args

import msgspec
import pytest

from actors.gateway.notifications import WireEncoder, approval_request, encode_text, event_params, method_of
from actors.gateway.views import FAILURE_WORDS, error_body
from actors.session.open_text import OpenText
from actors.tool_worker.approval import DECISIONS_WITH_AMENDMENT
from messages.approval import (
    CommandNeed,
    GranularPolicy,
    GranularSwitches,
    Need,
    PatchNeed,
    PermissionNeed,
    QuestionNeed,
)
from messages.base import CallId, ItemId, ThreadId, TurnId
from messages.client.account import AccountUpdated
from messages.client.backend import AccountLimit
from messages.client.event import RateLimitsUpdated
from messages.client.item import (
    AddChange,
    AgentMessage,
    CommandExecution,
    ContextCompaction,
    DeleteChange,
    DynamicToolCall,
    FileChange,
    FileUpdateChange,
    ImageContentItem,
    ImageInput,
    ImageView,
    ListFilesAction,
    LocalImageInput,
    MentionInput,
    OpenPage,
    Plan,
    PlanStep,
    ReadAction,
    Reasoning,
    SearchAction,
    SkillInput,
    TextContentItem,
    TextInput,
    ThreadItem,
    UnknownAction,
    UpdateChange,
    UserMessage,
    WebSearch,
)
from messages.failure import Failure, FailureKind
from messages.hooks import HookEntry, HookReported, HookRun
from messages.model import Credits, RateLimit, RateLimits, TextChannel, TokenUsage
from messages.permissions import Permissions
from messages.script import (
    CallEnded,
    CallError,
    CallRequested,
    CallResult,
    CallStarted,
    ScriptPrinted,
    ScriptProgressed,
)
from messages.session import (
    Approval,
    ApprovalRequested,
    ApprovalResolved,
    DiffUpdated,
    ItemCompleted,
    ItemStarted,
    LimitsUpdated,
    NameChanged,
    PlanUpdated,
    ReasoningPartAdded,
    ScriptHappened,
    SessionEvent,
    SettingsChanged,
    StatusChanged,
    TerminalInput,
    ThreadSettings,
    ThreadStatus,
    Turn,
    TurnCompleted,
    TurnFailing,
    TurnStarted,
    UsageUpdated,
    Warned,
)
from messages.tools import ScriptPlace
from tests.actors.session.test_feed import VIEW
from tests.protocol_schema import check_server_frame

THREAD = ThreadId("01a1f90e-a34a-7f72-904d-e97f08177a04")
TURN = TurnId("turn-1")
NOW_MS = 1_795_179_848_417
encoder = WireEncoder(lambda: NOW_MS)

ITEMS: tuple[ThreadItem, ...] = (
    UserMessage(
        id="u",
        content=(
            TextInput(text="look"),
            ImageInput(url="data:image/png;base64,AA==", detail="high"),
            LocalImageInput(path="/w/a.png"),
            SkillInput(name="s", path="/w/s"),
            MentionInput(name="m", path="/w/m"),
        ),
        client_id="c-1",
        started_at_ms=1,
        completed_at_ms=2,
    ),
    AgentMessage(id="a", text="“done” 😀", phase="final_answer"),
    Reasoning(id="r", summary=("one",), content=("two",)),
    Plan(id="p", text="1."),
    CommandExecution(
        id="x",
        command="/bin/bash -lc 'ls'",
        cwd="/w",
        status="completed",
        command_actions=(
            ReadAction(command="cat a", name="a", path="/w/a"),
            ListFilesAction(command="ls", path="/w"),
            SearchAction(command="rg x", query="x", path=None),
            UnknownAction(command="make"),
        ),
        process_id="7",
        source="unifiedExecStartup",
        aggregated_output="a\n",
        exit_code=0,
        duration_ms=12,
    ),
    FileChange(
        id="f",
        changes=(
            FileUpdateChange(path="/w/a", kind=AddChange(), diff="x\n"),
            FileUpdateChange(path="/w/b", kind=DeleteChange(), diff="y\n"),
            FileUpdateChange(path="/w/c", kind=UpdateChange(move_path="/w/d"), diff="@@ -1 +1 @@\n-x\n+y\n"),
        ),
        status="declined",
    ),
    DynamicToolCall(
        id="d",
        tool="read_file",
        arguments={"path": "a"},
        status="completed",
        content_items=(TextContentItem(text="x"), ImageContentItem(image_url="data:,")),
        success=True,
        duration_ms=3,
    ),
    ImageView(id="i", path="/w/a.png"),
    WebSearch(id="i", query="q", action=OpenPage(url="https://example.org")),
    ContextCompaction(id="k"),
)
FAILURE = Failure(kind="connection", message="The model could not be reached.", http_status=502, detail="bad gateway")
USAGE = TokenUsage(input=10, cached_input=2, output=3, reasoning_output=1, total=13)


def _approval(need: Need) -> Approval:
    return Approval(
        id="0196-ask", turn_id=TURN, item_id=ItemId("x"), call_id=CallId("c"), need=need, asked_at=1_795_179_848.4
    )


HOOK_RUN = HookRun(id="h", event="PreToolUse", order=0, source_path="/home/config.toml", started_at_ms=5)

EVENTS: tuple[SessionEvent, ...] = (
    TurnStarted(turn=Turn(id=TURN, status="inProgress", started_at=1_795_179_848.4)),
    TurnCompleted(
        turn=Turn(id=TURN, status="completed", started_at=1.5, completed_at=3.25, items=ITEMS), last_message="done"
    ),
    TurnCompleted(turn=Turn(id=TURN, status="interrupted", started_at=1, completed_at=3)),
    TurnCompleted(turn=Turn(id=TURN, status="failed", started_at=1, completed_at=3, failure=FAILURE)),
    *(ItemStarted(turn_id=TURN, item=item, at_ms=NOW_MS) for item in ITEMS),
    *(ItemCompleted(turn_id=TURN, item=item, at_ms=NOW_MS) for item in ITEMS),
    ReasoningPartAdded(turn_id=TURN, item_id=ItemId("r"), index=1),
    StatusChanged(status=ThreadStatus(kind="idle")),
    StatusChanged(status=ThreadStatus(kind="active")),
    StatusChanged(status=ThreadStatus(kind="active", flags=("waitingOnApproval",))),
    StatusChanged(status=ThreadStatus(kind="systemError")),
    UsageUpdated(turn_id=TURN, last=USAGE, total=USAGE, context_window=258_400),
    LimitsUpdated(
        provider="anthropic",
        limits=RateLimits(
            limits=(
                RateLimit(name="requests", used_percent=1.0, limit=100, remaining=99, resets_at=1_800_000_000.5),
                RateLimit(name="primary", used_percent=42.4, window_minutes=300),
            )
        ),
    ),
    LimitsUpdated(
        provider="chatgpt",
        limits=RateLimits(
            limits=(
                RateLimit(name="primary", used_percent=3.0, window_minutes=300),
                RateLimit(name="secondary", used_percent=97.0, window_minutes=10_080, resets_at=1_800_000_000.0),
            ),
            subscription="codex",
            credits=Credits(has_credits=True, unlimited=False, balance="12.50"),
        ),
    ),
    DiffUpdated(turn_id=TURN, diff="--- a\n+++ b\n"),
    PlanUpdated(turn_id=TURN, explanation=None, plan=(PlanStep(step="look", status="inProgress"),)),
    TurnFailing(turn_id=TURN, failure=FAILURE, will_retry=True, attempt=1, attempts=6),
    ApprovalRequested(
        approval=_approval(CommandNeed(argv=("bash", "-lc", "rm 'x'"), script="rm 'x'", cwd="/w", justification="j"))
    ),
    ApprovalRequested(
        approval=msgspec.structs.replace(
            _approval(CommandNeed(argv=("bash", "-lc", "make"), script="make", cwd="/w")),
            decisions=DECISIONS_WITH_AMENDMENT,
            amendment=("make",),
        )
    ),
    SettingsChanged(
        settings=ThreadSettings(
            provider="p",
            model="m",
            cwd="/w",
            approval_policy=GranularPolicy(
                granular=GranularSwitches(sandbox_approval=True, rules=False, mcp_elicitations=True)
            ),
        )
    ),
    ApprovalRequested(approval=_approval(PatchNeed(paths=("/w/a",), outside=("/etc/hosts",)))),
    ApprovalResolved(approval_id="0196-ask", decision="accept", by="c1"),
    ApprovalResolved(approval_id="0196-ask", decision=None),
    NameChanged(name="A name"),
    SettingsChanged(settings=ThreadSettings(provider="p", model="m", cwd="/w", reasoning_effort="high")),
    TerminalInput(turn_id=TURN, item_id=ItemId("x"), process_id="7", text="y\n"),
    HookReported(turn_id=TURN, run=HOOK_RUN),
    HookReported(
        turn_id=None,
        run=msgspec.structs.replace(
            HOOK_RUN, status="blocked", entries=(HookEntry(kind="stop", text="no"),), completed_at_ms=7
        ),
    ),
    *(
        ScriptHappened(turn_id=TURN, item_id=ItemId("s"), event=event, call_item_id=ItemId("c"))
        for event in (
            CallRequested(number=1, name="exec", arguments="", line=2, column=3),
            CallStarted(number=1),
            CallEnded(
                number=1,
                result=CallResult(outcome="failed", error=CallError(code="denied", message="no")),
                seconds=0.5,
            ),
            ScriptPrinted(level="warn", text="hm"),
            ScriptProgressed(text="half"),
        )
    ),
    Warned(message="Beware."),
)


@pytest.mark.reference
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_event_validates_and_says_where_it_stands(event: SessionEvent) -> None:
    frame = json.loads(encoder.event(THREAD, "epoch-1", 7, event))
    check_server_frame(frame)
    assert frame["params"]["threadId"] == THREAD
    assert frame["callboard"] == {"epoch": "epoch-1", "seq": 7}
    read_back = json.loads(encoder.event(THREAD, "epoch-1", 0, event))
    del frame["callboard"]
    assert read_back == frame


def test_every_kind_of_event_is_covered_here() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(SessionEvent))
    assert {type(item) for item in ITEMS} == set(get_args(ThreadItem))


@pytest.mark.reference
@pytest.mark.parametrize("channel", get_args(TextChannel))
def test_deltas_validate_and_say_where_they_begin(channel: TextChannel) -> None:
    head = encoder.delta_head(THREAD, TURN, ItemId('it"em'), OpenText(channel, 2))
    if channel == "arguments":
        assert head is None
        return
    assert head is not None
    frame = json.loads(encoder.delta(head, 'a "quoted"\n\x01 ☂', 41))
    check_server_frame(frame)
    assert frame["params"]["delta"] == 'a "quoted"\n\x01 ☂'
    assert frame["params"]["itemId"] == 'it"em'
    assert frame["emittedAtMs"] == NOW_MS
    assert frame["callboard"] == {"offset": 41}


def test_a_subscriptions_windows_keep_their_places_and_a_keys_are_those_closest_to_being_reached() -> None:
    short = RateLimit(name="primary", used_percent=3.0, window_minutes=300)
    week = RateLimit(name="secondary", used_percent=97.0, window_minutes=10_080)
    calls = RateLimit(name="requests", used_percent=50.0)

    def windows(provider: str, limits: RateLimits) -> tuple[object, ...]:
        _, params = event_params(THREAD, LimitsUpdated(provider=provider, limits=limits))
        told = json.loads(msgspec.json.encode(params))["rateLimits"]
        return told["limitId"], told["primary"]["usedPercent"], told["secondary"]["usedPercent"]

    assert windows("chatgpt", RateLimits(limits=(short, week, calls), subscription="codex")) == ("codex", 3, 97)
    assert windows("openai", RateLimits(limits=(short, week, calls))) == ("openai", 97, 50)


@pytest.mark.reference
def test_broadcasts_and_markers_validate() -> None:
    for frame in (
        encoder.account_changed(AccountUpdated(auth_mode="chatgptAuthTokens", plan_type="plus")),
        encoder.limits_changed(RateLimitsUpdated(rate_limits=AccountLimit(limit_id="codex"), thread_id=None)),
        encoder.thread_started(VIEW),
        encoder.thread_status(THREAD, ThreadStatus(kind="notLoaded")),
        encoder.thread_closed(THREAD),
        encoder.live(THREAD, "epoch", 3),
    ):
        check_server_frame(json.loads(frame))


@pytest.mark.reference
@pytest.mark.parametrize("kind", get_args(FailureKind))
def test_every_kind_of_failure_has_its_word(kind: FailureKind) -> None:
    assert set(FAILURE_WORDS) == set(get_args(FailureKind))
    failure = Failure(kind=kind, message="m", http_status=503)
    check_server_frame(
        json.loads(encoder.event(THREAD, "e", 1, TurnFailing(turn_id=TURN, failure=failure, will_retry=False)))
    )
    assert error_body(failure).message == "m"


def test_half_a_surrogate_pair_is_replaced_and_never_stops_a_frame() -> None:
    assert json.loads(encode_text("a\ud83d b")) == "a\ufffd b"
    item = AgentMessage(id="a", text="x\udc00")
    frame = json.loads(encoder.event(THREAD, "e", 1, ItemCompleted(turn_id=TURN, item=item, at_ms=1)))
    assert frame["params"]["item"]["text"] == "x\ufffd"


def test_the_method_of_a_frame_is_read_without_decoding_it() -> None:
    assert method_of(encoder.event(THREAD, "e", 1, Warned(message="x"))) == b"warning"
    assert method_of(encoder.event(THREAD, "e", 1, EVENTS[-8])) is not None


def test_a_question_offers_its_rule_as_the_protocol_words_it() -> None:
    approval = msgspec.structs.replace(
        _approval(CommandNeed(argv=("bash", "-lc", "git fetch && cat x"), script="git fetch && cat x", cwd="/w")),
        decisions=DECISIONS_WITH_AMENDMENT,
        amendment=("git", "fetch"),
    )
    params = json.loads(approval_request(THREAD, approval))["params"]
    assert params["proposedExecpolicyAmendment"] == ["git", "fetch"]
    assert params["availableDecisions"] == [
        "accept",
        "acceptForSession",
        {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["git", "fetch"]}},
        "decline",
        "cancel",
    ]
    assert params["commandActions"] == [{"type": "unknown", "command": "git fetch && cat x"}]


def test_a_question_of_a_script_says_at_which_line_and_what_stands_there() -> None:
    place = ScriptPlace(
        script=CallId("s"), item_id=ItemId("s"), number=2, line=3, column=7, source="await tools.exec({command: c})"
    )
    line = {"itemId": "s", "number": 2, "line": 3, "column": 7, "source": "await tools.exec({command: c})"}
    needs: tuple[tuple[Need, str | None], ...] = (
        (CommandNeed(argv=("make",), script=None, cwd="/w", justification="It builds."), "It builds."),
        (PatchNeed(paths=("/w/a",)), None),
        (QuestionNeed(questions=()), None),
        (PermissionNeed(cwd="/w", permissions=Permissions(network=True)), None),
    )
    for need, why in needs:
        asked = msgspec.structs.replace(_approval(need), place=place, reason=None)
        frame = json.loads(approval_request(THREAD, asked))
        check_server_frame(frame)
        assert frame["params"]["script"] == line
        if not isinstance(need, QuestionNeed):
            where = "script line 3: await tools.exec({command: c})"
            assert frame["params"]["reason"] == (where if why is None else f"{why}\n{where}")
        plain = json.loads(approval_request(THREAD, _approval(need)))["params"]
        assert "script" not in plain
