"""Starting and steering turns: one runs at a time, every submission counts once."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.session import (
    asides,
    calls,
    closing,
    compact_hooks,
    compaction,
    context,
    history,
    hooking,
    prompting,
    sampling,
    scripts,
    spawns,
    steering,
)
from actors.session.effects import Asked, SetDeadline, Token
from actors.session.scripting import scripting_of
from actors.session.state import SUBMISSIONS_REMEMBERED, Closing, Scripting, TurnState
from actors.session.step import Step
from actors.tool_worker.confinement.profiles import cleared
from messages.base import TurnId
from messages.client.item import TextInput, UserInput, UserMessage
from messages.failure import Failure
from messages.log import TurnContext, TurnOpened
from messages.permissions import NOTHING
from messages.session import (
    CompactThread,
    InterruptTurn,
    Refused,
    RunScript,
    RunUserCommand,
    SettingsChanged,
    SettingsPatch,
    StartTurn,
    SteerTurn,
    ThreadSettings,
    Turn,
    TurnAccepted,
    TurnBudget,
    TurnStarted,
)

MAX_INPUT_CHARS = 1_048_576
"""Of text in one input: the limit clients of this wire know."""

MAX_WAITING = 64
"""Inputs that may wait for their place. A person types fewer; a script that sends more is told to wait."""


def start(step: Step, asked: Asked, command: StartTurn) -> None:
    """Begin a turn; while one runs, steer it; while one is being ended, or compacts, wait for that."""
    state = step.state
    if _repeated(step, asked.token, command.submission_id):
        return
    refusal = _refusal(step, command.input)
    if refusal is not None:
        step.reply(asked.token, refusal)
    elif state.turn is None and state.undoing is None:
        _begin(step, asked, command)
    elif state.turn is not None and _takes_input(state.turn):
        change_settings(step, command.settings)
        _steer(step, asked.token, command.submission_id, command.input, command.client_id)
    elif len(state.waiting) >= MAX_WAITING:
        step.reply(asked.token, _busy())
    else:
        step.put(waiting=(*state.waiting, asked))


def _takes_input(turn: TurnState) -> bool:
    return turn.closing is None and not turn.suspended and turn.steerable


def steer(step: Step, token: Token | None, command: SteerTurn) -> None:
    """Add input to the turn the client means."""
    turn = step.state.turn
    if _repeated(step, token, command.submission_id):
        return
    refusal = _wrong_turn(turn, command.expected_turn_id, "steer") or _refusal(step, command.input)
    if refusal is None and turn is not None and not turn.steerable:
        message = "the history is being compacted; send this as a turn, and it begins when that is done"
        refusal = Refused(reason="not_steerable", message=message, active_turn_id=turn.id)
    if refusal is not None:
        step.reply(token, refusal)
    else:
        _steer(step, token, command.submission_id, command.input, command.client_id)


def run_command(step: Step, asked: Asked, command: RunUserCommand) -> None:
    """Run what a person typed: beside the turn that runs, or else as a turn of its own."""
    if _repeated(step, asked.token, command.submission_id):
        return
    turn = step.state.turn
    if turn is not None and turn.closing is None and not turn.suspended:
        _run_beside(step, asked, command, turn)
        return
    refusal = _refusal(step, (TextInput(text=command.command),)) or _occupied(step, "run the command")
    if refusal is not None:
        step.reply(asked.token, refusal)
        return
    _open(step, asked, command.submission_id, TurnBudget(), follow_up=False)
    step.put_turn(scripting=scripting_of(step.state.offer, step.state.settings, None))
    context.give(step)
    calls.start_users(step, command.command, command.timeout_seconds)


def run_script(step: Step, asked: Asked, command: RunScript) -> None:
    """Run a script that a person wrote, as a turn of its own."""
    if _repeated(step, asked.token, command.submission_id):
        return
    state = step.state
    scripting = scripting_of(state.offer, state.settings, command.choice)
    refusal = _refusal(step, ()) or _unscriptable(step, command, scripting) or _occupied(step, "run the script")
    if refusal is not None or scripting is None:
        step.reply(asked.token, refusal)
        return
    _open(step, asked, command.submission_id, TurnBudget(), follow_up=False)
    step.put_turn(scripting=scripting_of(state.offer, state.settings, None))  # the model's, should it be asked
    context.give(step)
    scripts.start_users(step, command.source, scripting)


def _unscriptable(step: Step, command: RunScript, scripting: Scripting | None) -> Refused | None:
    offer = step.state.offer.scripts
    if offer is None or scripting is None:
        return Refused(reason="no_scripts", message="this daemon runs no scripts; `callboard doctor` says why")
    size = len(command.source.encode("utf-8", "surrogatepass"))
    if size > offer.limits.source_bytes:
        message = f"the script has {size} bytes; at most {offer.limits.source_bytes} are taken"
        return Refused(reason="too_large", message=message)
    return None


def _run_beside(step: Step, asked: Asked, command: RunUserCommand, turn: TurnState) -> None:
    refusal = _refusal(step, (TextInput(text=command.command),))
    if refusal is None and len(turn.asides) >= asides.ASIDES_MAX:
        message = f"{asides.ASIDES_MAX} commands run beside this turn already; wait until one of them has ended"
        refusal = Refused(reason="busy", message=message, active_turn_id=turn.id)
    if refusal is not None:
        step.reply(asked.token, refusal)
        return
    asides.start(step, command.submission_id, command.command, command.timeout_seconds)
    _remember_submission(step, command.submission_id, turn.id)
    step.reply(asked.token, TurnAccepted(turn_id=turn.id))


def compact(step: Step, asked: Asked, command: CompactThread) -> None:
    """Shorten the history, as a turn of its own."""
    if _repeated(step, asked.token, command.submission_id):
        return
    refusal = _refusal(step, ()) or _occupied(step, "compact")
    if refusal is not None:
        step.reply(asked.token, refusal)
        return
    _open(step, asked, command.submission_id, TurnBudget(), follow_up=False)
    step.put_turn(steerable=False)
    compact_hooks.start(step)


def _occupied(step: Step, what: str) -> Refused | None:
    """Why a turn that no input begins cannot begin now."""
    if step.state.undoing is not None:
        return Refused(reason="busy", message=f"changes are being undone; {what} when that is done")
    if step.state.turn is not None:
        message = f"a turn is running; {what} when it has ended, or interrupt it first"
        return Refused(reason="busy", message=message, active_turn_id=step.turn.id)
    return None


def interrupt(step: Step, token: Token | None, command: InterruptTurn) -> None:
    """Stop the turn. Said twice, it is the same interrupt."""
    turn = step.state.turn
    if turn is not None and turn.closing is not None and command.turn_id in (None, turn.id):
        step.reply(token, TurnAccepted(turn_id=turn.id))
        return
    refusal = _wrong_turn(turn, command.turn_id, "interrupt")
    if refusal is not None or turn is None:
        step.reply(token, refusal)
        return
    step.reply(token, TurnAccepted(turn_id=turn.id))
    closing.begin(step, Closing(status="interrupted"))


def change_settings(step: Step, patch: SettingsPatch | None) -> None:
    """Change what the turns from here on run under, in the log as well."""
    if _apply(step, patch):
        turn, turns = step.state.turn, step.state.turns
        last = turn.id if turn is not None else turns[-1].id if turns else TurnId("")
        step.log(TurnContext(turn_id=last, settings=step.state.settings))


def sandbox_of(settings: ThreadSettings) -> tuple[object, ...]:
    """What people's grants were given beside: another sandbox is another matter."""
    return (settings.sandbox_mode, settings.writable_roots, settings.network_access, settings.profile, settings.cwd)


