"""Recordings that go on where another one stopped: a long session was cut into files at what its user did.

A recording that speaks of a turn it did not see begin, or answers a question it did not see asked, is played behind the
one that did.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.conformance.transcripts import Line, Transcript, key_of

MAX_CHAIN = 4
"""Files that one may need before it: turns are short."""


def before(transcript: Transcript, others: Sequence[Transcript]) -> tuple[Line, ...]:
    """What was recorded before, as far as this one needs it."""
    chain: list[Transcript] = []
    first = transcript
    for _ in range(MAX_CHAIN):
        turns = _turns_begun_elsewhere(first)
        found = next((each for each in others if each is not first and turns & _turns_begun(each)), None)
        if found is None or found in chain:
            break
        chain.insert(0, found)
        first = found
    return tuple(line for each in chain for line in each.lines if not line.is_end)


def _turns_begun(transcript: Transcript) -> set[str]:
    begun = {str((params.get("turn") or {}).get("id")) for params in transcript.told("turn/started")}
    for asked, answer in transcript.answers():
        if asked.method == "turn/start":
            turn = ((answer.frame or {}).get("result") or {}).get("turn") or {}
            begun.add(str(turn.get("id")))
    return begun


def _turns_begun_elsewhere(transcript: Transcript) -> set[str]:
    """Turns in the middle of which the recording begins."""
    begun: set[str] = set()
    known: set[str] = set()
    found: set[str] = set()
    questions: set[str] = set()
    for line in transcript.lines:
        frame = line.frame or {}
        if line.direction == "c2s":
            if line.is_answer and key_of(frame["id"]) not in questions:
                continue
            turn = line.params.get("expectedTurnId") or line.params.get("turnId")
            if isinstance(turn, str) and turn not in begun | known and line.method in ("turn/steer", "turn/interrupt"):
                found.add(turn)
            continue
        if line.is_request:
            questions.add(key_of(frame["id"]))
        turn = line.params.get("turnId") or (line.params.get("turn") or {}).get("id")
        if line.method == "turn/started":
            begun.add(str(turn))
        elif (
            line.method.startswith(("item/", "turn/completed")) and isinstance(turn, str) and turn not in begun | known
        ):
            found.add(turn)
        elif line.is_answer:
            known |= _mentioned(frame.get("result"))
    return found


def _mentioned(value: object) -> set[str]:
    """Turn ids in an answer: who resumes a thread is told of the turn that runs."""
    if isinstance(value, dict):
        turns = value.get("turns") or ([value["turn"]] if isinstance(value.get("turn"), dict) else [])
        own = {str(turn["id"]) for turn in turns if isinstance(turn, dict) and "id" in turn}
        return own.union(*(_mentioned(each) for each in value.values() if isinstance(each, dict)))
    return set()
