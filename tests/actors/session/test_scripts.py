"""Scripts in a session, from the model's text to what it is told: rows F of docs/scripts-matrix.md."""

from __future__ import annotations

import hashlib

import trio
from msgspec.structs import replace
from trio.testing import MockClock

from actors.rollout_writer.projection import project
from actors.rollout_writer.validity import validate_history
from actors.sandbox_pool.pool import DEFAULT_LIMITS
from messages.client.item import AgentMessage, Reasoning
from messages.log import ApprovalAsked, ToolStarted, TurnClosed
from messages.script import CallRequested, ScriptChoice, ScriptPrinted, ScriptProgressed
from messages.session import InterruptTurn, TurnAccepted
from tests.actors.session.scripted_stage import (
    Result,
    answer,
    block,
    call,
    open_stage,
    questions,
    reasoning,
    row,
    user_texts,
)


@row("F1")
async def test_a_block_is_hidden_from_what_is_shown_and_stays_in_history_as_it_was_written(
    row: str, autojump_clock: MockClock
) -> None:
    async with open_stage() as stage:
        result = await stage.turn("return 1")
        assert result.texts == ["Look:\n\nThat is all.", "Well."]
        assert "".join(each[1:] for each in result.seen if each.startswith("~")) == "".join(result.texts)
        assert b"<tool-calls>\\nreturn 1\\n</tool-calls>" in stage.requests[-1][-2].raw, row


