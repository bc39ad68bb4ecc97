"""`tools.spawn`: calls that outlive their script belong to the thread, and have exactly one outcome."""

from __future__ import annotations

from collections import Counter

import trio
from trio.testing import MockClock

from actors.rollout_writer.projection import project
from actors.rollout_writer.validity import validate_history
from actors.sandbox_pool.limits import SPAWNS_MAX
from messages.log import CallSpawned, SpawnEnded, ToolStarted
from messages.session import (
    CancelToolCall,
    CleanTerminals,
    InterruptTurn,
    ListTerminals,
    StartTurn,
    TerminateTerminal,
    TurnAccepted,
)
from tests.actors.session.made import words
from tests.actors.session.scripted_stage import answer, block, open_stage, questions, row, user_texts
from tests.actors.session.theatre import Thread


def ends(thread: Thread) -> list[tuple[int, str]]:
    """The log's outcomes."""
    return [(record.task, record.outcome) for record in thread.records if isinstance(record, SpawnEnded)]


@row("F45")
async def test_without_the_setting_nothing_is_said_of_spawning_and_nothing_is_there(
    row: str, autojump_clock: MockClock
) -> None:
    async with open_stage() as stage:
        result = await stage.turn("return [typeof tools.spawn.readFile, Object.keys(tools).includes('spawn')]")
        assert result.value == ["undefined", False], row
        assert "spawn" not in stage.instructions[0]
    async with open_stage(spawn=True) as stage:
        result = await stage.turn("return [Object.keys(tools.spawn), Object.isFrozen(tools.spawn)]")
        assert result.value == [["readFile", "list", "cancel"], True], "what needs its turn cannot be spawned"
        assert "    readFile(args: object): Promise<{ task: number }>;" in stage.instructions[0]


@row("F46")
async def test_a_spawned_call_outlives_its_script_and_turn_and_the_model_is_told_of_its_end_once(
    row: str, autojump_clock: MockClock
) -> None:
    async with open_stage(spawn=True) as stage:
        result = await stage.turn('return await tools.spawn.readFile({id: "a", ms: 60000})')
        thread = result.thread
        assert result.value == {"task": 1}
        assert (stage.begun, stage.done, ends(thread)) == (["a"], [], [])
        (listed,) = await thread.ask(ListTerminals(), tuple)
        assert (listed.terminal, listed.command) == (1, 'read_file {"id":"a","ms":60000}')
        await trio.sleep(61)
        assert (stage.done, ends(thread)) == (["a"], [(1, "done")])
        assert await thread.ask(ListTerminals(), tuple) == ()
        stage.says("Well.", "Well.")
        for _ in range(2):
            await stage.play(thread)
        told = [text for text in user_texts(stage.requests[-1]) if text.startswith("<spawned-call")]
        assert told == ['<spawned-call task="1" tool="read_file" outcome="done">\n"did a"\n</spawned-call>'], row
        assert validate_history(stage.requests[-1]) == []
        path = next(path for path in stage.theatre.log.files if thread.id in path)
        loaded = project(stage.theatre.log.files[path])
        assert user_texts(loaded.history) == user_texts(stage.requests[-1])
        assert (loaded.spawns, loaded.last_task, loaded.open_items) == ((), 1, ())


@row("F47")
async def test_an_interrupt_leaves_it_and_a_client_or_a_script_ends_it(row: str, autojump_clock: MockClock) -> None:
    async with open_stage(spawn=True) as stage:
        thread = await stage.thread()
        spawn = "".join(f'await tools.spawn.readFile({{id: "{name}", ms: 60000}});' for name in "abcd")
        stage.says(block(spawn + 'await tools.run({id: "long", ms: 60000})'))
        await stage.begin(thread)
        await trio.sleep(1)
        await thread.ask(InterruptTurn(), TurnAccepted)
        await thread.until("TurnCompleted")
        assert (stage.running, ends(thread)) == (4, []), row
        assert await thread.ask(TerminateTerminal(terminal=2), bool)
        spawned = [record for record in thread.records if isinstance(record, CallSpawned)]
        assert await thread.ask(CancelToolCall(call_id=spawned[2].call_id), bool)
        await trio.sleep(1)
        assert ends(thread) == [(2, "cancelled"), (3, "cancelled")]
        assert not await thread.ask(TerminateTerminal(terminal=2), bool)
        source = "const all = await tools.spawn.list({}); return [all.map((t) => t.task), await tools.spawn.cancel({task: 1}), await tools.spawn.cancel({task: 9})]"
        result = await stage.turn(source, thread=thread)
        assert result.told[-1].splitlines()[1] == "[[1,4],true,false]"
        await trio.sleep(1)
        assert ends(thread)[2:] == [(1, "cancelled")]
        assert await thread.ask(CleanTerminals(), int) == 1
        await trio.sleep(1)
        assert (stage.running, Counter(task for task, _ in ends(thread))) == (0, Counter([1, 2, 3, 4])), row