def _apply(step: Step, patch: SettingsPatch | None) -> bool:
    """Put a patch into force; False if it changes nothing."""
    if patch is None:
        return False
    asked = {name: value for name in patch.__struct_fields__ if (value := getattr(patch, name)) is not None}
    if "sandbox_mode" in asked and "profile" not in asked and step.state.settings.profile is not None:
        asked = cleared(asked)
    settings: ThreadSettings = msgspec.structs.replace(step.state.settings, **asked)
    if sandbox_of(settings) != sandbox_of(step.state.settings):
        settings = msgspec.structs.replace(settings, granted=NOTHING)
    if settings == step.state.settings:
        return False
    summary = msgspec.structs.replace(
        step.state.summary, cwd=settings.cwd, provider=settings.provider, model=settings.model
    )
    step.put(settings=settings, summary=summary)
    step.show(SettingsChanged(settings=settings))
    return True


def start_waiting(step: Step) -> None:
    """Begin the turn that waited for the last one's end; what else waited joins it."""
    waiting = step.state.waiting
    step.put(waiting=())
    for asked in waiting:
        if isinstance(asked.command, StartTurn):
            start(step, asked, asked.command)


def advance(step: Step) -> None:
    """Whatever the turn can do now, it does: called after every message, so that nothing need remember to."""
    while step.state.turn is not None:
        turn = step.turn
        if turn.suspended:
            return
        if turn.closing is not None:
            if turn.live or turn.dying:
                return
            closing.close(step, turn.closing)
            start_waiting(step)
            continue
        asides.run_ready(step)
        if turn.sampling is not None or turn.gathering is not None or turn.compact_hooks is not None:
            return
        scripts.settle_ended(step)
        calls.start_ready(step)
        if not calls.all_answered(step):
            return
        turn = step.turn
        spent = _spent(turn)
        if spent is not None:
            closing.begin(step, Closing(status="failed", failure=spent))
        elif turn.follow_up or turn.steers:
            if prompting.awaited(turn):
                return
            if compaction.due(step):
                compact_hooks.start(step)
                return
            steering.enter_all(step)
            sampling.start(step)
        elif turn.live or turn.dying or hooking.ask_whether_to_stop(step):
            return
        else:
            closing.close(step, Closing(status="completed"))
            start_waiting(step)


