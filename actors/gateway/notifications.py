"""Session events as frames of the client wire: the `FeedEncoder` and `BroadcastEncoder` of this gateway.

A frame is the JSON text of one message; the transport adds its own framing. Every frame begins with its method, so that
a connection that has opted out of a method can tell without decoding. Members beside ``params``:

    emittedAtMs   when the frame was made, in unix milliseconds (not on requests)
    callboard     on events of a thread its position: ``epoch`` and ``seq``, strictly increasing by one; left out on
                  what was read back from the log for a reader that had fallen behind. On deltas ``offset``: where in
                  its text, in characters, the delta begins.

Deltas are by far the most frequent, so theirs is assembled from a head made once per text; the rest goes through
structs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from actors.gateway.rights import rights_body
from actors.gateway.views import (
    active_profile,
    environments,
    error_body,
    sandbox_body,
    status_body,
    thread_body,
    turn_body,
)
from actors.session.open_text import OpenText
from actors.tool_worker.command_display import command_actions, display_command
from messages.approval import ApprovalDecision, CommandNeed, PatchNeed, PermissionNeed, Question, QuestionNeed
from messages.base import ItemId, ThreadId, TurnId
from messages.client import event as wire
from messages.client.account import AccountUpdated
from messages.client.approval import (
    Amendment,
    AmendmentDecision,
    CommandApprovalParams,
    FileChangeApprovalParams,
    PermissionsApprovalParams,
    ScriptLine,
    UserInputOption,
    UserInputParams,
    UserInputQuestion,
)
from messages.client.callboard import LiveMarker, ScriptNotice
from messages.client.item import Wire
from messages.client.turn import CollaborationMode, CollaborationSettings, ItemsView
from messages.hooks import HookReported
from messages.model import RateLimit, TextChannel, TokenUsage
from messages.script import (
    CallEnded,
    CallRequested,
    CallStarted,
    ScriptPrinted,
    ScriptProgressed,
    ScriptPumped,
    ScriptStarted,
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
    ThreadView,
    TurnCompleted,
    TurnFailing,
    TurnStarted,
    UsageUpdated,
    Warned,
)
from messages.tools import ScriptPlace

_encoder = msgspec.json.Encoder()
encode: Final = _encoder.encode

DELTA_METHODS: Final[dict[TextChannel, str]] = {
    "text": "item/agentMessage/delta",
    "refusal": "item/agentMessage/delta",
    "summary": "item/reasoning/summaryTextDelta",
    "reasoning": "item/reasoning/textDelta",
    "output": "item/commandExecution/outputDelta",
    "script": "callboard/script/delta",
}
"""How each kind of text is shown; a call's arguments are not shown while they grow."""

_INDEX_MEMBER: Final[dict[TextChannel, str]] = {
    "summary": "summaryIndex",
    "reasoning": "contentIndex",
    "script": "index",
}

REQUEST_METHODS: Final = frozenset(
    {
        "item/commandExecution/requestApproval",
        "item/fileChange/requestApproval",
        "item/permissions/requestApproval",
        "item/tool/requestUserInput",
    }
)
"""What we ask of clients. Nobody can opt out of being asked."""


def method_of(frame: bytes) -> bytes:
    """The method of a frame made here."""
    return frame[11 : frame.index(b'"', 11)]


