"""What a script came to, as the data that clients read beside the text that the model is told (`report`)."""

from __future__ import annotations

from messages.client.item import ScriptCallEnd, ScriptEnd, ScriptProblem
from messages.script import CallReport, ScriptFailure, ScriptOutcome


def script_end(outcome: ScriptOutcome) -> ScriptEnd:
    """For its item."""
    return ScriptEnd(
        status=outcome.status,
        value=outcome.value,
        failure=None if outcome.failure is None else _problem(outcome.failure),
        calls=tuple(map(_call, outcome.calls)),
        seconds=round(outcome.wall_seconds, 6),
    )


def _problem(failure: ScriptFailure) -> ScriptProblem:
    return ScriptProblem(
        kind=failure.kind,
        code=failure.code,
        message=failure.message,
        name=failure.name or None,
        line=failure.line or None,
        column=failure.column or None,
        call=failure.call,
    )


def _call(call: CallReport) -> ScriptCallEnd:
    return ScriptCallEnd(
        number=call.number,
        name=call.name,
        line=call.line,
        column=call.column,
        outcome=call.outcome,
        started=call.started,
        orphaned=call.orphaned,
        seconds=call.seconds,
        code=None if call.error is None else call.error.code,
        message=None if call.error is None else call.error.message,
    )
