"""Which hooks an event has, whether they are trusted, and what a program's exit and output mean. Pure.

A hook is known by a hash of everything that decides what it does and when: whoever edits it has to trust it again, so
that neither a pulled repository nor a careless paste can run programs in the user's name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any, Literal, get_args

import msgspec

from messages.hooks import HookEntry, HookEvent, HookStatus, Verdict
from messages.settings.hooks import HooksSettings

EVENTS: tuple[HookEvent, ...] = get_args(HookEvent)

OBJECTS = 2
"""The exit code with which a program objects; its standard error says why."""

CONTEXT_EVENTS = frozenset({"UserPromptSubmit", "SessionStart"})
"""What a program prints here, when it is no JSON object, is for the model."""

CONTEXT_CHARS_MAX = 10_000
"""Of one program, for the model."""

ENTRY_CHARS_MAX = 2_000
"""Of one program's words on a screen."""


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """One program for one event."""

    event: HookEvent
    matcher: str | None
    command: str
    timeout: float
    status_message: str | None
    order: int

    @property
    def hash(self) -> str:
        """Of everything that decides what it does and when."""
        parts = msgspec.json.encode((self.event, self.matcher, self.command, self.timeout))
        return "sha256:" + hashlib.sha256(parts).hexdigest()

    @property
    def key(self) -> str:
        """Short, for people and command lines."""
        return f"{self.event}:{self.hash[7:15]}"


class Reaction(msgspec.Struct, frozen=True, kw_only=True):
    """What one program came to."""

    status: HookStatus
    entries: tuple[HookEntry, ...] = ()
    verdict: Verdict = Verdict()


def configured(settings: HooksSettings) -> tuple[Hook, ...]:
    """All hooks, in the order of the events and of the file."""
    found: list[Hook] = []
    for event, field in zip(EVENTS, (getattr(settings, _field(event)) for event in EVENTS), strict=True):
        for group in field:
            for each in group.hooks:
                found.append(
                    Hook(
                        event=event,
                        matcher=group.matcher,
                        command=each.command,
                        timeout=each.timeout,
                        status_message=each.status_message,
                        order=len(found),
                    )
                )
    return tuple(found)


def problem(hook: Hook) -> str | None:
    """Why a hook can never run; None if it can."""
    if not hook.command.strip():
        return f"{hook.event}: its command is empty"
    if hook.timeout <= 0:
        return f"{hook.event} {hook.command!r}: timeout must be more than 0 seconds"
    try:
        re.compile(hook.matcher or "")
    except re.error as error:
        return f"{hook.event} {hook.command!r}: matcher {hook.matcher!r} is no regular expression ({error})"
    return None


def wanted(hooks: Iterable[Hook], event: HookEvent, name: str | None) -> tuple[Hook, ...]:
    """Those for this event, and for this tool, source or trigger if it has a name."""
    return tuple(hook for hook in hooks if hook.event == event and _matches(hook.matcher, name))


def _matches(matcher: str | None, name: str | None) -> bool:
    if matcher in (None, "", "*") or name is None:
        return True
    assert matcher is not None
    return re.fullmatch(matcher, name) is not None


def _field(event: HookEvent) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", event).lower()


# --- what a program says ------------------------------------------------------------------------------------------


class _Specific(msgspec.Struct, frozen=True, kw_only=True):
    """`hookSpecificOutput`."""

    additional_context: str | None = msgspec.field(default=None, name="additionalContext")
    permission_decision: str | None = msgspec.field(default=None, name="permissionDecision")
    permission_decision_reason: str | None = msgspec.field(default=None, name="permissionDecisionReason")
    decision: Any = None


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    """A program's JSON output; what it does not say has its default, what we do not know is passed over."""

    decision: str | None = None
    reason: str | None = None
    go_on: bool = msgspec.field(default=True, name="continue")
    stop_reason: str | None = msgspec.field(default=None, name="stopReason")
    system_message: str | None = msgspec.field(default=None, name="systemMessage")
    specific: _Specific = msgspec.field(default=_Specific(), name="hookSpecificOutput")


_decoder = msgspec.json.Decoder(_Said)


def react(hook: Hook, run_id: str, *, code: int, output: str, complaint: str) -> Reaction:
    """What a program that ended so came to."""
    said = output.strip()
    if code == OBJECTS:
        return _objected(hook, run_id, complaint.strip())
    if code != 0:
        why = complaint.strip() or f"exit code {code}"
        return Reaction(status="failed", entries=(_entry("error", why),))
    if said.startswith("{"):
        try:
            return _answered(hook, run_id, _decoder.decode(said))
        except msgspec.MsgspecError as error:
            return Reaction(status="failed", entries=(_entry("error", f"its output cannot be read: {error}"),))
    if said and hook.event in CONTEXT_EVENTS:
        return _with_context((), said)
    return Reaction(status="completed")


def _answered(hook: Hook, run_id: str, said: _Said) -> Reaction:
    entries = () if said.system_message is None else (_entry("warning", said.system_message),)
    specific = said.specific
    if not said.go_on:
        reason = said.stop_reason or said.reason or ""
        reaction = _objected(hook, run_id, reason)
        return msgspec.structs.replace(reaction, status="stopped", entries=(*entries, *reaction.entries))
    if hook.event == "PermissionRequest":
        decision = _decision(said)
        if decision is not None:
            verdict = Verdict(decision=decision, blocked=said.reason if decision == "deny" else None, run_id=run_id)
            return Reaction(status="blocked" if decision == "deny" else "completed", entries=entries, verdict=verdict)
    if specific.permission_decision == "deny" or said.decision in ("block", "deny"):
        reaction = _objected(hook, run_id, specific.permission_decision_reason or said.reason or "")
        return msgspec.structs.replace(reaction, entries=(*entries, *reaction.entries))
    if specific.additional_context:
        return _with_context(entries, specific.additional_context)
    return Reaction(status="completed", entries=entries)


def _decision(said: _Said) -> Any:
    specific = said.specific.decision
    behaviour = specific.get("behavior") if isinstance(specific, dict) else specific
    word = behaviour or said.specific.permission_decision or said.decision
    return {"allow": "allow", "approve": "allow", "deny": "deny", "block": "deny"}.get(str(word))


def _objected(hook: Hook, run_id: str, reason: str) -> Reaction:
    decision: Literal["deny"] | None = "deny" if hook.event == "PermissionRequest" else None
    entries = (_entry("feedback" if hook.event in ("PostToolUse", "Stop") else "stop", reason),) if reason else ()
    return Reaction(
        status="blocked", entries=entries, verdict=Verdict(blocked=reason, run_id=run_id, decision=decision)
    )


def _with_context(entries: tuple[HookEntry, ...], text: str) -> Reaction:
    context = text[:CONTEXT_CHARS_MAX]
    return Reaction(
        status="completed", entries=(*entries, _entry("context", context)), verdict=Verdict(context=(context,))
    )


def _entry(kind: Any, text: str) -> HookEntry:
    return HookEntry(kind=kind, text=text[:ENTRY_CHARS_MAX])


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict out of all, in the hooks' order: the first objection counts, and one deny outweighs every allow."""
    all_of = tuple(verdicts)
    objection = next((verdict for verdict in all_of if verdict.blocked is not None), None)
    decisions = {verdict.decision for verdict in all_of}
    return Verdict(
        blocked=None if objection is None else objection.blocked,
        run_id="" if objection is None else objection.run_id,
        context=tuple(text for verdict in all_of for text in verdict.context),
        decision="deny" if "deny" in decisions else "allow" if "allow" in decisions else None,
    )
