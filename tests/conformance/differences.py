"""Where callboard differs from what was recorded, on purpose: each with its reason. The last part of `docs/protocol.md`
is written from this list (``python -m tests.conformance.differences``), and a test sees that it is up to date.

A difference that is not declared here fails the replay of a recording. A rule is as narrow as its reason: it names
methods, members of messages, or pairs whose order may differ. What recordings hold that callboard does not have at all
is in `lacking.py`.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.conformance.compare import Comparison, Mismatch
from tests.conformance.shape import Event

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"
BEGIN, END = "<!-- differences: begin -->\n", "<!-- differences: end -->\n"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One of them. What applies is left out of a comparison; the first that applies counts."""

    name: str
    original: str
    """What the original does."""
    ours: str
    reason: str
    not_sent: str | None = None
    """A pattern for labels of what was recorded and is not ours."""
    added: str | None = None
    """A pattern for labels of what is ours and was not recorded."""
    swapped: tuple[str, str] | None = None
    """Patterns for labels of two that were recorded in this order and may come in the other."""
    member: str | None = None
    """A pattern for paths (`turn/started:turn.status`) of members that are left out or say something else."""
    values: tuple[Any, Any] | None = None
    """Only if the member was recorded as the first and is the second."""
    when: Callable[[Event], bool] = lambda _event: True
    """Only for such events, of those that were recorded and are not ours."""


def declared(comparison: Comparison) -> tuple[Comparison, Counter[str]]:
    """The comparison without what is declared, and how often each difference was found."""
    used: Counter[str] = Counter()

    def undeclared(applies: Callable[[Difference], bool]) -> bool:
        name = next((each.name for each in DIFFERENCES if applies(each)), None)
        if name is not None:
            used[name] += 1
        return name is None

    left = Comparison()
    for event in comparison.missing:
        if undeclared(partial(_is_not_sent, event)):
            left.missing.append(event)
    for event in comparison.extra:
        if undeclared(partial(_is_added, event)):
            left.extra.append(event)
    for pair in comparison.swapped:
        if undeclared(partial(_is_swapped, *pair)):
            left.swapped.append(pair)
    for event, mismatch in comparison.mismatches:
        if undeclared(partial(_is_said, event, mismatch)):
            left.mismatches.append((event, mismatch))
    return left, used


def _is_not_sent(event: Event, difference: Difference) -> bool:
    fits = difference.not_sent is not None and re.fullmatch(difference.not_sent, event.label) is not None
    return fits and difference.when(event)


def _is_added(event: Event, difference: Difference) -> bool:
    return difference.added is not None and re.fullmatch(difference.added, event.label) is not None


def _is_swapped(first: Event, second: Event, difference: Difference) -> bool:
    if difference.swapped is None:
        return False
    before, after = difference.swapped
    return re.fullmatch(before, first.label) is not None and re.fullmatch(after, second.label) is not None


def _is_said(event: Event, mismatch: Mismatch, difference: Difference) -> bool:
    if difference.member is None or re.fullmatch(difference.member, mismatch.path) is None:
        return False
    if not difference.when(event):
        return False
    return difference.values is None or difference.values == (mismatch.recorded, mismatch.ours)


def _is_refused_key(event: Event) -> bool:
    info = (event.body.get("error") or {}).get("codexErrorInfo")
    details = info.values() if isinstance(info, dict) else ()
    return any(isinstance(each, dict) and each.get("httpStatusCode") in (401, 403) for each in details)


# --- what takes more than a pattern ---------------------------------------------------------------------------------


def without_live_output(events: list[Event]) -> list[Event]:
    """Which part of a command's output is told live and which only at its end is a matter of milliseconds."""
    return [event for event in events if event.method != "item/commandExecution/outputDelta"]


def with_final_results(events: list[Event]) -> list[Event]:
    """How often a search tells what it has found so far is a matter of milliseconds; what it finds in the end is not."""
    search = "fuzzyFileSearch/sessionUpdated"
    last = {
        (event.conn, event.body.get("sessionId"), event.body.get("query")): event
        for event in events
        if event.method == search
    }
    return [event for event in events if event.method != search or any(event is each for each in last.values())]