def due(step: Step, turn_id: TurnId) -> None:
    """The turn's time is up."""
    turn = step.state.turn
    if turn is not None and turn.id == turn_id and turn.closing is None:
        seconds = turn.budget.deadline_seconds
        failure = Failure(kind="budget_exceeded", message=f"This turn has used up its {seconds:g} seconds.")
        closing.begin(step, Closing(status="failed", failure=failure))


def _begin(step: Step, asked: Asked, command: StartTurn) -> None:
    _apply(step, command.settings)
    budget = command.budget or TurnBudget()
    submission = command.submission_id
    _open(step, asked, submission, budget, follow_up=True, output_schema=command.output_schema)
    step.put_turn(scripting=scripting_of(step.state.offer, step.state.settings, command.scripts))
    message = _message(step, command.input, command.client_id)
    known = context.is_known(step.state)
    if known:
        step.put(begun=True)
        context.give(step)
    if known and not compaction.due(step):
        spawns.enter(step)
        steering.enter(step, message)
        return
    # As input that waits it is in the log already, and recovery would let it in.
    step.put_turn(follow_up=False)
    steering.wait(step, submission, message)
    if not known:
        context.gather(step, message)


def _open(
    step: Step,
    asked: Asked,
    submission_id: str,
    budget: TurnBudget,
    *,
    follow_up: bool,
    output_schema: dict[str, Any] | None = None,
) -> None:
    """A new turn, in the log and on the screens, with what its model is to know first."""
    settings = step.state.settings
    turn_id = TurnId(asked.fresh_id)
    turn = TurnState(
        id=turn_id,
        settings=settings,
        budget=budget,
        started_at=step.at.now,
        output_schema=output_schema,
        follow_up=follow_up,
    )
    step.put(turn=turn, failed=False)
    step.log(
        TurnOpened(
            turn_id=turn_id,
            submission_id=submission_id,
            started_at=step.at.now,
            budget=budget,
            output_schema=output_schema,
        ),
        TurnContext(turn_id=turn_id, settings=settings),
    )
    _remember_submission(step, submission_id, turn_id)
    step.reply(asked.token, TurnAccepted(turn_id=turn_id))
    step.show_status()
    step.show(TurnStarted(turn=Turn(id=turn_id, status="inProgress", started_at=step.at.now)))
    if budget.deadline_seconds is not None:
        step.do(SetDeadline(turn_id=turn_id, seconds=budget.deadline_seconds))


def _steer(
    step: Step, token: Token | None, submission_id: str, parts: tuple[UserInput, ...], client_id: str | None
) -> None:
    turn = step.turn
    if len(turn.steers) >= MAX_WAITING:
        step.reply(token, _busy())
        return
    message = _message(step, parts, client_id)
    steering.wait(step, submission_id, message)
    prompting.ask(step, message)
    _remember_submission(step, submission_id, turn.id)
    step.reply(token, TurnAccepted(turn_id=turn.id, steered=True))


def _message(step: Step, parts: tuple[UserInput, ...], client_id: str | None) -> UserMessage:
    return UserMessage(id=step.new_id(), content=parts, client_id=client_id)


def _repeated(step: Step, token: Token | None, submission_id: str) -> bool:
    """Whether this submission has been taken before; then the same turn is the answer."""
    for known, turn_id in step.state.submissions:
        if known == submission_id:
            step.reply(token, TurnAccepted(turn_id=turn_id))
            return True
    return False


def _remember_submission(step: Step, submission_id: str, turn_id: TurnId) -> None:
    known = step.state.submissions[-(SUBMISSIONS_REMEMBERED - 1) :]
    step.put(submissions=(*known, (submission_id, turn_id)))


def _refusal(step: Step, parts: tuple[UserInput, ...]) -> Refused | None:
    chars = history.input_chars(parts)
    if chars > MAX_INPUT_CHARS:
        return Refused(
            reason="too_large",
            message=f"The input has {chars} characters of text; at most {MAX_INPUT_CHARS} are taken.",
        )
    if step.state.stopping is not None:
        return Refused(reason="closing", message="The thread is being closed; resume it and try again.")
    return None


def _busy() -> Refused:
    return Refused(reason="busy", message=f"{MAX_WAITING} inputs wait already; send more when they have entered.")


def _wrong_turn(turn: TurnState | None, expected: TurnId | None, verb: str) -> Refused | None:
    if turn is None or turn.closing is not None:
        return Refused(reason="no_active_turn", message=f"no active turn to {verb}")
    if expected is not None and expected != turn.id:
        message = f"expected active turn id {expected} but found {turn.id}"
        return Refused(reason="wrong_turn", message=message, active_turn_id=turn.id)
    return None


def _spent(turn: TurnState) -> Failure | None:
    budget = turn.budget
    if turn.calls_used > budget.tool_calls:
        return Failure(
            kind="budget_exceeded",
            message=f"This turn has used up its {budget.tool_calls} tool calls; start another to go on.",
        )
    if turn.output_bytes > budget.output_bytes:
        return Failure(
            kind="budget_exceeded",
            message=f"This turn's tools have printed more than {budget.output_bytes} bytes; start another to go on.",
        )
    return None
