"""Scripts that people write: run as turns in which no model is asked."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from actors.rollout_writer.projection import project
from actors.rollout_writer.validity import validate_history
from messages.client.item import ScriptEnd
from messages.log import ScriptWritten, ToolStarted, TurnClosed
from messages.script import ScriptChoice
from messages.session import InterruptTurn, Refused, RunScript, StartTurn, TurnAccepted
from tests.actors.session.made import words
from tests.actors.session.scripted_stage import Result, Stage, answer, open_stage, questions, row, user_texts
from tests.actors.session.theatre import Thread


async def run(thread: Thread, source: str, *, submission: str = "own", **choice: object) -> TurnAccepted | Refused:
    command = RunScript(submission_id=submission, source=source, choice=ScriptChoice(**{"mode": "enabled", **choice}))  # type: ignore[arg-type]  # as written in the test
    reply: TurnAccepted | Refused = await thread.ask(command, TurnAccepted | Refused)
    return reply


def end_of(stage: Stage, thread: Thread) -> ScriptEnd:
    (script,) = Result(stage, thread, []).scripts
    assert script.callboard is not None
    return script.callboard


@row("F31")
async def test_a_persons_script_is_a_turn_without_a_model_and_the_next_request_tells_of_it(
    row: str, autojump_clock: MockClock
) -> None:
    async with open_stage() as stage:
        thread = await stage.thread()
        source = 'const a = await tools.run({id: "a"}); console.log(a); return {a}'
        assert isinstance(await run(thread, source), TurnAccepted)
        await thread.until("TurnCompleted")
        end = end_of(stage, thread)
        assert (end.status, end.value) == ("returned", '{"a":"did a"}')
        assert [(call.number, call.name, call.line, call.outcome) for call in end.calls] == [(1, "run", 1, "done")]
        assert stage.requests == [], row
        assert stage.begun == ["a"]
        stage.says("Well.")
        await stage.play(thread)
        told = "\n".join(user_texts(stage.requests[-1]))
        assert f"<source>\n{source}\n</source>" in told
        assert '<tool-calls-result status="returned">\n{"a":"did a"}' in told, row
        path = next(path for path in stage.theatre.log.files if thread.id in path)
        loaded = project(stage.theatre.log.files[path])
        assert validate_history(loaded.history) == []
        assert user_texts(loaded.history)[: len(user_texts(stage.requests[-1]))] == user_texts(stage.requests[-1])


@row("F32")
async def test_a_persons_script_has_the_mode_that_was_asked_for_and_the_threads_approvals(
    row: str, autojump_clock: MockClock
) -> None:
    async with open_stage(mode="disabled") as stage:
        thread = await stage.thread()
        await run(thread, 'return await tools.run({id: "a", ask: true})', mode="dry-run")
        await thread.until("TurnCompleted")
        assert end_of(stage, thread).value == '{"dryRun":true}'
        assert stage.begun == []
    async with open_stage() as stage:
        thread = await stage.thread()
        await run(thread, 'return await tools.run({id: "a", ask: true}).catch((e) => e.code)')
        await thread.until("ApprovalRequested")
        assert await answer(thread, (await questions(thread))[0], "decline")
        await thread.until("TurnCompleted")
        assert end_of(stage, thread).value == '"denied"', row
        await run(thread, "return 1", submission="own")
        assert len([each for each in thread.records if isinstance(each, ScriptWritten)]) == 1, "sent again, run once"


@row("F33")
async def test_a_mistake_in_a_persons_script_has_its_line_and_column(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        thread = await stage.thread()
        await run(thread, "const a = 1;\n  enum Color { Red }\nreturn a")
        await thread.until("TurnCompleted")
        failure = end_of(stage, thread).failure
        assert failure is not None
        assert (failure.kind, failure.code, failure.line, failure.column) == ("syntax", "typescript", 2, 3), row


@row("F34")
async def test_a_persons_script_that_is_interrupted_names_every_call(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        thread = await stage.thread()
        await run(thread, 'await tools.run({id: "a"});\nawait tools.run({id: "b", ms: 60000})')
        await trio.sleep(1)
        other = await run(thread, "return 1", submission="other")
        assert isinstance(other, Refused)
        assert other.reason == "busy"
        await thread.ask(InterruptTurn(), TurnAccepted)
        await thread.until("TurnCompleted")
        end = end_of(stage, thread)
        assert end.status == "cancelled"
        assert [(call.line, call.outcome, call.started) for call in end.calls] == [
            (1, "done", True),
            (2, "cancelled", True),
        ], row
        assert stage.running == 0


@row("F35")
async def test_wherever_the_daemon_dies_a_persons_script_does_nothing_twice(
    row: str, autojump_clock: MockClock
) -> None:
    async with open_stage() as stage:
        thread = await stage.thread()
        source = 'await tools.run({id: "one", ms: 10}); return await tools.run({id: "two", ms: 30})'
        await run(thread, source)
        await thread.until("TurnCompleted")
        cuts = [stage.cut(thread, count) for count in range(3, len(thread.records))]
    finished = 0
    for cut in cuts:
        had = {record.place.number for record in cut[2] if isinstance(record, ToolStarted) and record.place}
        async with open_stage(log=cut) as again:
            later = await again.theatre.again(thread.id)
            await trio.sleep(1)
            assert not {["", "one", "two"][number] for number in had} & set(again.begun), row
            closed = [each for each in again.theatre.log.records[cut[0]] if isinstance(each, TurnClosed)]
            assert len(closed) == 1
            assert again.requests == [], "no model is asked because of it"
            again.says("Well.")
            await later.ask(StartTurn(submission_id="next", input=words("go")), TurnAccepted)
            await trio.sleep(1)
            told = user_texts(again.requests[-1])
            finished += any('status="returned"' in text for text in told)
            assert validate_history(again.requests[-1]) == []
    assert finished > 2