def encode_text(text: str) -> bytes:
    """A JSON string. Half a surrogate pair, which some models emit and no JSON can carry as UTF-8, becomes U+FFFD."""
    try:
        return encode(text)
    except UnicodeEncodeError:
        return encode(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def encode_any(value: Any) -> bytes:
    """As JSON; a text that is not valid Unicode somewhere inside does not keep the rest from being shown."""
    try:
        return encode(value)
    except UnicodeEncodeError:
        return encode(_mended(msgspec.to_builtins(value)))


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_mended(key): _mended(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_mended(each) for each in value]
    return value


def notification(method: str, params: Wire, at_ms: int, position: bytes = b"") -> bytes:
    """A frame."""
    return b'{"method":"%b","params":%b,"emittedAtMs":%d%b}' % (method.encode(), encode_any(params), at_ms, position)


def request(method: str, id_: str, params: Wire, position: bytes = b"") -> bytes:
    """A frame that wants an answer."""
    return b'{"method":"%b","id":%b,"params":%b%b}' % (method.encode(), encode(id_), encode_any(params), position)


class WireEncoder:
    """Frames of the app-server vocabulary. ``now_ms`` is the clock for ``emittedAtMs``."""

    __slots__ = ("_now_ms",)

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms

    # --- one thread's feed ------------------------------------------------------------------------------------------

    def event(self, thread_id: ThreadId, epoch: str, seq: int, event: SessionEvent) -> bytes:
        """The frame of one event; with ``seq`` 0 without its position."""
        position = b',"callboard":{"epoch":%b,"seq":%d}' % (encode(epoch), seq) if seq else b""
        if isinstance(event, ApprovalRequested):
            return approval_request(thread_id, event.approval, position)
        method, params = event_params(thread_id, event)
        return notification(method, params, self._now_ms(), position)

    def delta_head(self, thread_id: ThreadId, turn_id: TurnId, item_id: ItemId, text: OpenText) -> bytes | None:
        """All of a delta's frame that comes before its text; None for a channel that is not shown."""
        method = DELTA_METHODS.get(text.channel)
        if method is None:
            return None
        index = _INDEX_MEMBER.get(text.channel)
        return b'{"method":"%b","params":{"threadId":%b,"turnId":%b,"itemId":%b,%b"delta":' % (
            method.encode(),
            encode(thread_id),
            encode(turn_id),
            encode_text(item_id),
            b"" if index is None else b'"%b":%d,' % (index.encode(), text.index),
        )

    def delta(self, head: bytes, delta: str, offset: int) -> bytes:
        """The frame of one merged delta."""
        return b'%b%b},"emittedAtMs":%d,"callboard":{"offset":%d}}' % (
            head,
            encode_text(delta),
            self._now_ms(),
            offset,
        )

    def live(self, thread_id: ThreadId, epoch: str, seq: int) -> bytes:
        """callboard/live"""
        return notification("callboard/live", LiveMarker(thread_id=thread_id, epoch=epoch, seq=seq), self._now_ms())

    # --- for everybody ----------------------------------------------------------------------------------------------

    def thread_started(self, view: ThreadView) -> bytes:
        return notification(
            "thread/started", wire.ThreadStarted(thread=thread_body(view, include_turns=False)), self._now_ms()
        )

    def thread_status(self, thread_id: ThreadId, status: ThreadStatus) -> bytes:
        params = wire.ThreadStatusChanged(thread_id=thread_id, status=status_body(status))
        return notification("thread/status/changed", params, self._now_ms())

    def thread_closed(self, thread_id: ThreadId) -> bytes:
        return notification("thread/closed", wire.ThreadClosed(thread_id=thread_id), self._now_ms())

    def account_changed(self, account: AccountUpdated) -> bytes:
        return notification("account/updated", account, self._now_ms())

    def limits_changed(self, limits: wire.RateLimitsUpdated) -> bytes:
        return notification("account/rateLimits/updated", limits, self._now_ms())

    # --- for one connection -----------------------------------------------------------------------------------------

    def notice(self, method: str, params: Wire) -> bytes:
        """A notification that belongs to no thread's feed."""
        return notification(method, params, self._now_ms())


def approval_request(thread_id: ThreadId, approval: Approval, position: bytes = b"") -> bytes:
    """A question, under its durable id: whoever asks again, asks the same."""
    started_at_ms = int(approval.asked_at * 1000)
    match approval.need:
        case CommandNeed() as need:
            return request(
                "item/commandExecution/requestApproval",
                approval.id,
                CommandApprovalParams(
                    kind="command",
                    environment_id="local",
                    thread_id=thread_id,
                    turn_id=approval.turn_id,
                    item_id=approval.item_id,
                    started_at_ms=started_at_ms,
                    reason=_reason(
                        approval.reason if need.denied else need.justification or approval.reason, approval.place
                    ),
                    script=_script_line(approval.place),
                    command=display_command(need.argv),
                    cwd=need.cwd,
                    command_actions=command_actions(need.argv, need.cwd),
                    proposed_execpolicy_amendment=approval.amendment,
                    available_decisions=tuple(_decision(each, approval.amendment) for each in approval.decisions),
                ),
                position,
            )
        case PatchNeed():
            return request(
                "item/fileChange/requestApproval",
                approval.id,
                FileChangeApprovalParams(
                    thread_id=thread_id,
                    turn_id=approval.turn_id,
                    item_id=approval.item_id,
                    started_at_ms=started_at_ms,
                    reason=_reason(approval.reason, approval.place),
                    script=_script_line(approval.place),
                ),
                position,
            )
        case PermissionNeed() as need:
            return request(
                "item/permissions/requestApproval",
                approval.id,
                PermissionsApprovalParams(
                    thread_id=thread_id,
                    turn_id=approval.turn_id,
                    item_id=approval.item_id,
                    started_at_ms=started_at_ms,
                    environment_id="local",
                    cwd=need.cwd,
                    permissions=rights_body(need.permissions),
                    reason=_reason(approval.reason, approval.place),
                    script=_script_line(approval.place),
                ),
                position,
            )
        case QuestionNeed() as need:
            return request(
                "item/tool/requestUserInput",
                approval.id,
                UserInputParams(
                    thread_id=thread_id,
                    turn_id=approval.turn_id,
                    item_id=approval.item_id,
                    questions=tuple(_question(each) for each in need.questions),
                    is_blocking=True,
                    script=_script_line(approval.place) or msgspec.UNSET,
                ),
                position,
            )


def _script_line(place: ScriptPlace | None) -> ScriptLine | None:
    if place is None:
        return None
    return ScriptLine(
        item_id=place.item_id, number=place.number, line=place.line, column=place.column, source=place.source
    )


def _reason(why: str | None, place: ScriptPlace | None) -> str | None:
    """Why people are asked; of a script's call with its line, for clients that know nothing of scripts."""
    if place is None:
        return why
    where = f"script line {place.line}: {place.source}" if place.source else f"call {place.number} of a script"
    return where if why is None else f"{why}\n{where}"


def _question(question: Question) -> UserInputQuestion:
    return UserInputQuestion(
        id=question.id,
        header=question.header,
        question=question.question,
        is_other=True,
        options=tuple(UserInputOption(label=each.label, description=each.description) for each in question.options),
    )


def _decision(decision: ApprovalDecision, amendment: tuple[str, ...] | None) -> str | AmendmentDecision:
    if decision != "acceptWithExecpolicyAmendment":
        return decision
    return AmendmentDecision(accept_with_execpolicy_amendment=Amendment(execpolicy_amendment=amendment or ()))


def token_counts(usage: TokenUsage) -> wire.TokenCounts:
    return wire.TokenCounts(
        total_tokens=usage.total,
        input_tokens=usage.input,
        cached_input_tokens=usage.cached_input,
        output_tokens=usage.output,
        reasoning_output_tokens=usage.reasoning_output,
        cache_write_input_tokens=usage.cache_write_input,
    )


def settings_body(settings: ThreadSettings) -> wire.ThreadSettingsBody:
    return wire.ThreadSettingsBody(
        model=settings.model,
        model_provider=settings.provider,
        cwd=settings.cwd,
        approval_policy=settings.approval_policy,
        approvals_reviewer="user",
        sandbox_policy=sandbox_body(settings),
        active_permission_profile=active_profile(settings),
        collaboration_mode=CollaborationMode(
            mode=settings.mode,
            settings=CollaborationSettings(model=settings.model, reasoning_effort=settings.reasoning_effort),
        ),
        environments=environments(settings),
        effort=settings.reasoning_effort,
        summary=settings.reasoning_summary,
    )


def event_params(thread_id: ThreadId, event: SessionEvent) -> tuple[str, Wire]:
    """The method and the params of every event but `ApprovalRequested`, which is a request."""
    match event:
        case ItemStarted():
            return "item/started", wire.ItemStarted(
                thread_id=thread_id, turn_id=event.turn_id, item=event.item, started_at_ms=event.at_ms
            )
        case ItemCompleted():
            return "item/completed", wire.ItemCompleted(
                thread_id=thread_id, turn_id=event.turn_id, item=event.item, completed_at_ms=event.at_ms
            )
        case TurnStarted():
            return "turn/started", wire.TurnNotice(
                thread_id=thread_id, turn=turn_body(event.turn, items_view="notLoaded")
            )
        case TurnCompleted():
            view: ItemsView = "summary" if event.turn.items else "notLoaded"
            return "turn/completed", wire.TurnNotice(thread_id=thread_id, turn=turn_body(event.turn, items_view=view))
        case StatusChanged():
            return "thread/status/changed", wire.ThreadStatusChanged(
                thread_id=thread_id, status=status_body(event.status)
            )
        case UsageUpdated():
            return "thread/tokenUsage/updated", wire.TokenUsageUpdated(
                thread_id=thread_id,
                turn_id=event.turn_id,
                token_usage=wire.ThreadTokenUsage(
                    total=token_counts(event.total),
                    last=token_counts(event.last),
                    model_context_window=event.context_window,
                ),
            )
        case LimitsUpdated():
            return "account/rateLimits/updated", wire.RateLimitsUpdated(
                rate_limits=_limits_body(event), thread_id=thread_id
            )
        case ReasoningPartAdded():
            return "item/reasoning/summaryPartAdded", wire.SummaryPartAdded(
                thread_id=thread_id, turn_id=event.turn_id, item_id=event.item_id, summary_index=event.index
            )
        case DiffUpdated():
            return "turn/diff/updated", wire.TurnDiffUpdated(
                thread_id=thread_id, turn_id=event.turn_id, diff=event.diff
            )
        case PlanUpdated():
            return "turn/plan/updated", wire.TurnPlanUpdated(
                thread_id=thread_id, turn_id=event.turn_id, plan=event.plan, explanation=event.explanation
            )
        case TurnFailing():
            return "error", wire.ErrorNotice(
                thread_id=thread_id,
                turn_id=event.turn_id,
                error=error_body(event.failure),
                will_retry=event.will_retry,
            )
        case ApprovalResolved():
            return "serverRequest/resolved", wire.RequestResolved(thread_id=thread_id, request_id=event.approval_id)
        case NameChanged():
            return "thread/name/updated", wire.ThreadNameUpdated(thread_id=thread_id, thread_name=event.name)
        case SettingsChanged():
            return "thread/settings/updated", wire.ThreadSettingsUpdated(
                thread_id=thread_id, thread_settings=settings_body(event.settings)
            )
        case TerminalInput():
            return "item/commandExecution/terminalInteraction", wire.TerminalInteraction(
                thread_id=thread_id,
                turn_id=event.turn_id,
                item_id=event.item_id,
                process_id=event.process_id,
                stdin=event.text,
            )
        case HookReported(run=run):
            body = wire.HookNotice(thread_id=thread_id, turn_id=event.turn_id, run=wire.hook_run(run))
            return "hook/started" if run.status == "running" else "hook/completed", body
        case ScriptHappened():
            return "callboard/script/event", script_notice(thread_id, event)
        case Warned():
            return "warning", wire.Warning(thread_id=thread_id, message=event.message)
        case ApprovalRequested():
            raise ValueError("an approval is a request, not a notification; use approval_request")


def script_notice(thread_id: ThreadId, happened: ScriptHappened) -> ScriptNotice:
    """What happened in a script, for people."""
    about = partial(
        ScriptNotice,
        thread_id=thread_id,
        turn_id=happened.turn_id,
        item_id=happened.item_id,
        call_item_id=happened.call_item_id,
    )
    match happened.event:
        case CallRequested() as event:
            return about(kind="called", number=event.number, name=event.name, line=event.line, column=event.column)
        case CallStarted() as event:
            return about(kind="started", number=event.number)
        case CallEnded() as event:
            error = event.result.error
            return about(
                kind="ended",
                number=event.number,
                outcome=event.result.outcome,
                code=None if error is None else error.code,
                message=None if error is None else error.message,
                seconds=event.seconds,
            )
        case ScriptPrinted() as event:
            return about(kind="printed", level=event.level, text=event.text, line=event.line or None)
        case ScriptProgressed() as event:
            return about(kind="progress", text=event.text, line=event.line or None)
        case ScriptStarted() | ScriptPumped():
            raise ValueError("what only a replay needs is not shown")


def _limits_body(event: LimitsUpdated) -> wire.RateLimitSnapshot:
    """A subscription's two windows as they are; of a key's many limits those that are closest to being reached."""
    limits = event.limits
    if limits.subscription is not None:
        named = {limit.name: _window(limit) for limit in limits.limits}
        return wire.RateLimitSnapshot(
            limit_id=limits.subscription,
            primary=named.get("primary"),
            secondary=named.get("secondary"),
            credits=None
            if limits.credits is None
            else wire.CreditsBody(
                has_credits=limits.credits.has_credits,
                unlimited=limits.credits.unlimited,
                balance=limits.credits.balance,
            ),
        )
    closest = sorted(limits.limits, key=lambda limit: -limit.used_percent)[:2]
    windows = [_window(limit) for limit in closest]
    return wire.RateLimitSnapshot(
        limit_id=event.provider,
        limit_name=closest[0].name if closest else None,
        primary=windows[0] if windows else None,
        secondary=windows[1] if len(windows) > 1 else None,
    )


def _window(limit: RateLimit) -> wire.RateLimitWindow:
    return wire.RateLimitWindow(
        used_percent=round(limit.used_percent),
        window_duration_mins=limit.window_minutes,
        resets_at=None if limit.resets_at is None else int(limit.resets_at),
    )