def without_unasked(ours: list[Event], unasked: set[str]) -> list[Event]:
    """Ours without the questions that the recorded server had no need to ask, and what surrounds them.

    ``unasked`` are the ids of the items that were asked about. The status around a question says what is pending, so a
    status that was sent for such questions only goes with them.
    """
    questions = {event.request for event in ours if event.kind == "asked" and event.item_id in unasked}
    kept: list[Event] = []
    pending: dict[tuple[str, str], int] = {}
    last: dict[tuple[str, str], Any] = {}
    for number, event in enumerate(ours):
        place = event.conn, event.thread
        if event.kind == "asked":
            if event.item_id in unasked:
                continue
            pending[place] = pending.get(place, 0) + 1
        elif event.method == "serverRequest/resolved":
            if json.dumps(event.body.get("requestId")) in questions:
                continue
            pending[place] = pending.get(place, 0) - 1
        elif event.method == "thread/status/changed":
            status = event.body.get("status")
            waiting = "waitingOnApproval" in (status.get("activeFlags") or [])
            if waiting and not pending.get(place) and not _asked_next(ours[number + 1 :], place, unasked):
                continue
            if status == last.get(place) and questions:
                continue
            last[place] = status
        kept.append(event)
    return kept


def _asked_next(events: list[Event], place: tuple[str, str], unasked: set[str]) -> bool:
    """Whether a question of the recording follows before the status changes again."""
    for event in events:
        if (event.conn, event.thread) == place:
            if event.method == "thread/status/changed":
                return False
            if event.kind == "asked" and event.item_id not in unasked:
                return True
    return False


def without_what_came_after(comparison: Comparison, recorded: list[Event]) -> Comparison:
    """Where a recording stops in the middle of a turn (its server was killed, or drained and closed without another
    word), nobody knows what would have followed. Here a turn's end is told also on shutdown."""
    open_turns: set[tuple[str, str]] = set()
    for event in recorded:
        if event.method == "turn/started":
            open_turns.add((event.conn, event.turn))
        elif event.method == "turn/completed":
            open_turns.discard((event.conn, event.turn))
    stopped = {conn for conn, _ in open_turns}
    comparison.extra = [
        event
        for event in comparison.extra
        if event.conn not in stopped or event.number < comparison.last.get(event.conn, 0)
    ]
    return comparison


# --- the list -------------------------------------------------------------------------------------------------------

