"""Group commit without a disk: what goes together, in which order, and who hears when."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.rollout_writer.core import (
    MAX_JOBS,
    MAX_WRITE_JOBS,
    Answer,
    Commits,
    Durability,
    Effect,
    Entry,
    Job,
    Outcome,
    appended,
)
from messages.base import ThreadId
from messages.log import Append, Appended, ThreadNamed


def entry(path: str, ordinal: int = 0, *, barrier: bool = False, reply: Any = "") -> Entry[Any]:
    append = Append(
        thread_id=ThreadId(path),
        path=path,
        first_ordinal=ordinal,
        at=0.0,
        records=(ThreadNamed(name="x"),),
        barrier=barrier,
    )
    return Entry(append=append, lines=[b"\n"], reply=reply)


def jobs(effects: list[Effect[str]]) -> list[Job[str]]:
    return [effect for effect in effects if isinstance(effect, Job)]


def plan(effects: list[Effect[str]]) -> list[tuple[list[tuple[str, int]], bool]]:
    """Each job as ([(path, how many appends)], barrier)."""
    return [([(task.path, len(task.entries)) for task in job.tasks], job.barrier) for job in jobs(effects)]


def done(commits: Commits[str], job: Job[str]) -> list[Effect[str]]:
    """The job went well."""
    outcomes = [
        Outcome[str](
            path=task.path,
            answers=[Answer(reply=e.reply, message=appended(e.append)) for e in task.entries],
            written=[e.append for e in task.entries],
            synced=task.sync,
        )
        for task in job.tasks
    ]
    return commits.done(job, outcomes)


def told(effects: list[Effect[str]]) -> list[str]:
    return [effect.reply for effect in effects if isinstance(effect, Answer)]


def test_appends_of_one_batch_share_a_job_and_those_of_one_file_a_task() -> None:
    commits: Commits[str] = Commits()
    effects = commits.append([entry("a"), entry("b"), entry("a", 1)])
    assert plan(effects) == [([("a", 2), ("b", 1)], False)]


def test_what_arrives_while_a_file_is_busy_goes_together_afterwards() -> None:
    commits: Commits[str] = Commits()
    [first] = jobs(commits.append([entry("a", 0, reply="r0")]))
    assert commits.append([entry("a", 1)]) == []
    assert commits.append([entry("a", 2)]) == []
    effects = done(commits, first)
    assert told(effects) == ["r0"]
    assert plan(effects) == [([("a", 2)], False)]


def test_a_busy_disk_gets_larger_groups_not_more_jobs() -> None:
    commits: Commits[str] = Commits()
    running = [jobs(commits.append([entry(f"{n}")]))[0] for n in range(MAX_WRITE_JOBS)]
    assert commits.append([entry("x"), entry("y")]) == []
    assert commits.append([entry("z")]) == []
    assert plan(done(commits, running[0])) == [([("x", 1), ("y", 1), ("z", 1)], False)]


def test_barriers_do_not_hold_up_others_and_are_spread_over_jobs() -> None:
    commits: Commits[str] = Commits()
    effects = commits.append([entry("a", barrier=True), entry("b"), entry("c", barrier=True)])
    assert plan(effects) == [([("b", 1)], False), ([("a", 1)], True), ([("c", 1)], True)]
    assert [task.sync for job in jobs(effects) for task in job.tasks] == [False, True, True]
    many = commits.append([entry(f"{n}", barrier=True) for n in range(100)])
    assert len(jobs(many)) == MAX_JOBS - 3
    assert sum(len(job.tasks) for job in jobs(many)) == 100


def test_what_nobody_waits_for_is_synced_when_the_timer_says_so() -> None:
    commits: Commits[str] = Commits()
    [write] = jobs(commits.append([entry("a"), entry("b", barrier=True)]))[:1]
    done(commits, write)
    assert commits.dirty
    effects = commits.sync_due()
    assert plan(effects) == [([("a", 0)], True)]
    done(commits, jobs(effects)[0])
    assert commits.sync_due() == []


def test_relaxed_durability_leaves_barriers_to_the_timer() -> None:
    commits: Commits[str] = Commits(durability="relaxed")
    effects = commits.append([entry("a", barrier=True, reply="r")])
    assert [task.sync for task in jobs(effects)[0].tasks] == [False]
    assert told(done(commits, jobs(effects)[0])) == ["r"]
    assert plan(commits.sync_due()) == [([("a", 0)], True)]


def test_the_files_longest_unused_are_synced_and_let_go() -> None:
    commits: Commits[str] = Commits(max_open_files=2)
    for path in "ab":
        [job] = jobs(commits.append([entry(path)]))
        done(commits, job)
    _, closing = jobs(commits.append([entry("c")]))
    [task] = closing.tasks
    assert (task.path, task.sync, task.close, task.entries) == ("a", True, True, [])
    assert commits.append([entry("a", 1)]) == []
    assert plan(done(commits, closing)) == [([("a", 1)], False), ([("b", 0)], True)]


def test_the_end_syncs_what_is_dirty_and_lets_go_of_all() -> None:
    commits: Commits[str] = Commits()
    for effect in commits.append([entry("a"), entry("b", barrier=True)]):
        assert isinstance(effect, Job)
        done(commits, effect)
    assert commits.idle
    [job] = jobs(commits.close_all())
    assert [(task.path, task.sync, task.close) for task in job.tasks] == [("a", True, True), ("b", False, True)]
    done(commits, job)
    assert commits.open_files == 0
    assert commits.close_all() == []


@given(st.integers(0, 2**32 - 1), st.sampled_from(["full", "relaxed"]))
@settings(max_examples=150, deadline=None)
def test_every_append_is_answered_once_in_order_and_no_file_is_in_two_jobs(seed: int, durability: Durability) -> None:
    rng = random.Random(seed)
    commits: Commits[Any] = Commits(durability=durability, max_open_files=3)
    running: list[Job[Any]] = []
    sent: dict[str, int] = {}
    heard: dict[str, list[int]] = {}

    def absorb(effects: list[Effect[Any]]) -> None:
        for effect in effects:
            if isinstance(effect, Job):
                running.append(effect)
            elif isinstance(effect.message, Appended):
                heard.setdefault(effect.message.thread_id, []).append(effect.reply)
        paths = [task.path for job in running for task in job.tasks]
        assert len(paths) == len(set(paths))
        assert len(running) <= MAX_JOBS + 1

    for _ in range(60):
        choice = rng.random()
        if choice < 0.5:
            batch: list[Entry[Any]] = []
            for _ in range(rng.randint(1, 4)):
                path = rng.choice("abcdef")
                ordinal = sent.get(path, 0)
                batch.append(entry(path, ordinal, barrier=rng.random() < 0.3, reply=ordinal))
                sent[path] = ordinal + 1
            absorb(commits.append(batch))
        elif choice < 0.9 and running:
            absorb(done(commits, running.pop(rng.randrange(len(running)))))
        else:
            absorb(commits.sync_due())
    while running:
        absorb(done(commits, running.pop()))
    assert commits.idle
    assert heard == {path: list(range(count)) for path, count in sent.items()}
