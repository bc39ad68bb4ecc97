"""The console's verbs as processes, against one daemon."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.console.completions import script
from actors.console.main import _parser
from actors.console.repository import make
from actors.console.threads import ago
from tests.system.daemon import CALLBOARD, clean_environment, daemon_process


class Place:
    """A daemon, and a folder with a failing test."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home = home
        self.folder = folder

    def run(self, *words: str, text: str | None = None, seconds: float = 30) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(CALLBOARD), *words],
            cwd=self.folder,
            env={**clean_environment(), "CALLBOARD_HOME": str(self.home), "COLUMNS": "120"},
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("console")
    make(folder / "tempo")
    with daemon_process(folder / "home") as daemon:
        yield Place(daemon.home, folder / "tempo")


def test_a_thread_is_listed_found_and_named_by_the_end_of_its_id(place: Place) -> None:
    done = place.run("exec", "hello there")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    [listed] = json.loads(place.run("threads", "--json", "hello").stdout)
    shown = place.run("threads", "hello").stdout
    assert listed["id"][-8:] in shown
    assert "hello there" in shown
    assert place.run("threads", "nothing-like-it").stdout == "no thread matches 'nothing-like-it'\n"


def test_a_question_is_listed_by_one_process_and_answered_by_another_while_a_third_waits(place: Place) -> None:
    environment = {**clean_environment(), "CALLBOARD_HOME": str(place.home)}
    prompt = "The tests of this repository fail. Find the bug, fix it, and show me that the tests pass."
    client = subprocess.Popen(
        [str(CALLBOARD), "app-server"],
        cwd=place.folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdin is not None
    assert client.stdout is not None

    def send(frame: dict[str, object]) -> None:
        assert client.stdin is not None
        client.stdin.write(json.dumps(frame) + "\n")
        client.stdin.flush()

    try:
        send({"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "probe", "version": "1"}}})
        send({"id": 2, "method": "thread/start", "params": {"approvalPolicy": "on-request"}})
        thread = next(frame["result"] for line in client.stdout if (frame := json.loads(line)).get("id") == 2)["thread"]
        send(
            {
                "id": 3,
                "method": "turn/start",
                "params": {"threadId": thread["id"], "input": [{"type": "text", "text": prompt}]},
            }
        )
        questions = 0
        for line in client.stdout:
            frame = json.loads(line)
            if frame.get("method") == "item/commandExecution/requestApproval":
                questions += 1
                [listed] = json.loads(place.run("approve", "--json").stdout)
                assert listed["threadId"] == thread["id"]
                assert "python3 -m unittest" in listed["about"]
                watched = place.run("threads").stdout
                assert "asks" in watched
                answered = place.run("approve", listed["id"], "yes" if questions == 1 else "quit")
                assert (answered.returncode, answered.stderr) == (0, "")
            if frame.get("method") == "turn/completed":
                assert frame["params"]["turn"]["status"] == "interrupted"
                break
        assert questions == 2
        assert place.run("approve").stdout == "nothing waits for an answer\n"
    finally:
        client.kill()
        client.communicate()


def test_without_a_terminal_attach_only_watches(place: Place) -> None:
    assert place.run("exec", "hello watcher").returncode == 0
    watching = subprocess.Popen(
        [str(CALLBOARD), "attach"],
        cwd=place.folder,
        env={**clean_environment(), "CALLBOARD_HOME": str(place.home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        lines = [watching.stdout.readline() for _ in range(2)]
        assert "hello watcher" in lines[0]
        assert lines[1] == "> hello watcher\n"
    finally:
        watching.terminate()
        assert watching.wait(10) == 130
        watching.communicate()


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("attach", "no-such-thread"), 1, "callboard: There is no thread 'no-such-thread'; see: callboard threads\n"),
        (
            ("approve", "nothing"),
            1,
            "callboard: approve: no open question is called 'nothing'; see: callboard approve\n",
        ),
    ],
)
def test_an_error_is_one_line(place: Place, words: tuple[str, ...], code: int, complaint: str) -> None:
    done = place.run(*words)
    assert (done.returncode, done.stderr) == (code, complaint)


def test_doctor_says_what_works_and_fails_for_what_does_not(place: Place, tmp_path: Path) -> None:
    report = json.loads(place.run("doctor", "--json").stdout)
    assert report["overallStatus"] in ("ok", "warning")
    assert {"config.load", "containment", "daemon.status", "system.disk"} <= set(report["checks"])
    assert report["checks"]["daemon.status"]["summary"].endswith("and answers")
    assert set(report["checks"]["installation"]) == {
        "id",
        "category",
        "status",
        "summary",
        "details",
        "remediation",
        "durationMs",
    }
    broken = tmp_path / "home"
    broken.mkdir()
    (broken / "config.toml").write_text("approval_policy = 7\n")
    done = Place(broken, place.folder).run("doctor")
    assert done.returncode == 1
    assert "approval_policy" in done.stdout
    assert all(line == line.rstrip() for line in done.stdout.splitlines())


def commands(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Every command there is, with its parser."""
    yield path, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from commands(below, (*path, name))


def offered(*lines: tuple[str, ...]) -> list[set[str]]:
    """What bash offers for the last word of each line."""
    made = script(_parser(), "bash")
    probe = "\n".join(
        f"COMP_WORDS=({shlex.join(('callboard', *words))}); COMP_CWORD={len(words)}; COMPREPLY=(); _callboard; "
        'echo "${COMPREPLY[@]}"'
        for words in lines
    )
    done = subprocess.run(["bash", "-c", f"{made}\n{probe}"], cwd="/", capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [set(line.split()) for line in done.stdout.split("\n")[:-1]]


def test_bash_completes_every_verb_there_is_and_all_its_flags() -> None:
    known = dict(commands(_parser()))
    assert {("attach",), ("approve",), ("config", "get"), ("token", "new"), ("hooks", "trust")} <= known.keys()
    words = offered(*((*path, "") for path in known))
    flags = offered(*((*path, "-") for path in known))
    for (path, parser), after, dashed in zip(known.items(), words, flags, strict=True):
        below = {inner[len(path)] for inner in known if inner[: len(path)] == path and len(inner) == len(path) + 1}
        assert below <= after, f"callboard {' '.join(path)}"
        visible = (action for action in parser._actions if action.help != argparse.SUPPRESS)
        assert {flag for action in visible for flag in action.option_strings} == dashed, f"callboard {' '.join(path)}"


def test_bash_completes_the_answers_of_a_verb_and_else_files() -> None:
    answers, flag, shell, file = offered(
        ("approve", "12345678", "al"), ("--json", "threads", "--j"), ("completion", ""), ("apply-patch", "/bi")
    )
    assert (answers, flag, shell) == ({"always"}, {"--json"}, {"bash", "zsh", "fish"})
    assert "/bin" in file


def test_the_other_shells_know_as_much() -> None:
    assert "bashcompinit" in script(_parser(), "zsh")
    fish = script(_parser(), "fish")
    assert "complete -c callboard -n __fish_use_subcommand -a attach" in fish
    assert "complete -c callboard -n '__fish_seen_subcommand_from config; and not __fish_seen_subcommand_from " in fish
    assert fish.count("-a get ") == 1


def test_ages_are_told_roughly() -> None:
    assert [ago(seconds) for seconds in (5, 90, 7200, 200_000)] == ["now", "2 min", "2 h", "2 d"]