@row("F2")
async def test_several_blocks_run_in_the_order_written_each_to_its_end(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        first = 'await tools.run({id: "a", ms: 50}); return 1'
        stage.says(block(first) + "and\n" + block('await tools.run({id: "b"}); return 2'), "Well.")
        result = await stage.play(await stage.thread())
        assert (stage.begun, stage.most) == (["a", "b"], 1)
        assert [told.splitlines()[1] for told in result.told] == ["1", "2"], row


@row("F3")
async def test_what_is_not_closed_is_never_run_and_the_model_is_told(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        stage.says('<tool-calls>\nawait tools.run({id: "a"})', "Well.")
        result = await stage.play(await stage.thread())
        (told,) = result.told
        assert 'status="refused"' in told, row
        assert "closing tag" in told, row
        assert (stage.begun, result.texts[0]) == ([], "")


@row("F4")
async def test_an_example_in_a_fence_is_text(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        example = "```\n" + block('await tools.run({id: "a"})') + "```\n"
        stage.says(example)
        result = await stage.play(await stage.thread())
        assert (stage.begun, result.texts, result.scripts) == ([], [example], []), row


@row("F5")
async def test_nothing_of_a_response_that_was_cut_short_is_run(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        stage.says(block('await tools.run({id: "a"})'), stop="length")
        result = await stage.play(await stage.thread())
        assert (stage.begun, result.scripts) == ([], []), row


@row("F6")
async def test_a_script_over_the_limit_is_refused_and_not_kept(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        result = await stage.turn("// " + "x" * 21_000)
        (told,) = result.told
        assert 'status="refused"' in told, row
        assert "longer than 20480 bytes" in told, row


@row("F7")
async def test_disabled_a_block_is_plain_text_and_nothing_is_said_of_scripts(
    row: str, autojump_clock: MockClock
) -> None:
    async with open_stage(mode="disabled") as stage:
        text = block("return 1")
        stage.says(text)
        result = await stage.play(await stage.thread())
        assert (result.texts, result.scripts) == ([text], []), row
        assert "tool-calls" not in stage.instructions[0]


@row("F8")
async def test_a_dry_run_checks_and_lists_calls_and_makes_none(row: str, autojump_clock: MockClock) -> None:
    async with open_stage(mode="dry-run") as stage:
        source = 'const r = await tools.run({id: "a", ask: true}); const s = await tools.run({fault: "odd"}).catch((e) => e.code); return [r, s]'
        result = await stage.turn(source)
        assert stage.begun == []
        assert await questions(result.thread) == []
        (told,) = result.told
        assert '[{"dryRun":true},"tool_failed"]' in told, row
        assert "no call took place" in told, row
        assert "#1 run" in told
        assert "#2 run" in told


@row("F9")
async def test_a_turn_chooses_mode_and_tools_for_itself_alone(row: str, autojump_clock: MockClock) -> None:
    async with open_stage(mode="disabled") as stage:
        thread = await stage.thread()
        choice = ScriptChoice(mode="enabled", allowed_tools=("read_file",))
        stage.says(block("return Object.keys(tools)"), "Well.", block("return 2"))
        result = await stage.play(thread, choice=choice)
        assert result.value == ["readFile", "search", "describe"], row
        await stage.play(thread)
        assert len(stage.requests) == 3, "the next turn is as the settings say"


@row("F10")
async def test_a_provider_has_its_own_mode(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        stage.says(block("return 1"))
        result = await stage.play(await stage.thread(provider="quiet"))
        assert result.scripts == [], row


@row("F11")
async def test_a_tool_that_is_not_allowed_is_not_found_and_the_error_names_those_that_are(
    row: str, autojump_clock: MockClock
) -> None:
    async with open_stage(allowed=("read_file",)) as stage:
        result = await stage.turn("return await tools.run({}).catch((e) => [e.code, e.message])")
        code, text = result.value
        assert code == "tool_not_found", row
        assert "readFile" in text, row
        assert "tools.run" not in stage.instructions[0]
        assert "  run(" not in stage.instructions[0]


@row("F12")
async def test_hosted_tools_cannot_be_called_and_the_prompt_says_so(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        result = await stage.turn("return Object.keys(tools)")
        assert result.value == ["run", "readFile", "search", "describe"], row
        assert "your provider runs itself cannot be called" in stage.instructions[0]


@row("F13")
async def test_serial_calls_run_one_after_another(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        source = 'for (const id of ["a", "b", "c"]) await tools.run({id, ms: 10}); return 1'
        await stage.turn(source)
        assert (stage.done, stage.most) == (["a", "b", "c"], 1), row


@row("F14")
async def test_parallel_calls_run_eight_at_a_time(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        source = "return await Promise.all(Array.from({length: 12}, (_, i) => tools.run({id: `${i}`, ms: 10})))"
        result = await stage.turn(source)
        assert stage.most == 8, row
        assert result.value == [f"did {number}" for number in range(12)]


@row("F15")
async def test_calls_that_are_not_safe_beside_others_run_alone(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        source = "await Promise.all([1, 2, 3].map((id) => tools.run({id: `${id}`, ms: 10, safe: false}))); return 1"
        await stage.turn(source)
        assert (stage.most, len(stage.done)) == (1, 3), row


@row("F16")
async def test_what_succeeded_is_kept_when_something_fails(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        source = 'const all = await Promise.allSettled([tools.run({id: "a"}), tools.run({id: "b", fail: true})]); return all.map((r) => r.status === "fulfilled" ? r.value : [r.reason.code, r.reason.tool, r.reason.retryable])'
        result = await stage.turn(source)
        assert result.value == ["did a", ["tool_failed", "run", False]], row


@row("F17")
async def test_the_losers_of_a_race_are_cancelled_and_named(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        source = 'return await Promise.race([tools.run({id: "fast", ms: 5}), tools.run({id: "slow", ms: 60000})])'
        result = await stage.turn(source)
        (told,) = result.told
        assert '"did fast"' in told, row
        assert "#2 run (line 1:" in told, row
        assert "cancelled" in told, row
        assert (stage.done, stage.running, result.outcomes) == (["fast"], 0, {1: "done", 2: "cancelled"})


@row("F18")
async def test_any_takes_the_first_that_succeeds(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        source = 'return await Promise.any([tools.run({id: "a", fail: true}), tools.run({id: "b", ms: 5})])'
        assert (await stage.turn(source)).value == "did b", row


@row("F19")
async def test_what_is_not_awaited_is_cancelled_after_the_grace_and_named(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        result = await stage.turn('tools.run({id: "left", ms: 60000});\ntools.run({id: "quick", ms: 100});\nreturn 1')
        (told,) = result.told
        assert "#1 run (line 1:" in told, row
        assert "not awaited when the script ended" in told, row
        assert (stage.done, stage.running, result.outcomes) == (["quick"], 0, {1: "cancelled", 2: "done"})


@row("F20")
async def test_waiting_for_nothing_is_a_deadlock_at_once(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        result = await stage.turn("await new Promise(() => {})")
        (told,) = result.told
        assert 'status="deadlocked"' in told, row


@row("F21")
async def test_a_promise_waits_for_people_while_its_siblings_run_on_and_the_clock_stands_still(
    row: str, autojump_clock: MockClock
) -> None:
    async with open_stage() as stage:
        thread = await stage.thread()
        source = 'return await Promise.all([tools.run({id: "asks", ask: true}),\n tools.run({id: "b", ms: 20})])'
        stage.says(block(source), "Well.")
        await stage.begin(thread)
        await thread.until("ApprovalRequested")
        await trio.sleep(300)
        assert stage.done == ["b"], row
        (asked,) = [record.approval for record in thread.records if isinstance(record, ApprovalAsked)]
        assert asked.place is not None
        assert (asked.place.line, asked.place.number) == (1, 1)
        assert asked.place.source == 'return await Promise.all([tools.run({id: "asks", ask: true}),'
        assert await answer(thread, asked.id)
        await thread.until("TurnCompleted")
        assert user_texts(stage.requests[-1])[-1].splitlines()[1] == '["did asks","did b"]'


@row("F22")
async def test_a_denial_can_be_caught(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        thread = await stage.thread()
        stage.says(block('return await tools.run({id: "a", ask: true}).catch((e) => e.code)'), "Well.")
        await stage.begin(thread)
        await thread.until("ApprovalRequested")
        assert await answer(thread, (await questions(thread))[0], "decline")
        await thread.until("TurnCompleted")
        assert (user_texts(stage.requests[-1])[-1].splitlines()[1], stage.begun) == ('"denied"', []), row


@row("F23")
async def test_a_question_expires_and_a_late_answer_is_told_to_be_late(row: str, autojump_clock: MockClock) -> None:
    async with open_stage(approval_seconds=30.0) as stage:
        thread = await stage.thread()
        stage.says(block('return await tools.run({id: "a", ask: true}).catch((e) => e.code)'), "Well.")
        await stage.begin(thread)
        await thread.until("ApprovalRequested")
        (question,) = await questions(thread)
        await trio.sleep(31)
        await thread.until("TurnCompleted")
        assert user_texts(stage.requests[-1])[-1].splitlines()[1] == '"expired"', row
        assert not await answer(thread, question)


@row("F24")
async def test_the_context_says_where_the_script_is_and_what_it_may_use(row: str, autojump_clock: MockClock) -> None:
    async with open_stage(limits=replace(DEFAULT_LIMITS, calls=10)) as stage:
        source = "await tools.run({id: 'a'}); const {conversationId, sessionId, turnId, ...rest} = context; return [conversationId === sessionId, rest]"
        thread = await stage.thread()
        result = await stage.turn(source, thread=thread)
        assert result.value[1]["workingDirectory"] == "/w", row
        assert result.value[1]["sandbox"]["remainingToolBudget"] == 9
        assert result.value[1]["approvals"] == {"required": True, "lastRequestId": None}


@row("F25")
async def test_thinking_text_calls_and_scripts_stay_in_order_and_results_come_behind_the_outputs(
    row: str, autojump_clock: MockClock
) -> None:
    async with open_stage() as stage:
        answered = (reasoning(), block('await tools.run({id: "one"})'), call("c1", arguments='{"id": "two"}'))
        stage.says((*answered, "then\n" + block('await tools.run({id: "three"})')), "Well.")
        result = await stage.play(await stage.thread())
        assert stage.begun == ["one", "two", "three"], row
        kinds = [item.kind for item in stage.requests[-1]]
        assert kinds[-7:] == [
            *("reasoning", "message", "function_call", "message", "function_call_output", "message", "message"),
        ]
        assert len(result.told) == 2
        assert isinstance(result.shown[1], Reasoning)
        assert isinstance(result.shown[2], AgentMessage)


@row("F26")
async def test_console_lines_and_progress_are_shown_live_by_line(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        source = (
            'console.warn("one", 2);\ncontext.telemetry.emitProgress("half");\nawait tools.run({id: "a"}); return 1'
        )
        result = await stage.turn(source)
        assert [event for event in result.events if isinstance(event, ScriptPrinted | ScriptProgressed)] == [
            ScriptPrinted(level="warn", text="one 2", line=1),
            ScriptProgressed(text="half", line=2),
        ]
        (requested,) = [event for event in result.events if isinstance(event, CallRequested)]
        assert requested.line == 3, row
        assert result.seen.count("ScriptHappened") == 5
        assert "console:\n[warn] one 2" in result.told[0]


@row("F27")
async def test_the_item_says_what_was_run_and_how_it_ended(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        result = await stage.turn("return 1")
        (script,) = result.scripts
        source = "return 1\n"
        assert (script.namespace, script.tool, script.status, script.success) == (
            "callboard",
            "script",
            "completed",
            True,
        )
        assert script.arguments == {
            "source": source,
            "sourceHash": hashlib.sha256(source.encode()).hexdigest(),
            "mode": "enabled",
            "status": "returned",
        }, row


@row("F28")
async def test_an_error_has_its_line_in_the_models_own_text(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        result = await stage.turn('type A = string;\nconst x: A = "a";\nthrow new TypeError(x + " is odd")')
        assert "script error, exception (line 3:" in result.told[0], row
        assert "TypeError: a is odd" in result.told[0], row


@row("F29")
async def test_an_interrupt_ends_every_call_and_the_report_names_each(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        thread = await stage.thread()
        stage.says(block('await tools.run({id: "a"});\nawait tools.run({id: "b", ms: 60000})'))
        await stage.begin(thread)
        await trio.sleep(1)
        assert "b" in stage.begun
        await thread.ask(InterruptTurn(), TurnAccepted)
        await thread.until("TurnCompleted")
        assert stage.running == 0
        assert not stage.engine.open, "no worker is left"
        (script,) = Result(stage, thread, []).scripts
        told = str(script.content_items)
        assert "#1 run (line 1:" in told, row
        assert "#2 run (line 2:13): cancelled" in told, row
        assert isinstance(thread.records[-1], TurnClosed)


REPLAYED = """\
const first = await tools.run({id: "one", ms: 10});
const [a, b] = await Promise.all([tools.run({id: "two", ms: 30}), tools.run({id: "three", ms: 20})]);
const asked = await tools.run({id: "four", ask: true});
return [first, a, b, asked, Math.random(), Date.now()];"""


@row("F30")
async def test_wherever_the_daemon_dies_no_call_is_made_twice(row: str, autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        thread = await stage.thread()
        stage.says(block(REPLAYED), "Well.")
        await stage.begin(thread)
        await thread.until("ApprovalRequested")
        assert await answer(thread, (await questions(thread))[0])
        await thread.until("TurnCompleted")
        whole = user_texts(stage.requests[-1])[-1]
        records = list(thread.records)
        cuts = [stage.cut(thread, count) for count in range(4, len(records))]
    for bytes_ in range(0, len(cuts[-1][1]), 97):
        assert validate_history(project(cuts[-1][1][:bytes_]).history) == [], (row, bytes_)
    replayed = 0
    for cut in cuts:
        had_started = {record.place.number for record in cut[2] if isinstance(record, ToolStarted) and record.place}
        script_runs = any(isinstance(record, ToolStarted) and record.place is None for record in cut[2])
        async with open_stage(log=cut) as again:
            again.says("Well.", "Well.")
            later = await again.theatre.again(thread.id)
            await trio.sleep(1)
            for question in await questions(later):
                await answer(later, question)
            await trio.sleep(1)
            names = ["", "one", "two", "three", "four"]
            assert not {names[number] for number in had_started} & set(again.begun), (row, "started before, made again")
            closed = [record for record in again.theatre.log.records[cut[0]] if isinstance(record, TurnClosed)]
            assert len(closed) == 1, (len(cut[2]), cut[2][-1], again.theatre.log.records[cut[0]][len(cut[2]) :])
            if script_runs and again.requests and "unknown" not in user_texts(again.requests[-1])[-1]:
                replayed += 1
                assert user_texts(again.requests[-1])[-1].splitlines()[1].startswith('["did one"'), whole
    assert replayed > 10