DIFFERENCES: tuple[Difference, ...] = (
    # --- not sent
    Difference(
        name="notices of the original's own services",
        original="`configWarning`, `deprecationNotice`, `remoteControl/status/changed`, `account/rateLimits/updated`, "
        "`thread/goal/cleared`, `guardianWarning` and `warning` about its own configuration, remote control, quotas, "
        "goals and model catalogue",
        ours="not sent",
        reason="There is nothing behind them here: no account whose quota could be told, no remote control, no goals. A "
        "model that is not in the catalogue is told by its description in `model/list`.",
        not_sent="configWarning|deprecationNotice|remoteControl/status/changed|account/rateLimits/updated"
        "|thread/goal/cleared|guardianWarning|warning",
    ),
    Difference(
        name="no read state",
        original="`thread/readState/changed` after each turn, and `readStates` in lists",
        ours="not sent",
        reason="Which turns a person has read is a client's business; a daemon with many clients has no single answer.",
        not_sent="thread/readState/changed",
        member=r"thread/(list|read):readStates?.*",
    ),
    Difference(
        name="a diff once",
        original="`turn/diff/updated` again after every response, also when nothing changed",
        ours="when the diff has changed",
        reason="It is the same text each time, and it can be long.",
        not_sent="turn/diff/updated",
    ),
    Difference(
        name="threads stay for a while",
        original="a thread that nobody watches any more is unloaded and `thread/closed` told",
        ours="after a minute (`thread_unload_delay_seconds`)",
        reason="A client that reconnects finds it as it was.",
        not_sent="thread/closed|thread/status/changed notLoaded",
    ),
    Difference(
        name="settings are told when they change",
        original="`thread/settings/updated` also for settings that only the original has: service tiers, instructions "
        "of a mode",
        ours="when a setting that callboard has is another one",
        reason="What is not followed is not confirmed.",
        not_sent="thread/settings/updated",
    ),
    # --- sent besides
    Difference(
        name="every started item completes",
        original="a message that an interrupt, a steering message or a broken stream cuts off never gets its "
        "`item/completed`; neither does a patch whose approval was cancelled, nor a command that outlives an interrupt",
        ours="`item/completed` with what there is of it, before the turn goes on or ends",
        reason="A client need not guess which of its open items will never end.",
        added="item/completed .*",
    ),
    Difference(
        name="tokens of every response",
        original="no `thread/tokenUsage/updated` for a response that a steering message cut off",
        ours="the response is heard to its end, and its tokens are told",
        reason="They were spent. See *steering waits for the response*.",
        added="thread/tokenUsage/updated",
    ),
    Difference(
        name="tokens before calls",
        original="the tokens of a response are told when its calls have ended",
        ours="when the response has ended, before its calls are run; who joins in between has missed that",
        reason="They are known then, and calls start behind the response's end.",
        not_sent="thread/tokenUsage/updated",
        when=lambda event: event.late,
    ),
    Difference(
        name="tokens once",
        original="an interrupt tells the tokens of the response before again",
        ours="not sent",
        reason="Nothing was added: what a response used that was broken off, its provider does not say.",
        not_sent="thread/tokenUsage/updated",
        when=lambda event: event.interrupted,
    ),
    Difference(
        name="a call that cannot be run is shown",
        original="a call of an unknown tool, or with arguments that make no sense, is answered to the model and shown "
        "to nobody",
        ours="a `dynamicToolCall` item that fails with the reason",
        reason="People see what the model tried; see also *every started item completes*.",
        added="item/(started|completed) dynamicToolCall.*",
    ),
    Difference(
        name="parse errors are answered",
        original="what is no JSON, a batch, an id that is null or a fraction: dropped without a word",
        ours="an error with the code -32700 or -32600 and the id null",
        reason="A client that makes a mistake should hear of it.",
        added=r"answer to  \(error\)",
    ),
    Difference(
        name="a key that is refused is not shown again",
        original="a request that was answered with 401 is sent once more, with the same key",
        ours="the turn fails at once",
        reason="It would be refused again, and some providers count.",
        not_sent="error and will retry",
        when=_is_refused_key,
    ),
    # --- order
    Difference(
        name="an item is final when its response is",
        original="an item completes as soon as its last piece has come, while the response goes on",
        ours="the items of a response complete together, when its terminal event has come",
        reason="A stream that breaks afterwards takes none of them back: what a client is told is complete is in the "
        "history for good.",
        swapped=(
            r"item/completed (reasoning|agentMessage|webSearch)|item/(reasoning|agentMessage)/.*",
            r"item/started (reasoning|agentMessage|webSearch)|item/(reasoning|agentMessage)/.*|item/completed agentMessage",
        ),
    ),
    Difference(
        name="systemError when the turn has ended",
        original="the thread's status is `systemError` before the `error` that says why",
        ours="`error`, then the status, then `turn/completed`",
        reason="The status is derived from what runs: until the failed turn's calls are gone, the thread is active.",
        swapped=("thread/status/changed systemError", "error.*"),
    ),
    Difference(
        name="a question is closed before its turn ends",
        original="`serverRequest/resolved` for the question of an interrupted turn comes after `turn/completed`",
        ours="before it",
        reason="When a turn has ended nothing of it is open.",
        swapped=("turn/completed .*|thread/status/changed idle", "serverRequest/resolved"),
    ),
    # --- members
    Difference(
        name="pictures are shown as they were taken",
        original="a `localImage` of an input stays the path of a file in its item",
        ours="it is read when the input is taken, and shown as an `image` with its data",
        reason="The file may be another one later, or not be there for a client on another machine; what the model saw is "
        "what people see.",
        member=r"item/(started|completed):item\.content\[\]\.(type|path)",
        when=lambda event: any(part.get("type") == "localImage" for part in event.item.get("content") or []),
    ),
    Difference(
        name="members without a counterpart",
        original="`serviceTier`, `multiAgentMode`, `activePermissionProfile`, `disabledPluginIds`, `instructionSources` "
        "and the instructions of a mode",
        ours="left out: the schema has them optional",
        reason="They tell of service tiers, agents beside agents, plugins and the text of the original's own modes.",
        member=r".*[:.](serviceTier|multiAgentMode|instructionSources|disabledPluginIds)(\[\])?"
        r"|.*[:.]activePermissionProfile.*|.*collaborationMode\.settings\.developer_instructions",
    ),
    Difference(
        name="what a question offers",
        original="`availableDecisions` lists `accept`, an amendment of the rules and `cancel`; others are taken unlisted",
        ours="`acceptForSession` and `decline` are listed as well",
        reason="A client offers what is listed: a person should be able to say no without ending the turn.",
        member=r"item/commandExecution/requestApproval:availableDecisions\[\].*",
    ),
    Difference(
        name="thoughts behind a summary are shown on request",
        original="the raw text of a model's reasoning beside the summary of it",
        ours='the summary; the raw text where there is none, or with `show_reasoning = "raw"` (`showReasoning` of a turn)',
        reason="A model may think for a hundred thousand tokens, and the summary is made to be read in their place.",
        not_sent="item/reasoning/textDelta",
        member=r"item/completed:item\.content",
        when=lambda event: event.item.get("type") == "reasoning" or not event.item,
    ),
    Difference(
        name="a search is shown while it goes on",
        original="the item of a hosted search begins when the search has ended, with its query",
        ours="it begins when the search does; the query is in its completion",
        reason="A search takes seconds, and people see that the model searches.",
        member=r"item/started:item\.(query|action.*)",
        when=lambda event: event.item.get("type") == "webSearch",
    ),
    Difference(
        name="an answer that cannot be understood is a no",
        original="an error as the answer to a question, or a decision that does not exist, makes the command `failed`",
        ours="`declined`",
        reason="Nothing was run because nobody agreed; the model is told the same.",
        member=r"item/completed:item\.status",
        values=("failed", "declined"),
    ),
    Difference(
        name="who resumes sees what is open",
        original="a thread that is resumed in mid-turn is told without the items that are under way",
        ours="with them, and with the text they have so far",
        reason="What follows for them makes sense only so.",
        member=r"thread/(resume|read):thread\.turns\[\]\.items\[\]",
    ),
    Difference(
        name="an empty history is empty",
        original="`thread/turns/list` of a thread without turns is an error",
        ours="an empty page",
        reason="That there is nothing yet is an answer.",
        member=r"thread/(turns|items)/list:succeeded",
    ),
    Difference(
        name="cursors lead somewhere",
        original="`nextCursor` and `backwardsCursor` also where nothing follows",
        ours="left out at the ends",
        reason="A client sees without asking that there is no more.",
        member=r"thread/(turns|items)/list:(nextCursor|backwardsCursor)",
    ),
    Difference(
        name="terminate is TERM first",
        original="`command/exec/terminate` kills: the exit code is 137",
        ours="SIGTERM to the group, SIGKILL after half a second: 143 for what heeds it",
        reason="A program may tidy up.",
        member=r"command/exec:exitCode",
        values=(137, 143),
    ),
    Difference(
        name="a command's source and process",
        original="`source` is `agent` until a command runs",
        ours="`unifiedExecStartup` from the beginning",
        reason="The item says which tool it is of; that does not change by running it.",
        member=r"item/(started|completed):item\.source",
    ),
    Difference(
        name="what went wrong, not where it was noticed",
        original="`codexErrorInfo` of a failing request is mostly `other`, `responseStreamDisconnected` or "
        "`responseTooManyFailedAttempts`, and the reason is in the text",
        ours="`badRequest`, `unauthorized`, `rateLimitExceeded`, `internalServerError`, "
        "`responseStreamDisconnected`… by what the provider said, for each attempt",
        reason="A client can choose its advice by the word.",
        member=r"(error|turn/completed):(turn\.)?error\.(codexErrorInfo.*|additionalDetails)",
    ),
)


def section() -> str:
    """The list as the page has it, between its marks."""
    lines: list[str] = []
    for each in DIFFERENCES:
        lines += [f"### {each.name[0].upper()}{each.name[1:]}", ""]
        lines += [f"* The original: {each.original}.", f"* callboard: {each.ours}.", f"* Why: {each.reason}", ""]
    return "\n".join(lines)


def document(page: str) -> str:
    """The page with the list as it is now. Raises ValueError if it has no place for it."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT.name} has no {BEGIN.strip()} … {END.strip()}")
    return f"{before}{begin}\n{section()}\n{end}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(document(DOCUMENT.read_text()))
    sys.stdout.write(f"written: {DOCUMENT}\n")