@row("F48")
async def test_their_number_is_bounded(row: str, autojump_clock: MockClock) -> None:
    async with open_stage(spawn=True) as stage:
        source = (
            f"const all = await Promise.allSettled(Array.from({{length: {SPAWNS_MAX + 2}}}, (_, i) => "
            "tools.spawn.readFile({id: `${i}`, ms: 60000}))); return all.map((r) => r.value?.task ?? r.reason.code)"
        )
        result = await stage.turn(source)
        assert sorted(result.value[:SPAWNS_MAX]) == list(range(1, SPAWNS_MAX + 1)), row
        assert result.value[SPAWNS_MAX:] == ["limit", "limit"]
        assert stage.running == SPAWNS_MAX


@row("F49")
async def test_people_are_asked_before_it_begins_and_a_no_can_be_caught(row: str, autojump_clock: MockClock) -> None:
    async with open_stage(spawn=True) as stage:
        thread = await stage.thread()
        spawn = 'await tools.spawn.readFile({id: "a", ask: true, ms: 1000}).catch((e) => e.code)'
        stage.says(block(f"return {spawn}"), block(f"return {spawn}"), "Well.")
        await stage.begin(thread)
        await thread.until("ApprovalRequested")
        assert await answer(thread, (await questions(thread))[0], "decline")
        await thread.until("ApprovalRequested")
        assert stage.begun == []
        assert await answer(thread, (await questions(thread))[0])
        await thread.until("TurnCompleted")
        told = [text.splitlines()[1] for text in user_texts(stage.requests[-1]) if text.startswith("<tool-calls")]
        assert told == ['"denied"', '{"task":1}'], row
        await trio.sleep(2)
        assert ends(thread) == [(1, "done")]


@row("F50")
async def test_they_end_with_their_thread(row: str, autojump_clock: MockClock) -> None:
    async with open_stage(spawn=True) as stage:
        result = await stage.turn('return await tools.spawn.readFile({id: "a", ms: 60000})')
        thread = result.thread
        await stage.theatre.host.unload(thread.id)
        assert (stage.running, stage.done) == (0, []), row
        assert ends(thread) == [(1, "cancelled")]
        later = await stage.theatre.again(thread.id)
        stage.says("Well.")
        await later.ask(StartTurn(submission_id="later", input=words("go")), TurnAccepted)
        await later.until("TurnCompleted")
        assert any('outcome="cancelled"' in text for text in user_texts(stage.requests[-1]))


@row("F51")
async def test_wherever_the_daemon_dies_a_spawned_call_is_made_once_and_has_one_outcome(
    row: str, autojump_clock: MockClock
) -> None:
    async with open_stage(spawn=True) as stage:
        source = (
            'const one = await tools.spawn.readFile({id: "one", ms: 30});'
            'const two = await tools.spawn.readFile({id: "two", ms: 60000});'
            'await tools.run({id: "three", ms: 100}); return [one, two]'
        )
        result = await stage.turn(source)
        stage.says("Well.")
        await stage.play(result.thread)
        records = list(result.thread.records)
        cuts = [stage.cut(result.thread, count) for count in range(4, len(records))]
    lost = 0
    for cut in cuts:
        had = {record.place.number for record in cut[2] if isinstance(record, ToolStarted) and record.place}
        async with open_stage(log=cut, spawn=True) as again:
            again.says(*["Well."] * 4)
            later = await again.theatre.again(result.thread.id)
            await trio.sleep(1)
            await later.ask(StartTurn(submission_id="next", input=words("go")), TurnAccepted)
            await trio.sleep(70)
            await later.ask(StartTurn(submission_id="last", input=words("go")), TurnAccepted)
            await trio.sleep(1)
            assert not {["", "one", "two", "three"][number] for number in had} & set(again.begun), row
            log = again.theatre.log.records[cut[0]]
            spawned = [record.task for record in log if isinstance(record, CallSpawned)]
            ended = [record.task for record in log if isinstance(record, SpawnEnded)]
            assert spawned == sorted(ended) == list(range(1, len(spawned) + 1)), (row, len(cut[2]))
            assert validate_history(again.requests[-1]) == []
            texts = [text for text in user_texts(again.requests[-1]) if text.startswith("<spawned-call")]
            assert len(texts) == len(spawned)
            lost += any('outcome="unknown"' in text for text in texts)
    assert lost > 3
